// One connection of a client: it sends a request, reads the response's head, and then its body
// piece by piece. It counts as one of its host's connections as long as it lives.
#pragma once

#include <weir/core/task.hpp>
#include <weir/http/client.hpp>
#include <weir/http/internal/inbound.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/tls_channel.hpp>
#include <weir/wire/url.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace weir::http::detail {

class connection_pool;
struct pooled_host;

class client_connection {
 public:
  client_connection(connection_pool& of, pooled_host& host) noexcept;
  client_connection(const client_connection&) = delete;
  client_connection& operator=(const client_connection&) = delete;
  ~client_connection();

  task<> open(const url& to);
  /// Keeps its place for a new connection.
  void close() noexcept {
    socket_.close();
    tls_.reset();
    is_used_ = false;
  }
  /// False when the server has ended an idle connection or said something that nobody asked for.
  task<bool> is_silent();
  /// Sends the request and gives the final response's head. The server is told that nobody waits
  /// beyond `until`; never(): it is told nothing.
  task<response_head> exchange(const client_request& what, const url& to, time_point until);
  /// The next piece of the body; empty at its end.
  task<bytes> read();

  /// True when the last exchange failed without a byte of an answer, on a connection that had
  /// served before: the server may have closed it while it was idle.
  bool was_perhaps_stale() const noexcept { return is_used_ && !has_answer_bytes_ && is_lost_; }
  /// True when the response was read to its end and the server keeps the connection.
  bool is_reusable() const noexcept;
  void note_idle(time_point at) noexcept {
    is_used_ = true;
    idle_since_ = at;
  }
  time_point idle_since() const noexcept { return idle_since_; }
  bool is_open() const noexcept { return static_cast<bool>(socket_); }
  connection_pool& owner() const noexcept { return pool_; }
  pooled_host& host() const noexcept { return host_; }

 private:
  struct upload;

  void write_head(const client_request& what, const url& to, time_point until);
  task<errc> send_request(std::string_view body);
  task<> send_and_hear(std::string_view body, response_to request, upload* of);
  static task<> hear(client_connection* self, response_to request, upload* of);
  task<> receive_head(response_to request, time_point deadline);
  task<received_outcome> receive_sealed(duration limit);
  response_head take_head() const;

  connection_pool& pool_;
  pooled_host& host_;
  socket socket_;
  std::unique_ptr<tls_channel> tls_;  // null: plain
  inbound inbound_;
  http1_response_parser parser_;
  http1_body_decoder decoder_;
  std::string out_;
  time_point idle_since_;
  std::size_t interims_ = 0;
  bool is_used_ = false;
  bool has_answer_bytes_ = false;
  bool is_lost_ = false;    // the server ended or reset the connection
  bool is_kept_ = false;    // the server would take another request
  bool is_failed_ = false;  // reading or writing went wrong: not to be used again
};

}  // namespace weir::http::detail

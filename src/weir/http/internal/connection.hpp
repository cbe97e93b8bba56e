// One connection of the server. The hard idea: everything about it happens in one task, in the
// order read, answer, read ..., so there is no state to lock; only two things run beside a handler,
// each in a task of the same scope: watching for a client that leaves, and the heartbeat of an
// event stream.
//
// Invariants: (1) answer_ only goes forward: none -> streaming -> done, or none -> done;
//             (2) is_torn_ is true exactly while bytes of a message are on their way; found true
//             later, the send was cut off in the middle and the connection is worth nothing;
//             (3) idle connections stand in the server's list in the order in which they became so;
//             (4) the server's stats.bodies_bytes is the sum of body_held_ of all connections;
//             (5) answers that are held until others join them are the first held_ bytes of out_,
//             and while there are any, leave_ stands ready to send them as soon as this task waits.
#pragma once

#include <weir/base/intrusive.hpp>
#include <weir/core/scope.hpp>
#include <weir/http/exchange.hpp>
#include <weir/http/internal/inbound.hpp>
#include <weir/http/internal/server_core.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/tls_channel.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::http::detail {

/// A task beside the handler that can be ended before its scope.
struct side_task {
  scope* inside = nullptr;  // null before its first step and after its last
  bool is_live = false;
  bool is_unwanted = false;
  event ended;
};

class connection : public list_hook<> {
 public:
  connection(server_core& of, socket with, client_place from);
  ~connection();

  /// Serves until the connection is to be closed; then the error of a handler leaves it.
  task<> run();
  /// The server drains: true when nothing is in flight that the client waits for. A stream of
  /// events is ended in order all the same.
  bool is_dispensable() const noexcept { return phase_ == phase::idle || is_event_stream_; }
  bool is_idle() const noexcept { return phase_ == phase::idle; }
  bool is_ending() const noexcept { return !scope_ || scope_->reason().kind != cancel_kind::none; }
  void cut_off(const char* why) noexcept {
    if (scope_) scope_->cancel(why);
  }

  // For request.
  task<bytes> read_body();
  task<std::string> read_all(std::size_t bytes_max);
  address peer() const { return socket_.peer(); }
  const tls_info* tls() const noexcept { return tls_ ? &tls_->info() : nullptr; }
  const http_fault& body_fault() const noexcept { return fault_; }
  event& drain() noexcept { return core_.drain; }

  // For response and its writers. They raise `broken` when the client is gone.
  void add_field(std::string_view name, std::string_view value);
  task<> send_whole(int status, std::string_view content_type, std::string_view body);
  task<> send_problem(int status, std::string_view code, std::string_view detail);
  void begin_stream(int status, std::string_view content_type);
  task<> begin_events();
  task<> write(std::string_view text);
  task<> flush();
  task<> end_stream();
  task<> write_event(sse_event what);
  task<> write_retry(duration after);
  void watch_client();
  void close_after() noexcept { may_keep_ = false; }
  bool is_begun() const noexcept { return answer_ != answer_state::none; }

 private:
  enum class phase : std::uint8_t { idle, head, exchange, closing };
  enum class answer_state : std::uint8_t { none, streaming, done };
  enum class head_end : std::uint8_t { whole, faulty, closed };
  struct own_field {
    std::uint32_t name_bytes;
    std::uint32_t value_bytes;
  };

  task<> serve();
  task<bool> shake_hands();
  task<> say_goodbye();
  task<head_end> read_head();
  head_end judge_end_in_head(errc failure);
  task<> answer();
  duration handler_time() const noexcept;
  task<> answer_within(duration limit, request& asked, response& answered);
  void begin_exchange();
  task<> answer_itself();
  task<> conclude(std::exception_ptr failure);
  task<> end_drained_stream();
  task<> conclude_failed(std::exception_ptr failure);
  task<> conclude_late();
  bool is_of_client(const std::exception_ptr& failure) const;
  bool is_concluded(const std::exception_ptr& failure) const noexcept;
  task<> answer_fault();
  task<> try_problem(int status, std::string_view code, std::string_view detail);
  task<bool> drain_body();
  task<> linger();

  task<received_outcome> receive_body();
  void become_idle() noexcept;
  void grow_body(std::string& all, std::size_t needed, std::size_t expected);
  void release_body() noexcept;
  [[noreturn]] void fail_body(http_fault fault);

  void write_head(int status, std::string_view content_type, body_framing framing,
                  std::uint64_t content_length);
  bool will_keep() const noexcept;
  bool leaves_out_body(int status) const noexcept;
  task<bool> transmit(std::span<const io_slice> pieces);
  task<bool> transmit_behind(std::span<const io_slice> pieces);
  task<bool> push(std::span<const io_slice> pieces);
  bool may_hold() const noexcept;
  bool hold() noexcept;
  task<bool> send_held();
  task<> leave();
  task<bool> transmit_chunk(std::string_view text);
  void require_client() const;
  void clear_scratch() noexcept;
  task<> write_scratch();

  task<> watch();
  task<> beat();
  void client_left() noexcept;
  using side_body = task<> (connection::*)();
  void begin_aside(side_task& what, side_body body);
  static task<> run_aside(connection* self, side_task* what, side_body body);
  task<> end_aside(side_task& what);

  server_core& core_;
  socket socket_;
  std::unique_ptr<tls_channel> tls_;  // null: plain
  client_place from_;
  scope* scope_ = nullptr;
  inbound inbound_;
  http1_request_parser parser_;
  http1_body_decoder decoder_;
  std::string out_;      // held answers; a head, a chunk's first line: what is sent before the data
  std::string scratch_;  // an event as text
  std::string fields_text_;  // of the handler's own fields, name by value
  std::vector<own_field> fields_;
  http_fault fault_;            // of the head or the body
  std::exception_ptr failure_;  // of the handler, to be reported when the connection ends
  duration body_time_left_;
  duration body_patience_;       // what is left of body_grace; bytes that come add to it
  std::uint64_t body_held_ = 0;  // (4)
  time_point last_write_;
  time_point turn_of_exchange_;  // of the loop, when the exchange began
  std::size_t held_ = 0;         // (5)
  side_task watch_;
  side_task beat_;
  side_task leave_;
  condition beaten_;
  std::uint32_t requests_ = 0;
  phase phase_ = phase::idle;
  answer_state answer_ = answer_state::none;   // (1)
  body_framing framing_ = body_framing::none;  // of the response
  bool may_keep_ = true;  // for another request, as far as is known before the answer
  bool is_kept_ = false;  // as the answer has told the client
  bool is_head_request_ = false;
  bool leaves_out_body_ = false;
  bool is_continue_due_ = false;
  bool is_event_stream_ = false;
  bool is_beating_ = false;  // a comment is on its way
  bool is_leaving_ = false;  // answers that were held are on their way
  bool is_torn_ = false;     // (2)
  bool is_client_gone_ = false;
  bool is_late_ = false;  // the handler was cut off at its deadline
};

/// The task of one connection.
task<> serve_connection(server_core* core, socket with, client_place from);

}  // namespace weir::http::detail

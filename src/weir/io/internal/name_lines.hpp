// The sockets of c-ares where there are no descriptors: in the virtual world. The hard idea: c-ares
// calls its sockets and does not wait, weir's sockets wait; between them lie queues. What c-ares
// sends is put into one, run() moves it out and what has come in, and only then c-ares is asked to
// go on. So the code that asks name servers and reads their answers is the one that ships.
//
//   c-ares -- calls --> a line's queues -- run() --> datagram_socket, socket
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/address.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/socket.hpp>

#include <ares.h>

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::detail {

/// The lines of one question.
///
/// Cancel:  run() ends at once; what had arrived is not lost, but nobody looks at it any more.
/// Order:   of each line as c-ares sent and as the server answered.
/// Bound:   lines_max lines, out_max bytes to send on each; an answer is a datagram, or 64 KiB.
/// Errors:  those of the sockets are told to c-ares, which goes on with the next server.
/// Threads: the loop's.
class name_lines {
 public:
  static constexpr std::size_t lines_max = 16;  // as many as ares_getsock() tells of
  static constexpr std::size_t out_max = std::size_t{64} * 1024;

  name_lines() = default;
  name_lines(const name_lines&) = delete;
  name_lines& operator=(const name_lines&) = delete;

  /// From here on the channel's sockets are these, which must outlive it.
  void serve(ares_channel channel);
  /// Until `is_done`, which c-ares's callback sets.
  task<> run(const bool* is_done);

 private:
  struct line {
    bool is_stream = false;
    bool is_open = false;
    bool is_ready = false;  // something can be received
    bool has_ended = false;
    int error = 0;  // told once
    address server = {};
    datagram_socket datagrams = {};
    socket stream = {};
    std::deque<std::string> out = {};
    std::string in = {};  // one datagram, or what a stream has brought
    address sender = {};

    io_handle handle() const noexcept { return is_stream ? stream.handle() : datagrams.handle(); }
    bool has_news() const noexcept { return !in.empty() || error != 0 || has_ended; }
  };
  using line_number = ares_socket_t;

  // What c-ares calls.
  static ares_socket_t make(int family, int type, int protocol, void* self) noexcept;
  static int close(ares_socket_t number, void* self) noexcept;
  static int connect(ares_socket_t number, const struct sockaddr* to, ares_socklen_t size,
                     void* self) noexcept;
  static ares_ssize_t receive(ares_socket_t number, void* into, size_t size, int flags,
                              struct sockaddr* from, ares_socklen_t* from_size,
                              void* self) noexcept;
  static ares_ssize_t send(ares_socket_t number, const struct iovec* pieces, int count,
                           void* self) noexcept;
  static line* at(ares_socket_t number, void* self) noexcept;

  std::vector<line_number> numbers() const;
  void let_write();
  bool let_read();
  task<> send_all();
  static task<> open(line* one);
  static task<> send_out(line* one);
  static task<> take_in(line* one);
  task<> wait_for_any();

  ares_channel channel_ = nullptr;
  std::map<line_number, line> lines_;
  line_number last_ = 0;
};

/// The servers of "/etc/resolv.conf" in the world that the loop sees, at most three, with commas
/// between them; "127.0.0.1" when it has none.
task<std::string> name_servers_of_world();

}  // namespace weir::detail

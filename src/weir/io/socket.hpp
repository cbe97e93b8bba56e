// Stream sockets: listen, accept, connect, receive, send. The hard idea: what was received is a
// counted view of the driver's memory, so a message is not copied on its way to whoever parses it.
//
//   while (auto bytes = co_await peer.receive())   // empty at the end of the stream
//     co_await peer.send(bytes);                   // all of it
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/address.hpp>
#include <weir/io/io_wait.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

class address_rules;
class socket;

namespace detail {

class [[nodiscard]] receive_wait final : public io_wait<receive_wait, bytes> {
 public:
  explicit receive_wait(io_handle from) noexcept;
  result<bytes> take() noexcept;

 private:
  static const wait_kind kind_;
};

class [[nodiscard]] receive_into_wait final : public io_wait<receive_into_wait, std::size_t> {
 public:
  receive_into_wait(io_handle from, char* into, std::size_t length) noexcept;
  result<std::size_t> take() noexcept;

 private:
  static const wait_kind kind_;
};

/// Sends all of it, however many system calls that takes.
class [[nodiscard]] send_wait final : public io_wait<send_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::partial;
  send_wait(io_handle to, slice_cursor what, std::size_t* sent) noexcept;
  bool try_now() noexcept;
  bool goes_on() noexcept;
  result<void> take() noexcept;

 private:
  static const wait_kind kind_;
  slice_cursor left_;
  std::size_t done_ = 0;
  std::size_t* sent_;
};

class [[nodiscard]] shutdown_wait final : public io_wait<shutdown_wait, void> {
 public:
  explicit shutdown_wait(io_handle of) noexcept;
  result<void> take() noexcept;

 private:
  static const wait_kind kind_;
};

class [[nodiscard]] accept_wait final : public io_wait<accept_wait, socket> {
 public:
  explicit accept_wait(io_handle on) noexcept;
  result<socket> take() noexcept;

 private:
  static const wait_kind kind_;
};

/// A socket's handle, closed when it goes.
class socket_owner {
 public:
  socket_owner() = default;
  socket_owner(driver& io, io_handle handle) noexcept : io_(&io), handle_(handle) {}
  socket_owner(socket_owner&& other) noexcept
      : io_(other.io_), handle_(std::exchange(other.handle_, -1)) {}
  socket_owner& operator=(socket_owner&& other) noexcept {
    if (this != &other) {
      close();
      io_ = other.io_;
      handle_ = std::exchange(other.handle_, -1);
    }
    return *this;
  }
  ~socket_owner() { close(); }

  /// Closes at once. Waits of other tasks on it end with `closed`.
  void close() noexcept {
    if (handle_ >= 0) io_->close_now(std::exchange(handle_, -1));
  }
  /// The address of this end; of the other one for `peer`.
  address local() const { return address_of(false); }
  io_handle handle() const noexcept { return handle_; }
  /// For a wait, which begins on the loop that made the socket.
  io_handle handle_here() const noexcept { return detail::handle_here(io_, handle_); }
  explicit operator bool() const noexcept { return handle_ >= 0; }

 protected:
  address address_of(bool peer) const;
  void set(int level, int option, int value, const char* what) const;

  driver* io_ = nullptr;
  io_handle handle_ = -1;
};

}  // namespace detail

/// One end of a connection: TCP or Unix.
///
/// Cancel:  a cancelled receive has taken nothing; a cancelled send has sent a prefix, `sent` says
///          how much.
/// Order:   bytes arrive as they were sent. One receive and one send at a time; both may wait at
///          once.
/// Bound:   receive() gives at most 16,448 bytes; the driver's arena bounds all views together.
/// Errors:  end of stream is empty; `broken` on reset; `closed` after close(). A failed send says
///          how much was sent.
/// Threads: one loop.
class [[nodiscard]] socket : public detail::socket_owner {
 public:
  using socket_owner::socket_owner;

  /// What has arrived, at least one byte; empty at the end of the stream.
  auto receive() noexcept { return detail::receive_wait(handle_here()); }
  /// The same into the caller's memory, which must live until the wait ends.
  auto receive_into(std::span<char> memory) noexcept {
    return detail::receive_into_wait(handle_here(), memory.data(), memory.size());
  }
  /// Sends all of `data`, which must live until the wait ends. `sent` is kept up to date, so that
  /// it is right after a cancellation as well.
  auto send(std::string_view data, std::size_t* sent = nullptr) noexcept {
    return detail::send_wait(handle_here(),
                             detail::slice_cursor(io_slice{data.data(), data.size()}), sent);
  }
  /// Sends several pieces as one: a header and a body without a copy.
  auto send(std::span<const io_slice> pieces, std::size_t* sent = nullptr) noexcept {
    return detail::send_wait(handle_here(), detail::slice_cursor(pieces.data(), pieces.size()),
                             sent);
  }

  /// Ends the stream to the peer, in order; receiving goes on.
  auto shutdown_send() noexcept { return detail::shutdown_wait(handle_here()); }
  /// Closes and tells the peer that something was wrong (RST) instead of an end in order.
  void reset() noexcept;
  /// On for TCP from the start: small sends leave at once.
  void set_no_delay(bool on) const;
  /// A peer that has vanished without a word (no power, a cut cable) says nothing, for ever. From
  /// now on the kernel asks an idle one, and after about `silence_max` (1 s at least) without an
  /// answer, or in which it took nothing of what was sent, waits end with `timed_out`. Off from the
  /// start; duration::max() turns it off. Of Unix sockets the peer's end is always known.
  void set_keep_alive(duration silence_max) const;

  address peer() const { return address_of(true); }
};

/// A socket that connections arrive at.
///
/// Cancel:  a cancelled accept has taken no connection.
/// Order:   connections in the order in which the kernel completed them.
/// Bound:   `backlog` connections wait in the kernel.
/// Errors:  `full` when the process has no descriptor left: the connection stays in line.
/// Threads: one loop.
class [[nodiscard]] listener : public detail::socket_owner {
 public:
  using socket_owner::socket_owner;

  auto accept() noexcept { return detail::accept_wait(handle_here()); }
  /// The same for servers, which go on whatever a connection meets: without a descriptor it waits
  /// and looks again, every 100 ms, and says so in the log; a client that left in line is passed.
  [[nodiscard]] task<socket> accept_patiently();
};

/// Where to listen. Without a word about it only this machine can connect.
struct listen_settings {
  std::string_view host = "127.0.0.1";  // numeric, "localhost", or "*" for every IPv4 interface
  std::uint16_t port = 0;               // 0: the system chooses; listener.local() tells
  std::string_view path = {};           // a Unix socket instead
  bool reuse_port =
      false;  // several listeners share the port; run_on_all_cores() does it by itself
  int backlog = 1024;
  bool ipv6_only = false;  // "::" is every interface, of both families unless this is set
};

/// Raises `busy` when the address is taken, `invalid_argument` when it is none.
[[nodiscard]] WEIR_CORO_WRAPPER task<listener> listen(listen_settings where);
[[nodiscard]] task<listener> listen_at(address where, listen_options options = {});

/// Raises `refused` when nobody listens there, `timed_out` when nobody answers.
[[nodiscard]] task<socket> connect(address to);
/// Finds the host's addresses and connects to the one that answers first (connect_any.hpp). The
/// servers are asked for both families apart, and those of IPv6 tried first; where only the IPv4
/// addresses come, they are waited for 50 ms and then join the tries when they come. A name behind
/// which a search domain may be put is asked for as a whole, as resolve() does, for its families
/// could be two hosts' else. Addresses that the rules deny are
/// left out, and `permission_denied` is raised when no other is left; without any address the
/// errors are those of resolve().
[[nodiscard]] task<socket> connect(std::string host, std::uint16_t port,
                                   const address_rules* rules = nullptr);

}  // namespace weir

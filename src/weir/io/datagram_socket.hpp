// Datagram sockets: UDP over IPv4 and IPv6, and Unix datagrams. The hard idea: a datagram is a
// whole. It arrives with all of its bytes or says that it was cut, it is sent at once or not at
// all, and several can be moved with one system call. docs/guide/datagrams.md shows how.
#pragma once

#include <weir/io/address.hpp>
#include <weir/io/socket.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir {

/// One datagram, with the address of the other side: `weir::address(one.address)`.
using datagram = io_datagram;

/// A datagram to be sent in a batch; `data` must live until then. Without `to`: to the connected
/// peer.
datagram datagram_to(const address& to, std::string_view data) noexcept;
datagram datagram_of(std::string_view data) noexcept;

namespace detail {

class [[nodiscard]] receive_datagram_wait final : public io_wait<receive_datagram_wait, datagram> {
 public:
  explicit receive_datagram_wait(io_handle from) noexcept;
  bool try_now() noexcept;
  result<datagram> take() noexcept;

 private:
  static const wait_kind kind_;
  datagram one_;
};

class [[nodiscard]] receive_datagrams_wait final
    : public io_wait<receive_datagrams_wait, std::size_t> {
 public:
  receive_datagrams_wait(io_handle from, std::span<datagram> into) noexcept;
  bool try_now() noexcept;
  result<std::size_t> take() noexcept;

 private:
  static const wait_kind kind_;
};

class [[nodiscard]] send_datagram_wait final : public io_wait<send_datagram_wait, void> {
 public:
  send_datagram_wait(io_handle over, const datagram& what) noexcept;
  bool try_now() noexcept;
  result<void> take() noexcept;

 private:
  static const wait_kind kind_;
  datagram one_;
};

/// All of them, however many system calls that takes.
class [[nodiscard]] send_datagrams_wait final : public io_wait<send_datagrams_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::partial;
  send_datagrams_wait(io_handle over, std::span<datagram> what, std::size_t* sent) noexcept;
  bool try_now() noexcept;
  bool goes_on() noexcept;
  result<void> take() noexcept;

 private:
  static const wait_kind kind_;
  std::size_t done_ = 0;
  std::size_t* sent_;
};

class [[nodiscard]] connect_datagrams_wait final : public io_wait<connect_datagrams_wait, void> {
 public:
  connect_datagrams_wait(io_handle from, const weir::address& to) noexcept;
  bool try_now() noexcept;
  result<void> take() noexcept;

 private:
  static const wait_kind kind_;
  weir::address to_;
};

}  // namespace detail

/// A socket for datagrams: UDP or Unix.
///
/// Cancel:  a cancelled receive has taken nothing; a cancelled send has sent nothing; a cancelled
///          batch has sent a prefix, `sent` says how much; a cancelled connect has changed nothing.
/// Order:   none is promised by UDP: datagrams may be lost, doubled and overtaken. One receive and
///          one send at a time; both may wait at once.
/// Bound:   64 KiB of a datagram; longer ones (Unix) are cut, which is_truncated() tells. What
///          arrives while the kernel's buffer is full is lost (UDP), or its sender waits (Unix).
/// Errors:  `refused` when a connected peer's port has nobody; `too_large` for what no datagram can
///          hold; `full` when a Unix receiver that is not connected to has no room; `closed` after
///          close().
/// Threads: one loop.
class [[nodiscard]] datagram_socket : public detail::socket_owner {
 public:
  using socket_owner::socket_owner;

  /// The next datagram, which may be empty.
  auto receive() noexcept { return detail::receive_datagram_wait(handle_here()); }
  /// As many as are there, at least one and at most 16 at a time; how many came.
  auto receive_batch(std::span<datagram> into) noexcept {
    return detail::receive_datagrams_wait(handle_here(), into);
  }
  /// Sends to the connected peer. `data` must live until the wait ends.
  auto send(std::string_view data) noexcept {
    return detail::send_datagram_wait(handle_here(), datagram_of(data));
  }
  auto send_to(const address& to, std::string_view data) noexcept {
    return detail::send_datagram_wait(handle_here(), datagram_to(to, data));
  }
  auto send_to(const raw_address& to, std::string_view data) noexcept {
    return send_to(address(to), data);
  }
  /// All of these, made by datagram_to() and datagram_of(). After an error `sent` of them were
  /// sent, and the next one failed.
  auto send_batch(std::span<datagram> all, std::size_t* sent = nullptr) noexcept {
    return detail::send_datagrams_wait(handle_here(), all, sent);
  }

  /// From now on send() sends there and only what comes from there is received. It sends nothing.
  auto connect(const address& to) noexcept {
    return detail::connect_datagrams_wait(handle_here(), to);
  }
  address peer() const { return address_of(true); }
  /// Lets UDP send to broadcast addresses.
  void set_broadcast(bool on) const;
  /// How many bytes of datagrams the kernel keeps that nobody has received; it has a limit of its
  /// own (net.core.rmem_max).
  void set_receive_buffer(std::size_t size) const;
};

/// Where datagrams arrive. Without a word about it only from this machine.
struct datagram_settings {
  std::string_view host = "127.0.0.1";  // numeric, "localhost", or "*" for every IPv4 interface
  std::uint16_t port = 0;               // 0: the system chooses; local() tells
  std::string_view path = {};           // a Unix socket instead
  bool reuse_port = false;              // several sockets share the port
  bool ipv6_only = false;  // "::" is every interface, of both families unless this is set
};

/// Raises `busy` when the address is taken, `invalid_argument` when it is none.
datagram_socket bind_datagrams(datagram_settings where = {});
datagram_socket bind_datagrams_at(const address& where, bool reuse_port = false);
/// A socket without an address of its own: for clients, which connect() or send_to().
datagram_socket open_datagrams(address_family family = address_family::ipv4);

}  // namespace weir

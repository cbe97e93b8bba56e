#include <weir/io/datagram_socket.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <limits>
#include <utility>

namespace weir {

namespace detail {

constinit const wait_kind receive_datagram_wait::kind_{
    "receive a datagram", &receive_datagram_wait::leave, &receive_datagram_wait::describe};
constinit const wait_kind receive_datagrams_wait::kind_{
    "receive datagrams", &receive_datagrams_wait::leave, &receive_datagrams_wait::describe};
constinit const wait_kind send_datagram_wait::kind_{"send a datagram", &send_datagram_wait::leave,
                                                    &send_datagram_wait::describe};
constinit const wait_kind send_datagrams_wait::kind_{"send datagrams", &send_datagrams_wait::leave,
                                                     &send_datagrams_wait::describe};
constinit const wait_kind connect_datagrams_wait::kind_{"connect", &connect_datagrams_wait::leave,
                                                        &connect_datagrams_wait::describe};

namespace {

// "a datagram of 70000 bytes to 127.0.0.1:80"
error send_failure(std::int64_t outcome, const datagram& what, std::source_location place) {
  if (outcome == -ECANCELED) return io_error(outcome, "send", nullptr, place);
  try {
    if (what.address.size == 0 && (outcome == -EDESTADDRREQ || outcome == -ENOTCONN))
      return io_error(outcome, "send a datagram without an address: the socket is not connected",
                      nullptr, place);
    const std::string to = what.address.size == 0 ? "the peer" : weir::address(what.address).text();
    return io_error(outcome,
                    fmt::format("send a datagram of {} bytes to {}", what.piece.size, to).c_str(),
                    nullptr, place);
  } catch (const std::exception&) {  // no memory for the text
    return io_error(outcome, "send a datagram", nullptr, place);
  }
}

}  // namespace

receive_datagram_wait::receive_datagram_wait(io_handle from) noexcept : io_wait(kind_) {
  op = io_op::receive_datagrams;
  handle = from;
  size = 1;
}
bool receive_datagram_wait::try_now() noexcept {
  memory = &one_;
  return io_wait::try_now();
}
result<datagram> receive_datagram_wait::take() noexcept {
  if (outcome < 0) return fail(failed("receive a datagram"));
  return std::move(one_);
}

receive_datagrams_wait::receive_datagrams_wait(io_handle from, std::span<datagram> into) noexcept
    : io_wait(kind_) {
  op = io_op::receive_datagrams;
  handle = from;
  memory = into.data();
  size = into.size();
}
// No room is no reason to wait.
bool receive_datagrams_wait::try_now() noexcept { return size == 0 || io_wait::try_now(); }
result<std::size_t> receive_datagrams_wait::take() noexcept {
  if (outcome < 0) return fail(failed("receive datagrams"));
  return static_cast<std::size_t>(outcome);
}

send_datagram_wait::send_datagram_wait(io_handle over, const datagram& what) noexcept
    : io_wait(kind_), one_(what) {
  op = io_op::send_datagrams;
  handle = over;
  size = 1;
}
bool send_datagram_wait::try_now() noexcept {
  memory = &one_;
  return io_wait::try_now();
}
result<void> send_datagram_wait::take() noexcept {
  if (outcome < 0) return fail(send_failure(outcome, one_, place));
  return {};
}

send_datagrams_wait::send_datagrams_wait(io_handle over, std::span<datagram> what,
                                         std::size_t* sent) noexcept
    : io_wait(kind_), sent_(sent) {
  op = io_op::send_datagrams;
  handle = over;
  memory = what.data();
  size = what.size();
  if (sent_) *sent_ = 0;  // also when it is cancelled before it begins
}
bool send_datagrams_wait::try_now() noexcept { return size == 0 || io_wait::try_now(); }
bool send_datagrams_wait::goes_on() noexcept {
  if (outcome < 0) return false;
  const auto count = static_cast<std::size_t>(outcome);
  if (!is_planted("io: the rest of a batch is sent from its beginning"))
    memory = static_cast<datagram*>(memory) + count;
  size -= count;
  done_ += count;
  if (sent_) *sent_ = done_;
  return size != 0;
}
result<void> send_datagrams_wait::take() noexcept {
  if (outcome < 0) return fail(send_failure(outcome, *static_cast<datagram*>(memory), place));
  return {};
}

connect_datagrams_wait::connect_datagrams_wait(io_handle from, const weir::address& to) noexcept
    : io_wait(kind_), to_(to) {
  op = io_op::connect;
  handle = from;
}
bool connect_datagrams_wait::try_now() noexcept {
  address = &to_.raw();
  return io_wait::try_now();
}
result<void> connect_datagrams_wait::take() noexcept {
  if (outcome >= 0) return {};
  try {
    return fail(failed(fmt::format("connect to {}", to_.text()).c_str()));
  } catch (const std::exception&) {  // no memory for the text
    return fail(failed("connect"));
  }
}

}  // namespace detail

datagram datagram_of(std::string_view data) noexcept {
  datagram made;
  made.piece = {data.data(), data.size()};
  return made;
}

datagram datagram_to(const address& to, std::string_view data) noexcept {
  datagram made = datagram_of(data);
  made.address = to.raw();
  return made;
}

void datagram_socket::set_broadcast(bool on) const {
  set(SOL_SOCKET, SO_BROADCAST, on ? 1 : 0, "allow broadcasts");
}

void datagram_socket::set_receive_buffer(std::size_t size) const {
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<int>::max());
  set(SOL_SOCKET, SO_RCVBUF, static_cast<int>(std::min(size, most)), "set the receive buffer");
}

namespace {

datagram_socket make_datagrams(int family, raw_address at, const listen_options& options,
                               const std::string& where) {
  driver& io = loop::current()->io();
  const io_handle handle = io.make_datagram_socket(family, at, options);
  if (handle < 0) raise(error::from_os(-handle, where));
  return datagram_socket(io, handle);
}

datagram_socket bind_with(const address& where, const listen_options& options) {
  const int family = reinterpret_cast<const struct sockaddr*>(where.raw().storage)->sa_family;
  return make_datagrams(family, where.raw(), options,
                        fmt::format("receive datagrams at {}", where.text()));
}

}  // namespace

datagram_socket bind_datagrams_at(const address& where, bool reuse_port) {
  return bind_with(where, {.reuse_port = reuse_port});
}

datagram_socket bind_datagrams(datagram_settings where) {
  return bind_with(value_or_raise(where.path.empty() ? address::parse(where.host, where.port)
                                                     : address::unix_path(where.path)),
                   {.reuse_port = where.reuse_port, .ipv6_only = where.ipv6_only});
}

datagram_socket open_datagrams(address_family family) {
  const int number = family == address_family::ipv6        ? AF_INET6
                     : family == address_family::unix_path ? AF_UNIX
                                                           : AF_INET;
  return make_datagrams(number, {}, {}, "open a datagram socket");
}

}  // namespace weir

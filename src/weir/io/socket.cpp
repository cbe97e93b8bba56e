#include <weir/io/socket.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/internal/file_sends.hpp>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

namespace weir {

namespace detail {

constinit const wait_kind receive_wait::kind_{"receive", &receive_wait::leave,
                                              &receive_wait::describe};
constinit const wait_kind receive_into_wait::kind_{"receive", &receive_into_wait::leave,
                                                   &receive_into_wait::describe};
constinit const wait_kind send_wait::kind_{"send", &send_wait::leave, &send_wait::describe};
constinit const wait_kind shutdown_wait::kind_{"shutdown", &shutdown_wait::leave,
                                               &shutdown_wait::describe};
constinit const wait_kind accept_wait::kind_{"accept", &accept_wait::leave, &accept_wait::describe};

namespace {

class connect_wait final : public io_wait<connect_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  connect_wait(io_handle from, raw_address& to) noexcept : io_wait(kind_) {
    op = io_op::connect;
    handle = from;
    address = &to;
  }
  result<void> take() noexcept {
    if (outcome >= 0) return {};
    return fail(failed("connect"));
  }

 private:
  static const wait_kind kind_;
};

constinit const wait_kind connect_wait::kind_{"connect", &connect_wait::leave,
                                              &connect_wait::describe};

// TCP gathers small sends by default and waits up to 40 ms for more; programs that send whole
// messages only lose by it.
void send_without_delay(driver& io, io_handle handle) noexcept {
  io.set_option(handle, IPPROTO_TCP, TCP_NODELAY, 1);  // refused by Unix sockets, which don't wait
}

}  // namespace

receive_wait::receive_wait(io_handle from) noexcept : io_wait(kind_) {
  op = io_op::receive;
  handle = from;
}

result<bytes> receive_wait::take() noexcept {
  if (outcome < 0) return fail(failed("receive"));
  return std::move(received);
}

receive_into_wait::receive_into_wait(io_handle from, char* into, std::size_t length) noexcept
    : io_wait(kind_) {
  op = io_op::receive_into;
  handle = from;
  memory = into;
  size = length;
}

result<std::size_t> receive_into_wait::take() noexcept {
  if (outcome < 0) return fail(failed("receive"));
  return static_cast<std::size_t>(outcome);
}

send_wait::send_wait(io_handle to, slice_cursor what, std::size_t* sent) noexcept
    : io_wait(kind_), left_(what), sent_(sent) {
  op = io_op::send;
  handle = to;
  if (sent_) *sent_ = 0;  // also when it is cancelled before it begins
}

bool send_wait::try_now() noexcept {
  if (left_.is_empty()) return true;
  look_for_file_sends(task->current->on().io(), handle);
  left_.load(*this);
  return io_wait::try_now();
}

bool send_wait::goes_on() noexcept {
  if (outcome < 0) return false;
  left_.advance(static_cast<std::size_t>(outcome));
  done_ += static_cast<std::size_t>(outcome);
  if (sent_) *sent_ = done_;
  if (is_planted("io: a send that was taken in part counts as done")) return false;
  if (left_.is_empty()) return false;
  left_.load(*this);
  return true;
}

result<void> send_wait::take() noexcept {
  if (outcome >= 0) return {};
  if (done_ == 0) return fail(failed("send"));
  try {
    return fail(failed(fmt::format("send failed after {} bytes", done_).c_str()));
  } catch (const std::exception&) {  // no memory for the text
    return fail(failed("send"));
  }
}

shutdown_wait::shutdown_wait(io_handle of) noexcept : io_wait(kind_) {
  op = io_op::shutdown;
  handle = of;
  flags = SHUT_WR;
}

result<void> shutdown_wait::take() noexcept {
  if (outcome < 0) return fail(failed("shutdown"));
  return {};
}

accept_wait::accept_wait(io_handle on) noexcept : io_wait(kind_) {
  op = io_op::accept;
  handle = on;
}

result<socket> accept_wait::take() noexcept {
  if (outcome < 0) return fail(failed("accept"));
  driver& io = task->current->on().io();
  const auto made = static_cast<io_handle>(outcome);
  send_without_delay(io, made);
  return socket(io, made);
}

address socket_owner::address_of(bool peer) const {
  if (handle_ < 0) raise(error(errc::closed, "address of a socket that is closed"));
  raw_address raw;
  const int outcome = io_->address_of(handle_, peer, raw);
  if (outcome < 0) raise(error::from_os(-outcome, "address of a socket"));
  return address(raw);
}

void socket_owner::set(int level, int option, int value, const char* what) const {
  if (handle_ < 0) raise(error(errc::closed, what));
  const int outcome = io_->set_option(handle_, level, option, value);
  if (outcome < 0) raise(error::from_os(-outcome, what));
}

}  // namespace detail

void socket::set_no_delay(bool on) const {
  set(IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0, "set no-delay");
}

void socket::set_keep_alive(duration silence_max) const {
  if (local().family() == address_family::unix_path) return;
  const bool is_on = silence_max != duration::max();
  // The first question after half of the silence, and three more in the other half.
  const std::int64_t wanted = std::max<std::int64_t>(silence_max.ns / 1'000'000'000, 1);
  const std::int64_t seconds = std::min<std::int64_t>(wanted, 32'767);  // what the kernel takes
  constexpr std::int64_t longest_ms = std::numeric_limits<int>::max();
  const auto unheard_ms = static_cast<int>(std::min(wanted, longest_ms / 1'000) * 1'000);
  const auto first = static_cast<int>(std::max<std::int64_t>(seconds / 2, 1));
  const auto next = static_cast<int>(std::max<std::int64_t>(seconds / 8, 1));
  set(SOL_SOCKET, SO_KEEPALIVE, is_on ? 1 : 0, "set keep-alive");
  set(IPPROTO_TCP, TCP_KEEPIDLE, first, "set keep-alive");
  set(IPPROTO_TCP, TCP_KEEPINTVL, next, "set keep-alive");
  set(IPPROTO_TCP, TCP_KEEPCNT, 4, "set keep-alive");
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, is_on ? unheard_ms : 0,
      "set keep-alive");  // RFC 5482: also of what was sent and is not acknowledged
}

void socket::reset() noexcept {
  if (handle_ < 0) return;
  io_->set_option(handle_, SOL_SOCKET, SO_LINGER, 0);
  close();
}

namespace {
constexpr duration full_pause = duration::milliseconds(100);
}  // namespace

task<socket> listener::accept_patiently() {
  for (bool has_told = false;;) {
    result<socket> arrived = co_await as_result(accept());
    if (arrived) co_return std::move(*arrived);
    co_await checkpoint();
    const errc code = arrived.error().code();
    if (code == errc::broken) continue;
    if (code != errc::full) raise(arrived.error());
    if (!std::exchange(has_told, true))
      log::warn("connections stay in line",
                {{"error", std::string_view(describe(arrived.error()))}});
    co_await sleep(full_pause);
  }
}

task<listener> listen_at(address where, listen_options options) {
  driver& io = loop::current()->io();
  address bound = where;
  const io_handle handle = io.make_listener(bound.raw(), options);
  if (handle < 0) raise(error::from_os(-handle, fmt::format("listen at {}", where.text())));
  co_return listener(io, handle);
}

namespace {
task<listener> listen_where(result<address> where, listen_options options) {
  co_return co_await listen_at(value_or_raise(std::move(where)), options);
}
}  // namespace

// No coroutine: what its settings refer to need not outlive the call. What is wrong with them is
// raised by the task, so that as_result() hears it.
WEIR_CORO_WRAPPER task<listener> listen(listen_settings where) {
  return listen_where(
      where.path.empty() ? address::parse(where.host, where.port) : address::unix_path(where.path),
      {.reuse_port = where.reuse_port, .backlog = where.backlog, .ipv6_only = where.ipv6_only});
}

task<socket> connect(address to) {
  driver& io = loop::current()->io();
  const int family = reinterpret_cast<const struct sockaddr*>(to.raw().storage)->sa_family;
  const io_handle handle = io.make_socket(family);
  if (handle < 0) raise(error::from_os(-handle, fmt::format("socket for {}", to.text())));
  socket made(io, handle);
  const result<void> outcome = co_await as_result(detail::connect_wait(handle, to.raw()));
  if (!outcome) {
    co_await checkpoint();
    raise(error::from_os(outcome.error().os_code(), fmt::format("connect to {}", to.text())));
  }
  detail::send_without_delay(io, handle);
  co_return made;
}

}  // namespace weir

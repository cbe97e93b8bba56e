#include <weir/io/terminal_stream.hpp>

#include <weir/base/error.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/internal/zero_byte.hpp>
#include <weir/io/readiness.hpp>
#include <weir/io/signals.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <utility>

namespace weir {

bool is_tty(io_handle descriptor) noexcept { return ::isatty(descriptor) == 1; }

task<bytes> terminal::receive() {
  const io_handle from = handle_here();
  if (!typed_.empty()) {
    co_await checkpoint();
    has_paused_ = false;
    is_in_string_ = false;
    bytes typed = bytes::copy_of(typed_);
    typed_.clear();
    co_return typed;
  }
  bytes received = co_await detail::receive_wait(from);
  is_in_string_ = false;
  co_return received;
}

// The rest of a string that was told already, as far as it has come.
void terminal::skip_string() noexcept {
  const detail::string_part rest = detail::look_at_string(typed_);
  typed_.erase(0, rest.size);
  is_in_string_ = rest.end == detail::string_end::open && !has_paused_;
  has_paused_ = has_paused_ && !typed_.empty();
}

// What has been read is kept also when the task ends at once.
task<std::optional<key_press>> terminal::next_key() {
  for (;;) {
    const io_handle from = handle_here();
    if (is_in_string_) skip_string();
    detail::decoded_key one =
        is_in_string_ ? detail::decoded_key{} : detail::decode_key(typed_, has_paused_);
    if (one.size != 0) {
      co_await checkpoint();
      typed_.erase(0, one.size);
      has_paused_ = has_paused_ && !typed_.empty();
      is_in_string_ = one.is_cut;
      co_return std::move(one.press);
    }
    if (typed_.empty() && !is_in_string_) {
      const bytes more = co_await detail::receive_wait(from);
      if (!more) co_return std::nullopt;
      typed_ += more.text();
      continue;
    }
    result<bytes> more = co_await as_result(with_timeout(escape_wait, detail::receive_wait(from)));
    if (more) typed_ += more->text();
    has_paused_ = more ? more->empty() : more.error().code() == errc::timed_out;
    co_await checkpoint();
    if (!more && !has_paused_) raise(more.error());
  }
}

namespace {

error size_error(int outcome) {
  if (outcome == -EBADF) return {errc::closed, "size of a terminal that is closed"};
  return error::from_os(-outcome, "size of a terminal");
}

}  // namespace

int terminal::look_at_size(terminal_size& into) const noexcept {
  if (handle_ < 0) return -EBADF;
  return io_->terminal_size_of(handle_, into.rows, into.columns);
}

terminal_size terminal::size() const {
  terminal_size now;
  if (const int outcome = look_at_size(now); outcome != 0) raise(size_error(outcome));
  return now;
}

// Somebody listens before the size is looked at, so that no change falls between the two. An ear
// that is only for the end hears no keys: those are for next_key().
task<std::optional<terminal_size>> terminal::next_size(terminal_size known) const {
  constexpr int only_the_end = 0;  // POLLHUP and POLLERR are heard without being asked for
  for (;;) {
    co_await checkpoint();
    terminal_size now = known;
    const int outcome = handle_here() < 0 ? -EBADF : look_at_size(now);
    if (outcome == -EIO) co_return std::nullopt;
    if (outcome != 0) raise(size_error(outcome));
    if (now != known) co_return now;
    bool is_gone = false;
    std::exception_ptr failure;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        try {
          auto [change, end] =
              co_await select(wait_signal(SIGWINCH), wait_ready(handle_here(), only_the_end));
          if (end) is_gone = *end != 0;
        } catch (...) {
          failure = std::current_exception();
        }
      });
      co_await yield();
      if (look_at_size(now) != 0 || now != known) s.cancel("the size is another");
    });
    if (failure) std::rethrow_exception(failure);
    if (is_gone) co_return std::nullopt;
  }
}

terminal open_terminal(io_handle of) {
  if (!loop::current()->io().has_descriptors())
    raise(error(errc::unsupported, fmt::format("open a terminal: the driver '{}' has none",
                                               loop::current()->io().name())));
  if (!is_tty(of))
    raise(error(errc::invalid_argument, fmt::format("open a terminal: descriptor {} is none", of)));
  unsigned number = 0;
  if (::ioctl(of, TIOCGPTN, &number) == 0) {  // to open it anew makes another pair
    raise(error(errc::invalid_argument,
                fmt::format("open a terminal: descriptor {} is the master of one", of)));
  }
  return open_terminal(fmt::format("/proc/self/fd/{}", of));
}

terminal open_terminal(const std::string& path) {
  driver& io = loop::current()->io();
  const std::string doing = fmt::format("open the terminal '{}'", path);
  if (!io.has_descriptors())
    raise(error(errc::unsupported, fmt::format("{}: the driver '{}' has none", doing, io.name())));
  if (detail::has_zero(path)) raise(detail::zero_byte("open the terminal", path));
  const int made = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (made < 0) raise(error::from_os(errno, doing));
  if (!is_tty(made)) {
    ::close(made);
    raise(error(errc::invalid_argument, fmt::format("{}: it is none", doing)));
  }
  if (const int outcome = io.adopt_stream(made); outcome < 0) {
    ::close(made);
    raise(error::from_os(-outcome, doing));
  }
  return {io, made};
}

}  // namespace weir

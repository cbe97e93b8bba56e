#include <weir/io/terminal_stream.hpp>

#include <weir/base/error.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/signals.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace weir {

bool is_tty(io_handle descriptor) noexcept { return ::isatty(descriptor) == 1; }

task<bytes> terminal::receive() {
  if (!typed_.empty()) {
    co_await checkpoint();
    has_paused_ = false;
    co_return bytes::copy_of(std::exchange(typed_, {}));
  }
  co_return co_await detail::receive_wait(handle_);
}

// What has been read is kept also when the task ends at once.
task<std::optional<key_press>> terminal::next_key() {
  for (;;) {
    detail::decoded_key one = detail::decode_key(typed_, has_paused_);
    if (one.size != 0) {
      co_await checkpoint();
      typed_.erase(0, one.size);
      has_paused_ = has_paused_ && !typed_.empty();
      co_return std::move(one.press);
    }
    if (typed_.empty()) {
      const bytes more = co_await detail::receive_wait(handle_);
      if (!more) co_return std::nullopt;
      typed_ += more.text();
      continue;
    }
    result<bytes> more =
        co_await as_result(with_timeout(escape_wait, detail::receive_wait(handle_)));
    if (more) typed_ += more->text();
    has_paused_ = more ? more->empty() : more.error().code() == errc::timed_out;
    co_await checkpoint();
    if (!more && !has_paused_) raise(more.error());
  }
}

terminal_size terminal::size() const {
  struct winsize now = {};
  if (handle_ < 0) raise(error(errc::closed, "size of a terminal that is closed"));
  if (::ioctl(handle_, TIOCGWINSZ, &now) != 0) raise(error::from_os(errno, "size of a terminal"));
  return {.rows = now.ws_row, .columns = now.ws_col};
}

// The size is looked at once somebody listens, so that no change falls between the two.
task<terminal_size> terminal::next_size(terminal_size known) const {
  for (;;) {
    co_await checkpoint();
    if (const terminal_size now = size(); now != known) co_return now;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([]() -> task<> { co_await wait_signal(SIGWINCH); });
      co_await yield();
      if (size() != known) s.cancel("the size has changed");
    });
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

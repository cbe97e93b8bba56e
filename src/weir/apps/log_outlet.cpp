#include <weir/apps/log_outlet.hpp>

#include <weir/serve/wall_time.hpp>

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <iterator>

namespace weir {

namespace {

// What a pipe takes without a wait when it says that there is room.
constexpr std::size_t piece_bytes = PIPE_BUF;

time_point outlet_now() noexcept {
  return time_point(std::chrono::steady_clock::now().time_since_epoch().count());
}

time_point wall_now() noexcept {
  return time_point(
      std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
}

std::string_view name(log::level severity) noexcept {
  switch (severity) {
    case log::level::trace:
      return "trace";
    case log::level::debug:
      return "debug";
    case log::level::info:
      return "info";
    case log::level::warn:
      return "warning";
    case log::level::error:
      return "error";
    case log::level::off:
      break;
  }
  return "off";
}

}  // namespace

log_outlet::log_outlet(int descriptor, duration patience)
    : descriptor_(descriptor), patience_(patience) {
  before_ = log::set_sink({.write =
                               [](void* self, log::level severity, std::string_view text) noexcept {
                                 static_cast<log_outlet*>(self)->take(severity, text);
                               },
                           .context = this});
}

log_outlet::~log_outlet() { log::set_sink(before_); }

void log_outlet::take(log::level severity, std::string_view text) noexcept {
  try {
    if (lost_untold_ != 0) {
      const std::string told =
          fmt::format("lines of the log were lost: nobody took them count={}", lost_untold_);
      if (put_line(log::level::warn, told)) lost_untold_ = 0;
    }
    if (lost_untold_ == 0 && put_line(severity, text)) return;
  } catch (...) {  // NOLINT(bugprone-empty-catch): without memory the line is one of the lost
  }
  ++lost_;
  ++lost_untold_;
}

bool log_outlet::put_line(log::level severity, std::string_view text) {
  fmt::basic_memory_buffer<char, 512> line;
  if (is_cut_) line.push_back('\n');
  fmt::format_to(std::back_inserter(line), "{} {} {}\n", format_wall_time(wall_now()),
                 name(severity), text);
  return put(std::string_view(line.data(), line.size()));
}

bool log_outlet::put(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    if (!has_room()) return false;
    const ssize_t count = ::write(descriptor_, bytes.data(), std::min(bytes.size(), piece_bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;  // a full disk, a reader that has gone
    bytes.remove_prefix(static_cast<std::size_t>(count));
    is_cut_ = !bytes.empty();
  }
  return true;
}

bool log_outlet::has_room() noexcept {
  struct pollfd at{.fd = descriptor_, .events = POLLOUT, .revents = 0};
  if (::poll(&at, 1, 0) == 1) return true;
  if (outlet_now() < waits_from_) return false;
  const time_point until = outlet_now() + patience_;
  for (duration left = patience_; left > duration(); left = until - outlet_now()) {
    if (::poll(&at, 1, static_cast<int>(left.ns / 1'000'000) + 1) == 1) return true;
  }
  waits_from_ = outlet_now() + pause;
  return false;
}

}  // namespace weir

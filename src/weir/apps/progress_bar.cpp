#include <weir/apps/progress_bar.hpp>

#include <weir/apps/table_text.hpp>
#include <weir/apps/terminal.hpp>
#include <weir/base/text.hpp>
#include <weir/core/loop.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

constexpr std::size_t bar_width = 20;
constexpr duration silence = duration::seconds(1);
constexpr duration drawing_interval = duration::milliseconds(100);

std::string amount_of(progress_unit unit, std::uint64_t count) {
  return unit == progress_unit::bytes ? format_bytes(count) : std::to_string(count);
}

}  // namespace

std::string progress_text(std::string_view label, progress_unit unit, std::uint64_t done,
                          std::uint64_t total, duration spent) {
  done = std::min(done, total);
  const double share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  std::string bar(bar_width, ' ');
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(bar_width));
  std::fill_n(bar.begin(), filled, '=');
  if (filled < bar_width) bar[filled] = '>';
  std::string text = fmt::format("{}  [{}]  {:2.0f} %  {} of {}", label, bar, share * 100,
                                 amount_of(unit, done), amount_of(unit, total));
  if (share > 0 && share < 1) {
    // Whole seconds, rounded up: a guess with more digits would pretend to know.
    const double left = static_cast<double>(spent.ns) * (1 - share) / share;
    const auto seconds = static_cast<std::int64_t>(left / 1e9) + 1;
    text += fmt::format(", {} left", format_duration(duration::seconds(seconds)));
  }
  return text;
}

progress_bar::progress_bar(std::string label, progress_unit unit, int descriptor)
    : label_(std::move(label)),
      unit_(unit),
      descriptor_(is_terminal(descriptor) ? descriptor : -1) {}

void progress_bar::progressed(std::uint64_t done, std::uint64_t total) noexcept {
  if (descriptor_ < 0) return;
  const time_point now = loop::current()->now();
  if (began_ == time_point()) {
    began_ = now;
    next_drawing_ = now + silence;
  }
  if (now < next_drawing_) return;
  next_drawing_ = now + drawing_interval;
  try {
    const std::string text = progress_text(label_, unit_, done, total, now - began_);
    draw("\r\x1b[K" + text);
    is_drawn_ = true;
  } catch (...) {
    return;  // out of memory: the work matters more than its picture
  }
}

void progress_bar::end() noexcept {
  if (!is_drawn_) return;
  is_drawn_ = false;
  draw("\r\x1b[K");
}

void progress_bar::draw(std::string_view text) const noexcept {
  // A terminal that took only a part, or none, shows the next drawing.
  [[maybe_unused]] const auto written = write(descriptor_, text.data(), text.size());
}

}  // namespace weir

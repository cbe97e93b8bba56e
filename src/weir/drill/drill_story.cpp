#include <weir/drill/drill_story.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace weir::drill {

namespace {

constexpr std::size_t column = 46;
constexpr std::size_t time_size = 15;  // "00:03:12.000200"
constexpr std::size_t heard_max = 10'000;

class hearer final : public drill_listener {
 public:
  void event(const std::string& line) override {
    if (lines.size() < heard_max) lines.push_back(line.substr(0, line.find('\n')));
  }
  std::vector<std::string> lines;
};

std::vector<std::string> events_of(const drill_case& what) {
  hearer all;
  run_case(what, &all);
  return std::move(all.lines);
}

std::string_view time_of(std::string_view line) noexcept { return line.substr(0, time_size); }
std::string what_of(std::string_view line) {
  line.remove_prefix(std::min(line.size(), time_size + 1));
  return line.size() <= column ? std::string(line)
                               : std::string(line.substr(0, column - 3)) + "...";
}

std::string row(std::string_view time, const std::string& plain, const std::string& failing) {
  return fmt::format("  {:<{}} {:<{}} | {}\n", time, time_size, plain, column, failing);
}

}  // namespace

std::string words_of(const choice_log& log) {
  if (log.exceptions.empty()) return "  none: the plain run does it\n";
  std::string text;
  const std::size_t shown = std::min(log.exceptions.size(), event_lines_max);
  for (std::size_t i = 0; i < shown; ++i) {
    const choice& one = log.exceptions[i];
    text += fmt::format("  {} {}", name(one.kind), one.index + 1);
    if (one.machine == 1) text += " of server";
    if (one.machine > 1) text += fmt::format(" of client{}", one.machine - 1);
    text += one.kind == choice_kind::program ? " is another one\n"
                                             : fmt::format(" is {} instead of 0\n", one.value);
  }
  if (shown < log.exceptions.size()) {
    text += fmt::format("  ... and {} more\n", log.exceptions.size() - shown);
  }
  return text;
}

std::string timeline_of(const std::vector<std::string>& plain,
                        const std::vector<std::string>& failing) {
  std::vector<std::string> rows;
  const auto parted = std::ranges::mismatch(plain, failing);
  auto left = parted.in1;
  auto right = parted.in2;
  const auto same = right - failing.begin();
  // What the plain run did after this one had ended tells nothing.
  while (right != failing.end()) {
    const bool is_left = left != plain.end() && time_of(*left) <= time_of(*right);
    const bool is_right = !is_left || *left == *right;
    rows.push_back(row(time_of(is_left ? *left : *right), is_left ? what_of(*left) : "",
                       is_right ? what_of(*right) : ""));
    if (is_left) ++left;
    if (is_right) ++right;
  }
  std::string text = row("time", "the plain run", "this run");
  if (same != 0) text += fmt::format("  {} events are the same in both\n", same);
  constexpr std::size_t at_end = 12;
  const std::size_t head = event_lines_max - at_end;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool is_skipped = rows.size() > event_lines_max && i >= head && i + at_end < rows.size();
    if (!is_skipped) text += rows[i];
    if (is_skipped && i == head) {
      text += fmt::format("  ... {} lines\n", rows.size() - event_lines_max);
    }
  }
  return text;
}

std::string story_of(const drill_case& what) {
  drill_case plain = what;
  plain.log.emplace();
  return "decisions that it takes:\n" + words_of(*what.log) +
         "the plain run and this one, from where they part:\n" +
         timeline_of(events_of(plain), events_of(what));
}

}  // namespace weir::drill

#include <weir/drill/drill_story.hpp>

#include <weir/core/dump.hpp>
#include <weir/core/frame.hpp>
#include <weir/sim/run_story.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <set>
#include <utility>

namespace weir::drill {

namespace {

constexpr std::size_t event_column = 46;
constexpr std::size_t time_size = 15;            // "00:03:12.000200"
constexpr std::size_t noted_lines_max = 10'000;  // of one run that are kept, and decisions
constexpr std::size_t latest_max = 12;           // of what clients hear, where no message is named

std::string_view time_of(std::string_view line) noexcept { return line.substr(0, time_size); }
std::string_view what_of(std::string_view line) noexcept {
  return line.substr(std::min(line.size(), time_size + 1));
}
std::string cell(std::string_view line) {
  const std::string_view what = what_of(line);
  return what.size() <= event_column ? std::string(what)
                                     : std::string(what.substr(0, event_column - 3)) + "...";
}

std::string row(std::string_view time, const std::string& plain, const std::string& failing) {
  return fmt::format("  {:<{}} {:<{}} | {}\n", time, time_size, plain, event_column, failing);
}

/// What clients hear that a story shows: what is about these messages, and all from this time on.
struct wanted_words {
  std::string_view messages;        // a text that names them
  std::string from = {};            // empty: never
  std::size_t latest = latest_max;  // where no message was named, so many at the end
};

/// One run: its decisions, its events, and words of clients.
///
/// Cancel:  no waits.
/// Order:   as it happens.
/// Bound:   noted_lines_max lines and decisions, the first ones; latest_max words of no named
///          message.
/// Errors:  none.
/// Threads: one.
class hearer final : public drill_listener, public nodes_listener, public choice_listener {
 public:
  explicit hearer(wanted_words wanted) noexcept : wanted_(std::move(wanted)) {}

  void run(const drill_case& what) {
    choices decisions(what.seed);
    decisions.replay(*what.log);
    decisions.tell(this);
    run_drill(what.settings, decisions, this);
  }

  /// Its lines; the latest words are among them when none was wanted.
  std::vector<std::string> lines() const;
  /// When the first of the latest words was said, if they are shown; else empty.
  std::string latest_from() const {
    return messages_.empty() && !latest_.empty() ? std::string(time_of(latest_.front().text)) : "";
  }
  const std::set<std::string>& messages() const noexcept { return messages_; }
  const std::vector<told_decision>& decisions() const noexcept { return decisions_; }

 private:
  struct told_line {
    std::uint64_t number;
    std::string text;
    std::string message = {};
  };

  void begins(const drill_stage& stage) override {
    machines_ = &stage.machines;
    stage.machines.observe(*this);
  }
  void event(const std::string& line) override {
    told_line one{.number = ++told_, .text = line.substr(0, line.find('\n'))};
    for (const std::size_t fault : faults_) {  // whether one strikes is decided at that moment
      if (decisions_[fault].when == time_of(line)) decisions_[fault].then = what_of(one.text);
    }
    faults_.clear();
    keep(std::move(one));
  }
  void heard(const std::string& line, std::string_view message) override {
    told_line one{.number = ++told_, .text = line, .message = std::string(message)};
    const bool is_named = !message.empty() && wanted_.messages.find(message) != message.npos;
    if (is_named) messages_.insert(one.message);
    if (is_named || (!wanted_.from.empty() && line >= wanted_.from)) return keep(std::move(one));
    latest_.push_back(std::move(one));
    if (latest_.size() > wanted_.latest) latest_.pop_front();
  }
  void step(virtual_node& on, const detail::task_header& task) noexcept override;
  void arrives(virtual_nodes& /*at*/, const packet& /*what*/) noexcept override {}
  void decided(const choice& what) noexcept override;

  void keep(told_line one) {
    if (lines_.size() < noted_lines_max) lines_.push_back(std::move(one));
  }
  /// "task 7 (work_always)": the outermost function that has a name.
  std::string task_text() const {
    for (const char* function : functions_) {
      const std::string name = short_name(function);
      if (!name.empty() && !is_lambda(name)) return fmt::format("task {} ({})", task_, name);
    }
    return fmt::format("task {}", task_);
  }

  wanted_words wanted_;
  virtual_nodes* machines_ = nullptr;
  std::uint64_t told_ = 0;
  std::vector<told_line> lines_;
  std::deque<told_line> latest_;
  std::set<std::string> messages_;  // that were wanted, and spoken of
  std::vector<told_decision> decisions_;
  std::vector<std::size_t> faults_;                       // decisions whose event has not come
  std::optional<std::size_t> chosen_;                     // a decision whose task has not stepped
  std::uint64_t task_ = 0;                                // whose step was the last one
  std::array<const char*, 4> functions_{"", "", "", ""};  // its outermost coroutines
  std::uint32_t machine_ = 0;                             // where
};

std::vector<std::string> hearer::lines() const {
  std::vector<const told_line*> all;
  for (const told_line& one : lines_) all.push_back(&one);
  if (messages_.empty()) {
    for (const told_line& one : latest_) all.push_back(&one);
  }
  std::ranges::sort(all, {}, &told_line::number);
  std::vector<std::string> made;
  for (const told_line* one : all) {
    const bool is_one_of_several = messages_.size() != 1 && !one->message.empty();
    made.push_back(one->text + (is_one_of_several ? " of " + one->message : ""));
  }
  return made;
}

void hearer::step(virtual_node& on, const detail::task_header& task) noexcept {
  std::array<detail::stack_line, 32> stack;
  const std::size_t count = detail::read_stack(task, stack.data(), stack.size());
  task_ = task.id;
  machine_ = on.number();
  functions_.fill("");
  std::size_t found = 0;
  for (std::size_t i = count; i-- != 0 && found != functions_.size();) {
    if (!stack[i].label) functions_[found++] = stack[i].function;
  }
  if (!chosen_) return;
  decisions_[*chosen_].then = task_text() + " goes first";
  chosen_.reset();
}

void hearer::decided(const choice& what) noexcept {
  if (decisions_.size() == noted_lines_max) return;
  told_decision made{.what = what};
  if (machines_) made.when = clock_text(machines_->elapsed());
  if (what.kind == choice_kind::task) chosen_ = decisions_.size();
  if (what.kind == choice_kind::fault) faults_.push_back(decisions_.size());
  if (is_of_program(what.kind) && task_ != 0 && what.machine == machine_) made.who = task_text();
  decisions_.push_back(std::move(made));
}

}  // namespace

std::string words_of(const std::vector<told_decision>& decisions) {
  if (decisions.empty()) return "  none: the plain run does it\n";
  std::string text;
  const std::size_t shown = std::min(decisions.size(), event_lines_max);
  for (std::size_t i = 0; i < shown; ++i) {
    const choice& one = decisions[i].what;
    text += fmt::format("  {} {} {}", decisions[i].when.empty() ? "at first" : decisions[i].when,
                        name(one.kind), one.index + 1);
    if (one.machine == 1) text += " of server";
    if (one.machine > 1) text += fmt::format(" of client{}", one.machine - 1);
    if (!decisions[i].who.empty()) text += ", for " + decisions[i].who + ",";
    text += one.kind == choice_kind::program ? " is another one"
                                             : fmt::format(" is {} instead of 0", one.value);
    text += (decisions[i].then.empty() ? "" : ": " + decisions[i].then) + "\n";
  }
  if (shown < decisions.size()) {
    text += fmt::format("  ... and {} more\n", decisions.size() - shown);
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
    rows.push_back(row(time_of(is_left ? *left : *right), is_left ? cell(*left) : "",
                       is_right ? cell(*right) : ""));
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

std::string story_of(const drill_case& what, std::string_view violation) {
  hearer failing({.messages = violation});
  failing.run(what);
  hearer plain({.messages = violation, .from = failing.latest_from(), .latest = 0});
  drill_case in_order = what;
  in_order.log.emplace();
  plain.run(in_order);
  std::string text = "decisions that it takes:\n" + words_of(failing.decisions());
  if (!failing.messages().empty()) {
    text += "what clients hear is of the message";
    for (const std::string& one : failing.messages()) text += " " + one;
    text += '\n';
  }
  const std::vector<std::string> lines = failing.lines();
  if (failing.decisions().empty()) {
    const std::size_t first = lines.size() - std::min(lines.size(), event_lines_max);
    text += "how it ends:\n";
    for (std::size_t i = first; i < lines.size(); ++i) text += "  " + lines[i] + "\n";
    return text;
  }
  return text + "the plain run and this one, from where they part:\n" +
         timeline_of(plain.lines(), lines);
}

}  // namespace weir::drill

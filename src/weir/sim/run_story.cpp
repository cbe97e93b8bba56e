#include <weir/sim/run_story.hpp>

#include <weir/core/dump.hpp>
#include <weir/core/frame.hpp>
#include <weir/sim/network_sizes.hpp>
#include <weir/sim/virtual_clock.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace weir {

namespace {

std::string_view file_of(const std::source_location& place) noexcept {
  const std::string_view path = place.file_name();
  return path.substr(std::min(path.size(), path.rfind('/') + 1));
}

std::string doing(const step_note& note) {
  return fmt::format("{} {}", note.is_first ? "begins, spawned at" : "goes on at",
                     place_text(note.told));
}

std::string who(const step_note& note, const schedule_trace& trace) {
  const std::string function = short_name(note.function);
  const std::string task = function.empty() ? fmt::format("task {}", note.task)
                                            : fmt::format("task {} ({})", note.task, function);
  return note.machine == 0 ? task : fmt::format("{}'s {}", trace.name_of(note.machine), task);
}

// A line about a switch, without the step's number.
std::string switch_text(const step_note& note, const schedule_trace& trace) {
  return note.over_goes_on
             ? fmt::format("task {} stops and {} {}", note.over_task, who(note, trace), doing(note))
             : fmt::format("{} {} before task {}, which was first in line", who(note, trace),
                           doing(note), note.over_task);
}

// "before step 3", "in step 3, for task 2 (take)"
std::string when(const event_note& event, const schedule_trace& trace) {
  const std::vector<step_note>& notes = trace.notes();
  const std::uint64_t before = event.before_step;
  const bool is_in_step = event.made && is_of_program(event.made->kind) && before != 0 &&
                          before <= notes.size() &&
                          notes[before - 1].machine == event.made->machine;
  if (is_in_step) return fmt::format("in step {}, for {}", before, who(notes[before - 1], trace));
  return before == notes.size() ? "after the last step" : fmt::format("before step {}", before + 1);
}

// "lambda in take" of "auto take(int)::(anonymous class)::operator()".
std::string name_of_lambda(std::string_view text) {
  constexpr std::string_view sign = "::(anonymous class)";
  text = text.substr(0, text.rfind("::"));
  if (!text.ends_with(sign)) return "lambda";
  text.remove_suffix(sign.size());
  if (!text.ends_with(')') || text.ends_with("(anonymous namespace)")) return "lambda";
  const std::string around = short_name(text);
  return is_lambda(around) ? around : "lambda in " + around;
}

constexpr std::size_t column = 46;

std::string cell(const schedule_trace& trace, std::size_t at) {
  const std::vector<step_note>& notes = trace.notes();
  if (at > notes.size()) return "";
  if (at == notes.size()) return trace.has_died ? "(the process dies)" : "(end)";
  const step_note& note = notes[at];
  const std::string task =
      (note.machine == 0 ? "" : trace.name_of(note.machine) + ' ') + std::to_string(note.task);
  std::string function = *note.function ? short_name(note.function) : "new";
  std::string place = place_text(note.told);
  // The place says most, and the end of it more than its beginning.
  constexpr std::string_view dots = "...";
  constexpr std::size_t function_least = 12;
  const auto room_beside = [&](std::size_t other) {
    const std::size_t taken = task.size() + 2 + other;
    return std::max(function_least, column - std::min(column, taken));
  };
  if (function.size() > room_beside(place.size()))
    function = function.substr(0, room_beside(place.size()) - dots.size()).append(dots);
  if (place.size() > room_beside(function.size()))
    place.replace(0, place.size() - room_beside(function.size()) + dots.size(), dots);
  return fmt::format("{} {} {}", task, function, place);
}

bool is_same(const step_note& a, const step_note& b) noexcept {
  return a.machine == b.machine && a.task == b.task && a.here.line() == b.here.line() &&
         a.is_first == b.is_first;
}

// ", at 00:00:02.000000" of the first step after time has passed. Machines have clocks of their
// own.
std::string moment(const schedule_trace& trace, std::size_t at) {
  const std::vector<step_note>& notes = trace.notes();
  if (at >= notes.size() || notes[at].machine != 0) return "";
  const time_point before = at == 0 ? virtual_clock::start : notes[at - 1].at;
  if (notes[at].at == before) return "";
  return ", at " + clock_text(notes[at].at - virtual_clock::start);
}

std::string row(const schedule_trace& left, const schedule_trace& right, std::size_t at) {
  const bool has_switch = at < right.notes().size() && right.notes()[at].passed_over != 0;
  return fmt::format("{:>6} {:<{}} {} {}{}\n", at + 1, cell(left, at), column,
                     has_switch ? '*' : '|', cell(right, at), moment(right, at));
}

}  // namespace

std::string short_name(std::string_view text) {
  // The parameters begin at the bracket that the last one closes, "(anonymous namespace)" and
  // function types aside.
  std::size_t end = std::string_view::npos;
  int depth = 0;
  const std::size_t last = text.rfind(')');
  for (std::size_t i = last == std::string_view::npos ? 0 : last + 1; i-- != 0;) {
    if (text[i] == ')') ++depth;
    if (text[i] == '(' && --depth == 0) {
      end = i;
      break;
    }
  }
  if (end == std::string_view::npos) return std::string(text);
  text = text.substr(0, end);
  if (text.ends_with("operator()") || text.ends_with("operator")) return name_of_lambda(text);
  text = text.substr(text.find_last_of(":* &>") + 1);
  if (text.starts_with("weir_test_body_")) return "the test";
  return std::string(text);
}

bool is_lambda(std::string_view name) noexcept {
  return name == "lambda" || name.starts_with("lambda in ");
}

std::string place_text(const std::source_location& place) {
  return fmt::format("{}:{}", file_of(place), place.line());
}

std::string stack_of(const detail::task_header& task) {
  std::string text =
      fmt::format("task {}, spawned at {}:{}", task.id, task.here.file_name(), task.here.line());
  constexpr std::size_t lines_max = 32;
  detail::stack_line lines[lines_max];
  const std::size_t count = detail::read_stack(task, lines, lines_max);
  for (std::size_t i = 0; i < count; ++i) {
    if (lines[i].label) {
      text += fmt::format("\n    in \"{}\"", lines[i].label);
    } else {
      text += fmt::format("\n    in {} at {}:{}", lines[i].function, lines[i].here.file_name(),
                          lines[i].here.line());
    }
  }
  return text;
}

std::string clock_text(duration since) {
  const std::int64_t us = since.ns / 1'000;
  constexpr std::int64_t million = 1'000'000;
  return fmt::format("{:02}:{:02}:{:02}.{:06}", us / million / 3600, us / million / 60 % 60,
                     us / million % 60, us % million);
}

std::string words_of(const choice& one, const schedule_trace& trace) {
  const auto with_machine = [&](const std::string& text) {
    return one.machine == 0 ? text : trace.name_of(one.machine) + ": " + text;
  };
  for (const named_choice& known : trace.named) {
    if (known.made == one) return with_machine(known.text);
  }
  if (one.kind == choice_kind::size) {
    if (const std::string size = size_text(one); !size.empty()) return with_machine(size);
  }
  std::string text = fmt::format("{} {}", name(one.kind), one.index + 1);
  if (one.machine != 0 && trace.machines.empty()) {
    text += fmt::format(" of machine {}", one.machine);
  } else if (one.machine != 0) {
    text += " of " + trace.name_of(one.machine);
  }
  return one.kind == choice_kind::program ? text + " is another one"
                                          : fmt::format("{} is {} instead of 0", text, one.value);
}

std::string words_of(const choice_log& log, const schedule_trace& trace) {
  const bool has_events = !trace.events().empty();  // others are told where they were made
  std::vector<std::string> lines;
  std::size_t next = 0;
  const auto tell_events = [&](std::size_t up_to) {
    for (; next < trace.events().size() && trace.events()[next].before_step <= up_to; ++next) {
      const event_note& one = trace.events()[next];
      lines.push_back(fmt::format("  {}: {}\n", when(one, trace),
                                  one.made ? words_of(*one.made, trace) : one.text));
    }
  };
  for (std::size_t i = 0; i < trace.notes().size(); ++i) {
    tell_events(i);
    const step_note& note = trace.notes()[i];
    if (note.passed_over != 0)
      lines.push_back(fmt::format("  at step {}, {}\n", i + 1, switch_text(note, trace)));
  }
  tell_events(SIZE_MAX);
  for (const choice& one : log.exceptions) {
    if (one.kind != choice_kind::task && !has_events)
      lines.push_back(fmt::format("  {}\n", words_of(one, trace)));
  }
  std::string text = log.exceptions.empty() ? "  it fails with everything in order\n" : "";
  const std::size_t told = std::min(lines.size(), story_lines_max);
  for (std::size_t i = 0; i < told; ++i) text += lines[i];
  if (const std::size_t all = std::max(lines.size(), log.exceptions.size()); all > told)
    text += fmt::format("  ... and {} more\n", all - told);
  return text;
}

std::string timeline_of(const schedule_trace& in_order, const schedule_trace& failing) {
  const std::vector<step_note>& left = in_order.notes();
  const std::vector<step_note>& right = failing.notes();
  const std::size_t right_rows = right.size() + (failing.has_died ? 1 : 0);
  const std::size_t rows = std::max(left.size(), right_rows);
  std::size_t parted = 0;
  while (parted < std::min(left.size(), right.size()) && is_same(left[parted], right[parted])) {
    ++parted;
  }
  constexpr std::size_t before = 3;
  constexpr std::size_t at_end = 8;
  const std::size_t first = parted > before ? parted - before : 0;
  std::string text =
      fmt::format("{:>6} {:<{}} | {}\n", "step", "in order", column, "this run (* a switch)");
  if (first != 0) text += fmt::format("{:>6} the same in both\n", fmt::format("1-{}", first));
  const std::size_t shown = std::min(rows, first + story_lines_max - at_end);
  for (std::size_t at = first; at < shown; ++at) text += row(in_order, failing, at);
  const std::size_t tail = std::max(shown, right_rows > at_end ? right_rows - at_end : 0);
  if (tail > shown) text += fmt::format("{:>6}\n", "...");
  for (std::size_t at = tail; at < std::min(rows, tail + at_end); ++at)
    text += row(in_order, failing, at);
  if (failing.steps() > right.size()) {
    text += fmt::format("  ... and {} more steps\n", failing.steps() - right.size());
  }
  return text;
}

std::string timeline_of(const schedule_trace& run, std::string_view title) {
  const std::size_t count = run.notes().size() + (run.has_died ? 1 : 0);
  const std::size_t first = count > story_lines_max ? count - story_lines_max : 0;
  std::string text = fmt::format("{:>6} {}\n", "step", title);
  if (first != 0) text += fmt::format("{:>6} ...\n", fmt::format("1-{}", first));
  for (std::size_t at = first; at < count; ++at)
    text += fmt::format("{:>6} {}{}\n", at + 1, cell(run, at), moment(run, at));
  if (const std::size_t told = run.notes().size(); run.steps() > told)
    text += fmt::format("  ... and {} more steps\n", run.steps() - told);
  return text;
}

run_story story_of(const choice_log& log, const schedule_trace& failing,
                   const schedule_trace& in_order) {
  // A run without end is long enough alone.
  return {.words = words_of(log, failing),
          .timeline = log.exceptions.empty() ? timeline_of(failing, "this run, in order")
                                             : timeline_of(in_order, failing)};
}

}  // namespace weir

// A run told to people: which switches it takes to fail, and what happened beside the run in order.
#pragma once

#include <weir/sim/choice.hpp>
#include <weir/sim/schedule_trace.hpp>

#include <source_location>
#include <string>
#include <string_view>

namespace weir {

inline constexpr std::size_t story_lines_max = 40;  // of words, and of the timeline

/// "network 3 of bank is 1 instead of 0"
std::string words_of(const choice& one, const schedule_trace& trace);
/// A line for each exception of the run that `trace` has noted; with several machines in the order
/// in which they were made, among what else happened.
std::string words_of(const choice_log& log, const schedule_trace& trace);
/// Two columns: the run in order and this one, step by step, from where they part.
std::string timeline_of(const schedule_trace& in_order, const schedule_trace& failing);
/// One column: the last steps of a run.
std::string timeline_of(const schedule_trace& run, std::string_view title);
struct run_story {
  std::string words = {};
  std::string timeline = {};
};
/// Both of a run that fails: with exceptions beside the run in order, else alone.
run_story story_of(const choice_log& log, const schedule_trace& failing,
                   const schedule_trace& in_order);
/// "producer" of "task<> weir::(anonymous namespace)::producer(int)"; "lambda in f" of one that
/// is written in f().
std::string short_name(std::string_view function);
/// Whether a short name is that of a lambda.
bool is_lambda(std::string_view name) noexcept;
/// "task 7, spawned at ...", and a line for each coroutine that it is in. It must not run.
std::string stack_of(const detail::task_header& task);
/// "queue.cpp:41"
std::string place_text(const std::source_location& place);
/// "00:03:12.000200", of the time that has passed in a run.
std::string clock_text(duration since);

}  // namespace weir

// Why a drill breaks a promise, for people: the decisions that it takes, and what happened beside
// the plain run, in which nothing strikes. Its unit is the event and not the step of a task: what
// happens to machines is what a reader can tell apart.
#pragma once

#include <weir/drill/drill_case.hpp>

#include <string>
#include <vector>

namespace weir::drill {

inline constexpr std::size_t event_lines_max = 40;  // of words, and of the timeline

/// A line for each decision that differs from the plain one.
std::string words_of(const choice_log& log);
/// Two columns, by their times: events of the plain run, and of this one, from where they part.
std::string timeline_of(const std::vector<std::string>& plain,
                        const std::vector<std::string>& failing);
/// Both, of a case with a log. Runs it, and the plain one.
std::string story_of(const drill_case& what);

}  // namespace weir::drill

// Why a drill breaks a promise, for people: the decisions that it takes, and what happened beside
// the plain run, in which nothing strikes. Its unit is the event and not the step of a task: what
// happens to machines, and what clients hear of the messages that matter, is what a reader can tell
// apart.
#pragma once

#include <weir/drill/drill_case.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace weir::drill {

inline constexpr std::size_t event_lines_max = 40;  // of words, and of the timeline

/// A decision that is not the plain one, in its run.
struct told_decision {
  choice what;
  std::string when = {};  // "00:03:12.000200"; empty: before anything had started
  std::string who = {};   // "task 7 (work_always)": whose step it was
  std::string then = {};  // what came of it: "server killed"
};

/// A line for each of them.
std::string words_of(const std::vector<told_decision>& decisions);
/// Two columns, by their times: events of the plain run, and of this one, from where they part.
std::string timeline_of(const std::vector<std::string>& plain,
                        const std::vector<std::string>& failing);
/// Both, of a case with a log that breaks this promise. Runs it, and the plain one. Of what clients
/// hear it shows what is about the messages that `violation` names, or else the last of it.
std::string story_of(const drill_case& what, std::string_view violation);

}  // namespace weir::drill

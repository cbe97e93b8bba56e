// What the programs of mutant_programs.hpp share.
#pragma once

#include <weir/base/error.hpp>
#include <weir/base/time.hpp>
#include <weir/core/loop.hpp>
#include <weir/drill/mutant_programs.hpp>

namespace weir::drill {

/// Fails the run with `promise`, what should have been true.
inline void expect(bool is_kept, const char* promise) {
  if (!is_kept) raise(error(errc::internal, promise));
}

inline time_point now() noexcept { return loop::current()->now(); }

/// The programs; what each of them says stands where it is.
namespace programs {

// task_programs.cpp: tasks
extern const mutant_program timers, crowd, time_out, commit, good_bye, gathered, heard, room,
    selected_first, released;
// hand_over_programs.cpp: what tasks hand to each other
extern const mutant_program bounded, stages, nobody_listens, producers, shifts, news, last_setting,
    handlers;
// lock_programs.cpp: tasks that wait for each other
extern const mutant_program account, walk, freed_places, small_passes, writer_turn, start_signal,
    no_work_left, meeting, making_connection;
// call_programs.cpp: calls that may fail
extern const mutant_program rate_kept, rate_goes_on, one_probe, late_failure, probe_leaves,
    asks_again, maker_leaves, outdated, loaded_once, line_room, waits_as_asked, knows_deadline;
// byte_programs.cpp: bytes
extern const mutant_program heads, stop_drains, proxy, body_ends, batch, frames, answered;

}  // namespace programs
}  // namespace weir::drill

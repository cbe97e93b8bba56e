// For tests only: uses what belongs to the test's loop in a task of another one.
#pragma once

#include <weir/core/core_loops_test.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/task.hpp>

namespace weir {

/// What a use of another loop's socket, or of what is made of one, stops the process with.
inline constexpr const char* other_loop_said =
    "a socket or file is used on the loop that made it; between loops use weir::cross";

template <class Use>
task<> on_another_loop(Use use) {
  core_loops others(1);
  others[0].root().spawn([&]() -> task<> { co_await use(); });
  co_await others.run([]() -> task<> { co_await yield(); }());
}

}  // namespace weir

// Running a program's main task on a given driver. <weir/io/run_program.hpp> chooses the driver for
// you.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>

#include <optional>
#include <utility>

namespace weir {

/// Runs `main` to its end on a new loop over `io` and gives its value. An error that leaves it goes
/// to the unhandled-error handler; if that returns, so does this, with T(1): the exit code of a
/// main that failed.
template <class T>
T run_on(driver& io, task<T> main, loop_options options = {}) {
  loop on(io, options);
  if constexpr (std::is_void_v<T>) {
    on.root().spawn(detail::given_task<void>{std::move(main)});
    on.run();
  } else {
    spawned<T> handle = on.root().spawn(detail::given_task<T>{std::move(main)});
    on.run();
    if (handle.has_value()) return handle.take_value();
    return T(1);
  }
}

}  // namespace weir

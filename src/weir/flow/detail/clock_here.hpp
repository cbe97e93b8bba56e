// The moment of the running loop, for calls that never wait and still look at the clock.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/core/loop.hpp>

namespace weir::detail {

/// Where no loop runs there is no clock to look at, and that is told.
inline time_point now_here() noexcept {
  loop* const on = loop::current();
  WEIR_ASSERT(on && "this looks at the clock of a loop: call it while one runs");
  return on->now();
}

}  // namespace weir::detail

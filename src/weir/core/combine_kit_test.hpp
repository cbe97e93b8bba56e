// Tasks that the tests of combinations combine.
#pragma once

#include <weir/base/error.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/task.hpp>

namespace weir::combine_kit {

inline task<int> after(duration length, int value) {
  co_await sleep(length);
  co_return value;
}
inline task<> nap(duration length) { co_await sleep(length); }
inline task<int> failing(duration length, const char* text) {
  co_await sleep(length);
  raise(error(errc::broken, text));
}

}  // namespace weir::combine_kit

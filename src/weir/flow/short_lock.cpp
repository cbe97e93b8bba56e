#include <weir/flow/short_lock.hpp>

#include <weir/base/pause_processor.hpp>

#include <thread>

namespace weir::detail {

void std_spinning::pause(int looks) noexcept {
  constexpr int pauses_max = 16;
  constexpr int looks_until_yield = 10;
  if (looks >= looks_until_yield) {
    std::this_thread::yield();
    return;
  }
  const int pauses = looks < 4 ? 1 << looks : pauses_max;
  for (int i = 0; i != pauses; ++i) pause_processor();
}

template class basic_short_lock<>;

}  // namespace weir::detail

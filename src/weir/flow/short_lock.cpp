#include <weir/flow/short_lock.hpp>

#include <weir/base/pause_processor.hpp>

#include <thread>

namespace weir::detail {

void std_spinning::pause(int looks) noexcept {
  constexpr int looks_until_yield = 100;
  if (looks < looks_until_yield) {
    pause_processor();
  } else {
    std::this_thread::yield();
  }
}

template class basic_short_lock<>;

}  // namespace weir::detail

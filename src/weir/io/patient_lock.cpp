#include <weir/io/patient_lock.hpp>

#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>

namespace weir {

task<bool> lock_within(duration patience, file& what) {
  constexpr duration between = duration::milliseconds(10);
  const time_point give_up = loop::current()->now() + patience;
  while (!what.try_lock()) {
    if (loop::current()->now() >= give_up) co_return false;
    co_await sleep(between);
  }
  co_return true;
}

}  // namespace weir

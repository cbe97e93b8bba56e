#include <weir/sim/ended_worlds.hpp>

#include <weir/base/program_here.hpp>

#include <deque>
#include <mutex>

namespace weir::detail {

void keep_ended_world(std::shared_ptr<void> whole) {
  // Never destroyed, as static variables of a program may refer to them until its very end.
  static auto* const kept = new std::deque<std::shared_ptr<void>>;
  static constinit std::mutex lock;
  const world_runs keeping;
  std::shared_ptr<void> oldest;  // ends after the lock is let go
  const std::lock_guard guard(lock);
  kept->push_back(std::move(whole));
  if (kept->size() <= ended_worlds_max) return;
  oldest = std::move(kept->front());
  kept->pop_front();
}

}  // namespace weir::detail

#include <weir/flow/cross_condition.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>

namespace weir::cross {

class condition::parked final
    : public detail::closable_wait<parked, bool, condition, detail::many_loops> {
 public:
  parked(condition& of, mutex::guard& held) noexcept : closable_wait(kind_, &of), held_(&held) {}
  bool admit(detail::many_loops::wakes&) noexcept { return is_over(); }
  // Whoever takes the mutex from now on finds this wait in line.
  void stood() noexcept { held_->unlock(); }
  auto& line() noexcept { return of_->line_; }
  /// False: the condition was closed.
  result<bool> take() noexcept { return !is_closed_; }

 private:
  static void describe(const detail::wait& w, detail::text_sink& out) noexcept {
    out.put(static_cast<const parked&>(w).of_->name_);
  }
  static constexpr detail::wait_kind kind_{"condition", &leave, &describe};
  mutex::guard* held_;
};

bool condition::notify_one() noexcept {
  detail::many_loops::wakes woken;
  const detail::many_loops::guard held(lock_);
  if (line_.is_empty()) return false;
  woken.add(line_.pop_front());
  return true;
}

void condition::notify_all() noexcept {
  detail::many_loops::wakes woken;
  const detail::many_loops::guard held(lock_);
  while (!line_.is_empty()) woken.add(line_.pop_front());
}

void condition::close() noexcept {
  detail::many_loops::wakes woken;
  const detail::many_loops::guard held(lock_);
  is_closed_ = true;
  detail::close_line(line_, woken);
}

task<> condition::wait(mutex::guard& held) {
  auto* const door = held.held_mutex();
  WEIR_ASSERT(door && "a condition is waited for with the mutex held");
  const bool was_told = co_await parked(*this, held);
  // Told; who is cancelled before the mutex is back leaves the wake-up to the next in line.
  struct owed_wake_up {
    condition& from;
    const mutex::guard& held;
    ~owed_wake_up() {
      if (!held.holds()) from.notify_one();
    }
  } const owed{*this, held};
  if (!held.holds()) held = co_await door->lock();
  if (!was_told) raise(error(errc::closed, "wait: the condition was closed"));
}

line_stats condition::stats() const noexcept {
  const detail::many_loops::guard held(lock_);
  return {.waiting = line_.count()};
}

}  // namespace weir::cross

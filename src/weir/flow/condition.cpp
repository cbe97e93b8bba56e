#include <weir/flow/condition.hpp>

namespace weir::detail {

/// The wait inside wait(held): the end of it is told when the mutex is back.
template <class Reach>
class basic_condition<Reach>::turn final : public awaiter {
 public:
  turn(basic_condition& of, guard& held) noexcept : awaiter(of, &held) {}
  /// False: the condition was closed.
  bool await_resume() noexcept { return !this->is_closed_; }
};

template <class Reach>
task<> basic_condition<Reach>::wait(guard& held) {
  auto* const door = held.held_mutex();
  WEIR_ASSERT(door && "a condition is waited for with the mutex held");
  const bool was_told = co_await turn(*this, held);
  // Told; who is cancelled before the mutex is back leaves the wake-up to the next in line.
  struct owed_wake_up {
    basic_condition& from;
    const guard& held;
    ~owed_wake_up() {
      if (!held.holds()) from.notify_one();
    }
  } const owed{*this, held};
  if (!held.holds()) held = co_await door->lock();
  if (!was_told) raise(error(errc::closed, "wait: the condition was closed"));
}

template class basic_condition<one_loop>;
template class basic_condition<many_loops>;

}  // namespace weir::detail

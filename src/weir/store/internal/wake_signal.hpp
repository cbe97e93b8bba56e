// wake_signal: a flag that one task waits for, with an optional time. The hard idea: the flag stays
// set until somebody has waited, so a wake-up between two waits is not lost.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/wait.hpp>

#include <utility>

namespace weir::detail {

class wake_signal;

/// The wait of the one task that a wake_signal belongs to.
class wake_wait final : public leaf_wait<wake_wait, void, timer> {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  wake_wait(wake_signal& of, time_point until) noexcept : leaf_wait(kind_), of_(&of) {
    due = until;
  }

  bool try_now() noexcept;
  void enlist() noexcept;
  result<void> take() noexcept { return {}; }
  /// From wake_signal::set().
  void end() noexcept;

 private:
  static void leave(wait& w) noexcept;
  static void time_is_over(timer& t) noexcept;
  void withdraw() noexcept;
  static const wait_kind kind_;
  wake_signal* of_;
};

class wake_signal {
 public:
  wake_signal() = default;
  wake_signal(const wake_signal&) = delete;
  wake_signal& operator=(const wake_signal&) = delete;

  void set() noexcept {
    is_set_ = true;
    if (waiter_) std::exchange(waiter_, nullptr)->end();
  }
  /// Until set() or `until`; takes the flag back.
  wake_wait wait(time_point until = time_point::never()) noexcept { return {*this, until}; }

 private:
  friend class wake_wait;
  bool is_set_ = false;
  wake_wait* waiter_ = nullptr;
};

}  // namespace weir::detail

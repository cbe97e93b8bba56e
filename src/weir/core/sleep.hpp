// Waiting for time to pass, for a turn, and for a cancellation to be looked at.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/wait.hpp>

namespace weir {

namespace detail {

/// A wait for a moment.
class [[nodiscard]] sleep_wait final : public leaf_wait<sleep_wait, void, timer> {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  explicit sleep_wait(time_point until) noexcept : leaf_wait(kind_) {
    due = until.ns < 0 ? time_point(0) : until;
  }
  /// For a length that starts when the wait does; until then it is kept as a negative moment.
  explicit sleep_wait(duration length) noexcept : leaf_wait(kind_) {
    due = time_point(length.ns < 0 ? 0 : -length.ns);
  }

  bool try_now() noexcept;
  void enlist() noexcept;
  result<void> take() noexcept { return {}; }

 private:
  static void leave(wait& w) noexcept;
  static void describe(const wait& w, text_sink& out) noexcept;
  static const wait_kind kind_;
};

class [[nodiscard]] yield_wait final : public leaf_wait<yield_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  yield_wait() noexcept : leaf_wait(kind_) {}
  bool try_now() noexcept { return false; }
  void enlist() noexcept { complete(); }
  result<void> take() noexcept { return {}; }

 private:
  static constexpr wait_kind kind_{"its turn", nullptr};
};

class [[nodiscard]] checkpoint_wait final : public leaf_wait<checkpoint_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  checkpoint_wait() noexcept : leaf_wait(kind_) {}
  bool try_now() noexcept { return true; }
  void enlist() noexcept { complete(); }
  result<void> take() noexcept { return {}; }

 private:
  static constexpr wait_kind kind_{"its turn", nullptr};
};

}  // namespace detail

/// Waits for at least `length`; zero or less is a checkpoint only. Where many timers of the loop
/// come a few microseconds from each other, deadlines among them, a sleep of the loop lasts half a
/// millisecond and serves them together.
[[nodiscard]] inline auto sleep(duration length) noexcept { return detail::sleep_wait(length); }
/// Waits until the loop's clock has reached `until`.
[[nodiscard]] inline auto sleep_until(time_point until) noexcept {
  return detail::sleep_wait(until);
}
/// Goes to the end of the ready queue.
[[nodiscard]] inline auto yield() noexcept { return detail::yield_wait(); }
/// Ends the task here if its scope is cancelled; goes back to the queue if the step's budget is
/// spent; else nothing.
[[nodiscard]] inline auto checkpoint() noexcept { return detail::checkpoint_wait(); }

}  // namespace weir

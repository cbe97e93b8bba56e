// Time by hand. A virtual world moves its clock when every task waits, which is right for most
// tests; some want to stop at a moment and look: nothing has been sent after 9 ms, one message
// after
// 10. The hard idea: the world knows best when all is quiet, since it is asked then, and only then,
// how time goes on; so a test waits for that question and needs no count of yields.
//
//   settle()     runs what can run at this moment      (kotlinx.coroutines: runCurrent)
//   advance(d)   lets d pass, and settles there        (advanceTimeBy; tokio::time::advance)
//
// Beside them the clock still moves by itself as soon as a test waits for something else.
#pragma once

#include <weir/core/timer_wheel.hpp>
#include <weir/core/wait.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <cstdint>
#include <optional>
#include <source_location>

namespace weir::testing {

/// Of all tasks, at one moment, before settle() and advance() give up. More than any strategy of
/// the explorer starves a task for.
inline constexpr std::uint64_t settle_steps_max = 200'000;

namespace detail {

/// A wait for the end of all that happens at a moment, `by` from now.
class [[nodiscard]] settle_wait final
    : public weir::detail::leaf_wait<settle_wait, void, weir::detail::timer>,
      public weir::detail::quiet_listener {
  using base = weir::detail::leaf_wait<settle_wait, void, weir::detail::timer>;

 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  settle_wait(duration by, std::source_location place) noexcept;
  /// Only before it begins.
  settle_wait(settle_wait&& other) noexcept : settle_wait(other.by_, other.place_) {}

  bool try_now() noexcept { return false; }
  void enlist() noexcept;
  result<void> take() noexcept;

  bool heard_turn() noexcept override;
  void heard_quiet() noexcept override { complete(); }

 private:
  static void leave(weir::detail::wait& w) noexcept;
  static void describe(const weir::detail::wait& w, weir::detail::text_sink& out) noexcept;
  static const weir::detail::wait_kind kind_;

  duration by_;
  std::source_location place_;
  virtual_driver* io_;
  time_point moment_;             // the present one, and
  std::uint64_t steps_ = 0;       // how many there had been when it began
  std::optional<error> failure_;  // nothing: all is quiet
};

}  // namespace detail

/// Waits until all is quiet: no other task can go on, and no completion, post or child process is
/// due, before time passes. The clock stays where it is.
///
/// Cancel:  a cancelled one has changed nothing.
/// Order:   last at its moment: what is woken meanwhile runs first, under every schedule. Several
///          that wait are woken together.
/// Bound:   settle_steps_max steps of all tasks.
/// Errors:  `full`, with the tree of tasks, when it is not quiet by then. Outside of a virtual run,
///          on a machine of virtual_nodes and in a child process, whose clocks others move, it
///          stops the process.
/// Threads: one loop. What other threads do (virtual_options::threads) is not waited for.
[[nodiscard]] inline detail::settle_wait settle(
    std::source_location place = std::source_location::current()) noexcept {
  return {duration{}, place};
}

/// Lets time pass for exactly `by`: whatever is due until then, and at that moment, happens in its
/// order and at its own time; then all is quiet, as after settle(). Zero is settle().
///
/// Cancel:  a cancelled one has moved the clock as far as it came.
/// Order:   as settle()'s. Several at a time overlap, as sleeps do.
/// Bound:   settle_steps_max steps at each moment.
/// Errors:  as settle()'s. Less than zero stops the process: time does not go back.
/// Threads: one loop.
[[nodiscard]] inline detail::settle_wait advance(
    duration by, std::source_location place = std::source_location::current()) noexcept {
  return {by, place};
}

}  // namespace weir::testing

// Waiting for a signal of the process, and what the second one does.
#pragma once

#include <weir/io/io_wait.hpp>

namespace weir {

namespace detail {

class [[nodiscard]] signal_wait final : public io_wait<signal_wait, void> {
 public:
  explicit signal_wait(int number) noexcept : io_wait(kind_) {
    op = io_op::wait_signal;
    flags = static_cast<std::uint32_t>(number);
  }
  result<void> take() noexcept;

 private:
  static const wait_kind kind_;
};

}  // namespace detail

/// Waits until the signal comes. From the first wait on it no longer has its usual effect, and one
/// that comes between two waits is kept; the usual effect is back when the loop's driver has gone.
/// Every loop that waits hears it. `invalid_argument` for signals that can't be caught.
[[nodiscard]] inline auto wait_signal(int number) noexcept { return detail::signal_wait(number); }

/// True where the program was started to ignore the signal, as by nohup or in the background of a
/// shell without job control, and nothing in it has changed that. weir::run does not wait for it
/// then.
bool is_signal_ignored(int number) noexcept;

/// While it lives, the first SIGTERM or SIGINT that a loop waits for gives both their usual effect
/// back in the moment in which it comes: the second one kills, also while a task holds the loop.
///
/// Cancel:  no waits.
/// Order:   made before the wait for the signals.
/// Bound:   any number may live; the first signal of the process ends what all of them wish.
/// Errors:  none.
/// Threads: any.
class second_signal_kills {
 public:
  second_signal_kills() noexcept;
  second_signal_kills(const second_signal_kills&) = delete;
  second_signal_kills& operator=(const second_signal_kills&) = delete;
  ~second_signal_kills();
};

}  // namespace weir

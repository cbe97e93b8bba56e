// Waiting for a signal of the process.
#pragma once

#include <weir/io/io_wait.hpp>

namespace weir {

namespace detail {

class signal_wait final : public io_wait<signal_wait, void> {
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

}  // namespace weir

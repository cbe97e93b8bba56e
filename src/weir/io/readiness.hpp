// Waiting for descriptors that other libraries own.
#pragma once

#include <weir/io/io_wait.hpp>

#include <poll.h>

namespace weir {

namespace detail {

class [[nodiscard]] ready_wait final : public io_wait<ready_wait, int> {
 public:
  ready_wait(int of, int wanted) noexcept : io_wait(kind_) {
    op = io_op::poll;
    handle = of;
    flags = static_cast<std::uint32_t>(wanted);
  }
  result<int> take() noexcept;

 private:
  static const wait_kind kind_;
};

}  // namespace detail

/// Waits until one of the flags (POLLIN, POLLOUT ...) holds for a descriptor that stays open
/// meanwhile, and gives those that do, POLLERR and POLLHUP included; over io_uring also
/// POLLRDHUP, which ends the wait there.
[[nodiscard]] inline auto wait_ready(int descriptor, int flags) noexcept {
  return detail::ready_wait(descriptor, flags);
}

/// Waits until a read of the descriptor would not block: there is something, the end, or an error.
/// A cancelled wait has read nothing.
[[nodiscard]] inline auto wait_readable(int descriptor) noexcept {
  return detail::ready_wait(descriptor, POLLIN);
}
/// Waits until a write to the descriptor would not block.
[[nodiscard]] inline auto wait_writable(int descriptor) noexcept {
  return detail::ready_wait(descriptor, POLLOUT);
}

}  // namespace weir

// Waiting for descriptors that other libraries own.
#pragma once

#include <weir/io/io_wait.hpp>

namespace weir {

namespace detail {

class ready_wait final : public io_wait<ready_wait, int> {
 public:
  ready_wait(int of, int wanted) noexcept : io_wait(kind_) {
    op = io_op::poll;
    handle = of;
    flags = static_cast<std::uint32_t>(wanted);
  }
  result<int> take() noexcept {
    if (outcome >= 0) return static_cast<int>(outcome);
    return fail(failed("wait for a descriptor"));
  }

 private:
  static const wait_kind kind_;
};

}  // namespace detail

/// Waits until one of the flags (POLLIN, POLLOUT ...) holds for a descriptor that stays open
/// meanwhile, and gives those that do, POLLERR and POLLHUP included.
[[nodiscard]] inline auto wait_ready(int descriptor, int flags) noexcept {
  return detail::ready_wait(descriptor, flags);
}

}  // namespace weir

// Requests on sockets as system calls that never block: what the drivers try first.
#pragma once

#include <weir/core/driver.hpp>

#include <cstdint>

namespace weir::detail {

/// All of these give a count, a handle or 0, or -errno; -EAGAIN: it would have to wait.
std::int64_t send_now(const io_request& request) noexcept;
std::int64_t receive_now(io_handle handle, void* into, std::size_t size) noexcept;
/// Ready flags; 0 would have to wait.
std::int64_t poll_now(const io_request& request) noexcept;
/// How a connect that was begun has ended.
std::int64_t connect_outcome(io_handle handle) noexcept;

}  // namespace weir::detail

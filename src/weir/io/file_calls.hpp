// Requests on files as plain system calls: what the blocking pool runs.
#pragma once

#include <weir/core/driver.hpp>

#include <cstdint>

namespace weir::detail {

/// Runs a file request, or one with a function, to its end on this thread: the outcome, or -errno.
std::int64_t perform_blocking(io_request& request) noexcept;

/// The calls of `driver` that don't wait, for drivers over the real kernel. All give 0 or -errno.
int path_status_now(const char* path, file_status& out) noexcept;
int handle_status_now(io_handle handle, file_status& out) noexcept;
/// As driver::path_of().
std::size_t handle_path_now(io_handle handle, char* out, std::size_t size) noexcept;
int list_dir_now(const char* path, void (*visit)(void*, const char*), void* context) noexcept;
int lock_file_now(io_handle handle) noexcept;

}  // namespace weir::detail

// Internal to io: errors that name the side which failed.
#pragma once

#include <weir/base/error.hpp>

#include <cstdint>
#include <exception>

namespace weir::detail {

/// What was thrown, as one of weir's errors: "copy: the sink failed after 17 bytes", because of it.
error side_error(const char* verb, const char* side, std::uint64_t after,
                 const std::exception_ptr& failure) noexcept;

}  // namespace weir::detail

// How a misuse names the virtual worlds that it has mixed up. The hard idea: the library knows no
// simulator, so that one leaves a function here that knows its drivers, those of ended worlds too.
#pragma once

#include <weir/core/frame.hpp>

#include <atomic>

namespace weir {
class driver;
}

namespace weir::detail {

/// Puts the name of the world behind a driver, and nothing for one that it does not know; null: all
/// is real.
inline constinit std::atomic<void (*)(const driver* io, text_sink& out) noexcept> put_world{
    nullptr};

/// "of world 1 (seed 5), which has ended, is used in world 2 (seed 6)": `before_one`, the one,
/// `before_other`, the other, when both are known and differ.
void put_worlds(const char* before_one, const driver* one, const char* before_other,
                const driver* other, text_sink& out) noexcept;

}  // namespace weir::detail

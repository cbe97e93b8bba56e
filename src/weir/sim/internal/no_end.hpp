// What is done with a run that takes more steps than it may.
#pragma once

#include <cstdint>

namespace weir {
class loop;
}

namespace weir::detail {

/// How much was done.
struct work_done {
  std::uint64_t count = 0;
  const char* of = "steps";
};

/// A run that was cancelled has a tenth more to come to its end.
constexpr bool is_beyond(std::uint64_t count, std::uint64_t max) noexcept {
  return count > max && count - max > max / 10;  // their sum may be too large
}
/// The run on this thread has failed, with the tasks that are left, and they are cancelled.
void note_no_end(work_done after) noexcept;
/// They went on, under a shield or in a loop that takes each error: nothing can end them but the
/// process.
[[noreturn]] void die_without_end(work_done after) noexcept;
/// Of a run whose steps no schedule counts, where one step may be many. Tests have a smaller one.
inline constinit std::uint64_t run_operations_max = 2'000'000;
/// Both, of a loop whose steps no schedule counts, and for which so many operations have begun;
/// nothing outside of a run.
void end_long_run(loop& on, std::uint64_t operations) noexcept;

}  // namespace weir::detail

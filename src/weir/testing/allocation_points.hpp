// Letting each allocation fail once, as fault_points.hpp does with operations of the system.
#pragma once

#include <weir/testing/test.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace weir::testing {

inline constexpr std::uint64_t allocation_points_max = 100'000;  // of one scenario

/// Runs the scenario in a new world again and again; in the n-th run the n-th allocation of its
/// program fails, frames of tasks included; the last run is untouched. The scenario may end with
/// the want of memory as its error, or take it and go on; whatever else it ends with fails the
/// test, and so does what it leaves behind. Gives the number of runs in which an allocation failed.
/// Skips the test where allocations are not ours.
std::size_t for_each_allocation(task<> (*scenario)(),
                                std::source_location place = std::source_location::current());

}  // namespace weir::testing

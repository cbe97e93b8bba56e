// Failing every operation once. The hard idea: in a virtual world a scenario asks for its
// operations in the same order each time, so "the first write fails", "the second write fails" ...
// until a run in which nothing is left to fail, are all the places where an error can come from
// outside.
#pragma once

#include <weir/testing/test.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace weir::testing {

inline constexpr std::uint64_t fault_points_max = 10'000;  // of one scenario

/// Which operations fail, and how.
struct fault_kind {
  io_op op = io_op::write_at;
  int code = 5;               // the errno: EIO
  std::uint64_t count = 1;    // so many in a row
  std::int64_t partial = -1;  // >= 0: no failure, but a transfer of at most so many bytes
};

/// Runs the scenario in a new world again and again; in the n-th run its n-th operation of the kind
/// fails; the last run is untouched. The scenario takes the error and checks what it has left
/// behind: `for_each_fault({.op = io_op::sync}, []() -> task<> { auto done = co_await
/// as_result(save()); ...; EXPECT_...; });` Gives the number of runs in which a fault struck, and
/// fails the test when there was none.
std::size_t for_each_fault(fault_kind kind, task<> (*scenario)(),
                           std::source_location place = std::source_location::current());

}  // namespace weir::testing

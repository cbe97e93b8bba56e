#include <weir/testing/fault_points.hpp>

#include <weir/sim/ended_worlds.hpp>
#include <weir/testing/detail/fail_at.hpp>
#include <weir/testing/internal/noted_steps.hpp>

#include <fmt/format.h>

#include <memory>

namespace weir::testing {

std::size_t for_each_fault(fault_kind kind, task<> (*scenario)(), std::source_location place) {
  const auto line = static_cast<int>(place.line());
  for (std::uint64_t nth = 1; nth <= fault_points_max; ++nth) {
    const ::testing::ScopedTrace trace(place.file_name(), line,
                                       fmt::format("the fault strikes operation {}", nth));
    // A socket in a static variable may know it after its end.
    const auto own = std::make_shared<weir::detail::machine>(virtual_options{});
    own->world.add_fault({.op = kind.op,
                          .nth = nth,
                          .code = kind.code,
                          .count = kind.count,
                          .partial = kind.partial});
    noted_steps steps(&own->world);
    const virtual_run_options noted = {.observer = &steps};
    detail::check_outcome(weir::detail::run_outcome_on(*own, scenario(), noted), place);
    const bool has_struck = own->world.faults_struck() != 0;
    weir::detail::end_machine(own);
    if (::testing::Test::HasFailure()) {
      steps.print("the fault struck");
      return nth - 1;
    }
    if (has_struck) continue;
    if (nth == 1) {
      ADD_FAILURE_AT(place.file_name(), line)
          << "the scenario asks for no such operation: this test shows nothing";
    }
    return nth - 1;
  }
  ADD_FAILURE_AT(place.file_name(), line)
      << "the scenario asks for more than " << fault_points_max << " operations: it never ends?";
  return fault_points_max;
}

}  // namespace weir::testing

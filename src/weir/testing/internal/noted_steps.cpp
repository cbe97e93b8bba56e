#include <weir/testing/internal/noted_steps.hpp>

#include <weir/base/program_here.hpp>
#include <weir/sim/run_story.hpp>

#include <fmt/format.h>

#include <cstdio>

namespace weir::testing {

void noted_steps::before_step(std::uint64_t) noexcept {
  const weir::detail::world_runs noting;  // the program's allocations are counted
  loop& on = *loop::current();
  trace_.add(*on.running(), on.now(), 0, 1, {});
}

void noted_steps::after_step(std::uint64_t) noexcept {
  if (faults_ && !marked_ && faults_->faults_struck() != 0) mark("in");
}

void noted_steps::mark(const char* when) noexcept {
  marked_ = when;
  marked_step_ = trace_.steps();
}

void noted_steps::print(const std::string& what) const {
  const std::string title =
      marked_ ? fmt::format("this run; {} {} step {}", what, marked_, marked_step_) : "this run";
  std::fputs(timeline_of(trace_, title).c_str(), stdout);
}

}  // namespace weir::testing

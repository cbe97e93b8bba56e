#include <weir/testing/cancel_points.hpp>

#include <weir/core/with_scope.hpp>
#include <weir/testing/internal/noted_steps.hpp>

#include <fmt/format.h>

#include <string>
#include <utility>

namespace weir::testing {

struct victim::watcher final : loop_observer {
  watcher(victim& of, scope& around) noexcept : of_(of), around_(around) {
    loop::current()->observe(this);
  }
  watcher(const watcher&) = delete;
  watcher& operator=(const watcher&) = delete;
  ~watcher() override { loop::current()->observe(&of_.steps_); }

  void before_step(std::uint64_t id) noexcept override {
    of_.steps_.before_step(id);
    pass("before");
  }
  void after_step(std::uint64_t) noexcept override { pass("after"); }

 private:
  void pass(const char* when) noexcept {
    if (++passed_ != of_.point_) return;
    of_.steps_.mark(when);
    of_.was_cancelled_ = true;
    around_.cancel("the point of this run");
  }

  victim& of_;
  scope& around_;
  std::uint64_t passed_ = 0;
};

task<> victim::run(task<> operation) {
  WEIR_ASSERT(!has_run_ && "a scenario runs its victim once");
  has_run_ = true;
  co_await with_scope({.name = "victim"}, [&](scope& around) -> task<> {
    const watcher eye(*this, around);
    co_await std::move(operation);
  });
}

namespace {

// True: the operation ended before the point.
bool run_until(std::uint64_t point, std::uint64_t seed, task<> (*scenario)(victim&),
               std::size_t& cancelled, std::source_location place) {
  const ::testing::ScopedTrace trace(
      place.file_name(), static_cast<int>(place.line()),
      fmt::format("cancelled at point {} of schedule {}", point, seed));
  noted_steps steps;
  victim one(point, steps);
  run_virtual(scenario(one),
              {.world = seed == 0 ? virtual_options{} : virtual_options::explored(seed),
               .observer = &steps},
              place);
  if (::testing::Test::HasFailure()) steps.print("it was cancelled");
  cancelled += one.was_cancelled() ? 1 : 0;
  return !one.was_cancelled();
}

}  // namespace

std::size_t cancel_at_every_point(task<> (*scenario)(victim&), std::source_location place) {
  std::size_t cancelled = 0;
  for (std::uint64_t seed = 0; seed <= cancel_schedules_default; ++seed) {
    bool is_untouched = false;
    for (std::uint64_t point = 1; !is_untouched; ++point) {
      is_untouched = run_until(point, seed, scenario, cancelled, place);
      if (::testing::Test::HasFailure()) return cancelled;
      if (point == cancel_points_max) {
        ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line()))
            << "the operation has more than " << cancel_points_max
            << " points: it never ends, or does its work in more steps than can be tried one by "
               "one; give it less to do (a contract's kit: a smaller bound)";
        return cancelled;
      }
    }
  }
  if (cancelled == 0) {
    ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line()))
        << "the operation has no point at which it can be cancelled: this test shows nothing";
  }
  return cancelled;
}

}  // namespace weir::testing

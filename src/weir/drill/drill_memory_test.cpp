// The memory that the simulated server holds is bounded, whatever happens to it, also to the
// memory.
#include <weir/drill/drill.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/drill/drill_case.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

namespace weir::drill::drill_memory_test {
namespace {

constexpr std::uint64_t leaky_seed = 8;      // its messages are large
constexpr std::uint64_t failing_seed = 102;  // it draws "memory"

class DrillMemory : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::level::off); }
  void TearDown() override { log::set_level(log::level::info); }

  static drill_report run_of(std::uint64_t seed, tls_use tls = tls_use::drawn) {
    return run_case({.settings = {.time = duration::seconds(120), .tls = tls}, .seed = seed});
  }
};

TEST_F(DrillMemory, of_the_server_stays_below_its_bound) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 8, 21}) {
    const drill_report report = run_of(seed);
    EXPECT_EQ(report.violation, "") << seed;
    EXPECT_GT(report.memory_bytes_max, 0u);
    EXPECT_LE(report.memory_bytes_max, report.memory_bytes_bound);
  }
}

TEST_F(DrillMemory, of_a_server_that_speaks_tls_stays_below_it_too) {
  EXPECT_EQ(run_of(3, tls_use::always).violation, "");
}

// Each has its connections, which is what the bound allows for a machine.
TEST_F(DrillMemory, of_a_server_with_a_hundred_machines_stays_below_it_too) {
  const drill_report report = run_case({.settings = {.nodes = 100,
                                                     .time = duration::seconds(1),
                                                     .faults = {},
                                                     .patience = {},
                                                     .tls = tls_use::never},
                                        .seed = 3});
  EXPECT_GT(report.memory_bytes_max, 0u);
  EXPECT_LE(report.memory_bytes_max, report.memory_bytes_bound);
}

// With a leak planted: each delivery keeps its message's memory.
TEST_F(DrillMemory, that_grows_beyond_its_bound_is_told) {
  if (!defects_can_be_planted) GTEST_SKIP() << "this build can't be given a leak";
  const planted_defect leak("journal: keeps the memory of what was read");
  const drill_report report = run_of(leaky_seed);
  EXPECT_EQ(kind_of_violation(report.violation), "the server has held") << report.violation;
  EXPECT_GT(report.memory_bytes_max, report.memory_bytes_bound);
}

TEST_F(DrillMemory, that_fails_strikes_the_server_breaks_no_promise_and_is_replayed) {
  const drill_settings settings{.time = duration::seconds(20),
                                .faults = *chaos_set::parse("memory")};
  choices decisions(0);
  decisions.record_next();
  decisions.restart(failing_seed);
  const drill_report first = run_drill(settings, decisions);
  EXPECT_EQ(first.violation, "");
  EXPECT_GT(first.strikes[static_cast<std::size_t>(chaos_kind::memory)], 0u);
  EXPECT_GT(first.memory_refused, 0u);
  decisions.replay(decisions.take_record());
  const drill_report again = run_drill(settings, decisions);
  EXPECT_EQ(again.memory_refused, first.memory_refused);
  EXPECT_EQ(again.fingerprint, first.fingerprint);
}

}  // namespace
}  // namespace weir::drill::drill_memory_test

// The memory that the simulated server holds is bounded, whatever happens to it.
#include <weir/drill/drill.hpp>

#include <weir/base/log.hpp>
#include <weir/testing/allocations.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace weir::drill {
namespace {

class gauge final : public memory_gauge {
 public:
  explicit gauge(std::uint64_t leaked = 0) : leaked_(leaked) {}
  void watch(virtual_world& server) override { watch_.emplace(server); }
  std::uint64_t bytes() override { return watch_->bytes() + leaked_; }
  void leave() override { watch_.reset(); }

 private:
  std::optional<testing::memory_watch> watch_;
  std::uint64_t leaked_;
};

class DrillMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::are_allocations_ours()) GTEST_SKIP() << "allocations are the sanitizer's here";
    log::set_level(log::level::off);
  }
  void TearDown() override { log::set_level(log::level::info); }

  static drill_report run_with(std::uint64_t seed, gauge& memory) {
    choices decisions(seed);
    return run_drill({.time = duration::seconds(120)}, decisions, nullptr, &memory);
  }
};

TEST_F(DrillMemory, of_the_server_stays_below_its_bound) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 8, 21}) {
    gauge memory;
    const drill_report report = run_with(seed, memory);
    EXPECT_EQ(report.violation, "") << seed;
    EXPECT_GT(report.memory_bytes_max, 0u);
    EXPECT_LE(report.memory_bytes_max, report.memory_bytes_bound);
  }
}

TEST_F(DrillMemory, that_grows_beyond_its_bound_is_told) {
  gauge memory(std::uint64_t{100} << 20);
  const drill_report report = run_with(1, memory);
  EXPECT_EQ(report.violation.substr(0, 16), "the server holds") << report.violation;
}

// A test program sees what happens in the shipped one.
TEST_F(DrillMemory, is_counted_without_changing_what_happens) {
  choices decisions(3);
  const std::uint64_t plain = run_drill({.time = duration::seconds(120)}, decisions).fingerprint;
  gauge memory;
  EXPECT_EQ(run_with(3, memory).fingerprint, plain);
}

}  // namespace
}  // namespace weir::drill

// What the explorer makes of each kernel of the corpora, and the table of it.
#include "explored_kernel.hpp"
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weir::corpora {

task<> together(std::initializer_list<part> parts) {
  co_await with_scope([&](scope& s) -> task<> {
    for (const part& one : parts) s.spawn(one);
    co_await s.join();
  });
}

void wrong(const char* what) { raise(error(errc::internal, what)); }

namespace {

constexpr std::uint64_t schedules_max = 1000;        // until a kernel of GoKer must be found
constexpr std::uint64_t schedules_demo_max = 100;    // and a demo
constexpr std::uint64_t schedules_sct_max = 10'000;  // SCTBench's own bound
constexpr std::uint64_t schedules_rare_max = 1'000'000;
constexpr std::uint64_t seeds = 5;              // campaigns with other seeds
constexpr std::uint64_t all_runs_max = 50'000;  // to know the least number of switches

struct line {
  std::string set;
  const kernel* of;
  std::uint64_t runs = 0;  // until found, on average
  std::size_t found = 0;   // exceptions
  std::size_t shrunk = 0;
  std::optional<std::size_t> least = {};  // none: the search was too large to end
};

std::vector<line>& table() {
  static std::vector<line> lines;
  return lines;
}

// The least number of exceptions with which it fails, which is at most `most`; none when there were
// too many runs to try them all.
std::optional<std::size_t> least_of(explored_kernel& one, std::size_t most) {
  for (std::uint32_t few = 0; few < most; ++few) {
    const exploration made = explore_all(one, few, all_runs_max, {.shrink_runs_max = 0});
    if (made.failure) return few;
    if (!made.is_complete) return std::nullopt;
  }
  return most;
}

void check_replays(explored_kernel& one, const found_failure& failure) {
  explorer again(one, {});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(again.run(failure.found).is_failed) << failure.found.text();
    EXPECT_TRUE(again.run({.log = failure.shrunk}).is_failed) << failure.shrunk.text();
  }
}

void check_found(const std::string& set, const kernel& of, std::uint64_t most) {
  explored_kernel one(of);
  line made{.set = set, .of = &of};
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const exploration seen = explore(one, {.schedules = most, .first_seed = 1 + seed * 1'000'000});
    ASSERT_TRUE(seen.failure) << "not found in " << most << " schedules";
    EXPECT_TRUE(seen.failure->has_repeated);
    check_replays(one, *seen.failure);
    made.runs += seen.runs;
    if (seed != 0) continue;
    made.found = seen.failure->exceptions_found;
    made.shrunk = seen.failure->shrunk.exceptions.size();
    made.least = least_of(one, made.shrunk);
    if (!made.least) continue;
    EXPECT_LE(static_cast<double>(made.shrunk), 1.5 * static_cast<double>(*made.least))
        << seen.failure->shrunk.text();
  }
  table().push_back(made);
}

// To how many exceptions failures of other campaigns are shrunk, for those who work at shrinking.
void print_further(explored_kernel& one, std::uint64_t campaigns) {
  std::map<std::size_t, int> lengths;
  for (std::uint64_t further = 1; further <= campaigns; ++further) {
    const exploration seen = explore(one, {.schedules = schedules_rare_max,
                                           .first_seed = 1 + further * schedules_rare_max,
                                           .only = strategy::random,
                                           .twice_every = 0});
    if (seen.failure) ++lengths[seen.failure->shrunk.exceptions.size()];
  }
  for (const auto& [length, count] : lengths)
    fmt::print("{} failures are shrunk to {} exceptions\n", count, length);
}

// One campaign of the plainest strategy: the others meet it even less often. What it is shrunk to
// may only get shorter.
void check_rare(const std::string& set, const kernel& of) {
  explored_kernel one(of);
  const exploration seen =
      explore(one, {.schedules = schedules_rare_max, .only = strategy::random, .twice_every = 0});
  ASSERT_TRUE(seen.failure) << "not found in " << schedules_rare_max << " schedules";
  check_replays(one, *seen.failure);
  const std::size_t shrunk = seen.failure->shrunk.exceptions.size();
  EXPECT_LE(shrunk, of.shrunk_most) << seen.failure->shrunk.text();
  EXPECT_GE(shrunk, of.switches_least) << "fewer switches are enough than is known";
  if (const char* campaigns = std::getenv("WEIR_RARE_CAMPAIGNS"))
    print_further(one, std::strtoull(campaigns, nullptr, 10));
  table().push_back({.set = set,
                     .of = &of,
                     .runs = seen.runs * seeds,
                     .found = seen.failure->exceptions_found,
                     .shrunk = shrunk});
}

void check_impossible(const std::string& set, const kernel& of) {
  explored_kernel one(of);
  const exploration made = explore(one, {.schedules = schedules_max});
  ASSERT_FALSE(made.failure) << made.failure->outcome.failure;
  EXPECT_EQ(made.divergence, "");
  table().push_back({.set = set, .of = &of, .runs = made.runs});
}

void check_assertion(const std::string& set, const kernel& of) {
  explored_kernel one(of);
  ASSERT_STRNE(of.says, "") << "any end would do";
  EXPECT_DEATH(static_cast<void>(explore(one)), of.says);
  table().push_back({.set = set, .of = &of});
}

class kernel_test final : public ::testing::Test {
 public:
  kernel_test(std::string set, const kernel& of, std::uint64_t most)
      : set_(std::move(set)), of_(of), most_(most) {}
  void TestBody() override {
    switch (of_.verdict) {
      case expected::found:
        return check_found(set_, of_, most_);
      case expected::rare:
        return check_rare(set_, of_);
      case expected::impossible:
        return check_impossible(set_, of_);
      case expected::assertion:
        return check_assertion(set_, of_);
    }
  }

 private:
  std::string set_;
  const kernel& of_;
  std::uint64_t most_;
};

std::string name_of(const char* text) {
  std::string name;
  for (; *text; ++text) {
    name += std::isalnum(static_cast<unsigned char>(*text)) != 0 ? *text : '_';
  }
  return name;
}

void add(const char* set, std::span<const kernel> kernels, std::uint64_t most) {
  for (const kernel& one : kernels) {
    ::testing::RegisterTest(
        set, name_of(one.name).c_str(), nullptr, nullptr, __FILE__, __LINE__,
        [set, &one, most]() -> ::testing::Test* { return new kernel_test(set, one, most); });
  }
}

std::string row_of(const line& one) {
  const kernel& of = *one.of;
  switch (of.verdict) {
    case expected::found:
      return fmt::format("| {} | {} | {} | {:.1f} | {} | {} | {} |\n", one.set, of.name, of.kind,
                         static_cast<double>(one.runs) / seeds, one.found, one.shrunk,
                         one.least ? std::to_string(*one.least) : "unknown");
    case expected::rare:
      return fmt::format("| {} | {} | {} | {} at random | {} | {} | at least {} |\n", one.set,
                         of.name, of.kind, one.runs / seeds, one.found, one.shrunk,
                         of.switches_least);
    case expected::impossible:
      return fmt::format("| {} | {} | {} | impossible: {} | | | |\n", one.set, of.name, of.kind,
                         of.reason);
    case expected::assertion:
      return fmt::format("| {} | {} | {} | asserts: {} | | | |\n", one.set, of.name, of.kind,
                         of.reason);
  }
  return {};
}

}  // namespace

bool add_all() {
  add("goker", goker_resource(), schedules_max);
  add("goker", goker_communication(), schedules_max);
  add("goker", goker_mixed(), schedules_max);
  add("goker", goker_races(), schedules_max);
  add("goker", goker_misuse(), schedules_max);
  add("reasons", reasons(), schedules_max);
  add("node_fz", event_loop_shapes(), schedules_demo_max);
  add("demos", demos(), schedules_demo_max);
  add("sctbench", sctbench_locks(), schedules_sct_max);
  add("sctbench", sctbench_lock_free(), schedules_sct_max);
  return true;
}

std::string table_text() {
  std::string text =
      "| corpus | kernel | kind | runs until found | switches found | shrunk | least |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const line& one : table()) text += row_of(one);
  return text;
}

}  // namespace weir::corpora

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  weir::corpora::add_all();
  const int result = RUN_ALL_TESTS();
  if (std::getenv("WEIR_CORPORA_TABLE")) std::fputs(weir::corpora::table_text().c_str(), stdout);
  return result;
}

#include <weir/testing/allocations.hpp>

#include <weir/core.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;

constexpr const char* need_an_allocator = "allocations are the sanitizer's here";
constexpr std::uint64_t mib = 1 << 20;

TEST(Allocations, are_counted_and_the_nth_fails) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << need_an_allocator;
  // Not by new-expressions, which a compiler may leave out.
  const std::uint64_t before = testing::allocations();
  ::operator delete(::operator new(1));
  EXPECT_EQ(testing::allocations(), before + 1);
  const testing::failing_allocation second(2);
  ::operator delete(::operator new(1));
  EXPECT_FALSE(second.has_struck());
  EXPECT_THROW(::operator delete(::operator new(1)), std::bad_alloc);
  EXPECT_TRUE(second.has_struck());
  ::operator delete(::operator new(1));  // one fails, and no more
}

// Takes memory for a second, if there is as much.
struct taker final : node_program {
  explicit taker(std::uint64_t how_much) : size(how_much) {}
  task<> main(virtual_node&) override {
    const std::vector<char> held(size);
    has_got_it = true;
    co_await sleep(1_s);
  }
  std::uint64_t size;
  bool has_got_it = false;
};

class MemoryWatch : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::are_allocations_ours()) GTEST_SKIP() << need_an_allocator;
  }

  choices decisions{1};
  virtual_nodes all{decisions};
  virtual_node& one = all.add({.name = "one"});
  virtual_node& other = all.add({.name = "other"});
};

TEST_F(MemoryWatch, counts_what_runs_on_its_machine_alone) {
  testing::memory_watch of_one(one.world());
  testing::memory_watch of_other(other.world());
  taker much(mib);
  taker little(1);
  one.start(much);
  other.start(little);
  all.run_for(500_ms);
  EXPECT_GE(of_one.bytes(), mib);
  EXPECT_LT(of_one.bytes(), mib + 100'000) << "the program has little besides";
  EXPECT_LT(of_other.bytes(), 100'000u);
  all.run_for(1_s);
  EXPECT_TRUE(one.has_ended() && other.has_ended());
  EXPECT_EQ(of_one.bytes(), 0u) << "all is given back";
  EXPECT_GE(of_one.bytes_highest(), mib);
}

TEST_F(MemoryWatch, sees_the_memory_of_a_killed_program_come_back) {
  testing::memory_watch of_one(one.world());
  taker much(mib);
  one.start(much);
  all.run_for(500_ms);
  EXPECT_GE(of_one.bytes(), mib);
  one.kill();
  EXPECT_EQ(of_one.bytes(), 0u);
}

TEST_F(MemoryWatch, lets_what_goes_beyond_its_bound_fail_and_nothing_else) {
  const testing::memory_watch of_one(one.world(), mib);
  taker much(2 * mib);
  taker as_much(2 * mib);
  one.start(much);
  other.start(as_much);
  all.run_for(2_s);
  EXPECT_FALSE(much.has_got_it);
  EXPECT_NE(one.outcome().failure.find("bad_alloc"), std::string::npos) << one.outcome().failure;
  EXPECT_EQ(of_one.refused(), 1u);
  EXPECT_TRUE(as_much.has_got_it);
  EXPECT_FALSE(other.outcome().is_failed);
}

// What a program has handed on may be given back when nobody counts any more.
TEST_F(MemoryWatch, may_end_before_the_memory_that_it_has_counted) {
  struct hander final : node_program {
    explicit hander(std::unique_ptr<int>& into) : to(into) {}
    task<> main(virtual_node&) override {
      to = std::make_unique<int>(7);
      co_return;
    }
    std::unique_ptr<int>& to;
  };
  std::unique_ptr<int> kept;
  hander hands(kept);
  {
    const testing::memory_watch of_one(one.world());
    one.start(hands);
    all.run_for(1_s);
    EXPECT_TRUE(kept);
  }
  EXPECT_EQ(*kept, 7);
}

}  // namespace
}  // namespace weir

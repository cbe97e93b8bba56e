#include <weir/sim/memory_watch.hpp>

#include <weir/core.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace weir::memory_watch_test {
namespace {

using namespace weir::literals;

constexpr std::uint64_t mib = 1 << 20;

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
  choices decisions{1};
  virtual_nodes all{decisions};
  virtual_node& one = all.add({.name = "one"});
  virtual_node& other = all.add({.name = "other"});
};

TEST_F(MemoryWatch, counts_what_runs_on_its_machine_alone) {
  memory_watch of_one(one.world());
  memory_watch of_other(other.world());
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
  memory_watch of_one(one.world());
  taker much(mib);
  one.start(much);
  all.run_for(500_ms);
  EXPECT_GE(of_one.bytes(), mib);
  one.kill();
  EXPECT_EQ(of_one.bytes(), 0u);
}

TEST_F(MemoryWatch, lets_what_goes_beyond_its_bound_fail_and_nothing_else) {
  const memory_watch of_one(one.world(), mib);
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
    const memory_watch of_one(one.world());
    one.start(hands);
    all.run_for(1_s);
    EXPECT_TRUE(kept);
  }
  EXPECT_EQ(*kept, 7);
}

// Asks for blocks of these sizes, one after the other, and notes which of them it got.
struct asker final : node_program {
  explicit asker(std::vector<std::size_t> what) : sizes(std::move(what)) {}
  task<> main(virtual_node&) override {
    std::vector<std::unique_ptr<char[]>> kept(sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      kept[i].reset(new (std::nothrow) char[sizes[i]]);
      got += kept[i] ? 'y' : 'n';
    }
    co_return;
  }
  std::vector<std::size_t> sizes;
  std::string got{};
};

constexpr std::size_t large = memory_watch::large_min;

TEST_F(MemoryWatch, lets_the_nth_large_request_fail_and_no_small_one) {
  memory_watch of_one(one.world());
  of_one.fail_large(2);
  asker asks({1, large, large - 1, 100, large + 7, large, 1});
  one.start(asks);
  all.run_for(1_s);
  EXPECT_EQ(asks.got, "yyyynyy");
  EXPECT_EQ(of_one.refused(), 1u);
  EXPECT_EQ(of_one.large_requests(), 3u);
}

TEST_F(MemoryWatch, leaves_room_for_large_blocks_until_it_is_healed) {
  memory_watch of_one(one.world());
  of_one.leave_room(2 * large);
  asker asks({large, 2 * large, large, large, large - 1});
  one.start(asks);
  all.run_for(1_s);
  EXPECT_EQ(asks.got, "ynyny");
  asker again({2 * large, large});
  one.start(again);
  all.run_for(1_s);
  EXPECT_EQ(again.got, "yn") << "what was given back is room";
  of_one.heal();
  asker healed({100 * large});
  one.start(healed);
  all.run_for(1_s);
  EXPECT_EQ(healed.got, "y");
}

// How large a frame is, and whether there is one, is the compiler's choice.
TEST_F(MemoryWatch, takes_no_frame_for_a_large_request) {
  struct framed final : node_program {
    static task<> hold(int* sum) {
      volatile unsigned char ballast[4 * large];
      ballast[0] = 1;
      co_await sleep(1_ms);
      *sum = ballast[0];
    }
    task<> main(virtual_node&) override { co_await hold(&sum); }
    int sum = 0;
  };
  memory_watch of_one(one.world());
  of_one.fail_large(1);
  framed program;
  one.start(program);
  all.run_for(500_us);
  EXPECT_GT(of_one.bytes(), 4 * large) << "it is counted";
  all.run_for(1_s);
  EXPECT_EQ(program.sum, 1);
  EXPECT_EQ(of_one.large_requests(), 0u);
}

// In the order in which a table with holes has most to do: some of each neighbourhood stay.
TEST_F(MemoryWatch, knows_whose_each_of_many_blocks_is) {
  struct many final : node_program {
    explicit many(std::vector<std::unique_ptr<int>>& into) : to(into) {}
    task<> main(virtual_node&) override {
      constexpr int count = 20'000;
      to.reserve(count);
      for (int i = 0; i < count; ++i) to.push_back(std::make_unique<int>(i));
      for (int i = 0; i < count; ++i) {
        if (i % 3 != 0) to[static_cast<std::size_t>(i)].reset();
      }
      co_return;
    }
    std::vector<std::unique_ptr<int>>& to;
  };
  std::vector<std::unique_ptr<int>> kept;
  many program(kept);
  const memory_watch of_one(one.world());
  one.start(program);
  all.run_for(1_s);
  constexpr std::uint64_t left = (20'000 + 2) / 3 * sizeof(int);
  EXPECT_EQ(of_one.bytes(), left + 20'000 * sizeof(void*));
  std::exchange(kept, {});
  EXPECT_EQ(of_one.bytes(), 0u) << "the world gives back what the program has taken";
}

}  // namespace
}  // namespace weir::memory_watch_test

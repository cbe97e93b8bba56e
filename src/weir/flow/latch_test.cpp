#include <weir/flow/latch.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/flow/once.hpp>
#include <weir/testing/cancel_points.hpp>

#include <string>
#include <utility>

namespace weir::latch_test {
namespace {

using namespace weir::literals;

FLOW_CONTRACT("a latch lets everybody go when its count is zero, and later ones at once") {
  typename Kit::latch ready(3);
  int gone = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) {
      s.spawn([&]() -> task<> {
        co_await ready.wait();
        ++gone;
      });
    }
    ready.count_down(2);
    co_await sleep(1_ms);
    EXPECT_EQ(gone, 0);
    EXPECT_EQ(ready.stats().waiting, 2u);
    co_await ready.arrive_and_wait();
    co_await s.join();
  });
  EXPECT_EQ(gone, 2);
  EXPECT_TRUE(ready.is_reached());
  co_await ready.wait();
  typename Kit::latch none(0);
  co_await none.wait();
}

FLOW_CONTRACT("a barrier lets nobody into the next round before all have ended this one") {
  typename Kit::barrier round(3);
  int inside[4] = {};
  int last = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [&](int me) -> task<> {
            for (int r = 0; r < 4; ++r) {
              co_await sleep(duration::milliseconds((me * 7 + r) % 5));
              ++inside[r];
              if (co_await round.arrive_and_wait()) ++last;
              EXPECT_EQ(inside[r], 3);
            }
          },
          i);
    }
    co_await s.join();
  });
  EXPECT_EQ(round.meetings(), 4u);
  EXPECT_EQ(last, 4) << "one of each round came last";
}

FLOW_CONTRACT("a party that drops out of a barrier completes the meeting of the others") {
  typename Kit::barrier round(3);
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) s.spawn([&]() -> task<> { co_await round.arrive_and_wait(); });
    co_await sleep(1_ms);
    EXPECT_EQ(round.stats().waiting, 2u);
    round.drop();
    co_await s.join();
  });
  EXPECT_EQ(round.meetings(), 1u);
}

FLOW_CONTRACT("close() of a latch or a barrier ends who waits for somebody that does not come") {
  typename Kit::latch ready(1);
  co_await expect_that_close_ends_all(&ready, [](auto& of) { return of.wait(); });
  ready.count_down();
  co_await ready.wait();  // it is reached after all
  typename Kit::barrier round(3);
  co_await expect_that_close_ends_all(&round, [](auto& of) { return of.arrive_and_wait(); });
  EXPECT_EQ(round.meetings(), 0u);
}

template <class Kit>
void a_cancelled_arrival_is_taken_back() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::barrier round(2);
    bool has_met = false;
    co_await with_scope([&](scope& s) -> task<> {
      co_await v.run([&]() -> task<> {
        co_await yield();
        co_await select(round.arrive_and_wait(), sleep(1_ms));
      }());
      EXPECT_EQ(round.stats().waiting, 0u);
      s.spawn([&]() -> task<> { co_await round.arrive_and_wait(); });
      co_await sleep(1_ms);
      EXPECT_EQ(round.meetings(), 0u) << "somebody met one who is not there";
      co_await round.arrive_and_wait();
      has_met = true;
    });
    EXPECT_TRUE(has_met);
  });
}
TEST(Barrier, a_cancelled_arrival_is_taken_back) {
  a_cancelled_arrival_is_taken_back<local_flow>();
  a_cancelled_arrival_is_taken_back<cross_flow>();
}

template <class Kit>
void a_cancelled_wait_leaves_the_count_as_it_is() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::latch all(2);
    bool has_passed = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (int i = 0; i < 2; ++i) {
          co_await sleep(1_ms);
          all.count_down();
        }
      });
      co_await v.run([&]() -> task<> {
        co_await all.wait();
        has_passed = true;
      }());
      EXPECT_TRUE(has_passed || v.was_cancelled());
      if (has_passed) EXPECT_EQ(all.count(), 0u);
      EXPECT_EQ(all.stats().waiting, 0u);
    });
    EXPECT_EQ(all.count(), 0u);
    co_await all.wait();
  });
}
template <class Kit>
void a_cancelled_arrival_stays_counted_down() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::latch all(2);
    bool has_arrived = false;
    bool has_passed = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        EXPECT_EQ(all.count(), has_arrived ? 1u : 2u);
        all.count_down();
      });
      co_await v.run([](typename Kit::latch* of, bool* arrived, bool* passed) -> task<> {
        co_await yield();
        *arrived = true;
        co_await of->arrive_and_wait();
        *passed = true;
      }(&all, &has_arrived, &has_passed));
      EXPECT_TRUE(has_passed || v.was_cancelled());
      EXPECT_EQ(all.stats().waiting, 0u);
    });
    EXPECT_EQ(all.count(), has_arrived ? 0u : 1u);
  });
}
TEST(Latch, a_cancelled_arrival_stays_counted_down) {
  a_cancelled_arrival_stays_counted_down<local_flow>();
  a_cancelled_arrival_stays_counted_down<cross_flow>();
}

TEST(Latch, a_cancelled_wait_leaves_the_count_as_it_is) {
  a_cancelled_wait_leaves_the_count_as_it_is<local_flow>();
  a_cancelled_wait_leaves_the_count_as_it_is<cross_flow>();
}

task<std::string> made_after(duration length, int* runs) {
  ++*runs;
  co_await sleep(length);
  co_return "made";
}

FLOW_CONTRACT("a once is made by the first that asks, and all get the same") {
  typename Kit::template once<std::string> text;
  int runs = 0;
  const auto make = [&]() -> task<std::string> { co_return co_await made_after(1_ms, &runs); };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 5; ++i) {
      s.spawn([&]() -> task<> {
        std::string* got = co_await text.get(make);
        EXPECT_EQ(*got, "made");
        EXPECT_EQ(got, text.value());
      });
    }
    co_await s.join();
  });
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(testing::elapsed(), 1_ms);
}

FLOW_CONTRACT("when the maker of a once fails, it hears of it, and the next tries again") {
  typename Kit::template once<int> number;
  int tries = 0;
  int failures = 0;
  int successes = 0;
  const auto make = [&]() -> task<int> {
    co_await sleep(1_ms);
    if (++tries < 3) raise(error(errc::io));
    co_return tries;
  };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 5; ++i) {
      s.spawn([&]() -> task<> {
        auto got = co_await as_result(number.get(make));
        ++(got ? successes : failures);
      });
    }
    co_await s.join();
  });
  EXPECT_EQ(failures, 2);
  EXPECT_EQ(successes, 3);
}

template <class Kit>
void when_its_maker_is_cancelled_the_next_makes_it() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::template once<std::string> text;
    int runs = 0;
    const auto make = [&]() -> task<std::string> { co_return co_await made_after(1_ms, &runs); };
    int got = 0;
    co_await with_scope([&](scope& s) -> task<> {
      const auto ask = [&]() -> task<> {
        EXPECT_EQ(*co_await text.get(make), "made");
        ++got;
      };
      s.spawn(ask);
      s.spawn(ask);
      co_await v.run(ask());
    });
    EXPECT_GE(got, 2) << "those who were not cancelled got it";
    EXPECT_LE(runs, 2);
  });
}
TEST(Once, when_its_maker_is_cancelled_the_next_that_waits_makes_it) {
  when_its_maker_is_cancelled_the_next_makes_it<local_flow>();
  when_its_maker_is_cancelled_the_next_makes_it<cross_flow>();
}

}  // namespace
}  // namespace weir::latch_test

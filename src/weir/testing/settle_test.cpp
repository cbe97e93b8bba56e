#include <weir/testing/settle.hpp>

#include <weir/core.hpp>
#include <weir/core/core_loops_test.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/event.hpp>
#include <weir/io/file.hpp>
#include <weir/io/process.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/virtual_processes.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::settle_test {
namespace {

using namespace weir::literals;
using testing::advance;
using testing::elapsed;
using testing::settle;

WEIR_TEST("settle runs what is ready and what that wakes, and no time passes") {
  event first("first");
  event second("second");
  std::string done;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await second.wait();
      done += 'c';
    });
    s.spawn([&]() -> task<> {
      co_await first.wait();
      done += 'b';
      second.set();
    });
    s.spawn([&]() -> task<> {
      co_await yield();
      done += 'a';
      first.set();
    });
    s.spawn([&]() -> task<> {
      co_await sleep(1_ns);
      done += 'd';
    });
    co_await settle();
    EXPECT_EQ(done, "abc");
    EXPECT_EQ(elapsed(), 0_ns);
    co_await settle();
    EXPECT_EQ(done, "abc") << "all was quiet before";
  });
  EXPECT_EQ(done, "abcd") << "the clock moves by itself again";
}

WEIR_TEST("settle waits for what is posted, read and written at its moment") {
  std::string got;
  bool is_posted = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      file out = co_await open_file("/note", {.write = true, .create = true});
      co_await out.write_at(0, "text");
      file in = co_await open_file("/note");
      for (char next = 0; got.size() < 4; got += next)
        std::ignore = co_await in.read_at(got.size(), std::span(&next, 1));
      loop::current()->post([&] { is_posted = true; });
    });
    co_await settle();
    EXPECT_EQ(got, "text");
    EXPECT_TRUE(is_posted);
    EXPECT_EQ(elapsed(), 0_ns);
  });
}

WEIR_TEST("timers on the way of an advance fire in their order and at their own time") {
  std::vector<duration> rang;
  co_await with_scope([&](scope& s) -> task<> {
    for (const duration after : {3_ms, 1_ms, 2_ms, 2500_us, 1_ns}) {
      s.spawn(
          [&rang](duration length) -> task<> {
            co_await sleep(length);
            EXPECT_EQ(elapsed(), length);
            rang.push_back(elapsed());
          },
          after);
    }
    co_await advance(2_ms);
    EXPECT_EQ(elapsed(), 2_ms);
    EXPECT_EQ(rang, (std::vector<duration>{1_ns, 1_ms, 2_ms})) << "with those of the last moment";
    co_await advance(duration(499'999));
    EXPECT_EQ(rang.size(), 3u);
    co_await advance(1_ns);
    EXPECT_EQ(rang.back(), 2500_us);
    co_await advance(1_h);
    EXPECT_EQ(elapsed(), 2500_us + 1_h) << "where nothing is due time passes as well";
  });
  EXPECT_EQ(rang.back(), 3_ms);
}

WEIR_TEST("an advance sees a timer that another has set and what both have woken") {
  auto [to, from] = channel<int>(0);
  int got = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await sleep(1_ms);
      co_await sleep(1_ms);
      co_await to.send(7);
    });
    s.spawn([&]() -> task<> { got = *co_await from.receive(); });
    co_await advance(1_ms);
    EXPECT_EQ(got, 0);
    co_await advance(1_ms);
    EXPECT_EQ(got, 7);
  });
}

WEIR_TEST("an advance by nothing settles, and the clock stays") {
  bool has_run = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await yield();
      has_run = true;
    });
    co_await advance({});
    EXPECT_TRUE(has_run);
  });
  EXPECT_EQ(elapsed(), 0_ns);
}

WEIR_TEST("several that advance overlap, and each goes on at its own moment") {
  std::vector<duration> ended;
  co_await with_scope([&](scope& s) -> task<> {
    for (const duration by : {2_ms, 1_ms, 1_ms, 0_ms}) {
      s.spawn(
          [&ended](duration length) -> task<> {
            co_await advance(length);
            EXPECT_EQ(elapsed(), length);
            ended.push_back(length);
          },
          by);
    }
    co_await s.join();
  });
  EXPECT_EQ(ended, (std::vector<duration>{0_ms, 1_ms, 1_ms, 2_ms}));
}

WEIR_TEST("a transfer that takes its time is over when that has passed") {
  testing::world().set_latency(1_ms, 1_ms);
  std::string got;
  co_await with_scope([&](scope& s) -> task<> {
    listener door = co_await listen({});
    s.spawn([&]() -> task<> {
      socket peer = co_await door.accept();
      got = std::string((co_await peer.receive()).text());
    });
    socket line = co_await connect(door.local());
    s.spawn([&]() -> task<> { co_await line.send("x"); });
    co_await settle();
    EXPECT_EQ(got, "");
    co_await advance(4_ms);
    EXPECT_EQ(got, "x");
  });
}

WEIR_TEST("settle is told by a child process that it is busy, and leaves one that sleeps") {
  testing::world().processes().install("/usr/bin/nap", [](virtual_process& self) -> task<int> {
    co_await yield();
    co_await self.output().send("ready\n");
    co_await sleep(5_ms);
    co_await self.output().send("done\n");
    co_return 0;
  });
  std::string heard;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { heard = (co_await run_process(command("nap"), {})).output; });
    co_await advance(4_ms);
    EXPECT_EQ(heard, "");
    co_await advance(1_ms);
    EXPECT_EQ(heard, "ready\ndone\n");
  });
  EXPECT_EQ(elapsed(), 5_ms);
}

WEIR_TEST("settle waits for a child process that thinks for several turns and tells nobody") {
  int thoughts = 0;
  testing::world().processes().install("/usr/bin/think", [&](virtual_process&) -> task<int> {
    while (++thoughts < 600) co_await yield();
    co_await sleep(5_ms);
    co_return 0;
  });
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { std::ignore = co_await run_process(command("think"), {}); });
    co_await settle();
    EXPECT_EQ(thoughts, 600);
    EXPECT_EQ(elapsed(), 0_ns);
  });
}

WEIR_TEST("who settles is no deadlock while all others wait for it") {
  event go("go");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await go.wait(); });
    co_await settle();
    co_await advance(1_s);
    go.set();
  });
  EXPECT_EQ(elapsed(), 1_s);
}

WEIR_TEST("a settle in a select is taken back when another branch was first") {
  event go("go");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await sleep(1_ms);
      go.set();
    });
    auto [came, passed] = co_await select(go.wait(), advance(1_h));
    EXPECT_TRUE(came);
    EXPECT_FALSE(passed);
    EXPECT_EQ(loop::current()->stats().timers_live, 0u);
    co_await settle();
  });
  EXPECT_EQ(elapsed(), 1_ms);
}

TEST(Settle, that_is_cancelled_at_any_point_leaves_no_timer_and_listens_no_more) {
  for (auto* const wait :
       {+[]() -> task<> { co_await settle(); }, +[]() -> task<> { co_await advance(1_ms); }}) {
    static task<> (*waits)() = nullptr;
    waits = wait;
    testing::cancel_at_every_point([](testing::victim& v) -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([]() -> task<> { co_await sleep(2_ms); });
        co_await v.run(waits());
        EXPECT_LE(elapsed(), 1_ms);
        EXPECT_LE(loop::current()->stats().timers_live, 1u);
      });
      co_await settle();
    });
  }
}

task<> never_quiet() {
  for (;;) co_await yield();
}

TEST(Settle, of_tasks_that_are_never_quiet_says_who_they_are) {
  for (const duration by : {1_ms, 2_ms}) {  // at the last moment, and on the way
    EXPECT_NONFATAL_FAILURE(testing::run_virtual([](duration length) -> task<> {
                              co_await with_scope([&](scope& s) -> task<> {
                                s.spawn([]() -> task<> {
                                  co_await sleep(1_ms);
                                  co_await never_quiet();
                                });
                                co_await settle();
                                co_await advance(length);
                              });
                            }(by)),
                            "in task<> weir::settle_test::(anonymous namespace)::never_quiet()");
  }
}

TEST(Settle, is_bounded_where_completions_at_one_moment_never_end) {
  EXPECT_NONFATAL_FAILURE(
      testing::run_virtual([]() -> task<> {
        co_await with_scope([&](scope& s) -> task<> {
          listener door = co_await listen({});
          s.spawn([&]() -> task<> {
            socket peer = co_await door.accept();
            while (const bytes ball = co_await peer.receive()) co_await peer.send(ball.text());
          });
          socket line = co_await connect(door.local());
          s.spawn([&]() -> task<> {
            for (;;) {
              co_await line.send("o");
              std::ignore = co_await line.receive();
            }
          });
          co_await settle();
        });
      }()),
      "full: not quiet: after 200000 steps at one moment there is still something to do");
}

TEST(Settle, is_bounded_at_each_moment_and_not_over_all_that_an_advance_passes) {
  testing::run_virtual([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      s.spawn([]() -> task<> {
        for (std::uint64_t i = 0; i <= testing::settle_steps_max; ++i) co_await sleep(1_us);
      });
      co_await advance(1_s);
      EXPECT_GT(loop::current()->stats().steps, testing::settle_steps_max);
    });
  }());
}

TEST(SettleDeathTest, is_refused_outside_of_a_virtual_run_and_where_others_move_the_clock) {
  EXPECT_DEATH(std::ignore = settle(), "settle.. and advance.. are for tasks in a virtual run");
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 core_loops others(1);
                 others[0].root().spawn([]() -> task<> { co_await settle(); });
                 co_await others.run([]() -> task<> { co_await yield(); }());
               }()),
               "settle.. and advance.. are for who moves the clock");
}

TEST(SettleDeathTest, an_advance_into_the_past_is_refused) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> { co_await advance(-1_ms); }()),
               "advance.. goes forward: time does not go back");
}

}  // namespace
}  // namespace weir::settle_test

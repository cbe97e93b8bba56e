// What belongs to one loop, used on a thread that is not the loop's: stopped with a text that says
// what to do, before anything is torn.
#include <weir/core.hpp>
#include <weir/flow/broadcast.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/rate_limiter.hpp>
#include <weir/flow/semaphore.hpp>
#include <weir/flow/shared_mutex.hpp>
#include <weir/flow/watch.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/testing/escape_guard.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <tuple>
#include <utility>

namespace weir::wrong_thread_test {
namespace {

using namespace weir::literals;

class WrongThreadDeathTest : public ::testing::Test {
 protected:
  WrongThreadDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

template <class F>
void on_another_thread(F call) {
  const testing::escape_allowed beside_the_program;
  std::thread(call).join();
}

TEST_F(WrongThreadDeathTest, spawning_from_it_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 co_await with_scope([](scope& s) -> task<> {
                   on_another_thread([&s] { s.spawn([]() -> task<> { co_return; }); });
                   co_return;
                 });
               }()),
               "a scope is used on its loop's thread; on others use loop::post\\(\\)");
}

TEST_F(WrongThreadDeathTest, cancelling_from_it_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 co_await with_scope([](scope& s) -> task<> {
                   on_another_thread([&s] { s.cancel(); });
                   co_return;
                 });
               }()),
               "a scope is used on its loop's thread");
}

TEST_F(WrongThreadDeathTest, waking_a_task_from_it_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 event happened;
                 co_await with_scope([&](scope& s) -> task<> {
                   s.spawn([&]() -> task<> { co_await happened.wait(); });
                   co_await yield();
                   on_another_thread([&] { happened.set(); });
                 });
               }()),
               "a wait ends on its loop's thread; on others use loop::post\\(\\) or weir::cross");
}

TEST_F(WrongThreadDeathTest, sending_to_a_task_from_it_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 auto [to, from] = channel<int>(1);
                 co_await with_scope([&, &out = to, &in = from](scope& s) -> task<> {
                   s.spawn([&]() -> task<> { std::ignore = co_await in.receive(); });
                   co_await yield();
                   on_another_thread([&] {
                     int item = 1;
                     std::ignore = out.try_send(item);
                   });
                 });
               }()),
               "a wait ends on its loop's thread");
}

// A second loop on a thread of its own runs `body` to its end.
template <class F>
void on_another_loop(F body) {
  on_another_thread([body] {
    virtual_driver driver(virtual_options{.threads = true});
    loop on(driver, {.name = "second"});
    on.root().spawn(body);
    on.run();
  });
}

constexpr const char* said_of_another_loop =
    "between loops use weir::cross or loop::post\\(\\): task [0-9]+ of loop 'main', spawned at "
    ".*wrong_thread_test.cpp:[0-9]+, is woken on loop 'second'; the one is of world [0-9]+ .seed "
    "0., "
    "the other of world [0-9]+ .seed 0.";

TEST_F(WrongThreadDeathTest, waking_a_task_from_another_loop_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 event happened;
                 co_await with_scope([&](scope& s) -> task<> {
                   s.spawn([&]() -> task<> { co_await happened.wait(); });
                   co_await yield();
                   on_another_loop([&]() -> task<> {
                     happened.set();
                     co_return;
                   });
                 });
               }()),
               said_of_another_loop);
}

TEST_F(WrongThreadDeathTest, sending_to_a_task_of_another_loop_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 auto [to, from] = channel<int>(1);
                 co_await with_scope([&, &out = to, &in = from](scope& s) -> task<> {
                   s.spawn([&]() -> task<> { std::ignore = co_await in.receive(); });
                   co_await yield();
                   on_another_loop([&]() -> task<> { co_await out.send(1); });
                 });
               }()),
               said_of_another_loop);
}

TEST_F(WrongThreadDeathTest, handing_a_mutex_to_a_task_of_another_loop_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 mutex door;
                 co_await with_scope([&](scope& s) -> task<> {
                   auto held = co_await door.lock();
                   s.spawn([&]() -> task<> { std::ignore = co_await door.lock(); });
                   co_await yield();
                   on_another_loop([&]() -> task<> {
                     held.unlock();
                     co_return;
                   });
                 });
               }()),
               said_of_another_loop);
}

TEST_F(WrongThreadDeathTest, waking_a_select_from_another_loop_stops_the_process) {
  EXPECT_DEATH(
      testing::run_virtual([]() -> task<> {
        event happened;
        co_await with_scope([&](scope& s) -> task<> {
          s.spawn([&]() -> task<> { std::ignore = co_await select(happened.wait(), sleep(1_h)); });
          co_await yield();
          on_another_loop([&]() -> task<> {
            happened.set();
            co_return;
          });
        });
      }()),
      said_of_another_loop);
}

// A task waits and is woken; nobody waits any more when `use` runs away from the loop.
template <class Wait, class Wake, class Where, class Use>
void use_after_a_wait(Wait wait, Wake wake, Where where, Use use) {
  testing::run_virtual([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await wait(); });
      co_await yield();
      wake();
    });
    where(use);
  }());
}
constexpr auto a_thread = [](auto use) { on_another_thread(use); };
constexpr auto a_loop = [](auto use) {
  on_another_loop([use]() -> task<> {
    use();
    co_return;
  });
};
constexpr const char* said_of_a_thread =
    "what is for one loop is used on that one; between loops use weir::cross or loop::post\\(\\): "
    "tasks of loop 'main' have waited for it, and it is used on a thread that runs no loop";
constexpr const char* said_of_a_loop =
    "tasks of loop 'main' have waited for it, and it is used on loop 'second'";

TEST_F(WrongThreadDeathTest, an_event_that_nobody_waits_for_any_more) {
  event happened;
  const auto wait = [&]() -> task<> { co_await happened.wait(); };
  const auto set = [&] { happened.set(); };
  EXPECT_DEATH(use_after_a_wait(wait, set, a_thread, set), said_of_a_thread);
  EXPECT_DEATH(use_after_a_wait(wait, set, a_loop, set), said_of_a_loop);
  EXPECT_DEATH(use_after_a_wait(wait, set, a_thread, [&] { happened.is_set(); }), said_of_a_thread);
}

TEST_F(WrongThreadDeathTest, an_auto_event_that_nobody_waits_for_any_more) {
  auto_event happened;
  const auto wait = [&]() -> task<> { co_await happened.wait(); };
  const auto set = [&] { happened.set(); };
  EXPECT_DEATH(use_after_a_wait(wait, set, a_thread, set), said_of_a_thread);
}

TEST_F(WrongThreadDeathTest, a_condition_that_nobody_waits_for_any_more) {
  condition changed;
  const auto wait = [&]() -> task<> { co_await changed.wait(); };
  const auto notify = [&] { changed.notify_all(); };
  EXPECT_DEATH(use_after_a_wait(wait, notify, a_thread, notify), said_of_a_thread);
  EXPECT_DEATH(use_after_a_wait(wait, notify, a_loop, notify), said_of_a_loop);
}

TEST_F(WrongThreadDeathTest, a_channel_that_nobody_waits_for_any_more) {
  auto [to, from] = channel<int>(4);
  const auto wait = [&in = from]() -> task<> { std::ignore = co_await in.receive(); };
  const auto send = [&out = to] {
    int item = 1;
    std::ignore = out.try_send(item);
  };
  EXPECT_DEATH(use_after_a_wait(wait, send, a_thread, send), said_of_a_thread);
  EXPECT_DEATH(use_after_a_wait(wait, send, a_loop, send), said_of_a_loop);
  EXPECT_DEATH(
      use_after_a_wait(wait, send, a_thread, [&in = from] { std::ignore = in.try_receive(); }),
      said_of_a_thread);
  EXPECT_DEATH(use_after_a_wait(wait, send, a_thread, [&out = to] { out.close(); }),
               said_of_a_thread);
}

TEST_F(WrongThreadDeathTest, a_channel_in_which_another_loops_task_would_have_to_wait) {
  auto [to, from] = channel<int>(1);
  EXPECT_DEATH(testing::run_virtual([](sender<int>& out, receiver<int>& in) -> task<> {
                 co_await with_scope([&](scope& s) -> task<> {
                   s.spawn([&]() -> task<> { std::ignore = co_await in.receive(); });
                   co_await yield();
                   co_await out.send(1);
                 });
                 co_await out.send(2);
                 on_another_loop([&]() -> task<> { co_await out.send(3); });
               }(to, from)),
               said_of_a_loop);
}

TEST_F(WrongThreadDeathTest, a_watch_that_nobody_waits_for_any_more) {
  auto [to, from] = watch<int>(0);
  const auto wait = [&in = from]() -> task<> { std::ignore = co_await in.changed(); };
  const auto set = [&out = to] { out.set(1); };
  EXPECT_DEATH(use_after_a_wait(wait, set, a_thread, set), said_of_a_thread);
}

TEST_F(WrongThreadDeathTest, a_broadcast_that_nobody_waits_for_any_more) {
  broadcast_sender<int> to = broadcast<int>(4);
  auto from = to.subscribe();
  const auto wait = [&]() -> task<> { std::ignore = co_await from.receive(); };
  const auto send = [&] { to.send(1); };
  EXPECT_DEATH(use_after_a_wait(wait, send, a_thread, send), said_of_a_thread);
}

TEST_F(WrongThreadDeathTest, a_mutex_that_nobody_waits_for_any_more) {
  mutex door;
  std::optional<mutex::guard> held = door.try_lock();
  const auto wait = [&]() -> task<> { std::ignore = co_await door.lock(); };
  EXPECT_DEATH(use_after_a_wait(
                   wait, [&] { held.reset(); }, a_thread, [&] { std::ignore = door.try_lock(); }),
               said_of_a_thread);
}

TEST_F(WrongThreadDeathTest, a_shared_mutex_that_nobody_waits_for_any_more) {
  shared_mutex door;
  auto held = door.try_lock();
  const auto wait = [&]() -> task<> { std::ignore = co_await door.lock_shared(); };
  EXPECT_DEATH(
      use_after_a_wait(
          wait, [&] { held.reset(); }, a_thread, [&] { std::ignore = door.try_lock_shared(); }),
      said_of_a_thread);
}

TEST_F(WrongThreadDeathTest, a_semaphore_that_nobody_waits_for_any_more) {
  semaphore places(1);
  auto taken = places.try_acquire();
  const auto wait = [&]() -> task<> { std::ignore = co_await places.acquire(); };
  EXPECT_DEATH(
      use_after_a_wait(
          wait, [&] { taken.reset(); }, a_thread, [&] { std::ignore = places.try_acquire(); }),
      said_of_a_thread);
}

TEST_F(WrongThreadDeathTest, a_latch_and_a_barrier_that_nobody_waits_for_any_more) {
  latch done(1);
  EXPECT_DEATH(use_after_a_wait([&]() -> task<> { co_await done.wait(); },
                                [&] { done.count_down(); }, a_thread, [&] { done.count(); }),
               said_of_a_thread);
  barrier meeting(2);
  EXPECT_DEATH(
      use_after_a_wait([&]() -> task<> { std::ignore = co_await meeting.arrive_and_wait(); },
                       [&] { meeting.drop(); }, a_thread, [&] { meeting.meetings(); }),
      said_of_a_thread);
}

TEST_F(WrongThreadDeathTest, a_rate_limiter_that_nobody_waits_for_any_more) {
  rate_limiter pace({.tokens = 1, .per = 1_s, .burst = 1});
  EXPECT_DEATH(use_after_a_wait(
                   [&]() -> task<> {
                     co_await pace.acquire();
                     co_await pace.acquire();
                   },
                   [] {}, a_loop, [&] { std::ignore = pace.try_acquire(); }),
               said_of_a_loop);
}

TEST(WrongThread, may_have_what_no_task_has_waited_for) {
  testing::run_virtual([]() -> task<> {
    auto [to, from] = channel<int>(4);
    co_await to.send(1);
    std::optional<int> got;
    on_another_loop([&got, in = std::move(from)]() mutable -> task<> {
      receiver<int> mine = std::move(in);
      got = co_await mine.receive();
    });
    EXPECT_EQ(got, 1);
  }());
}

TEST(WrongThread, may_have_what_an_ended_loop_has_waited_for) {
  auto [to, from] = channel<int>(4);
  on_another_loop([&out = to, &in = from]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { std::ignore = co_await in.receive(); });
      co_await yield();
      co_await out.send(1);
    });
  });
  int item = 2;
  EXPECT_TRUE(to.try_send(item));
  testing::run_virtual(
      [](receiver<int>& in) -> task<> { EXPECT_EQ(co_await in.receive(), 2); }(from));
}

TEST(WrongThread, is_not_the_loops_own_between_two_turns) {
  virtual_driver driver;
  loop on(driver, {});
  event happened;
  on.root().spawn([&]() -> task<> { co_await happened.wait(); });
  on.run_turn_now();
  EXPECT_FALSE(happened.is_set());
  EXPECT_EQ(happened.stats().waiting, 1);
  on.cancel_between_turns("seen");
  on.run();
}

TEST(WrongThread, is_told_from_the_loops_own_while_it_runs) {
  loop* on = nullptr;
  testing::run_virtual([](loop** out) -> task<> {
    *out = loop::current();
    EXPECT_TRUE(loop::current()->is_on_this_thread());
    bool is_there = true;
    on_another_thread([&] { is_there = (*out)->is_on_this_thread(); });
    EXPECT_FALSE(is_there);
    co_return;
  }(&on));
}

}  // namespace
}  // namespace weir::wrong_thread_test

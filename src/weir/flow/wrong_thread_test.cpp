// What belongs to one loop, used on a thread that is not the loop's: stopped with a text that says
// what to do, before anything is torn.
#include <weir/core.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/testing/escape_guard.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <thread>
#include <tuple>

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

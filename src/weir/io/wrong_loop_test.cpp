// Sockets and files belong to the loop that made them: on another one a wait on them is stopped
// before it begins.
#include <weir/io/file.hpp>
#include <weir/io/other_loop_test.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/explore.hpp>
#include <weir/sim/node_kit_test.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <tuple>

namespace weir::wrong_loop_test {
namespace {

using namespace weir::literals;

class WrongLoopDeathTest : public ::testing::Test {
 protected:
  WrongLoopDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

constexpr const char* said = other_loop_said;

// Opens something on the test's loop and uses it in a task of another.
template <class Open, class Use>
task<> use_on_another_loop(Open open, Use use) {
  auto opened = co_await open();
  co_await on_another_loop([&]() -> task<> { co_await use(&opened); });
}

TEST_F(WrongLoopDeathTest, accepting_there_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual(use_on_another_loop(
                   []() -> task<listener> { co_return co_await listen({}); },
                   [](listener* door) -> task<> { std::ignore = co_await door->accept(); })),
               said);
}

TEST_F(WrongLoopDeathTest, sending_there_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 listener door = co_await listen({});
                 co_await use_on_another_loop(
                     [&]() -> task<socket> { co_return co_await connect(door.local()); },
                     [](socket* peer) -> task<> { co_await peer->send("x"); });
               }()),
               said);
}

TEST_F(WrongLoopDeathTest, reading_a_file_there_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual(use_on_another_loop(
                   [] { return open_file("data", {.write = true, .create = true}); },
                   [](file* data) -> task<> {
                     char memory[4];
                     std::ignore = co_await data->read_at(0, memory);
                   })),
               said);
}

// A static variable, as a program's pool of connections may be: it is there in the next run, too.
socket& kept() {
  static socket one;
  return one;
}
task<> keep_a_socket() {
  listener door = co_await listen({});
  kept() = co_await connect(door.local());
}
task<> use_what_was_kept() { co_await kept().send("x"); }

virtual_run_options world_of(std::uint64_t seed) {
  return {.world = {.seed = seed}, .may_leave_handles = true};
}

TEST_F(WrongLoopDeathTest, using_a_socket_of_an_ended_world_stops_the_process_with_both_worlds) {
  EXPECT_DEATH(
      {
        testing::run_virtual(keep_a_socket(), world_of(5));
        testing::run_virtual(use_what_was_kept(), world_of(6));
      },
      "fd [0-9]+ of world [0-9]+ .seed 5., which has ended, is used in world [0-9]+ .seed 6.");
}

TEST_F(WrongLoopDeathTest, using_a_socket_of_an_explorers_run_in_another_names_both_runs) {
  struct program final : explored_program {
    WEIR_CORO_WRAPPER task<> body() override {
      return kept() ? use_what_was_kept() : keep_a_socket();
    }
  };
  EXPECT_DEATH(
      {
        program one;
        explorer with(one, {.run = {.may_leave_handles = true}});
        with.run({.how = strategy::pos, .seed = 7});
        with.run({.how = strategy::pos, .seed = 8});
      },
      "of world [0-9]+ .run 1, pos:7., which has ended, is used in world [0-9]+ .run 2, pos:8.");
}

class WrongMachineDeathTest : public contract::two_machines {
 protected:
  WrongMachineDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(WrongMachineDeathTest, using_a_socket_of_another_machine_names_both) {
  EXPECT_DEATH(
      {
        start(near, []() -> task<> {
          co_await keep_a_socket();
          co_await sleep(1_h);
        });
        start(far, []() -> task<> {
          co_await sleep(1_s);
          co_await use_what_was_kept();
        });
        all.run_until(all.now() + 2_s);
      },
      "of world [0-9]+ .machine 'near'. is used in world [0-9]+ .machine 'far'.");
}

TEST(EndedWorld, a_socket_that_was_left_there_closes_nothing_in_the_next_one) {
  for (int i = 0; i < 20; ++i) {
    testing::run_virtual(keep_a_socket(), world_of(5));
    testing::run_virtual([]() -> task<> {
      listener door = co_await listen({});
      socket one = co_await connect(door.local());
      socket other = co_await door.accept();
      kept() = {};  // it had the number of one of them
      co_await one.send("x");
      EXPECT_EQ((co_await other.receive()).text(), "x");
    }());
  }
}

}  // namespace
}  // namespace weir::wrong_loop_test

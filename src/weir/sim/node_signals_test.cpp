// What a signal does to the program of a machine. Those of child processes are in
// virtual_processes_test.cpp, and what wait_signal() makes of them in io/signals_contract_test.cpp.
#include <weir/core.hpp>
#include <weir/io/file.hpp>
#include <weir/io/signals.hpp>
#include <weir/sim/node_kit_test.hpp>

#include <gtest/gtest.h>
#include <signal.h>

namespace weir::node_signals_test {
namespace {

using namespace weir::literals;

class NodeSignals : public contract::two_machines {
 protected:
  contract::program& counter() {
    return add([this]() -> task<> {
      for (;; ++ticks) co_await sleep(10_ms);
    });
  }
  contract::program& listener() {
    return add([this]() -> task<> {
      co_await wait_signal(SIGTERM);
      ++heard;
    });
  }

  int ticks = 0;
  int heard = 0;
};

TEST_F(NodeSignals, that_a_program_has_not_waited_for_end_it_without_its_cleanup) {
  near.signal(SIGTERM);  // nobody is there
  start(near, []() -> task<> {
    co_await with_cleanups([](cleanups& at_end) -> task<> {
      at_end.defer_async([]() -> task<> {
        static_cast<void>(co_await open_file("/farewell", {.write = true, .create = true}));
      });
      co_await sleep(1_h);
    });
  });
  all.run_for(1_s);
  near.signal(SIGTERM);
  EXPECT_FALSE(near.is_running());
  EXPECT_TRUE(near.has_ended());
  EXPECT_EQ(near.world().death(), SIGTERM);
  EXPECT_EQ(near.outcome().failure, "the program has died of signal 15");
  EXPECT_FALSE(near.world().disk().content_of("/farewell"));
  EXPECT_TRUE(near.is_on()) << "its kernel goes on";
}

TEST_F(NodeSignals, that_are_ignored_as_a_rule_do_nothing_to_a_program) {
  near.start(counter());
  near.signal(SIGCHLD);
  near.signal(SIGCONT);
  all.run_for(95_ms);
  EXPECT_TRUE(near.is_running());
  EXPECT_EQ(ticks, 9);
}

TEST_F(NodeSignals, are_heard_by_the_program_that_waits_and_unknown_to_the_next_one) {
  near.start(listener());
  all.run_for(1_s);
  near.signal(SIGTERM);
  all.run_for(1_s);
  EXPECT_EQ(heard, 1);
  expect_ended_well(near);
  near.start(listener());
  near.signal(SIGTERM);  // before its first turn
  EXPECT_EQ(near.world().death(), SIGTERM);
  near.start(listener());
  EXPECT_EQ(near.world().death(), 0);
  all.run_for(1_s);
  EXPECT_TRUE(near.is_running()) << "none is pending";
}

TEST_F(NodeSignals, that_a_program_sends_itself_end_it_with_this_turn) {
  start(near, [this]() -> task<> {
    near.world().raise_signal(SIGABRT);
    co_await sleep(1_ms);
    ++ticks;
  });
  all.run_for(1_s);
  EXPECT_TRUE(near.has_ended());
  EXPECT_EQ(near.world().death(), SIGABRT);
  EXPECT_EQ(ticks, 0);
}

TEST_F(NodeSignals, stop_a_program_and_let_it_go_on) {
  near.start(counter());
  all.run_for(95_ms);
  near.signal(SIGTSTP);
  all.run_for(1_s);
  EXPECT_EQ(ticks, 9);
  near.signal(SIGCONT);
  all.run_for(100_ms);
  EXPECT_GT(ticks, 9);
  EXPECT_TRUE(near.is_running());
}

TEST_F(NodeSignals, end_a_stopped_program_when_it_would_go_on) {
  near.start(counter());
  near.signal(SIGSTOP);
  near.signal(SIGTERM);
  all.run_for(1_s);
  EXPECT_TRUE(near.is_running());
  near.signal(SIGCONT);
  all.run_for(1_s);
  EXPECT_EQ(near.world().death(), SIGTERM);
  EXPECT_TRUE(near.has_ended());
  EXPECT_EQ(ticks, 0);
}

TEST_F(NodeSignals, end_a_stopped_program_at_once_if_it_is_sigkill) {
  near.start(counter());
  near.signal(SIGSTOP);
  near.signal(SIGKILL);
  EXPECT_TRUE(near.has_ended());
  EXPECT_EQ(near.world().death(), SIGKILL);
}

}  // namespace
}  // namespace weir::node_signals_test

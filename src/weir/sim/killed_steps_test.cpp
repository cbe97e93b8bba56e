// What a program that is killed before its first step does: nothing.
#include <weir/core.hpp>
#include <weir/io/child_host.hpp>
#include <weir/sim/node_kit_test.hpp>
#include <weir/sim/virtual_processes.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace weir::killed_steps_test {
namespace {

using namespace weir::literals;
using testing::world;

class KilledSteps : public contract::two_machines {};

TEST_F(KilledSteps, of_a_program_that_has_not_begun_are_none) {
  int begun = 0;
  const auto kept = std::make_shared<int>(7);
  const auto start_it = [&] {
    start(near, [&begun, kept] WEIR_CORO_WRAPPER {
      return [](int* to, std::shared_ptr<int>) -> task<> {
        ++*to;
        co_await sleep(1_h);
      }(&begun, kept);
    });
    programs.pop_back();  // the coroutine has its own
    EXPECT_EQ(kept.use_count(), 2);
  };
  start_it();
  near.kill();
  EXPECT_EQ(kept.use_count(), 1) << "its frame is gone";
  start_it();
  near.cut_power();
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_EQ(begun, 0);
}

TEST_F(KilledSteps, of_a_program_that_has_begun_are_its_cleanup) {
  bool has_ended = false;
  start(near, [&has_ended]() -> task<> {
    co_await with_cleanups([&](cleanups& after) -> task<> {
      after.defer_async([&]() -> task<> {
        co_await with_scope([&](scope& s) -> task<> {  // what begins only now does begin
          s.spawn([&]() -> task<> {
            has_ended = true;
            co_return;
          });
          co_await s.join();
        });
      });
      co_await sleep(1_h);
    });
  });
  all.run_for(1_s);
  near.kill();
  EXPECT_TRUE(has_ended);
}

WEIR_TEST("a child process that is killed before its first step does none") {
  int begun = 0;
  world().processes().install("/bin/idle", [&](virtual_process&) -> task<int> {
    ++begun;
    co_await sleep(1_h);
    co_return 0;
  });
  child_plan plan;
  plan.program = "idle";
  plan.arguments = {"idle"};
  plan.wants_end = false;
  child_host& children = *loop::current()->io().children();
  children.reap_child(children.start_child(plan).pid);
  co_await sleep(1_s);
  EXPECT_EQ(begun, 0);
  EXPECT_EQ(world().processes().left(), "");
}

}  // namespace
}  // namespace weir::killed_steps_test

// Calls from one loop to another whose turns the test gives by hand: one step and one timer a turn,
// each loop on a clock of its own. So the test chooses what meets what, which is seldom in a run.
#include <weir/core.hpp>

#include <weir/base/log.hpp>
#include <weir/core/core_group.hpp>
#include <weir/core/log_field.hpp>
#include <weir/core/log_listener_test.hpp>
#include <weir/testing/allocations.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>

#include <cstdint>
#include <new>
#include <optional>

namespace weir::core_calls_test {
namespace {

using namespace weir::literals;
using ::testing::HasSubstr;

constexpr int enough = 40;  // turns, for all that can happen without time

struct side {
  void turns(int count) {
    for (int i = 0; i < count; ++i) on.run_turn();
  }
  void pass(duration length) {
    virtual_clock& clock = driver.world().clock();
    clock.advance_to(clock.now() + length);
  }

  virtual_driver driver{virtual_options{.is_led = true}};
  loop on{driver, {.turn_steps_max = 1}};
};

task<> stay() { co_await sleep(1_h); }
task<> be_busy() {
  while (true) co_await yield();
}

/// A core, which is `away`, and a loop that calls it. What begins away has its first step in the
/// turn after: another task is always ready before it.
class core_and_caller {
 public:
  core_and_caller() {
    away.on.root().spawn([](core_and_caller* all) -> task<> { co_await all->group.run(0, stay()); },
                         this);
    away.on.root().spawn(be_busy);
    away.turns(enough);
  }
  core_and_caller(const core_and_caller&) = delete;
  core_and_caller& operator=(const core_and_caller&) = delete;
  ~core_and_caller() {
    away.on.cancel_between_turns("the test is over");
    settle();
  }

  void settle() {
    for (int i = 0; i < enough; ++i) {
      away.turns(1);
      home.turns(1);
    }
  }
  /// Until the core has begun the call and given it no step.
  void begin_call() {
    home.turns(enough);
    EXPECT_EQ(group.stats(0).waiting, 1u);
    away.turns(1);
    EXPECT_EQ(group.stats(0).begun, 1u);
  }

  core_group group{1};
  side away;
  side home;
};

/// A call in a scope of its own, and what became of them.
struct caller {
  template <class F>
  void spawn(F f, scope_options options = {}) {
    all.home.on.root().spawn(
        [](caller* self, scope_options with, F function) -> task<> {
          try {
            self->end = co_await with_scope(with, [&](scope& s) -> task<> {
              self->inside = &s;
              try {
                co_await self->all.group.call(0, function);
                self->has_returned = true;
              } catch (const exception& e) {
                self->error = e.reason().code();
              } catch (const std::bad_alloc&) {
                self->has_lacked_memory = true;
              }
            });
          } catch (const error_group&) {
            ADD_FAILURE() << "nothing is left to raise";
          }
        },
        this, options, std::move(f));
  }
  bool has_ended() const { return end.has_value(); }

  core_and_caller& all;
  scope* inside = nullptr;
  bool has_returned = false;
  bool has_lacked_memory = false;
  std::optional<errc> error = {};
  std::optional<scope_end> end = {};
};

TEST(core_calls, one_that_is_cancelled_after_it_began_and_before_its_first_step_does_not_happen) {
  core_and_caller all;
  caller one{all};
  int ran = 0;
  one.spawn([&] { ++ran; });
  all.begin_call();
  all.home.on.post([&] { one.inside->cancel("the caller leaves"); });
  all.home.turns(enough);
  EXPECT_FALSE(one.has_ended()) << "it waits for the answer";
  all.settle();
  ASSERT_TRUE(one.has_ended());
  EXPECT_TRUE(one.end->was_cut_short());
  EXPECT_EQ(ran, 0);
  EXPECT_FALSE(one.has_returned);
  EXPECT_EQ(all.group.stats(0).begun, 0u);
}

TEST(core_calls, one_whose_core_is_cancelled_before_its_first_step_hears_closed) {
  core_and_caller all;
  caller one{all};
  int ran = 0;
  one.spawn([&] { ++ran; });
  all.begin_call();
  all.away.on.cancel_between_turns("the core ends");
  all.settle();
  ASSERT_TRUE(one.has_ended());
  EXPECT_EQ(one.error, errc::closed) << "so it did not happen";
  EXPECT_EQ(ran, 0);
}

TEST(core_calls, one_for_which_the_core_has_no_memory_raises_bad_alloc_and_the_core_serves_on) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "not under ThreadSanitizer";
  std::uint64_t nth = 0;
  for (bool has_struck = true; has_struck;) {
    core_and_caller all;
    caller one{all};
    one.spawn([] {});
    all.home.turns(enough);
    {
      const testing::failing_allocation lack(++nth);
      all.away.turns(enough);
      has_struck = lack.has_struck();
    }
    all.settle();
    ASSERT_TRUE(one.has_ended());
    EXPECT_EQ(one.has_lacked_memory, has_struck) << nth;
    EXPECT_EQ(one.has_returned, !has_struck) << nth;
    EXPECT_FALSE(one.error) << nth;
    caller next{all};
    next.spawn([] {});
    all.settle();
    EXPECT_TRUE(next.has_returned) << nth;
  }
  EXPECT_GT(nth, 2u) << "of the task, and of what it runs";
}

/// The loop at home looks at the answer while the timer of the caller's deadline, which is due,
/// too, is behind another one.
void end_by_a_deadline_over_there(bool begins, int* ran, caller& one) {
  core_and_caller& all = one.all;
  all.home.on.root().spawn([]() -> task<> { co_await sleep(20_us); });
  all.home.turns(2);
  one.spawn(
      [ran]() -> task<> {
        ++*ran;
        co_await sleep(1_h);
      },
      {.timeout = 20_us});
  all.begin_call();
  if (begins) all.away.turns(enough);
  all.away.pass(20_us);
  all.away.turns(enough);
  EXPECT_EQ(all.group.stats(0).begun, 0u);
  all.home.pass(20_us);
  all.home.turns(enough);
}

TEST(core_calls, one_that_its_deadline_ends_over_there_first_cuts_short_the_scope_here) {
  for (const bool begins : {true, false}) {
    core_and_caller all;
    caller one{all};
    int ran = 0;
    end_by_a_deadline_over_there(begins, &ran, one);
    EXPECT_EQ(ran, begins ? 1 : 0);
    ASSERT_TRUE(one.has_ended());
    EXPECT_EQ(one.end->reason.kind, cancel_kind::deadline);
    EXPECT_TRUE(one.end->was_cut_short());
    EXPECT_FALSE(one.error) << "no failure of the call";
  }
}

TEST(core_calls, one_keeps_the_deadline_with_which_it_was_made) {
  core_and_caller all;
  caller one{all};
  one.spawn(stay, {.timeout = 20_us});
  all.begin_call();
  all.home.on.post([&] { one.inside->set_deadline(time_point::never()); });
  all.home.turns(enough);
  all.away.pass(20_us);
  all.settle();
  ASSERT_TRUE(one.has_ended());
  EXPECT_EQ(one.error, errc::timed_out);
  EXPECT_FALSE(one.end->is_cancel_called());
}

TEST(core_calls, what_is_logged_in_one_has_the_fields_of_its_caller) {
  core_and_caller all;
  testing::log_listener heard;
  const auto ask = [](core_and_caller* of) -> task<> {
    co_await of->group.call(0, [] { log::info("there"); });
    log::info("here");
  };
  all.home.on.root().spawn([&]() -> task<> {
    co_await with_log_field("tenant", "ada", with_log_field("request", "7", ask(&all)));
  });
  all.settle();
  EXPECT_THAT(heard.lines, ::testing::ElementsAre(HasSubstr("there request=7 tenant=ada"),
                                                  HasSubstr("here request=7 tenant=ada")));
}

}  // namespace
}  // namespace weir::core_calls_test

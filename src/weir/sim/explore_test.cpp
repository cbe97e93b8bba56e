#include <weir/sim/explore.hpp>

#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/io/file.hpp>
#include <weir/sim/explored_kit_test.hpp>
#include <weir/sim/internal/no_end.hpp>
#include <weir/sim/shrink.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace weir::explore_test {
namespace {

using namespace weir::literals;

using sim_test::program;

task<> append(std::string* to, char what) {
  to->push_back(what);
  co_return;
}

// Fails in one order of six: "cba", which takes two switches.
task<> last_of_six(std::string* wrong) {
  std::string order;
  co_await with_scope([&](scope& s) -> task<> {
    for (const char c : {'a', 'b', 'c'}) s.spawn(append, &order, c);
    co_await s.join();
  });
  if (order == "cba") *wrong = order;
}

task<> add_one(int* count) {
  const int read = *count;
  co_await checkpoint();  // an await that need not wait, and so a schedule point
  *count = read + 1;
}

task<> lost_update(std::string* wrong) {
  int count = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) s.spawn(add_one, &count);
    co_await s.join();
  });
  if (count != 3) *wrong = "an update was lost";
}

task<> lock_both(mutex* first, mutex* second) {
  const auto one = co_await first->lock();
  const auto two = co_await second->lock();
}

task<> lock_both_late(mutex* first, mutex* second) {
  const auto one = co_await first->lock();
  co_await sleep(1_ms);
  const auto two = co_await second->lock();
}

task<> ab_ba(std::string*) {
  mutex accounts("accounts");
  mutex audit("audit");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(lock_both, &accounts, &audit);
    s.spawn(lock_both, &audit, &accounts);
    co_await s.join();
  });
}

task<> passes(std::string*) {
  co_await sleep(1_h);
  co_await yield();
}

TEST(ChoiceLog, is_text_and_back) {
  const choice_log log{{{.kind = choice_kind::task, .index = 3, .value = 1},
                        {.kind = choice_kind::program, .index = 0, .value = UINT64_MAX},
                        {.kind = choice_kind::knob, .index = 7, .value = 2},
                        {.kind = choice_kind::select, .index = 1, .value = 4, .machine = 12}}};
  EXPECT_EQ(log.text(), "t3=1,p0=18446744073709551615,k7=2,s1@12=4");
  const auto parsed = choice_log::parse(log.text());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->exceptions, log.exceptions);
  EXPECT_TRUE(choice_log::parse(""));
  for (const char* bad : {"t", "t=1", "t1", "z1=1", "t1=", "t1=x", "t1=1,", "t4294967296=1",
                          "t1@=1", "t1@x=1", "t@1=1", "t1@10001=1", "t1=1,t2=1,t1=2"}) {
    EXPECT_FALSE(choice_log::parse(bad)) << bad;
  }
  EXPECT_TRUE(choice_log::parse("t1=1,t1@2=1,x1=1"));
}

TEST(RunName, is_text_and_back) {
  for (const char* text : {"fifo", "pos:17", "pct3:0", "log:t3=1,s0=2", "log:"}) {
    const auto name = run_name::parse(text);
    ASSERT_TRUE(name) << text;
    EXPECT_EQ(name->text(), text);
  }
  for (const char* text : {"", "pos", "pos:x", "best:1", "log:q1=1", "log"}) {
    EXPECT_FALSE(run_name::parse(text)) << text;
  }
}

TEST(Choices, of_one_kind_do_not_move_those_of_another) {
  choices one(7);
  choices other(7);
  for (int i = 0; i < 100; ++i) static_cast<void>(other.below(choice_kind::transfer, 10));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(one.below(choice_kind::task, 1000), other.below(choice_kind::task, 1000));
  }
}

TEST(Choices, replayed_from_a_record_are_the_same_and_plain_beyond_it) {
  choices first(3);
  first.record_next();
  first.restart(3);
  std::vector<std::uint64_t> drawn;
  for (int i = 0; i < 20; ++i) drawn.push_back(first.below(choice_kind::disk, 5));
  const std::uint64_t bits = first.bits(choice_kind::program);
  choices second(0);
  second.replay(first.take_record());
  for (const std::uint64_t one : drawn) EXPECT_EQ(second.below(choice_kind::disk, 5), one);
  EXPECT_EQ(second.below(choice_kind::disk, 5), 0u);
  EXPECT_EQ(second.bits(choice_kind::program), bits);
  EXPECT_NE(second.bits(choice_kind::program), 0u) << "zeros would hang many a generator";
}

TEST(Explore, finds_each_fault_with_each_strategy_but_the_one_in_order) {
  for (auto* body : {&last_of_six, &lost_update, &ab_ba}) {
    program one(body);
    EXPECT_FALSE(explore(one, {.schedules = 0}).failure) << "in order it passes";
    for (std::size_t how = 1; how < strategy_count; ++how) {
      const auto only = static_cast<strategy>(how);
      const exploration made = explore(one, {.schedules = 1000, .only = only});
      ASSERT_TRUE(made.failure) << name(only);
      EXPECT_TRUE(made.failure->has_repeated);
    }
  }
}

constexpr int crowd_size = 1'500;

task<> go_thrice(int* turns) {
  for (int i = 0; i < 3; ++i) {
    ++*turns;
    co_await checkpoint();
    co_await yield();
  }
}

task<> crowd(std::string* wrong) {
  std::vector<int> turns(crowd_size);
  co_await with_scope([&](scope& s) -> task<> {
    for (int& mine : turns) s.spawn(go_thrice, &mine);
    co_await s.join();
  });
  if (std::ranges::count(turns, 3) != crowd_size) *wrong = "somebody had no turn";
}

TEST(Explore, has_room_for_more_ready_tasks_than_its_line_begins_with) {
  program one(&crowd);
  explorer with(one, {});
  for (std::size_t i = 0; i < strategy_count; ++i) {
    const run_name which{.how = static_cast<strategy>(i), .seed = 7};
    EXPECT_FALSE(with.run(which).is_failed) << which.text();
    EXPECT_EQ(with.part_of_two(which), "");
  }
}

TEST(Explore, shrinks_to_the_least_number_of_switches) {
  program order(&last_of_six);
  const exploration two = explore(order);
  ASSERT_TRUE(two.failure);
  EXPECT_LE(two.failure->shrunk.exceptions.size(), 2u) << two.failure->shrunk.text();
  program update(&lost_update);
  const exploration one = explore(update);
  ASSERT_TRUE(one.failure);
  EXPECT_EQ(one.failure->shrunk.exceptions.size(), 1u) << one.failure->shrunk.text();
}

TEST(Explore, replays_a_failure_from_its_seed_and_from_its_log) {
  program one(&lost_update);
  const exploration made = explore(one);
  ASSERT_TRUE(made.failure);
  explorer again(one, {});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(again.run(made.failure->found).is_failed);
    EXPECT_TRUE(again.run({.log = made.failure->shrunk}).is_failed);
    EXPECT_FALSE(again.run({.log = choice_log{}}).is_failed);
  }
}

TEST(Explore, tells_the_switches_and_shows_both_runs_side_by_side) {
  program one(&lost_update);
  const exploration made = explore(one);
  ASSERT_TRUE(made.failure);
  const std::string& words = made.failure->words;
  EXPECT_NE(words.find("stops and task"), std::string::npos) << words;
  EXPECT_NE(words.find("explore_test.cpp:"), std::string::npos) << words;
  const std::string& timeline = made.failure->timeline;
  EXPECT_NE(timeline.find("in order"), std::string::npos) << timeline;
  EXPECT_NE(timeline.find(" * "), std::string::npos) << timeline;
  EXPECT_NE(timeline.find("add_one"), std::string::npos) << timeline;
}

TEST(Explore, a_deadlock_is_an_outcome_with_the_graph_of_who_waits_for_whom_L4) {
  program one(&ab_ba);
  const exploration made = explore(one);
  ASSERT_TRUE(made.failure);
  EXPECT_EQ(made.failure->outcome.how, run_failure::deadlock);
  const std::string& text = made.failure->outcome.failure;
  EXPECT_NE(text.find("waits for mutex audit"), std::string::npos) << text;
  EXPECT_NE(text.find("held by task"), std::string::npos) << text;
  EXPECT_NE(text.find("in a circle: task"), std::string::npos) << text;
}

TEST(Explore, a_record_of_a_guided_seed_is_that_of_its_run_also_when_it_is_the_first) {
  for (const strategy how : {strategy::pct2, strategy::pct3, strategy::urw}) {
    program one(&lost_update);
    const run_name which{.how = how, .seed = 4};
    explorer at_first(one, {});
    const choice_log log = at_first.record(which);
    explorer later(one, {});
    later.run(which);
    EXPECT_EQ(log.text(), later.record(which).text()) << name(how);
  }
}

task<> spins(std::string*) {
  for (int turn = 0; turn >= 0; turn = (turn + 1) % 2) co_await yield();
}

TEST(Explore, a_run_without_end_is_ended_and_fails_L5) {
  program one(&spins);
  explorer with(one, {});
  with.limit_steps(10'000);
  EXPECT_EQ(with.run({.how = strategy::pos, .seed = 1}).how, run_failure::no_end);
}

TEST(Explore, a_run_without_end_is_told_with_the_tasks_that_are_left) {
  program one(&spins);
  explorer with(one, {});
  with.limit_steps(10'000);
  const std::string told = with.run({}).failure;
  EXPECT_NE(told.find("the run has no end: after 10000 steps these tasks"), std::string::npos)
      << told;
  EXPECT_NE(told.find("spins(std::string *) at"), std::string::npos) << told;
  EXPECT_NE(told.find("explore_test.cpp:"), std::string::npos) << told;
}

task<> ticks_for_ever() {
  for (;;) co_await sleep(1_s);
}

TEST(Explore, a_deadlock_beside_what_goes_on_for_ever_is_told_with_its_circle) {
  program one([](std::string*) -> task<> {
    mutex accounts("accounts");
    mutex audit("audit");
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(lock_both_late, &accounts, &audit);
      s.spawn(lock_both_late, &audit, &accounts);
      s.spawn(ticks_for_ever);
      co_await s.join();
    });
  });
  explorer with(one, {});
  with.limit_steps(1'000);
  const virtual_outcome& outcome = with.run({});
  EXPECT_EQ(outcome.how, run_failure::no_end);
  for (const char* part : {"these tasks still have something to do", "wait for each other",
                           "held by task", "in a circle: task"}) {
    EXPECT_NE(outcome.failure.find(part), std::string::npos) << part << "\n" << outcome.failure;
  }
}

TEST(Explore, a_run_without_end_that_fails_in_order_is_made_no_more_often_than_needed) {
  program one(&spins);
  explorer with(one, {.schedules = 1});
  with.limit_steps(10'000);
  const exploration made = explore(with, {.schedules = 1});
  ASSERT_TRUE(made.failure);
  EXPECT_EQ(made.failure->shrunk.text(), "");
  EXPECT_EQ(with.runs(), 3u) << "found, recorded and told";
}

task<> spins_under_a_shield(std::string* wrong) { co_await shield(spins(wrong)); }

TEST(DeathTest, a_run_without_end_under_a_shield_ends_the_process) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        program one(&spins_under_a_shield);
        explorer with(one, {});
        with.limit_steps(10'000);
        with.run({});
      },
      "the run has no end: it was cancelled, and goes on after 11001 steps(.|\n)*spins");
}

task<> writes_for_ever() {
  file note = co_await open_file("/note", {.write = true, .create = true});
  for (;;) co_await note.write_at(0, "again");
}

TEST(Run, without_a_schedule_and_without_end_fails_with_the_tasks_that_are_left) {
  const std::uint64_t usual = std::exchange(detail::run_operations_max, 400'000);
  const virtual_outcome outcome = run_outcome(writes_for_ever());
  detail::run_operations_max = usual;
  EXPECT_EQ(outcome.how, run_failure::no_end);
  EXPECT_NE(outcome.failure.find(" operations these tasks"), std::string::npos) << outcome.failure;
  EXPECT_NE(outcome.failure.find("writes_for_ever() at"), std::string::npos) << outcome.failure;
}

// Waits by yielding for another task, which a strategy that never yields would starve.
task<> set_flag(bool* flag) {
  *flag = true;
  co_return;
}
task<> polls(std::string*) {
  bool flag = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(set_flag, &flag);
    while (!flag) co_await yield();
  });
}

TEST(Explore, no_strategy_starves_a_task_that_another_one_polls_for_L6) {
  program one(&polls);
  const exploration made = explore(one, {.schedules = 300});
  EXPECT_FALSE(made.failure) << made.failure->outcome.failure;
}

TEST(ExploreAll, tries_each_order_once_and_says_when_nothing_is_left) {
  static std::multiset<std::string> seen;
  seen.clear();
  program one([](std::string*) -> task<> {
    std::string order;
    co_await with_scope([&](scope& s) -> task<> {
      for (const char c : {'a', 'b', 'c'}) s.spawn(append, &order, c);
      co_await s.join();
    });
    seen.insert(order);
  });
  const exploration made = explore_all(one, 100, 10'000);
  EXPECT_TRUE(made.is_complete);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 6u);
}

TEST(ExploreAll, with_a_bound_finds_what_needs_so_many_switches_and_not_more) {
  program one(&last_of_six);
  const exploration few = explore_all(one, 1, 10'000);
  EXPECT_TRUE(few.is_complete);
  EXPECT_FALSE(few.failure);
  const exploration enough = explore_all(one, 2, 10'000);
  ASSERT_TRUE(enough.failure);
  EXPECT_EQ(enough.failure->shrunk.exceptions.size(), 2u);
}

TEST(ExploreAll, is_not_complete_where_a_decision_has_more_answers_than_it_tries) {
  program one([](std::string*) -> task<> {
    static_cast<void>(loop::current()->io().random());
    co_return;
  });
  const exploration made = explore_all(one, 1, 100);
  EXPECT_LT(made.runs, 100u) << "it has come to its end";
  EXPECT_FALSE(made.is_complete);
}

TEST(ExploreAll, begins_each_run_by_a_name_that_repeats_it) {
  class counted final : public explored_program {
   public:
    void begins(const run_name& which) override {
      order_.clear();
      names_.insert(which.text());
    }
    WEIR_CORO_WRAPPER task<> body() override { return go(&order_); }
    std::string verdict() override { return order_ == "ba" ? order_ : ""; }
    std::set<std::string> names_;

   private:
    static task<> go(std::string* order) {
      co_await with_scope([&](scope& s) -> task<> {
        for (const char c : {'a', 'b'}) s.spawn(append, order, c);
        co_await s.join();
      });
    }
    std::string order_;
  } one;
  const exploration made = explore_all(one, 1, 100);
  ASSERT_TRUE(made.failure);
  EXPECT_EQ(made.failure->outcome.failure, "ba");
  EXPECT_TRUE(made.failure->has_repeated);
  EXPECT_TRUE(one.names_.contains("log:"));
  EXPECT_TRUE(one.names_.contains(made.failure->found.text()));
  EXPECT_GE(one.names_.size(), made.runs);
}

TEST(Divergence, is_found_with_both_stacks_at_the_first_step_that_differs) {
  static int runs = 0;
  program one([](std::string*) -> task<> {
    co_await yield();
    if (++runs % 2 == 0) co_await yield();  // decided by something outside of the world
    co_await sleep(1_ms);
  });
  const exploration made = explore(one, {.twice_every = 1});
  EXPECT_NE(made.divergence.find("part at step"), std::string::npos) << made.divergence;
  EXPECT_NE(made.divergence.find("explore_test.cpp"), std::string::npos) << made.divergence;
  EXPECT_NE(made.divergence.find("other:"), std::string::npos) << made.divergence;
}

TEST(Divergence, is_not_seen_where_there_is_none) {
  for (auto* body : {&passes, &polls}) {
    program one(body);
    EXPECT_EQ(explore(one, {.schedules = 30, .twice_every = 1}).divergence, "");
  }
}

TEST(Select, begins_where_the_choices_say) {
  static std::set<int> winners;
  winners.clear();
  program one([](std::string*) -> task<> {
    auto [to_a, a] = channel<int>(1);
    auto [to_b, b] = channel<int>(1);
    co_await to_a.send(1);
    co_await to_b.send(2);
    auto [from_a, from_b] = co_await select(a.receive(), b.receive());
    winners.insert(from_a ? 1 : 2);
  });
  EXPECT_TRUE(explore_all(one, 1, 1000).is_complete);
  EXPECT_EQ(winners.size(), 2u);
}

task<> breaks_when_full(std::string* wrong) {
  if (maybe("queue is full")) *wrong = "it was full";
  co_return;
}

TEST(Probes, maybe_is_never_true_outside_and_sometimes_in_a_campaign) {
  EXPECT_FALSE(maybe("queue is full"));
  program one(&breaks_when_full);
  EXPECT_TRUE(explore(one, {.schedules = 0, .run_in_order = {}}).divergence.empty());
  const exploration made = explore(one, {.schedules = 1000});
  ASSERT_TRUE(made.failure);
  EXPECT_EQ(made.failure->shrunk.text(), "m0=1,m1=1");
}

TEST(Probes, sometimes_tells_how_often_a_condition_was_met) {
  program one([](std::string*) -> task<> {
    for (int i = 0; i < 4; ++i) sometimes(i == 3, "three");
    sometimes(false, "never");
    co_return;
  });
  explorer with(one, {});
  static_cast<void>(explore(with, {.schedules = 9, .twice_every = 0}));
  const auto seen = with.probes().seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].name, "never");
  EXPECT_EQ(seen[0].met, 0u);
  EXPECT_EQ(seen[1].met, 10u);
  EXPECT_EQ(seen[1].reached, 40u);
}

TEST(Probes, a_maybe_is_counted_over_all_runs_and_drawn_anew_in_each) {
  program one([](std::string*) -> task<> {
    for (int i = 0; i < 4; ++i) maybe("queue is full");
    maybe("weir: of the library");
    co_return;
  });
  explorer with(one, {});
  static_cast<void>(explore(with, {.schedules = 999, .twice_every = 0}));
  const auto asked = with.probes().asked();
  ASSERT_EQ(asked.size(), 1u) << "those that are off are not asked";
  EXPECT_EQ(asked[0].name, "queue is full");
  EXPECT_EQ(asked[0].reached, 4'000u);
  EXPECT_NEAR(static_cast<double>(asked[0].met), 4'000 * 0.25 * 0.25, 100);
  EXPECT_TRUE(with.probes().seen().empty());
}

class needs_two final : public shrink_trial {
 public:
  bool fails(const choice_log& log, choice_log& used) override {
    used = log;
    bool has_three = false;
    bool has_seven = false;
    for (const choice& one : log.exceptions) {
      has_three = has_three || (one.index == 3 && one.value >= 2);
      has_seven = has_seven || one.index == 7;
    }
    return has_three && has_seven;
  }
};

TEST(Shrink, leaves_out_and_lowers_until_nothing_more_can_go) {
  choice_log log;
  for (std::uint32_t i = 0; i < 40; ++i) {
    log.exceptions.push_back(
        {.kind = i % 3 == 1 ? choice_kind::task : choice_kind::disk, .index = i, .value = i + 5});
  }
  needs_two trial;
  std::uint64_t runs = 0;
  const choice_log made = shrink(log, trial, 1000, runs);
  EXPECT_EQ(made.text(), "d3=2,t7=1");
  EXPECT_LT(runs, 150u);
}

TEST(Explore, a_body_that_throws_before_it_is_a_task_leaves_nobody_to_hear_probes) {
  struct throws final : explored_program {
    WEIR_CORO_WRAPPER task<> body() override { throw std::runtime_error("no task"); }
  } program;
  EXPECT_THROW(explore(program), std::runtime_error);
  EXPECT_EQ(set_probe_listener(nullptr), nullptr) << "it would hear the next maybe()";
}

}  // namespace
}  // namespace weir::explore_test

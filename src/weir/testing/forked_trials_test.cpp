// Trials in children: bounds, and what comes back of a run that ends its process.
#include <weir/testing/internal/forked_trials.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/internal/child_end.hpp>
#include <weir/testing/internal/death_note.hpp>

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace weir::testing::detail::forked_trials_test {
namespace {

// The order in which three tasks come decides: "acb" aborts, "bac" has no end, "cab" exits.
class deadly final : public explored_program {
 public:
  void begins(const run_name& which) override { death_note::begin_run(which); }
  std::string verdict() override {
    death_note::end_run();
    return {};
  }
  WEIR_CORO_WRAPPER task<> body() override { return by_order(); }

 private:
  static task<> append(std::string* to, char what) {
    to->push_back(what);
    co_return;
  }
  static task<> by_order() {
    std::string order;
    co_await with_scope([&](scope& s) -> task<> {
      for (const char c : {'a', 'b', 'c'}) s.spawn(append, &order, c);
      co_await s.join();
    });
    volatile bool goes_on = true;
    while (order == "bac" && goes_on) {
    }
    if (order == "acb") std::abort();
    if (order == "cab") std::exit(0);
  }
};

run_name log_of(const char* text) { return {.log = choice_log::parse(text)}; }

class ForkedTrials : public ::testing::Test {
 protected:
  bool fails(const char* log) { return trials.fails(log_of(log), nullptr, used, &trace); }

  deadly program;
  explorer with{program, {}};
  forked_trials trials{with};
  choice_log used;
  schedule_trace trace;
};

TEST_F(ForkedTrials, bring_the_record_and_the_steps_of_a_run_that_died) {
  ASSERT_TRUE(fails("t1=1,t99=1")) << "acb";
  EXPECT_EQ(used.text(), "t1=1") << "what it came to";
  EXPECT_TRUE(trace.has_died);
  ASSERT_EQ(trace.notes().size(), 5u) << "the body, three tasks, the body";
  EXPECT_EQ(trace.notes()[2].task, 4u);
  EXPECT_NE(std::string(trace.notes()[4].function).find("by_order"), std::string::npos);
  EXPECT_EQ(trials.lengths(), std::vector<std::uint64_t>{5});
  EXPECT_EQ(trials.cause(), "Aborted");
}

TEST_F(ForkedTrials, fail_only_in_the_way_of_the_first) {
  ASSERT_TRUE(fails("t1=1")) << "acb";
  EXPECT_FALSE(fails("t0=2")) << "cab is an exit";
  EXPECT_FALSE(fails("")) << "abc passes";
  EXPECT_EQ(trials.runs(), 3u);
}

TEST_F(ForkedTrials, that_take_too_long_are_killed_and_do_not_fail) {
  forked_trials short_ones(with, {.trial_ms_least = 100});
  const auto fails = [&](const char* log) {
    return short_ones.fails(log_of(log), nullptr, used, nullptr);
  };
  EXPECT_TRUE(fails("t1=1")) << "acb";
  EXPECT_FALSE(fails("t0=1")) << "bac";
  EXPECT_EQ(short_ones.killed(), 1u);
  EXPECT_EQ(short_ones.runs(), 2u);
}

TEST_F(ForkedTrials, follow_an_odometer_to_the_run_that_dies) {
  ASSERT_TRUE(fails("t1=1,t2=1"));
  odometer all(1);
  bool has_failed = false;
  while (!(has_failed = trials.fails(all)) && all.advance()) {
  }
  EXPECT_TRUE(has_failed);
  EXPECT_EQ(all.log().text(), "t1=1");
}

TEST_F(ForkedTrials, of_a_search_whose_time_is_over_are_not_made) {
  forked_trials late(with, {.search_ms = 0});
  EXPECT_FALSE(late.fails(log_of("t1=1"), nullptr, used, nullptr));
  EXPECT_EQ(late.runs(), 0u);
  const death_story told = story_of_death(with, log_of("t1=1"), true, {.search_ms = 0});
  EXPECT_TRUE(told.is_search_over);
  EXPECT_EQ(told.cause, "Aborted");
  EXPECT_EQ(told.failure.shrunk.text(), "t1=1");
  EXPECT_NE(told.failure.timeline.find("(the process dies)"), std::string::npos);
}

TEST_F(ForkedTrials, of_a_run_that_passes_make_no_story_of_a_death) {
  EXPECT_EQ(story_of_death(with, {}, true).cause, "");
}

TEST(RunTape, that_is_too_short_for_a_run_leaves_its_end_unknown) {
  run_tape tape;
  tape.rewind();
  tape.put_all(std::span<const char>(std::vector<char>(run_tape::bytes_max)));
  tape.end(run_end::died, SIGABRT);
  EXPECT_EQ(tape.how(), run_end::unknown);
  tape.rewind();
  tape.put(7);
  tape.put_text("seven");
  tape.end(run_end::died, SIGABRT);
  EXPECT_EQ(tape.how(), run_end::died);
  EXPECT_EQ(tape.number(), SIGABRT);
  EXPECT_EQ(tape.take<int>(), 7);
  EXPECT_EQ(tape.take_text(), "seven");
}

TEST(ChildEnd, is_waited_for_no_longer_than_said) {
  child_end end(false);
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  end.child_began();
  EXPECT_EQ(end.status_within(child, 1), std::nullopt);
  EXPECT_EQ(::kill(child, 0), -1) << "it is gone";
}

}  // namespace
}  // namespace weir::testing::detail::forked_trials_test

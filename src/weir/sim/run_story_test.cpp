#include <weir/sim/run_story.hpp>

#include <weir/base/random.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/channel.hpp>
#include <weir/sim/explore.hpp>
#include <weir/sim/explored_kit_test.hpp>

#include <gtest/gtest.h>

#include <source_location>
#include <string>
#include <utility>

namespace weir::run_story_test {
namespace {

using namespace weir::literals;

using sim_test::program;

found_failure failure_of(task<> (*body)(std::string*)) {
  program one(body);
  const exploration made = explore(one, {.schedules = 1000});
  EXPECT_TRUE(made.failure);
  return made.failure.value_or(found_failure{});
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

task<> draw(std::uint64_t* drawn) {
  co_await sleep(1_ms);
  *drawn = random_source(loop::current()->io().random()).below(16);
}

// Fails when the second of two draws is not the plain run's.
task<> draws_two(std::string* wrong) {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(draw, &first);
    co_await sleep(2_ms);
    s.spawn(draw, &second);
    co_await s.join();
  });
  if (second == 0) *wrong = "a zero was drawn";
}

TEST(RunStory, tells_in_which_step_and_for_whom_a_random_number_was_drawn) {
  const found_failure made = failure_of(&draws_two);
  EXPECT_EQ(made.shrunk.count(choice_kind::program), 1u) << made.shrunk.text();
  EXPECT_EQ(made.words, "  in step 6, for task 3 (draw): random number 2 is another one\n")
      << made.timeline;
}

task<> selects(std::string* wrong) {
  auto [to_a, a] = channel<int>(1);
  auto [to_b, b] = channel<int>(1);
  co_await to_a.send(1);
  co_await to_b.send(2);
  auto [from_a, from_b] = co_await select(a.receive(), b.receive());
  if (from_b) *wrong = "the second was first";
}

TEST(RunStory, tells_where_a_select_looked_elsewhere_first) {
  const found_failure made = failure_of(&selects);
  EXPECT_EQ(made.shrunk.text(), "s0=1");
  EXPECT_TRUE(made.words.starts_with("  in step ")) << made.words;
  EXPECT_TRUE(made.words.ends_with(" (selects): select 1 is 1 instead of 0\n")) << made.words;
}

// The body waits in with_scope(), which is a coroutine of a header.
task<> at_once(std::string* wrong) {
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await sleep(1_ms);
      *wrong = "it failed";
    });
    co_await s.join();
  });
}

TEST(RunStory, shows_the_callers_line_of_a_wait_in_a_header_of_the_library) {
  const found_failure made = failure_of(&at_once);
  EXPECT_FALSE(has(made.timeline, ".hpp:")) << made.timeline;
  EXPECT_TRUE(has(made.timeline, " at_once run_story_test.cpp:")) << made.timeline;
}

TEST(RunStory, tells_the_moment_of_the_first_step_after_time_has_passed) {
  const std::string alone = failure_of(&at_once).timeline;
  const std::size_t first = alone.find(", at 00:00:00.001000\n");
  EXPECT_NE(first, std::string::npos) << alone;
  EXPECT_EQ(alone.find(", at ", first + 1), std::string::npos) << "the body ends at that moment";
  const std::string beside = failure_of(&draws_two).timeline;
  EXPECT_TRUE(has(beside, ", at 00:00:00.003000\n")) << beside;
}

TEST(RunStory, says_in_which_function_a_lambda_is_written) {
  const found_failure made = failure_of(&at_once);
  EXPECT_TRUE(has(made.timeline, " lambda in at_once ")) << made.timeline;
}

std::size_t line_of_sleep = 0;

task<> whose_name_is_so_long_that_it_does_not_fit_beside_a_place(std::string* wrong) {
  line_of_sleep = std::source_location::current().line() + 1;
  co_await sleep(1_ms);
  *wrong = "it failed";
}

TEST(RunStory, cuts_long_names_and_keeps_the_places_line) {
  const std::string text =
      failure_of(&whose_name_is_so_long_that_it_does_not_fit_beside_a_place).timeline;
  EXPECT_TRUE(has(text, "... run_story_test.cpp:" + std::to_string(line_of_sleep))) << text;
}

TEST(ShortName, is_the_function_alone) {
  EXPECT_EQ(short_name("task<> weir::(anonymous namespace)::producer(int, sender<int> &)"),
            "producer");
  EXPECT_EQ(short_name("task<void> work(void (*)(int))"), "work");
  EXPECT_EQ(short_name("static task<> weir::weir_test_body_58()"), "the test");
  EXPECT_EQ(short_name(""), "");
}

TEST(ShortName, of_a_lambda_has_the_function_in_which_it_is_written) {
  EXPECT_EQ(short_name("auto n::f(int *)::(anonymous class)::operator()(scope &) const"),
            "lambda in f");
  EXPECT_EQ(short_name("auto n::(anonymous namespace)::C::g()::(anonymous class)::operator()("
                       "scope &)::(anonymous class)::operator()() const"),
            "lambda in g")
      << "one in another";
  EXPECT_EQ(short_name("auto weir_test_body_3()::(anonymous class)::operator()() const"),
            "lambda in the test");
  for (const char* alone :
       {"auto n::(anonymous namespace)::(anonymous class)::operator()(scope &) const",
        "auto n::(anonymous class)::operator()(auto) const [x:auto = int]",
        "auto (anonymous class)::operator()() const", "auto C::operator()(int)"}) {
    EXPECT_EQ(short_name(alone), "lambda") << alone;
  }
}

}  // namespace
}  // namespace weir::run_story_test

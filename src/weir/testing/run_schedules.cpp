// What WEIR_TEST does with a body: a campaign of schedules, and a report of what was found.
#include <weir/base/text.hpp>
#include <weir/sim/explore.hpp>
#include <weir/sim/stale_log.hpp>
#include <weir/testing/detail/fail_at.hpp>
#include <weir/testing/internal/death_note.hpp>
#include <weir/testing/internal/forked_trials.hpp>
#include <weir/testing/internal/second_look.hpp>
#include <weir/testing/internal/test_register.hpp>
#include <weir/testing/test_on_nodes.hpp>

#include <errno.h>
#include <fmt/format.h>
#include <gtest/gtest-spi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weir::testing {

namespace {

// A program whose GoogleTest expectations are its checks.
template <class Program>
class tested : public Program {
 public:
  tested()
      : results_(std::make_unique<::testing::TestPartResultArray>()),
        catcher_(::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD,
                 results_.get()) {}

  void begins(const run_name& which) override { detail::death_note::begin_run(which); }
  std::string verdict() override {
    detail::death_note::end_run();
    std::string text;
    for (; seen_ < results_->size(); ++seen_) {
      const ::testing::TestPartResult& one = results_->GetTestPartResult(seen_);
      if (one.skipped()) skipped_ = one.message();
      if (!one.failed()) continue;
      if (!text.empty()) text += '\n';
      text += fmt::format("{}:{}: {}", one.file_name() ? one.file_name() : "?", one.line_number(),
                          one.message());
    }
    return text;
  }
  const std::optional<std::string>& skipped() const noexcept { return skipped_; }

 private:
  std::unique_ptr<::testing::TestPartResultArray> results_;
  ::testing::ScopedFakeTestPartResultReporter catcher_;
  int seen_ = 0;
  std::optional<std::string> skipped_;
};

class tested_task final : public tested<explored_program> {
 public:
  explicit tested_task(task<> (*body)()) : body_(body) {}
  WEIR_CORO_WRAPPER task<> body() override { return body_(); }

 private:
  task<> (*body_)();
};

class tested_nodes final : public tested<program_on_nodes> {
 public:
  explicit tested_nodes(void (*body)(explored_nodes&)) : body_(body) {}
  void run_on(explored_nodes& nodes) override { body_(nodes); }

 private:
  void (*body_)(explored_nodes&);
};

std::optional<std::string_view> from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (!text || !*text) return std::nullopt;
  return text;
}

[[noreturn]] void refuse(const char* name, std::string_view text, const char* wanted) {
  std::fprintf(stderr, "%s=%.*s is not %s\n", name, static_cast<int>(text.size()), text.data(),
               wanted);
  std::exit(2);
}

std::optional<std::uint64_t> schedules_wanted() {
  const auto text = from_environment("WEIR_TEST_SCHEDULES");
  if (!text) return std::nullopt;
  const auto count = parse_number(*text);
  if (!count) refuse("WEIR_TEST_SCHEDULES", *text, "a number");
  if (*count == 0) {
    refuse("WEIR_TEST_SCHEDULES", *text,
           "a number from 1 on: it would try nothing (WEIR_REPLAY=fifo is the run in order)");
  }
  return *count;
}

std::optional<run_name> replay_wanted() {
  const auto text = from_environment("WEIR_REPLAY");
  if (!text) return std::nullopt;
  auto which = run_name::parse(*text);
  if (!which) {
    refuse("WEIR_REPLAY", *text,
           "a schedule such as fifo, pos:17 or log:t3=1,t9=2 (a failing test prints it)");
  }
  return which;
}

// What a run's name in WEIR_REPLAY stands before.
std::string command_of_test() {
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  return fmt::format(" {} --gtest_filter={}.{}", program_invocation_name,
                     test ? test->test_suite_name() : "*", test ? test->name() : "*");
}

std::string count_of(std::uint64_t count, const char* what) {
  const std::string_view plural = std::string_view(what).ends_with("ch") ? "es" : "s";
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : plural);
}

// What it takes, and how it went.
std::string story_text(const found_failure& failure) {
  const std::size_t count = failure.shrunk.exceptions.size();
  const bool by_tasks = failure.shrunk.count(choice_kind::task) == count;
  std::string text;
  if (failure.has_repeated && failure.exceptions_found != 0) {
    text += fmt::format("{} needed ({} when found, {} to shrink it):\n",
                        count_of(count, by_tasks ? "switch" : "exception"),
                        failure.exceptions_found, count_of(failure.shrink_runs, "run"));
  }
  return text + failure.words + failure.timeline;
}

std::string text_of(const found_failure& failure) {
  return fmt::format("{}\nfailed ({}) in run {}, schedule {}\n{}", failure.outcome.failure,
                     name(failure.outcome.how), failure.runs, failure.found.text(),
                     story_text(failure));
}

std::string command_of(const run_name& which) {
  return "replay it:  WEIR_REPLAY=" + which.text() + command_of_test();
}

std::string command_of(const found_failure& failure) {
  return command_of(failure.has_repeated ? run_name{.log = failure.shrunk} : failure.found);
}

void report(const found_failure& failure, std::source_location place) {
  detail::fail_at(place, text_of(failure) + command_of(failure));
}

void report_parting(const std::string& divergence, const run_name& which,
                    std::source_location place) {
  detail::fail_at(place, divergence +
                             "the same schedule must do the same twice: something outside of the "
                             "virtual world (a static variable, an address, the real clock) "
                             "decides, too\n" +
                             command_of(which));
}

void check_probes(const std::vector<probe_book::entry>& seen, std::source_location place) {
  for (const probe_book::entry& one : seen) {
    if (one.met != 0 || std::string_view(one.place.file_name()) != place.file_name()) continue;
    detail::fail_at(one.place, fmt::format("sometimes(\"{}\") was reached {} times and never met",
                                           one.name, one.reached));
  }
}

explore_options options_of_tests() {
  explore_options options;
  const auto wanted = schedules_wanted();
  options.schedules = wanted.value_or(schedules_default);
  options.schedules_min = schedules_least;
  if (!wanted) options.steps_max = schedule_steps_max;  // what is asked for by number is made
  return options;
}

// One run, as it was printed: no shrinking, the whole story.
template <class Tested, class Body>
void replay(Body body, const run_name& which, std::source_location place) {
  detail::note_replay();
  std::optional<found_failure> failure;
  choice_log stale;
  std::string divergence;
  {
    Tested program(body);
    explore_options options = options_of_tests();
    options.shrink_runs_max = 0;
    explorer with(program, options);
    if (with.run(which).is_failed) {
      failure = with.describe(which, 1);
    } else if (which.log) {
      stale = not_reached(*which.log, with.record(which));
    } else {
      divergence = with.part_of_two(which);
    }
  }
  if (failure) {
    if (which.log) stale = not_reached(*which.log, failure->shrunk);
    if (!stale.exceptions.empty()) {
      failure->words = fmt::format("  the log names what this run can't do, {}: it ran as {}\n",
                                   stale.text(), run_name{.log = failure->shrunk}.text()) +
                       failure->words;
    }
    report(*failure, place);
  } else if (!divergence.empty()) {
    report_parting(divergence, which, place);
  } else if (!stale.exceptions.empty()) {
    detail::fail_at(place, fmt::format("WEIR_REPLAY={}: the log names a choice that this run does "
                                       "not come to: {}\nit passes, which shows nothing: run the "
                                       "test under all schedules",
                                       which.text(), stale.text()));
  } else {
    std::printf("WEIR_REPLAY=%s passes\n", which.text().c_str());
  }
}

std::string text_of(const detail::death_story& death) {
  const found_failure& failure = death.failure;
  if (death.cause.empty()) {
    return fmt::format(
        "schedule {} does not end a process that begins with it: something outside of the virtual "
        "world (a static variable, an address, the real clock) decides, too\n",
        failure.found.text());
  }
  std::string text = fmt::format("died ({}) in schedule {}\n{}", death.cause, failure.found.text(),
                                 story_text(failure));
  if (death.is_search_over) text += "  the time for it was over: less may be enough\n";
  if (death.killed != 0)
    text +=
        fmt::format("  {} took too long and counted as no death\n", count_of(death.killed, "run"));
  return text + command_of(failure) + "\n";
}

// A process that has died in this run is told what it takes (internal/second_look.hpp).
template <class Tested, class Body>
[[noreturn]] void look_again(Body body, const run_name& which) {
  constexpr bool is_alone = std::is_base_of_v<explored_program, Tested>;
  Tested program(body);
  explorer with(program, options_of_tests());
  std::fputs(text_of(detail::story_of_death(with, which, is_alone)).c_str(), stderr);
  std::_Exit(EXIT_SUCCESS);
}

// How many campaigns the test that runs has begun.
std::uint64_t campaign_of_test() {
  static std::uint64_t count = 0;
  static const ::testing::TestInfo* of = nullptr;
  static ::testing::TimeInMillis began = 0;
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const ::testing::TimeInMillis now = test ? test->result()->start_timestamp() : 0;
  if (test != of || now != began) count = 0;  // a test may be repeated
  of = test;
  began = now;
  return ++count;
}

// Deaths of death tests are wanted.
std::unique_ptr<detail::second_look> second_look_at(std::uint64_t campaign) {
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  if (!test || ::testing::internal::InDeathTestChild()) return nullptr;
  return std::make_unique<detail::second_look>(
      fmt::format("{}.{}", test->test_suite_name(), test->name()), campaign);
}

template <class Tested, class Body>
void run_all(Body body, std::source_location place) {
  const std::uint64_t campaign = campaign_of_test();
  if (const auto& wanted = detail::second_look_wanted()) {
    if (wanted->nth == campaign) look_again<Tested>(body, wanted->run);
    return;
  }
  const auto which = replay_wanted();
  const detail::death_note note(command_of_test(), which ? nullptr : second_look_at(campaign));
  if (which) return replay<Tested>(body, *which, place);
  const explore_options options = options_of_tests();
  exploration made;
  std::optional<std::string> skipped;
  std::vector<probe_book::entry> seen;
  {
    Tested program(body);
    explorer with(program, options);
    made = explore(with, options);
    skipped = program.skipped();
    seen = with.probes().seen();
  }
  if (made.failure) {
    report(*made.failure, place);
  } else if (!made.divergence.empty()) {
    report_parting(made.divergence, made.parted, place);
  } else if (skipped) {
    GTEST_MESSAGE_AT_(place.file_name(), static_cast<int>(place.line()), skipped->c_str(),
                      ::testing::TestPartResult::kSkip);
  } else if (options.schedules >= schedules_least) {
    check_probes(seen, place);
  }
}

}  // namespace

void run_schedules(task<> (*body)(), std::source_location place) {
  run_all<tested_task>(body, place);
}

void run_schedules(void (*body)(explored_nodes&), std::source_location place) {
  run_all<tested_nodes>(body, place);
}

}  // namespace weir::testing

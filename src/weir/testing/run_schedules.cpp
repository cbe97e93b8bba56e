// What WEIR_TEST does with a body: a campaign of schedules, and a report of what was found.
#include <weir/base/text.hpp>
#include <weir/sim/explore.hpp>
#include <weir/sim/stale_log.hpp>
#include <weir/testing/detail/fail_at.hpp>
#include <weir/testing/internal/death_note.hpp>
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

std::uint64_t schedules_wanted() {
  const auto text = from_environment("WEIR_TEST_SCHEDULES");
  if (!text) return schedules_default;
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

std::string text_of(const found_failure& failure) {
  const std::size_t count = failure.shrunk.exceptions.size();
  const bool by_tasks = failure.shrunk.count(choice_kind::task) == count;
  std::string text =
      fmt::format("{}\nfailed ({}) in run {}, schedule {}\n", failure.outcome.failure,
                  name(failure.outcome.how), failure.runs, failure.found.text());
  if (failure.has_repeated && failure.exceptions_found != 0) {
    text += fmt::format("{} needed ({} when found, {} to shrink it):\n",
                        count_of(count, by_tasks ? "switch" : "exception"),
                        failure.exceptions_found, count_of(failure.shrink_runs, "run"));
  }
  text += failure.words + failure.timeline;
  return text;
}

std::string command_of(const run_name& which) {
  return "replay it:  WEIR_REPLAY=" + which.text() + command_of_test();
}

void report(const found_failure& failure, std::source_location place) {
  run_name which = failure.found;
  if (failure.has_repeated) which = {.log = failure.shrunk};
  detail::fail_at(place, text_of(failure) + command_of(which));
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
  options.schedules = schedules_wanted();
  options.schedules_min = schedules_least;
  options.steps_max = schedule_steps_max;
  return options;
}

// One run, as it was printed: no shrinking, the whole story.
template <class Tested, class Body>
void replay(Body body, const run_name& which, std::source_location place) {
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

template <class Tested, class Body>
void run_all(Body body, std::source_location place) {
  const detail::death_note note(command_of_test());
  if (const auto which = replay_wanted()) return replay<Tested>(body, *which, place);
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

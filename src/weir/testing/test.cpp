#include <weir/testing/test.hpp>

#include <weir/core/run.hpp>
#include <weir/core/unhandled.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

namespace weir::testing {

namespace {

// Where the handlers below find the run: handlers are plain functions, and one run happens at a
// time on a thread.
thread_local virtual_outcome* heard_by = nullptr;

void hear(const unhandled_error& what) noexcept {
  if (!heard_by) {
    std::fprintf(stderr, "an error outside of a virtual run: %s\n", what.text);
    std::abort();
  }
  if (what.is_report) {
    heard_by->reports.emplace_back(what.text);
  } else {
    heard_by->is_failed = true;
    heard_by->failure = what.text;
  }
}

// A deadlock or an assertion ends the process; the seed must be known even then.
char death_note[128];
void write_death_note(int) {
  const auto written = ::write(STDERR_FILENO, death_note, std::strlen(death_note));
  static_cast<void>(written);
  std::signal(SIGABRT, SIG_DFL);
}

class death_note_scope {
 public:
  explicit death_note_scope(const std::string& schedule) {
    fmt::format_to_n(death_note, sizeof death_note - 1, "weir: the test died in {}\n{}", schedule,
                     '\0');
    before_ = std::signal(SIGABRT, &write_death_note);
  }
  death_note_scope(const death_note_scope&) = delete;
  death_note_scope& operator=(const death_note_scope&) = delete;
  ~death_note_scope() { std::signal(SIGABRT, before_); }

 private:
  void (*before_)(int);
};

std::optional<std::uint64_t> number_from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (!text || !*text) return std::nullopt;
  std::uint64_t number = 0;
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, number);
  if (error != std::errc() || at != end) {
    std::fprintf(stderr, "%s=%s is not a number\n", name, text);
    std::exit(2);
  }
  return number;
}

void check(const virtual_outcome& outcome, std::source_location place) {
  if (outcome.is_failed) {
    GTEST_MESSAGE_AT_(place.file_name(), static_cast<int>(place.line()), outcome.failure.c_str(),
                      ::testing::TestPartResult::kNonFatalFailure);
  }
  for (const std::string& report : outcome.reports) {
    GTEST_MESSAGE_AT_(place.file_name(), static_cast<int>(place.line()),
                      ("a task failed: " + report).c_str(),
                      ::testing::TestPartResult::kNonFatalFailure);
  }
}

// Letters, digits and underscores, as filters and test runners want names.
std::string name_of(std::string_view sentence) {
  std::string name;
  for (const char c : sentence) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (is_plain) {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (name.ends_with('_')) name.pop_back();
  return name;
}

// "scope_test" of "src/weir/core/scope_test.cpp".
std::string suite_of(std::string_view file) {
  file.remove_prefix(std::min(file.size(), file.rfind('/') + 1));
  return std::string(file.substr(0, file.find('.')));
}

class task_test final : public ::testing::Test {
 public:
  task_test(task<> (*body)(), std::source_location place) : body_(body), place_(place) {}
  void TestBody() override { run_schedules(body_, place_); }

 private:
  task<> (*body_)();
  std::source_location place_;
};

}  // namespace

virtual_outcome run_outcome(task<> body, virtual_run_options options) {
  virtual_world world(options.world);
  return run_outcome_in(world, std::move(body), options);
}

virtual_outcome run_outcome_in(virtual_world& world, task<> body, virtual_run_options options) {
  virtual_outcome outcome;
  const time_point began = world.clock().now();
  virtual_outcome* const outer = std::exchange(heard_by, &outcome);
  const unhandled_handler before = set_unhandled_handler(&hear);
  {
    virtual_driver driver(world);
    loop on(driver, options.loop);
    on.root().spawn(weir::detail::given_task<void>{std::move(body)});
    on.run();
    outcome.stats = on.stats();
  }
  set_unhandled_handler(before);
  heard_by = outer;
  outcome.passed = world.clock().now() - began;
  if (outcome.stats.tasks_live != 0 || outcome.stats.timers_live != 0) {
    outcome.is_failed = true;
    outcome.failure += fmt::format("left behind: {} tasks, {} timers", outcome.stats.tasks_live,
                                   outcome.stats.timers_live);
  }
  if (!options.may_leave_handles && world.open_handles() != 0) {
    outcome.is_failed = true;
    outcome.failure += fmt::format("left open: {} sockets or files", world.open_handles());
  }
  return outcome;
}

void run_virtual(task<> body, virtual_run_options options, std::source_location place) {
  check(run_outcome(std::move(body), options), place);
}

void run_virtual_in(virtual_world& world, task<> body, virtual_run_options options,
                    std::source_location place) {
  check(run_outcome_in(world, std::move(body), options), place);
}

virtual_world& world() {
  auto* on = loop::current();
  auto* driver = on ? dynamic_cast<virtual_driver*>(&on->io()) : nullptr;
  if (!driver) {
    std::fprintf(stderr, "testing::world(): no virtual run on this thread\n");
    std::abort();
  }
  return driver->world();
}

duration elapsed() { return world().clock().now() - virtual_clock::start; }

void run_schedules(task<> (*body)(), std::source_location place) {
  const auto only = number_from_environment("WEIR_TEST_SEED");
  const std::uint64_t count =
      number_from_environment("WEIR_TEST_SCHEDULES").value_or(schedules_default);
  const std::uint64_t first = only.value_or(0);
  const std::uint64_t last = only ? first : count;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    // Seed 0 is the schedule in order.
    const std::string schedule =
        fmt::format("schedule {} ({}); replay it with WEIR_TEST_SEED={}", seed,
                    seed == 0 ? "everything in order" : "order by lot", seed);
    const ::testing::ScopedTrace trace(place.file_name(), static_cast<int>(place.line()), schedule);
    const death_note_scope note(schedule);
    run_virtual(body(), {.world = seed == 0 ? virtual_options{} : virtual_options::explored(seed)},
                place);
    if (::testing::Test::HasFailure() || ::testing::Test::IsSkipped()) return;
  }
}

bool add_test(const char* sentence, task<> (*body)(), std::source_location place) {
  ::testing::RegisterTest(
      suite_of(place.file_name()).c_str(), name_of(sentence).c_str(), nullptr, nullptr,
      place.file_name(), static_cast<int>(place.line()),
      [body, place]() -> ::testing::Test* { return new task_test(body, place); });
  return true;
}

void detail::note_outcome(errc wanted, const error* got, std::source_location place) {
  if (got && *got == wanted) return;
  const std::string text =
      got ? fmt::format("expected {}, but the error was {}", name(wanted), exception(*got).what())
          : fmt::format("expected {}, but there was no error", name(wanted));
  GTEST_MESSAGE_AT_(place.file_name(), static_cast<int>(place.line()), text.c_str(),
                    ::testing::TestPartResult::kNonFatalFailure);
}

std::vector<std::string> texts_of(std::exception_ptr failure) {
  if (!failure) return {};
  std::vector<std::string> texts;
  try {
    std::rethrow_exception(failure);
  } catch (const error_group& group) {
    for (std::size_t i = 0; i < group.size(); ++i) {
      for (std::string& one : texts_of(group[i])) texts.push_back(std::move(one));
    }
  } catch (const std::exception& e) {
    texts.emplace_back(e.what());
  } catch (...) {
    texts.emplace_back("unknown exception");
  }
  return texts;
}

}  // namespace weir::testing

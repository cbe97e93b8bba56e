#include <weir/core/dump.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/combine_many.hpp>
#include <weir/core/generator.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/start.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <regex>
#include <source_location>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::dump_test {
namespace {

using namespace weir::literals;
using ::testing::HasSubstr;
using ::testing::Not;

std::string plain_tree() {
  detail::string_sink out;
  detail::print_task_tree(*loop::current(), out);
  return std::move(out.text);
}

/// The tree with places as FILE:LINE and without what compilers write around names.
std::string tree() {
  std::string text =
      std::regex_replace(plain_tree(), std::regex(R"([./\w]*\w+\.[ch]pp:\d+)"), "PLACE");
  text = std::regex_replace(
      text,
      std::regex(R"(in task<[^\n]*dump_test::\([^)]*\)::(\w+)[^\n]*?(, last wait)? at PLACE)"),
      "in $1$2 at PLACE");
  return std::regex_replace(
      text,
      std::regex(R"(in [^\n"]*::(?:\(lambda|\(anonymous class|operator\(\))[^\n]*?)"
                 R"((, last wait)? at PLACE)"),
      "in LAMBDA$1 at PLACE");
}

task<> load(duration length) { co_await sleep(length); }
task<> serve_page() {
  co_await with_scope({.name = "page", .timeout = 10_s},
                      [](scope&) -> task<> { co_await load(1500_ms); });
}

TEST(Dump, shows_every_scope_and_task_with_its_wait_its_age_and_its_stack) {
  virtual_driver driver;
  loop on(driver, {.name = "main"});
  std::string text;
  on.root().spawn([&]() -> task<> {
    co_await with_scope({.name = "peers"}, [&](scope& s) -> task<> {
      s.spawn(&serve_page);
      s.spawn(&load, 20_ms);
      co_await sleep(5_ms);
      text = tree();
    });
  });
  on.run();
  EXPECT_EQ(text, R"(loop "main" (virtual): 3 tasks, 3 timers, 4 steps
  scope "main" with 1 task
    task 1 running, spawned at PLACE
      in LAMBDA, last wait at PLACE
      in "peers"
      in LAMBDA at PLACE
      scope "peers" with 2 tasks
        task 2 waiting for sleep with 1.4 s left since 5 ms, spawned at PLACE
          in load at PLACE
          in LAMBDA at PLACE
          in "page"
          in serve_page at PLACE
          scope "page" with 0 tasks, deadline in 9.9 s
        task 3 waiting for sleep with 15 ms left since 5 ms, spawned at PLACE
          in load at PLACE
)");
}

TEST(Dump, says_why_a_scope_is_cancelled_and_what_is_shielded) {
  virtual_driver driver;
  loop on(driver);
  std::string text;
  on.root().spawn([&]() -> task<> {
    co_await with_scope({.name = "outer"}, [&](scope& s) -> task<> {
      s.spawn([]() -> task<> {
        co_await with_scope({.name = "kept", .shield = true},
                            [](scope&) -> task<> { co_await load(1_ms); });
      });
      co_await yield();
      s.cancel("operator asked");
      text = tree();
    });
  });
  on.run();
  EXPECT_THAT(text, HasSubstr("scope \"outer\" with 1 task, cancelled by user: operator asked\n"));
  EXPECT_THAT(text, HasSubstr("scope \"kept\" with 0 tasks, shielded\n"));
}

TEST(Dump, a_task_in_the_middle_of_its_cancellation_says_so) {
  virtual_driver driver;
  loop on(driver);
  std::string text;
  on.root().spawn([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(&load, 1_h);
      co_await yield();
      s.cancel();
      text = tree();
    });
  });
  on.run();
  EXPECT_THAT(text, HasSubstr("task 2 cancelling"));
}

TEST(Dump, tells_what_a_scope_s_end_and_its_room_wait_for) {
  virtual_driver driver;
  loop on(driver);
  std::string text;
  on.root().spawn([&]() -> task<> {
    co_await with_scope({.name = "full", .tasks_max = 1}, [&](scope& s) -> task<> {
      s.spawn(&load, 10_ms);
      co_await s.spawn_when_room(&load, 10_ms);
    });
  });
  on.root().spawn([&]() -> task<> {
    co_await sleep(5_ms);
    text = tree();
    co_await sleep(10_ms);
    text += tree();
  });
  on.run();
  EXPECT_THAT(text, HasSubstr("task 1 waiting for room in a scope since 5 ms"));
  EXPECT_THAT(text, HasSubstr("task 1 waiting for end of a scope since 5 ms"));
}

TEST(Dump, more_than_ten_thousand_tasks_are_counted_rather_than_printed) {
  virtual_driver driver;
  loop on(driver);
  std::string text;
  for (int i = 0; i < 10'500; ++i) on.root().spawn(&load, 1_ms);
  on.root().spawn([&]() -> task<> {
    text = plain_tree();
    co_return;
  });
  on.run();
  EXPECT_TRUE(text.ends_with("  ... and 501 more tasks\n")) << text.substr(text.size() - 200);
  std::size_t printed = 0;
  for (std::size_t at = text.find("\n    task "); at != std::string::npos;
       at = text.find("\n    task ", at + 1)) {
    ++printed;
  }
  EXPECT_EQ(printed, detail::dump_tasks_max);
}

task<> nest(int depth) {
  if (depth == 0) {
    co_await sleep(1_ms);
    co_return;
  }
  co_await with_scope({.name = "nested"}, [&](scope&) -> task<> { co_await nest(depth - 1); });
}

TEST(Dump, a_thousand_nested_scopes_are_cut_and_said_to_be) {
  virtual_driver driver;
  loop on(driver);
  std::string text;
  on.root().spawn(&nest, 1'000);
  on.root().spawn([&]() -> task<> {
    co_await yield();
    text = plain_tree();
  });
  on.run();
  EXPECT_THAT(text, HasSubstr("... deeper scopes are not shown\n"));
  EXPECT_THAT(text, HasSubstr("... and the frames above\n"));
  EXPECT_LT(text.size(), 30'000u);
}

task<> inner(std::string* text) {
  co_await yield();
  *text = tree();
}

struct tells_at_its_end {
  std::string* text;
  ~tells_at_its_end() { *text = tree(); }
};

generator<int> numbers(std::string* text) {
  co_await yield();
  *text = tree();
  co_yield 1;
}

TEST(Dump, a_running_task_shows_the_frames_that_are_alive_and_no_others) {
  virtual_driver driver;
  loop on(driver);
  std::string within;
  std::string after_child;
  std::string after_result;
  std::string in_destructor;
  std::string in_generator;
  std::string after_generator;
  const auto program = [&]() -> task<> {
    co_await inner(&within);
    after_child = tree();
    std::ignore = co_await as_result(inner(&after_result));
    std::ignore = co_await as_result(sleep(1_ms));
    after_result = tree();
    co_await with_scope({.name = "cut"}, [&](scope& s) -> task<> {
      const tells_at_its_end teller{&in_destructor};
      s.cancel();
      co_await yield();
    });
    generator<int> source = numbers(&in_generator);
    co_await source.next();
    after_generator = tree();
  };
  on.root().spawn([&]() -> task<> { co_await program(); });
  on.run();
  EXPECT_THAT(within, HasSubstr("      in inner, last wait at PLACE\n      in LAMBDA at PLACE\n"));
  for (const std::string* text : {&after_child, &after_result, &after_generator}) {
    EXPECT_THAT(*text, Not(HasSubstr("in inner")));
    EXPECT_THAT(*text, Not(HasSubstr("as_result")));
    EXPECT_THAT(*text, Not(HasSubstr("numbers")));
    EXPECT_THAT(*text,
                HasSubstr("      in LAMBDA, last wait at PLACE\n      in LAMBDA at PLACE\n"));
  }
  EXPECT_THAT(in_destructor,
              HasSubstr("      in \"cut\"\n      in LAMBDA at PLACE\n      in LAMBDA at PLACE\n"));
  EXPECT_THAT(in_generator, HasSubstr("::numbers("));
}

TEST(TextSink, writes_numbers_and_lengths_for_people) {
  detail::string_sink out;
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{10}, UINT64_MAX}) {
    out.put_number(number);
    out.put(" ");
  }
  for (const duration length : {0_ns, 999_ns, 1500_us, 999_ms, 1_s, 90_min, -5_s}) {
    out.put_duration(length);
    out.put("; ");
  }
  EXPECT_EQ(out.text,
            "0 10 18446744073709551615 0 us; 0 us; 1 ms; 999 ms; 1.0 s; 5400.0 s; 0 us; ");
}

/// Two tasks of a kind, to be combined.
std::vector<task<>> two_loads() {
  std::vector<task<>> two;
  for (int i = 0; i < 2; ++i) two.push_back(load(1_h));
  return two;
}

/// A way to combine.
struct combination {
  const char* name;
  task<> (*body)();
};
constexpr combination combinations[] = {
    {"when_all", []() -> task<> { co_await when_all(load(1_h), load(1_h)); }},
    {"when_any", []() -> task<> { co_await when_any(load(1_h), load(1_h)); }},
    {"race", []() -> task<> { co_await race(load(1_h), load(1_h)); }},
    {"first_success", []() -> task<> { co_await first_success(load(1_h), load(1_h)); }},
    {"all_settled", []() -> task<> { co_await all_settled(load(1_h), load(1_h)); }},
    {"when_all of many", []() -> task<> { co_await when_all(two_loads()); }},
    {"when_any of many", []() -> task<> { co_await when_any(two_loads()); }},
    {"in a timeout",
     []() -> task<> { co_await with_timeout(2_h, when_any(load(1_h), load(1_h))); }},
    {"in a result", []() -> task<> { co_await as_result(race(load(1_h), load(1_h))); }},
    {"nested", []() -> task<> { co_await when_all(when_all(load(1_h), load(1_h))); }},
    {"start",
     []() -> task<> {
       co_await with_scope([](scope& s) -> task<> {
         co_await start<int>(s, [](readiness<int>) -> task<> { co_await load(1_h); });
       });
     }},
    {"spawn_when_room",
     []() -> task<> {
       co_await with_scope([](scope& s) -> task<> { co_await s.spawn_when_room(load, 1_h); });
     }},
};

/// The files and lines at which tasks were spawned, but for the first one.
std::vector<std::string> places_of_branches() {
  std::vector<std::string> places;
  detail::visit_tasks(
      *loop::current(),
      [](void* into, const detail::met_task& met) {
        if (met.task.id == 1) return;
        const std::string file = met.task.here.file_name();
        static_cast<std::vector<std::string>*>(into)->push_back(
            file.substr(file.rfind('/') + 1) + ":" + std::to_string(met.task.here.line()));
      },
      &places);
  return places;
}

WEIR_TEST("the branches of a combination are told as spawned where it is awaited") {
  for (const combination& one : combinations) {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(one.body);
      co_await sleep(1_s);
      const auto places = places_of_branches();
      EXPECT_GE(places.size(), 2u) << one.name;
      EXPECT_THAT(places, ::testing::Each(::testing::StartsWith("dump_test.cpp:"))) << one.name;
      s.cancel("seen");
    });
  }
}

WEIR_TEST("branches of two combinations are told apart by their lines") {
  co_await with_scope([&](scope& s) -> task<> {
    const std::uint32_t line = std::source_location::current().line();
    s.spawn([]() -> task<> { co_await when_all(load(1_h), load(1_h)); });
    s.spawn([]() -> task<> { co_await when_any(load(1_h), load(1_h)); });
    co_await sleep(1_s);
    const auto at = [&](std::uint32_t more) {
      return "dump_test.cpp:" + std::to_string(line + more);
    };
    EXPECT_THAT(places_of_branches(),
                ::testing::UnorderedElementsAre(at(1), at(1), at(1), at(2), at(2), at(2)));
    s.cancel("seen");
  });
}

}  // namespace
}  // namespace weir::dump_test

#include <weir/core/log_field.hpp>

#include <weir/core.hpp>
#include <weir/core/log_listener_test.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace weir::log_field_test {
namespace {

using namespace weir::literals;
using ::testing::ElementsAre;
using testing::log_listener;

task<> say(const char* text) {
  log::info(text, {{"n", 1}});
  co_return;
}
task<> say_late(const char* text) {
  co_await sleep(1_ms);
  co_await say(text);
}

WEIR_TEST("what is logged in a scope has its field behind the event's own") {
  log_listener heard;
  co_await with_log_field("request", "a 7", say("inside"));
  co_await say("outside");
  EXPECT_THAT(heard.lines, ElementsAre("inside n=1 request=\"a 7\"", "outside n=1"));
}

WEIR_TEST("fields of several scopes stand together, the innermost first and each key once") {
  log_listener heard;
  co_await with_log_field(
      "tenant", "t",
      with_log_field("request", "outer", with_log_field("request", "inner", say("x"))));
  EXPECT_THAT(heard.lines, ElementsAre("x n=1 request=inner tenant=t"));
}

WEIR_TEST("each task has the fields of the scope that it was spawned into, also across waits") {
  log_listener heard;
  const auto request = [](std::string id, scope* outside) -> task<> {
    co_await with_log_field("request", id, [](scope* longer) -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(say_late, "child");
        longer->spawn(say_late, "outlives it");
        co_return;
      });
    }(outside));
  };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(request, std::string("a"), &s);
    s.spawn(request, std::string("b"), &s);
    co_return;
  });
  EXPECT_THAT(heard.lines,
              ::testing::UnorderedElementsAre("child n=1 request=a", "child n=1 request=b",
                                              "outlives it n=1", "outlives it n=1"));
}

WEIR_TEST("what a deadline cuts short is logged with the fields of the scope that it cuts") {
  log_listener heard;
  co_await with_log_field("request", "7", []() -> task<> {
    co_await with_scope({.name = "upload", .timeout = 1_ms},
                        [](scope&) -> task<> { co_await sleep(1_h); });
  }());
  WEIR_REQUIRE(heard.lines.size() == 1);
  EXPECT_THAT(heard.lines[0], ::testing::StartsWith("scope cancelled scope=upload kind=deadline"));
  EXPECT_THAT(heard.lines[0], ::testing::EndsWith(" request=7"));
}

WEIR_TEST("a forged line in a value stays one line") {
  log_listener heard;
  co_await with_log_field("request", "x\n2026 error forged", say("x"));
  EXPECT_THAT(heard.lines, ElementsAre("x n=1 request=\"x\\n2026 error forged\""));
}

// Scopes around a message, each with a field of its own name.
WEIR_CORO_WRAPPER task<> say_within(const char* const* keys, std::size_t count) {
  if (count == 0) return say("x");
  return with_log_field(keys[0], "v", say_within(keys + 1, count - 1));
}

WEIR_TEST("beyond log_fields_max the outermost fields are left out") {
  const char* const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                              "j", "k", "l", "m", "n", "o", "p", "q"};
  static_assert(std::size(keys) == log_fields_max + 1);
  log_listener heard;
  co_await say_within(keys, std::size(keys));
  WEIR_REQUIRE(heard.lines.size() == 1);
  EXPECT_EQ(heard.lines[0],
            "x n=1 q=v p=v o=v n=v m=v l=v k=v j=v i=v h=v g=v f=v e=v d=v c=v b=v");
}

WEIR_TEST("errors and cancellations pass through a scope with a field as they are") {
  co_await testing::expect_raises<errc::not_found>(with_log_field("k", "v", []() -> task<> {
    raise(error(errc::not_found));
    co_return;
  }()));
  co_await testing::expect_raises<errc::timed_out>(
      with_timeout(1_ms, with_log_field("k", "v", []() -> task<> { co_await sleep(1_h); }())));
}

TEST(LogField, is_not_there_outside_of_tasks) {
  detail::tell_log_fields();
  log_listener heard;
  log::info("x");
  EXPECT_THAT(heard.lines, ElementsAre("x"));
}

}  // namespace
}  // namespace weir::log_field_test

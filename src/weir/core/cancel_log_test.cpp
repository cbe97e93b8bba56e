// Why scopes are cancelled reaches the log.
#include <weir/core.hpp>
#include <weir/core/log_listener_test.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>

namespace weir::cancel_log_test {
namespace {

using namespace weir::literals;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::log_listener;
using ::testing::Not;

WEIR_TEST("a cancelled scope tells its name, the kind of the reason, who gave it and where (C5)") {
  log_listener heard;
  co_await with_scope({.name = "uploads"}, [](scope& s) -> task<> {
    s.cancel("the user went away");
    co_await s.join();
  });
  WEIR_REQUIRE(heard.lines.size() == 1);
  EXPECT_THAT(heard.lines[0], AllOf(HasSubstr("scope cancelled scope=uploads kind=user"),
                                    HasSubstr("the user went away"), HasSubstr("by_task="),
                                    HasSubstr("cancel_log_test.cpp"), HasSubstr("line=")));
  heard.lines.clear();
  static_cast<void>(co_await as_result(with_timeout(1_ms, sleep(1_s))));
  WEIR_REQUIRE(heard.lines.size() == 1);
  EXPECT_THAT(heard.lines[0], HasSubstr("kind=deadline"));
  EXPECT_THAT(heard.lines[0], Not(AnyOf(HasSubstr("by_task="), HasSubstr("line="))))
      << "nobody gave it";
  heard.lines.clear();
  static_cast<void>(co_await testing::errors_of(when_all([]() -> task<> {
    raise(error(errc::busy));
    co_return;
  }())));
  WEIR_REQUIRE(heard.lines.size() == 1);
  EXPECT_THAT(heard.lines[0],
              AllOf(HasSubstr("scope=when_all"), HasSubstr("kind=\"sibling failed\"")));
}

}  // namespace
}  // namespace weir::cancel_log_test

// Why scopes are cancelled reaches the log.
#include <weir/base/log.hpp>
#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Hears the log's events at the level debug for as long as it lives.
class log_listener {
 public:
  log_listener() noexcept {
    before_ = log::set_sink({.write = &hear, .context = this});
    log::set_level(log::level::debug);
  }
  log_listener(const log_listener&) = delete;
  log_listener& operator=(const log_listener&) = delete;
  ~log_listener() {
    log::set_level(log::level::info);
    log::set_sink(before_);
  }
  std::vector<std::string> lines;

 private:
  static void hear(void* self, log::level, std::string_view text) noexcept {
    static_cast<log_listener*>(self)->lines.emplace_back(text);
  }
  log::sink before_;
};

WEIR_TEST("a cancelled scope tells its name, the kind of the reason, who gave it and where") {
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
}  // namespace weir

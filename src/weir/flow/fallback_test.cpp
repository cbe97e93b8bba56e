#include <weir/flow/fallback.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_calls_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <stdexcept>
#include <string>

namespace weir::fallback_test {
namespace {

using namespace weir::literals;
using testing::scripted;

WEIR_TEST("the other gives the value when the call fails, and is not asked when it succeeds") {
  scripted server({{1_ms}, {1_ms, errc::broken}});
  int asked = 0;
  const auto call = [&]() -> task<int> { co_return co_await server.call(); };
  const auto other = [&]() {
    ++asked;
    return 42;
  };
  EXPECT_EQ(co_await fallback(call, other), 1);
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(co_await fallback(call, other), 42);
  EXPECT_EQ(asked, 1);
}

WEIR_TEST("the other may wait, and may look at the failure") {
  scripted server({{1_ms, errc::broken}});
  const std::string said = co_await fallback(
      [&]() -> task<std::string> { co_return std::to_string(co_await server.call()); },
      [](const call_failure& why) -> task<std::string> {
        co_await sleep(1_ms);
        co_return std::string(name(why.code()));
      });
  EXPECT_EQ(said, "broken");
  bool is_told = false;
  co_await fallback(
      []() -> task<> {
        throw std::logic_error("a bug");
        co_return;
      },
      [&](const call_failure& why) { is_told = why.as<std::logic_error>() != nullptr; });
  EXPECT_TRUE(is_told);
}

WEIR_TEST("only failures of the wanted kind fall back") {
  scripted server({{1_ms, errc::not_found}});
  co_await testing::expect_raises<errc::not_found>(
      fallback([&]() -> task<int> { co_return co_await server.call(); }, [] { return 42; },
               {.when = is_transient}));
  const auto other = []() -> result<int> { return 42; };
  const auto call = [&]() -> task<result<int>> { co_return co_await server.try_call(); };
  EXPECT_EQ((co_await fallback(call, other, {.when = is_transient})).error().code(),
            errc::not_found);
  EXPECT_EQ((co_await fallback(call, other)).value(), 42);
}

WEIR_TEST("a call that says that it was cancelled does not fall back") {
  scripted server({{1_ms, errc::cancelled}});
  co_await testing::expect_raises<errc::cancelled>(
      fallback([&]() -> task<int> { co_return co_await server.call(); }, [] { return 42; }));
}

WEIR_TEST("when the other fails, too, both failures are told") {
  scripted server({{1_ms, errc::broken}});
  try {
    co_await fallback([&]() -> task<int> { co_return co_await server.call(); },
                      []() -> task<int> {
                        raise(error(errc::not_found, "no older page"));
                        co_return 0;
                      },
                      {.name = "page"});
    ADD_FAILURE() << "it did not fail";
  } catch (const exception& e) {
    EXPECT_EQ(e.reason().code(), errc::not_found);
    EXPECT_EQ(e.reason().message(), "page: failed, too: not_found: no older page");
    EXPECT_EQ(e.reason().cause()->message(), "call 1");
  }
}

WEIR_TEST("a fallback that can't say what it is for is refused") {
  const auto call = []() -> task<int> { co_return 1; };
  co_await testing::expect_raises<errc::invalid_argument>(
      fallback(call, [] { return 2; }, {.when = nullptr}));
}

TEST(Fallback, a_cancelled_call_does_not_fall_back) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    scripted server({{2_ms, errc::broken}});
    int asked = 0;
    int value = 0;
    co_await v.run([](scripted* to, int* count, int* into) -> task<> {
      *into = co_await fallback([&]() -> task<int> { co_return co_await to->call(); },
                                [&]() -> task<int> {
                                  ++*count;
                                  co_await sleep(1_ms);
                                  co_return 42;
                                });
    }(&server, &asked, &value));
    EXPECT_EQ(asked, server.ended == 1 ? 1 : 0);
    EXPECT_TRUE(v.was_cancelled() || value == 42);
  });
}

}  // namespace
}  // namespace weir::fallback_test

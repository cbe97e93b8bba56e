#include <weir/flow/call_failure.hpp>

#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <stdexcept>

namespace weir::call_failure_test {
namespace {

using namespace weir::literals;

call_failure thrown(auto what) { return call_failure(std::make_exception_ptr(what)); }

TEST(CallFailure, weir_s_errors_have_a_code_and_others_are_internal) {
  const call_failure full = thrown(exception(error(errc::full, "no room")));
  EXPECT_EQ(full.code(), errc::full);
  EXPECT_EQ(full.reason()->message(), "no room");
  EXPECT_TRUE(full.as<exception>());
  EXPECT_FALSE(full.as<std::logic_error>());

  const call_failure bug = thrown(std::logic_error("a bug"));
  EXPECT_EQ(bug.code(), errc::internal);
  EXPECT_FALSE(bug.reason());
  EXPECT_EQ(bug.text(), "a bug");
  EXPECT_EQ(bug.to_error().message(), "a bug");
  EXPECT_STREQ(bug.as<std::logic_error>()->what(), "a bug");
  EXPECT_EQ(thrown(7).text(), "an exception that is not a std::exception");
  EXPECT_EQ(*thrown(7).as<int>(), 7);

  const call_failure in_result(error(errc::busy, "later"));
  EXPECT_EQ(in_result.code(), errc::busy);
  EXPECT_TRUE(in_result.as<exception>()) << "a result's error can be raised as well";
}

TEST(CallFailure, what_may_pass_is_transient_and_answers_and_bugs_are_not) {
  for (const errc code : {errc::timed_out, errc::refused, errc::full, errc::busy, errc::broken,
                          errc::end_of_stream}) {
    EXPECT_TRUE(is_transient(call_failure(error(code)))) << name(code);
  }
  for (const errc code : {errc::cancelled, errc::not_found, errc::invalid_argument, errc::corrupt,
                          errc::permission_denied, errc::io, errc::internal, errc::closed}) {
    EXPECT_FALSE(is_transient(call_failure(error(code)))) << name(code);
  }
  EXPECT_FALSE(is_transient(thrown(std::runtime_error("unknown"))));
}

TEST(CallFailure, a_refusal_says_who_refused_and_when_to_come_again) {
  const call_failure refusal = thrown(call_refused(error(errc::refused, "open"), "pricing", 3_s));
  EXPECT_TRUE(refusal.is_refusal());
  EXPECT_EQ(refusal.retry_after(), 3_s);
  EXPECT_STREQ(refusal.as<call_refused>()->by(), "pricing");
  EXPECT_FALSE(call_failure(error(errc::refused)).is_refusal()) << "it came from over there";
}

WEIR_TEST("a scope's group of one error counts as that error, of several by all of them") {
  const auto fail_with = [](std::vector<errc> codes) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (const errc code : codes) {
        s.spawn(
            [](errc what) -> task<> {
              raise(error(what));
              co_return;
            },
            code);
      }
      co_await s.join();
    });
  };
  const auto failure_of = [](task<> body) -> task<call_failure> {
    try {
      co_await std::move(body);
    } catch (...) {
      co_return call_failure(std::current_exception());
    }
    raise(error(errc::internal, "it did not fail"));
  };
  const call_failure one = co_await failure_of(fail_with({errc::busy}));
  EXPECT_EQ(one.code(), errc::busy);
  EXPECT_TRUE(is_transient(one));
  EXPECT_TRUE(is_transient(co_await failure_of(fail_with({errc::busy, errc::full}))));
  EXPECT_FALSE(is_transient(co_await failure_of(fail_with({errc::busy, errc::corrupt}))));
}

}  // namespace
}  // namespace weir::call_failure_test

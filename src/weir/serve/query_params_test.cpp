#include <weir/serve/query_params.hpp>

#include <gtest/gtest.h>

namespace weir::query_params_test {
namespace {

using namespace literals;

TEST(query_params, durations_and_numbers_are_read_by_name) {
  const answer<query_params> params =
      query_params::parse("wait=20s&max=10&%6bey=a%20b", {"wait", "max", "key"});
  ASSERT_TRUE(params);
  EXPECT_EQ(params->length("wait", 0_s, 60_s), 20_s);
  EXPECT_EQ(params->whole("max", 1, 1, 100), 10u);
  EXPECT_EQ(params->text("key"), "a b");
  EXPECT_EQ(params->text("other"), std::nullopt);
}

TEST(query_params, what_is_not_given_has_its_default) {
  const answer<query_params> params = query_params::parse("", {"wait"});
  ASSERT_TRUE(params);
  EXPECT_EQ(params->length("wait", 5_s, 60_s), 5_s);
  EXPECT_EQ(params->whole("max", 1, 1, 100), 1u);
}

TEST(query_params, a_long_wait_is_cut_to_what_the_server_allows) {
  const answer<query_params> params = query_params::parse("wait=1d", {"wait"});
  ASSERT_TRUE(params);
  EXPECT_EQ(params->length("wait", 0_s, 60_s), 60_s);
}

TEST(query_params, unknown_ones_are_refused_by_name) {
  const answer<query_params> params = query_params::parse("wiat=3s", {"wait", "max"});
  ASSERT_FALSE(params);
  EXPECT_EQ(params.error(),
            (api_problem{.status = 400,
                         .code = "unknown_parameter",
                         .detail = "unknown parameter 'wiat'; known are: wait, max"}));
  const answer<query_params> none = query_params::parse("x=1", {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().detail, "unknown parameter 'x'; this path takes none");
}

TEST(query_params, bad_values_are_refused_by_name) {
  const answer<query_params> params =
      query_params::parse("wait=20&max=0&n=101", {"wait", "max", "n"});
  ASSERT_TRUE(params);
  const answer<duration> wait = params->length("wait", 0_s, 60_s);
  ASSERT_FALSE(wait);
  EXPECT_EQ(wait.error().code, "invalid_parameter");
  EXPECT_TRUE(wait.error().detail.starts_with("parameter 'wait' is no duration: "));
  for (const char* name : {"max", "n", "wait"}) {
    const answer<std::uint64_t> number = params->whole(name, 1, 1, name[0] == 'w' ? 19 : 100);
    ASSERT_FALSE(number) << name;
    EXPECT_EQ(number.error().status, 400);
    EXPECT_TRUE(number.error().detail.ends_with("must be a whole number from 1 to 100") ||
                number.error().detail.ends_with("from 1 to 19"));
  }
}

TEST(query_params, a_query_that_is_broken_or_repeats_a_name_is_refused) {
  for (const char* query : {"wait=%zz", "wait=1s&wait=2s", "wait=%00"}) {
    const answer<query_params> params = query_params::parse(query, {"wait"});
    ASSERT_FALSE(params) << query;
    EXPECT_EQ(params.error().code, "invalid_parameter");
  }
}

}  // namespace
}  // namespace weir::query_params_test

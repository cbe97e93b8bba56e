#include <weir/serve/call_outcome.hpp>

#include <gtest/gtest.h>

#include <cerrno>

namespace weir::call_outcome_test {
namespace {

using namespace literals;

call_kind kind_of(int status) { return outcome_of(status, "", std::nullopt, time_point(0)).kind; }

TEST(call_outcome, each_status_has_its_meaning) {
  for (const int status : {200, 201, 202, 204, 299}) {
    EXPECT_EQ(kind_of(status), call_kind::delivered) << status;
  }
  for (const int status : {429, 503}) EXPECT_EQ(kind_of(status), call_kind::busy) << status;
  EXPECT_EQ(kind_of(410), call_kind::gone);
  for (const int status : {199, 300, 302, 400, 401, 404, 408, 409, 428, 500, 502, 504, 599}) {
    EXPECT_EQ(kind_of(status), call_kind::failed) << status;
  }
}

TEST(call_outcome, a_failure_says_the_status_and_the_beginning_of_the_body) {
  EXPECT_EQ(outcome_of(500, " out of\npaper\x80 ", std::nullopt, time_point(0)).text,
            "answered 500 Internal Server Error: out of paper\xef\xbf\xbd");
  EXPECT_EQ(outcome_of(410, "", std::nullopt, time_point(0)).text, "answered 410 Gone");
  EXPECT_LT(outcome_of(500, std::string(10'000, 'x'), std::nullopt, time_point(0)).text.size(),
            400u);
}

TEST(call_outcome, a_busy_worker_may_say_when_to_come_back) {
  EXPECT_EQ(outcome_of(503, "", "30", time_point(0)).retry_after, 30_s);
  EXPECT_EQ(outcome_of(429, "", "later", time_point(0)).retry_after, std::nullopt);
  EXPECT_EQ(outcome_of(429, "", std::nullopt, time_point(0)).retry_after, std::nullopt);
  EXPECT_EQ(outcome_of(500, "", "30", time_point(0)).retry_after, std::nullopt);
}

TEST(call_outcome, a_call_without_an_answer_is_a_failure_with_the_errors_name) {
  const call_outcome late = outcome_of(error(errc::timed_out, "a deadline"), 30_s);
  EXPECT_EQ(late.kind, call_kind::failed);
  EXPECT_EQ(late.text, "timed_out: no whole answer within 30s");
  const call_outcome silent = outcome_of(error::from_os(ETIMEDOUT, "connecting"), 30_s);
  EXPECT_NE(silent.text.find("connecting"), std::string::npos) << silent.text;
}

TEST(call_outcome, a_lack_of_this_servers_own_is_no_failure_of_the_worker) {
  for (const int code : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    EXPECT_EQ(outcome_of(error::from_os(code, "making a socket"), 30_s).kind, call_kind::busy)
        << code;
  }
  EXPECT_EQ(outcome_of(error::from_os(ECONNREFUSED, "connecting"), 30_s).kind, call_kind::failed);
}

}  // namespace
}  // namespace weir::call_outcome_test

#include <weir/serve/api_problem.hpp>

#include <gtest/gtest.h>

namespace weir::api_problem_test {
namespace {

using namespace literals;

TEST(api_problem, each_refusal_of_the_broker_has_its_status_and_keeps_its_name_and_text) {
  const struct {
    broker_errc code;
    int status;
    bool comes_back;
  } table[] = {
      {broker_errc::queue_not_found, 404, false},   {broker_errc::queue_full, 429, true},
      {broker_errc::too_many_queues, 409, false},   {broker_errc::too_many_keys, 429, true},
      {broker_errc::too_many_replies, 429, true},   {broker_errc::message_too_large, 413, false},
      {broker_errc::message_not_found, 404, false}, {broker_errc::stale_receipt, 409, false},
      {broker_errc::invalid_name, 400, false},      {broker_errc::invalid_setting, 400, false},
      {broker_errc::invalid_field, 400, false},     {broker_errc::too_many_messages, 413, false}};
  for (const auto& row : table) {
    const api_problem problem = problem_of(refusal{row.code, "why"});
    EXPECT_EQ(problem.status, row.status) << name(row.code);
    EXPECT_EQ(problem.code, name(row.code));
    EXPECT_EQ(problem.detail, "why");
    EXPECT_EQ(problem.retry_after > 0_s, row.comes_back) << name(row.code);
  }
}

TEST(api_problem, a_failed_journal_is_told_without_its_files) {
  const api_problem problem =
      problem_of(refusal{broker_errc::unavailable, "sync '/var/weir/a.seg'"});
  EXPECT_EQ(problem.status, 503);
  EXPECT_EQ(problem.code, "unavailable");
  EXPECT_EQ(problem.detail, "the server is closing, or its journal has failed; its log says why");
  EXPECT_GT(problem.retry_after, 0_s);
}

TEST(api_problem, errors_of_the_world_have_a_status_of_their_own) {
  const struct {
    errc code;
    int status;
    std::string_view name;
  } table[] = {{errc::too_large, 413, "too_large"},
               {errc::malformed, 400, "malformed"},
               {errc::invalid_argument, 500, "internal"},
               {errc::no_space, 507, "no_space"},
               {errc::timed_out, 408, "timed_out"},
               {errc::end_of_stream, 400, "incomplete_body"},
               {errc::broken, 400, "incomplete_body"},
               {errc::cancelled, 503, "stopping"},
               {errc::closed, 503, "stopping"},
               {errc::full, 503, "full"},
               {errc::busy, 503, "busy"},
               {errc::io, 500, "internal"},
               {errc::corrupt, 500, "internal"},
               {errc::internal, 500, "internal"}};
  for (const auto& row : table) {
    const api_problem problem = problem_of(error(row.code, "secret path"));
    EXPECT_EQ(problem.status, row.status) << name(row.code);
    EXPECT_EQ(problem.code, row.name);
  }
}

TEST(api_problem, what_went_wrong_inside_is_not_told_outside) {
  EXPECT_EQ(problem_of(error(errc::io, "secret path")).detail.find("secret"), std::string::npos);
  EXPECT_EQ(problem_of(error(errc::no_space, "the disk is full")).detail, "the disk is full");
}

TEST(api_problem, retry_after_is_rounded_up_to_whole_seconds) {
  EXPECT_EQ(retry_after_seconds(1_ms), "1");
  EXPECT_EQ(retry_after_seconds(0_ms), "1");
  EXPECT_EQ(retry_after_seconds(1_s), "1");
  EXPECT_EQ(retry_after_seconds(1001_ms), "2");
  EXPECT_EQ(retry_after_seconds(30_s), "30");
}

}  // namespace
}  // namespace weir::api_problem_test

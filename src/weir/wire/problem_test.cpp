#include <weir/wire/problem.hpp>

#include <weir/wire/utf8.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

namespace weir::problem_test {
namespace {

TEST(problem, the_document_has_its_members_in_a_stable_order) {
  EXPECT_EQ(problem_json(404, "no_queue", "There is no queue named 'mails'."),
            R"({"type":"about:blank","title":"Not Found","status":404,"code":"no_queue",)"
            R"("detail":"There is no queue named 'mails'."})"
            "\n");
}

TEST(problem, any_detail_makes_a_json_text) {
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  const std::string text = problem_json(400, "bad\"code\n", every_byte);
  EXPECT_TRUE(is_utf8(text));
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto value = boost::json::parse(text);
  EXPECT_EQ(value.at("code").as_string(), "bad\"code\n");
  EXPECT_EQ(value.at("detail").as_string(), repair_utf8(every_byte));
}

TEST(problem, a_status_without_a_phrase_still_has_a_title) {
  EXPECT_NE(problem_json(599, "x", "y").find("\"title\":\"Unknown\",\"status\":599"),
            std::string::npos);
}

}  // namespace
}  // namespace weir::problem_test

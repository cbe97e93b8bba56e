#include <weir/serve/json_writer.hpp>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include <string>

namespace weir::json_writer_test {
namespace {

TEST(json_writer, members_and_items_stand_in_order_with_commas_between) {
  json_writer out;
  out.begin_object().field("a", 1).field("b", std::uint64_t(UINT64_MAX)).begin_array("list");
  out.begin_object().field("x", true).end_object().begin_object().end_object().end_array();
  out.begin_object("in").null("n").end_object().field("t", "text").field("d", 0.2).end_object();
  EXPECT_EQ(out.take(), R"({"a":1,"b":18446744073709551615,"list":[{"x":true},{}],"in":{"n":null},)"
                        R"("t":"text","d":0.2})"
                        "\n");
}

TEST(json_writer, text_of_any_bytes_gives_valid_json) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  std::string quoted;
  append_json_string(quoted, all);
  const boost::json::value back = boost::json::parse(quoted);
  const std::string_view read = back.get_string();
  EXPECT_EQ(read.substr(0, 128), std::string_view(all).substr(0, 128));
  std::string replaced;
  for (int i = 0; i < 128; ++i) replaced += "\xef\xbf\xbd";
  EXPECT_EQ(read.substr(128), replaced);
}

TEST(json_writer, text_in_utf8_is_kept_as_it_is) {
  std::string quoted;
  append_json_string(quoted, "zażółć 水 🌊");
  EXPECT_EQ(quoted, "\"zażółć 水 🌊\"");
}

}  // namespace
}  // namespace weir::json_writer_test

#include <weir/wire/percent.hpp>

#include <gtest/gtest.h>

namespace weir::percent_test {
namespace {

using namespace std::string_view_literals;

TEST(percent, what_was_encoded_decodes_to_itself) {
  std::string every_byte;
  for (int i = 1; i < 256; ++i) every_byte += static_cast<char>(i);
  std::string encoded;
  append_percent_encoded(encoded, every_byte);
  for (char c : encoded) EXPECT_TRUE(std::isalnum(c) || std::string_view("-._~%").contains(c)) << c;
  EXPECT_EQ(percent_decode(encoded).value(), every_byte);
  EXPECT_EQ(percent_decode(encoded, plus_rule::space).value(), every_byte);
  encoded.clear();
  append_percent_encoded(encoded, "a b/\xc3\xa4");
  EXPECT_EQ(encoded, "a%20b%2F%C3%A4");
}

TEST(percent, a_broken_escape_is_refused) {
  for (std::string_view text : {"%"sv, "%4"sv, "a%"sv, "a%2"sv, "%zz"sv, "%4g"sv, "%%41"sv, "% 1"sv,
                                "%-1"sv, "%00"sv, "a%00b"sv, "a\0b"sv}) {
    const auto decoded = percent_decode(text);
    ASSERT_FALSE(decoded.has_value()) << text;
    EXPECT_EQ(decoded.error(), errc::malformed) << text;
  }
  EXPECT_EQ(percent_decode("%2f%2F%0a").value(), "//\n");
}

TEST(percent, a_plus_is_a_space_in_queries_only) {
  EXPECT_EQ(percent_decode("a+b").value(), "a+b");
  EXPECT_EQ(percent_decode("a+b%2B", plus_rule::space).value(), "a b+");
}

TEST(percent, a_path_is_split_before_it_is_decoded) {
  using list = std::vector<std::string>;
  EXPECT_EQ(split_path("/").value(), (list{""}));
  EXPECT_EQ(split_path("/v1/queues/a%20b").value(), (list{"v1", "queues", "a b"}));
  EXPECT_EQ(split_path("/a%2Fb/c").value(), (list{"a/b", "c"}));
  EXPECT_EQ(split_path("/a/").value(), (list{"a", ""}));
  EXPECT_EQ(split_path("//a/../%2e%2e").value(), (list{"", "a", "..", ".."}));
  EXPECT_EQ(split_path("").error(), errc::malformed);
  EXPECT_EQ(split_path("a/b").error(), errc::malformed);
  EXPECT_EQ(split_path("*").error(), errc::malformed);
  EXPECT_EQ(split_path("/%").error(), errc::malformed);
}

TEST(percent, a_path_has_a_bounded_number_of_segments) {
  std::string path;
  for (std::size_t i = 0; i < path_segments_max; ++i) path += "/a";
  EXPECT_EQ(split_path(path).value().size(), path_segments_max);
  EXPECT_EQ(split_path(path + "/").error(), errc::too_large);
}

TEST(percent, a_query_is_a_list_of_names_and_values) {
  const auto parsed = parse_query("wait=5s&&a+b=c%26d&flag&e=f=g&=x").value();
  ASSERT_EQ(parsed.size(), 5u);
  EXPECT_EQ(parsed[0].name, "wait");
  EXPECT_EQ(parsed[0].value, "5s");
  EXPECT_EQ(parsed[1].name, "a b");
  EXPECT_EQ(parsed[1].value, "c&d");
  EXPECT_EQ(parsed[2].name, "flag");
  EXPECT_EQ(parsed[2].value, "");
  EXPECT_EQ(parsed[3].value, "f=g");
  EXPECT_EQ(parsed[4].name, "");
  EXPECT_TRUE(parse_query("").value().empty());
}

TEST(percent, an_ambiguous_broken_or_endless_query_is_refused) {
  EXPECT_EQ(parse_query("a=1&%61=2").error(), errc::malformed);
  EXPECT_EQ(parse_query("a=%4").error(), errc::malformed);
  EXPECT_EQ(parse_query("%=1").error(), errc::malformed);
  std::string query;
  for (std::size_t i = 0; i < query_parameters_max; ++i) query += "a" + std::to_string(i) + "=1&";
  EXPECT_EQ(parse_query(query).value().size(), query_parameters_max);
  EXPECT_EQ(parse_query(query + "b=1").error(), errc::too_large);
}

}  // namespace
}  // namespace weir::percent_test

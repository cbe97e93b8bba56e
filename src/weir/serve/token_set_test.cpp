#include <weir/serve/token_set.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::token_set_test {
namespace {

TEST(token_set, admits_a_bearer_of_any_of_its_tokens_and_nobody_else) {
  const result<token_set> set =
      token_set::parse("# ours\n0123456789abcdef\n\n  ABCDEFGHIJKLMNOP+/==  \r\n");
  ASSERT_TRUE(set);
  EXPECT_EQ(set->size(), 2u);
  EXPECT_TRUE(set->admits("Bearer 0123456789abcdef"));
  EXPECT_TRUE(set->admits("bearer  ABCDEFGHIJKLMNOP+/=="));
  EXPECT_FALSE(set->admits(std::nullopt));
  for (const char* wrong : {"", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef",
                            "Bearer 0123456789abcdeF", "Bearer 0123456789abcde",
                            "Bearer 0123456789abcdef0", "Bearer # ours"}) {
    EXPECT_FALSE(set->admits(wrong)) << wrong;
  }
}

TEST(token_set, a_file_with_a_bad_line_is_refused_with_its_number) {
  const struct {
    std::string text;
    std::string_view said;
  } table[] = {
      {"", "the token file has no token"},
      {"# nothing\n\n", "the token file has no token"},
      {"0123456789abcdef\nshort", "line 2 of the token file: a token has 16 to 512 characters"},
      {std::string(513, 'x'), "line 1 of the token file: a token has 16 to 512 characters"},
      {"\n0123456789 abcdef",
       "line 2 of the token file: a token has only letters, digits and -._~+/="}};
  for (const auto& row : table) {
    const result<token_set> set = token_set::parse(row.text);
    ASSERT_FALSE(set) << row.text;
    EXPECT_EQ(set.error().code(), errc::invalid_argument);
    EXPECT_EQ(set.error().message(), row.said);
  }
}

TEST(token_set, holds_a_bounded_number_of_tokens) {
  std::string file;
  for (std::size_t i = 0; i < token_set::tokens_max; ++i) file += std::string(16, 'a') + "\n";
  EXPECT_TRUE(token_set::parse(file));
  EXPECT_FALSE(token_set::parse(file + std::string(16, 'b')));
}

}  // namespace
}  // namespace weir::token_set_test

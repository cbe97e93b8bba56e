#include <weir/base/line_place.hpp>

#include <gtest/gtest.h>

#include <string_view>

namespace weir::line_place_test {
namespace {

TEST(LinePlace, a_line_ends_at_lf_or_crlf_and_its_end_is_no_part_of_it) {
  struct row {
    std::string_view have;
    line_state state;
    std::size_t size;
    std::size_t total;
  };
  constexpr row rows[] = {
      {"", line_state::unfinished, 0, 0},     {"ab", line_state::unfinished, 0, 0},
      {"ab\r", line_state::unfinished, 0, 0}, {"\n", line_state::whole, 0, 1},
      {"\r\n", line_state::whole, 0, 2},      {"ab\ncd\n", line_state::whole, 2, 3},
      {"ab\r\n", line_state::whole, 2, 4},    {"a\rb\n", line_state::whole, 3, 4},
      {"a\r\r\n", line_state::whole, 2, 4},
  };
  for (const row& r : rows) {
    const line_place found = find_line(r.have, 0, 10);
    EXPECT_EQ(found.state, r.state) << r.have;
    EXPECT_EQ(found.size, r.size) << r.have;
    EXPECT_EQ(found.total, r.total) << r.have;
  }
}

TEST(LinePlace, the_limit_is_on_the_line_without_its_end) {
  EXPECT_EQ(find_line("abcd\r\n", 0, 4).state, line_state::whole);
  EXPECT_EQ(find_line("abcd\r", 0, 4).state, line_state::unfinished);
  EXPECT_EQ(find_line("abcd", 0, 4).state, line_state::unfinished);
  EXPECT_EQ(find_line("abcde", 0, 4).state, line_state::too_long);
  EXPECT_EQ(find_line("abcde\n", 0, 4).state, line_state::too_long);
}

TEST(LinePlace, what_was_seen_is_not_searched_again) {
  EXPECT_EQ(find_line("a\nb\n", 2, 10).total, 4u) << "the caller says that there is none before";
}

}  // namespace
}  // namespace weir::line_place_test

#include <weir/apps/table_text.hpp>

#include <gtest/gtest.h>

namespace weir::table_text_test {
namespace {

TEST(table_text, columns_are_aligned_and_lines_have_no_spaces_at_their_ends) {
  table_text table({{"QUEUE"}, {"READY", column_align::right}, {"NOTE"}});
  table.add({"mails", "7", ""});
  table.add({"größe", "1234567", "x"});
  EXPECT_EQ(table.text(),
            "QUEUE    READY  NOTE\n"
            "mails        7\n"
            "größe  1234567  x\n");
}

TEST(table_text, a_cell_cannot_write_over_the_terminal) {
  table_text table({{"A"}});
  table.add({"x\x1b[2J\r\ny"});
  EXPECT_EQ(table.text(), "A\nx?[2J??y\n");
}

TEST(table_text, what_is_no_character_and_the_controls_behind_ascii_are_question_marks) {
  EXPECT_EQ(printable("a\xc2\x9b"
                      "2Jb"),
            "a?2Jb");  // CSI as one character
  EXPECT_EQ(printable("\x9b"
                      "2J\xc2"),
            "?2J?");                            // as one byte; a cut character
  EXPECT_EQ(printable("\xed\xa0\x80"), "???");  // half of a pair of UTF-16
  EXPECT_EQ(printable("\xc2\xa0\xe2\x82\xac\xf0\x9f\x98\x80"), "\u00a0€😀");
}

TEST(table_text, what_turns_the_direction_of_a_text_is_a_question_mark) {
  EXPECT_EQ(printable("a\u202egnp.exe"), "a?gnp.exe");
  EXPECT_EQ(printable("\u061c\u200e\u200f\u2028\u202a\u2066\u2069\u206f"), "????????");
  EXPECT_EQ(printable("\u061b\u200d\u2010\u2027\u202f\u2065\u2070"),
            "\u061b\u200d\u2010\u2027\u202f\u2065\u2070");
}

TEST(table_text, sizes_have_at_most_three_digits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(10'240), "10 KiB");
  EXPECT_EQ(format_bytes(1'048'575), "1.0 MiB");
  EXPECT_EQ(format_bytes(std::uint64_t(3) << 30), "3.0 GiB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16384 PiB");
}

}  // namespace
}  // namespace weir::table_text_test

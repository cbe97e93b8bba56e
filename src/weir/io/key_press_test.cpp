#include <weir/io/key_press.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace weir::key_press_test {
namespace {

using detail::decode_key;
using detail::decoded_key;
using ::testing::ElementsAre;

/// "alt+control+up", "function 5", "text a".
std::string text_of(const key_press& one) {
  std::string text = one.has_shift ? "shift+" : "";
  if (one.has_alt) text += "alt+";
  if (one.has_control) text += "control+";
  text += name(one.what);
  if (one.number != 0) text += " " + std::to_string(one.number);
  if (!one.text.empty()) text += " " + one.text;
  return text;
}
std::vector<std::string> keys_of(std::string_view input) {
  std::vector<std::string> all;
  while (!input.empty()) {
    const decoded_key one = decode_key(input, true);
    if (one.size == 0 || one.size > input.size()) {
      all.emplace_back("no progress");
      break;
    }
    all.push_back(text_of(one.press));
    input.remove_prefix(one.size);
  }
  return all;
}

TEST(KeyPress, characters_are_whole_in_utf_8) {
  EXPECT_THAT(keys_of("aZ ~"), ElementsAre("text a", "text Z", "text  ", "text ~"));
  EXPECT_THAT(keys_of("ä€😀"), ElementsAre("text ä", "text €", "text 😀"));
  EXPECT_THAT(keys_of("\xc3"
                      "a\x80"),
              ElementsAre("unknown \xc3", "text a", "unknown \x80"));
  EXPECT_THAT(keys_of("\xe0\x80\x80"), ElementsAre("unknown \xe0", "unknown \x80", "unknown \x80"))
      << "an overlong form";
  EXPECT_THAT(keys_of("\xf5"), ElementsAre("unknown \xf5"));
}

TEST(KeyPress, control_characters_are_keys) {
  EXPECT_THAT(keys_of("\r\n\t\x7f\b\x03\x1a\x1c"),
              ElementsAre("enter", "enter", "tab", "backspace", "backspace", "control c",
                          "control z", "control \\"));
  EXPECT_THAT(keys_of(std::string_view("\0", 1)), ElementsAre("control  "));
}

TEST(KeyPress, cursor_and_function_keys_are_known_in_all_their_forms) {
  EXPECT_THAT(keys_of("\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F"),
              ElementsAre("up", "down", "right", "left", "home", "end"));
  EXPECT_THAT(keys_of("\x1bOA\x1bOH\x1bOP\x1bOS"),
              ElementsAre("up", "home", "function 1", "function 4"));
  EXPECT_THAT(keys_of("\x1b[1~\x1b[2~\x1b[3~\x1b[4~\x1b[5~\x1b[6~"),
              ElementsAre("home", "insert", "remove", "end", "page_up", "page_down"));
  EXPECT_THAT(keys_of("\x1b[11~\x1b[15~\x1b[17~\x1b[24~\x1b[[A\x1b[[E"),
              ElementsAre("function 1", "function 5", "function 6", "function 12", "function 1",
                          "function 5"));
  EXPECT_THAT(keys_of("\x1b[Z"), ElementsAre("shift+tab"));
}

TEST(KeyPress, modifiers_are_told) {
  EXPECT_THAT(keys_of("\x1b[1;2A\x1b[1;3B\x1b[1;5C\x1b[1;8D\x1b[3;5~\x1b[1;5P"),
              ElementsAre("shift+up", "alt+down", "control+right", "shift+alt+control+left",
                          "control+remove", "control+function 1"));
  EXPECT_THAT(keys_of("\x1b"
                      "a\x1b\r\x1b\xc3\xa4"),
              ElementsAre("alt+text a", "alt+enter", "alt+text ä"));
}

TEST(KeyPress, other_sequences_are_unknown_as_a_whole_and_end_where_they_end) {
  EXPECT_THAT(keys_of("\x1b[99~a"), ElementsAre("unknown \x1b[99~", "text a"));
  EXPECT_THAT(keys_of("\x1b[?1;2ca"), ElementsAre("unknown \x1b[?1;2c", "text a"));
  EXPECT_THAT(keys_of("\x1bOxa"), ElementsAre("unknown \x1bOx", "text a"));
  EXPECT_THAT(keys_of("\x1bO\ra"), ElementsAre("alt+text O", "enter", "text a"));
  EXPECT_THAT(keys_of("\x1b[1\ra"), ElementsAre("unknown \x1b[1", "enter", "text a"));
  EXPECT_EQ(keys_of("\x1b[1;99999999999999999999Aa").size(), 2u) << "a number of any length";
  const std::string endless = "\x1b[" + std::string(40, '1');
  EXPECT_EQ(decode_key(endless, false).size, detail::sequence_bytes_max);
}

TEST(KeyPress, a_control_string_is_unknown_as_a_whole) {
  for (const std::string string :
       {"\x1b]11;rgb:0000/0000/0000\x07", "\x1b]11;rgb:ffff/ffff/ffff\x1b\\",
        "\x1bP>|term(1)\x1b\\", "\x1b_Gi=1;OK\x1b\\", "\x1b^note\x1b\\", "\x1bXname\x1b\\",
        "\x1b]lä\x1b\\", "\x1b]\x07"}) {
    EXPECT_THAT(keys_of(string + "a"), ElementsAre("unknown " + string, "text a"));
    for (std::size_t cut = 2; cut < string.size(); ++cut)
      EXPECT_EQ(decode_key(string.substr(0, cut), false).size, 0u) << string.substr(1, cut - 1);
  }
}

TEST(KeyPress, what_begins_as_a_control_string_and_has_no_end_was_typed) {
  EXPECT_THAT(keys_of("\x1b]"), ElementsAre("alt+text ]"));
  EXPECT_THAT(keys_of("\x1b]ab"), ElementsAre("alt+text ]", "text a", "text b"));
  EXPECT_THAT(keys_of("\x1bP\x1b"), ElementsAre("alt+text P", "escape"));
  EXPECT_THAT(keys_of("\x1bX\x1b[A"), ElementsAre("alt+text X", "up"));
  EXPECT_THAT(keys_of("\x1b_a\x03"), ElementsAre("alt+text _", "text a", "control c"));
  EXPECT_EQ(decode_key("\x1bX\x1b[A", false).size, 2u) << "no time is needed to tell";
}

TEST(KeyPress, of_an_endless_control_string_the_beginning_is_kept) {
  const std::string endless = "\x1b]" + std::string(5'000, 'x');
  for (const std::size_t size : {detail::string_bytes_max, std::size_t{5'000}}) {
    const decoded_key one = decode_key(endless.substr(0, size), false);
    EXPECT_TRUE(one.is_cut);
    EXPECT_EQ(one.size, detail::string_bytes_max);
    EXPECT_EQ(one.press.text, endless.substr(0, detail::string_bytes_max));
  }
  EXPECT_EQ(decode_key(endless.substr(0, detail::string_bytes_max - 1), false).size, 0u);
  using detail::look_at_string;
  using detail::string_end;
  EXPECT_EQ(look_at_string("more\x1b\\a").size, 6u);
  EXPECT_EQ(look_at_string("more\x1b\\a").end, string_end::found);
  EXPECT_EQ(look_at_string("more\x1b").size, 4u) << "what follows tells";
  EXPECT_EQ(look_at_string("more\x1b").end, string_end::open);
  EXPECT_EQ(look_at_string("more\x1b[A").end, string_end::broken);
}

TEST(KeyPress, the_start_of_a_sequence_needs_more_until_nothing_comes) {
  for (const std::string_view start : {"\x1b", "\x1b[", "\x1bO", "\x1b[1", "\x1b[1;5", "\x1b[[",
                                       "\xc3", "\xf0\x9f\x98", "\x1b\xc3", ""})
    EXPECT_EQ(decode_key(start, false).size, 0u) << start;
  EXPECT_THAT(keys_of("\x1b"), ElementsAre("escape"));
  EXPECT_THAT(keys_of("\x1b\x1b"), ElementsAre("escape", "escape"));
  EXPECT_THAT(keys_of("\x1b\x1b[A"), ElementsAre("escape", "up"));
  EXPECT_THAT(keys_of("\x1b["), ElementsAre("alt+text ["));
  EXPECT_THAT(keys_of("\x1bO"), ElementsAre("alt+text O"));
  EXPECT_THAT(keys_of("\xf0\x9f\x98"), ElementsAre("unknown \xf0\x9f\x98"));
}

// Every input of three bytes out of those that mean something gives keys that take it all.
TEST(KeyPress, every_short_input_comes_to_its_end) {
  const std::string_view bytes("\0\x1b[O;~1AZ]P\\\a\r\x7f\x80\xc3\xe0\xf0\xffz", 21);
  for (const char a : bytes) {
    for (const char b : bytes) {
      for (const char c : bytes) {
        std::string input{a, b, c};
        std::size_t taken = 0;
        for (std::string_view rest = input; !rest.empty();) {
          const std::size_t size = decode_key(rest, true).size;
          ASSERT_GT(size, 0u);
          ASSERT_LE(size, rest.size());
          rest.remove_prefix(size);
          taken += size;
        }
        EXPECT_EQ(taken, 3u);
      }
    }
  }
}

}  // namespace
}  // namespace weir::key_press_test

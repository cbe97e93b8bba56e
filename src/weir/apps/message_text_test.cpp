#include <weir/apps/message_text.hpp>

#include <gtest/gtest.h>

namespace weir::message_text_test {
namespace {

TEST(message_text, a_done_message_gives_its_result_decoded) {
  const message_end text = read_message_end(
      R"({"state":"done","last_error":null,"result":"yes","result_encoding":"text"})");
  EXPECT_EQ(text.code, exit_code::ok);
  EXPECT_EQ(text.result, "yes");
  const message_end bytes =
      read_message_end(R"({"state":"done","result":"AP8=","result_encoding":"base64"})");
  EXPECT_EQ(bytes.result, std::string("\0\xff", 2));
  EXPECT_EQ(read_message_end(R"({"state":"done","result":null})").result, "");
}

TEST(message_text, a_dead_or_expired_message_is_a_bad_end_with_its_reason) {
  const message_end dead = read_message_end(R"({"state":"dead","last_error":"no stamps"})");
  EXPECT_EQ(dead.code, exit_code::bad_end);
  EXPECT_EQ(dead.text, "the message is dead: no stamps");
  const message_end expired = read_message_end(R"({"state":"expired","last_error":null})");
  EXPECT_EQ(expired.code, exit_code::bad_end);
  EXPECT_EQ(expired.text, "the message is expired");
}

TEST(message_text, a_message_on_its_way_is_no_end) {
  const message_end end = read_message_end(R"({"id":"m7","state":"leased"})");
  EXPECT_EQ(end.code, exit_code::nothing);
  EXPECT_EQ(end.text, "message m7 has not ended yet: it is leased");
}

}  // namespace
}  // namespace weir::message_text_test

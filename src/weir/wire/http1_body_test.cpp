#include <weir/wire/http1_body.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::http1_body_test {
namespace {

// Feeds everything and gives what came out; the rest of the input stays in `input`.
std::string drain(http1_body_decoder& decoder, std::string_view& input) {
  std::string body;
  while (!input.empty() && !decoder.is_done() && !decoder.is_failed()) {
    const auto piece = decoder.next(input);
    body += piece.data;
    input.remove_prefix(piece.consumed);
  }
  return body;
}

TEST(http1_body, a_body_of_known_length_ends_after_its_last_byte) {
  http1_body_decoder decoder(body_framing::length, 5);
  std::string_view input = "helGET";
  EXPECT_EQ(decoder.remaining(), 5u);
  EXPECT_EQ(decoder.next(input.substr(0, 3)).data, "hel");
  EXPECT_EQ(decoder.remaining(), 2u);
  EXPECT_FALSE(decoder.is_done());
  input = "loGET";
  EXPECT_EQ(drain(decoder, input), "lo");
  EXPECT_TRUE(decoder.is_done());
  EXPECT_EQ(input, "GET");
  EXPECT_EQ(decoder.received(), 5u);
  EXPECT_EQ(decoder.next(input).consumed, 0u);
}

TEST(http1_body, no_body_is_done_before_the_first_byte) {
  EXPECT_TRUE(http1_body_decoder().is_done());
  EXPECT_TRUE(http1_body_decoder(body_framing::none, 7).is_done());
  EXPECT_TRUE(http1_body_decoder(body_framing::length, 0).is_done());
}

TEST(http1_body, pieces_are_views_into_the_input) {
  const std::string input = "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n";
  http1_body_decoder decoder(body_framing::chunked, 0);
  const auto first = decoder.next(input);
  EXPECT_EQ(first.data, "hello");
  EXPECT_EQ(first.data.data(), input.data() + 3);
  EXPECT_EQ(first.consumed, 8u);
  std::string_view rest = std::string_view(input).substr(8);
  EXPECT_EQ(drain(decoder, rest), "abc");
  EXPECT_TRUE(decoder.is_done());
}

TEST(http1_body, a_body_until_close_ends_with_the_connection) {
  http1_body_decoder decoder(body_framing::until_close, 0);
  std::string_view input = "anything\r\n0\r\n\r\n";
  EXPECT_EQ(drain(decoder, input), "anything\r\n0\r\n\r\n");
  EXPECT_FALSE(decoder.is_done());
  decoder.end_of_input();
  EXPECT_TRUE(decoder.is_done());
}

TEST(http1_body, a_connection_that_ends_inside_a_body_is_a_fault) {
  for (const char* text : {"", "5", "5\r\nhel", "5\r\nhello\r\n", "0\r\n", "0\r\nA: b\r\n"}) {
    http1_body_decoder decoder(body_framing::chunked, 0);
    std::string_view input = text;
    (void)drain(decoder, input);
    decoder.end_of_input();
    EXPECT_EQ(decoder.fault().code, "truncated_body") << text;
  }
  http1_body_decoder decoder(body_framing::length, 5);
  decoder.end_of_input();
  EXPECT_TRUE(decoder.is_failed());
}

TEST(http1_body, trailers_are_kept_apart_and_trimmed) {
  http1_body_decoder decoder(body_framing::chunked, 0);
  std::string_view input = "0\r\nA: b c \r\nDigest:\t\xc3\xa4\r\nEmpty:\r\n\r\nnext";
  EXPECT_EQ(drain(decoder, input), "");
  ASSERT_TRUE(decoder.is_done());
  EXPECT_EQ(input, "next");
  ASSERT_EQ(decoder.trailers().size(), 3u);
  EXPECT_EQ(decoder.trailers().value_of("a"), "b c");
  EXPECT_EQ(decoder.trailers().value_of("digest"), "\xc3\xa4");
  EXPECT_EQ(decoder.trailers().value_of("empty"), "");
}

// The fault of a chunked body under these limits; 0 when it is whole.
int status_of(http_limits limits, const std::string& text) {
  http1_body_decoder decoder(body_framing::chunked, 0, limits);
  std::string_view input = text;
  (void)drain(decoder, input);
  EXPECT_TRUE(decoder.is_done() || decoder.is_failed()) << text;
  return decoder.fault().status;
}

TEST(http1_body, each_limit_lets_its_size_pass_and_refuses_one_more) {
  http_limits limits;
  limits.body_bytes_max = 8;
  limits.chunk_extension_bytes_max = 6;
  limits.trailer_bytes_max = 12;
  limits.fields_max = 2;
  EXPECT_EQ(status_of(limits, "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"), 0);
  EXPECT_EQ(status_of(limits, "5\r\nhello\r\n4\r\nabcd\r\n0\r\n\r\n"), 413);
  EXPECT_EQ(status_of(limits, "1;ab\r\nx\r\n0;cd\r\n\r\n"), 0);  // counted over all chunks
  EXPECT_EQ(status_of(limits, "1;ab\r\nx\r\n0;cde\r\n\r\n"), 400);
  EXPECT_EQ(status_of(limits, "1      ;\r\nx\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(status_of(limits, "0\r\nA: b\r\nC: d\r\n\r\n"), 0);
  EXPECT_EQ(status_of(limits, "0\r\nA: b\r\nC: de\r\n\r\n"), 431);
  EXPECT_EQ(status_of(limits, "0\r\nA:\r\nB:\r\nC:\r\n\r\n"), 431);
  EXPECT_EQ(http1_body_decoder(body_framing::length, 8, limits).fault().status, 0);
  EXPECT_EQ(http1_body_decoder(body_framing::length, 9, limits).fault().status, 413);
}

TEST(http1_body, a_body_until_close_stops_at_its_limit) {
  http_limits limits;
  limits.body_bytes_max = 8;
  http1_body_decoder decoder(body_framing::until_close, 0, limits);
  std::string_view input = "123456789";
  EXPECT_EQ(drain(decoder, input), "12345678");
  EXPECT_EQ(decoder.fault().status, 413);
}

}  // namespace
}  // namespace weir::http1_body_test

#include <weir/wire/http1_writer.hpp>

#include <weir/wire/http1_parser.hpp>

#include <gtest/gtest.h>

#include <ctime>
#include <string>

namespace weir::http1_writer_test {
namespace {

using namespace std::string_view_literals;

TEST(http1_writer, a_response_head_reads_back_as_it_was_written) {
  std::string out = "before";
  http1_head_writer::response(out, 202)
      .field("Location", "/v1/messages/1")
      .field("Retry-After", 5)
      .framing(body_framing::length, 42)
      .finish();
  EXPECT_EQ(out,
            "beforeHTTP/1.1 202 Accepted\r\nLocation: /v1/messages/1\r\nRetry-After: 5\r\n"
            "Content-Length: 42\r\n\r\n");
  http1_response_parser parser;
  ASSERT_EQ(parser.parse(std::string_view(out).substr(6)), parse_state::complete);
  EXPECT_EQ(parser.head().status, 202);
  EXPECT_EQ(parser.head().content_length, 42u);
}

TEST(http1_writer, a_request_head_reads_back_as_it_was_written) {
  std::string out;
  http1_head_writer::request(out, "POST", "/hook?a=1")
      .field("Host", "x")
      .framing(body_framing::chunked)
      .finish();
  http1_request_parser parser;
  ASSERT_EQ(parser.parse(out), parse_state::complete);
  EXPECT_EQ(parser.head().target, "/hook?a=1");
  EXPECT_EQ(parser.head().framing, body_framing::chunked);
}

TEST(http1_writer, text_that_would_break_out_of_its_line_is_refused_and_leaves_nothing) {
  std::string out = "kept";
  const auto refuses = [&](auto write) {
    try {
      write();
      return false;
    } catch (const exception& e) {
      return e.reason() == errc::invalid_argument && out == "kept";
    }
  };
  for (std::string_view value : {"a\r\nSet-Cookie: b"sv, "a\nb"sv, "a\rb"sv, "a\0b"sv, "\x7f"sv}) {
    EXPECT_TRUE(refuses([&] { http1_head_writer::response(out, 200).field("A", value); })) << value;
  }
  for (std::string_view name : {""sv, "A b"sv, "A:"sv, "A\r\nB"sv, "\xc3\xa4"sv}) {
    EXPECT_TRUE(refuses([&] { http1_head_writer::response(out, 200).field(name, "b"); })) << name;
  }
  for (std::string_view target : {""sv, "/a b"sv, "/a\r\nHost: x"sv, "/a#b"sv, "/\xc3\xa4"sv}) {
    EXPECT_TRUE(refuses([&] { http1_head_writer::request(out, "GET", target); })) << target;
  }
  EXPECT_TRUE(refuses([&] { http1_head_writer::request(out, "GE T", "/"); }));
  EXPECT_TRUE(refuses([&] { http1_head_writer::request(out, "", "/"); }));
}

TEST(http1_writer, framing_names_only_what_ends_the_body) {
  const auto written = [](body_framing kind) {
    std::string out;
    http1_head_writer::response(out, 200).framing(kind, 3).finish();
    return out.substr(out.find("\r\n") + 2);
  };
  EXPECT_EQ(written(body_framing::none), "\r\n");
  EXPECT_EQ(written(body_framing::length), "Content-Length: 3\r\n\r\n");
  EXPECT_EQ(written(body_framing::chunked), "Transfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(written(body_framing::until_close), "Connection: close\r\n\r\n");
}

TEST(http1_writer, chunk_heads_are_hexadecimal) {
  std::string out;
  append_chunk_head(out, 1);
  append_chunk_head(out, 255);
  append_chunk_head(out, UINT64_MAX);
  EXPECT_EQ(out, "1\r\nff\r\nffffffffffffffff\r\n");
}

TEST(http1_writer_death, a_chunk_without_data_would_end_the_body) {
  std::string out;
  EXPECT_DEATH(append_chunk_head(out, 0), "size != 0");
}

TEST(http1_writer, dates_are_those_of_the_c_library) {
  std::string out;
  append_http_date(out, 784'111'777);
  EXPECT_EQ(out, "Sun, 06 Nov 1994 08:49:37 GMT");  // the example of RFC 9110
  for (std::int64_t at = 0; at <= 253'402'300'799; at += 86'400 * 13 + 12'345) {
    const std::time_t time = at;
    std::tm parts{};
    gmtime_r(&time, &parts);
    char expected[64];
    std::strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    out.clear();
    append_http_date(out, at);
    ASSERT_EQ(out, expected);
    ASSERT_EQ(out.size(), http_date_bytes);
  }
  out.clear();
  append_http_date(out, -5);  // cut to the range
  EXPECT_EQ(out, "Thu, 01 Jan 1970 00:00:00 GMT");
}

}  // namespace
}  // namespace weir::http1_writer_test

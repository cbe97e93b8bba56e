// Requests that two implementations could read differently (request smuggling), as a table: the
// text, and what must become of it. Each case runs whole, byte by byte, in all two-part splits and
// from moving buffers, and must end in the same way. Sections are of RFC 9112 where not said
// otherwise.
#include <weir/wire/http1_body.hpp>
#include <weir/wire/http1_parser.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace weir::http1_smuggling_test {
namespace {

using namespace std::string_view_literals;

struct request_case {
  std::string_view text;
  int status;  // 0: accepted
  std::string_view code;
};

// Everything a request says, as one text that can be compared: head, body, trailers, rest.
std::string shown(const http_request_head& head, const std::string& body,
                  const http_fields& trailers, std::size_t used) {
  std::string text = std::string(head.method) + '|' + std::string(head.target) + '|' +
                     std::string(head.host) + '|' + (head.keep_alive ? "keep" : "close") + '|';
  for (const auto& f : head.fields) (((text += f.name) += '=') += f.value) += '|';
  text += "body=" + body + '|';
  for (const auto& f : trailers) (((text += f.name) += '=') += f.value) += '|';
  return text += "used=" + std::to_string(used);
}

// Feeds `text` in the pieces that end at `cuts`, as a connection would, into exact allocations.
std::string run(std::string_view text, const std::vector<std::size_t>& cuts) {
  http1_request_parser parser;
  http1_body_decoder decoder;
  bool has_head = false;
  std::unique_ptr<char[]> received;
  std::unique_ptr<char[]> head_bytes;  // the head's views point here
  std::string body;
  std::size_t used = 0;
  for (std::size_t cut : cuts) {
    auto moved = std::make_unique<char[]>(cut);
    text.copy(moved.get(), cut);
    received = std::move(moved);
    if (!has_head) {
      const parse_state state = parser.parse({received.get(), cut});
      if (state == parse_state::incomplete) continue;
      if (state == parse_state::failed) {
        return std::to_string(parser.fault().status) + ' ' + std::string(parser.fault().code);
      }
      has_head = true;
      used = parser.consumed();
      decoder = http1_body_decoder(parser.head().framing, parser.head().content_length);
      head_bytes = std::move(received);
    }
    const char* bytes = received ? received.get() : head_bytes.get();
    while (used < cut && !decoder.is_done() && !decoder.is_failed()) {
      const auto piece = decoder.next({bytes + used, cut - used});
      body += piece.data;
      used += piece.consumed;
    }
    if (decoder.is_failed()) {
      return std::to_string(decoder.fault().status) + ' ' + std::string(decoder.fault().code);
    }
  }
  if (!has_head || !decoder.is_done()) return "incomplete";
  return shown(parser.head(), body, decoder.trailers(), used);
}

std::string run_whole(std::string_view text) { return run(text, {text.size()}); }

const request_case cases[] = {
    // Content-Length (6.2, 6.3)
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"sv, 0, ""},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 005\r\n\r\nhello"sv, 0, ""},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"sv, 0, ""},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"sv, 400,
     "duplicate_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"sv, 400,
     "duplicate_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\ncontent-lengTH: 0\r\n\r\nhello"sv, 400,
     "duplicate_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello"sv, 400,
     "bad_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello"sv, 400, "bad_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello"sv, 400, "bad_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello"sv, 400, "bad_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5 5\r\n\r\nhello"sv, 400, "bad_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5.0\r\n\r\nhello"sv, 400, "bad_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nhello"sv, 400, "bad_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \"5\"\r\n\r\nhello"sv, 400,
     "bad_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \xd9\xa5\r\n\r\nhello"sv, 400,
     "bad_content_length"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551621\r\n\r\nhello"sv, 413,
     "body_too_large"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"sv, 413, "body_too_large"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello"sv, 400, "space_before_colon"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent_Length: 5\r\n\r\n"sv, 0, ""},  // another field
    // Transfer-Encoding (6.1, 6.3)
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"sv, 0,
     ""},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"sv, 400,
     "conflicting_lengths"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"sv, 400,
     "conflicting_lengths"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n"sv,
     400, "conflicting_lengths"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"sv, 400,
     "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n"sv,
     400, "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "identity\r\n\r\n"sv,
     400, "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n"sv, 400,
     "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n"sv, 400,
     "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"sv, 400,
     "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"sv, 501,
     "unknown_transfer_coding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"sv, 400,
     "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;q=1\r\n\r\n"sv, 400,
     "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n"sv, 400,
     "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: , chunked\r\n\r\n"sv, 400,
     "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked,\r\n\r\n"sv, 400,
     "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n"sv, 400, "bad_transfer_encoding"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\vchunked\r\n\r\n"sv, 400, "bad_field_value"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n"sv, 400,
     "space_before_colon"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n"sv, 400,
     "space_before_colon"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"sv, 400, "folded_field"},
    {"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"sv, 400,
     "transfer_encoding_in_1_0"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\tCHUNKED \r\n\r\n0\r\n\r\n"sv, 0, ""},
    // line ends (2.2)
    {"GET / HTTP/1.1\nHost: x\n\n"sv, 400, "bare_line_end"},
    {"GET / HTTP/1.1\r\nHost: x\n\r\n"sv, 400, "bare_line_end"},
    {"GET / HTTP/1.1\r\nHost: x\r\n\n"sv, 400, "field_without_colon"},
    {"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n"sv, 400, "bare_line_end"},
    {"GET / HTTP/1.1\r\nHost: x\r\r\n\r\n"sv, 400, "bare_line_end"},
    {"GET / HTTP/1.1\r\nHost: x\r\n\rA: b\r\n\r\n"sv, 400, "bare_line_end"},
    {"GET / HTTP/1.1\rHost: x\r\n\r\n"sv, 400, "bare_line_end"},
    {"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"sv, 0, ""},
    {"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "empty_lines"},
    {"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bare_line_end"},
    {"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bare_line_end"},
    // field lines (5.1, 5.2, RFC 9110 5.1 and 5.5)
    {"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"sv, 400, "folded_field"},
    {"GET / HTTP/1.1\r\nHost: x\r\n\tfolded\r\n\r\n"sv, 400, "folded_field"},
    {"GET / HTTP/1.1\r\n Host: x\r\n\r\n"sv, 400, "folded_field"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n"sv, 400, "field_without_colon"},
    {"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"sv, 400, "bad_field_name"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA(b): c\r\n\r\n"sv, 400, "bad_field_name"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA\0b: c\r\n\r\n"sv, 400, "bad_field_name"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA\x80: c\r\n\r\n"sv, 400, "bad_field_name"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"sv, 400, "bad_field_value"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: b\x7f\r\n\r\n"sv, 400, "bad_field_value"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: 0123456789abcdef\x01 0123456789abcdef\r\n\r\n"sv, 400,
     "bad_field_value"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: b\tc \xc3\xa4 \xff\r\n\r\n"sv, 0, ""},
    // the request line (3)
    {"GET /\r\n"sv, 400, "bad_request_line"},  // HTTP/0.9
    {"GET / HTTP/0.9\r\nHost: x\r\n\r\n"sv, 505, "unknown_version"},
    {"GET / HTTP/2.0\r\nHost: x\r\n\r\n"sv, 505, "unknown_version"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv, 505, "unknown_version"},
    {"GET / http/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET / HTTP/1.1 \r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET / HTTP/1.10\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET / HTTP/11\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET / HTTP/+1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET / HTTPS/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET /  HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {" GET / HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET / a HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET /\x80 HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"GET /a\\b HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"G(T / HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_request_line"},
    {"\x16\x03\x01\x02"sv, 400, "bad_request_line"},  // a TLS client on a plain port
    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n\r\n"sv, 501, "method_too_long"},
    // targets (3.2)
    {"GET a HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"GET * HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"OPTIONS *a HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"CONNECT x:99999 HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"GET http:/x HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    {"GET http://x:y/ HTTP/1.1\r\nHost: x\r\n\r\n"sv, 400, "bad_target"},
    // Host (3.2)
    {"GET / HTTP/1.1\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.0\r\n\r\n"sv, 0, ""},
    {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.0\r\nHost: x\r\nHOST: y\r\n\r\n"sv, 400, "bad_host"},
    {"GET http://x/ HTTP/1.1\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"sv, 400, "bad_host"},
    {"GET / HTTP/1.1\r\nHost: [::1]:8420\r\n\r\n"sv, 0, ""},
    {"GET / HTTP/1.1\r\nHost: x:\r\n\r\n"sv, 0, ""},
    // Expect (RFC 9110, 10.1.1)
    {"GET / HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\n\r\n"sv, 417, "unknown_expectation"},
    // chunks (7.1)
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\r\nhello\r\n0000A;a=b;c=\"d\"\r\n0123456789\r\n0 ;x\r\nT: v\r\n\r\nrest"sv,
     0, ""},
};

// The head of a chunked request; `body` follows.
const request_case chunk_cases[] = {
    {"\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"g\r\n"sv, 400, "bad_chunk_size"},
    {"0x5\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"+5\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"-5\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {" 5\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"5 \r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"5\t\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"5 5\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"5,5\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"5\0\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"00000000000000005\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"10000000000000005\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"ffffffffffffffff\r\nhello"sv, 413, "body_too_large"},
    {"1000001\r\n"sv, 413, "body_too_large"},
    {"5\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_size"},
    {"5\r\rhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5\rhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5;a\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5;a\rb\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5;a\0\r\nhello\r\n0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5\r\nhello0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5\r\nhello!\r\n0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5\r\nhello\n0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5\r\nhello\r0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5\r\nhell\r\n0\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5\r\nhello\r\n0\r\n\n"sv, 400, "bad_chunk_end"},
    {"5\r\nhello\r\n0\r\nA: b\n\r\n"sv, 400, "bad_chunk_end"},
    {"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"sv, 400, "bad_trailer"},
    {"5\r\nhello\r\n0\r\nA : b\r\n\r\n"sv, 400, "bad_trailer"},
    {"5\r\nhello\r\n0\r\nA\r\n\r\n"sv, 400, "bad_trailer"},
    {"5\r\nhello\r\n0\r\n: b\r\n\r\n"sv, 400, "bad_trailer"},
    {"5\r\nhello\r\n0\r\nA: \0\r\n\r\n"sv, 400, "bad_trailer"},
    {"5\r\nhello\r\n0\r\nA: b\r\rB: c\r\n\r\n"sv, 400, "bad_chunk_end"},
    {"5\r\nhello\r\n0\r\n\rX"sv, 400, "bad_chunk_end"},
    {"5\r\nhello\r\n00\r\n\r\n"sv, 0, ""},
    {"5 \t;a\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"sv, 0, ""},
};

std::vector<request_case> all_cases(std::vector<std::string>& keeper) {
  std::vector<request_case> all(std::begin(cases), std::end(cases));
  keeper.reserve(std::size(chunk_cases));
  for (const auto& c : chunk_cases) {
    keeper.push_back("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                     std::string(c.text));
    all.push_back({keeper.back(), c.status, c.code});
  }
  return all;
}

TEST(http1_smuggling, each_case_of_the_table_ends_as_it_must) {
  std::vector<std::string> keeper;
  const auto all = all_cases(keeper);
  EXPECT_GE(all.size(), 60u);
  for (const auto& c : all) {
    const std::string got = run_whole(c.text);
    if (c.status != 0) {
      EXPECT_EQ(got, std::to_string(c.status) + ' ' + std::string(c.code)) << c.text;
    } else {
      EXPECT_NE(got.find("|used="), std::string::npos) << c.text << " gave " << got;
    }
  }
}

TEST(http1_smuggling, no_split_of_the_input_changes_the_outcome) {
  std::vector<std::string> keeper;
  for (const auto& c : all_cases(keeper)) {
    const std::string whole = run_whole(c.text);
    std::vector<std::size_t> bytewise;
    for (std::size_t cut = 1; cut <= c.text.size(); ++cut) bytewise.push_back(cut);
    ASSERT_EQ(run(c.text, bytewise), whole) << c.text;
    for (std::size_t cut = 1; cut < c.text.size(); ++cut) {
      ASSERT_EQ(run(c.text, {cut, c.text.size()}), whole) << c.text << " cut at " << cut;
    }
  }
}

TEST(http1_smuggling, what_failed_fails_in_the_same_way_whatever_follows) {
  std::vector<std::string> keeper;
  for (const auto& c : all_cases(keeper)) {
    if (c.status == 0) continue;
    const std::string more = std::string(c.text) + "GET / HTTP/1.1\r\nHost: y\r\n\r\n\0\n\r";
    EXPECT_EQ(run_whole(more), run_whole(c.text)) << c.text;
  }
}

TEST(http1_smuggling, an_accepted_request_takes_its_own_bytes_and_no_more) {
  EXPECT_EQ(run_whole("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP"),
            "POST|/|x|keep|Host=x|Content-Length=5|body=hello|used=52");
  EXPECT_EQ(run_whole("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "5\r\nhello\r\n0000A;a=b\r\n0123456789\r\n0\r\nT: v\r\n\r\nrest"),
            "POST|/|x|keep|Host=x|Transfer-Encoding=chunked|body=hello0123456789|T=v|used=100");
  EXPECT_EQ(run_whole("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /"),
            "GET|/|x|keep|Host=x|body=|used=27");
}

}  // namespace
}  // namespace weir::http1_smuggling_test

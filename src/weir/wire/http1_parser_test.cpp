#include <weir/wire/http1_parser.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace weir::http1_parser_test {
namespace {

// A parser fed with a buffer that is exactly as large as its bytes (so that the address sanitizer
// sees each read beyond them) and that moves with each call.
template <class Parser>
parse_state parse_moving(Parser& parser, std::string_view text, std::unique_ptr<char[]>& keeper) {
  auto fresh = std::make_unique<char[]>(text.size());
  text.copy(fresh.get(), text.size());
  const parse_state state = parser.parse({fresh.get(), text.size()});
  keeper = std::move(fresh);
  return state;
}

http_request_head parsed(std::string_view text) {
  http1_request_parser parser;
  EXPECT_EQ(parser.parse(text), parse_state::complete) << text << parser.fault().detail;
  EXPECT_EQ(parser.consumed(), text.size());
  return parser.head();
}

TEST(http1_parser, a_request_head_is_views_into_the_received_bytes) {
  const std::string text =
      "POST /v1/queues/mails/messages?wait=5s&x=a%20b HTTP/1.1\r\n"
      "Host: example.com:8420\r\n"
      "Content-Type:  text/plain; charset=utf-8 \t\r\n"
      "content-length: 12\r\n"
      "Empty:\r\n"
      "\r\n";
  const http_request_head head = parsed(text);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/v1/queues/mails/messages?wait=5s&x=a%20b");
  EXPECT_EQ(head.path, "/v1/queues/mails/messages");
  EXPECT_EQ(head.query, "wait=5s&x=a%20b");
  EXPECT_EQ(head.host, "example.com:8420");
  EXPECT_EQ(head.form, target_form::origin);
  EXPECT_EQ(head.version, http_version::v1_1);
  EXPECT_EQ(head.framing, body_framing::length);
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.expects_continue);
  ASSERT_EQ(head.fields.size(), 4u);
  EXPECT_EQ(head.fields[1].name, "Content-Type");
  EXPECT_EQ(head.fields.value_of("CONTENT-TYPE"), "text/plain; charset=utf-8");
  EXPECT_EQ(head.fields.value_of("empty"), "");
  EXPECT_NE(head.fields.find("empty"), nullptr);
  EXPECT_EQ(head.fields.find("missing"), nullptr);
  EXPECT_GE(head.method.data(), text.data());
  EXPECT_LT(head.fields[3].name.data(), text.data() + text.size());
}

TEST(http1_parser, the_four_forms_of_a_target_are_told_apart) {
  auto head = parsed("GET http://user.example:81/a?b HTTP/1.1\r\nHost: other\r\n\r\n");
  EXPECT_EQ(head.form, target_form::absolute);
  EXPECT_EQ(head.host, "user.example:81");  // 9112, 3.2.2: the field is ignored
  EXPECT_EQ(head.path, "/a");
  EXPECT_EQ(head.query, "b");
  head = parsed("GET HTTPS://[::1]?q HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(head.host, "[::1]");
  EXPECT_EQ(head.path, "/");
  EXPECT_EQ(head.query, "q");
  head = parsed("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
  EXPECT_EQ(head.form, target_form::authority);
  EXPECT_EQ(head.host, "a.example:443");
  head = parsed("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(head.form, target_form::asterisk);
  EXPECT_EQ(head.path, "*");
  head = parsed("GET /?? HTTP/1.1\r\nHost:\r\n\r\n");
  EXPECT_EQ(head.path, "/");
  EXPECT_EQ(head.query, "?");
  EXPECT_EQ(head.host, "");
}

TEST(http1_parser, keep_alive_follows_version_and_connection) {
  const struct {
    const char* version;
    const char* connection;
    bool keep_alive;
  } cases[] = {{"1.1", "", true},
               {"1.1", "Connection: close\r\n", false},
               {"1.1", "Connection: foo , CLOSE\r\n", false},
               {"1.1", "Connection: foo\r\nConnection: close\r\n", false},
               {"1.1", "Connection: closed\r\n", true},
               {"1.1", "Connection: keep-alive, close\r\n", false},
               {"1.9", "", true},  // a later minor version is spoken as 1.1
               {"1.0", "", false},
               {"1.0", "Connection: Keep-Alive\r\n", true},
               {"1.0", "Connection: keep-alive, close\r\n", false}};
  for (const auto& c : cases) {
    const std::string text =
        std::string("GET / HTTP/") + c.version + "\r\nHost: x\r\n" + c.connection + "\r\n";
    EXPECT_EQ(parsed(text).keep_alive, c.keep_alive) << text;
  }
}

TEST(http1_parser, a_client_that_waits_for_100_is_known) {
  const std::string expect = "Host: x\r\nExpect: 100-Continue\r\n";
  EXPECT_TRUE(parsed("PUT / HTTP/1.1\r\nContent-Length: 1\r\n" + expect + "\r\n").expects_continue);
  EXPECT_FALSE(parsed("PUT / HTTP/1.1\r\n" + expect + "\r\n").expects_continue);  // no body
  EXPECT_FALSE(
      parsed("PUT / HTTP/1.0\r\nContent-Length: 1\r\n" + expect + "\r\n").expects_continue);
}

TEST(http1_parser, pipelined_requests_are_read_one_after_the_other) {
  const std::string text =
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
      "\r\nGET /2 HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n"
      "GET /3 HTTP/1.1\r\nHo";
  std::string_view rest = text;
  http1_request_parser parser;
  ASSERT_EQ(parser.parse(rest), parse_state::complete);
  EXPECT_EQ(parser.head().path, "/1");
  rest.remove_prefix(parser.consumed());
  parser.reset();
  ASSERT_EQ(parser.parse(rest), parse_state::complete);
  EXPECT_EQ(parser.head().path, "/2");
  EXPECT_EQ(parser.head().fields.size(), 2u);
  rest.remove_prefix(parser.consumed());
  parser.reset();
  EXPECT_EQ(parser.parse(rest), parse_state::incomplete);
}

TEST(http1_parser, bytes_that_move_between_two_calls_leave_no_dangling_view) {
  const std::string text = "GET /abc HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
  http1_request_parser parser;
  std::unique_ptr<char[]> keeper;
  for (std::size_t size = 1; size <= text.size(); ++size) {
    const parse_state state = parse_moving(parser, std::string_view(text).substr(0, size), keeper);
    ASSERT_EQ(state, size == text.size() ? parse_state::complete : parse_state::incomplete);
  }
  EXPECT_EQ(parser.head().path, "/abc");
  EXPECT_EQ(parser.head().fields.value_of("a"), "b");
}

TEST(http1_parser, a_head_that_comes_byte_by_byte_is_not_read_from_the_start_each_time) {
  // Quadratic work would make this test take minutes under the limits of this head.
  http_limits limits;
  limits.head_bytes_max = 4'000'000;
  limits.fields_max = 200'000;
  std::string text = "GET / HTTP/1.1\r\nHost: x\r\n";
  while (text.size() < 2'000'000) text += "Some-Field: with a value\r\n";
  text += "\r\n";
  http1_request_parser parser(limits);
  for (std::size_t size = 1; size < text.size(); ++size) {
    ASSERT_EQ(parser.parse(std::string_view(text).substr(0, size)), parse_state::incomplete);
  }
  EXPECT_EQ(parser.parse(text), parse_state::complete);
}

// ---- limits: the largest accepted size and one more ----

struct outcome {
  parse_state state;
  int status;
};
outcome parse_within(http_limits limits, const std::string& text) {
  http1_request_parser parser(limits);
  const parse_state state = parser.parse(text);
  return {state, parser.fault().status};
}

TEST(http1_parser, each_limit_lets_its_size_pass_and_refuses_one_more) {
  http_limits limits;
  limits.method_bytes_max = 5;
  limits.target_bytes_max = 10;
  limits.field_line_bytes_max = 20;  // with CR LF
  limits.fields_max = 3;
  limits.head_bytes_max = 71;
  limits.body_bytes_max = 100;
  const std::string rest = " HTTP/1.1\r\nHost: x\r\n";
  const struct {
    const char* what;
    std::string passes;
    std::string fails;
    int status;
  } cases[] = {
      {"method", "ABCDE /" + rest + "\r\n", "ABCDEF /" + rest + "\r\n", 501},
      {"target", "GET /234567890" + rest + "\r\n", "GET /2345678901" + rest + "\r\n", 414},
      {"field line", "GET /" + rest + "A: 456789012345678\r\n\r\n",
       "GET /" + rest + "A: 4567890123456789\r\n\r\n", 431},
      {"fields", "GET /" + rest + "A: 1\r\nB: 2\r\n\r\n",
       "GET /" + rest + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", 431},
      {"head", "GET /234567890" + rest + "A: 456789012345678\r\nB: 4567890123\r\n\r\n",
       "GET /234567890" + rest + "A: 456789012345678\r\nB: 45678901234\r\n\r\n", 431},
      {"body", "GET /" + rest + "Content-Length: 100\r\n\r\n",
       "GET /" + rest + "Content-Length: 101\r\n\r\n", 413},
      {"empty lines", "\r\nGET /" + rest + "\r\n", "\r\n\r\nGET /" + rest + "\r\n", 400},
  };
  for (const auto& c : cases) {
    http_limits used = limits;
    if (c.what == std::string("body")) used.field_line_bytes_max = 30;
    EXPECT_EQ(parse_within(used, c.passes).state, parse_state::complete) << c.what;
    EXPECT_EQ(parse_within(used, c.fails).state, parse_state::failed) << c.what;
    EXPECT_EQ(parse_within(used, c.fails).status, c.status) << c.what;
  }
}

TEST(http1_parser, an_endless_head_is_refused_as_soon_as_its_limit_is_reached) {
  const std::string parts[] = {std::string(100'000, 'A'), "GET /" + std::string(100'000, 'a'),
                               "GET / HTTP/1.1\r\n" + std::string(100'000, 'a'),
                               "GET / HTTP/1.1\r\nA:" + std::string(100'000, ' ')};
  const int statuses[] = {501, 414, 431, 431};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(parse_within({}, parts[i]).status, statuses[i]) << i;
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 99; ++i) many += "A: " + std::string(400, 'b') + "\r\n";
  EXPECT_EQ(parse_within({}, many).status, 431);
}

// ---- responses ----

http_response_head parsed_response(std::string_view text, response_to to = response_to::other) {
  http1_response_parser parser;
  EXPECT_EQ(parser.parse(text, to), parse_state::complete) << text << parser.fault().detail;
  EXPECT_EQ(parser.consumed(), text.size());
  return parser.head();
}

TEST(http1_parser, a_response_head_says_how_its_body_ends) {
  using enum body_framing;
  const struct {
    const char* text;
    response_to to;
    body_framing framing;
    bool keep_alive;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", response_to::other, length, true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", response_to::other, none, true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", response_to::other, chunked, true},
      {"HTTP/1.1 200 OK\r\n\r\n", response_to::other, until_close, false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", response_to::other, length, false},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", response_to::head, none, true},
      {"HTTP/1.1 204 No Content\r\n\r\n", response_to::other, none, true},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", response_to::other, none, true},
      {"HTTP/1.1 100 Continue\r\n\r\n", response_to::other, none, true},
      {"HTTP/1.1 200 OK\r\n\r\n", response_to::connect, none, true},
      {"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\n", response_to::connect, length, true},
      {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n", response_to::other,
       length, false},
  };
  for (const auto& c : cases) {
    const auto head = parsed_response(c.text, c.to);
    EXPECT_EQ(head.framing, c.framing) << c.text;
    EXPECT_EQ(head.keep_alive, c.keep_alive) << c.text;
  }
}

TEST(http1_parser, a_status_line_may_lack_its_reason) {
  EXPECT_EQ(parsed_response("HTTP/1.1 404 Not  Found\r\n\r\n").reason, "Not  Found");
  EXPECT_EQ(parsed_response("HTTP/1.1 404 \r\n\r\n").reason, "");
  EXPECT_EQ(parsed_response("HTTP/1.1 404\r\n\r\n").status, 404);
  EXPECT_TRUE(parsed_response("HTTP/1.1 103 Early Hints\r\n\r\n").is_interim());
  EXPECT_FALSE(parsed_response("HTTP/1.1 101 Switching Protocols\r\n\r\n").is_interim());
}

TEST(http1_parser, malformed_responses_are_refused_the_same_way_at_every_split) {
  const char* texts[] = {
      "HTTP/2.0 200 OK\r\n\r\n",
      "http/1.1 200 OK\r\n\r\n",
      "HTTP/1.1  200 OK\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 099 OK\r\n\r\n",
      "HTTP/1.1 600 OK\r\n\r\n",
      "HTTP/1.1 200OK\r\n\r\n",
      "HTTP/1.1 200 OK\n\n",
      "HTTP/1.1 200 O\001K\r\n\r\n",
      "HTTP/1.1 200 OK\r\rA: b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "ICY 200 OK\r\n\r\n",
      "<html>",
  };
  for (const char* text : texts) {
    http1_response_parser whole;
    ASSERT_EQ(whole.parse(text), parse_state::failed) << text;
    EXPECT_TRUE(as_error(whole.fault()) == errc::malformed || whole.fault().status == 413) << text;
    http1_response_parser bytewise;
    std::size_t size = 1;
    const std::string_view view = text;
    while (bytewise.parse(view.substr(0, size)) == parse_state::incomplete) ++size;
    EXPECT_EQ(bytewise.fault(), whole.fault()) << text;
  }
}

TEST(http1_fields, a_token_is_found_in_any_of_the_lists_of_a_field) {
  const auto head =
      parsed("GET / HTTP/1.1\r\nHost: x\r\nAccept: a, b;q=1\r\nACCEPT: c ,d\r\nOther: e\r\n\r\n");
  EXPECT_TRUE(head.fields.has_token("accept", "A"));
  EXPECT_TRUE(head.fields.has_token("accept", "c"));
  EXPECT_TRUE(head.fields.has_token("accept", "d"));
  EXPECT_FALSE(head.fields.has_token("accept", "e"));
  EXPECT_FALSE(head.fields.has_token("accept", "b"));
  EXPECT_EQ(head.fields.count_of("accept"), 2u);
}

TEST(http1_parser, every_status_that_the_parsers_answer_has_a_phrase) {
  for (int status : {400, 413, 414, 417, 431, 501, 505}) {
    EXPECT_NE(reason_phrase(status), "Unknown") << status;
  }
  EXPECT_EQ(reason_phrase(299), "Unknown");
}

}  // namespace
}  // namespace weir::http1_parser_test

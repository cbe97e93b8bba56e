#include <weir/wire/url.hpp>

#include <gtest/gtest.h>

namespace weir::url_test {
namespace {

using namespace std::string_view_literals;

TEST(url, the_parts_are_what_a_client_needs) {
  const url parsed = parse_url("HTTP://Example.COM:8080/a/b%20c?d=e/f?").value();
  EXPECT_EQ(parsed.scheme, url_scheme::http);
  EXPECT_EQ(parsed.kind, host_kind::name);
  EXPECT_EQ(parsed.host, "example.com");
  EXPECT_EQ(parsed.port, 8080);
  EXPECT_EQ(parsed.target, "/a/b%20c?d=e/f?");
  EXPECT_EQ(parsed.authority(), "example.com:8080");
  EXPECT_EQ(parsed.text(), "http://example.com:8080/a/b%20c?d=e/f?");
}

TEST(url, the_scheme_gives_the_port_and_the_path_is_never_empty) {
  EXPECT_EQ(parse_url("http://a").value().port, 80);
  EXPECT_EQ(parse_url("https://a").value().port, 443);
  EXPECT_EQ(parse_url("http://a").value().target, "/");
  EXPECT_EQ(parse_url("http://a?b").value().target, "/?b");
  EXPECT_EQ(parse_url("https://a:443/").value().text(), "https://a/");
  EXPECT_EQ(parse_url("https://a:80/").value().text(), "https://a:80/");
}

TEST(url, hosts_are_names_or_addresses) {
  EXPECT_EQ(parse_url("http://127.0.0.1:1/").value().kind, host_kind::ipv4);
  EXPECT_EQ(parse_url("http://worker_1.local.:1/").value().kind, host_kind::name);
  EXPECT_EQ(parse_url("http://1password.com/").value().kind, host_kind::name);
  const url six = parse_url("http://[2001:DB8::1]:8420/x").value();
  EXPECT_EQ(six.kind, host_kind::ipv6);
  EXPECT_EQ(six.host, "2001:db8::1");
  EXPECT_EQ(six.authority(), "[2001:db8::1]:8420");
}

TEST(url, what_is_written_reads_back_equal) {
  for (const char* text : {"http://a/", "https://[::1]:99/?x", "http://10.0.0.1/%41?b=%20"}) {
    const url parsed = parse_url(text).value();
    EXPECT_EQ(parsed.text(), text);
    EXPECT_EQ(parse_url(parsed.text()).value(), parsed);
  }
}

TEST(url, what_is_ambiguous_or_dangerous_is_refused_with_the_reason) {
  const struct {
    std::string_view text;
    std::string_view reason;
  } cases[] = {
      {"", "http://"},
      {"example.com", "http://"},
      {"//example.com", "http://"},
      {"http:/example.com", "http://"},
      {"ftp://example.com", "http://"},
      {"javascript:alert(1)", "http://"},
      {" http://example.com", "http://"},
      {"http://", "a host"},
      {"http:///path", "a host"},
      {"http://:80/", "DNS name"},
      {"http://user@example.com/", "user name"},
      {"http://user:pass@example.com/", "user name"},
      {"http://a#b@c/", "fragment"},
      {"http://a/#b", "fragment"},
      {"http://a\\b/", "a host"},
      {"http://a b/", "a host"},
      {"http://a,b/", "a host"},
      {"http://a%2eb/", "DNS name"},
      {"http://-a/", "DNS name"},
      {"http://a..b/", "DNS name"},
      {"http://./", "DNS name"},
      {"http://\xc3\xa4/", "a host"},
      {"http://a\0b/"sv, "a host"},
      {"http://a:/", "the port"},
      {"http://a:0/", "the port"},
      {"http://a:65536/", "a host"},
      {"http://a:+80/", "a host"},
      {"http://a:80:80/", "a host"},
      {"http://127.1/", "four decimal"},
      {"http://2130706433/", "four decimal"},
      {"http://0x7f.0.0.1/", "four decimal"},
      {"http://127.0.0.0x1/", "four decimal"},
      {"http://127.0.0.01/", "four decimal"},
      {"http://256.0.0.1/", "four decimal"},
      {"http://127.0.0.1./", "four decimal"},
      {"http://[::1/", "a host"},
      {"http://[]/", "a host"},
      {"http://[:::]/", "IPv6"},
      {"http://[fe80::1%25eth0]/", "a host"},
      {"http://::1/", "a host"},
      {"http://a/b c", "percent-encoded"},
      {"http://a/b\r\nHost: x", "percent-encoded"},
      {"http://a/\"", "percent-encoded"},
      {"http://a/\xc3\xa4", "percent-encoded"},
      {"http://a/b\\c", "percent-encoded"},
      {"http://a/%", "hex digits"},
      {"http://a/%4", "hex digits"},
      {"http://a/?%g0", "hex digits"},
  };
  for (const auto& c : cases) {
    const auto parsed = parse_url(c.text);
    ASSERT_FALSE(parsed.has_value()) << c.text;
    EXPECT_EQ(parsed.error(), errc::invalid_argument) << c.text;
    EXPECT_NE(parsed.error().message().find(c.reason), std::string_view::npos)
        << c.text << ": " << parsed.error().message();
  }
}

TEST(url, sizes_are_bounded) {
  const std::string head = "http://a/";
  EXPECT_TRUE(parse_url(head + std::string(url_text_bytes_max - head.size(), 'b')).has_value());
  EXPECT_EQ(parse_url(head + std::string(url_text_bytes_max - head.size() + 1, 'b')).error(),
            errc::too_large);
  EXPECT_TRUE(parse_url("http://" + std::string(63, 'a') + "/").has_value());
  EXPECT_FALSE(parse_url("http://" + std::string(64, 'a') + "/").has_value());
  std::string long_name = "a";
  while (long_name.size() < 253) long_name += ".a";
  EXPECT_TRUE(parse_url("http://" + long_name).has_value());
  EXPECT_FALSE(parse_url("http://" + long_name + "a.a").has_value());
}

}  // namespace
}  // namespace weir::url_test

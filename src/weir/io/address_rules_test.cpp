#include <weir/io/address_rules.hpp>

#include <weir/base/text.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::address_rules_test {
namespace {

address_rules rules(std::vector<std::string> denied, std::vector<std::string> allowed = {}) {
  return address_rules::parse(denied, allowed).value();
}

std::string denying(const address_rules& by, std::string_view host) {
  return std::string(by.denying(address::parse(host, 80).value()));
}

TEST(address_rules, deny_what_lies_in_a_block_and_nothing_else) {
  struct row {
    const char* block;
    const char* inside;
    const char* outside;
  };
  const row rows[] = {
      {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
      {"10.1.2.3", "10.1.2.3", "10.1.2.4"},
      {"172.16.0.0/12", "172.31.0.1", "172.32.0.1"},
      {"0.0.0.0/0", "1.2.3.4", "2001:db8::1"},
      {"fd00::/8", "fdff::1", "fe00::1"},
      {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
      {"2001:db8::/96", "2001:db8::ffff:ffff", "2001:db8::1:0:0"},
      {"2001:db8::1", "2001:db8::1", "2001:db8::2"},
      {"::/0", "2001:db8::1", nullptr},
  };
  for (const row& one : rows) {
    EXPECT_EQ(denying(rules({one.block}), one.inside), one.block);
    if (one.outside) EXPECT_EQ(denying(rules({one.block}), one.outside), "") << one.block;
  }
}

TEST(address_rules, sets_hold_what_their_names_say) {
  const address_rules all = rules({"loopback", "private", "link-local", "metadata", "multicast"});
  const std::pair<const char*, const char*> rows[] = {
      {"127.0.0.1", "loopback"},
      {"127.9.9.9", "loopback"},
      {"::1", "loopback"},
      {"0.0.0.0", "loopback"},
      {"::", "loopback"},
      {"10.1.1.1", "private"},
      {"192.168.0.1", "private"},
      {"100.64.0.1", "private"},
      {"fd12::1", "private"},
      {"169.254.1.1", "link-local"},
      {"fe80::1", "link-local"},
      {"192.0.0.192", "metadata"},
      {"224.0.0.1", "multicast"},
      {"255.255.255.255", "multicast"},
      {"8.8.8.8", ""},
      {"2001:4860:4860::8888", ""},
  };
  for (const auto& [host, rule] : rows) EXPECT_EQ(denying(all, host), rule) << host;
  EXPECT_EQ(denying(rules({"metadata"}), "169.254.169.254"), "metadata");
  EXPECT_EQ(denying(rules({"metadata"}), "fd00:ec2::254"), "metadata");
  EXPECT_EQ(denying(rules({"metadata"}), "169.254.1.1"), "");
}

TEST(address_rules, an_ipv4_address_in_an_ipv6_one_is_found) {
  const address_rules some = rules({"loopback", "10.0.0.0/8"});
  EXPECT_EQ(denying(some, "::ffff:127.0.0.1"), "loopback");
  EXPECT_EQ(denying(some, "::ffff:10.1.2.3"), "10.0.0.0/8");
  EXPECT_EQ(denying(some, "64:ff9b::127.0.0.1"), "loopback");
  EXPECT_EQ(denying(some, "64:ff9b::a01:203"), "10.0.0.0/8");
  EXPECT_EQ(denying(some, "2002:7f00:1::"), "loopback");
  EXPECT_EQ(denying(some, "2002:0a01:203::1"), "10.0.0.0/8");
  EXPECT_EQ(denying(some, "::10.1.2.3"), "10.0.0.0/8");
  EXPECT_EQ(denying(some, "::ffff:8.8.8.8"), "");
}

TEST(address_rules, what_is_allowed_wins) {
  const address_rules some = rules({"private", "all"}, {"10.0.0.0/24", "loopback"});
  EXPECT_EQ(denying(some, "10.0.0.7"), "");
  EXPECT_EQ(denying(some, "10.0.1.7"), "private");
  EXPECT_EQ(denying(some, "127.0.0.1"), "");
  EXPECT_EQ(denying(some, "8.8.8.8"), "all");
}

TEST(address_rules, unix_sockets_are_denied_where_something_is) {
  const address local = address::unix_path("/run/x").value();
  EXPECT_EQ(rules({}).denying(local), "");
  EXPECT_EQ(rules({"private"}).denying(local), "private");
}

TEST(address_rules, what_is_no_rule_is_refused_with_what_one_looks_like) {
  for (const char* text :
       {"", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/-1", "10.0.0.0/", "example.org",
        "localhost.", "api.localhost/8", "*", "*/8", "/8", "10.0.0.0/8 "}) {
    const std::vector<std::string> one{text};
    const auto parsed = address_rules::parse(one, {});
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), errc::invalid_argument);
    EXPECT_NE(parsed.error().message().find("10.0.0.0/8"), std::string_view::npos);
  }
  const std::vector<std::string> typo{"privat"};
  const auto parsed = address_rules::parse({}, typo);
  ASSERT_FALSE(parsed);
  EXPECT_NE(parsed.error().message().find("loopback, private"), std::string_view::npos);
}

}  // namespace
}  // namespace weir::address_rules_test

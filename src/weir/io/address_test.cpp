#include <weir/io/address.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace weir::address_test {
namespace {

TEST(address, its_text_is_read_back_as_the_same_address) {
  for (const char* text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:8420",
                           "[2001:db8::42]:1", "unix:/run/weir.sock", "unix:@hidden"}) {
    const result<address> parsed = address::parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->text(), text);
    EXPECT_EQ(*address::parse(parsed->text()), *parsed);
  }
}

TEST(address, has_short_forms) {
  EXPECT_EQ(address::parse("localhost:80")->text(), "127.0.0.1:80");
  EXPECT_EQ(address::parse("*:80")->text(), "0.0.0.0:80");
  EXPECT_EQ(address::parse("::1", 80)->text(), "[::1]:80");
  EXPECT_EQ(address::parse("[::1]", 80)->text(), "[::1]:80");
  EXPECT_EQ(address::loopback(7).text(), "127.0.0.1:7");
}

TEST(address, knows_localhost_and_all_names_below_it) {
  for (const char* here : {"localhost", "LOCALHOST", "localhost.", "api.localhost",
                           "a.b.localhost.", "_http._tcp.localhost"})
    EXPECT_EQ(address::parse(here, 80)->text(), "127.0.0.1:80") << here;
  for (const char* other : {".", ".localhost", "localhost..", "a..localhost", "mylocalhost",
                            "localhost.test", "a b.localhost", "%.localhost"})
    EXPECT_FALSE(address::parse(other, 80)) << other;
  EXPECT_FALSE(address::parse(std::string(64, 'a') + ".localhost", 80));
}

TEST(address, refuses_what_is_none_and_shows_the_text) {
  for (const char* text : {"", ":", "80", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                           "127.0.0.1:-1", "127.0.0.1:8x", "127.0.0:80", "256.0.0.1:80", "::1:80",
                           "[::1]", "[::g]:80", "name:80", "127.0.0.1 :80", "unix:"}) {
    const result<address> parsed = address::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), errc::invalid_argument);
    EXPECT_THAT(std::string(parsed.error().message()), ::testing::HasSubstr("'")) << text;
  }
}

TEST(address, bounds_the_path_of_a_unix_socket) {
  EXPECT_TRUE(address::unix_path(std::string(107, 'x')));
  EXPECT_FALSE(address::unix_path(std::string(108, 'x')));
  EXPECT_FALSE(address::unix_path(std::string("a\0b", 3)));
}

// The kernel counts a zero behind it that has no room in a sockaddr_un.
TEST(address, shows_a_path_of_a_unix_socket_that_fills_all_its_room) {
  const std::string path(sizeof(sockaddr_un::sun_path), 'x');
  raw_address raw;
  std::memset(raw.storage, 'y', sizeof raw.storage);
  sockaddr_un full{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(full.sun_path, path.data(), path.size());
  std::memcpy(raw.storage, &full, sizeof full);
  raw.size = sizeof full + 1;
  EXPECT_EQ(address(raw).text(), "unix:" + path);
  raw.storage[offsetof(sockaddr_un, sun_path)] = 0;
  EXPECT_EQ(address(raw).text(), "unix:@" + path.substr(1));
}

TEST(address, knows_what_only_this_machine_can_reach) {
  for (const char* text :
       {"127.0.0.1:1", "127.255.0.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:/run/x"})
    EXPECT_TRUE(address::parse(text)->is_loopback()) << text;
  for (const char* text : {"*:1", "128.0.0.1:1", "[::]:1", "[::ffff:10.0.0.1]:1"})
    EXPECT_FALSE(address::parse(text)->is_loopback()) << text;
  EXPECT_FALSE(address().is_loopback());
}

TEST(address, changes_its_port_and_nothing_else) {
  EXPECT_EQ(address::parse("[::1]:80")->with_port(81).text(), "[::1]:81");
  EXPECT_EQ(address::parse("10.0.0.1:80")->with_port(81).text(), "10.0.0.1:81");
  EXPECT_EQ(address::parse("unix:/x")->with_port(81).text(), "unix:/x");
}

}  // namespace
}  // namespace weir::address_test

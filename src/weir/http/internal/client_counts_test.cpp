#include <weir/http/internal/client_counts.hpp>

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace weir::http::detail::client_counts_test {
namespace {

address at(std::string_view host) { return address::parse(host, 1).value(); }

TEST(client_counts, one_client_has_at_most_its_share_until_it_gives_some_back) {
  client_counts counts;
  std::vector<client_place> places(3);
  EXPECT_TRUE(counts.enter(at("10.0.0.1"), 2, places[0]));
  EXPECT_TRUE(counts.enter(at("10.0.0.1"), 2, places[1]));
  EXPECT_FALSE(counts.enter(at("10.0.0.1"), 2, places[2]));
  counts.leave(places[2]);  // was not counted
  EXPECT_FALSE(counts.enter(at("10.0.0.1"), 2, places[2]));
  EXPECT_TRUE(counts.enter(at("10.0.0.2"), 2, places[2]));
  counts.leave(places[0]);
  EXPECT_TRUE(counts.enter(at("10.0.0.1"), 2, places[0]));
}

TEST(client_counts, an_ipv6_client_is_its_network) {
  client_counts counts;
  client_place first;
  client_place second;
  EXPECT_TRUE(counts.enter(at("2001:db8::1"), 1, first));
  EXPECT_FALSE(counts.enter(at("2001:db8::ffff:2"), 1, second));
  EXPECT_TRUE(counts.enter(at("2001:db8:0:1::1"), 1, second));
}

TEST(client_counts, clients_on_this_machine_are_not_counted) {
  client_counts counts;
  client_place place;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(counts.enter(at("127.0.0.1"), 1, place));
    EXPECT_TRUE(counts.enter(at("::1"), 1, place));
    EXPECT_TRUE(counts.enter(address::unix_path("@x").value(), 1, place));
    EXPECT_FALSE(place.is_counted());
  }
  counts.leave(place);
}

}  // namespace
}  // namespace weir::http::detail::client_counts_test

#include <weir/base/hash.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <string>
#include <unordered_map>

namespace weir::hash_test {
namespace {

TEST(hash, siphash_gives_the_vectors_of_its_authors) {
  // Appendix A of the paper and vectors.h of the reference code: key 00..0f, message 00 01 02 ...
  const hash_key key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string data;
  for (int i = 0; i < 15; ++i) data += static_cast<char>(i);
  EXPECT_EQ(siphash(key, std::string_view(data).substr(0, 0)), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(siphash(key, std::string_view(data).substr(0, 1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(siphash(key, std::string_view(data).substr(0, 8)), 0x93f5f5799a932462u);
  EXPECT_EQ(siphash(key, data), 0xa129ca6149be45e5u);
}

TEST(hash, another_key_gives_another_hash) {
  EXPECT_NE(siphash({1, 2}, "queue"), siphash({1, 3}, "queue"));
  EXPECT_NE(siphash({1, 2}, "queue"), siphash({2, 2}, "queue"));
}

TEST(hash, trailing_zero_bytes_count) {
  EXPECT_NE(siphash({}, std::string_view("a\0", 2)), siphash({}, std::string_view("a\0\0", 3)));
}

TEST(hash, mixing_keeps_integers_apart_and_spreads_neighbours) {
  std::set<std::uint64_t> seen;
  int flipped = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    seen.insert(mix(i));
    flipped += std::popcount(mix(i) ^ mix(i + 1));
  }
  EXPECT_EQ(seen.size(), 10'000u);
  EXPECT_NEAR(flipped / 10'000.0, 32.0, 0.5);  // half of all bits change between neighbours
}

TEST(hash, a_table_keyed_by_text_is_searched_with_a_view) {
  std::unordered_map<std::string, int, keyed_hash, std::equal_to<>> table(8, keyed_hash{{1, 2}});
  table["mails"] = 3;
  const auto found = table.find(std::string_view("mails"));
  ASSERT_NE(found, table.end());
  EXPECT_EQ(found->second, 3);
}

}  // namespace
}  // namespace weir::hash_test

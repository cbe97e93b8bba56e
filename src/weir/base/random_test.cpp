#include <weir/base/random.hpp>

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace weir::random_test {
namespace {

// The algorithm of the authors' xoshiro256starstar.c, written down a second time.
std::uint64_t reference_next(std::array<std::uint64_t, 4>& s) {
  const auto rotl = [](std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); };
  const std::uint64_t drawn = rotl(s[1] * 5, 7) * 9;
  const std::uint64_t t = s[1] << 17;
  s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= t, s[3] = rotl(s[3], 45);
  return drawn;
}

TEST(random, a_seed_gives_the_same_numbers_everywhere) {
  // SplitMix64 seeded with 0 starts with these four words (Vigna's splitmix64.c).
  std::array<std::uint64_t, 4> state{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f,
                                     0xf88bb8a8724c81ec};
  random_source random(0);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(random.next(), reference_next(state));
  static_assert(random_source(7).next() == random_source(7).next());
}

TEST(random, below_reaches_every_number_about_equally_often) {
  random_source random(42);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts[random.below(7)];
  for (int count : counts) EXPECT_NEAR(count, 10'000, 400);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(random, between_includes_both_ends_and_spans_the_whole_range) {
  random_source random(42);
  bool first = false;
  bool last = false;
  for (int i = 0; i < 1'000; ++i) {
    const std::int64_t drawn = random.between(-2, 2);
    ASSERT_GE(drawn, -2);
    ASSERT_LE(drawn, 2);
    first |= drawn == -2;
    last |= drawn == 2;
  }
  EXPECT_TRUE(first && last);
  EXPECT_EQ(random.between(5, 5), 5);
  bool negative = false;
  for (int i = 0; i < 64; ++i) negative |= random.between(INT64_MIN, INT64_MAX) < 0;
  EXPECT_TRUE(negative);
}

TEST(random, chance_is_never_at_zero_always_at_one_and_fair_between) {
  random_source random(3);
  int hits = 0;
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_FALSE(random.chance(0));
    ASSERT_TRUE(random.chance(1));
    hits += random.chance(0.25);
  }
  EXPECT_NEAR(hits, 25'000, 700);
}

TEST(random, what_a_split_stream_draws_does_not_move_its_parent) {
  random_source one(9);
  random_source two(9);
  random_source child = one.split();
  for (int i = 0; i < 10; ++i) (void)child.next();
  (void)two.split();
  EXPECT_EQ(one.next(), two.next());
  EXPECT_NE(child.next(), one.next());
}

TEST(random, fill_writes_every_byte_and_not_one_more) {
  random_source random(1);
  for (std::size_t size = 0; size < 40; ++size) {
    std::string seen(size, '\0');
    std::string data(size + 1, '\0');
    for (int round = 0; round < 30; ++round) {
      random.fill(data.data(), size);
      for (std::size_t at = 0; at < size; ++at) seen[at] = static_cast<char>(seen[at] | data[at]);
    }
    EXPECT_EQ(seen, std::string(size, '\xff'));  // missed with a probability of 2^-30 per bit
    EXPECT_EQ(data[size], '\0');
  }
}

TEST(random_death, an_empty_range_stops_the_process) {
  random_source random(1);
  EXPECT_DEATH((void)random.below(0), "n > 0");
  EXPECT_DEATH((void)random.between(2, 1), "first <= last");
}

}  // namespace
}  // namespace weir::random_test

#include <weir/broker/message_id.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

namespace weir::message_id_test {
namespace {

constexpr hash_key secret{0x0123456789abcdef, 0xfedcba9876543210};

TEST(message_id, an_id_reads_back_and_has_26_characters) {
  const id_codec codec(secret);
  for (const std::uint64_t sequence : {std::uint64_t(0), std::uint64_t(1), std::uint64_t(77),
                                       std::uint64_t(1) << 40, ~std::uint64_t(0)}) {
    const std::string text = codec.id_text(sequence);
    EXPECT_EQ(text.size(), 26u);
    EXPECT_EQ(codec.parse_id(text), sequence);
  }
}

TEST(message_id, ids_sort_as_their_sequence_numbers) {
  const id_codec codec(secret);
  random_source random(7);
  for (int i = 0; i < 1'000; ++i) {
    const std::uint64_t a = random.next() >> random.below(64);
    const std::uint64_t b = random.next() >> random.below(64);
    EXPECT_EQ(a < b, codec.id_text(a) < codec.id_text(b)) << a << " " << b;
  }
}

TEST(message_id, a_change_of_any_character_is_noticed) {
  const id_codec codec(secret);
  const std::string id = codec.id_text(4711);
  const std::string leased = codec.receipt_text({4711, 3});
  for (const char c : std::string_view("234567abcdefghijklmnopqrstuvwxyzA10-")) {
    for (std::size_t at = 0; at < id.size(); ++at) {
      std::string changed = id;
      changed[at] = c;
      if (changed != id) EXPECT_FALSE(codec.parse_id(changed)) << changed;
    }
    for (std::size_t at = 0; at < leased.size(); ++at) {
      std::string changed = leased;
      changed[at] = c;
      if (changed != leased) EXPECT_FALSE(codec.parse_receipt(changed)) << changed;
    }
  }
}

TEST(message_id, text_of_another_length_or_secret_or_kind_is_unknown) {
  const id_codec codec(secret);
  const std::string id = codec.id_text(1);
  EXPECT_FALSE(codec.parse_id(""));
  EXPECT_FALSE(codec.parse_id(id.substr(1)));
  EXPECT_FALSE(codec.parse_id(id + "2"));
  EXPECT_FALSE(codec.parse_receipt(id));
  EXPECT_FALSE(codec.parse_id(codec.receipt_text({1, 1})));
  EXPECT_FALSE(id_codec(hash_key{1, 2}).parse_id(id));
}

TEST(message_id, a_receipt_reads_back_and_has_32_characters) {
  const id_codec codec(secret);
  for (const receipt lease : {receipt{1, 1}, receipt{~std::uint64_t(0), ~std::uint32_t(0)}}) {
    const std::string text = codec.receipt_text(lease);
    EXPECT_EQ(text.size(), 32u);
    EXPECT_EQ(codec.parse_receipt(text), lease);
  }
}

}  // namespace
}  // namespace weir::message_id_test

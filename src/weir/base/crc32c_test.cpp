#include <weir/base/crc32c.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::crc32c_test {
namespace {

struct vector {
  std::string data;
  std::uint32_t sum;
};

// RFC 3720, section B.4, and the check value of the CRC catalogue ("123456789").
std::vector<vector> known_sums() {
  std::string rising;
  std::string falling;
  for (int i = 0; i < 32; ++i) rising += static_cast<char>(i);
  for (int i = 31; i >= 0; --i) falling += static_cast<char>(i);
  return {{"", 0},
          {"a", 0xc1d04330},
          {"123456789", 0xe3069283},
          {std::string(32, '\0'), 0x8a9136aa},
          {std::string(32, '\xff'), 0x62a8ab43},
          {rising, 0x46dd794e},
          {falling, 0x113fdb5c}};
}

TEST(crc32c, the_vectors_of_the_standard_give_their_sums) {
  for (const auto& v : known_sums()) {
    EXPECT_EQ(crc32c(v.data), v.sum);
    EXPECT_EQ(detail::crc32c_software(v.data, 0), v.sum);
  }
}

TEST(crc32c, the_instruction_and_the_tables_agree_at_every_length_and_alignment) {
  if (!detail::has_crc32c_instruction()) GTEST_SKIP() << "this processor has no SSE 4.2";
  random_source random(1);
  std::string data(300, '\0');
  for (char& c : data) c = static_cast<char>(random.next());
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t size = 0; size + from <= data.size(); ++size) {
      const auto piece = std::string_view(data).substr(from, size);
      const auto seed = static_cast<std::uint32_t>(random.next());
      ASSERT_EQ(detail::crc32c_hardware(piece, seed), detail::crc32c_software(piece, seed));
    }
  }
}

TEST(crc32c, a_sum_taken_in_pieces_equals_the_sum_of_the_whole) {
  const std::string data = "the sum so far is the seed of the next piece, wherever the cut is";
  for (std::size_t cut = 0; cut <= data.size(); ++cut) {
    const std::string_view all = data;
    EXPECT_EQ(crc32c(all.substr(cut), crc32c(all.substr(0, cut))), crc32c(all));
  }
}

TEST(crc32c, the_instruction_and_the_tables_agree_where_long_inputs_are_cut_into_parts) {
  if (!detail::has_crc32c_instruction()) GTEST_SKIP() << "no instruction on this machine";
  random_source random(1);
  std::string data(40'000, '\0');
  random.fill(data.data(), data.size());
  for (const std::size_t around : {3 * 256, 6 * 256, 3 * 2048, 3 * 2048 + 3 * 256, 6 * 2048}) {
    for (std::size_t size = around - 20; size <= around + 20; ++size) {
      const std::string_view part = std::string_view(data).substr(random.below(1000), size);
      const auto seed = static_cast<std::uint32_t>(random.next());
      EXPECT_EQ(detail::crc32c_hardware(part, seed), detail::crc32c_software(part, seed)) << size;
    }
  }
}

TEST(crc32c, every_single_flipped_bit_changes_the_sum) {
  std::string data(64, 'x');
  const std::uint32_t sum = crc32c(data);
  for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
    data[bit / 8] = static_cast<char>(data[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(crc32c(data), sum) << bit;
    data[bit / 8] = static_cast<char>(data[bit / 8] ^ (1 << (bit % 8)));
  }
}

}  // namespace
}  // namespace weir::crc32c_test

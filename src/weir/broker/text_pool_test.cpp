#include <weir/broker/text_pool.hpp>

#include <gtest/gtest.h>

namespace weir::detail::text_pool_test {
namespace {

TEST(text_pool, equal_texts_are_kept_once_until_their_last_user_goes) {
  text_pool pool(100);
  const std::uint32_t a = pool.keep("refused");
  EXPECT_EQ(pool.keep("refused"), a);
  const std::uint32_t b = pool.keep("timed out");
  EXPECT_NE(a, b);
  EXPECT_EQ(pool.bytes(), 16u);
  pool.drop(a);
  EXPECT_EQ(pool.text(a), "refused");
  pool.drop(a);
  EXPECT_EQ(pool.bytes(), 9u);
  EXPECT_EQ(pool.keep("third"), a) << "a number is used again";
  EXPECT_EQ(pool.text(b), "timed out");
}

TEST(text_pool, a_text_over_the_bound_is_dropped) {
  text_pool pool(5);
  EXPECT_EQ(pool.keep(""), 0u);
  EXPECT_NE(pool.keep("12345"), 0u);
  EXPECT_EQ(pool.keep("6"), 0u);
  EXPECT_NE(pool.keep("12345"), 0u);
  EXPECT_EQ(pool.text(0), "");
}

}  // namespace
}  // namespace weir::detail::text_pool_test

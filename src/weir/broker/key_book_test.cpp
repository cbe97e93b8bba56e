#include <weir/broker/key_book.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::detail::key_book_test {
namespace {

constexpr hash_key secret{1, 2};

TEST(key_book, a_key_names_its_message_until_its_window_is_over) {
  key_book book;
  const key_digest key = digest_of(secret, 1, "order-17");
  EXPECT_FALSE(book.find(key, time_point(0)));
  book.remember(key, 42, time_point(100));
  EXPECT_EQ(book.find(key, time_point(99)), 42u);
  EXPECT_FALSE(book.find(key, time_point(100)));
}

TEST(key_book, the_same_text_on_another_queue_is_another_key) {
  EXPECT_NE(digest_of(secret, 1, "a"), digest_of(secret, 2, "a"));
  EXPECT_NE(digest_of(secret, 1, "a"), digest_of(secret, 1, "b"));
  EXPECT_NE(digest_of(secret, 1, "a"), digest_of({1, 3}, 1, "a"));
}

TEST(key_book, a_key_used_again_after_its_window_names_the_new_message) {
  key_book book;
  const key_digest key = digest_of(secret, 1, "k");
  book.remember(key, 1, time_point(10));
  book.remember(key, 2, time_point(30));
  EXPECT_EQ(book.size(), 1u);
  book.forget_until(time_point(10), 100);
  EXPECT_EQ(book.find(key, time_point(20)), 2u);
}

TEST(key_book, ended_keys_are_freed_a_bounded_number_at_a_time) {
  key_book book;
  for (int i = 1; i <= 1'000; ++i) {
    // Windows of different lengths: every third key ends earlier than its neighbours.
    book.remember(digest_of(secret, 1, std::to_string(i)), static_cast<std::uint64_t>(i),
                  time_point(i % 3 == 0 ? i : 1'000 + i));
  }
  book.forget_until(time_point(999), 100);
  EXPECT_EQ(book.size(), 900u);
  book.forget_until(time_point(999), 1'000);
  EXPECT_EQ(book.size(), 667u);
  EXPECT_EQ(book.find(digest_of(secret, 1, "998"), time_point(999)), 998u);
  book.forget_until(time_point::never(), 1'000);
  EXPECT_EQ(book.size(), 0u);
}

}  // namespace
}  // namespace weir::detail::key_book_test

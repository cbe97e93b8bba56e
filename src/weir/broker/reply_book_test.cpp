#include <weir/broker/reply_book.hpp>

#include <gtest/gtest.h>

namespace weir::detail::reply_book_test {
namespace {

TEST(reply_book, replies_are_taken_when_due_and_once) {
  reply_book book;
  book.put(1, {.due = 20});
  book.put(2, {.due = 10});
  EXPECT_EQ(book.next_due(), time_point(10));
  EXPECT_EQ(book.take(time_point(9)), 0u);
  EXPECT_EQ(book.take(time_point(20)), 2u);
  EXPECT_EQ(book.take(time_point(20)), 1u);
  EXPECT_EQ(book.take(time_point(20)), 0u);
  EXPECT_EQ(book.next_due(), time_point::never());
  EXPECT_EQ(book.size(), 2u) << "a reply that is out is still pending";
}

TEST(reply_book, a_failed_reply_comes_back_when_due_again) {
  reply_book book;
  book.put(1, {.due = 10});
  EXPECT_EQ(book.take(time_point(10)), 1u);
  book.retry(1, 1, 50);
  EXPECT_EQ(book.take(time_point(49)), 0u);
  EXPECT_EQ(book.take(time_point(50)), 1u);
  EXPECT_EQ(book.find(1)->attempts, 1u);
}

TEST(reply_book, a_later_outcome_takes_the_place_of_the_earlier) {
  reply_book book;
  const std::uint32_t before = book.put(1, {.outcome = message_state::dead, .due = 10}).token;
  EXPECT_EQ(book.take(time_point(10)), 1u);
  const std::uint32_t after = book.put(1, {.outcome = message_state::done, .due = 20}).token;
  EXPECT_NE(before, after);
  EXPECT_EQ(book.size(), 1u);
  EXPECT_EQ(book.take(time_point(20)), 1u);
  EXPECT_EQ(book.find(1)->outcome, message_state::done);
  book.erase(1);
  EXPECT_EQ(book.size(), 0u);
  EXPECT_EQ(book.find(1), nullptr);
}

}  // namespace
}  // namespace weir::detail::reply_book_test

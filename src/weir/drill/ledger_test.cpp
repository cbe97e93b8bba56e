#include <weir/drill/ledger.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::drill::ledger_test {
namespace {

constexpr queue_rules plain{"plain", 3};

/// A ledger with one message, "a", that was submitted and confirmed.
class Ledger : public ::testing::Test {
 protected:
  Ledger() { book.confirmed(book.begin_submission(plain, false), "a", false); }
  void give(std::uint32_t attempt) {
    book.delivered(plain, {.id = "a", .number = 1, .attempt = attempt, .is_body_whole = true});
  }
  void ack(std::uint32_t attempt) {
    book.ack_tried("a", attempt, "result " + std::to_string(attempt));
    book.ack_confirmed("a", attempt);
  }
  sighting done(std::uint32_t attempt) {
    return {.asked = book.now(), .state = "done", .result = "result " + std::to_string(attempt)};
  }
  bool is_broken(std::string_view promise) { return book.violation().starts_with(promise); }

  ledger book;
};

TEST_F(Ledger, is_content_with_a_message_that_goes_its_way) {
  EXPECT_FALSE(book.is_settled());
  give(1);
  give(2);
  ack(2);
  book.seen("a", done(2));
  EXPECT_TRUE(book.is_settled());
  EXPECT_EQ(book.violation(), "");
  EXPECT_EQ(book.counts().done, 1u);
  book.look_again();
  EXPECT_EQ(*book.next_open(), "a");
  book.seen("a", done(2));
  EXPECT_TRUE(book.is_settled());
}

TEST_F(Ledger, notices_a_confirmed_message_that_is_missing) {
  book.missing("a");
  EXPECT_TRUE(is_broken("(1)")) << book.violation();
}
TEST_F(Ledger, notices_a_death_before_the_last_attempt) {
  book.seen("a", {.asked = book.now(), .state = "dead", .attempts = 2});
  EXPECT_TRUE(is_broken("(1)")) << book.violation();
}
TEST_F(Ledger, bears_early_deaths_where_disks_fail) {
  book.allow_early_deaths();
  book.seen("a", {.asked = book.now(), .state = "dead", .attempts = 2});
  EXPECT_EQ(book.violation(), "");
}
TEST_F(Ledger, bears_the_death_of_a_message_that_its_worker_has_given_up) {
  book.given_up("a");
  book.seen("a", {.asked = book.now(), .state = "dead", .attempts = 1});
  EXPECT_EQ(book.violation(), "");
}
TEST_F(Ledger, bears_a_second_time_only_of_an_attempt_that_was_given_back) {
  give(1);
  book.given_back("a", 1);
  give(1);
  EXPECT_EQ(book.violation(), "");
  give(1);
  EXPECT_TRUE(is_broken("(3)")) << book.violation();
}
TEST_F(Ledger, notices_an_attempt_after_the_acknowledgement) {
  give(1);
  ack(1);
  give(2);
  EXPECT_TRUE(is_broken("(2)")) << book.violation();
}
TEST_F(Ledger, notices_an_acknowledgement_by_a_stale_receipt) {
  give(1);
  give(2);
  ack(1);
  EXPECT_TRUE(is_broken("(2)")) << book.violation();
}
TEST_F(Ledger, notices_a_second_acknowledgement) {
  give(1);
  ack(1);
  ack(2);
  EXPECT_TRUE(is_broken("(2)")) << book.violation();
}
TEST_F(Ledger, notices_an_attempt_that_is_given_out_twice) {
  give(1);
  give(1);
  EXPECT_TRUE(is_broken("(3)")) << book.violation();
}
TEST_F(Ledger, notices_an_attempt_over_the_bound) {
  give(4);
  EXPECT_TRUE(is_broken("(3)")) << book.violation();
}
TEST_F(Ledger, notices_a_body_that_has_changed) {
  book.delivered(plain, {.id = "a", .number = 1, .attempt = 1, .is_body_whole = false});
  EXPECT_TRUE(is_broken("(4)")) << book.violation();
}
TEST_F(Ledger, notices_a_message_of_another_queue) {
  book.delivered({"other", 3}, {.id = "a", .number = 1, .attempt = 1, .is_body_whole = true});
  EXPECT_TRUE(is_broken("(4)")) << book.violation();
}
TEST_F(Ledger, notices_two_messages_of_one_submission) {
  book.confirmed(1, "b", true);
  EXPECT_TRUE(is_broken("(5)")) << book.violation();
}
TEST_F(Ledger, notices_a_result_that_nobody_gave) {
  give(1);
  ack(1);
  book.seen("a", {.asked = book.now(), .state = "done", .result = "something else"});
  EXPECT_TRUE(is_broken("(6)")) << book.violation();
}
TEST_F(Ledger, notices_an_end_that_changes) {
  give(1);
  ack(1);
  book.seen("a", done(1));
  book.seen("a", {.asked = book.now() + 1, .state = "ready"});
  EXPECT_TRUE(is_broken("(7)")) << book.violation();
}
TEST_F(Ledger, bears_an_answer_that_is_older_than_the_acknowledgement) {
  give(1);
  const std::uint64_t asked = book.now();
  ack(1);
  book.seen("a", {.asked = asked, .state = "leased"});
  EXPECT_EQ(book.violation(), "");
}
TEST_F(Ledger, waits_for_replies_that_were_asked_for) {
  book.confirmed(book.begin_submission(plain, true), "r", false);
  book.ack_tried("r", 1, "x");
  book.seen("r", {.asked = book.now(), .state = "done", .result = "x"});
  book.seen("a", {.asked = book.now(), .state = "dead", .attempts = 3});
  EXPECT_EQ(book.open(), 1u);
  book.replied("r", {.state = "done", .result = "x"});
  EXPECT_TRUE(book.is_settled());
  book.replied("a", {.state = "dead", .attempts = 3});
  EXPECT_TRUE(is_broken("(8)")) << book.violation();
}

TEST_F(Ledger, counts_a_reply_that_came_before_anybody_knew_its_message) {
  book.allow_early_deaths();
  const std::uint64_t number = book.begin_submission(plain, true);
  book.replied("r", {.state = "dead"});  // its body could not be read
  book.confirmed(number, "r", true);
  book.seen("r", {.asked = book.now(), .state = "dead"});
  book.seen("a", {.asked = book.now(), .state = "dead", .attempts = 3});
  EXPECT_EQ(book.violation(), "");
  EXPECT_TRUE(book.is_settled());
}
TEST_F(Ledger, notices_an_early_reply_that_nobody_has_asked_for) {
  const std::uint64_t number = book.begin_submission(plain, false);
  book.replied("r", {.state = "dead", .attempts = 3});
  book.confirmed(number, "r", false);
  EXPECT_TRUE(is_broken("(8)")) << book.violation();
}

/// A ledger with "old" and "young" of one queue, the first confirmed before the second was begun.
class LedgerOfTurns : public ::testing::Test {
 protected:
  void submit(const char* id, std::uint32_t priority = 0) {
    const std::uint64_t number = book.begin_submission(queue, false, priority);
    book.confirmed(number, id, false);
    all.push_back({.id = id, .number = number, .attempt = 1, .is_body_whole = true});
  }
  void give(std::size_t first, std::size_t second, std::size_t wanted = 2) {
    const delivery both[] = {all[first], all[second]};
    book.delivered_together(queue, both, wanted);
  }
  bool is_broken(std::string_view promise) { return book.violation().starts_with(promise); }

  queue_rules queue{"timed", 0, duration::seconds(10)};
  ledger book;
  std::vector<delivery> all;
};

TEST_F(LedgerOfTurns, bears_the_older_before_the_younger) {
  submit("old");
  submit("young");
  give(0, 1);
  EXPECT_EQ(book.violation(), "");
}
TEST_F(LedgerOfTurns, notices_the_younger_before_the_older) {
  submit("old");
  submit("young");
  give(1, 0);
  EXPECT_TRUE(is_broken("(9) message old came behind message young")) << book.violation();
}
TEST_F(LedgerOfTurns, lets_those_go_first_that_may_be_older) {
  const std::uint64_t first = book.begin_submission(queue, false);
  submit("second");
  book.confirmed(first, "first", false);
  all.push_back({.id = "first", .number = first, .attempt = 1, .is_body_whole = true});
  give(0, 1);
  give(1, 0);
  EXPECT_EQ(book.violation(), "");
}
TEST_F(LedgerOfTurns, notices_a_low_priority_before_a_high_one) {
  submit("low", 1);
  submit("high", 2);
  give(1, 0);
  EXPECT_EQ(book.violation(), "");
  give(0, 1);
  EXPECT_TRUE(is_broken("(9) message high of priority 2")) << book.violation();
}
TEST_F(LedgerOfTurns, notices_more_messages_than_were_wanted) {
  submit("a");
  submit("b");
  give(0, 1, 1);
  EXPECT_TRUE(is_broken("(9) 2 messages")) << book.violation();
}

/// A ledger with one message that was given out, taken for ten seconds from the first one on.
class LedgerOfTimes : public LedgerOfTurns {
 protected:
  LedgerOfTimes() { submit("a"); }
  void come(std::uint32_t attempt, std::int64_t second) {
    delivery one = all[0];
    one.attempt = attempt;
    one.asked = one.at = time_point(second * 1'000'000'000);
    book.delivered(queue, one);
  }
  static time_point at(std::int64_t second) { return time_point(second * 1'000'000'000); }
};

TEST_F(LedgerOfTimes, notices_an_attempt_within_the_lease_of_another) {
  book.trust_clocks();
  come(1, 1);
  come(2, 11);
  EXPECT_EQ(book.violation(), "");
  come(3, 20);
  EXPECT_TRUE(is_broken("(9) attempt 3 of message a came 1000000 us")) << book.violation();
}
TEST_F(LedgerOfTimes, does_not_compare_times_where_clocks_are_touched) {
  come(1, 1);
  come(2, 2);
  EXPECT_EQ(book.violation(), "");
}
TEST_F(LedgerOfTimes, lets_an_extension_hold_a_lease_longer) {
  book.trust_clocks();
  come(1, 1);
  book.extended("a", 1, at(5));
  come(2, 14);
  EXPECT_TRUE(is_broken("(9) attempt 2")) << book.violation();
}
TEST_F(LedgerOfTimes, bears_an_attempt_after_one_that_may_have_been_returned) {
  book.trust_clocks();
  come(1, 1);
  book.nack_tried("a", 1);
  come(2, 2);
  EXPECT_EQ(book.violation(), "");
}
TEST_F(LedgerOfTimes, notices_an_attempt_before_the_delay_of_a_return) {
  book.trust_clocks();
  come(1, 1);
  book.nack_tried("a", 1);
  book.nack_confirmed("a", 1, at(4));
  come(2, 3);
  EXPECT_TRUE(is_broken("(9) attempt 2")) << book.violation();
}
TEST_F(LedgerOfTimes, notices_a_message_before_its_delay) {
  book.trust_clocks();
  const std::uint64_t number = book.begin_submission(queue, false, 0, at(9));
  book.confirmed(number, "late", false);
  book.delivered(
      queue, {.id = "late", .number = number, .attempt = 1, .is_body_whole = true, .at = at(8)});
  EXPECT_TRUE(is_broken("(9) attempt 1 of message late")) << book.violation();
}

}  // namespace
}  // namespace weir::drill::ledger_test

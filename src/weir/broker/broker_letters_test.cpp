// Tests of what happens to messages that don't end well: dead letters, ends of life, deletions; and
// of replies, relocation and the passing of time. (The ordinary life is in broker_state_test.cpp.)
#include <weir/broker/broker_state.hpp>
#include <weir/broker/internal/test_broker.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace weir::broker_letters_test {
namespace {

using detail::journal_entry;
using detail::test_broker;

constexpr duration second = duration::seconds(1);

queue_settings one_attempt(std::string dead_letter = queue_settings().dead_letter) {
  queue_settings settings;
  settings.attempts = 1;
  settings.dead_letter = std::move(dead_letter);
  settings.backoff.jitter = 0;
  return settings;
}

class broker_letters : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(b.state.audit(), "");
    EXPECT_EQ(b.replayed(b.state.limits()), b.state.describe(b.now));
  }
  queue_info info(std::string_view queue) { return *b.state.find_queue(queue); }
  std::uint64_t kill(std::string_view queue, std::string_view error = "boom") {
    const auto taken = b.take(queue);
    EXPECT_TRUE(b.run(reject_lease{taken.at(0).lease, error}));
    return taken.at(0).lease.sequence;
  }

  test_broker b;
};

TEST_F(broker_letters, a_message_out_of_attempts_moves_to_a_queue_made_for_it) {
  queue_settings settings = one_attempt();
  settings.attempts = 2;
  b.make("q", settings);
  const std::uint64_t id = b.send("q", "123");
  EXPECT_EQ(b.run(nack_lease{b.take("q")[0].lease, duration(0), "one"})->state,
            message_state::ready);
  EXPECT_EQ(b.run(nack_lease{b.take("q")[0].lease, duration(0), "two"})->state,
            message_state::dead);
  const auto letter = *b.state.find_message(id, b.now);
  EXPECT_EQ(letter.state, message_state::dead);
  EXPECT_EQ(letter.queue, "q.dead");
  EXPECT_EQ(letter.origin, "q");
  EXPECT_EQ(letter.attempts, 2u);
  EXPECT_EQ(letter.last_error, "two");
  EXPECT_EQ(letter.expires, time_point::never());
  EXPECT_EQ(info("q").dead, 1u);
  EXPECT_EQ(info("q").ready, 0u);
  EXPECT_EQ(info("q").bytes, 0u);
  EXPECT_EQ(info("q.dead").ready, 1u);
  EXPECT_EQ(info("q.dead").bytes, 3u);
  EXPECT_EQ(info("q.dead").dead, 0u);
  EXPECT_EQ(*info("q.dead").settings, dead_letter_settings());
  EXPECT_EQ(info("q").totals.died, 1u);
}

TEST_F(broker_letters, a_dead_letter_is_leased_and_ended_like_any_message) {
  b.make("q", one_attempt());
  const std::uint64_t id = b.send("q", "body");
  kill("q");
  const auto taken = b.take("q.dead");
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].lease.sequence, id);
  EXPECT_EQ(b.state_of(id), message_state::dead);
  EXPECT_TRUE(b.state.find_message(id, b.now)->is_leased);
  EXPECT_EQ(b.run(nack_lease{taken[0].lease, duration(0), "again"})->state, message_state::ready);
  ASSERT_TRUE(b.run(ack_lease{b.take("q.dead")[0].lease, "", ""}));
  EXPECT_EQ(b.state_of(id), message_state::done);
  EXPECT_EQ(info("q").dead, 0u);
}

TEST_F(broker_letters, a_lease_that_runs_out_on_the_last_attempt_kills) {
  b.make("q", one_attempt());
  const std::uint64_t id = b.send("q");
  b.take("q");
  b.pass(second * 30);
  EXPECT_EQ(b.state_of(id), message_state::dead);
  EXPECT_EQ(b.state.find_message(id, b.now)->last_error, "the lease ran out");
}

TEST_F(broker_letters, many_deaths_at_once_make_their_queue_once) {
  b.make("q", one_attempt());
  for (int i = 0; i < 10; ++i) b.send("q");
  b.take("q", 10);
  b.pass(second * 30);
  EXPECT_EQ(info("q.dead").ready, 10u);
  EXPECT_EQ(info("q").dead, 10u);
  EXPECT_EQ(b.state.queues("", 10).size(), 2u);
}

TEST_F(broker_letters, without_a_dead_letter_queue_the_message_ends_as_dead) {
  queue_settings settings = one_attempt();
  settings.dead_letter = "";
  b.make("q", settings);
  const std::uint64_t id = b.send("q");
  kill("q", "no way");
  EXPECT_EQ(b.state_of(id), message_state::dead);
  EXPECT_EQ(b.state.find_message(id, b.now)->last_error, "no way");
  EXPECT_EQ(info("q").dead, 1u);
  b.pass(settings.result_ttl);
  EXPECT_FALSE(b.state.find_message(id, b.now));
}

TEST_F(broker_letters, a_queue_with_a_limit_of_attempts_gives_dead_letters_their_own) {
  queue_settings target = one_attempt();
  target.attempts = 2;
  target.dead_letter = "grave";
  b.make("dead", target);
  queue_settings settings = one_attempt();
  settings.dead_letter = "dead";
  b.make("q", settings);
  const std::uint64_t id = b.send("q");
  kill("q");
  EXPECT_EQ(b.run(nack_lease{b.take("dead")[0].lease, duration(0)})->state, message_state::ready);
  EXPECT_EQ(b.run(nack_lease{b.take("dead")[0].lease, duration(0)})->state, message_state::dead);
  EXPECT_EQ(b.state.find_message(id, b.now)->queue, "grave");
  EXPECT_EQ(b.state.find_message(id, b.now)->origin, "q") << "where it died first";
  EXPECT_EQ(info("q").dead, 1u);
  EXPECT_EQ(b.run(redrive_queue{.queue = "q"})->left, 1u) << "it lies in no queue of q's letters";
  EXPECT_EQ(b.run(redrive_queue{.queue = "dead"})->left, 0u);
  EXPECT_EQ(b.run(redrive_queue{.queue = "grave"})->moved, 1u);
  EXPECT_EQ(b.state.find_message(id, b.now)->queue, "q");
}

TEST_F(broker_letters, redrive_tells_why_letters_are_left) {
  b.make("gone", one_attempt("dead")), b.make("q", one_attempt("dead")),
      b.make("none", one_attempt(""));
  for (int i = 0; i < 3; ++i) b.send("gone"), kill("gone");
  for (int i = 0; i < 2; ++i) b.send("q"), kill("q"), b.send("none"), kill("none");
  ASSERT_TRUE(b.run(delete_queue{"gone"}));
  const auto outcome = *b.run(redrive_queue{.queue = "dead"});
  EXPECT_EQ(outcome.moved, 2u);
  EXPECT_EQ(outcome.left, 3u);
  EXPECT_EQ(outcome.no_queue, 3u);
  EXPECT_EQ(outcome.ended, 0u);
  const auto ended = *b.run(redrive_queue{.queue = "none"});
  EXPECT_EQ(ended.moved, 0u);
  EXPECT_EQ(ended.left, info("none").dead);
  EXPECT_EQ(ended.ended, 2u);
  EXPECT_EQ(ended.no_queue, 0u);
}

TEST_F(broker_letters, redrive_brings_dead_letters_back_with_fresh_attempts) {
  b.make("q", one_attempt());
  std::vector<std::uint64_t> sent;
  for (int i = 0; i < 3; ++i) sent.push_back(b.send("q")), kill("q");
  const auto outcome = *b.run(redrive_queue{.queue = "q"});
  EXPECT_EQ(outcome.moved, 3u);
  EXPECT_TRUE(outcome.is_finished);
  EXPECT_EQ(info("q").ready, 3u);
  EXPECT_EQ(info("q").dead, 0u);
  EXPECT_EQ(info("q").totals.redriven, 3u);
  EXPECT_EQ(b.state.find_message(sent[0], b.now)->expires, b.now + duration::seconds(7 * 86'400));
  const auto taken = b.take("q", 10);
  ASSERT_EQ(taken.size(), 3u);
  EXPECT_EQ(taken[0].lease.sequence, sent[0]);
  EXPECT_EQ(taken[0].attempt, 1u);
  EXPECT_EQ(taken[0].lease.lease, 2u) << "receipts from before its death stay stale";
}

TEST_F(broker_letters, redrive_goes_on_in_bounded_batches_and_takes_only_its_own) {
  queue_settings settings = one_attempt();
  settings.dead_letter = "all";
  b.make("q", settings), b.make("p", settings);
  for (int i = 0; i < 20; ++i) {
    b.send({.queue = i % 2 == 0 ? "q" : "p", .priority = i < 10 ? 3u : 7u});
    kill(i % 2 == 0 ? "q" : "p");
  }
  redrive_cursor at;
  int rounds = 0;
  for (bool is_finished = false; !is_finished; ++rounds) {
    const auto outcome = *b.run(redrive_queue{.queue = "q", .max = 4, .from = at});
    EXPECT_LE(outcome.moved, 4u);
    at = outcome.next;
    is_finished = outcome.is_finished;
  }
  EXPECT_GT(rounds, 2);
  EXPECT_EQ(info("q").ready, 10u);
  EXPECT_EQ(info("p").ready, 0u);
  EXPECT_EQ(info("all").ready, 10u);
  EXPECT_EQ(b.run(redrive_queue{.queue = "all"})->moved, 10u) << "also by the holding queue";
  EXPECT_EQ(info("p").ready, 10u);
}

TEST_F(broker_letters, redrive_brings_delayed_letters_back_and_counts_those_on_lease) {
  b.make("q", one_attempt());
  for (int i = 0; i < 6; ++i) b.send("q"), kill("q");
  const auto taken = b.take("q.dead", 4);
  ASSERT_EQ(taken.size(), 4u);
  for (int i = 0; i < 3; ++i) {
    const duration delay = duration::seconds(3'600 - i);
    EXPECT_EQ(b.run(nack_lease{taken[i].lease, delay})->state, message_state::delayed);
  }
  redrive_cursor at;
  std::uint32_t moved = 0;
  std::uint32_t leased = 0;
  std::uint64_t left = 0;
  for (bool is_finished = false; !is_finished;) {
    const auto outcome = *b.run(redrive_queue{.queue = "q", .max = 1, .from = at});
    moved += outcome.moved;
    leased += outcome.leased;
    left = outcome.left;
    at = outcome.next;
    is_finished = outcome.is_finished;
    EXPECT_FALSE(outcome.is_blocked);
  }
  EXPECT_EQ(moved, 5u);
  EXPECT_EQ(leased, 1u);
  EXPECT_EQ(left, 1u);
  EXPECT_EQ(info("q").ready, 5u);
  EXPECT_EQ(info("q.dead").leased, 1u);
  EXPECT_EQ(info("q").dead, left);
  EXPECT_EQ(b.take("q", 10).size(), 5u) << "at once, in their order";
}

TEST_F(broker_letters, redrive_stops_at_a_full_queue_and_skips_a_deleted_one) {
  queue_settings settings = one_attempt();
  settings.capacity_messages = 1;
  b.make("q", settings);
  for (int i = 0; i < 2; ++i) b.send("q"), kill("q");
  const auto outcome = *b.run(redrive_queue{.queue = "q"});
  EXPECT_EQ(outcome.moved, 1u);
  EXPECT_TRUE(outcome.is_blocked);
  EXPECT_FALSE(outcome.is_finished);
  EXPECT_EQ(outcome.left, 1u);
  ASSERT_TRUE(b.run(delete_queue{"q"}));
  EXPECT_EQ(b.run(redrive_queue{.queue = "q.dead"})->moved, 0u);
  EXPECT_FALSE(b.run(redrive_queue{.queue = "q"}));
  EXPECT_EQ(b.run(redrive_queue{.queue = "q.dead", .max = 0}).error().code,
            broker_errc::invalid_field);
}

TEST_F(broker_letters, a_message_past_its_life_is_never_delivered_and_expires) {
  queue_settings settings;
  settings.ttl = second * 10;
  settings.result_ttl = second * 100;
  b.make("q", settings);
  const std::uint64_t by_queue = b.send("q");
  const std::uint64_t by_itself = b.send({.queue = "q", .ttl = second * 5});
  const std::uint64_t for_ever = b.send({.queue = "q", .ttl = duration(0)});
  EXPECT_EQ(b.state.next_due(), b.now + second * 5);
  b.now = b.now + second * 5;  // without a tick: the head itself is checked
  EXPECT_EQ(b.state_of(by_itself), message_state::expired);
  const auto taken = b.take("q", 10);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].lease.sequence, by_queue);
  EXPECT_EQ(b.state_of(by_itself), message_state::expired);
  EXPECT_EQ(info("q").expired, 1u);
  ASSERT_TRUE(b.run(nack_lease{taken[0].lease, second}));
  b.pass(second * 5);
  EXPECT_EQ(b.state_of(by_queue), message_state::expired);
  EXPECT_EQ(info("q").totals.expired, 2u);
  b.pass(second * 500);
  EXPECT_FALSE(b.state.find_message(by_queue, b.now));
  EXPECT_TRUE(b.state.find_message(for_ever, b.now));
}

TEST_F(broker_letters, a_life_begins_when_the_delay_is_over) {
  queue_settings settings;
  settings.ttl = second * 10;
  b.make("q", settings);
  b.send({.queue = "q", .delay = second * 100});
  b.pass(second * 105);
  EXPECT_EQ(b.take("q").size(), 1u);
}

TEST_F(broker_letters, a_leased_message_does_not_expire_under_its_worker) {
  queue_settings settings;
  settings.ttl = second * 10;
  b.make("q", settings);
  const std::uint64_t id = b.send("q");
  const auto taken = b.take("q");
  b.pass(second * 20);
  EXPECT_EQ(b.state_of(id), message_state::leased);
  EXPECT_TRUE(b.run(ack_lease{taken[0].lease, "", ""}));
}

TEST_F(broker_letters, a_deleted_queue_takes_its_messages_along_step_by_step) {
  b.make("q"), b.make("p");
  for (int i = 0; i < 500; ++i) b.send({.queue = "q", .key = std::to_string(i)});
  const std::uint64_t id = b.send("q");
  const receipt leased = b.take("q")[0].lease;
  ASSERT_TRUE(b.run(delete_queue{"q"}));
  EXPECT_FALSE(b.state.find_message(id, b.now));
  EXPECT_EQ(b.run(ack_lease{leased, "", ""}).error().code, broker_errc::stale_receipt);
  b.make("q");
  EXPECT_EQ(info("q").ready, 0u);
  EXPECT_FALSE(b.run(submit_message{.queue = "q", .key = "1"})->is_duplicate);
  b.send("p");
  EXPECT_TRUE(b.state.tick(b.now, 64, b.batch)) << "more than one step is needed";
  b.tick();
  EXPECT_EQ(b.state.audit(), "");
  EXPECT_EQ(info("p").ready, 1u);
}

TEST_F(broker_letters, one_busy_queue_does_not_hold_up_the_others_work) {
  b.make("a", one_attempt()), b.make("z", one_attempt());
  for (int i = 0; i < 1'000; ++i) b.send("a");
  b.send("z");
  b.take("a", 1'000), b.take("z");
  b.now = b.now + second * 30;
  b.batch.clear();
  EXPECT_TRUE(b.state.tick(b.now, 100, b.batch));
  EXPECT_LE(b.batch.size(), 120u);
  b.commit();
  EXPECT_EQ(info("z").leased, 0u);
  b.tick();
  EXPECT_EQ(info("a").dead, 1'000u);
}

TEST_F(broker_letters, a_result_is_told_to_its_reply_address_with_retries) {
  queue_settings settings = one_attempt();
  settings.attempts = 3;
  b.make("q", settings);
  const std::uint64_t id = b.send({.queue = "q", .reply_to = "http://r"});
  EXPECT_TRUE(b.state.take_replies(b.now, 10).empty());
  ASSERT_TRUE(b.run(ack_lease{b.take("q")[0].lease, "result", ""}));
  auto replies = b.state.take_replies(b.now, 10);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].sequence, id);
  EXPECT_EQ(replies[0].outcome, message_state::done);
  EXPECT_EQ(decode<submit_record>(b.journal.at(replies[0].source).payload)->reply_to, "http://r");
  EXPECT_EQ(decode<end_record>(b.journal.at(replies[0].result).payload)->result.text, "result");
  EXPECT_TRUE(b.state.take_replies(b.now, 10).empty()) << "it is out";
  ASSERT_TRUE(b.run(settle_reply{id, replies[0].token, reply_outcome::failed}));
  EXPECT_EQ(b.state.next_due(), b.now + second);
  b.pass(second);
  replies = b.state.take_replies(b.now, 10);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].attempts, 1u);
  ASSERT_TRUE(b.run(settle_reply{id, replies[0].token, reply_outcome::failed, second * 50}));
  b.pass(second * 49);
  EXPECT_TRUE(b.state.take_replies(b.now, 10).empty()) << "the receiver asked for more time";
  b.pass(second);
  replies = b.state.take_replies(b.now, 10);
  ASSERT_EQ(replies.size(), 1u);
  ASSERT_TRUE(b.run(settle_reply{id, replies[0].token, reply_outcome::delivered}));
  EXPECT_FALSE(b.run(settle_reply{id, replies[0].token, reply_outcome::delivered}));
  EXPECT_EQ(info("q").totals.replies_delivered, 1u);
}

TEST_F(broker_letters, a_reply_is_given_up_after_the_queues_attempts) {
  queue_settings settings = one_attempt();
  b.make("q", settings);
  const std::uint64_t id = b.send({.queue = "q", .reply_to = "http://r"});
  ASSERT_TRUE(b.run(ack_lease{b.take("q")[0].lease, "", ""}));
  const auto replies = b.state.take_replies(b.now, 10);
  ASSERT_TRUE(b.run(settle_reply{id, replies.at(0).token, reply_outcome::failed}));
  EXPECT_EQ(info("q").totals.replies_given_up, 1u);
  b.pass(second * 1'000);
  EXPECT_TRUE(b.state.take_replies(b.now, 10).empty());
}

TEST_F(broker_letters,
       a_busy_reply_address_is_asked_ever_more_rarely_until_the_result_is_forgotten) {
  queue_settings settings = one_attempt();
  settings.result_ttl = second * 100;
  b.make("q", settings);
  const std::uint64_t id = b.send({.queue = "q", .reply_to = "http://r"});
  ASSERT_TRUE(b.run(ack_lease{b.take("q")[0].lease, "", ""}));
  const time_point known_until = b.now + second * 100;
  std::vector<int> pauses;  // seconds between two calls
  auto replies = b.state.take_replies(b.now, 10);
  while (b.now < known_until) {
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].attempts, 0u);
    ASSERT_TRUE(b.run(settle_reply{id, replies[0].token, reply_outcome::busy}));
    pauses.push_back(0);
    do {
      ++pauses.back();
      b.pass(second);
      b.tick();
      replies = b.state.take_replies(b.now, 10);
    } while (replies.empty());
  }
  EXPECT_EQ(pauses, (std::vector<int>{1, 2, 4, 8, 16, 32, 64}));
  ASSERT_TRUE(b.run(settle_reply{id, replies[0].token, reply_outcome::busy}));
  EXPECT_EQ(info("q").totals.replies_given_up, 1u);
  EXPECT_TRUE(b.state.take_replies(b.now + second * 1'000, 10).empty());
}

TEST_F(broker_letters, calls_to_a_busy_reply_address_count_when_the_message_is_a_dead_letter) {
  queue_settings settings = one_attempt();
  settings.attempts = 3;
  b.make("q", settings);
  const std::uint64_t id = b.send({.queue = "q", .reply_to = "http://r"});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(b.run(nack_lease{b.take("q")[0].lease, duration(0), ""}));
  ASSERT_EQ(b.state.find_message(id, b.now)->queue, "q.dead");
  for (int i = 0; i < 3; ++i) {
    const auto replies = b.state.take_replies(b.now, 10);
    ASSERT_EQ(replies.size(), 1u) << i;
    ASSERT_TRUE(b.run(settle_reply{id, replies[0].token, reply_outcome::busy}));
    b.pass(second * 1'000);
  }
  EXPECT_EQ(info("q").totals.replies_given_up, 1u);
  EXPECT_TRUE(b.state.take_replies(b.now, 10).empty());
}

TEST_F(broker_letters, death_and_expiry_are_told_too_and_a_reply_outlives_its_message) {
  queue_settings settings = one_attempt();
  settings.result_ttl = duration(0);
  b.make("q", settings);
  b.send({.queue = "q", .reply_to = "http://r"});
  kill("q", "broken");
  const std::uint64_t short_lived = b.send({.queue = "q", .reply_to = "http://r", .ttl = second});
  b.pass(second);
  const auto replies = b.state.take_replies(b.now, 10);
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[0].outcome, message_state::dead);
  EXPECT_EQ(replies[0].error, "broken");
  EXPECT_EQ(replies[1].outcome, message_state::expired);
  EXPECT_FALSE(b.state.find_message(short_lived, b.now));
  ASSERT_TRUE(b.run(ack_lease{b.take("q.dead")[0].lease, "", ""}));
  EXPECT_TRUE(b.state.take_replies(b.now, 10).empty()) << "an ended dead letter was told before";
}

TEST_F(broker_letters, a_redriven_message_tells_its_new_outcome_instead) {
  b.make("q", one_attempt());
  const std::uint64_t id = b.send({.queue = "q", .reply_to = "http://r"});
  kill("q");
  const auto before = b.state.take_replies(b.now, 10);
  ASSERT_TRUE(b.run(redrive_queue{.queue = "q"}));
  ASSERT_TRUE(b.run(ack_lease{b.take("q")[0].lease, "", ""}));
  EXPECT_FALSE(b.run(settle_reply{id, before.at(0).token, reply_outcome::delivered}))
      << "the reply that was out is no longer the one that is pending";
  const auto after = b.state.take_replies(b.now, 10);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].outcome, message_state::done);
}

TEST(broker_limits, reply_addresses_over_the_limit_are_refused) {
  test_broker b({.replies_max = 1});
  b.make("q");
  b.send({.queue = "q", .reply_to = "http://r"});
  EXPECT_EQ(b.run(submit_message{.queue = "q", .reply_to = "http://r"}).error().code,
            broker_errc::too_many_replies);
  EXPECT_TRUE(b.run(submit_message{.queue = "q"}));
}

TEST_F(broker_letters, a_records_liveness_follows_its_message) {
  queue_settings settings = one_attempt();
  settings.result_ttl = second;
  b.make("q", settings);
  b.send("q", std::string(1'000, 'x'));
  const journal_entry sent = b.journal.entries().back();
  EXPECT_TRUE(b.state.is_live(sent.view(), sent.where));
  EXPECT_FALSE(b.state.is_live(sent.view(), {9, 9, 9}));
  EXPECT_EQ(b.state.live_bytes(sent.where.segment), sent.where.size);
  ASSERT_TRUE(b.run(ack_lease{b.take("q")[0].lease, "result", ""}));
  const journal_entry ended = b.journal.entries().back();
  EXPECT_FALSE(b.state.is_live(sent.view(), sent.where));
  EXPECT_TRUE(b.state.is_live(ended.view(), ended.where));
  EXPECT_EQ(b.state.live_bytes(ended.where.segment), ended.where.size);
  b.pass(second);
  EXPECT_FALSE(b.state.is_live(ended.view(), ended.where));
  for (const journal_entry& entry : b.journal.entries()) {
    EXPECT_FALSE(b.state.is_live(entry.view(), entry.where));
    EXPECT_EQ(b.state.live_bytes(entry.where.segment), 0u);
  }
}

TEST_F(broker_letters, live_records_can_be_written_again_elsewhere) {
  b.make("q", one_attempt());
  b.send({.queue = "q", .body = "kept", .reply_to = "http://r"});
  b.send("q");
  ASSERT_TRUE(b.run(ack_lease{b.take("q")[0].lease, "result", ""}));
  // The first message's submit record is live for its reply only, its end record for both.
  const std::vector<journal_entry> before = b.journal.entries();
  for (const journal_entry& entry : before) {
    if (!b.state.is_live(entry.view(), entry.where)) continue;
    b.batch.clear();
    b.batch.append(broker_state::relocated(entry.view()));
    b.commit();
    EXPECT_FALSE(b.state.is_live(entry.view(), entry.where));
    const journal_entry& moved = b.journal.entries().back();
    EXPECT_NE(moved.kind, entry.kind);
    EXPECT_TRUE(b.state.is_live(moved.view(), moved.where));
    EXPECT_EQ(broker_state::relocated(moved.view()).kind, moved.kind);
  }
  EXPECT_EQ(b.journal.entries().size(), before.size() + 3);
  const auto reply = b.state.take_replies(b.now, 1).at(0);
  EXPECT_EQ(decode<submit_record>(b.journal.at(reply.source).payload)->body.text, "kept");
  EXPECT_GT(reply.source, before.back().where);
  EXPECT_GT(reply.result, before.back().where);
  EXPECT_EQ(decode<end_record>(b.journal.at(reply.result).payload)->result.text, "result");
}

TEST_F(broker_letters, a_foreign_record_is_refused_and_changes_nothing) {
  b.make("q");
  const std::string before = b.state.describe(b.now);
  EXPECT_EQ(b.state.apply({record_kind::submit, "junk"}, {1, 1, 1}).error(), errc::unsupported);
  EXPECT_EQ(b.state.apply({record_kind::submit, "\1junk"}, {1, 1, 1}).error(), errc::corrupt);
  EXPECT_EQ(b.state.apply({static_cast<record_kind>(99), ""}, {1, 1, 1}).error(),
            errc::unsupported);
  EXPECT_EQ(b.state.describe(b.now), before);
}

class recorder : public state_observer {
 public:
  void message_changed(const message_change& change) override {
    log += fmt::format("{}{}:{}{}{} ", change.queue, change.sequence, name(change.state),
                       change.origin.empty() ? "" : "<", change.origin);
    if (change.is_forgotten) log += "gone ";
  }
  void queue_deleted(std::string_view queue) override { log += fmt::format("-{} ", queue); }
  std::string log;
};

TEST_F(broker_letters, an_observer_hears_of_every_change_in_order) {
  recorder heard;
  b.state.set_observer(&heard);
  queue_settings settings = one_attempt();
  settings.attempts = 2;
  settings.result_ttl = second;
  b.make("q", settings);
  b.send({.queue = "q", .delay = second});
  b.pass(second);
  ASSERT_TRUE(b.run(nack_lease{b.take("q")[0].lease, duration(0)}));
  kill("q");
  ASSERT_TRUE(b.run(redrive_queue{.queue = "q"}));
  ASSERT_TRUE(b.run(ack_lease{b.take("q")[0].lease, "", ""}));
  b.pass(second);
  ASSERT_TRUE(b.run(delete_queue{"q"}));
  EXPECT_EQ(heard.log,
            "q1:delayed q1:ready q1:leased q1:ready q1:leased q.dead1:ready<q q1:ready "
            "q1:leased q1:done q1:done gone -q ");
  b.state.set_observer(nullptr);
}

}  // namespace
}  // namespace weir::broker_letters_test

#include <weir/broker/broker_state.hpp>

#include <weir/broker/internal/test_broker.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace weir::broker_state_test {
namespace {

using detail::test_broker;

constexpr duration second = duration::seconds(1);

queue_settings plain() {
  queue_settings settings;
  settings.backoff.jitter = 0;
  return settings;
}

class broker : public ::testing::Test {
 protected:
  /// After each test: the counts fit a scan, and the journal alone gives the same state.
  void TearDown() override {
    EXPECT_EQ(b.state.audit(), "");
    EXPECT_EQ(b.replayed(b.state.limits()), b.state.describe(b.now));
  }
  template <class Outcome>
  static broker_errc code(const Outcome& outcome) {
    return outcome ? broker_errc{} : outcome.error().code;
  }
  queue_info info(std::string_view queue) { return *b.state.find_queue(queue); }

  test_broker b;
};

TEST_F(broker, a_queue_is_created_then_updated_then_deleted) {
  queue_settings settings;
  EXPECT_EQ(b.run(put_queue{"q", settings}), put_outcome::created);
  settings.attempts = 9;
  b.now = b.now + second;
  EXPECT_EQ(b.run(put_queue{"q", settings}), put_outcome::updated);
  EXPECT_EQ(info("q").settings->attempts, 9u);
  EXPECT_EQ(info("q").created, b.now - second);
  EXPECT_TRUE(b.run(delete_queue{"q"}));
  EXPECT_FALSE(b.state.find_queue("q"));
  EXPECT_EQ(code(b.run(delete_queue{"q"})), broker_errc::queue_not_found);
}

TEST_F(broker, names_settings_and_the_number_of_queues_are_checked) {
  EXPECT_EQ(code(b.run(put_queue{"a/b", {}})), broker_errc::invalid_name);
  EXPECT_EQ(code(b.run(put_queue{std::string(101, 'q'), {}})), broker_errc::invalid_name);
  queue_settings bad;
  bad.lease = duration(0);
  EXPECT_EQ(code(b.run(put_queue{"q", bad})), broker_errc::invalid_setting);
  EXPECT_TRUE(b.journal.entries().empty());
}

TEST(broker_limits, queues_over_the_limit_are_refused_but_those_there_can_be_updated) {
  test_broker b({.queues_max = 2});
  b.make("a"), b.make("b");
  EXPECT_EQ(b.run(put_queue{"c", {}}).error().code, broker_errc::too_many_queues);
  EXPECT_TRUE(b.run(put_queue{"a", {}}));
  EXPECT_TRUE(b.run(delete_queue{"b"}));
  EXPECT_TRUE(b.run(put_queue{"c", {}}));
}

TEST_F(broker, queues_are_listed_by_name_in_pages) {
  for (const char* name : {"b", "a", "d", "c"}) b.make(name);
  const auto page = b.state.queues("a", 2);
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].name, "b");
  EXPECT_EQ(page[1].name, "c");
  EXPECT_EQ(b.state.queues("d", 2).size(), 0u);
}

TEST_F(broker, a_message_goes_from_ready_over_leased_to_done_and_is_forgotten) {
  b.make("q", plain());
  const std::uint64_t id = b.send("q", "12345");
  EXPECT_EQ(b.state_of(id), message_state::ready);
  EXPECT_EQ(info("q").ready, 1u);
  EXPECT_EQ(info("q").bytes, 5u);
  EXPECT_EQ(info("q").oldest, b.now);
  const auto taken = b.take("q");
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].lease.sequence, id);
  EXPECT_EQ(taken[0].attempt, 1u);
  EXPECT_EQ(taken[0].deadline, b.now + second * 30);
  EXPECT_EQ(decode<submit_record>(b.journal.at(taken[0].where).payload)->body.text, "12345");
  EXPECT_EQ(info("q").leased, 1u);
  EXPECT_FALSE(info("q").oldest);
  ASSERT_TRUE(b.run(ack_lease{taken[0].lease, "result", "text/plain"}));
  const auto ended = *b.state.find_message(id, b.now);
  EXPECT_EQ(ended.state, message_state::done);
  EXPECT_EQ(decode<end_record>(b.journal.at(ended.where).payload)->result.text, "result");
  EXPECT_EQ(info("q").done, 1u);
  EXPECT_EQ(info("q").bytes, 0u);
  b.pass(second * 3'600 - duration(1));
  EXPECT_TRUE(b.state.find_message(id, b.now));
  b.pass(duration(1));
  EXPECT_FALSE(b.state.find_message(id, b.now));
  EXPECT_EQ(info("q").done, 0u);
  EXPECT_EQ(info("q").totals.submitted, 1u);
  EXPECT_EQ(info("q").totals.leased, 1u);
  EXPECT_EQ(info("q").totals.completed, 1u);
}

TEST_F(broker, without_retention_a_result_is_forgotten_at_once) {
  queue_settings settings;
  settings.result_ttl = duration(0);
  b.make("q", settings);
  const std::uint64_t id = b.send("q");
  ASSERT_TRUE(b.run(ack_lease{b.take("q")[0].lease, "", ""}));
  EXPECT_FALSE(b.state.find_message(id, b.now));
}

TEST_F(broker, messages_leave_by_priority_then_in_order) {
  b.make("q");
  std::vector<std::uint64_t> expected(6);
  expected[4] = b.send({.queue = "q", .priority = 0});
  expected[2] = b.send({.queue = "q", .priority = 5});
  expected[0] = b.send({.queue = "q", .priority = 9});
  expected[5] = b.send({.queue = "q", .priority = 0});
  expected[3] = b.send({.queue = "q", .priority = 5});
  expected[1] = b.send({.queue = "q", .priority = 9});
  const auto taken = b.take("q", 10);
  ASSERT_EQ(taken.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(taken[i].lease.sequence, expected[i]);
}

TEST_F(broker, a_returned_message_goes_back_to_its_old_place) {
  b.make("q", plain());
  std::vector<std::uint64_t> sent;
  for (int i = 0; i < 5; ++i) sent.push_back(b.send("q"));
  const auto taken = b.take("q", 3);
  for (const std::size_t i : {1u, 0u}) {
    EXPECT_EQ(b.run(nack_lease{taken[i].lease, duration(0)})->state, message_state::ready);
  }
  const auto again = b.take("q", 10);
  ASSERT_EQ(again.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(again[i].lease.sequence, sent[i < 2 ? i : i + 1]);
  EXPECT_EQ(again[0].attempt, 2u);
}

TEST_F(broker, a_delayed_message_is_ready_when_due_and_never_before) {
  b.make("q");
  const std::uint64_t late = b.send({.queue = "q", .delay = second * 20});
  const std::uint64_t soon = b.send({.queue = "q", .delay = second * 10});
  EXPECT_EQ(b.state_of(late), message_state::delayed);
  EXPECT_EQ(info("q").delayed, 2u);
  EXPECT_EQ(b.state.next_due(), b.now + second * 10);
  b.pass(second * 10 - duration(1));
  EXPECT_TRUE(b.take("q", 10).empty());
  b.pass(duration(1));
  const auto taken = b.take("q", 10);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].lease.sequence, soon);
  b.pass(second * 10);
  EXPECT_EQ(b.take("q", 10).at(0).lease.sequence, late);
}

TEST_F(broker, a_queue_over_a_capacity_that_was_lowered_says_what_it_holds) {
  queue_settings settings;
  settings.capacity_messages = 3;
  b.make("q", settings);
  for (int i = 0; i < 3; ++i) b.send("q");
  const auto detail = [&] { return b.run(submit_message{.queue = "q"}).error().detail; };
  EXPECT_EQ(detail(), "queue 'q' holds 3 messages, its capacity");
  settings.capacity_messages = 2;
  b.make("q", settings);
  EXPECT_EQ(detail(), "queue 'q' holds 3 messages, its capacity is 2");
}

TEST_F(broker, capacity_bounds_messages_on_their_way_but_not_results) {
  queue_settings settings;
  settings.capacity_messages = 2;
  b.make("q", settings);
  b.send("q"), b.send({.queue = "q", .delay = second});
  EXPECT_EQ(code(b.run(submit_message{.queue = "q"})), broker_errc::queue_full);
  const auto taken = b.take("q");
  EXPECT_EQ(code(b.run(submit_message{.queue = "q"})), broker_errc::queue_full);
  ASSERT_TRUE(b.run(ack_lease{taken[0].lease, "", ""}));
  EXPECT_TRUE(b.run(submit_message{.queue = "q"}));
}

TEST_F(broker, capacity_bounds_the_bytes_of_bodies) {
  queue_settings settings;
  settings.capacity_bytes = 10;
  b.make("q", settings);
  const submit_message never_fits{.queue = "q", .body = "12345678901"};
  EXPECT_EQ(code(b.run(never_fits)), broker_errc::message_too_large);
  b.send("q", "123456");
  EXPECT_EQ(code(b.run(never_fits)), broker_errc::message_too_large);
  EXPECT_EQ(code(b.run(submit_message{.queue = "q", .body = "12345"})), broker_errc::queue_full);
  EXPECT_TRUE(b.run(submit_message{.queue = "q", .body = "1234"}));
  EXPECT_TRUE(b.run(submit_message{.queue = "q", .body = ""}));
}

TEST_F(broker, each_field_of_a_message_is_checked) {
  b.make("q");
  const std::string long_text(3'000, 'x');
  EXPECT_EQ(code(b.run(submit_message{.queue = "p"})), broker_errc::queue_not_found);
  const submit_message bad[] = {
      {.queue = "q", .content_type = std::string_view(long_text).substr(0, 257)},
      {.queue = "q", .key = std::string_view(long_text).substr(0, 257)},
      {.queue = "q", .reply_to = std::string_view(long_text).substr(0, 2'049)},
      {.queue = "q", .priority = 10},
      {.queue = "q", .delay = duration(-1)},
      {.queue = "q", .delay = duration::max()},
      {.queue = "q", .ttl = duration(-1)},
      {.queue = "q", .ttl = duration::max()},
  };
  for (const submit_message& message : bad) {
    EXPECT_EQ(code(b.run(message)), broker_errc::invalid_field);
  }
  EXPECT_EQ(info("q").ready, 0u);
}

TEST(broker_limits, bodies_and_results_over_the_limit_are_refused) {
  test_broker b({.message_bytes_max = 4});
  b.make("q");
  EXPECT_EQ(b.run(submit_message{.queue = "q", .body = "12345"}).error().code,
            broker_errc::message_too_large);
  b.send("q", "1234");
  const auto taken = b.take("q");
  EXPECT_EQ(b.run(ack_lease{taken[0].lease, "12345", ""}).error().code,
            broker_errc::message_too_large);
  EXPECT_TRUE(b.run(ack_lease{taken[0].lease, "1234", ""}));
}

TEST_F(broker, a_key_gives_the_same_message_within_its_window) {
  queue_settings settings;
  settings.key_window = second * 10;
  settings.capacity_messages = 2;
  b.make("q", settings), b.make("p", settings);
  const submit_message keyed{.queue = "q", .key = "order-1"};
  const std::uint64_t first = b.send(keyed);
  b.pass(second * 5);
  const auto again = b.run(keyed);
  EXPECT_EQ(again->sequence, first);
  EXPECT_TRUE(again->is_duplicate);
  EXPECT_NE(b.send({.queue = "p", .key = "order-1"}), first) << "keys belong to a queue";
  ASSERT_TRUE(b.run(ack_lease{b.take("q")[0].lease, "", ""}));
  EXPECT_EQ(b.run(keyed)->sequence, first) << "also after its end";
  b.send("q"), b.send("q");
  EXPECT_EQ(b.run(keyed)->sequence, first) << "also when the queue is full";
  b.pass(second * 5);
  EXPECT_EQ(code(b.run(keyed)), broker_errc::queue_full) << "the window is over";
}

TEST(broker_limits, keys_over_the_limit_are_refused_until_some_are_over) {
  test_broker b({.keys_max = 2});
  queue_settings settings;
  settings.key_window = second;
  b.make("q", settings);
  b.send({.queue = "q", .key = "1"}), b.send({.queue = "q", .key = "2"});
  EXPECT_EQ(b.run(submit_message{.queue = "q", .key = "3"}).error().code,
            broker_errc::too_many_keys);
  EXPECT_TRUE(b.run(submit_message{.queue = "q", .key = "2"})->is_duplicate);
  b.pass(second);
  EXPECT_TRUE(b.run(submit_message{.queue = "q", .key = "3"}));
}

TEST_F(broker, a_batch_gives_a_verdict_for_each_message) {
  queue_settings settings;
  settings.capacity_messages = 3;
  b.make("q", settings);
  const submit_message messages[] = {
      {.queue = "q", .key = "k"},
      {.queue = "p"},
      {.queue = "q", .key = "k"},
      {.queue = "q"},
      {.queue = "q", .priority = 11},
      {.queue = "q"},
      {.queue = "q"},
  };
  const auto verdicts = *b.run(submit_batch{messages});
  ASSERT_EQ(verdicts.size(), 7u);
  EXPECT_TRUE(verdicts[0]);
  EXPECT_EQ(code(verdicts[1]), broker_errc::queue_not_found);
  EXPECT_TRUE(verdicts[2]->is_duplicate);
  EXPECT_EQ(verdicts[2]->sequence, verdicts[0]->sequence);
  EXPECT_TRUE(verdicts[3]);
  EXPECT_EQ(code(verdicts[4]), broker_errc::invalid_field);
  EXPECT_TRUE(verdicts[5]);
  EXPECT_EQ(code(verdicts[6]), broker_errc::queue_full);
  EXPECT_EQ(info("q").ready, 3u);
}

TEST(broker_limits, an_empty_or_too_long_batch_is_refused_as_a_whole) {
  test_broker b({.batch_max = 2});
  b.make("q");
  const std::vector<submit_message> three(3, submit_message{.queue = "q"});
  EXPECT_EQ(b.run(submit_batch{three}).error().code, broker_errc::too_many_messages);
  EXPECT_EQ(b.run(submit_batch{}).error().code, broker_errc::invalid_field);
  EXPECT_EQ(b.state.find_queue("q")->ready, 0u);
}

TEST_F(broker, a_lease_has_bounds_on_its_number_and_length) {
  b.make("q");
  EXPECT_EQ(code(b.run(lease_messages{.queue = "p"})), broker_errc::queue_not_found);
  EXPECT_EQ(code(b.run(lease_messages{.queue = "q", .max = 0})), broker_errc::invalid_field);
  EXPECT_EQ(code(b.run(lease_messages{.queue = "q", .max = 1'001})), broker_errc::invalid_field);
  EXPECT_EQ(code(b.run(lease_messages{.queue = "q", .max = 1, .lease = duration(0)})),
            broker_errc::invalid_field);
  b.send("q");
  const auto taken = *b.run(lease_messages{.queue = "q", .max = 1, .lease = second * 5});
  EXPECT_EQ(taken.at(0).deadline, b.now + second * 5);
}

TEST_F(broker, a_message_is_leased_only_once_its_record_is_durable) {
  b.make("q");
  b.send("q");
  b.state.set_durable(b.journal.entries().back().where);
  b.send("q");
  b.send({.queue = "q", .priority = 9});
  EXPECT_EQ(b.take("q", 10).size(), 1u);
  EXPECT_TRUE(b.take("q", 10).empty());
  b.state.set_durable(location::last());
  EXPECT_EQ(b.take("q", 10).size(), 2u);
}

TEST_F(broker, a_message_stays_within_reach_while_compaction_writes_its_record_again) {
  b.make("q");
  b.send("q", "first");
  const detail::journal_entry old = b.journal.entries().back();
  b.state.set_durable(old.where);
  const broker_record again = broker_state::relocated(old.view());
  ASSERT_TRUE(b.state.apply(again, b.journal.append(again)));
  b.send("q", "second");
  EXPECT_EQ(b.take("q", 10).size(), 1u) << "the first, which was durable before it was moved";
  EXPECT_TRUE(b.take("q", 10).empty()) << "the second is not durable";
}

TEST_F(broker, a_lease_that_runs_out_brings_the_message_back_after_its_back_off) {
  b.make("q", plain());
  const std::uint64_t id = b.send("q");
  const auto taken = b.take("q");
  b.pass(second * 30 - duration(1));
  EXPECT_EQ(b.state_of(id), message_state::leased);
  b.pass(duration(1));
  EXPECT_EQ(b.state_of(id), message_state::delayed);
  EXPECT_EQ(b.state.find_message(id, b.now)->last_error, "the lease ran out");
  EXPECT_EQ(code(b.run(ack_lease{taken[0].lease, "", ""})), broker_errc::stale_receipt);
  b.pass(second);
  EXPECT_EQ(b.take("q").at(0).attempt, 2u);
}

TEST_F(broker, an_extended_lease_holds_longer) {
  b.make("q", plain());
  b.send("q");
  const auto taken = b.take("q");
  b.pass(second * 20);
  EXPECT_EQ(b.run(extend_lease{taken[0].lease, second * 60}), b.now + second * 60);
  b.pass(second * 59);
  EXPECT_EQ(b.run(extend_lease{taken[0].lease, {}}), b.now + second * 30);
  EXPECT_EQ(code(b.run(extend_lease{taken[0].lease, duration(0)})), broker_errc::invalid_field);
  b.pass(second * 29);
  EXPECT_TRUE(b.run(ack_lease{taken[0].lease, "", ""}));
  EXPECT_EQ(info("q").totals.leased, 1u);
}

TEST_F(broker, a_stale_receipt_is_told_where_its_message_stands) {
  b.make("q", {.attempts = 2});
  b.send("q");
  const receipt lease = b.take("q")[0].lease;
  const auto said = [&] { return b.run(ack_lease{lease, "", ""}).error().detail; };
  ASSERT_TRUE(b.run(nack_lease{lease, second}));
  EXPECT_EQ(said(), "the lease ended before; the message is delayed until it is tried again");
  b.pass(second);
  EXPECT_EQ(said(), "the lease ended before; the message is ready for another one");
  const receipt next = b.take("q")[0].lease;
  EXPECT_EQ(said(), "the lease ended before; the message is on another lease");
  ASSERT_TRUE(b.run(reject_lease{next, "bad"}));
  EXPECT_EQ(said(), "the lease ended before; the message is a dead letter");
}

TEST_F(broker, a_receipt_is_good_for_its_own_lease_only) {
  b.make("q", plain());
  b.send("q");
  const receipt first = b.take("q")[0].lease;
  ASSERT_TRUE(b.run(nack_lease{first, duration(0)}));
  const receipt second_lease = b.take("q")[0].lease;
  EXPECT_NE(first.lease, second_lease.lease);
  for (const receipt stale : {first, receipt{99, 1}, receipt{first.sequence, 0}}) {
    EXPECT_EQ(code(b.run(ack_lease{stale, "", ""})), broker_errc::stale_receipt);
    EXPECT_EQ(code(b.run(nack_lease{stale})), broker_errc::stale_receipt);
    EXPECT_EQ(code(b.run(reject_lease{stale})), broker_errc::stale_receipt);
    EXPECT_EQ(code(b.run(extend_lease{stale})), broker_errc::stale_receipt);
  }
  EXPECT_TRUE(b.run(ack_lease{second_lease, "", ""}));
  EXPECT_EQ(code(b.run(ack_lease{second_lease, "", ""})), broker_errc::stale_receipt);
}

TEST_F(broker, failures_wait_longer_each_time_and_an_own_delay_is_obeyed) {
  b.make("q", plain());
  b.send("q");
  for (const std::int64_t expected : {1, 2, 4}) {
    EXPECT_EQ(b.run(nack_lease{b.take("q")[0].lease, {}, "no"})->due, b.now + second * expected);
    b.pass(second * expected);
  }
  const auto nacked = b.run(nack_lease{b.take("q")[0].lease, second * 77});
  EXPECT_EQ(nacked->state, message_state::delayed);
  EXPECT_EQ(nacked->due, b.now + second * 77);
  EXPECT_EQ(info("q").totals.failed, 4u);
}

TEST_F(broker, jitter_spreads_waits_and_is_the_same_in_a_replay) {
  b.make("q");
  std::set<std::int64_t> waits;
  for (int i = 0; i < 50; ++i) b.send("q");
  for (const auto& taken : b.take("q", 50)) {
    waits.insert(b.run(nack_lease{taken.lease})->due.ns - b.now.ns);
  }
  EXPECT_GT(waits.size(), 40u);
  EXPECT_GE(*waits.begin(), (second * 8 / 10).ns);
  EXPECT_LE(*waits.rbegin(), (second * 12 / 10).ns);
}

TEST_F(broker, an_attempt_given_back_does_not_count) {
  queue_settings settings = plain();
  settings.attempts = 1;
  b.make("q", settings);
  const std::uint64_t id = b.send("q");
  for (int i = 0; i < 5; ++i) {
    const auto outcome =
        b.run(nack_lease{b.take("q")[0].lease, duration(0), "busy", attempt_use::is_given_back});
    EXPECT_EQ(outcome->state, message_state::ready);
  }
  EXPECT_EQ(b.state.find_message(id, b.now)->attempts, 0u);
  EXPECT_EQ(info("q").totals.failed, 0u);
  EXPECT_EQ(b.run(nack_lease{b.take("q")[0].lease})->state, message_state::dead);
}

TEST_F(broker, what_is_given_back_without_a_word_keeps_its_last_error) {
  b.make("q", plain());
  const std::uint64_t id = b.send("q");
  const auto last_error = [&] { return std::string(b.state.find_message(id, b.now)->last_error); };
  ASSERT_TRUE(b.run(nack_lease{b.take("q")[0].lease, duration(0), "no"}));
  ASSERT_TRUE(b.run(nack_lease{b.take("q")[0].lease, duration(0), {}, attempt_use::is_given_back}));
  EXPECT_EQ(last_error(), "no");
  ASSERT_TRUE(
      b.run(nack_lease{b.take("q")[0].lease, duration(0), "busy", attempt_use::is_given_back}));
  EXPECT_EQ(last_error(), "busy");
  ASSERT_TRUE(b.run(nack_lease{b.take("q")[0].lease, duration(0)}));
  EXPECT_EQ(last_error(), "") << "an attempt that failed without a word";
}

TEST_F(broker, an_error_text_is_cut_at_a_character) {
  b.make("q", plain());
  const std::uint64_t id = b.send("q");
  std::string error(error_text_bytes_max - 1, 'x');
  error += "\xc3\xa4 and more";
  ASSERT_TRUE(b.run(nack_lease{b.take("q")[0].lease, duration(0), error}));
  EXPECT_EQ(b.state.find_message(id, b.now)->last_error,
            std::string(error_text_bytes_max - 1, 'x'));
}

}  // namespace
}  // namespace weir::broker_state_test

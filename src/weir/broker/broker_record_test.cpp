#include <weir/broker/broker_record.hpp>

#include <weir/base/random.hpp>
#include <weir/broker/broker_state.hpp>

#include <gtest/gtest.h>

namespace weir::broker_record_test {
namespace {

queue_settings unusual_settings() {
  queue_settings settings;
  settings.capacity_messages = 12;
  settings.capacity_bytes = UINT64_MAX;
  settings.lease = duration(1);
  settings.attempts = 9;
  settings.backoff = {duration(2), duration(3), 1.5, 0.25};
  settings.dead_letter = "x.{q}";
  settings.ttl = duration(4), settings.result_ttl = duration(5), settings.key_window = duration(6);
  settings.push = push_settings{"http://h/p", 7, 8, duration(9)};
  return settings;
}

/// One record of every kind, with every field set.
record_batch one_of_each() {
  record_batch batch;
  batch.append(queue_set_record{4, 5, "orders", unusual_settings()});
  batch.append(queue_delete_record{4});
  batch.append(submit_record{1, 4, 10, 20, 30, 9, 40, "key", "http://r", "text/plain", {"body"}});
  batch.append(lease_record{77, {{1, 2, 3}, {4, 5, 6}}});
  batch.append(retry_record{1, 99, 3, "timed out"});
  batch.append(dead_record{1, 5, 4, 6, 7, 3, 8, {1, 2, 3}, "gave up"});
  batch.append(end_record{1, message_state::expired, 1, 2, 3, 4, {5, 6, 7}, "e", "t", {"result"}});
  batch.append(remove_record{{1, 2, 3}});
  batch.append(redrive_record{4, 5, {1, 2}});
  batch.append(reply_retry_record{1, 2, 3});
  batch.append(reply_done_record{1, 1});
  return batch;
}

bool decodes(broker_record record) {
  switch (record.kind) {
    case record_kind::queue_set:
      return decode<queue_set_record>(record.payload).has_value();
    case record_kind::queue_delete:
      return decode<queue_delete_record>(record.payload).has_value();
    case record_kind::submit:
    case record_kind::moved_submit:
      return decode<submit_record>(record.payload).has_value();
    case record_kind::lease:
      return decode<lease_record>(record.payload).has_value();
    case record_kind::retry:
      return decode<retry_record>(record.payload).has_value();
    case record_kind::dead:
      return decode<dead_record>(record.payload).has_value();
    case record_kind::end:
    case record_kind::moved_end:
      return decode<end_record>(record.payload).has_value();
    case record_kind::remove:
      return decode<remove_record>(record.payload).has_value();
    case record_kind::redrive:
      return decode<redrive_record>(record.payload).has_value();
    case record_kind::reply_retry:
      return decode<reply_retry_record>(record.payload).has_value();
    case record_kind::reply_done:
      return decode<reply_done_record>(record.payload).has_value();
  }
  return false;
}

/// The payload's text and list fields end it, so that it may be cut without being noticed here.
bool has_open_end(record_kind kind) {
  return kind == record_kind::submit || kind == record_kind::end;
}

TEST(broker_record, settings_read_back_with_every_field) {
  const record_batch batch = one_of_each();
  const auto read = decode<queue_set_record>(batch[0].payload);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->queue, 4u);
  EXPECT_EQ(read->created, 5);
  EXPECT_EQ(read->name, "orders");
  EXPECT_EQ(read->settings, unusual_settings());
  record_batch plain;
  plain.append(queue_set_record{1, 2, "q", {}});
  EXPECT_EQ(decode<queue_set_record>(plain[0].payload)->settings, queue_settings{});
}

TEST(broker_record, a_submit_reads_back_with_every_field) {
  const record_batch batch = one_of_each();
  const auto read = decode<submit_record>(batch[2].payload);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->sequence, 1u);
  EXPECT_EQ(read->queue, 4u);
  EXPECT_EQ(read->submitted, 10);
  EXPECT_EQ(read->due, 20);
  EXPECT_EQ(read->expires, 30);
  EXPECT_EQ(read->priority, 9);
  EXPECT_EQ(read->key_until, 40);
  EXPECT_EQ(read->key, "key");
  EXPECT_EQ(read->reply_to, "http://r");
  EXPECT_EQ(read->content_type, "text/plain");
  EXPECT_EQ(read->body.text, "body");
}

TEST(broker_record, an_end_and_a_death_read_back_with_every_field) {
  const record_batch batch = one_of_each();
  const auto dead = decode<dead_record>(batch[5].payload);
  ASSERT_TRUE(dead);
  EXPECT_EQ(dead->sequence, 1u);
  EXPECT_EQ(dead->queue, 5u);
  EXPECT_EQ(dead->origin, 4u);
  EXPECT_EQ(dead->at, 6);
  EXPECT_EQ(dead->expires, 7);
  EXPECT_EQ(dead->attempts, 3);
  EXPECT_EQ(dead->reply_due, 8);
  EXPECT_EQ(dead->source, (location{1, 2, 3}));
  EXPECT_EQ(dead->error, "gave up");
  const auto end = decode<end_record>(batch[6].payload);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->outcome, message_state::expired);
  EXPECT_EQ(end->at, 1);
  EXPECT_EQ(end->keep_until, 2);
  EXPECT_EQ(end->attempts, 3);
  EXPECT_EQ(end->reply_due, 4);
  EXPECT_EQ(end->source, (location{5, 6, 7}));
  EXPECT_EQ(end->error, "e");
  EXPECT_EQ(end->content_type, "t");
  EXPECT_EQ(end->result.text, "result");
}

TEST(broker_record, the_small_records_read_back) {
  const record_batch batch = one_of_each();
  EXPECT_EQ(decode<queue_delete_record>(batch[1].payload)->queue, 4u);
  const auto lease = decode<lease_record>(batch[3].payload);
  EXPECT_EQ(lease->deadline, 77);
  EXPECT_EQ(lease->messages, (std::vector<leased_item>{{1, 2, 3}, {4, 5, 6}}));
  const auto retry = decode<retry_record>(batch[4].payload);
  EXPECT_EQ(retry->due, 99);
  EXPECT_EQ(retry->attempts, 3);
  EXPECT_EQ(retry->error, "timed out");
  EXPECT_EQ(decode<remove_record>(batch[7].payload)->messages,
            (std::vector<std::uint64_t>{1, 2, 3}));
  const auto redrive = decode<redrive_record>(batch[8].payload);
  EXPECT_EQ(redrive->queue, 4u);
  EXPECT_EQ(redrive->expires, 5);
  EXPECT_EQ(redrive->messages.size(), 2u);
  EXPECT_EQ(decode<reply_retry_record>(batch[9].payload)->attempts, 3u);
  EXPECT_EQ(decode<reply_done_record>(batch[10].payload)->is_delivered, 1);
}

TEST(broker_record, a_cut_or_lengthened_payload_is_refused) {
  const record_batch batch = one_of_each();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const broker_record record = batch[i];
    ASSERT_TRUE(decodes(record));
    const std::size_t open = has_open_end(record.kind) ? 6 : 0;  // "body" and "result" are last
    for (std::size_t size = 0; size + open < record.payload.size(); ++size) {
      EXPECT_FALSE(decodes({record.kind, record.payload.substr(0, size)}))
          << static_cast<int>(record.kind) << " cut to " << size;
    }
    if (open == 0) EXPECT_FALSE(decodes({record.kind, std::string(record.payload) + "x"}));
  }
}

TEST(broker_record, another_version_is_refused_as_unsupported) {
  const record_batch batch = one_of_each();
  std::string payload(batch[1].payload);
  payload[0] = 2;
  const auto read = decode<queue_delete_record>(payload);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), errc::unsupported);
}

TEST(broker_record, a_number_that_no_broker_gives_is_refused) {
  broker_state state({1, 2}, {});
  record_batch batch;
  batch.append(queue_set_record{.queue = 1, .name = "q"});
  ASSERT_TRUE(state.apply(batch[0], {1, 0, 10}));
  for (const std::uint64_t sequence : {std::uint64_t{0}, sequence_max + 1, UINT64_MAX}) {
    batch.clear();
    batch.append(submit_record{.sequence = sequence, .queue = 1});
    const auto applied = state.apply(batch[0], {1, 10, 10});
    ASSERT_FALSE(applied) << sequence;
    EXPECT_EQ(applied.error(), errc::corrupt);
  }
  batch.clear();
  batch.append(submit_record{.sequence = sequence_max, .queue = 1});
  EXPECT_TRUE(state.apply(batch[0], {1, 20, 10}));
}

TEST(broker_record, random_bytes_never_ask_for_memory_that_they_dont_fill) {
  random_source random(9);
  for (int round = 0; round < 20'000; ++round) {
    std::string payload(random.below(64), '\0');
    for (char& c : payload) c = static_cast<char>(random.below(256));
    if (!payload.empty()) payload[0] = record_version;
    for (int kind = 1; kind <= 13; ++kind) {
      std::ignore = decodes({static_cast<record_kind>(kind), payload});
    }
  }
  std::string huge(14, '\xff');  // a lease of 2^32 - 1 messages in 14 bytes
  huge[0] = record_version;
  EXPECT_FALSE(decode<lease_record>(huge));
}

}  // namespace
}  // namespace weir::broker_record_test

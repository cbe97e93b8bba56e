// Tests of messages whose queue was made by a record that is damaged (`--accept-loss`): they are
// whole, so they are not lost with it.
#include <weir/broker/broker_state.hpp>
#include <weir/broker/internal/test_broker.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace weir::broker_lost_queue_test {
namespace {

using detail::journal_entry;
using detail::test_broker;

class broker_lost_queue : public ::testing::Test {
 protected:
  /// What a start finds when the records that set this queue up to `until` are damaged.
  broker_state without(std::string_view queue, std::size_t until = SIZE_MAX) {
    broker_state found(detail::test_secret, b.state.limits());
    for (const journal_entry& entry : b.journal.entries()) {
      const auto set = entry.kind == record_kind::queue_set
                           ? decode<queue_set_record>(entry.payload)
                           : result<queue_set_record>();
      if (set && set->name == queue && until != 0) {
        --until;
        continue;
      }
      EXPECT_TRUE(found.apply(entry.view(), entry.where));
    }
    EXPECT_EQ(found.audit(), "");
    return found;
  }

  test_broker b;
};

TEST_F(broker_lost_queue, gives_its_messages_to_one_in_its_place) {
  b.make("mails");
  const std::uint64_t id = b.send("mails", "123");
  b.send("mails", "45");
  const broker_state found = without("mails");
  EXPECT_EQ(found.lost_queues(), std::vector<std::string>{"lost-1"});
  const auto queue = found.find_queue("lost-1");
  ASSERT_TRUE(queue);
  EXPECT_EQ(queue->ready, 2u);
  EXPECT_EQ(queue->bytes, 5u);
  EXPECT_EQ(*queue->settings, dead_letter_settings());
  EXPECT_EQ(found.find_message(id, b.now)->queue, "lost-1");
}

TEST_F(broker_lost_queue, is_told_from_others_that_were_made_before_its_first_message) {
  b.make("mails");
  b.make("others");
  b.send("others", "1");
  b.send("mails", "23");
  const broker_state found = without("mails");
  EXPECT_EQ(found.find_queue("lost-1")->ready, 1u);
  EXPECT_EQ(found.find_queue("others")->ready, 1u);
}

TEST_F(broker_lost_queue, has_its_name_and_settings_from_a_later_record) {
  b.make("mails");
  const std::uint64_t id = b.send("mails", "123");
  queue_settings settings;
  settings.attempts = 7;
  b.make("mails", settings);
  b.send("mails", "45");
  const broker_state found = without("mails", 1);
  EXPECT_TRUE(found.lost_queues().empty());
  EXPECT_FALSE(found.find_queue("lost-1"));
  EXPECT_EQ(found.find_queue("mails")->ready, 2u);
  EXPECT_EQ(found.find_queue("mails")->settings->attempts, 7u);
  EXPECT_EQ(found.find_message(id, b.now)->queue, "mails");
  EXPECT_EQ(found.describe(b.now), b.state.describe(b.now));
}

TEST_F(broker_lost_queue, leaves_its_name_to_whoever_has_it) {
  b.make("mails");
  b.send("mails", "123");
  b.make("lost-1");
  b.send("lost-1", "45");
  const broker_state found = without("mails");
  EXPECT_EQ(found.find_queue("lost-1")->number, 2u);
  EXPECT_EQ(found.find_queue("lost-1_")->number, 1u);
  EXPECT_EQ(found.find_queue("lost-1_")->bytes, 3u);
}

TEST_F(broker_lost_queue, of_dead_letters_gives_them_to_one_in_its_place) {
  queue_settings settings;
  settings.attempts = 1;
  b.make("mails", settings);
  const std::uint64_t id = b.send("mails", "123");
  ASSERT_TRUE(b.run(reject_lease{b.take("mails").at(0).lease, "boom"}));
  const broker_state found = without("mails.dead");
  EXPECT_EQ(found.find_message(id, b.now)->queue, "lost-2");
  EXPECT_EQ(found.find_message(id, b.now)->origin, "mails");
}

TEST_F(broker_lost_queue, is_not_taken_for_one_that_was_deleted) {
  b.make("mails");
  b.send("mails", "123");
  ASSERT_TRUE(b.run(delete_queue{"mails"}));
  broker_state found = without("mails");
  EXPECT_TRUE(found.queues("", 10).empty());
  b.make("other");
  for (const journal_entry& entry : b.journal.entries()) {
    if (entry.kind == record_kind::submit) {
      EXPECT_TRUE(found.apply(entry.view(), entry.where));
    }
  }
  EXPECT_TRUE(found.queues("", 10).empty());
}

}  // namespace
}  // namespace weir::broker_lost_queue_test

#include <weir/broker/broker_snapshot.hpp>

#include <weir/base/crc32c.hpp>
#include <weir/broker/internal/test_broker.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

namespace weir::broker_snapshot_test {
namespace {

using detail::test_broker;

constexpr duration second = duration::seconds(1);

/// A broker with something of everything.
void fill(test_broker& b) {
  queue_settings settings;
  settings.attempts = 1;
  settings.push = push_settings{.url = "http://worker"};
  b.make("q", settings);
  for (int i = 0; i < 3; ++i) {
    b.send({.queue = "q", .body = "body", .key = std::to_string(i), .reply_to = "http://r"});
  }
  const auto taken = b.take("q", 2);
  ASSERT_TRUE(b.run(ack_lease{taken[0].lease, "result", ""}));
  ASSERT_TRUE(b.run(reject_lease{taken[1].lease, "no good"}));
  b.send({.queue = "q", .delay = second});
  b.take("q");
}

std::string file_of(const broker_state& state, std::size_t budget) {
  snapshot_writer writer(state);
  std::string file;
  while (!writer.is_finished()) file += writer.next(budget);
  EXPECT_EQ(writer.next(budget), "");
  return file;
}

result<void> load(broker_state& into, std::string_view file, std::size_t piece = SIZE_MAX) {
  snapshot_loader loader(into);
  for (; !file.empty(); file.remove_prefix(std::min(piece, file.size()))) {
    if (auto ok = loader.feed(file.substr(0, piece)); !ok) return ok;
  }
  return loader.finish();
}

// A snapshot that a start can't load would be the end of the data.
TEST(broker_snapshot, what_came_in_by_a_clock_before_1970_is_loaded_again) {
  test_broker b;
  b.now = time_point(-5 * second.ns);
  b.make("q");
  const std::uint64_t sent = b.send({.queue = "q", .ttl = second});
  broker_state copy(detail::test_secret, {});
  ASSERT_TRUE(load(copy, file_of(b.state, 100)));
  EXPECT_EQ(copy.find_message(sent, b.now)->submitted, time_point(0));
}

TEST(broker_snapshot, gives_the_same_state_whatever_the_sizes_of_slices_and_pieces) {
  test_broker b;
  fill(b);
  for (const std::size_t budget : {1u, 100u, 1'000'000u}) {
    const std::string file = file_of(b.state, budget);
    for (const std::size_t piece : {std::size_t(1), std::size_t(7), SIZE_MAX}) {
      broker_state loaded(detail::test_secret, {});
      ASSERT_TRUE(load(loaded, file, piece));
      EXPECT_EQ(loaded.audit(), "");
      EXPECT_EQ(loaded.describe(b.now), b.state.describe(b.now));
      EXPECT_EQ(loaded.applied(), b.state.applied());
    }
  }
}

TEST(broker_snapshot, of_an_empty_broker_is_an_empty_broker) {
  test_broker b;
  broker_state loaded(detail::test_secret, {});
  ASSERT_TRUE(load(loaded, file_of(b.state, 100)));
  EXPECT_EQ(loaded.describe(b.now), b.state.describe(b.now));
}

TEST(broker_snapshot, a_loaded_broker_works_on) {
  test_broker b;
  fill(b);
  test_broker again;
  ASSERT_TRUE(load(again.state, file_of(b.state, 100)));
  again.now = b.now;
  EXPECT_TRUE(again.run(submit_message{.queue = "q", .key = "1"})->is_duplicate);
  EXPECT_GT(again.send("q"), 4u);
  again.pass(second * 31);
  EXPECT_EQ(again.take("q", 10).size(), 2u);
  EXPECT_EQ(again.state.take_replies(again.now, 10).size(), 3u);
  EXPECT_EQ(again.state.find_queue("q")->settings->push->url, "http://worker");
  EXPECT_EQ(again.run(redrive_queue{.queue = "q"})->moved, 2u);
  EXPECT_EQ(again.state.audit(), "");
}

TEST(broker_snapshot, its_slices_are_bounded) {
  test_broker b;
  b.make("q");
  for (int i = 0; i < 1'000; ++i) b.send("q");
  snapshot_writer writer(b.state);
  while (!writer.is_finished()) EXPECT_LT(writer.next(500).size(), 800u);
}

TEST(broker_snapshot, cut_at_any_byte_it_is_refused) {
  test_broker b;
  fill(b);
  const std::string file = file_of(b.state, 150);
  ASSERT_GT(file.size(), 600u);
  for (std::size_t size = 0; size < file.size(); ++size) {
    broker_state loaded(detail::test_secret, {});
    const auto outcome = load(loaded, std::string_view(file).substr(0, size));
    ASSERT_FALSE(outcome) << size;
    EXPECT_EQ(outcome.error(), errc::corrupt);
  }
}

TEST(broker_snapshot, with_any_byte_changed_it_is_refused) {
  test_broker b;
  fill(b);
  const std::string file = file_of(b.state, 150);
  for (std::size_t at = 0; at < file.size(); ++at) {
    std::string changed = file;
    changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
    broker_state loaded(detail::test_secret, {});
    ASSERT_FALSE(load(loaded, changed)) << at;
  }
}

TEST(broker_snapshot, bytes_after_its_end_are_refused) {
  test_broker b;
  const std::string file = file_of(b.state, 150);
  broker_state loaded(detail::test_secret, {});
  EXPECT_FALSE(load(loaded, file + file));
  broker_state other(detail::test_secret, {});
  EXPECT_FALSE(load(other, file + "x"));
}

TEST(broker_snapshot, of_a_newer_version_it_says_so) {
  test_broker b;
  std::string file = file_of(b.state, 1'000'000);
  file[8 + 1 + 8] = 3;  // behind the slice's head, the item's tag and the magic number
  const std::uint32_t sum = crc32c(std::string_view(file).substr(8));
  std::memcpy(file.data() + 4, &sum, sizeof(sum));
  broker_state loaded(detail::test_secret, {});
  EXPECT_EQ(load(loaded, file).error(), errc::unsupported);
}

/// What a file that is one slice says its version is.
int version_of(const std::string& file) { return file.at(8 + 1 + 8); }

TEST(broker_snapshot, knows_the_names_of_queues_whose_letters_are_left_and_is_of_version_1_else) {
  test_broker b;
  fill(b);
  EXPECT_EQ(version_of(file_of(b.state, 1'000'000)), 1);
  ASSERT_TRUE(b.run(delete_queue{"q"}));
  const std::string file = file_of(b.state, 1'000'000);
  EXPECT_EQ(version_of(file), 2);
  test_broker again;
  ASSERT_TRUE(load(again.state, file));
  EXPECT_EQ(again.state.describe(b.now), b.state.describe(b.now));
  again.now = b.now;
  again.make("q");
  EXPECT_EQ(again.run(redrive_queue{.queue = "q"})->moved, 1u);
  EXPECT_EQ(again.state.audit(), "");
  EXPECT_EQ(version_of(file_of(again.state, 1'000'000)), 1) << "nobody asks for the name any more";
}

/// The file with another number for the next queue.
std::string with_next_queue(std::string file, std::uint32_t number) {
  // Behind the slice's head, the item's tag, magic number, version, start and next sequence.
  std::memcpy(file.data() + 8 + 1 + 8 + 2 + 12 + 8, &number, sizeof(number));
  std::uint32_t size = 0;
  std::memcpy(&size, file.data(), sizeof(size));
  const std::uint32_t sum = crc32c(std::string_view(file).substr(8, size));
  std::memcpy(file.data() + 4, &sum, sizeof(sum));
  return file;
}

TEST(broker_snapshot, of_a_broker_whose_numbers_are_used_up_makes_queues_of_dead_letters_only) {
  test_broker b;
  b.make("q");
  test_broker last;
  ASSERT_TRUE(load(last.state, with_next_queue(file_of(b.state, 1'000'000), queues_ever_max - 1)));
  last.make("last");
  EXPECT_EQ(last.state.find_queue("last")->number, queues_ever_max - 1);
  const auto too_many = last.run(put_queue{"more", {}});
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().code, broker_errc::too_many_queues);
  EXPECT_NE(too_many.error().detail.find("3999999999 queues have been made"), std::string::npos)
      << too_many.error().detail;
  EXPECT_EQ(last.run(put_queue{"q", {}}), put_outcome::updated);
  last.send("q");
  ASSERT_TRUE(last.run(reject_lease{last.take("q")[0].lease, "no good"}));
  EXPECT_EQ(last.state.find_queue("q.dead")->number, queues_ever_max);
  EXPECT_EQ(last.state.audit(), "");

  broker_state again(detail::test_secret, {});
  ASSERT_TRUE(load(again, file_of(last.state, 100)));
  EXPECT_EQ(again.describe(last.now), last.state.describe(last.now));
}

}  // namespace
}  // namespace weir::broker_snapshot_test

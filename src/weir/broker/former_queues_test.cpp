// The dead letters of queues that were deleted: they go back to one that is made anew under the
// name.
#include <weir/broker/former_queues.hpp>

#include <weir/broker/broker_state.hpp>
#include <weir/broker/internal/broker_kit.hpp>
#include <weir/broker/internal/test_broker.hpp>
#include <weir/testing/test.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace weir::former_queues_test {
namespace {

using detail::former_queues;
using detail::test_broker;

queue_settings one_attempt(std::string dead_letter) {
  queue_settings settings;
  settings.attempts = 1;
  settings.dead_letter = std::move(dead_letter);
  return settings;
}

class former_letters : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(b.state.audit(), "");
    EXPECT_EQ(b.replayed(b.state.limits()), b.state.describe(b.now));
  }
  std::uint64_t kill_one(std::string_view queue) {
    const std::uint64_t id = b.send(queue);
    EXPECT_TRUE(b.run(reject_lease{b.take(queue).at(0).lease, "boom"}));
    return id;
  }

  test_broker b;
};

TEST_F(former_letters, go_back_to_a_queue_that_is_made_anew_under_the_name) {
  b.make("q", one_attempt("dead"));
  b.make("other", one_attempt("dead"));
  const std::uint64_t id = kill_one("q");
  kill_one("other");
  ASSERT_TRUE(b.run(delete_queue{"q"}));
  EXPECT_EQ(b.state.find_message(id, b.now)->origin, "");
  EXPECT_EQ(b.run(redrive_queue{.queue = "dead"})->no_queue, 1u);
  b.make("q", one_attempt("dead"));
  EXPECT_EQ(b.state.find_message(id, b.now)->origin, "q");
  EXPECT_EQ(b.state.find_queue("q")->dead, 1u);
  const auto outcome = *b.run(redrive_queue{.queue = "q"});
  EXPECT_EQ(outcome.moved, 1u);
  EXPECT_EQ(outcome.left, 0u);
  EXPECT_EQ(b.state.find_message(id, b.now)->queue, "q");
  EXPECT_EQ(b.state.find_queue("q")->dead, 0u);
}

TEST_F(former_letters, of_all_queues_of_one_name_go_back_to_the_last_one) {
  for (int i = 0; i < 3; ++i) {
    b.make("q", one_attempt("dead"));
    kill_one("q");
    ASSERT_TRUE(b.run(delete_queue{"q"}));
  }
  EXPECT_EQ(b.run(redrive_queue{.queue = "dead"})->no_queue, 3u);
  b.make("q");
  EXPECT_EQ(b.state.find_queue("q")->dead, 3u);
  EXPECT_EQ(b.run(redrive_queue{.queue = "dead"})->moved, 3u);
  EXPECT_EQ(b.state.find_queue("q")->ready, 3u);
}

TEST(former_queues, forgets_those_that_nobody_asks_for_when_there_are_many) {
  former_queues former;
  std::set<std::uint32_t> needed;
  for (std::uint32_t number = 1; number <= 1'000; ++number) {
    if (number % 100 == 0) needed.insert(number);
    former.keep_only([&](std::uint32_t one) { return needed.contains(one); });
    std::map<std::string, std::uint32_t, std::less<>> names;
    names.emplace(fmt::format("q{}", number % 7), number);
    former.add(names.extract(names.begin()));
    ASSERT_LE(former.all().size(), 65u);
  }
  EXPECT_EQ(former.name_of(100), "q2");
  EXPECT_EQ(former.name_of(101), "");
  const auto [from, to] = former.named("q2");
  EXPECT_EQ(from->second, 100u);
}

WEIR_TEST("letters of a deleted queue go back to one of its name after a restart, too") {
  const auto options = detail::small_broker();
  std::string id;
  co_await detail::with_broker(options, [&](broker& b) -> task<> {
    co_await b.put_queue("q", one_attempt("dead"));
    id = co_await detail::submit_text(b, "q", "x");
    const auto taken = co_await detail::take(b, "q");
    EXPECT_TRUE(co_await b.reject(taken.at(0).receipt, "boom"));
    EXPECT_TRUE(co_await b.delete_queue("q"));
  });
  co_await detail::with_broker(options, [&](broker& b) -> task<> {
    co_await b.put_queue("q", one_attempt("dead"));
    const auto done = co_await b.redrive("q");
    EXPECT_EQ(done->moved, 1u);
    EXPECT_EQ((co_await b.message(id))->queue, "q");
  });
}

}  // namespace
}  // namespace weir::former_queues_test

// Much traffic over few messages that stay: snapshots and compaction keep the disk small while
// bodies, results and replies that lie in old segments are read, and nobody waits for them.
#include <weir/broker/broker.hpp>

#include <weir/broker/internal/broker_kit.hpp>
#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weir::broker_churn_test {
namespace {

using namespace weir::literals;
using detail::submit_text;
using detail::take;
using detail::tiny_broker;
using detail::with_broker;

constexpr int keepers = 8;  // of each kind

std::string long_text(char of, int number) {
  return fmt::format("{}{}:{}", of, number, std::string(1'500, of));
}

struct kept {
  std::vector<std::string> bodies;   // ids of messages that wait all the time
  std::vector<std::string> results;  // ids of messages whose results are kept
};

task<kept> make_keepers(broker& b) {
  kept made;
  co_await b.put_queue("churn", {.result_ttl = duration()});
  co_await b.put_queue("bodies", {});
  co_await b.put_queue("results", {.result_ttl = 24_h});
  for (int i = 0; i < keepers; ++i) {
    made.bodies.push_back(co_await submit_text(b, "bodies", long_text('b', i)));
    const auto sent = co_await b.submit("results", {.body = "x", .reply_to = "http://127.0.0.1/"});
    made.results.push_back(sent->id);
    const auto taken = co_await take(b, "results");
    co_await b.ack(taken.at(0).receipt, long_text('r', i), "text/plain");
  }
  co_return made;
}

task<> churn(broker* b, int count) {
  const std::string body(1'000, 'c');
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(co_await b->submit("churn", {.body = body}));
    const auto taken = co_await b->lease("churn", 1, 10_s, std::nullopt);
    WEIR_REQUIRE(taken && taken->size() == 1);
    EXPECT_EQ(taken->at(0).body.text(), body);
    EXPECT_TRUE(co_await b->ack(taken->at(0).receipt, "", ""));
  }
}

/// Reads what was kept, again and again: its records move under the readers.
task<> read_kept(broker* b, const kept* made, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const auto taken = co_await take(*b, "bodies", keepers);
    EXPECT_EQ(taken.size(), static_cast<std::size_t>(keepers));
    for (std::size_t n = 0; n < taken.size(); ++n) {
      EXPECT_EQ(taken[n].id, made->bodies[n]);
      EXPECT_EQ(taken[n].body.text(), long_text('b', static_cast<int>(n)));
      EXPECT_TRUE(co_await b->nack(taken[n].receipt, duration(), "", attempt_use::is_given_back));
    }
    for (int n = 0; n < keepers; ++n) {
      const auto seen = co_await b->message(made->results[static_cast<std::size_t>(n)]);
      WEIR_REQUIRE(seen);
      EXPECT_EQ(seen->result, long_text('r', n));
    }
    const auto due = co_await b->take_replies(keepers);
    EXPECT_EQ(due.size(), static_cast<std::size_t>(keepers));
    for (const due_reply& one : due) {
      EXPECT_EQ(one.url, "http://127.0.0.1/");
      EXPECT_EQ(one.result.size(), long_text('r', 0).size());
      co_await b->settle_reply(one, reply_outcome::failed, duration());
    }
    co_await sleep(1_s);
  }
}

WEIR_TEST("snapshots and compaction under load keep the disk small and every record readable") {
  auto options = tiny_broker();
  kept made;
  co_await with_broker(options, [&](broker& b) -> task<> {
    made = co_await make_keepers(b);
    auto settings = b.queue("results")->settings;
    settings.attempts = 0;
    settings.backoff = {.first = 1_ms, .max = 1_ms, .jitter = 0};
    co_await b.put_queue("results", settings);
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 4; ++i) s.spawn(churn, &b, 300);
      s.spawn(read_kept, &b, &made, 30);
      co_await s.join();
    });
    const journal_stats stats = b.log().stats();
    EXPECT_GT(stats.bytes_appended, 1'200'000u);
    EXPECT_GT(stats.snapshots_written, 2u);
    EXPECT_GT(stats.segments_compacted, 0u);
    EXPECT_GT(stats.segments_released, 5u);
    EXPECT_LT(stats.disk_bytes, 1'000'000u);
  });
  co_await with_broker(options, [&](broker& b) -> task<> {
    EXPECT_LT(b.log().recovery().records_replayed, 1'000u);
    co_await read_kept(&b, &made, 1);
  });
}

}  // namespace
}  // namespace weir::broker_churn_test

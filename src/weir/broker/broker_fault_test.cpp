// A disk that fills up, and one that fails: intake stops with a reason and goes on when there is
// room; a failed sync is final, and everybody hears of it; what can't be read is tried again.
#include <weir/broker/broker.hpp>

#include <weir/broker/internal/broker_kit.hpp>
#include <weir/core.hpp>
#include <weir/testing/acknowledged.hpp>
#include <weir/testing/test.hpp>

#include <cerrno>
#include <string>
#include <vector>

namespace weir::broker_fault_test {
namespace {

using namespace weir::literals;
using detail::take;
using detail::tiny_broker;
using detail::with_broker;

// Completions are taken in while nothing else is, until what is kept for them is full.
task<> use_up_reserve(broker& b) {
  const std::string error(1'000, 'e');
  verdict<nacked> returned;
  while (returned) {
    const auto taken = co_await b.lease("q", 1, duration(), 600_s);
    if (!taken) break;
    WEIR_REQUIRE(taken->size() == 1);
    returned = co_await b.nack(taken->at(0).receipt, duration(), error);
  }
}

/// Submits until the disk is full; gives how many were taken in.
task<int> fill(broker& b, std::string_view queue) {
  const std::string body(2'000, 'x');
  for (int count = 0;; ++count) {
    const auto sent = co_await b.submit(queue, {.body = body});
    if (sent) continue;
    EXPECT_EQ(sent.error().code, broker_errc::no_space) << sent.error().detail;
    co_return count;
  }
}

WEIR_TEST("a full disk stops intake and not completions, and intake goes on when there is room") {
  auto options = tiny_broker();
  virtual_disk& disk = testing::world().disk();
  int sent = 0;
  co_await with_broker(options, [&](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    disk.set_quota(disk.used() + (std::uint64_t{400} << 10));
    sent = co_await fill(b, "q");
    EXPECT_GT(sent, 20);
    EXPECT_FALSE(b.is_accepting());
    EXPECT_EQ(b.why_not(), "the disk is full");
    EXPECT_EQ((co_await b.put_queue("more", {})).error().code, broker_errc::no_space);
    for (int i = 0; i < 10; ++i) {
      const auto taken = co_await take(b, "q");
      WEIR_REQUIRE(taken.size() == 1);
      EXPECT_TRUE(co_await b.ack(taken[0].receipt, "", ""));
    }
    disk.set_quota(std::uint64_t{1} << 30);
    co_await sleep(5_s);
    EXPECT_TRUE(b.is_accepting()) << b.why_not();
    EXPECT_TRUE(co_await b.submit("q", {.body = "room again"}));
  });
  co_await with_broker(options, [&](broker& b) -> task<> {
    EXPECT_EQ(b.queue("q")->ready, static_cast<std::uint64_t>(sent - 10 + 1));
    EXPECT_EQ(b.queue("q")->done, 10u);
    co_return;
  });
}

WEIR_TEST("working a full disk empty makes room by itself") {
  co_await with_broker(tiny_broker(), [](broker& b) -> task<> {
    virtual_disk& disk = testing::world().disk();
    co_await b.put_queue("q", {.result_ttl = duration()});
    disk.set_quota(disk.used() + (std::uint64_t{600} << 10));
    const int sent = co_await fill(b, "q");
    for (int i = 0; i < sent; ++i) {
      const auto taken = co_await take(b, "q");
      WEIR_REQUIRE(taken.size() == 1);
      EXPECT_TRUE(co_await b.ack(taken[0].receipt, "", "")) << i;
    }
    co_await sleep(60_s);
    EXPECT_TRUE(b.is_accepting()) << b.why_not();
    EXPECT_TRUE(co_await b.submit("q", {.body = "room again"}));
  });
}

WEIR_TEST("a lack of descriptors is not told as a full disk, and ends") {
  co_await with_broker(tiny_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    testing::world().add_fault({.op = io_op::open, .code = EMFILE, .count = 10});
    const std::string body(2'000, 'x');
    auto sent = co_await b.submit("q", {.body = body});
    for (int i = 0; i < 1'000 && sent; ++i) sent = co_await b.submit("q", {.body = body});
    WEIR_REQUIRE(!sent);
    EXPECT_EQ(sent.error().code, broker_errc::busy) << sent.error().detail;
    EXPECT_EQ(b.why_not(), "no file descriptors are left");
    co_await sleep(60_s);
    EXPECT_TRUE(b.is_accepting()) << b.why_not();
    EXPECT_TRUE(co_await b.submit("q", {.body = body}));
  });
}

WEIR_TEST("time goes on after the journal could not grow and its reserve was used up") {
  testing::may_leave_messages();
  co_await with_broker(tiny_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.attempts = 0});
    for (int i = 0; i < 40; ++i) co_await detail::submit_text(b, "q", "x");
    testing::world().add_fault({.op = io_op::open, .code = EMFILE, .count = 100'000});
    const auto held = co_await b.lease("q", 20, duration(), 2_s);
    WEIR_REQUIRE(held && held->size() == 20);
    co_await use_up_reserve(b);
    co_await sleep(10_s);
    testing::world().drop_faults();
    co_await sleep(60_s);
    EXPECT_TRUE(b.is_accepting()) << b.why_not();
    EXPECT_LE(b.queue("q")->leased, 1u) << "the leases that were held have run out";
    EXPECT_TRUE(co_await b.put_queue("later", {}));
    EXPECT_TRUE(co_await b.submit("later", {.body = "x", .delay = 5_s}));
    const auto late = co_await b.lease("later", 1, 60_s, std::nullopt);
    EXPECT_EQ(late->size(), 1u);
  });
}

WEIR_TEST("a reply whose outcome found no room on the disk is due again") {
  testing::may_leave_messages();
  co_await with_broker(tiny_broker(), [](broker& b) -> task<> {
    virtual_disk& disk = testing::world().disk();
    co_await b.put_queue("q", {.attempts = 0});
    co_await b.submit("q", {.body = "x", .reply_to = "http://127.0.0.1/"});
    co_await b.ack((co_await take(b, "q")).at(0).receipt, "its result", "");
    const auto due = co_await b.take_replies(10);
    WEIR_REQUIRE(due.size() == 1);
    for (int i = 0; i < 5; ++i) co_await detail::submit_text(b, "q", std::string(2'000, 'x'));
    disk.set_quota(disk.used());
    co_await use_up_reserve(b);
    const std::uint64_t before = b.log().stats().lsn_appended;
    co_await b.settle_reply(due[0], reply_outcome::failed, duration());
    EXPECT_EQ(b.log().stats().lsn_appended, before) << "its outcome was written";
    disk.set_quota(std::uint64_t{1} << 30);
    const auto again = co_await with_timeout(600_s, b.take_replies(10));
    WEIR_REQUIRE(again.size() == 1);
    EXPECT_EQ(again[0].result, "its result");
  });
}

WEIR_TEST("while the journal is full the clock waits for room and does not spin") {
  co_await with_broker(tiny_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.attempts = 0});
    for (int i = 0; i < 90; ++i) co_await detail::submit_text(b, "q", "x");
    WEIR_REQUIRE((co_await b.lease("q", 90, duration(), 2_s))->size() == 90);
    testing::world().set_latency(3_s, 3_s);
    co_await with_scope([&](scope& callers) -> task<> {
      const auto submit = [](broker* to) -> task<> {
        const std::string body(1'900, 'y');
        co_await to->submit("q", {.body = body});
      };
      for (int i = 0; i < 60; ++i) callers.spawn(submit, &b);
      co_await sleep(1_s);
      EXPECT_GT(b.log().stats().pending_bytes, std::size_t{60} << 10);
      co_await callers.join();
    });
    testing::world().set_latency({}, {});
  });
}

WEIR_TEST("a failed sync is final: nothing is acknowledged after it, and everybody hears why") {
  std::vector<std::string> kept;
  {
    const auto b = co_await broker::open(tiny_broker());
    const auto live = [](broker* at, std::vector<std::string>* ids) -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(&broker::run, at);
        co_await at->put_queue("q", {.capacity_messages = 1});
        ids->push_back((co_await at->submit("q", {.body = "kept", .delay = 1_h}))->id);
        co_await with_scope({.shield = true}, [&](scope& callers) -> task<> {
          callers.spawn(
              [](broker* of) -> task<> {
                const auto taken = co_await as_result(of->lease("q", 1, 600_s, std::nullopt));
                EXPECT_TRUE(!taken || taken->error().code == broker_errc::unavailable);
              },
              at);
          callers.spawn(
              [](broker* of, std::string id) -> task<> {
                co_await as_result(of->wait_ended(id, 600_s));
              },
              at, ids->at(0));
          co_await sleep(1_s);
          testing::world().add_fault({.op = io_op::sync, .nth = 1, .code = EIO});
          EXPECT_FALSE(co_await as_result(at->put_queue("never", {})));
          // The second would be synced well, and must not be believed.
          const auto next = co_await as_result(at->put_queue("r", {}));
          EXPECT_TRUE(!next || !*next);
          co_await callers.join();
        });
      });
    };
    const auto errors = co_await testing::errors_of(live(b.get(), &kept));
    EXPECT_EQ(errors.size(), 1u) << "run() raises what failed the journal";
    EXPECT_FALSE(b->is_accepting());
    EXPECT_NE(b->why_not().find("Input/output error"), std::string::npos) << b->why_not();
    EXPECT_EQ((co_await b->submit("q", {.body = "x"})).error().code, broker_errc::unavailable);
    EXPECT_FALSE(co_await as_result(b->close()));
    EXPECT_LT(testing::elapsed(), 60_s) << "nobody waits for a broker that has failed";
  }
  co_await with_broker(tiny_broker(), [&](broker& b) -> task<> {
    EXPECT_EQ((co_await b.message(kept.at(0)))->state, message_state::delayed);
    EXPECT_TRUE(b.is_accepting());
  });
}

WEIR_TEST("a reply that can't be read from the disk is tried again, and comes when it can") {
  auto options = tiny_broker();
  options.journal.recent_bytes_max = 0;
  co_await with_broker(options, [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    co_await b.submit("q", {.body = "a body that rots", .reply_to = "http://127.0.0.1/"});
    const auto taken = co_await take(b, "q");
    co_await b.ack(taken.at(0).receipt, "its result", "");
    auto flip = [at = std::size_t()]() mutable {
      virtual_disk& disk = testing::world().disk();
      constexpr const char* segment = "/data/journal-0000000001.seg";
      std::string content = *disk.content_of(segment);
      if (at == 0) at = content.find("that rots");
      content[at] ^= 1;
      EXPECT_EQ(disk.set_content(segment, content), 0);
    };
    flip();
    co_await testing::expect_raises<errc::timed_out>(with_timeout(60_s, b.take_replies(10)));
    flip();
    const auto due = co_await with_timeout(1'000_s, b.take_replies(10));
    WEIR_REQUIRE(due.size() == 1);
    EXPECT_EQ(due[0].result, "its result");
    co_await b.settle_reply(due[0], reply_outcome::delivered, duration());
    EXPECT_EQ(b.queue("q")->totals.replies_delivered, 1u);
  });
}

}  // namespace
}  // namespace weir::broker_fault_test

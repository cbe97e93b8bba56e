#include <weir/broker/broker.hpp>

#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <string>
#include <utility>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;

broker_options small(std::string dir = "/data") {
  broker_options options{.dir = std::move(dir)};
  options.limits.message_bytes_max = 64 << 10;
  options.journal.segment_bytes = 1u << 20;
  options.journal.group_bytes_max = 256 << 10;
  options.journal.pending_bytes_max = 1u << 20;
  return options;
}

/// Opens a broker, runs `body` on it and closes it in order.
template <class Body>
task<> with_broker(broker_options options, Body body) {
  const auto b = co_await broker::open(std::move(options));
  co_await with_scope({.name = "test"}, [&](scope& s) -> task<> {
    s.spawn(&broker::run, b.get());
    co_await body(*b);
    co_await b->close();
  });
}

task<std::string> submit_text(broker& b, std::string_view queue, std::string_view text) {
  const auto outcome = co_await b.submit(queue, {.body = text});
  EXPECT_TRUE(outcome) << outcome.error().detail;
  co_return outcome ? outcome->id : std::string();
}

WEIR_TEST("a message goes from a producer to a worker, and its result comes back") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    EXPECT_EQ(co_await b.put_queue("mails", {}), put_outcome::created);
    const std::string id = co_await submit_text(b, "mails", "hello");
    auto taken = co_await b.lease("mails", 10, duration(), std::nullopt);
    EXPECT_EQ(taken->size(), 1u);
    EXPECT_EQ(taken->at(0).id, id);
    EXPECT_EQ(taken->at(0).body.text(), "hello");
    EXPECT_EQ(taken->at(0).attempt, 1u);
    EXPECT_TRUE(co_await b.ack(taken->at(0).receipt, "done!", "text/plain"));
    const auto seen = co_await b.message(id);
    EXPECT_EQ(seen->state, message_state::done);
    EXPECT_EQ(seen->result, "done!");
    EXPECT_EQ(seen->result_type, "text/plain");
  });
}

WEIR_TEST("everything acknowledged is there after closing and opening again") {
  std::string done;
  std::string waiting;
  co_await with_broker(small(), [&](broker& b) -> task<> {
    co_await b.put_queue("q", {.attempts = 7});
    done = co_await submit_text(b, "q", "one");
    waiting = co_await submit_text(b, "q", "two");
    auto taken = co_await b.lease("q", 1, duration(), std::nullopt);
    EXPECT_EQ(taken->at(0).id, done);
    EXPECT_TRUE(co_await b.ack(taken->at(0).receipt, "result", "text/plain"));
  });
  co_await with_broker(small(), [&](broker& b) -> task<> {
    EXPECT_EQ(b.queue("q")->settings.attempts, 7u);
    const auto seen = co_await b.message(done);
    EXPECT_TRUE(seen) << seen.error().detail;
    EXPECT_EQ(seen->state, message_state::done);
    EXPECT_EQ(seen->result, "result");
    EXPECT_EQ((co_await b.message(waiting))->state, message_state::ready);
  });
}

WEIR_TEST("a lease waits for a message, and each message wakes one that waits, in turn") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    std::vector<std::string> got;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) {
        s.spawn(
            [](broker* from, std::vector<std::string>* into) -> task<> {
              auto taken = co_await from->lease("q", 1, 20_s, std::nullopt);
              EXPECT_EQ(taken->size(), 1u);
              into->push_back(std::string(taken->at(0).body.text()));
              co_await from->ack(taken->at(0).receipt, "", "");
            },
            &b, &got);
      }
      co_await sleep(1_s);
      for (const char* text : {"a", "b", "c"}) co_await submit_text(b, "q", text);
      co_await s.join();
    });
    EXPECT_EQ(got.size(), 3u);
    EXPECT_LT(testing::elapsed(), 5_s) << "nobody waited in vain";
  });
}

WEIR_TEST("a lease that finds nothing ends empty when its time is over") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const duration before = testing::elapsed();
    const auto taken = co_await b.lease("q", 1, 5_s, std::nullopt);
    EXPECT_TRUE(taken && taken->empty());
    EXPECT_GE(testing::elapsed() - before, 5_s);
  });
}

WEIR_TEST("a cancelled wait for messages gives its turn to the next") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](broker* from) -> task<> {
            EXPECT_FALSE(
                co_await as_result(with_timeout(1_s, from->lease("q", 1, 60_s, std::nullopt))));
          },
          &b);
      s.spawn(
          [](broker* from) -> task<> {
            const auto taken = co_await from->lease("q", 1, 60_s, std::nullopt);
            EXPECT_EQ(taken->size(), 1u);
          },
          &b);
      co_await sleep(2_s);
      co_await submit_text(b, "q", "late");
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 30_s);
  });
}

WEIR_TEST("a lease that runs out comes back after its back-off with the next attempt") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.lease = 10_s, .backoff = {.first = 2_s, .jitter = 0}});
    co_await submit_text(b, "q", "slow");
    const auto first = co_await b.lease("q", 1, duration(), std::nullopt);
    const auto second = co_await b.lease("q", 1, 60_s, std::nullopt);
    EXPECT_EQ(second->size(), 1u);
    EXPECT_EQ(second->at(0).attempt, 2u);
    EXPECT_GE(testing::elapsed(), 12_s);
    EXPECT_EQ((co_await b.ack(first->at(0).receipt, "", "")).error().code,
              broker_errc::stale_receipt);
    EXPECT_TRUE(co_await b.ack(second->at(0).receipt, "", ""));
  });
}

WEIR_TEST("a full queue refuses, or lets the producer wait until there is room") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.capacity_messages = 1});
    co_await submit_text(b, "q", "first");
    EXPECT_EQ((co_await b.submit("q", {.body = "no"})).error().code, broker_errc::queue_full);
    EXPECT_EQ((co_await b.submit("q", {.body = "no"}, 1_s)).error().code, broker_errc::queue_full);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](broker* to) -> task<> {
            EXPECT_TRUE(co_await to->submit("q", {.body = "second"}, 60_s));
          },
          &b);
      co_await sleep(1_s);
      const auto taken = co_await b.lease("q", 1, duration(), std::nullopt);
      co_await b.ack(taken->at(0).receipt, "", "");
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 30_s);
    EXPECT_EQ(b.queue("q")->ready, 1u);
  });
}

WEIR_TEST("waiting for the end of a message ends with it, or shows it as it is when time is over") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const std::string id = co_await submit_text(b, "q", "x");
    EXPECT_EQ((co_await b.wait_ended(id, 3_s))->state, message_state::ready);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](broker* from, std::string of) -> task<> {
            const auto seen = co_await from->wait_ended(of, 60_s);
            EXPECT_EQ(seen->state, message_state::done);
            EXPECT_EQ(seen->result, "42");
          },
          &b, id);
      co_await sleep(1_s);
      const auto taken = co_await b.lease("q", 1, duration(), std::nullopt);
      co_await b.ack(taken->at(0).receipt, "42", "text/plain");
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 30_s);
    EXPECT_EQ((co_await b.wait_ended("nonsense", 1_s)).error().code,
              broker_errc::message_not_found);
  });
}

WEIR_TEST("events of a queue arrive in order, once they are durable") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const auto events = std::move(*b.subscribe_queue("q"));
    const std::string id = co_await submit_text(b, "q", "x");
    const auto taken = co_await b.lease("q", 1, duration(), std::nullopt);
    co_await b.ack(taken->at(0).receipt, "", "");
    for (const event_kind kind :
         {event_kind::submitted, event_kind::leased, event_kind::completed}) {
      const broker_event one = co_await events->next();
      EXPECT_EQ(one.kind, kind);
      EXPECT_EQ(one.id, id);
    }
    EXPECT_EQ(events->dropped(), 0u);
  });
}

WEIR_TEST("a reply is given with its address and result, again after a failed call") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.backoff = {.first = 2_s, .jitter = 0}});
    const auto sent = co_await b.submit("q", {.body = "x", .reply_to = "http://127.0.0.1/done"});
    const auto taken = co_await b.lease("q", 1, duration(), std::nullopt);
    co_await b.ack(taken->at(0).receipt, "result", "text/plain");
    auto due = co_await b.take_replies(10);
    EXPECT_EQ(due.at(0).url, "http://127.0.0.1/done");
    EXPECT_EQ(due.at(0).result, "result");
    EXPECT_EQ(due.at(0).id, sent->id);
    const duration before = testing::elapsed();
    co_await b.settle_reply(due[0], reply_outcome::failed, duration());
    due = co_await b.take_replies(10);
    EXPECT_GE(testing::elapsed() - before, 2_s);
    co_await b.settle_reply(due.at(0), reply_outcome::delivered, duration());
    EXPECT_FALSE(co_await as_result(with_timeout(1_h, b.take_replies(1))));
  });
}

WEIR_TEST("dead letters come back by redrive") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.attempts = 1});
    const std::string id = co_await submit_text(b, "q", "poison");
    const auto taken = co_await b.lease("q", 1, duration(), std::nullopt);
    EXPECT_EQ((co_await b.nack(taken->at(0).receipt, std::nullopt, "bad"))->state,
              message_state::dead);
    EXPECT_EQ((co_await b.message(id))->state, message_state::dead);
    EXPECT_EQ((co_await b.message(id))->last_error, "bad");
    EXPECT_EQ(b.queue("q")->dead, 1u);
    EXPECT_EQ(co_await b.redrive("q"), 1u);
    EXPECT_EQ((co_await b.message(id))->state, message_state::ready);
  });
}

WEIR_TEST("many submits at once share syncs") {
  co_await with_broker(small(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const std::uint64_t before = b.log().stats().syncs;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 100; ++i) {
        s.spawn([](broker* to) -> task<> { co_await submit_text(*to, "q", "x"); }, &b);
      }
      co_await s.join();
    });
    EXPECT_LT(b.log().stats().syncs - before, 20u);
    EXPECT_EQ(b.queue("q")->ready, 100u);
  });
}

}  // namespace
}  // namespace weir

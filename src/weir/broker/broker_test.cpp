#include <weir/broker/broker.hpp>

#include <weir/broker/internal/broker_kit.hpp>
#include <weir/core.hpp>
#include <weir/io/file.hpp>
#include <weir/testing/acknowledged.hpp>
#include <weir/testing/test.hpp>

#include <string>
#include <utility>
#include <vector>

namespace weir::broker_test {
namespace {

using namespace weir::literals;

using detail::small_broker;
using detail::submit_text;
using detail::take;
using detail::with_broker;

WEIR_TEST("a message goes from a producer to a worker, and its result comes back") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
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
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    co_await b.put_queue("q", {.attempts = 7});
    done = co_await submit_text(b, "q", "one");
    waiting = co_await submit_text(b, "q", "two");
    auto taken = co_await b.lease("q", 1, duration(), std::nullopt);
    EXPECT_EQ(taken->at(0).id, done);
    EXPECT_TRUE(co_await b.ack(taken->at(0).receipt, "result", "text/plain"));
  });
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    EXPECT_EQ(b.queue("q")->settings.attempts, 7u);
    const auto seen = co_await b.message(done);
    EXPECT_TRUE(seen) << seen.error().detail;
    EXPECT_EQ(seen->state, message_state::done);
    EXPECT_EQ(seen->result, "result");
    EXPECT_EQ((co_await b.message(waiting))->state, message_state::ready);
  });
}

WEIR_TEST("a lease waits for a message, and each message wakes one that waits, in turn") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
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
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const duration before = testing::elapsed();
    const auto taken = co_await b.lease("q", 1, 5_s, std::nullopt);
    EXPECT_TRUE(taken && taken->empty());
    EXPECT_GE(testing::elapsed() - before, 5_s);
  });
}

WEIR_TEST("a cancelled wait for messages gives its turn to the next") {
  testing::may_leave_messages();
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
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
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
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
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
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
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
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
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
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
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
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
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.attempts = 1});
    const std::string id = co_await submit_text(b, "q", "poison");
    const auto taken = co_await b.lease("q", 1, duration(), std::nullopt);
    EXPECT_EQ((co_await b.nack(taken->at(0).receipt, std::nullopt, "bad"))->state,
              message_state::dead);
    EXPECT_EQ((co_await b.message(id))->state, message_state::dead);
    EXPECT_EQ((co_await b.message(id))->last_error, "bad");
    EXPECT_EQ(b.queue("q")->dead, 1u);
    EXPECT_EQ((co_await b.redrive("q"))->moved, 1u);
    EXPECT_EQ((co_await b.message(id))->state, message_state::ready);
  });
}

WEIR_TEST("many submits at once share syncs") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
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
    co_return;
  });
}

WEIR_TEST("a key gives the same message within its window, also after a restart") {
  std::string id;
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    co_await b.put_queue("q", {.key_window = 1_h});
    id = (co_await b.submit("q", {.body = "x", .key = "order-7"}))->id;
    const auto again = co_await b.submit("q", {.body = "y", .key = "order-7"});
    EXPECT_TRUE(again->is_duplicate);
    EXPECT_EQ(again->id, id);
  });
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    const auto again = co_await b.submit("q", {.body = "z", .key = "order-7"});
    EXPECT_TRUE(again->is_duplicate);
    EXPECT_EQ(again->id, id);
    EXPECT_EQ((co_await take(b, "q", 10)).at(0).body.text(), "x");
    co_await sleep(2_h);
    EXPECT_FALSE((co_await b.submit("q", {.body = "new", .key = "order-7"}))->is_duplicate);
  });
}

WEIR_TEST("two submits with one key at once make one message") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    std::vector<std::string> ids;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 5; ++i) {
        s.spawn(
            [](broker* to, std::vector<std::string>* into) -> task<> {
              into->push_back((co_await to->submit("q", {.body = "x", .key = "k"}))->id);
            },
            &b, &ids);
      }
      co_await s.join();
    });
    for (const std::string& one : ids) EXPECT_EQ(one, ids[0]);
    EXPECT_EQ(b.queue("q")->ready, 1u);
  });
}

WEIR_TEST("a delayed message is not taken early, and wakes who waits when it is due") {
  testing::may_leave_messages();
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const auto events = std::move(*b.subscribe_queue("q"));
    const duration before = testing::elapsed();
    co_await b.submit("q", {.body = "later", .delay = 10_s});
    EXPECT_TRUE((co_await take(b, "q")).empty());
    const auto taken = co_await b.lease("q", 1, 60_s, std::nullopt);
    EXPECT_EQ(taken->size(), 1u);
    EXPECT_GE(testing::elapsed() - before, 10_s);
    EXPECT_LT(testing::elapsed() - before, 11_s);
    EXPECT_EQ((co_await events->next()).kind, event_kind::submitted);
    EXPECT_EQ((co_await events->next()).kind, event_kind::leased) << "becoming due is no event";
  });
}

WEIR_TEST("a delay, a lease and an attempt outlast a restart") {
  testing::may_leave_messages();
  std::string id;
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    co_await b.put_queue("q", {.lease = 60_s, .backoff = {.first = 1_s, .jitter = 0}});
    id = co_await submit_text(b, "q", "leased");
    co_await b.submit("q", {.body = "delayed", .delay = 300_s});
    EXPECT_EQ((co_await take(b, "q")).at(0).id, id);
  });
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    EXPECT_TRUE((co_await take(b, "q")).empty());
    const auto again = co_await b.lease("q", 1, 200_s, std::nullopt);
    EXPECT_EQ(again->at(0).id, id);
    EXPECT_EQ(again->at(0).attempt, 2u);
    EXPECT_GE(testing::elapsed(), 60_s);
    EXPECT_TRUE(co_await b.ack(again->at(0).receipt, "", ""));
    const auto delayed = co_await b.lease("q", 1, 400_s, std::nullopt);
    EXPECT_EQ(delayed->at(0).body.text(), "delayed");
    EXPECT_GE(testing::elapsed(), 300_s);
  });
}

WEIR_TEST("a result is kept for its time and then forgotten") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.result_ttl = 60_s});
    const std::string id = co_await submit_text(b, "q", "x");
    const auto taken = co_await take(b, "q");
    co_await b.ack(taken.at(0).receipt, "r", "");
    co_await sleep(59_s);
    EXPECT_EQ((co_await b.message(id))->result, "r");
    co_await sleep(2_s);
    EXPECT_EQ((co_await b.message(id)).error().code, broker_errc::message_not_found);
    EXPECT_EQ(b.queue("q")->done, 0u);
  });
}

WEIR_TEST("a message that nobody takes within its time to live expires") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const auto sent = co_await b.submit("q", {.body = "x", .ttl = 5_s});
    const auto seen = co_await b.wait_ended(sent->id, 60_s);
    EXPECT_EQ(seen->state, message_state::expired);
    EXPECT_LT(testing::elapsed(), 10_s);
    EXPECT_TRUE((co_await take(b, "q")).empty());
  });
}

WEIR_TEST("redrive moves ten thousand dead letters back, each once") {
  auto options = small_broker();
  options.limits.redrive_max = 1'000;
  co_await with_broker(options, [](broker& b) -> task<> {
    co_await b.put_queue("q", {.attempts = 1});
    const std::vector<new_message> batch(1'000, new_message{.body = "x"});
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(co_await b.submit_batch("q", batch));
      const auto taken = co_await take(b, "q", 1'000);
      EXPECT_EQ(taken.size(), 1'000u);
      co_await with_scope([&](scope& s) -> task<> {
        for (const taken_message& one : taken) {
          s.spawn(
              [](broker* at, const taken_message* of) -> task<> {
                EXPECT_TRUE(co_await at->reject(of->receipt, "poison"));
              },
              &b, &one);
        }
        co_await s.join();
      });
    }
    EXPECT_EQ(b.queue("q")->dead, 10'000u);
    EXPECT_EQ((co_await b.redrive("q"))->moved, 10'000u);
    EXPECT_EQ(b.queue("q")->ready, 10'000u);
    EXPECT_EQ(b.queue("q")->dead, 0u);
    EXPECT_EQ((co_await b.redrive("q"))->moved, 0u);
  });
}

WEIR_TEST("a subscriber that does not keep up loses the oldest events, and hears how many") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const auto events = std::move(*b.subscribe_queue("q"));
    const std::vector<new_message> batch(500, new_message{.body = "x"});
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(co_await b.submit_batch("q", batch));
    co_await sleep(1_s);  // told once they are durable, by another task
    EXPECT_EQ(events->dropped(), 1'500u - subscription::events_max);
    for (std::size_t i = 0; i < subscription::events_max; ++i) co_await events->next();
    EXPECT_FALSE(co_await as_result(with_timeout(1_s, events->next())));
  });
}

WEIR_TEST("a deleted queue ends the waits for its messages, its room and their ends") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.capacity_messages = 1});
    const auto events = std::move(*b.subscribe_queue("q"));
    const auto sent = co_await b.submit("q", {.body = "x", .delay = 1_h});
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](broker* at) -> task<> {
            const auto taken = co_await at->lease("q", 1, 60_s, std::nullopt);
            EXPECT_EQ(taken.error().code, broker_errc::queue_not_found);
          },
          &b);
      s.spawn(
          [](broker* at) -> task<> {
            const auto put = co_await at->submit("q", {.body = "y"}, 60_s);
            EXPECT_EQ(put.error().code, broker_errc::queue_not_found);
          },
          &b);
      s.spawn(
          [](broker* at, std::string id) -> task<> {
            const auto seen = co_await at->wait_ended(id, 60_s);
            EXPECT_EQ(seen.error().code, broker_errc::message_not_found);
          },
          &b, sent->id);
      co_await sleep(1_s);
      EXPECT_TRUE(co_await b.delete_queue("q"));
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 30_s);
    EXPECT_EQ((co_await events->next()).kind, event_kind::submitted);
    co_await testing::expect_raises(errc::closed, events->next());
    EXPECT_EQ((co_await b.lease("q", 1, 60_s, std::nullopt)).error().code,
              broker_errc::queue_not_found);
  });
}

WEIR_TEST("a lease holds no more bytes than its limit, but always a message") {
  testing::may_leave_messages();
  auto options = small_broker();
  options.limits.lease_bytes_max = 1'000;
  co_await with_broker(options, [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    for (const std::size_t size : {600u, 400u, 1u, 2'000u, 1u}) {
      co_await submit_text(b, "q", std::string(size, 'x'));
    }
    EXPECT_EQ((co_await take(b, "q", 10)).size(), 2u);
    EXPECT_EQ((co_await take(b, "q", 10)).size(), 1u);
    EXPECT_EQ((co_await take(b, "q", 10)).size(), 1u);
    EXPECT_EQ((co_await take(b, "q", 10)).size(), 1u);
  });
}

/// How long six leases at once take when each operation of the disk takes 10 ms. Their bodies are
/// on the disk: the broker was opened again.
task<duration> time_of_leases(std::size_t reading_bytes_max, std::size_t body_bytes) {
  auto options = small_broker();
  options.reading_bytes_max = reading_bytes_max;
  duration took;
  co_await with_broker(options, [&](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    for (int i = 0; i < 6; ++i) co_await submit_text(b, "q", std::string(body_bytes, 'x'));
  });
  co_await with_broker(options, [&](broker& b) -> task<> {
    testing::world().set_latency(10_ms, 10_ms);
    const duration begin = testing::elapsed();
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 6; ++i) {
        s.spawn(
            [](broker* from, std::size_t size) -> task<> {
              const auto got = co_await from->lease("q", 1, duration(), std::nullopt);
              EXPECT_EQ(got->at(0).body.text().size(), size);
            },
            &b, body_bytes);
      }
      co_await s.join();
    });
    took = testing::elapsed() - begin;
    testing::world().set_latency(duration(), duration());
  });
  co_return took;
}

WEIR_TEST("what leases read from the disk at once is bounded together, and one may be larger") {
  testing::may_leave_messages();
  EXPECT_GE(co_await time_of_leases(1'000, 1'500), 60_ms) << "one after the other";
}

WEIR_TEST("closing refuses newcomers and ends all waits") {
  const auto b = co_await broker::open(small_broker());
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(&broker::run, b.get());
    co_await b->put_queue("q", {.capacity_messages = 1});
    const auto sent = co_await b->submit("q", {.body = "x", .delay = 1_h});
    s.spawn(
        [](broker* at) -> task<> {
          EXPECT_EQ((co_await at->lease("q", 1, 60_s, std::nullopt)).error().code,
                    broker_errc::unavailable);
        },
        b.get());
    s.spawn(
        [](broker* at) -> task<> {
          EXPECT_EQ((co_await at->submit("q", {.body = "y"}, 60_s)).error().code,
                    broker_errc::unavailable);
        },
        b.get());
    s.spawn(
        [](broker* at, std::string id) -> task<> {
          EXPECT_EQ((co_await at->wait_ended(id, 60_s))->state, message_state::delayed);
        },
        b.get(), sent->id);
    s.spawn(
        [](broker* at) -> task<> {
          co_await testing::expect_raises(errc::closed, at->take_replies(1));
        },
        b.get());
    co_await sleep(1_s);
    EXPECT_TRUE(b->is_accepting());
    co_await b->close();
    EXPECT_FALSE(b->is_accepting());
    EXPECT_EQ(b->why_not(), "the broker is closing");
    EXPECT_EQ((co_await b->submit("q", {.body = "z"})).error().code, broker_errc::unavailable);
  });
  EXPECT_LT(testing::elapsed(), 30_s);
}

WEIR_TEST("closing after much was written leaves a snapshot, so that opening replays little") {
  auto options = small_broker();
  options.journal.snapshot_bytes = 1u << 30;
  co_await with_broker(options, [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const std::string body(50'000, 'x');
    const std::vector<new_message> batch(4, new_message{.body = body});
    for (int i = 0; i < 25; ++i) EXPECT_TRUE(co_await b.submit_batch("q", batch));
    EXPECT_EQ(b.log().stats().snapshots_written, 0u);
  });
  co_await with_broker(options, [](broker& b) -> task<> {
    EXPECT_GT(b.log().recovery().snapshot_lsn, 0u);
    EXPECT_EQ(b.log().recovery().records_replayed, 0u);
    EXPECT_EQ(b.queue("q")->ready, 100u);
    co_return;
  });
}

WEIR_TEST("a cancelled run() still writes what was accepted") {
  {
    const auto b = co_await broker::open(small_broker());
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(&broker::run, b.get());
      co_await b->put_queue("q", {});
      s.spawn([](broker* to) -> task<> { co_await submit_text(*to, "q", "x"); }, b.get());
      while (b->queue("q")->ready == 0) co_await yield();
      s.cancel();
    });
    EXPECT_EQ(b->log().stats().lsn_durable, b->log().stats().lsn_appended);
  }
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    EXPECT_EQ(b.queue("q")->ready, 1u);
    co_return;
  });
}

WEIR_TEST("a message whose body is damaged on the disk becomes a dead letter and blocks nobody") {
  broker_options options = small_broker();
  options.journal.recent_bytes_max = 0;  // so that bodies come from the disk
  co_await with_broker(options, [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const std::string bad = co_await submit_text(b, "q", "a body that rots");
    const std::string good = co_await submit_text(b, "q", "a good one");
    virtual_disk& disk = testing::world().disk();
    constexpr const char* segment = "/data/journal-0000000001.seg";
    std::string content = *disk.content_of(segment);
    content[content.find("that rots")] ^= 1;
    EXPECT_EQ(disk.set_content(segment, content), 0);
    const auto taken = co_await take(b, "q", 10);
    WEIR_REQUIRE(taken.size() == 1);
    EXPECT_EQ(taken[0].id, good);
    const auto seen = co_await b.message(bad);
    EXPECT_EQ(seen->state, message_state::dead);
    EXPECT_TRUE(seen->last_error.starts_with("its body can't be read from the disk: "));
    EXPECT_EQ(b.queue("q")->dead, 1u);
    EXPECT_EQ(b.queue("q")->ready, 0u);
    EXPECT_TRUE((co_await take(b, "q.dead")).empty());
    EXPECT_TRUE(co_await b.ack(taken[0].receipt, "", ""));
  });
}

WEIR_TEST("a folder is open in one broker only") {
  co_await with_broker(small_broker(), [](broker&) -> task<> {
    co_await testing::expect_raises(errc::busy, broker::open(small_broker()));
  });
}

WEIR_TEST("limits that can't hold together are refused") {
  auto options = small_broker();
  options.limits.message_bytes_max = 1u << 20;
  co_await testing::expect_raises(errc::invalid_argument, broker::open(options));
}

}  // namespace
}  // namespace weir::broker_test

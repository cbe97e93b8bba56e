// Who waits at a broker: in turn, woken for every message and every bit of room, bounded, and
// without a trace when the wait is given up.
#include <weir/broker/broker.hpp>

#include <weir/broker/internal/broker_kit.hpp>
#include <weir/core.hpp>
#include <weir/testing/acknowledged.hpp>
#include <weir/testing/test.hpp>

#include <string>
#include <vector>

namespace weir::broker_waiters_test {
namespace {

using namespace weir::literals;
using detail::small_broker;
using detail::submit_text;
using detail::take;
using detail::with_broker;

/// Waits for one message and acknowledges it; notes in which turn.
task<> wait_and_note(broker* b, int who, std::vector<int>* order) {
  const auto taken = co_await b->lease("q", 1, 600_s, std::nullopt);
  WEIR_REQUIRE(taken && taken->size() == 1);
  order->push_back(who);
  co_await b->ack(taken->at(0).receipt, "", "");
}

WEIR_TEST("workers that wait are served in the order in which they came") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    std::vector<int> order;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 5; ++i) {
        s.spawn(wait_and_note, &b, i, &order);
        co_await sleep(1_s);
      }
      for (int i = 0; i < 5; ++i) {
        co_await submit_text(b, "q", "x");
        // A poller that does not wait takes nothing from those who do.
        if (i < 4) EXPECT_TRUE((co_await take(b, "q")).empty());
        co_await sleep(1_s);
      }
      co_await s.join();
    });
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
  });
}

WEIR_TEST("a worker that was woken for nothing keeps its place") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    std::vector<int> order;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) {
        s.spawn(wait_and_note, &b, i, &order);
        co_await sleep(1_s);
      }
      // Becomes ready, wakes the first, and has expired before it is seen.
      co_await b.submit("q", {.body = "x", .delay = 1_s, .ttl = 1_ms});
      co_await sleep(10_s);
      for (int i = 0; i < 3; ++i) {
        co_await submit_text(b, "q", "x");
        co_await sleep(1_s);
      }
      co_await s.join();
    });
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
  });
}

WEIR_TEST("a batch wakes as many workers as it has messages") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    std::vector<int> order;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 20; ++i) s.spawn(wait_and_note, &b, i, &order);
      co_await sleep(1_s);
      const std::vector<new_message> batch(20, new_message{.body = "x"});
      EXPECT_TRUE(co_await b.submit_batch("q", batch));
      co_await s.join();
    });
    EXPECT_EQ(order.size(), 20u);
    EXPECT_LT(testing::elapsed(), 10_s);
  });
}

WEIR_TEST("many producers and workers meet, and nobody waits in vain") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.capacity_messages = 3});
    std::vector<int> order;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 40; ++i) {
        s.spawn(wait_and_note, &b, i, &order);
        s.spawn(
            [](broker* to) -> task<> {
              EXPECT_TRUE(co_await to->submit("q", {.body = "x"}, 300_s));
            },
            &b);
      }
      co_await s.join();
    });
    EXPECT_EQ(order.size(), 40u);
    EXPECT_LT(testing::elapsed(), 20_s);
    EXPECT_EQ(b.queue("q")->done, 40u);
  });
}

task<> note_end(broker* b, std::string id, std::vector<message_view>* seen) {
  const auto ended = co_await b->wait_ended(id, 600_s);
  WEIR_REQUIRE(ended);
  seen->push_back(*ended);
}

/// The event of a message's end.
task<broker_event> end_in(subscription& feed) {
  for (;;) {
    const broker_event what = co_await feed.next();
    if (what.kind == event_kind::completed || what.kind == event_kind::dead) co_return what;
  }
}

/// A message that is not kept ends, done or dead; gives what those who wait for it see.
task<std::vector<message_view>> watch_end(broker& b, bool fails) {
  std::vector<message_view> seen;
  const std::string id = co_await submit_text(b, "q", "x");
  const auto feed = b.subscribe_message(id);
  const auto all = b.subscribe_queue("q");
  if (!feed || !all) co_return seen;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) s.spawn(note_end, &b, id, &seen);
    co_await sleep(1_s);
    const std::string receipt = (co_await take(b, "q")).at(0).receipt;
    if (fails) {
      EXPECT_TRUE(co_await b.nack(receipt, std::nullopt, "bad"));
    } else {
      EXPECT_TRUE(co_await b.ack(receipt, "fine", "text/x"));
    }
    co_await s.join();
  });
  EXPECT_EQ((co_await b.message(id)).error().code, broker_errc::message_not_found);
  const broker_event told = co_await end_in(**feed);
  if (told.last) seen.push_back(*told.last);
  EXPECT_FALSE((co_await end_in(**all)).last);
  co_return seen;
}

WEIR_TEST("whoever waits for the end of a message that is not kept gets its result") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.attempts = 1, .dead_letter = "", .result_ttl = duration()});
    const std::vector<message_view> done = co_await watch_end(b, false);
    EXPECT_EQ(done.size(), 3u);
    for (const message_view& one : done) {
      EXPECT_EQ(one.state, message_state::done);
      EXPECT_EQ(one.result, "fine");
      EXPECT_EQ(one.result_type, "text/x");
    }
    const std::vector<message_view> dead = co_await watch_end(b, true);
    EXPECT_EQ(dead.size(), 3u);
    for (const message_view& one : dead) {
      EXPECT_EQ(one.state, message_state::dead);
      EXPECT_FALSE(one.has_result);
      EXPECT_EQ(one.last_error, "bad");
    }
    EXPECT_LT(testing::elapsed(), 10_s) << "nobody waited for the time to be over";
  });
}

WEIR_TEST("producers that wait for room get it in the order in which they came") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.capacity_messages = 1});
    co_await submit_text(b, "q", "first");
    co_await with_scope([&](scope& s) -> task<> {
      for (const char* text : {"a", "b", "c"}) {
        s.spawn(
            [](broker* to, std::string body) -> task<> {
              EXPECT_TRUE(co_await to->submit("q", {.body = body}, 600_s));
            },
            &b, std::string(text));
        co_await sleep(1_s);
      }
      for (const char* text : {"first", "a", "b", "c"}) {
        const auto taken = co_await take(b, "q");
        WEIR_REQUIRE(taken.size() == 1);
        EXPECT_EQ(taken[0].body.text(), text);
        EXPECT_EQ((co_await b.submit("q", {.body = "pushy"})).error().code,
                  broker_errc::queue_full);
        co_await b.ack(taken[0].receipt, "", "");
        co_await sleep(1_s);
      }
      co_await s.join();
    });
  });
}

WEIR_TEST("a larger capacity, a redrive and an expiry make room for those who wait") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    const auto send_waiting = [](broker* to, std::string queue) -> task<> {
      EXPECT_TRUE(co_await to->submit(queue, {.body = "waited"}, 600_s));
    };
    co_await b.put_queue("q", {.capacity_messages = 1, .attempts = 1});
    co_await b.submit("q", {.body = "x", .ttl = 5_s});
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(send_waiting, &b, std::string("q"));
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 10_s);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(send_waiting, &b, std::string("q"));
      co_await sleep(1_s);
      co_await b.put_queue("q", {.capacity_messages = 2, .attempts = 1});
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 15_s);
    co_await b.reject((co_await take(b, "q")).at(0).receipt, "poison");
    auto settings = b.queue("q.dead")->settings;
    settings.capacity_messages = 1;
    EXPECT_TRUE(co_await b.put_queue("q.dead", settings));
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(send_waiting, &b, std::string("q.dead"));
      co_await sleep(1_s);
      EXPECT_EQ((co_await b.redrive("q"))->moved, 1u);
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 30_s);
  });
}

WEIR_TEST("more calls than waiters_max are refused as busy, and counted off again") {
  auto options = small_broker();
  options.waiters_max = 3;
  co_await with_broker(options, [](broker& b) -> task<> {
    co_await b.put_queue("q", {.capacity_messages = 1});
    const auto sent = co_await b.submit("q", {.body = "x", .delay = 1_h});
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](broker* at) -> task<> { co_await at->lease("q", 1, 5_s, std::nullopt); }, &b);
      s.spawn([](broker* at) -> task<> { co_await at->submit("q", {.body = "y"}, 5_s); }, &b);
      s.spawn([](broker* at, std::string id) -> task<> { co_await at->wait_ended(id, 5_s); }, &b,
              sent->id);
      co_await sleep(1_s);
      EXPECT_EQ((co_await b.lease("q", 1, 5_s, std::nullopt)).error().code, broker_errc::busy);
      EXPECT_EQ((co_await b.submit("q", {.body = "y"}, 5_s)).error().code, broker_errc::busy);
      EXPECT_EQ((co_await b.wait_ended(sent->id, 5_s)).error().code, broker_errc::busy);
      EXPECT_TRUE(co_await b.lease("q", 1, duration(), std::nullopt)) << "it would not wait";
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 10_s);
    EXPECT_TRUE(co_await b.lease("q", 1, 1_s, std::nullopt)) << "those who waited have left";
  });
}

WEIR_TEST("while others wait for room a batch takes none, and a known key is answered") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {.capacity_bytes = 10});
    const auto first = co_await b.submit("q", {.body = "12345678", .key = "k"});
    WEIR_REQUIRE(first);
    co_await with_scope([&](scope& s) -> task<> {
      const auto wait_for_room = [](broker* at) -> task<> {
        EXPECT_TRUE(co_await at->submit("q", {.body = "12345"}, 300_s));
      };
      s.spawn(wait_for_room, &b);
      co_await sleep(1_s);
      const std::vector<new_message> batch{{.body = "1"}, {.body = "12345678", .key = "k"}};
      const auto verdicts = co_await b.submit_batch("q", batch);
      WEIR_REQUIRE(verdicts && verdicts->size() == 2);
      WEIR_REQUIRE(!verdicts->at(0) && verdicts->at(1));
      EXPECT_EQ(verdicts->at(0).error().code, broker_errc::queue_full);
      EXPECT_EQ(verdicts->at(1)->id, first->id);
      for (const duration wait : {duration(), 60_s}) {
        const auto again = co_await b.submit("q", {.body = "12345678", .key = "k"}, wait);
        EXPECT_TRUE(again && again->is_duplicate && again->id == first->id);
      }
      EXPECT_LT(testing::elapsed(), 10_s);
      co_await b.ack((co_await take(b, "q")).at(0).receipt, "", "");
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 10_s);
  });
}

WEIR_TEST("room that a dead letter leaves by dying again wakes who waits for it") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("second", {.capacity_messages = 1});
    co_await b.put_queue("q", {.dead_letter = "second"});
    co_await submit_text(b, "q", "x");
    co_await b.reject((co_await take(b, "q")).at(0).receipt, "bad");
    co_await with_scope([&](scope& s) -> task<> {
      const auto wait_for_room = [](broker* at) -> task<> {
        EXPECT_TRUE(co_await at->submit("second", {.body = "y"}, 300_s));
      };
      s.spawn(wait_for_room, &b);
      co_await sleep(1_s);
      co_await b.reject((co_await take(b, "second")).at(0).receipt, "bad again");
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed(), 10_s);
  });
}

WEIR_TEST("who follows one message hears that its queue was deleted") {
  co_await with_broker(small_broker(), [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    co_await b.put_queue("other", {});
    const auto gone = b.subscribe_message(co_await submit_text(b, "q", "x"));
    const auto kept = b.subscribe_message(co_await submit_text(b, "other", "x"));
    WEIR_REQUIRE(gone && kept);
    co_await b.delete_queue("q");
    co_await testing::expect_raises<errc::closed>(with_timeout(60_s, (*gone)->next()));
    co_await testing::expect_raises<errc::timed_out>(with_timeout(60_s, (*kept)->next()));
  });
}

WEIR_TEST("results on their way to reply addresses are bounded, and more come when one is gone") {
  auto options = small_broker();
  options.replies_bytes_max = 100 << 10;
  std::vector<due_reply> kept;
  co_await with_broker(options, [&](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const std::string result(60 << 10, 'r');
    for (int i = 0; i < 3; ++i) {
      co_await b.submit("q", {.body = "x", .reply_to = "http://127.0.0.1/"});
      co_await b.ack((co_await take(b, "q")).at(0).receipt, result, "");
    }
    auto first = co_await b.take_replies(10);
    WEIR_REQUIRE(first.size() == 1);
    co_await testing::expect_raises<errc::timed_out>(with_timeout(60_s, b.take_replies(10)));
    co_await b.settle_reply(first[0], reply_outcome::delivered, duration());
    first.clear();
    kept = co_await with_timeout(60_s, b.take_replies(10));
    WEIR_REQUIRE(kept.size() == 1);
    EXPECT_EQ(kept[0].result, result);
    co_await with_scope([&](scope& s) -> task<> {
      const auto hear_of_the_end = [](broker* at) -> task<> {
        co_await testing::expect_raises<errc::closed>(at->take_replies(10));
      };
      s.spawn(hear_of_the_end, &b);
      co_await sleep(1_s);
      co_await b.close();
      co_await s.join();
    });
  });
  EXPECT_EQ(kept.size(), 1u) << "it may outlive its broker";
}

WEIR_TEST("a ready message behind many whose life is over is found at once") {
  testing::may_leave_messages();
  const auto options = detail::tiny_broker();
  const auto fill = [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const std::vector<new_message> batch(100, new_message{.body = "x", .priority = 5, .ttl = 60_s});
    for (int i = 0; i < 5; ++i) co_await b.submit_batch("q", batch);
    co_await submit_text(b, "q", "good");
    co_await submit_text(b, "q", "good too");
  };
  co_await with_broker(options, fill);
  co_await sleep(1_h);
  const auto b = co_await broker::open(options);
  co_await with_scope({.name = "test"}, [&](scope& s) -> task<> {
    const auto look = [](broker* at) -> task<> {
      // Before the clock has run once.
      EXPECT_EQ((co_await take(*at, "q")).size(), 1u);
      EXPECT_EQ((co_await at->lease("q", 1, 60_s, std::nullopt))->size(), 1u);
      EXPECT_LT(testing::elapsed(), 1_h + 10_s);
      co_await at->close();
    };
    s.spawn(look, b.get());
    s.spawn(&broker::run, b.get());
    co_await s.join();
  });
}

WEIR_TEST("subscribers beyond their limit are refused, until one leaves") {
  auto options = small_broker();
  options.subscriptions_max = 2;
  co_await with_broker(options, [](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    const auto first = b.subscribe_queue("q");
    auto second = b.subscribe_queue("q");
    co_await b.put_queue("other", {});
    EXPECT_TRUE(first && second);
    EXPECT_EQ(b.subscribe_queue("q").error().code, broker_errc::busy);
    second->reset();
    EXPECT_TRUE(b.subscribe_queue("q"));
    co_return;
  });
}

}  // namespace
}  // namespace weir::broker_waiters_test

// Each call of the broker, cancelled after 0, 1, 2, ... turns of the loop until it ends by itself
// before: whatever the moment, nothing is lost, nothing is there twice, and nobody else waits on.
#include <weir/broker/broker.hpp>

#include <weir/broker/internal/broker_kit.hpp>
#include <weir/core.hpp>
#include <weir/testing/acknowledged.hpp>
#include <weir/testing/test.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace weir::broker_cancel_test {
namespace {

using namespace weir::literals;
using detail::small_broker;
using detail::submit_text;
using detail::take;
using detail::with_broker;

/// Makes the call and cancels it after so many turns; true when it had ended by itself.
template <class Call>
task<bool> cut(int turns, Call call) {
  bool is_over = false;
  co_await with_scope({.name = "cut"}, [&](scope& s) -> task<> {
    s.spawn(
        [](Call* what, bool* over) -> task<> {
          co_await (*what)();
          *over = true;
        },
        &call, &is_over);
    for (int i = 0; i < turns && !is_over; ++i) co_await yield();
    s.cancel("cut");
  });
  co_return is_over;
}

/// Runs `scenario(broker, turns)` with ever more turns, in a new folder each, until it says that
/// its call was not cut short.
template <class Scenario>
task<> at_every_turn(Scenario scenario) {
  testing::may_leave_messages();  // of those whose worker was cut off
  constexpr int turns_max = 1'000;
  bool is_over = false;
  int turns = 0;
  for (; !is_over && turns < turns_max; turns += 1 + turns / 16) {
    co_await with_broker(small_broker(fmt::format("/data{}", turns)), [&](broker& b) -> task<> {
      SCOPED_TRACE(fmt::format("cancelled after {} turns", turns));
      co_await b.put_queue("q", {});
      is_over = co_await scenario(b, turns);
    });
    if (::testing::Test::HasFailure()) co_return;
  }
  EXPECT_TRUE(is_over);
}

WEIR_TEST("a cancelled submit has sent its message once or not at all") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    std::string id;
    const bool is_over = co_await cut(
        turns, [&]() -> task<> { id = (co_await b.submit("q", {.body = "x", .key = "k"}))->id; });
    EXPECT_LE(b.queue("q")->ready, 1u);
    const auto again = co_await b.submit("q", {.body = "x", .key = "k"});
    if (is_over) EXPECT_TRUE(again->is_duplicate && again->id == id);
    EXPECT_EQ(b.queue("q")->ready, 1u);
    EXPECT_EQ((co_await take(b, "q", 10)).size(), 1u);
    co_return is_over;
  });
}

WEIR_TEST("a cancelled batch is sent as a whole or not at all") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    const std::vector<new_message> batch(5, new_message{.body = "x"});
    const bool is_over =
        co_await cut(turns, [&]() -> task<> { EXPECT_TRUE(co_await b.submit_batch("q", batch)); });
    const std::uint64_t ready = b.queue("q")->ready;
    EXPECT_TRUE(ready == 5 || (ready == 0 && !is_over)) << ready;
    co_return is_over;
  });
}

WEIR_TEST("a cancelled lease gives its messages back at once, and no attempt is used") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    for (const char* text : {"a", "b", "c"}) co_await submit_text(b, "q", text);
    const duration before = testing::elapsed();
    const bool is_over =
        co_await cut(turns, [&]() -> task<> { EXPECT_EQ((co_await take(b, "q", 3)).size(), 3u); });
    if (is_over) {
      EXPECT_TRUE((co_await take(b, "q", 3)).empty());
      co_return true;
    }
    std::string got;
    while (got.size() < 3) {
      const auto taken = co_await b.lease("q", 3, 5_s, std::nullopt);
      if (!taken || taken->empty()) break;
      for (const taken_message& one : *taken) {
        got += one.body.text();
        EXPECT_EQ(one.attempt, 1u);
      }
    }
    EXPECT_EQ(got, "abc");
    EXPECT_LT(testing::elapsed() - before, 1_s);
    co_return false;
  });
}

WEIR_TEST("a cancelled wait for messages leaves what came to the next who waits") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    const duration before = testing::elapsed();
    bool is_over = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](broker* at, int after, bool* over) -> task<> {
            *over = co_await cut(after, [at]() -> task<> {
              EXPECT_EQ((co_await at->lease("q", 1, 60_s, std::nullopt))->size(), 1u);
            });
            if (*over) co_await submit_text(*at, "q", "for the second");
          },
          &b, turns, &is_over);
      co_await yield();
      s.spawn(
          [](broker* at) -> task<> {
            EXPECT_EQ((co_await at->lease("q", 1, 60_s, std::nullopt))->size(), 1u);
          },
          &b);
      co_await submit_text(b, "q", "for the first");
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed() - before, 10_s);
    EXPECT_EQ(b.queue("q")->ready, 0u);
    co_return is_over;
  });
}

WEIR_TEST("a cancelled wait for room leaves the room to the next who waits") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    co_await b.put_queue("q", {.capacity_messages = 1});
    co_await submit_text(b, "q", "0");
    const duration before = testing::elapsed();
    bool is_over = false;
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](broker* at, int after, bool* over) -> task<> {
            *over = co_await cut(after, [at]() -> task<> {
              EXPECT_TRUE(co_await at->submit("q", {.body = "1"}, 60_s));
            });
          },
          &b, turns, &is_over);
      co_await yield();
      s.spawn(
          [](broker* at) -> task<> { EXPECT_TRUE(co_await at->submit("q", {.body = "2"}, 60_s)); },
          &b);
      while (!got.contains('2')) {
        const auto taken = co_await b.lease("q", 1, 30_s, std::nullopt);
        if (!taken || taken->empty()) break;
        got += taken->at(0).body.text();
        EXPECT_TRUE(co_await b.ack(taken->at(0).receipt, "", ""));
      }
      co_await s.join();
    });
    for (const taken_message& one : co_await take(b, "q", 5)) got += one.body.text();
    std::ranges::sort(got);
    EXPECT_TRUE(got == "012" || (got == "02" && !is_over)) << got;
    EXPECT_LT(testing::elapsed() - before, 10_s);
    co_return is_over;
  });
}

WEIR_TEST("a cancelled acknowledgement has ended the message or left it on lease") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    const std::string id = co_await submit_text(b, "q", "x");
    const auto taken = co_await take(b, "q");
    const bool is_over = co_await cut(turns, [&]() -> task<> {
      EXPECT_TRUE(co_await b.ack(taken.at(0).receipt, "r", "text/plain"));
    });
    const auto again = co_await b.ack(taken.at(0).receipt, "r", "text/plain");
    EXPECT_TRUE(again || again.error() == broker_errc::stale_receipt);
    if (is_over) EXPECT_FALSE(again);
    EXPECT_EQ((co_await b.message(id))->result, "r");
    EXPECT_EQ(b.queue("q")->totals.completed, 1u);
    co_return is_over;
  });
}

WEIR_TEST("a cancelled return or rejection has happened once or not at all") {
  for (const bool rejects : {false, true}) {
    co_await at_every_turn([rejects](broker& b, int turns) -> task<bool> {
      const std::string id = co_await submit_text(b, "q", "x");
      const auto taken = co_await take(b, "q");
      const std::string receipt = taken.at(0).receipt;
      const auto call = [&]() -> task<> {
        if (rejects) {
          co_await b.reject(receipt, "bad");
        } else {
          co_await b.nack(receipt, duration(), "again");
        }
      };
      const bool is_over = co_await cut(turns, call);
      co_await call();
      const message_state wanted = rejects ? message_state::dead : message_state::ready;
      EXPECT_EQ((co_await b.message(id))->state, wanted);
      EXPECT_EQ((co_await take(b, rejects ? "q.dead" : "q", 5)).size(), 1u);
      co_return is_over;
    });
  }
}

WEIR_TEST("a cancelled wait for an end leaves the others who wait for it") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    const std::string id = co_await submit_text(b, "q", "x");
    const auto taken = co_await take(b, "q");
    const duration before = testing::elapsed();
    bool is_over = false;
    const auto wait = [&]() -> task<> {
      EXPECT_EQ((co_await b.wait_ended(id, 60_s))->state, message_state::done);
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](bool* over, auto of, int after) -> task<> { *over = co_await cut(after, of); },
              &is_over, wait, turns);
      s.spawn(wait);
      co_await yield();
      co_await b.ack(taken.at(0).receipt, "", "");
      co_await s.join();
    });
    EXPECT_LT(testing::elapsed() - before, 10_s);
    co_return is_over;
  });
}

WEIR_TEST("replies that a cancelled caller never got are due again") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    for (int i = 0; i < 3; ++i) {
      co_await b.submit("q", {.body = "x", .reply_to = "http://127.0.0.1/"});
      const auto taken = co_await take(b, "q");
      co_await b.ack(taken.at(0).receipt, fmt::format("{}", i), "");
    }
    std::vector<due_reply> due;
    const bool is_over =
        co_await cut(turns, [&]() -> task<> { due = co_await b.take_replies(10); });
    EXPECT_EQ(due.size(), is_over ? 3u : 0u);
    while (due.size() < 3) {
      for (due_reply& one : co_await with_timeout(10_s, b.take_replies(10))) {
        due.push_back(std::move(one));
      }
    }
    std::string results;
    for (const due_reply& one : due) results += one.result;
    std::ranges::sort(results);
    EXPECT_EQ(results, "012");
    for (const due_reply& one : due) {
      co_await b.settle_reply(one, reply_outcome::delivered, duration());
    }
    EXPECT_EQ(b.queue("q")->totals.replies_delivered, 3u);
    co_return is_over;
  });
}

WEIR_TEST("a cancelled redrive has moved letters or left them") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    for (int i = 0; i < 3; ++i) {
      co_await submit_text(b, "q", "x");
      co_await b.reject((co_await take(b, "q")).at(0).receipt, "bad");
    }
    const bool is_over = co_await cut(turns, [&]() -> task<> { co_await b.redrive("q"); });
    const auto queue = b.queue("q");
    EXPECT_EQ(queue->dead + queue->ready, 3u);
    if (is_over) EXPECT_EQ(queue->ready, 3u);
    co_return is_over;
  });
}

WEIR_TEST("a cancelled setting or deletion of a queue has happened or not") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    const bool is_put =
        co_await cut(turns, [&]() -> task<> { co_await b.put_queue("new", {.attempts = 7}); });
    const auto made = b.queue("new");
    EXPECT_TRUE(made ? made->settings.attempts == 7 : !is_put);
    co_await b.put_queue("new", {.attempts = 8});
    const bool is_gone = co_await cut(turns, [&]() -> task<> { co_await b.delete_queue("new"); });
    if (is_gone) EXPECT_FALSE(b.queue("new"));
    co_await b.delete_queue("new");
    EXPECT_FALSE(b.queue("new"));
    co_return is_put&& is_gone;
  });
}

WEIR_TEST("a cancelled close goes on closing, and another close hears of its end") {
  co_await at_every_turn([](broker& b, int turns) -> task<bool> {
    bool is_over = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](broker* to) -> task<> { co_await to->submit("q", {.body = "x"}); }, &b);
      while (b.queue("q")->ready == 0) co_await yield();
      is_over = co_await cut(turns, [&]() -> task<> { co_await b.close(); });
      if (turns > 0) EXPECT_FALSE(b.is_accepting());
      co_await b.close();
    });
    EXPECT_EQ(b.log().stats().lsn_durable, b.log().stats().lsn_appended);
    co_return is_over;
  });
}

}  // namespace
}  // namespace weir::broker_cancel_test

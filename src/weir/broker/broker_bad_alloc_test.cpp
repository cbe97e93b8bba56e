// Memory that fails under the broker: each allocation of a life in turn. A call that was answered
// well has happened, one that raised has not or is as after a lost answer, and whatever becomes of
// that life, the next one has what was confirmed.
#include <weir/broker/broker.hpp>

#include <weir/base/log.hpp>
#include <weir/broker/internal/broker_kit.hpp>
#include <weir/core.hpp>
#include <weir/sim/memory_watch.hpp>
#include <weir/sim/virtual_run.hpp>
#include <weir/testing/acknowledged.hpp>
#include <weir/testing/allocation_points.hpp>
#include <weir/testing/allocations.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <vector>

namespace weir::broker_bad_alloc_test {
namespace {

using namespace weir::literals;
using detail::small_broker;
using detail::take;
using detail::tiny_broker;
using detail::with_broker;

constexpr std::size_t messages = 8;

struct confirmed_so_far {
  std::vector<std::string> sent;
  std::vector<std::string> done;
};

task<> use(broker& b, confirmed_so_far& known) {
  testing::may_leave_messages();  // the answer to one may find no memory
  if (!b.has_queue("q")) co_await b.put_queue("q", {.lease = 10_s, .backoff = {.first = 1_s}});
  while (known.sent.size() < messages) {
    const auto sent = co_await b.submit("q", {.body = std::string(3'000, 'x')});
    WEIR_REQUIRE(sent);
    known.sent.push_back(sent->id);
  }
  while (known.done.size() < messages / 2) {
    const auto taken = co_await b.lease("q", 1, 60_s, std::nullopt);
    WEIR_REQUIRE(taken && taken->size() == 1);
    std::string id = taken->at(0).id;
    const auto done = co_await b.ack(taken->at(0).receipt, "done", "text/plain");
    WEIR_REQUIRE(done);
    known.done.push_back(std::move(id));
  }
}

task<> check(broker& b, const confirmed_so_far& known) {
  for (const std::string& id : known.sent) {
    const auto seen = co_await b.message(id);
    EXPECT_TRUE(seen) << "a confirmed message is missing";
  }
  for (const std::string& id : known.done) {
    const auto seen = co_await b.message(id);
    EXPECT_TRUE(seen && seen->state == message_state::done) << "a confirmed end is undone";
  }
}

// What is known takes its memory before.
confirmed_so_far with_room() {
  confirmed_so_far known;
  known.sent.reserve(messages);
  known.done.reserve(messages);
  return known;
}

class BrokerWithoutMemory : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::level::off); }
  void TearDown() override { log::set_level(log::level::info); }
};

TEST_F(BrokerWithoutMemory, loses_nothing_that_was_confirmed) {
  testing::for_each_allocation([]() -> task<> {
    confirmed_so_far known = with_room();
    std::exception_ptr failed;
    try {
      co_await with_broker(tiny_broker(), [&](broker& b) -> task<> { co_await use(b, known); });
    } catch (...) {
      failed = std::current_exception();
    }
    co_await with_broker(tiny_broker(), [&](broker& b) -> task<> {
      co_await check(b, known);
      co_await use(b, known);
      co_await check(b, known);
    });
    if (failed) std::rethrow_exception(failed);
  });
}

// A call that found no memory is made again, in the same life: the broker goes on.
TEST_F(BrokerWithoutMemory, goes_on_serving) {
  testing::for_each_allocation([]() -> task<> {
    confirmed_so_far known = with_room();
    co_await with_broker(tiny_broker(), [&](broker& b) -> task<> {
      for (int tries = 0;; ++tries) {
        try {
          co_await use(b, known);
          break;
        } catch (const std::bad_alloc&) {
          if (tries != 0) throw;
        }
      }
      co_await check(b, known);
    });
  });
}

// A call that found no memory is made again.
template <class Call>
task<> until_answered(Call call) {
  for (;;) {
    try {
      co_await call();
      co_return;
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): once more
    }
  }
}

// Messages come and go, and leases run out, until there were snapshots, compaction and new
// segments.
task<> live_busily(memory_watch* memory, std::uint64_t nth, journal_stats* seen) {
  constexpr std::size_t many = 300;
  broker_options options = tiny_broker();
  options.limits.lease_max = many;
  options.journal.snapshot_slice_bytes = 8 << 10;
  co_await with_broker(options, [&](broker& b) -> task<> {
    co_await b.put_queue("q", {.lease = 10_s, .backoff = {.first = duration(), .max = duration()}});
    const std::string body(200, 'x');
    const std::vector<new_message> some(many / 6, {.body = body});
    memory->fail_large(nth);
    for (int i = 0; i < 6; ++i) {
      co_await until_answered([&]() -> task<> { (void)co_await b.submit_batch("q", some); });
    }
    std::vector<taken_message> taken;
    const auto take_all = [&]() -> task<> {
      auto got = co_await b.lease("q", many, 60_s, std::nullopt);
      if (got) taken = std::move(*got);
    };
    co_await until_answered(take_all);
    co_await sleep(11_s);  // the leases run out
    co_await until_answered(take_all);
    for (std::size_t i = 0; i < taken.size(); ++i) {
      if (i % 8 == 0) continue;
      co_await until_answered(
          [&]() -> task<> { (void)co_await b.ack(taken[i].receipt, "done", ""); });
    }
    co_await sleep(10_min);
    EXPECT_EQ(b.why_not(), "") << nth;
    *seen = b.log().stats();
  });
}

TEST_F(BrokerWithoutMemory, goes_on_by_itself_whichever_large_request_fails) {
  std::uint64_t struck = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    virtual_world world;
    memory_watch memory(world);
    journal_stats seen;
    EXPECT_EQ(run_outcome_in(world, live_busily(&memory, nth, &seen)).failure, "") << nth;
    EXPECT_GT(seen.snapshots_written, 0u) << nth;
    EXPECT_GT(seen.segments_compacted, 0u) << nth;
    if (memory.refused() == 0) break;
    ++struck;
  }
  EXPECT_GT(struck, 20u);
}

// A call that is cancelled while it reads what it has taken gives it back, also without memory.
task<> cancel_a_lease() {
  broker_options options = tiny_broker();
  options.journal.recent_bytes_max = 0;
  co_await with_broker(options, [](broker& b) -> task<> {
    co_await b.put_queue("q", {.lease = 1_h});
    for (int i = 0; i < 2; ++i) WEIR_REQUIRE(co_await b.submit("q", {.body = "body"}));
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](broker* of) -> task<> {
            (void)co_await of->lease("q", 2, duration(), std::nullopt);
            ADD_FAILURE() << "it was not cancelled";
          },
          &b);
      while (b.queue("q")->leased != 2) co_await yield();
      s.cancel("its caller has gone");
    });
    co_await sleep(1_min);
    EXPECT_EQ(b.queue("q")->ready, 2u);
  });
}

TEST_F(BrokerWithoutMemory, gives_back_what_a_cancelled_call_has_taken) {
  testing::for_each_allocation(cancel_a_lease);
}

// What was refused for want of memory and is tried again with its key is one message, in this life
// and in the next: nothing was half done.
task<> submit_with_keys(broker& b, std::vector<std::string>& ids) {
  if (!b.has_queue("q")) co_await b.put_queue("q", {.lease = 10_s});
  while (ids.size() < messages) {
    const std::string key = "key " + std::to_string(ids.size());
    const auto sent = co_await b.submit("q", {.body = key, .key = key});
    WEIR_REQUIRE(sent);
    ids.push_back(sent->id);
  }
}
task<> live_with_keys(bool is_later, std::vector<std::string>* ids) {
  co_await with_broker(tiny_broker(), [&](broker& b) -> task<> {
    for (int tries = 0; !is_later; ++tries) {
      try {
        co_await submit_with_keys(b, *ids);
        break;
      } catch (const std::bad_alloc&) {
        if (tries != 0) throw;
      }
    }
    for (const std::string& id : *ids) {
      const auto seen = co_await b.message(id);
      EXPECT_TRUE(seen) << "a confirmed message is missing";
    }
    EXPECT_EQ(b.queue("q")->ready, messages) << (is_later ? "after a start" : "at once");
  });
}

TEST_F(BrokerWithoutMemory, makes_one_message_of_a_key_whichever_large_request_fails) {
  std::uint64_t struck = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    virtual_world world;
    memory_watch memory(world);
    std::vector<std::string> ids;
    ids.reserve(messages);
    memory.fail_large(nth);
    const virtual_outcome first = run_outcome_in(world, live_with_keys(false, &ids));
    if (memory.refused() == 0) break;
    ++struck;
    const bool has_lived = ids.size() == messages;  // else it could not even open
    EXPECT_EQ(first.is_failed, !has_lived) << nth << ": " << first.failure;
    if (!has_lived) continue;
    const virtual_outcome second = run_outcome_in(world, live_with_keys(true, &ids));
    EXPECT_EQ(second.failure, "") << nth;
  }
  EXPECT_GT(struck, 3u);
}

// What a life has seen, as the next one must see it: counts of the queues and each message.
task<std::string> picture_of(broker& b, const std::vector<std::string>& ids) {
  std::string text;
  for (const queue_view& q : b.queues()) {
    text += fmt::format("{}: {} {} {} {} {}, {}\n", q.name, q.ready, q.delayed, q.leased, q.done,
                        q.dead, q.settings.attempts);
  }
  for (const std::string& id : ids) {
    const auto seen = co_await b.message(id);
    if (!seen) {
      text += "gone\n";
      continue;
    }
    text += fmt::format("{} {} {} '{}' {}\n", seen->queue, static_cast<int>(seen->state),
                        seen->attempts, seen->last_error, seen->due.ns);
  }
  co_return text;
}

/// One life of each kind of record. What has no memory is left out.
class every_kind {
 public:
  every_kind(broker& b, std::vector<std::string>& ids) : b_(b), ids_(ids) {}

  task<> run() {
    co_await tried(&every_kind::make);
    for (int i = 0; i < 6; ++i) co_await tried(&every_kind::send);
    co_await tried(&every_kind::take_all);
    for (const taken_message& one : taken_) {
      now_ = &one;
      switch (at_++) {
        case 0:
          co_await tried(&every_kind::ack);
          break;
        case 1:
          co_await tried(&every_kind::extend);
          break;
        case 2:
        case 3:
          co_await tried(&every_kind::reject);
          break;
        default:
          co_await tried(&every_kind::nack);
      }
    }
    co_await tried(&every_kind::redrive);
    for (int i = 0; i < 2; ++i) co_await tried(&every_kind::reply);
    co_await tried(&every_kind::drop);
  }

 private:
  task<> tried(task<> (every_kind::*step)()) {
    try {
      co_await (this->*step)();
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): left out
    }
  }
  task<> make() {
    const queue_settings settings{
        .lease = 1_h, .attempts = 3, .backoff = {.first = 1_h, .max = 1_h}, .result_ttl = 2_h};
    EXPECT_TRUE(co_await b_.put_queue("q", settings));
    co_await b_.put_queue("a-queue-whose-name-is-long", {.attempts = 4});
    co_await b_.put_queue("a-queue-whose-name-is-long", settings);
  }
  task<> send() {
    const std::string key = "a key that is longer than a short text " + std::to_string(ids_.size());
    const auto sent = co_await b_.submit(
        "q", {.body = "body", .key = key, .reply_to = "http://127.0.0.1:1/results"});
    if (sent) ids_.push_back(sent->id);
  }
  task<> take_all() {
    auto taken = co_await b_.lease("q", 10, duration(), std::nullopt);
    if (taken) taken_ = std::move(*taken);
  }
  task<> ack() { (void)co_await b_.ack(now_->receipt, "done", "text/plain"); }
  task<> extend() { (void)co_await b_.extend(now_->receipt, 3_h); }
  task<> reject() {
    (void)co_await b_.reject(now_->receipt, "rejected, which is said in a long text");
  }
  task<> nack() {
    const std::string text = "failed, which is said in a long text " + now_->id;
    (void)co_await b_.nack(now_->receipt, std::nullopt, text);
  }
  task<> redrive() { (void)co_await b_.redrive("q"); }
  task<> reply() {
    const auto known = b_.queue("q");
    if (!known || known->done + known->dead == 0) co_return;
    std::vector<due_reply> due;
    co_await with_scope({.timeout = 10_s},
                        [&](scope&) -> task<> { due = co_await b_.take_replies(1); });
    if (due.empty()) co_return;
    const bool is_first = at_ != 100;
    at_ = 100;
    co_await b_.settle_reply(due[0], is_first ? reply_outcome::failed : reply_outcome::delivered,
                             {});
  }
  task<> drop() { (void)co_await b_.delete_queue("a-queue-whose-name-is-long"); }

  broker& b_;
  std::vector<std::string>& ids_;
  std::vector<taken_message> taken_;
  const taken_message* now_ = nullptr;
  int at_ = 0;
};

int whole_lives = 0;  // in which every kind of record was written

// Either nothing was written, or the record is applied whole; or the broker says that it stops.
TEST_F(BrokerWithoutMemory, is_after_a_start_what_it_was_before_whatever_was_written) {
  whole_lives = 0;
  testing::for_each_allocation([]() -> task<> {
    testing::may_leave_messages();
    std::vector<std::string> ids;
    ids.reserve(messages);
    std::string before;
    std::exception_ptr failed;
    bool has_stopped = false;
    try {
      co_await with_broker(tiny_broker(), [&](broker& b) -> task<> {
        co_await every_kind(b, ids).run();
        has_stopped = !b.is_accepting();
        if (!has_stopped) before = co_await picture_of(b, ids);
      });
    } catch (...) {
      failed = std::current_exception();
    }
    co_await with_broker(tiny_broker(), [&](broker& b) -> task<> {
      const std::string after = co_await picture_of(b, ids);
      if (!has_stopped && !before.empty()) EXPECT_EQ(after, before);
      whole_lives +=
          ids.size() == 6 && before.contains("rejected") && before.contains("failed") ? 1 : 0;
    });
    if (failed) std::rethrow_exception(failed);
  });
  if (testing::are_allocations_ours()) EXPECT_GT(whole_lives, 1);
}

// The texts of errors are in a table that grows: whichever large request fails, who waits for the
// message hears of it, or that the broker has stopped.
task<> fail_many(memory_watch* memory, std::uint64_t nth, std::string* wrong) {
  constexpr std::size_t many = 257;
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    co_await b.put_queue("q", {.lease = 1_h, .backoff = {.first = duration(), .max = duration()}});
    const std::string body = "body";
    const std::vector<new_message> sent(many, {.body = body});
    (void)co_await b.submit_batch("q", sent);
    memory->fail_large(nth);
    std::vector<taken_message> taken;
    for (int i = 0; i < 2 && taken.empty(); ++i) {
      try {
        auto got = co_await b.lease("q", many, duration(), std::nullopt);
        if (got) taken = std::move(*got);
      } catch (const std::bad_alloc&) {
        if (b.is_accepting() && b.queue("q")->ready != many) *wrong = "a lease is half done";
      }
    }
    if (taken.size() != many) co_return;
    for (std::size_t i = 0; i < many && b.is_accepting(); ++i) {
      co_await with_scope([&](scope& s) -> task<> {
        bool is_told = false;
        s.spawn(
            [](broker* of, bool* told) -> task<> {
              const auto got = co_await as_result(of->lease("q", 1, 60_s, std::nullopt));
              *told = !got || !*got || !(*got)->empty();
            },
            &b, &is_told);
        co_await sleep(1_ms);
        for (int tries = 0; tries < 2 && b.is_accepting(); ++tries) {
          try {
            (void)co_await b.nack(taken[i].receipt, std::nullopt, "failed " + taken[i].id);
            break;
          } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): once more
          }
        }
        co_await s.join();
        if (!is_told) *wrong = "nobody told who waits for message " + std::to_string(i);
      });
    }
  });
}

TEST_F(BrokerWithoutMemory, tells_who_waits_for_a_message_that_failed) {
  for (std::uint64_t nth = 1;; ++nth) {
    virtual_world world;
    memory_watch memory(world);
    std::string wrong;
    (void)run_outcome_in(world, fail_many(&memory, nth, &wrong));
    EXPECT_EQ(wrong, "") << nth;
    if (memory.refused() == 0) break;
  }
}

}  // namespace
}  // namespace weir::broker_bad_alloc_test

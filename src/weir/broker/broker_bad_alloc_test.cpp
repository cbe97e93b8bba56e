// Memory that fails under the broker: each allocation of a life in turn. A call that was answered
// well has happened, one that raised has not or is as after a lost answer, and whatever becomes of
// that life, the next one has what was confirmed.
#include <weir/broker/broker.hpp>

#include <weir/base/log.hpp>
#include <weir/broker/internal/broker_kit.hpp>
#include <weir/core.hpp>
#include <weir/sim/memory_watch.hpp>
#include <weir/sim/virtual_run.hpp>
#include <weir/testing/allocation_points.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;
using detail::take;
using detail::tiny_broker;
using detail::with_broker;

constexpr std::size_t messages = 8;

struct confirmed_so_far {
  std::vector<std::string> sent;
  std::vector<std::string> done;
};

task<> use(broker& b, confirmed_so_far& known) {
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

}  // namespace
}  // namespace weir

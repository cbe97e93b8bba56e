// Small requests that find no memory under a pusher: lanes are matched anew, messages are given
// back and replies read again after a pause. Each request of a window fails in turn; what is about
// to be lost then is a message or a reply that nobody else would deliver within the hour.
#include <weir/serve/pusher.hpp>

#include <weir/base/log.hpp>
#include <weir/serve/served_test.hpp>
#include <weir/sim/virtual_run.hpp>
#include <weir/testing/allocations.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::pusher_bad_alloc_test {
namespace {

using namespace weir::testing;

broker_options small_broker() {
  broker_options options{.dir = "/data"};
  options.limits.message_bytes_max = 4 << 10;
  options.journal = {
      .segment_bytes = 64 << 10, .pending_bytes_max = 64 << 10, .group_bytes_max = 16 << 10};
  return options;
}

/// Runs body(broker&, pusher&, scope& calls, url), for a pusher that body has to run in `calls`.
template <class Body>
task<> with_pusher(worker* called, Body body) {
  co_await with_worker(*called, [&](std::string url) -> task<> {
    may_leave_messages();
    const auto b = co_await broker::open(small_broker());
    service_counters counters;
    pusher under_test(*b, counters);
    co_await with_scope({.name = "test"}, [&](scope& s) -> task<> {
      s.spawn(&broker::run, b.get());
      co_await with_scope({.name = "calls"}, [&](scope& calls) -> task<> {
        co_await body(*b, under_test, calls, url);
        under_test.drain();
      });
      co_await b->close();
    });
  });
}

/// What a life with failing requests came to.
struct struck_life {
  bool was_struck = true;      // but for those that came through their window without
  bool held_messages = false;  // in the pause that followed: taken, and no call was made
};

/// The journal's writer ends the broker when its own small requests fail: that is none of ours.
void expect_to_go_on(const virtual_outcome& outcome) {
  if (outcome.failure.find("full: keep the broker") != std::string::npos) return;
  EXPECT_EQ(outcome.failure, "") << "the request that failed was made here:\n"
                                 << failing_allocation::place();
}

// Two messages wait when their queue's lane begins. The n-th request of the first 50 ms fails; and
// of the next 60 ms, in which the pause ends, the m-th one.
task<> begin_a_lane(worker* works, std::uint64_t nth, std::uint64_t mth, struck_life* life) {
  co_await with_pusher(works, [&](broker& b, pusher& p, scope& calls, std::string url) -> task<> {
    calls.spawn(&pusher::run, &p);
    co_await sleep(1_ms);
    co_await b.put_queue("q", {.backoff = {.first = 1_s, .max = 1_s},
                               .push = push_settings{.url = url, .timeout = 1_h}});
    std::vector<std::string> ids;
    for (int i = 0; i < 2; ++i) ids.push_back((co_await b.submit("q", {.body = "x"}))->id);
    {
      const failing_allocation failing(nth, allocating::program);
      p.queue_changed("q");
      co_await sleep(50_ms);
      life->was_struck = failing.has_struck();
    }
    life->held_messages = works->calls.empty() && b.queue("q")->leased == 2;
    if (mth != 0) {
      const failing_allocation failing(mth, allocating::program);
      co_await sleep(60_ms);
      life->was_struck = failing.has_struck();
    }
    co_await sleep(1_min);
    for (const std::string& id : ids) {
      const auto seen = co_await b.message(id);
      EXPECT_TRUE(seen && seen->state == message_state::done) << "it was not pushed";
    }
  });
}

struck_life run_a_lane(std::uint64_t nth, std::uint64_t mth) {
  virtual_world world;
  worker works([](const worker_call&) { return worker_answer{}; });
  struck_life life;
  expect_to_go_on(run_outcome_in(world, begin_a_lane(&works, nth, mth, &life)));
  return life;
}

class SmallRequestsOfAPusher : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!are_allocations_ours()) GTEST_SKIP() << "allocations can't fail here";
    log::set_level(log::level::off);
  }
  void TearDown() override { log::set_level(log::level::info); }
};

TEST_F(SmallRequestsOfAPusher, a_lane_begins_whichever_fails) {
  std::uint64_t nth = 1;
  while (run_a_lane(nth, 0).was_struck) ++nth;
  EXPECT_GT(nth, 20u);
}

TEST_F(SmallRequestsOfAPusher,
       what_a_lane_holds_after_one_failed_is_given_back_whichever_fails_next) {
  std::uint64_t nth = 1;
  for (struck_life life = {.was_struck = true}; !life.held_messages; ++nth) {
    life = run_a_lane(nth, 0);
    ASSERT_TRUE(life.was_struck) << "no failure left the lane with messages";
  }
  std::uint64_t mth = 1;
  while (run_a_lane(nth - 1, mth).was_struck) ++mth;
  EXPECT_GT(mth, 10u);
}

// Ten results are due at one address, which eight calls hear at once; the ninth is read again when
// one of these ends, and its place, or a later one, is in want of memory.
task<> reply_to_ten(worker* hears, std::uint64_t nth, bool* was_struck) {
  constexpr std::size_t replies = reply_lines::host_calls_max + 2;
  co_await with_pusher(hears, [&](broker& b, pusher& p, scope& calls, std::string url) -> task<> {
    co_await b.put_queue("q", {});
    for (std::size_t i = 0; i < replies; ++i) {
      WEIR_REQUIRE(co_await b.submit("q", {.body = "x", .ttl = 1_s, .reply_to = url}));
    }
    calls.spawn(&pusher::run, &p);
    co_await hears->wait_calls(reply_lines::host_calls_max);
    co_await sleep(500_ms);
    {
      const failing_allocation failing(nth, allocating::program);
      co_await sleep(1_s);
      *was_struck = failing.has_struck();
    }
    co_await sleep(10_min);
    EXPECT_GE(hears->calls.size(), replies) << "a reply is lost";
  });
}

TEST_F(SmallRequestsOfAPusher, a_reply_in_line_is_read_again_whichever_fails) {
  std::uint64_t nth = 1;
  for (bool was_struck = true; was_struck; ++nth) {
    virtual_world world;
    worker hears([&hears](const worker_call&) {
      return worker_answer{.status = 204, .after = hears.calls.size() == 1 ? 1_s : 20_s};
    });
    expect_to_go_on(run_outcome_in(world, reply_to_ten(&hears, nth, &was_struck)));
  }
  EXPECT_GT(nth, 20u);
}

}  // namespace
}  // namespace weir::pusher_bad_alloc_test

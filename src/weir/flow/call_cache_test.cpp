#include <weir/flow/call_cache.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_calls_test.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace weir::call_cache_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using testing::scripted;

template <class Kit>
using pages = typename Kit::template call_cache<std::string, int>;

FLOW_CONTRACT("a value is made once and then kept as long as it is fresh") {
  pages<Kit> cache({.fresh_for = 1_min});
  scripted server({{10_ms}});
  const auto make = [&]() -> task<int> { co_return co_await server.call(); };
  EXPECT_EQ(co_await cache.get("a", make), 1);
  EXPECT_EQ(co_await cache.get("a", make), 1);
  EXPECT_EQ(co_await cache.get("b", make), 2);
  co_await sleep(1_min - 11_ms);
  EXPECT_EQ(cache.find("a"), 1);
  co_await sleep(1_ms);
  EXPECT_EQ(cache.find("a"), std::nullopt);
  EXPECT_EQ(co_await cache.get("a", make), 3);
  EXPECT_EQ(cache.stats().made, 3u);
  EXPECT_EQ(cache.stats().hits, 2u);
}

FLOW_CONTRACT("many who ask at once share one call") {
  pages<Kit> cache;
  scripted server({{10_ms}});
  std::vector<int> found;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 100; ++i) {
      s.spawn([&]() -> task<> {
        found.push_back(co_await cache.get("a", [&](const std::string& key) -> task<int> {
          EXPECT_EQ(key, "a");
          co_return co_await server.call();
        }));
      });
    }
    co_await s.join();
  });
  EXPECT_EQ(found, std::vector<int>(100, 1));
  EXPECT_EQ(cache.stats().shared, 99u);
  EXPECT_EQ(elapsed(), 10_ms);
}

FLOW_CONTRACT("a failure is raised to all who waited for it, and not kept") {
  pages<Kit> cache;
  scripted server({{10_ms, errc::busy}, {10_ms}});
  int failures = 0;
  const auto make = [&]() -> task<int> { co_return co_await server.call(); };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 5; ++i) {
      s.spawn([&]() -> task<> {
        const auto end = co_await as_result(cache.get("a", make));
        failures += !end && end.error().message() == "call 1" ? 1 : 0;
      });
    }
    co_await s.join();
  });
  EXPECT_EQ(failures, 5);
  EXPECT_EQ(server.calls, 1u);
  EXPECT_EQ(co_await cache.get("a", make), 2);
}

FLOW_CONTRACT("when the maker is cancelled, one of those who wait makes it") {
  pages<Kit> cache;
  scripted server({{1_h}, {10_ms}});
  const auto make = [&]() -> task<int> { co_return co_await server.call(); };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await testing::expect_raises<errc::timed_out>(with_timeout(1_s, cache.get("a", make)));
    });
    co_await sleep(1_ms);
    for (int i = 0; i < 3; ++i) {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await cache.get("a", make), 2); });
    }
    co_await s.join();
  });
  EXPECT_EQ(server.calls, 2u);
  EXPECT_EQ(elapsed(), 1010_ms);
}

FLOW_CONTRACT("the value that was not used for the longest time makes room") {
  pages<Kit> cache({.entries_max = 2});
  cache.put("a", 1);
  cache.put("b", 2);
  EXPECT_EQ(cache.find("a"), 1);
  cache.put("c", 3);
  EXPECT_EQ(cache.find("b"), std::nullopt);
  EXPECT_EQ(cache.find("a"), 1);
  EXPECT_EQ(cache.find("c"), 3);
  cache.put("a", 10);
  EXPECT_EQ(cache.find("a"), 10);
  EXPECT_EQ(cache.stats().entries, 2u);
  EXPECT_EQ(cache.stats().evicted, 1u);
  co_return;
}

FLOW_CONTRACT("a stale value serves while no new one can be made, and no longer than allowed") {
  pages<Kit> cache({.fresh_for = 1_s, .stale_for = 10_s});
  scripted server({{0_ms}, {0_ms, errc::broken}});
  const auto make = [&]() -> task<int> { co_return co_await server.call(); };
  EXPECT_EQ(co_await cache.get("a", make), 1);
  co_await sleep(5_s);
  EXPECT_EQ(co_await cache.get("a", make), 1);
  EXPECT_EQ(server.calls, 2u) << "a new one was tried";
  EXPECT_EQ(cache.stats().served_stale, 1u);
  co_await sleep(6_s);
  co_await testing::expect_raises<errc::broken>(cache.get("a", make));
}

FLOW_CONTRACT("with nothing kept, calls are still made together") {
  typename Kit::template call_cache<int, int> flights({.fresh_for = 0_s});
  scripted server({{10_ms}});
  const auto make = [&]() -> task<int> { co_return co_await server.call(); };
  auto [one, other] = co_await when_all(flights.get(7, make), flights.get(7, make));
  EXPECT_EQ(one, 1);
  EXPECT_EQ(other, 1);
  EXPECT_EQ(co_await flights.get(7, make), 2);
  EXPECT_EQ(flights.stats().entries, 0u);
}

FLOW_CONTRACT(
    "what is erased or put while it is being made is not overwritten by the older value") {
  pages<Kit> cache;
  scripted server({{10_ms}});
  const auto make = [&]() -> task<int> { co_return co_await server.call(); };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { EXPECT_EQ(co_await cache.get("a", make), 1); });
    s.spawn([&]() -> task<> {
      co_await sleep(1_ms);
      EXPECT_FALSE(cache.erase("a"));
      EXPECT_EQ(co_await cache.get("a", make), 2) << "who asks after the erasure gets a new one";
    });
    s.spawn([&]() -> task<> {
      co_await sleep(2_ms);
      cache.put("a", 77);
    });
    co_await s.join();
  });
  EXPECT_EQ(cache.find("a"), 77);
  EXPECT_TRUE(cache.erase("a"));
  EXPECT_EQ(cache.find("a"), std::nullopt);
  cache.put("b", 1);
  cache.clear();
  EXPECT_EQ(cache.stats().entries, 0u);
}

/// A key whose end looks at the cache.
struct curious_key {
  int id;
  const std::function<void()>* at_end;
  curious_key(int number, const std::function<void()>* look) : id(number), at_end(look) {}
  curious_key(const curious_key&) = default;
  curious_key& operator=(const curious_key&) = delete;
  ~curious_key() { (*at_end)(); }
  bool operator==(const curious_key& other) const { return id == other.id; }
};
struct curious_hash {
  std::size_t operator()(const curious_key& key) const { return static_cast<std::size_t>(key.id); }
};

TEST(CallCache, no_key_ends_under_the_lock) {
  testing::run_virtual([]() -> task<> {
    cross::call_cache<curious_key, int, curious_hash> cache({.entries_max = 2});
    int ended = 0;
    const std::function<void()> look = [&] {
      ++ended;
      EXPECT_LE(cache.stats().entries, 3u);  // would wait for ever for a lock that is held
    };
    const auto make = [&](const curious_key& key) -> task<int> {
      if (key.id == 2) cache.put(key, 7);
      if (key.id == 3) cache.clear();
      co_return key.id;
    };
    for (int id = 0; id < 5; ++id) EXPECT_EQ(co_await cache.get(curious_key(id, &look), make), id);
    EXPECT_TRUE(cache.erase(curious_key(4, &look)));
    cache.put(curious_key(5, &look), 5);
    cache.clear();
    EXPECT_EQ(cache.stats().entries, 0u);
    EXPECT_GE(ended, 10);
  }());
}

template <class Kit>
void a_cancelled_get_makes_nobody_wait_for_ever() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    pages<Kit> cache({.fresh_for = 0_s});
    scripted server({{2_ms}});
    int found = 0;
    const auto ask = [](pages<Kit>* in, scripted* from, int* count) -> task<> {
      for (int i = 0; i < 2; ++i) {
        co_await in->get("a", [&]() -> task<int> { co_return co_await from->call(); });
        ++*count;
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(ask, &cache, &server, &found);
      s.spawn(ask, &cache, &server, &found);
      co_await v.run(ask(&cache, &server, &found));
    });
    EXPECT_GE(found, 4);
    EXPECT_EQ(cache.stats().in_flight, 0u);
    EXPECT_EQ(server.inside_now, 0u);
  });
}
TEST(CallCache, times_below_0_are_refused) {
  using cache = call_cache<int, int>;
  EXPECT_THROW(cache({.fresh_for = duration(-1)}), exception);
  EXPECT_THROW(cache({.stale_for = duration(-1)}), exception);
}

TEST(CallCache, a_cancelled_get_makes_nobody_wait_for_ever) {
  a_cancelled_get_makes_nobody_wait_for_ever<local_flow>();
  a_cancelled_get_makes_nobody_wait_for_ever<cross_flow>();
}

}  // namespace
}  // namespace weir::call_cache_test

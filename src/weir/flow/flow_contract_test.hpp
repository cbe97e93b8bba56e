// One contract for both reaches: a test written with FLOW_CONTRACT runs with the types for one loop
// and again with their twins for several.
#pragma once

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/broadcast.hpp>
#include <weir/flow/bulkhead.hpp>
#include <weir/flow/call_cache.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/circuit_breaker.hpp>
#include <weir/flow/concurrency_limit.hpp>
#include <weir/flow/condition.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/event_bus.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/layers.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/once.hpp>
#include <weir/flow/oneshot.hpp>
#include <weir/flow/rate_limiter.hpp>
#include <weir/flow/retry_budget.hpp>
#include <weir/flow/semaphore.hpp>
#include <weir/flow/shared_mutex.hpp>
#include <weir/flow/watch.hpp>
#include <weir/testing/test.hpp>

#include <cstddef>
#include <source_location>
#include <string>
#include <utility>

namespace weir {

struct local_flow {
  template <class T>
  using sender = weir::sender<T>;
  template <class T>
  using receiver = weir::receiver<T>;
  template <class T, class Options>
  static auto channel(Options options) {
    return weir::channel<T>(options);
  }
  template <class T>
  static auto channel(channel_options options) {
    return weir::channel<T>(options);
  }
  template <class T>
  static auto oneshot() {
    return weir::oneshot<T>();
  }
  template <class T>
  static auto watch(T initial) {
    return weir::watch<T>(std::move(initial));
  }
  using event = weir::event;
  using auto_event = weir::auto_event;
  using condition = weir::condition;
  using mutex = weir::mutex;
  using semaphore = weir::semaphore;
  using shared_mutex = weir::shared_mutex;
  using latch = weir::latch;
  using barrier = weir::barrier;
  template <class T>
  using once = weir::once<T>;
  template <class T>
  using broadcast_receiver = weir::broadcast_receiver<T>;
  template <class T>
  static auto broadcast(std::size_t capacity) {
    return weir::broadcast<T>(capacity);
  }
  using event_bus = weir::event_bus;
  using rate_limiter = weir::rate_limiter;
  using rate_limit = weir::rate_limit;
  using bulkhead = weir::bulkhead;
  using concurrency_limit = weir::concurrency_limit;
  using circuit_breaker = weir::circuit_breaker;
  using retry_budget = weir::retry_budget;
  template <class Key, class Value>
  using call_cache = weir::call_cache<Key, Value>;
};

struct cross_flow {
  template <class T>
  using sender = cross::sender<T>;
  template <class T>
  using receiver = cross::receiver<T>;
  template <class T, class Options>
  static auto channel(Options options) {
    return cross::channel<T>(options);
  }
  template <class T>
  static auto channel(channel_options options) {
    return cross::channel<T>(options);
  }
  template <class T>
  static auto oneshot() {
    return cross::oneshot<T>();
  }
  template <class T>
  static auto watch(T initial) {
    return cross::watch<T>(std::move(initial));
  }
  using event = cross::event;
  using auto_event = cross::auto_event;
  using condition = cross::condition;
  using mutex = cross::mutex;
  using semaphore = cross::semaphore;
  using shared_mutex = cross::shared_mutex;
  using latch = cross::latch;
  using barrier = cross::barrier;
  template <class T>
  using once = cross::once<T>;
  template <class T>
  using broadcast_receiver = cross::broadcast_receiver<T>;
  template <class T>
  static auto broadcast(std::size_t capacity) {
    return cross::broadcast<T>(capacity);
  }
  using event_bus = cross::event_bus;
  using rate_limiter = cross::rate_limiter;
  using rate_limit = cross::rate_limit;
  using bulkhead = cross::bulkhead;
  using concurrency_limit = cross::concurrency_limit;
  using circuit_breaker = cross::circuit_breaker;
  using retry_budget = cross::retry_budget;
  template <class Key, class Value>
  using call_cache = cross::call_cache<Key, Value>;
};

/// Two tasks that wait for an object hear that it is closed, and so does who comes later.
template <class Object, class Wait>
task<> expect_that_close_ends_all(Object* of, Wait wait) {
  int ended = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) {
      s.spawn([&]() -> task<> {
        co_await testing::expect_raises<errc::closed>(wait(*of));
        ++ended;
      });
    }
    co_await sleep(duration::milliseconds(1));
    EXPECT_EQ(ended, 0);
    EXPECT_EQ(of->stats().waiting, 2u);
    of->close();
    co_await s.join();
  });
  EXPECT_EQ(ended, 2);
  EXPECT_EQ(of->stats().waiting, 0u);
  co_await testing::expect_raises<errc::closed>(wait(*of));
}

inline bool add_for_both(const char* sentence, task<> (*local)(), task<> (*between)(),
                         std::source_location place = std::source_location::current()) {
  testing::add_test(sentence, local, place);
  return testing::add_test(("between loops: " + std::string(sentence)).c_str(), between, place);
}

}  // namespace weir

#define FLOW_CONTRACT_NAMED(sentence, body)                                                 \
  template <class Kit>                                                                      \
  static ::weir::task<> body();                                                             \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(body, _added) =                         \
      ::weir::add_for_both(sentence, &body<::weir::local_flow>, &body<::weir::cross_flow>); \
  template <class Kit>                                                                      \
  static ::weir::task<> body()
/// A test of both reaches; its types come from `Kit`.
#define FLOW_CONTRACT(sentence) \
  FLOW_CONTRACT_NAMED(sentence, WEIR_TEST_JOIN(flow_contract_body_, __LINE__))

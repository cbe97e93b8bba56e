// A loop per core, and what the loops share: one rate, one set of topics, one cache. The types of
// weir::cross have the names and rules of those for one loop. It runs to its end by itself.
#include <weir/flow/call_cache.hpp>
#include <weir/flow/event_bus.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/rate_limiter.hpp>
#include <weir/io.hpp>

#include <atomic>
#include <cstdio>

using namespace weir::literals;

namespace {

// [shared]
struct order_placed {
  int id;
};
struct shared_by_cores {
  weir::cross::rate_limiter mails{{.tokens = 1000, .per = 1_s, .burst = 4}};
  weir::cross::event_bus bus;
  weir::cross::call_cache<int, int> prices;
  weir::cross::barrier cores{2};
  std::atomic<int> core_count{0};
  std::atomic<int> billed{0};
  std::atomic<int> asked{0};
};
// [/shared]

// [rate]
weir::task<> send_mails(shared_by_cores& shared) {
  for (int i = 0; i < 10; ++i) co_await shared.mails.acquire();  // behind whoever came first
}
// [/rate]

// [bus]
weir::task<> bill(shared_by_cores& shared, weir::cross::broadcast_receiver<order_placed>& orders) {
  for (int i = 0; i < 6; ++i) {
    const auto next = co_await orders.receive();
    shared.billed += next->value.id;
  }
}
void sell(shared_by_cores& shared, int core) {
  for (int i = 0; i < 3; ++i) shared.bus.publish(order_placed{10 * core + i});  // every core hears
}
// [/bus]

// [cache]
weir::task<> look_prices_up(shared_by_cores& shared) {
  for (int item = 0; item < 5; ++item) {
    co_await shared.prices.get(item, [&](int of) -> weir::task<int> {
      ++shared.asked;  // once for both cores
      co_await weir::sleep(1_ms);
      co_return 100 * of;
    });
  }
}
// [/cache]

weir::task<> core_main(shared_by_cores& shared) {
  const int core = shared.core_count++;
  auto orders = shared.bus.subscribe<order_placed>();
  const weir::time_point begun = weir::loop::current()->now();
  co_await shared.cores.arrive_and_wait();  // both have subscribed
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await bill(shared, orders); });
    s.spawn([&]() -> weir::task<> { co_await look_prices_up(shared); });
    s.spawn([&]() -> weir::task<> { co_await send_mails(shared); });
    sell(shared, core);
    co_await s.join();
  });
  co_await shared.cores.arrive_and_wait();
  if (core != 0) co_return;
  const bool is_in_time = weir::loop::current()->now() - begun >= 16_ms;
  std::printf("mails: %d, %s\n", static_cast<int>(shared.mails.stats().admitted),
              is_in_time ? "at one rate for both" : "too fast");
  std::printf("billed: %d\n", shared.billed.load());
  std::printf("prices: %d, asked for: %d\n", static_cast<int>(shared.prices.stats().entries),
              shared.asked.load());
}

}  // namespace

int main() {
  shared_by_cores shared;
  return weir::run_on_all_cores({.cores = 2},
                                [&]() -> weir::task<> { co_await core_main(shared); });
}

// A loop per core; what the loops share (one rate, one set of topics, one cache: the types of
// weir::cross have the names and rules of those for one loop); and what they don't share, but call.
// It runs to its end by itself.
#include <weir/core/core_group.hpp>
#include <weir/flow/call_cache.hpp>
#include <weir/flow/event_bus.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/rate_limiter.hpp>
#include <weir/flow/sharded.hpp>
#include <weir/io.hpp>

#include <atomic>
#include <cstdio>
#include <functional>
#include <map>
#include <string>

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

// [calls]
weir::task<> call_the_other_core() {
  const std::size_t other = 1 - weir::this_core();
  const auto length = [](const std::string& text) -> weir::task<std::size_t> {
    co_await weir::sleep(1_ms);  // on the other core's loop
    co_return text.size();
  };
  // Moved there; the value, or the error, comes back here. The deadline holds there, too.
  const auto size = co_await weir::as_result(
      weir::with_timeout(1_min, weir::cores().call(other, length, std::string("weir"))));
  const auto sum = co_await weir::cores().map_reduce([] { return weir::this_core(); },
                                                     std::size_t{0}, std::plus<>());
  if (weir::this_core() == 0) std::printf("size: %zu, sum of cores: %zu\n", *size, sum);
}
// [/calls]

// [sharded]
struct guests {
  std::map<std::string, int> visits;  // of those who belong to this core
};
int greet(guests& here, const std::string& name) { return ++here.visits[name]; }

weir::task<> serve_guests(weir::sharded<guests>& all) {
  co_await weir::with_shard(all, [&](guests& mine) -> weir::task<> {  // begins when all are there
    mine.visits["the cat"] = 9;                                       // no lock: it is this loop's
    if (weir::this_core() != 0) co_return;  // its guests stay until every core's body has ended
    for (const std::string name : {"ada", "grace", "ada"}) {
      const int visits = co_await all.call(all.core_of(name), greet, name);
      std::printf("%s: %d\n", name.c_str(), visits);
    }
    const auto count = co_await all.map_reduce([](guests& one) { return one.visits.size(); },
                                               std::size_t{0}, std::plus<>());
    std::printf("guests: %zu\n", count);
  });
}
int serve_guests_on_all_cores() {
  weir::sharded<guests> all("guests");
  return weir::run_on_all_cores({.cores = 2}, serve_guests, std::ref(all));
}
// [/sharded]

weir::task<> core_main(shared_by_cores& shared) {
  const int core = shared.core_count++;
  auto orders = shared.bus.subscribe<order_placed>();
  const weir::time_point begun = weir::loop::current()->now();
  co_await shared.cores.arrive_and_wait();  // both have subscribed
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await bill(shared, orders); });
    s.spawn([&]() -> weir::task<> { co_await look_prices_up(shared); });
    s.spawn([&]() -> weir::task<> { co_await send_mails(shared); });
    s.spawn(call_the_other_core);
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
  const int code =
      weir::run_on_all_cores({.cores = 2}, [&]() -> weir::task<> { co_await core_main(shared); });
  return code != 0 ? code : serve_guests_on_all_cores();
}

// Waiting for each other: the locks, meetings and combinations that examples/flow_tour.cpp does not
// show, one function for each. It runs to its end by itself.
#include <weir/core/combine.hpp>
#include <weir/core/select.hpp>
#include <weir/core/start.hpp>
#include <weir/flow/condition.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/layers.hpp>
#include <weir/flow/once.hpp>
#include <weir/flow/rate_limiter.hpp>
#include <weir/flow/shared_mutex.hpp>
#include <weir/io.hpp>

#include <cstdio>
#include <deque>
#include <string>

using namespace weir::literals;

namespace {

// [auto_event]
weir::task<> redraw_when_asked(weir::auto_event& dirty, int& drawn) {
  for (;;) {
    co_await dirty.wait();  // one pass for each set(); several before it are one
    ++drawn;
  }
}
// [/auto_event]

weir::task<> event_tour() {
  int drawn = 0;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    weir::auto_event dirty;
    s.spawn([&]() -> weir::task<> { co_await redraw_when_asked(dirty, drawn); });
    for (int i = 0; i < 3; ++i) dirty.set();
    co_await weir::yield();
    dirty.set();
    co_await weir::yield();
    s.cancel();
  });
  std::printf("drawn: %d\n", drawn);
}

// [condition]
struct stock {
  std::deque<int> parts;
  weir::condition changed;
};
weir::task<int> take_pair(stock& from) {
  while (from.parts.size() < 2) co_await from.changed.wait();  // looks again each time
  const int sum = from.parts[0] + from.parts[1];
  from.parts.erase(from.parts.begin(), from.parts.begin() + 2);
  co_return sum;
}
void put(stock& to, int part) {
  to.parts.push_back(part);
  to.changed.notify_all();
}
// [/condition]

weir::task<> condition_tour() {
  stock shelf;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { std::printf("pair: %d\n", co_await take_pair(shelf)); });
    for (int part = 1; part <= 2; ++part) {
      put(shelf, part);
      co_await weir::yield();
    }
  });
}

// [cross_condition]
struct shared_stock {  // for tasks of any loop
  weir::cross::mutex door;
  weir::cross::condition changed;
  std::deque<int> parts;
};
weir::task<int> take_part(shared_stock& from) {
  auto held = co_await from.door.lock();
  while (from.parts.empty()) co_await from.changed.wait(held);  // given up meanwhile, then taken
  const int part = from.parts.front();
  from.parts.pop_front();
  co_return part;
}
weir::task<> put_part(shared_stock& to, int part) {
  auto held = co_await to.door.lock();
  to.parts.push_back(part);
  to.changed.notify_one();
}
// [/cross_condition]

weir::task<> cross_condition_tour() {
  shared_stock shelf;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { std::printf("part: %d\n", co_await take_part(shelf)); });
    co_await weir::yield();
    co_await put_part(shelf, 7);
  });
}

// [shared_mutex]
struct settings {
  weir::shared_mutex guard;
  std::string text = "old";
};
weir::task<std::string> look_up(settings& in) {
  auto reading = co_await in.guard.lock_shared();  // beside other readers
  co_await weir::sleep(1_ms);
  co_return in.text;
}
weir::task<> reload(settings& in) {
  auto writing = co_await in.guard.lock();  // alone
  co_await weir::sleep(1_ms);
  in.text = "new";
}
// [/shared_mutex]

weir::task<> shared_mutex_tour() {
  settings mine;
  auto [before, nothing, after] =
      co_await weir::when_all(look_up(mine), reload(mine), look_up(mine));
  std::printf("settings: %s, then %s\n", before.c_str(), after.c_str());
}

// [latch]
weir::task<> start_together(int workers) {
  weir::latch ready(static_cast<std::size_t>(workers));
  int started = 0;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    for (int i = 0; i < workers; ++i) {
      s.spawn([&]() -> weir::task<> {
        co_await ready.arrive_and_wait();  // nobody starts before all are there
        ++started;
      });
    }
    co_await ready.wait();
  });
  std::printf("started: %d\n", started);
}
// [/latch]

// [barrier]
weir::task<> in_rounds(weir::barrier& round, int& sum, int part) {
  for (int i = 0; i < 3; ++i) {
    sum += part;
    const bool is_last = co_await round.arrive_and_wait();  // one of them is told so
    if (is_last) std::printf("round %d: %d\n", i + 1, sum);
    co_await round.arrive_and_wait();
  }
}
// [/barrier]

weir::task<> barrier_tour() {
  weir::barrier round(2);
  int sum = 0;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await in_rounds(round, sum, 1); });
    s.spawn([&]() -> weir::task<> { co_await in_rounds(round, sum, 10); });
    co_await s.join();
  });
}

// [once]
weir::task<int> load_expensive() {
  std::printf("loading\n");
  co_await weir::sleep(1_ms);
  co_return 42;
}
weir::task<int> use(weir::once<int>& value) { co_return *co_await value.get(load_expensive); }
// [/once]

weir::task<> once_tour() {
  weir::once<int> value;
  auto [one, other] = co_await weir::when_all(use(value), use(value));
  std::printf("loaded once: %d %d\n", one, other);
}

// [rate_limiter]
weir::task<> polite_calls() {
  weir::rate_limiter calls({.tokens = 1000, .per = 1_s, .burst = 2});
  for (int i = 0; i < 5; ++i) co_await calls.acquire();  // two at once, then one a millisecond
  std::printf("calls: %d\n", static_cast<int>(calls.stats().admitted));
}
// [/rate_limiter]

// [rate_limit]
// For those who would rather hear "no" than wait: a policy over the same bucket.
weir::task<> calls_or_none() {
  weir::rate_limiter bucket({.tokens = 1, .per = 1_h, .burst = 2});
  const weir::rate_limit calls(bucket, 1_s);
  int refused = 0;
  for (int i = 0; i < 5; ++i) {
    const auto call = []() -> weir::task<> { co_return; };
    if (!co_await weir::as_result(calls.run(call))) ++refused;
  }
  std::printf("refused: %d\n", refused);
}
// [/rate_limit]

// [in_order]
weir::task<> work_until_stopped(weir::event& stop, weir::auto_event& work) {
  for (;;) {
    // Both may be ready: whoever stands first wins, so a stop is never put off.
    auto [stopped, item] = co_await weir::select_in_order(stop.wait(), work.wait());
    if (stopped) co_return;
    std::printf("worked\n");
    co_await weir::yield();
  }
}
// [/in_order]

weir::task<> in_order_tour() {
  weir::event stop;
  weir::auto_event work;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    work.set();
    s.spawn([&]() -> weir::task<> { co_await work_until_stopped(stop, work); });
    co_await weir::yield();
    work.set();
    stop.set();
  });
}

// [race]
weir::task<int> slow_and_fast(weir::duration takes, int value) {
  co_await weir::sleep(takes);
  co_return value;
}
weir::task<> first_of_two() {
  const int winner = co_await weir::when_any(slow_and_fast(1_h, 1), slow_and_fast(1_ms, 2));
  auto [slow, fast] = co_await weir::race(slow_and_fast(1_h, 1), slow_and_fast(1_ms, 2));
  std::printf("when_any: %d, race: %s %d\n", winner, slow ? "both" : "only", *fast);
}
// [/race]

// [start]
weir::task<> serve_one(weir::readiness<std::uint16_t>& ready) {
  weir::listener door = co_await weir::listen({});
  ready(door.local().port());  // from here on it is a child of the scope it was started into
  weir::socket peer = co_await door.accept();
  co_await peer.send("hello");
}
weir::task<> start_a_service() {
  co_await weir::with_scope([](weir::scope& services) -> weir::task<> {
    const std::uint16_t port = co_await weir::start<std::uint16_t>(services, serve_one);
    weir::socket client = co_await weir::connect("localhost", port);
    std::printf("%s\n", std::string((co_await client.receive()).text()).c_str());
  });
}
// [/start]

weir::task<> tour() {
  co_await event_tour();
  co_await condition_tour();
  co_await cross_condition_tour();
  co_await shared_mutex_tour();
  co_await start_together(3);
  co_await barrier_tour();
  co_await once_tour();
  co_await polite_calls();
  co_await calls_or_none();
  co_await in_order_tour();
  co_await first_of_two();
  co_await start_a_service();
}

}  // namespace

int main() { return weir::run(tour()); }

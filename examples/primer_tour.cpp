// The concepts of the field in a few lines each; docs/primer shows them. It runs to its end by
// itself.
#include <weir/core/combine.hpp>
#include <weir/core/error_group.hpp>
#include <weir/flow/channel.hpp>
#include <weir/io.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

using namespace weir::literals;

namespace {

// [await]
weir::task<int> price_of(std::string item) {
  co_await weir::sleep(2_ms);  // as a call to another machine would
  co_return static_cast<int>(item.size()) * 10;
}
weir::task<int> total() {
  const int bread = co_await price_of("bread");  // this function stands still, the thread does not
  const int milk = co_await price_of("milk");
  co_return bread + milk;
}
// [/await]

// [together]
weir::task<int> total_at_once() {
  auto [bread, milk] = co_await weir::when_all(price_of("bread"), price_of("milk"));
  co_return bread + milk;
}
// [/together]

weir::task<> await_tour() {
  weir::loop& on = *weir::loop::current();
  const weir::time_point before = on.now();
  const int one_by_one = co_await total();
  const weir::time_point between = on.now();
  const int at_once = co_await total_at_once();
  std::printf("%d and %d, one by one took at least 4 ms: %s\n", one_by_one, at_once,
              between - before >= 4_ms ? "yes" : "no");
}

// [turns]
weir::task<> count(const char* who) {
  for (int i = 1; i <= 3; ++i) {
    std::printf("%s%d ", who, i);
    co_await weir::yield();  // the other one's turn
  }
}
weir::task<> take_turns() {
  co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
    s.spawn(count, "a");
    s.spawn(count, "b");
    co_await s.join();
    std::printf("\n");
  });
}
// [/turns]

// [shared]
struct tally {
  int sum = 0;
  int rounds = 0;
};
weir::task<> add_up(tally& all, int part) {
  for (int i = 0; i < 100; ++i) {
    all.sum += part;  // no lock: nothing else runs between two waits
    ++all.rounds;
    co_await weir::yield();
  }
}
// [/shared]

weir::task<> shared_tour() {
  tally all;
  co_await weir::when_all(add_up(all, 1), add_up(all, 2));
  std::printf("sum: %d in %d rounds\n", all.sum, all.rounds);
}

// [blocking]
int slow_library_call(int n) {  // keeps its thread busy or blocked
  return n * n;
}
weir::task<> without_holding_the_loop() {
  const std::thread::id here = std::this_thread::get_id();
  std::thread::id there;
  const int square = co_await weir::blocking([&] {
    there = std::this_thread::get_id();
    return slow_library_call(12);
  });
  std::printf("%d, on another thread: %s\n", square, here != there ? "yes" : "no");
}
// [/blocking]

// [pressure]
weir::task<> produce(weir::sender<int> to, int* made) {
  for (int i = 0; i < 100; ++i) {
    co_await to.send(i);  // waits while 4 are queued
    ++*made;
  }
}
weir::task<> a_slow_consumer_sets_the_pace() {
  int made = 0;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    auto [to, items] = weir::channel<int>(4);
    s.spawn(produce, std::move(to), &made);
    int taken = 0;
    int ahead_max = 0;
    while (auto item = co_await items.receive()) {
      ++taken;
      co_await weir::yield();  // the producer may run as often as it likes
      ahead_max = made - taken > ahead_max ? made - taken : ahead_max;
    }
    std::printf("taken: %d, never more than %d ahead\n", taken, ahead_max);
  });
}
// [/pressure]

// [cancel]
struct held {
  const char* what;
  ~held() { std::printf("released: %s\n", what); }
};
weir::task<> long_work() {
  const held lock{"the lock"};
  co_await weir::sleep(1_h);
  std::printf("this line is never reached\n");
}
weir::task<> give_up_early() {
  const auto outcome = co_await weir::as_result(weir::with_timeout(1_ms, long_work()));
  if (!outcome && outcome.error() == weir::errc::timed_out) std::printf("gave up\n");
}
// [/cancel]

// [level]
weir::task<> stubborn() {
  const auto first = co_await weir::as_result(weir::sleep(1_h));
  std::printf("first wait: %s\n", first ? "done" : "cancelled");
  co_await weir::sleep(1_ms);  // ends here: the scope is still cancelled
  std::printf("this line is never reached\n");
}
weir::task<> cancel_a_stubborn_task() {
  co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
    s.spawn(stubborn);
    co_await weir::yield();
    s.cancel("no longer needed");
  });
}
// [/level]

// [how_much]
weir::task<> send_for_a_while(weir::socket& to, const std::string& text) {
  std::size_t sent = 0;
  const auto outcome = co_await weir::as_result(weir::with_timeout(5_ms, to.send(text, &sent)));
  std::printf("%s, some of it left: %s, not all: %s\n", outcome ? "sent" : "cut short",
              sent > 0 ? "yes" : "no", sent < text.size() ? "yes" : "no");
}
// [/how_much]

weir::task<> partial_tour() {
  weir::listener door = co_await weir::listen({});
  weir::socket client = co_await weir::connect(door.local());
  weir::socket nobody_reads = co_await door.accept();
  co_await send_for_a_while(client, std::string(64 << 20, 'x'));
}

// [value]
weir::task<> look_for_a_file() {
  const auto opened = co_await weir::as_result(weir::open_file("/no/such/file"));
  if (!opened) std::printf("no file: %s\n", std::string(name(opened.error().code())).c_str());
}
// [/value]

// [group]
weir::task<> fails_with(std::string text) {
  co_await weir::yield();
  throw std::runtime_error(text);
}
weir::task<> two_at_once_fail() {
  try {
    co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
      s.spawn(fails_with, std::string("one"));
      s.spawn(fails_with, std::string("another"));
      co_await weir::sleep(1_h);  // ends early: a child has failed
    });
  } catch (const weir::error_group& all) {
    std::printf("errors: %d\n", static_cast<int>(all.size()));
  }
}
// [/group]

weir::task<> tour() {
  co_await await_tour();
  co_await take_turns();
  co_await shared_tour();
  co_await without_holding_the_loop();
  co_await a_slow_consumer_sets_the_pace();
  co_await give_up_early();
  co_await cancel_a_stubborn_task();
  co_await partial_tour();
  co_await look_for_a_file();
  co_await two_at_once_fail();
}

}  // namespace

int main() { return weir::run(tour()); }

// What tasks hand to each other and wait for together, one function for each; docs/guide/flow.md
// shows them. It runs to its end by itself.
#include <weir/core/combine_many.hpp>
#include <weir/flow/broadcast.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/event_bus.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/oneshot.hpp>
#include <weir/flow/semaphore.hpp>
#include <weir/flow/watch.hpp>
#include <weir/io.hpp>

#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace weir::literals;

namespace {

// [channel]
weir::task<> read_lines(weir::sender<std::string> to) {
  for (const char* line : {"to be", "or not", "to be"}) co_await to.send(line);
}  // the only sender goes: the channel ends

weir::task<> print_lines() {
  auto [to_printer, lines] = weir::channel<std::string>(2);  // a third send waits
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(read_lines, std::move(to_printer));
    while (auto line = co_await lines.receive()) std::printf("line: %s\n", line->c_str());
  });
}
// [/channel]

// [policy]
weir::task<> newest_only() {
  auto [sensor, samples] =
      weir::channel<int>({.capacity = 2, .when_full = weir::overflow::drop_oldest});
  for (int sample = 1; sample <= 5; ++sample) co_await sensor.send(sample);  // never waits
  const int fourth = *co_await samples.receive();
  const int fifth = *co_await samples.receive();
  std::printf("samples: %d %d, dropped: %d\n", fourth, fifth,
              static_cast<int>(samples.stats().dropped));
}
// [/policy]

// [select]
weir::task<> wait_for_either(weir::receiver<std::string> lines, weir::event& stop) {
  for (;;) {
    auto [line, stopped, late] =
        co_await weir::select(lines.receive(), stop.wait(), weir::sleep(1_min));
    if (line && *line) std::printf("got: %s\n", (*line)->c_str());
    if (line && !*line) co_return;  // the channel has ended
    if (stopped || late) co_return;
  }
}
// [/select]

// [cancel_safety]
template <class Wait>
  requires(weir::cancel_safety_of<Wait> == weir::cancel_safety::nothing_happened)
weir::task<bool> comes_within(weir::duration limit, Wait wait) {
  auto [came, late] = co_await weir::select(std::move(wait), weir::sleep(limit));
  co_return static_cast<bool>(came);  // if not, it has taken nothing
}
// [/cancel_safety]

weir::task<> select_tour() {
  auto [to, lines] = weir::channel<std::string>(0);
  weir::event stop;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await wait_for_either(std::move(lines), stop); });
    co_await to.send("one line");
    const bool is_stopped = co_await comes_within(1_ms, stop.wait());
    std::printf("stopped: %s\n", is_stopped ? "yes" : "not yet");
    stop.set();
  });
}

// [oneshot]
struct question {
  int number = 0;
  weir::oneshot_sender<int> answer;
};
weir::task<> answer_all(weir::receiver<question> questions) {
  while (auto one = co_await questions.receive()) one->answer.send(one->number * one->number);
}
weir::task<int> ask(weir::sender<question> server, int number) {
  auto [answer, answered] = weir::oneshot<int>();
  co_await server.send({.number = number, .answer = std::move(answer)});
  co_return co_await answered.receive();  // raises `broken` if the server goes
}
// [/oneshot]

// [later]
weir::task<> print_answer(weir::oneshot_receiver<int> answer) {
  std::printf("later: %d\n", co_await answer.receive());
}
// [/later]

weir::task<> oneshot_tour() {
  co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
    auto [given_later, answer] = weir::oneshot<int>();
    s.spawn(print_answer, std::move(answer));
    given_later.send(169);
    auto [server, questions] = weir::channel<question>(4);
    s.spawn(answer_all, std::move(questions));
    std::printf("answer: %d\n", co_await ask(server, 12));
  });
}

// [locks]
struct account {
  weir::mutex busy;
  int cents = 0;
};
weir::task<> deposit(account& to, int cents, weir::semaphore& connections) {
  auto connection = co_await connections.acquire();  // at most so many at once
  auto held = co_await to.busy.lock();
  const int before = to.cents;
  co_await weir::sleep(1_ms);  // a lock is for what waits in the middle
  to.cents = before + cents;
}  // both are given back here, whatever ended it
// [/locks]

weir::task<> locks_tour() {
  account mine;
  weir::semaphore connections(2);
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    for (int i = 0; i < 5; ++i) {
      s.spawn([&]() -> weir::task<> { co_await deposit(mine, 10, connections); });
    }
    co_await s.join();
  });
  std::printf("cents: %d\n", mine.cents);
}

// [watch]
weir::task<> follow(weir::watch_receiver<int> level) {
  while (co_await level.changed()) std::printf("level: %d\n", level.get());
}
// [/watch]

weir::task<> watch_tour() {
  co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
    auto [level, seen] = weir::watch(0);
    s.spawn(follow, std::move(seen));
    level.set(1);
    level.set(2);  // nobody has looked yet: only 2 is seen
    co_await weir::yield();
  });
}

// [halves]
// Halves are members and parameters by these types.
class sensor {
 public:
  sensor(weir::watch_sender<int> newest, weir::broadcast_sender<int> all)
      : newest_(std::move(newest)), all_(std::move(all)) {}
  void measure(int value) {  // never waits
    newest_.set(value);
    all_.send(value);
  }

 private:
  weir::watch_sender<int> newest_;
  weir::broadcast_sender<int> all_;
};
weir::task<> sensor_tour() {
  auto [newest, seen] = weir::watch(0);
  auto all = weir::broadcast<int>(8);
  auto log = all.subscribe();
  {
    sensor indoors(std::move(newest), std::move(all));
    for (const int value : {19, 20, 21}) indoors.measure(value);
  }  // both ends have come
  std::printf("newest: %d, all:", seen.get());
  while (auto one = co_await log.receive()) std::printf(" %d", one->value);
  std::printf("\n");
}
// [/halves]

// [bus]
struct order_placed {
  int id;
};
weir::task<> bill(weir::broadcast_receiver<order_placed> orders) {
  while (auto next = co_await orders.receive()) {
    if (next->missed != 0) std::printf("missed: %d\n", static_cast<int>(next->missed));
    std::printf("bill order %d\n", next->value.id);
  }
}
weir::task<> shop() {
  co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
    weir::event_bus bus({.capacity = 2});
    s.spawn(bill, bus.subscribe<order_placed>());
    for (int id = 1; id <= 3; ++id) bus.publish(order_placed{id});  // never waits
    co_return;
  });  // the bus has gone: subscribers hear what is left, and the end
}
// [/bus]

// [generator]
weir::generator<int> countdown(int from) {
  for (; from > 0; --from) {
    co_await weir::sleep(1_ms);
    co_yield from;
  }
}
weir::task<> launch() {
  auto numbers = countdown(3);
  while (auto number = co_await numbers.next()) std::printf("%d ", *number);
  std::printf("go\n");
}
// [/generator]

// [race]
weir::task<std::string> fetch(const char* from, weir::duration takes, bool is_up) {
  co_await weir::sleep(takes);
  if (!is_up) weir::raise(weir::error(weir::errc::refused, from));
  co_return from;
}
weir::task<> mirrors() {
  const std::string page =
      co_await weir::first_success(fetch("primary", 1_ms, false), fetch("mirror", 5_ms, true));
  auto [one, other] = co_await weir::all_settled(fetch("a", 1_ms, true), fetch("b", 2_ms, false));
  std::printf("from: %s; %s, and b %s\n", page.c_str(), one->c_str(),
              other.failure() ? "failed" : "did not");
}
// [/race]

// [race_many]
weir::task<> ask_all(std::vector<const char*> mirrors) {
  std::vector<weir::task<std::string>> asked;
  for (const char* mirror : mirrors) asked.push_back(fetch(mirror, 1_ms, *mirror != 'b'));
  auto answers = co_await weir::all_settled(std::move(asked));
  for (auto& one : answers) std::printf("%s ", one.failure() ? "(down)" : one->c_str());
  std::printf("have answered\n");
}
// [/race_many]

// [cross]
weir::task<> from_another_thread() {
  auto [to, numbers] = weir::cross::channel<int>(16);
  std::thread producer([to] {  // no loop here: try_send never waits
    for (int i = 1; i <= 3; ++i) {
      int item = i;
      if (!to.try_send(item)) return;
    }
  });
  to.close();
  int sum = 0;
  while (auto number = co_await numbers.receive()) sum += *number;
  producer.join();
  std::printf("sum: %d\n", sum);
}
// [/cross]

weir::task<> tour() {
  co_await print_lines();
  co_await newest_only();
  co_await select_tour();
  co_await oneshot_tour();
  co_await locks_tour();
  co_await watch_tour();
  co_await sensor_tour();
  co_await shop();
  co_await launch();
  co_await mirrors();
  co_await ask_all({"a", "b", "c"});
  co_await from_another_thread();
}

}  // namespace

int main() { return weir::run(tour()); }

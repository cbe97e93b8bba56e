// What two cores share to hand things over: the twins in weir::cross of what flow_tour.cpp and
// wait_tour.cpp show on one loop, one function for each. It runs to its end by itself.
#include <weir/core/core_group.hpp>
#include <weir/flow/broadcast.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/once.hpp>
#include <weir/flow/oneshot.hpp>
#include <weir/flow/watch.hpp>
#include <weir/io.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <utility>

using namespace weir::literals;

namespace {

/// Two programs, each on a core of its own. What both use outlives them: it stands around this.
template <class F, class G>
void on_two_cores(F first, G second) {
  const int code = weir::run_on_all_cores({.cores = 2}, [&]() -> weir::task<> {
    if (weir::this_core() == 0) {
      co_await first();
    } else {
      co_await second();
    }
  });
  if (code != 0) std::exit(code);
}

// [oneshot]
struct question {
  int number = 0;
  weir::cross::oneshot_sender<int> answer;  // goes to the other core with it
};
weir::task<weir::cross::oneshot_receiver<int>> ask(weir::cross::sender<question>& to, int number) {
  auto [answer, answered] = weir::cross::oneshot<int>();
  co_await to.send({.number = number, .answer = std::move(answer)});
  co_return std::move(answered);
}
weir::task<> answer_all(weir::cross::receiver<question>& questions) {
  while (auto one = co_await questions.receive()) one->answer.send(one->number * one->number);
}
void ask_the_other_core() {
  auto [to, questions] = weir::cross::channel<question>(4);
  on_two_cores(
      [&]() -> weir::task<> {
        const auto first = co_await ask(to, 3);
        const auto second = co_await ask(to, 4);  // both are on their way
        const int sum = co_await first.receive() + co_await second.receive();
        std::printf("sum of squares: %d\n", sum);
        to.close();
      },
      [&]() -> weir::task<> { co_await answer_all(questions); });
}
// [/oneshot]

// [watch]
weir::task<> fill(weir::cross::watch_sender<int>& level) {
  for (int to = 1; to <= 100; ++to) level.set(to);  // never waits
  level.close();
  co_return;
}
weir::task<> follow(weir::cross::watch_receiver<int>& level) {
  int last = 0;
  while (co_await level.changed()) last = level.get();  // may skip some, never the last
  std::printf("level at last: %d\n", last);
}
void follow_the_level() {
  auto [level, seen] = weir::cross::watch(0);
  on_two_cores([&]() -> weir::task<> { co_await fill(level); },
               [&]() -> weir::task<> { co_await follow(seen); });
}
// [/watch]

// [broadcast]
void tell_everybody() {
  weir::cross::broadcast_sender<int> news = weir::cross::broadcast<int>(16);
  auto first = news.subscribe();
  auto second = news.subscribe();
  std::atomic<int> sum = 0;
  const auto hear = [&](weir::cross::broadcast_receiver<int>& from) -> weir::task<> {
    while (auto one = co_await from.receive()) sum += one->value;
  };
  on_two_cores(
      [&]() -> weir::task<> {
        for (int i = 1; i <= 4; ++i) news.send(i);  // each core hears each
        news.close();
        co_await hear(first);
      },
      [&]() -> weir::task<> { co_await hear(second); });
  std::printf("heard by both: %d\n", sum.load());
}
// [/broadcast]

// [once]
void load_once() {
  weir::cross::once<int> settings;
  const auto load = []() -> weir::task<int> {
    std::printf("loading\n");  // on the core that asked first; the other one waits for it
    co_await weir::sleep(1_ms);
    co_return 42;
  };
  int used[2] = {0, 0};
  const auto use = [&]() -> weir::task<> {
    used[weir::this_core()] = *co_await settings.get(load);
  };
  on_two_cores(use, use);
  std::printf("loaded once: %d %d\n", used[0], used[1]);
}
// [/once]

}  // namespace

int main() {
  ask_the_other_core();
  follow_the_level();
  tell_everybody();
  load_once();
}

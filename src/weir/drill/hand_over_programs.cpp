// Programs about what tasks hand to each other: channels, broadcasts, watches, promises.
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/drill/internal/program_kit.hpp>
#include <weir/flow/broadcast.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/promise.hpp>
#include <weir/flow/watch.hpp>

#include <string>

namespace weir::drill {

namespace {

using namespace weir::literals;

task<> buffer_is_bounded() {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{2}}) {
    auto [sender, receiver] = channel<int>(capacity);
    std::size_t sent = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (int i = 0; i < 6; ++i) {
          co_await sender.send(i);
          ++sent;
        }
        sender.close();
      });
      co_await sleep(1_ms);
      expect(sent <= capacity, "a send waits while the channel is full");
      int next = 0;
      while (auto item = co_await receiver.receive()) {
        expect(*item == next++, "items come in the order in which they were sent");
      }
      expect(next == 6, "every item comes");
    });
  }
}

task<> stages_pass_everything_on() {
  auto [raw_in, raw_out] = channel<int>(4);
  auto [done_in, done_out] = channel<int>(1);
  int sum = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int i = 1; i <= 10; ++i) co_await raw_in.send(i);
      raw_in.close();
    });
    s.spawn([&]() -> task<> {
      while (auto item = co_await raw_out.receive()) co_await done_in.send(*item * 2);
      done_in.close();
    });
    while (auto item = co_await done_out.receive()) sum += *item;
  });
  expect(sum == 110, "what was sent before the end is received");
}

task<> producer_hears_that_nobody_listens() {
  auto [sender, receiver] = channel<int>(1);
  int sent = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      while (co_await as_result(sender.send(sent))) ++sent;
    });
    for (int i = 0; i < 2; ++i) expect(*co_await receiver.receive() == i, "items come in order");
    receiver.close();
  });
  expect(sent >= 2, "the producer goes on until then");
}

task<> all_producers_are_heard() {
  auto [first, receiver] = channel<int>(1);
  int sum = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int length = 1; length <= 3; ++length) {
      s.spawn(
          [](sender<int> mine, int count) -> task<> {
            for (int i = 0; i < count; ++i) co_await mine.send(1);
          },
          first, length);
    }
    first.close();
    while (auto item = co_await receiver.receive()) sum += *item;
  });
  expect(sum == 6, "what any producer has sent is received");
}

task<> shifts_lose_no_item() {
  constexpr int all = 8;
  auto [sender, receiver] = channel<int>(0);
  int next = 0;
  const auto work = [&]() -> task<> {
    while (auto item = co_await receiver.receive()) {
      expect(*item == next++, "an item that a cancelled receive was not given stays");
    }
  };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int i = 0; i < all; ++i) co_await sender.send(i);
      sender.close();
    });
    for (int shift = 0; shift < 3; ++shift) {
      co_await with_scope([&](scope& on_duty) -> task<> {
        on_duty.spawn(work);
        for (int i = 0; i < 2; ++i) co_await yield();
        on_duty.cancel("the shift is over");
      });
    }
    co_await work();
  });
  expect(next == all, "an item that was given to a cancelled receive is handled");
}

task<> news_add_up() {
  constexpr std::uint64_t all = 12;
  broadcast_sender<std::uint64_t> news = broadcast<std::uint64_t>(3);
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) {
      s.spawn(
          [](broadcast_receiver<std::uint64_t> mine) -> task<> {
            std::uint64_t next = 0;
            while (auto item = co_await mine.receive()) {
              next += item->missed;
              expect(item->value == next++, "a receiver is told how many items it has missed");
              co_await yield();
            }
            expect(next == all, "the newest items are there for everybody");
          },
          news.subscribe());
    }
    for (std::uint64_t i = 0; i < all; ++i) {
      news.send(i);
      co_await yield();
    }
    news.close();
  });
}

task<> last_setting_arrives() {
  auto [config, seen] = watch(0);
  int applied = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int version = 1; version <= 4; ++version) {
        co_await yield();
        config.set(version);
      }
      config.close();
    });
    while (co_await seen.changed()) {
      const int newest = seen.get();
      expect(newest > applied, "a change is a new one");
      applied = newest;
      co_await yield();
    }
  });
  expect(applied == 4, "the last change arrives, also at the end");
}

task<> handlers_run_in_order() {
  std::string ran;
  promise<int> made;
  const shared_future<int> order = made.get_future().share();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await yield();
      made.resolve(7);
    });
    order.then([&](const int&) { ran += 'a'; });
    co_await yield();
    order.then([&](const int&) { ran += 'b'; });
    co_await yield();
    co_await order.then([&](const int&) { ran += 'c'; });
    expect(co_await order == 7, "the value is what it was resolved with");
  });
  expect(ran == "abc", "handlers run in the order of their registration, before and after");
}

}  // namespace

namespace programs {

constinit const mutant_program bounded{"a buffer holds what it may and no more",
                                       &buffer_is_bounded};
constinit const mutant_program stages{"a pipeline passes on all that was sent before its end",
                                      &stages_pass_everything_on};
constinit const mutant_program nobody_listens{"a producer hears that its consumer has gone",
                                              &producer_hears_that_nobody_listens};
constinit const mutant_program producers{"producers come and go and don't disturb each other",
                                         &all_producers_are_heard};
constinit const mutant_program shifts{"a worker that is relieved loses no item",
                                      &shifts_lose_no_item};
constinit const mutant_program news{"what a reader of a broadcast gets and misses adds up",
                                    &news_add_up};
constinit const mutant_program last_setting{"a watcher ends with the last value",
                                            &last_setting_arrives};
constinit const mutant_program handlers{"every handler of a promise runs, in order",
                                        &handlers_run_in_order};

}  // namespace programs
}  // namespace weir::drill

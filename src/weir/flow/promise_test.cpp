#include <weir/flow/promise.hpp>

#include <weir/core.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/flow/gather.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weir::promise_test {
namespace {

using namespace weir::literals;

WEIR_TEST("a promise is settled once, and what comes later changes nothing (A1)") {
  promise<int> once;
  shared_future<int> result = once.get_future();
  EXPECT_FALSE(result.is_ready());
  EXPECT_TRUE(once.resolve(1));
  EXPECT_FALSE(once.resolve(2));
  EXPECT_FALSE(once.reject(errc::io));
  EXPECT_EQ(co_await result, 1);
  EXPECT_EQ(co_await result, 1);

  promise<int> failed;
  auto failure = failed.get_future();
  EXPECT_TRUE(failed.reject(error(errc::refused, "first")));
  EXPECT_FALSE(failed.resolve(1));
  EXPECT_FALSE(failed.reject(errc::io));
  co_await testing::expect_raises<errc::refused>(
      [](future<int> f) -> task<> { co_await f; }(std::move(failure)));
}

WEIR_TEST("a promise that follows another is resolved, though not settled yet") {
  promise<int> inner;
  promise<int> outer;
  auto result = outer.get_future();
  EXPECT_TRUE(outer.resolve(inner.get_future()));
  EXPECT_TRUE(outer.is_resolved());
  EXPECT_FALSE(outer.resolve(1));
  EXPECT_FALSE(result.is_ready());
  inner.resolve(2);
  EXPECT_EQ(co_await result, 2);
}

WEIR_TEST("handlers that are not there let value and error pass (A2)") {
  EXPECT_EQ(co_await resolved_future(1).then(nullptr), 1);
  EXPECT_EQ(co_await resolved_future(2).then(nullptr, [](std::exception_ptr) { return 0; }), 2);
  EXPECT_EQ(co_await resolved_future(3).catch_error(nullptr), 3);
  int (*const no_function)(int) = nullptr;
  EXPECT_EQ(co_await resolved_future(4).then(no_function), 4);
  EXPECT_EQ(co_await resolved_future(5).then(std::function<int(int)>()), 5);
  auto failed = rejected_future<int>(errc::refused).then(nullptr, nullptr).catch_error(nullptr);
  co_await testing::expect_raises<errc::refused>(std::move(failed));
  // Without a handler an int can't become a string.
  auto unlike = resolved_future(6).then(std::function<std::string(int)>());
  co_await testing::expect_raises<errc::invalid_argument>(std::move(unlike));
}

WEIR_TEST(
    "a handler is called once, after its future has settled, with the value or the reason (A3)") {
  promise<int> later;
  auto source = later.get_future();
  int calls = 0;
  auto done = source.then(
      [&](int n) {
        ++calls;
        EXPECT_EQ(n, 7);
      },
      [](std::exception_ptr) { ADD_FAILURE() << "it has a value"; });
  co_await sleep(1_ms);
  EXPECT_EQ(calls, 0);
  later.resolve(7);
  later.resolve(8);
  co_await done;
  EXPECT_EQ(calls, 1);

  errc seen{};
  co_await rejected_future<int>(errc::full)
      .then([](int) { ADD_FAILURE() << "it has no value"; },
            [&](const error& reason) { seen = reason.code(); });
  EXPECT_EQ(seen, errc::full);
}

WEIR_TEST("no handler and no task goes on inside resolve or then, even of a settled future (A4)") {
  bool has_run = false;
  auto settled = resolved_future(1).then([&](int) { has_run = true; });
  EXPECT_FALSE(has_run) << "inside then()";
  co_await settled;
  EXPECT_TRUE(has_run);

  promise<> later;
  shared_future<> source = later.get_future();
  bool has_handled = false;
  bool has_awaited = false;
  auto handled = source.then([&] { has_handled = true; });
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await source;
      has_awaited = true;
    });
    co_await sleep(1_ms);
    later.resolve();
    EXPECT_FALSE(has_handled) << "inside resolve()";
    EXPECT_FALSE(has_awaited) << "inside resolve()";
  });
  co_await handled;
  EXPECT_TRUE(has_handled && has_awaited);
}

WEIR_TEST("a handler is called as a plain function, with nothing but the value (A5)") {
  const auto twice = [](int n) { return 2 * n; };
  EXPECT_EQ(co_await resolved_future(3).then(+twice), 6);
  struct counter {
    int calls = 0;
    int operator()(int n) { return n + ++calls; }
  };
  EXPECT_EQ(co_await resolved_future(3).then(counter{}), 4) << "its own state is its own";
}

WEIR_TEST(
    "all handlers of a future run in the order of their registration, whatever one throws (A6)") {
  promise<int> later;
  shared_future<int> source = later.get_future();
  std::string order;
  auto first = source.then([&](const int&) { order += 'a'; });
  auto bad = source.then([&](const int&) {
    order += 'b';
    raise(error(errc::malformed));
  });
  auto third = source.then([&](const int&) {
    order += 'c';
    source.then([&](const int&) { order += 'e'; });
  });
  auto fourth = source.then([&](const int&) { order += 'd'; });
  later.resolve(1);
  co_await first;
  co_await third;
  co_await fourth;
  co_await testing::expect_raises<errc::malformed>(std::move(bad));
  co_await source.then([](const int&) {});
  EXPECT_EQ(order, "abcde");
}

WEIR_TEST("handlers of several promises run in the order in which these were settled") {
  promise<> one;
  promise<> other;
  std::string order;
  auto a = one.get_future().then([&] { order += 'a'; });
  auto b = other.get_future().then([&] { order += 'b'; });
  other.resolve();
  one.resolve();
  co_await a;
  co_await b;
  EXPECT_EQ(order, "ba");
}

WEIR_TEST(
    "what a handler returns or throws settles the next future, what it can't take passes (A7)") {
  EXPECT_EQ(co_await resolved_future(20).then([](int n) { return n + 1; }).then([](int n) {
    return 2 * n;
  }),
            42);
  EXPECT_EQ(co_await rejected_future<int>(errc::io).catch_error([](const error&) { return 5; }), 5);
  auto thrown = resolved_future(1).then([](int) -> int { throw std::string("mine"); });
  try {
    co_await thrown;
    ADD_FAILURE() << "it was thrown";
  } catch (const std::string& text) {
    EXPECT_EQ(text, "mine");
  }
  // An error passes by value handlers; a type that a handler does not take passes by it.
  std::string seen;
  co_await rejected_future<int>(errc::io)
      .then([&](int) { seen += "never"; })
      .catch_error([&](const std::exception& e) { seen = e.what(); });
  EXPECT_NE(seen.find("io"), std::string::npos);
  auto foreign = resolved_future(1).then([](int) { throw std::string("mine"); });
  auto passed = foreign.catch_error([](const error&) { ADD_FAILURE() << "it is none of weir's"; });
  bool is_caught = false;
  co_await passed.catch_error([&](std::exception_ptr) { is_caught = true; });
  EXPECT_TRUE(is_caught);
  // The second handler of then() does not see what the first throws; a later catch_error does.
  auto both = resolved_future(1).then([](int) { raise(error(errc::busy)); },
                                      [](std::exception_ptr) { ADD_FAILURE(); });
  co_await testing::expect_raises<errc::busy>(std::move(both));
}

WEIR_TEST("finally runs in either case and lets the outcome pass, unless it fails itself") {
  int runs = 0;
  EXPECT_EQ(co_await resolved_future(1).finally([&] { ++runs; }), 1);
  auto failed = rejected_future<int>(errc::io).finally([&] { ++runs; });
  co_await testing::expect_raises<errc::io>(std::move(failed));
  EXPECT_EQ(runs, 2);
  auto worse = resolved_future(1).finally([] { raise(error(errc::busy)); });
  co_await testing::expect_raises<errc::busy>(std::move(worse));
  // It waits for what its handler returns.
  promise<> cleanup;
  auto after =
      resolved_future(std::make_unique<int>(3)).finally([&] { return cleanup.get_future(); });
  auto after_task = rejected_future<int>(errc::io).finally([&]() -> task<> {
    co_await sleep(1_s);
    ++runs;
  });
  co_await sleep(1_ms);
  EXPECT_FALSE(after.is_ready());
  EXPECT_FALSE(after_task.is_ready());
  cleanup.resolve();
  EXPECT_EQ(*co_await after, 3);
  co_await testing::expect_raises<errc::io>(std::move(after_task));
  EXPECT_EQ(runs, 3);
  auto bad_cleanup = resolved_future(1).finally([] { return rejected_future(errc::no_space); });
  co_await testing::expect_raises<errc::no_space>(std::move(bad_cleanup));
}

WEIR_TEST("a finally that fails after an error comes with it, and neither is unheard") {
  const std::vector<std::string> both{"io: what was to be told", "busy: on the way out"};
  const auto told = [] { return rejected_future<int>(error(errc::io, "what was to be told")); };
  const auto why = [] { return error(errc::busy, "on the way out"); };
  EXPECT_EQ(co_await testing::errors_of(with_timeout(1_s, told().finally([&] { raise(why()); }))),
            both);
  EXPECT_EQ(co_await testing::errors_of(
                with_timeout(1_s, told().finally([&] { return rejected_future(why()); }))),
            both);
  EXPECT_EQ(co_await testing::errors_of(with_timeout(1_s, told().finally([&]() -> task<> {
              co_await yield();
              raise(why());
            }))),
            both);
}

WEIR_TEST("a promise resolved with its own future, or in a circle, is rejected (A8)") {
  promise<int> self;
  shared_future<int> of_self = self.get_future();
  EXPECT_TRUE(self.resolve(of_self));
  co_await testing::expect_raises<errc::invalid_argument>(of_self);
  promise<int> start;
  auto own = std::make_shared<shared_future<int>>();
  *own = start.get_future().then([own](int) { return *own; });
  start.resolve(1);
  co_await testing::expect_raises<errc::invalid_argument>(*own);
  *own = shared_future<int>();

  promise<int> a;
  promise<int> b;
  promise<int> c;
  shared_future<int> of_a = a.get_future();
  shared_future<int> of_b = b.get_future();
  shared_future<int> of_c = c.get_future();
  a.resolve(of_b);
  b.resolve(of_c);
  c.resolve(of_a);
  co_await testing::expect_raises<errc::invalid_argument>(of_a);
  co_await testing::expect_raises<errc::invalid_argument>(of_b);
  co_await testing::expect_raises<errc::invalid_argument>(of_c);
}

WEIR_TEST("a promise takes over what another future comes to, now or later (A9)") {
  promise<int> later;
  auto of_later = later.get_future();
  auto adopted = resolved_future(1).then([&](int) { return std::move(of_later); });
  co_await sleep(1_ms);
  EXPECT_FALSE(adopted.is_ready());
  later.resolve(9);
  EXPECT_EQ(co_await adopted, 9);
  EXPECT_EQ(co_await resolved_future(1).then([](int n) { return resolved_future(n + 1); }), 2);
  auto failed = resolved_future(1).then([](int) { return rejected_future<int>(errc::refused); });
  co_await testing::expect_raises<errc::refused>(std::move(failed));

  shared_future<std::string> many = resolved_future(std::string("kept"));
  EXPECT_EQ(co_await resolved_future(1).then([&](int) { return many; }), "kept");
  EXPECT_EQ(co_await many, "kept") << "copied, not moved";
}

TEST(Promise, a_chain_of_a_hundred_thousand_needs_no_deep_stack) {
  static constexpr int length = 100'000;
  promise<int> first;
  auto last = first.get_future();
  for (int i = 0; i < length; ++i) {
    promise<int> next;
    next.resolve(std::move(last));
    last = next.get_future();
  }
  first.resolve(1);
  EXPECT_EQ(last.get(), 1);
  testing::run_virtual([]() -> task<> {
    auto sum = resolved_future(0);
    for (int i = 0; i < length; ++i) sum = sum.then([](int n) { return n + 1; });
    EXPECT_EQ(co_await sum, length);
  }());
}

WEIR_TEST("a task is adopted once, as a value of resolve or of a handler (A10)") {
  int runs = 0;
  const auto work = [&](int n) -> task<int> {
    ++runs;
    co_await sleep(1_ms);
    if (n == 0) raise(error(errc::refused));
    co_return n;
  };
  EXPECT_EQ(co_await resolved_future(3).then(work), 3);
  promise<int> by_task;
  auto result = by_task.get_future();
  EXPECT_TRUE(by_task.resolve(work(4)));
  EXPECT_FALSE(by_task.resolve(5)) << "the first decides, although it is not there yet";
  EXPECT_EQ(co_await result, 4);
  auto failed = resolved_future(0).then(work);
  co_await testing::expect_raises<errc::refused>(std::move(failed));
  EXPECT_EQ(runs, 3);
}

WEIR_TEST("any other value fulfils, also one that moves only, and none at all (A11)") {
  EXPECT_EQ(*co_await resolved_future(std::make_unique<int>(3)), 3);
  EXPECT_EQ(*co_await resolved_future(1).then([](int n) { return std::make_unique<int>(n); }), 1);
  promise<> nothing;
  auto done = nothing.get_future();
  EXPECT_TRUE(nothing.resolve());
  co_await done;
  promise<const char*> pointer;
  auto null = pointer.get_future();
  pointer.resolve(nullptr);
  EXPECT_EQ(co_await null, nullptr);
  struct picky {
    explicit picky(int n) {
      if (n < 0) throw exception(error(errc::invalid_argument));
    }
  };
  promise<picky> refuses;
  auto refused = refuses.get_future();
  EXPECT_TRUE(refuses.resolve(-1));
  co_await testing::expect_raises<errc::invalid_argument>(std::move(refused));
}

WEIR_TEST("a promise that is destroyed without a result is broken, and whoever waits hears it") {
  auto lost = [] { return promise<int>().get_future(); }();
  co_await testing::expect_raises<errc::broken>(std::move(lost));
  promise<int> kept;
  auto waiting = kept.get_future();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await testing::expect_raises<errc::broken>(std::move(waiting)); });
    co_await sleep(1_ms);
    kept = promise<int>();
  });
  promise<int> used;
  EXPECT_TRUE(used.is_wanted());
  {
    auto gone = used.get_future();
    EXPECT_TRUE(used.is_wanted());
  }
  EXPECT_FALSE(used.is_wanted());
}

WEIR_TEST("a task started as a future gives it value, error or cancellation") {
  EXPECT_EQ(co_await spawn_future([]() -> task<int> {
              co_await sleep(1_ms);
              co_return 5;
            }()),
            5);
  auto failed = spawn_future([]() -> task<> {
    co_await sleep(1_ms);
    raise(error(errc::refused));
  }());
  co_await testing::expect_raises<errc::refused>(std::move(failed));
  future<int> ended;
  co_await with_scope([&](scope& s) -> task<> {
    ended = spawn_future(s, []() -> task<int> {
      co_await sleep(1_h);
      co_return 1;
    }());
    co_await sleep(1_ms);
    s.cancel("no longer");
  });
  co_await testing::expect_raises<errc::cancelled>(std::move(ended));
  co_await with_scope({.tasks_max = 1}, [&](scope& s) -> task<> {
    s.spawn([]() -> task<> { co_await sleep(1_ms); });
    try {
      spawn_future(s, []() -> task<> { co_return; }());
      ADD_FAILURE() << "there is no room";
    } catch (const exception& e) {
      EXPECT_EQ(e.reason().code(), errc::full);
    }
    promise<> refused;
    auto result = refused.get_future();
    refused.resolve([]() -> task<> { co_return; }());
    co_await testing::expect_raises<errc::full>(std::move(result));
  });
}

struct heard_errors {
  static inline std::vector<std::string> texts;
  static inline int reports = 0;
  heard_errors() {
    texts.clear();
    reports = 0;
    before = set_unhandled_handler([](const unhandled_error& what) noexcept {
      texts.emplace_back(what.text);
      reports += what.is_report ? 1 : 0;
    });
  }
  heard_errors(const heard_errors&) = delete;
  heard_errors& operator=(const heard_errors&) = delete;
  ~heard_errors() { set_unhandled_handler(before); }
  unhandled_handler before;
};

WEIR_TEST("an error that nobody asked for reaches the handler of unhandled errors") {
  heard_errors heard;
  {
    auto ignored = rejected_future<int>(error(errc::no_space, "disk 7"));
  }
  EXPECT_EQ(heard_errors::texts.size(), 1u);
  EXPECT_NE(heard_errors::texts.at(0).find("disk 7"), std::string::npos);
  EXPECT_NE(heard_errors::texts.at(0).find("promise_test.cpp"), std::string::npos);
  EXPECT_EQ(heard_errors::reports, 0);
  // A chain passes it on: it is heard once, at the end.
  co_await with_scope([](scope&) -> task<> {
    rejected_future<int>(errc::io).then([](int) {}).then([] {});
    co_return;
  });
  EXPECT_EQ(heard_errors::texts.size(), 2u);
  {
    promise<int> nobody_reads;
    nobody_reads.reject(errc::io);
  }
  EXPECT_EQ(heard_errors::texts.size(), 3u);
}

WEIR_TEST(
    "an error that no copy of a shared future asked for is told once, when the last has gone") {
  const heard_errors heard;
  promise<int> work;
  std::vector<shared_future<int>> copies(3, work.get_future());
  copies.pop_back();
  EXPECT_TRUE(work.reject(error(errc::no_space, "disk 7")));
  work = promise<int>();
  copies.pop_back();
  EXPECT_TRUE(heard_errors::texts.empty()) << "the last copy may still ask";
  copies.pop_back();
  WEIR_REQUIRE(heard_errors::texts.size() == 1u);
  EXPECT_NE(heard_errors::texts[0].find("disk 7"), std::string::npos);
  // The error passes by the handlers of two copies: each of their futures has it.
  {
    const shared_future<int> failed = rejected_future<int>(errc::io);
    co_await with_scope([&](scope&) -> task<> {
      failed.then([](const int&) {});
      failed.then([](const int&) {});
      co_return;
    });
  }
  EXPECT_EQ(heard_errors::texts.size(), 3u);
}

WEIR_TEST("an error that one copy of a shared future heard is told for none of the others") {
  const heard_errors heard;
  using copy = shared_future<int>;
  task<> (*const ways[])(const copy&) = {
      [](const copy& of) -> task<> { co_await testing::expect_raises<errc::io>(of); },
      [](const copy& of) -> task<> {
        EXPECT_TRUE(of.failure());
        co_return;
      },
      [](const copy& of) -> task<> {
        of.ignore_errors();
        co_return;
      },
      [](const copy& of) -> task<> { co_await of.catch_error([](const error&) {}); },
      [](const copy& of) -> task<> {
        EXPECT_THROW(of.get(), exception);
        co_return;
      },
  };
  for (auto* const hear : ways) {
    std::vector<copy> copies(3, rejected_future<int>(errc::io));
    co_await hear(copies.back());
    while (!copies.empty()) copies.pop_back();
    EXPECT_TRUE(heard_errors::texts.empty()) << "by way " << &hear - ways;
  }
}

TEST(SharedFuture, whose_copies_go_on_several_threads_tells_an_unheard_error_once) {
  constexpr int threads_count = 4;
  for (const bool is_heard : {false, true}) {
    const heard_errors heard;
    std::vector<std::thread> threads;
    std::latch all(threads_count);
    {
      const shared_future<int> failed = rejected_future<int>(errc::io);
      for (int i = 0; i < threads_count; ++i) {
        threads.emplace_back([&all, is_mine = is_heard && i == 0, mine = failed]() mutable {
          all.arrive_and_wait();
          if (is_mine) EXPECT_TRUE(mine.failure());
          mine = shared_future<int>();
        });
      }
    }
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(heard_errors::texts.size(), is_heard ? 0u : 1u);
  }
}

WEIR_TEST("a broken promise that nobody asked is reported by none of the futures made of it") {
  const heard_errors heard;
  {
    auto made = promise<int>().get_future().then([](int n) { return n; });
  }
  {
    promise<int> lost;
    auto made = all(lost.get_future(), resolved_future(1));
  }
  promise<int> adopting;
  auto adopted = adopting.get_future();
  adopting.resolve(promise<int>().get_future());
  {
    auto gone = std::move(adopted);
  }
  {
    auto by_task = spawn_future(
        [](future<int> of) -> task<int> { co_return co_await of; }(promise<int>().get_future()));
  }
  for (int i = 0; i < 10; ++i) co_await yield();
  EXPECT_TRUE(heard_errors::texts.empty());
}

WEIR_TEST("an error that somebody asked for, or that was a cancellation, is not reported") {
  heard_errors heard;
  co_await testing::expect_raises<errc::io>(rejected_future(errc::io));
  {
    auto asked = rejected_future(errc::io);
    EXPECT_TRUE(asked.failure());
    auto ignored = rejected_future(errc::io);
    ignored.ignore_errors();
    auto cancelled = rejected_future(errc::cancelled);
  }
  co_await with_scope([](scope&) -> task<> {
    rejected_future<int>(errc::io).catch_error([](const error&) {});
    co_return;
  });
  EXPECT_TRUE(heard_errors::texts.empty());
}

WEIR_TEST("an error that comes after its reader was cancelled is reported, and ends nothing") {
  heard_errors heard;
  promise<> late;
  const auto read = [](future<> result) -> task<> { co_await result; };
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_s, read(late.get_future())));
  EXPECT_FALSE(late.is_wanted());
  late.reject(error(errc::io, "too late"));
  late = promise<>();
  EXPECT_EQ(heard_errors::texts.size(), 1u);
  EXPECT_EQ(heard_errors::reports, 1);
}

}  // namespace
}  // namespace weir::promise_test

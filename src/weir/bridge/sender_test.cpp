#include <weir/bridge/sender.hpp>

#include <weir/core.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace weir::sender_test {
namespace {

using namespace weir::literals;

// Small senders as std::execution has them: one for each outcome, and one that completes on a
// thread of its own.
template <class T>
struct just {
  T value;
  template <class R>
  struct operation {
    T value;
    R to;
    void start() noexcept { std::move(to).set_value(std::move(value)); }
  };
  template <class R>
  operation<R> connect(R to) && {
    return {std::move(value), std::move(to)};
  }
};
template <class E>
struct just_error {
  E reason;
  template <class R>
  struct operation {
    E reason;
    R to;
    void start() noexcept { std::move(to).set_error(std::move(reason)); }
  };
  template <class R>
  operation<R> connect(R to) && {
    return {std::move(reason), std::move(to)};
  }
};
struct just_stopped {
  template <class R>
  struct operation {
    R to;
    void start() noexcept { std::move(to).set_stopped(); }
  };
  template <class R>
  operation<R> connect(R to) && {
    return {std::move(to)};
  }
};
struct on_thread {
  std::thread& where;
  template <class R>
  struct operation {
    std::thread& where;
    R to;
    operation(std::thread& thread, R given) : where(thread), to(std::move(given)) {}
    operation(const operation&) = delete;  // operations don't move
    operation& operator=(const operation&) = delete;
    void start() noexcept {
      std::thread& thread = where;  // set_value() may free this operation before start() returns
      thread =
          std::thread([receiver = std::move(to)]() mutable { std::move(receiver).set_value(); });
    }
  };
  template <class R>
  operation<R> connect(R to) && {
    return operation<R>(where, std::move(to));
  }
};

WEIR_TEST("a sender's three outcomes are a value, an error and a cancellation") {
  EXPECT_EQ(co_await from_sender<int>(just<int>{3}), 3);
  EXPECT_EQ(*co_await from_sender<std::unique_ptr<int>>(
                just<std::unique_ptr<int>>{std::make_unique<int>(4)}),
            4);
  co_await testing::expect_raises<errc::refused>(
      from_sender<int>(just_error<error>{error(errc::refused)}));
  co_await testing::expect_raises<errc::io>(from_sender<int>(
      just_error<std::exception_ptr>{std::make_exception_ptr(exception(error(errc::io)))}));
  co_await testing::expect_raises<errc::cancelled>(from_sender<int>(just_stopped{}));
  try {
    co_await from_sender<>(just_error<std::string>{"theirs"});
    ADD_FAILURE() << "it is an error";
  } catch (const std::string& text) {
    EXPECT_EQ(text, "theirs");
  }
}

TEST(CrossSender, completes_on_a_thread_of_its_own) {
  testing::run_virtual(
      []() -> task<> {
        for (int round = 0; round < 20; ++round) {
          std::thread thread;
          co_await from_sender<>(on_thread{thread});
          thread.join();
        }
      }(),
      {.world = {.threads = true}});
}

struct seen {
  int value = 0;
  bool is_stopped = false;
  std::exception_ptr failure;
};
struct receiver {
  seen* to;
  void set_value(int value) && noexcept { to->value = value; }
  void set_value() && noexcept { to->value = 1; }
  void set_error(std::exception_ptr failure) && noexcept { to->failure = std::move(failure); }
  void set_stopped() && noexcept { to->is_stopped = true; }
};

WEIR_TEST("a future as a sender completes its receiver once, after it was started") {
  seen got;
  promise<int> later;
  auto operation = as_sender(later.get_future()).connect(receiver{&got});
  later.resolve(5);
  EXPECT_EQ(got.value, 0) << "not started";
  operation.start();
  EXPECT_EQ(got.value, 5);

  promise<> second;
  auto waiting = as_sender(second.get_future()).connect(receiver{&got});
  waiting.start();
  EXPECT_EQ(got.value, 5);
  second.resolve();
  EXPECT_EQ(got.value, 1);

  auto failed = as_sender(rejected_future(errc::io)).connect(receiver{&got});
  failed.start();
  EXPECT_TRUE(got.failure);
  auto stopped = as_sender(rejected_future(errc::cancelled)).connect(receiver{&got});
  stopped.start();
  EXPECT_TRUE(got.is_stopped);
  auto never_started = as_sender(resolved_future(1)).connect(receiver{&got});
  // There and back again.
  EXPECT_EQ(co_await from_sender<int>(as_sender(resolved_future(8))), 8);
}

TEST(SenderDeathTest, an_operation_of_a_future_that_ends_before_it_has_completed_is_named) {
  EXPECT_DEATH(
      {
        seen got;
        promise<int> later;
        auto operation = as_sender(later.get_future()).connect(receiver{&got});
        operation.start();
      },
      "an operation of as_sender\\(\\) ends before it has completed");
}

/// Completes when somebody says so: its receiver must be there until then.
struct on_demand {
  std::function<void()>* complete;
  template <class R>
  struct operation {
    std::function<void()>* complete;
    R to;
    void start() noexcept {
      *complete = [this] { std::move(to).set_value(7); };
    }
  };
  template <class R>
  operation<R> connect(R to) && {
    return {complete, std::move(to)};
  }
};

TEST(Sender, a_cancelled_wait_leaves_the_sender_alone_which_completes_as_ever) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    std::function<void()> complete;
    int got = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        if (complete) complete();
      });
      co_await v.run([](std::function<void()>* by, int* to) -> task<> {
        *to = co_await from_sender<int>(on_demand{by});
      }(&complete, &got));
    });
    EXPECT_TRUE(got == 7 || (got == 0 && v.was_cancelled()));
  });
}

}  // namespace
}  // namespace weir::sender_test

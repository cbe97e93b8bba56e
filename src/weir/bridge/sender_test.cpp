#include <weir/bridge/sender.hpp>

#include <weir/core.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weir::sender_test {
namespace {

using namespace weir::literals;

// A small library of senders as the standard has them: what is no sender or no receiver by its
// concepts is refused by connect().
namespace theirs {

struct sender_t {};
struct receiver_t {};
struct operation_state_t {};
struct get_stop_token_t {};

struct set_value_t {
  template <class R, class... A>
  void operator()(R&& to, A&&... with) const noexcept {
    static_assert(noexcept(std::forward<R>(to).set_value(std::forward<A>(with)...)));
    std::forward<R>(to).set_value(std::forward<A>(with)...);
  }
};
struct set_error_t {
  template <class R, class E>
  void operator()(R&& to, E&& reason) const noexcept {
    static_assert(noexcept(std::forward<R>(to).set_error(std::forward<E>(reason))));
    std::forward<R>(to).set_error(std::forward<E>(reason));
  }
};
struct set_stopped_t {
  template <class R>
  void operator()(R&& to) const noexcept {
    static_assert(noexcept(std::forward<R>(to).set_stopped()));
    std::forward<R>(to).set_stopped();
  }
};

template <class... Signature>
struct completion_signatures {};

template <class R>
concept receiver =
    std::derived_from<typename R::receiver_concept, receiver_t> &&
    std::is_nothrow_move_constructible_v<R> && !std::is_final_v<R> && requires(const R& to) {
      { to.get_env() } noexcept;
    };

template <class R, class Signature>
struct takes;
template <class R, class Tag, class... A>
struct takes<R, Tag(A...)> : std::is_invocable<Tag, R, A...> {};
template <class R, class Signatures>
struct takes_all;
template <class R, class... Signature>
struct takes_all<R, completion_signatures<Signature...>>
    : std::conjunction<takes<R, Signature>...> {};
template <class R, class Signatures>
concept receiver_of = receiver<R> && takes_all<R, Signatures>::value;

template <class O>
concept operation_state =
    std::derived_from<typename O::operation_state_concept, operation_state_t> &&
    std::is_object_v<O> && std::destructible<O> && requires(O& one) {
      { one.start() } noexcept;
    };

template <class S>
concept sender = std::derived_from<typename S::sender_concept, sender_t> &&
                 std::move_constructible<S> && requires { typename S::completion_signatures; };
template <class S, class R>
concept sender_to =
    sender<S> && receiver_of<R, typename S::completion_signatures> && requires(S from, R to) {
      { std::move(from).connect(std::move(to)) } -> operation_state;
    };

template <sender S, receiver R>
  requires sender_to<S, R>
auto connect(S from, R to) {
  return std::move(from).connect(std::move(to));
}

/// As std::inplace_stop_source: it stays where it is.
class stop_source : std::stop_source {
 public:
  stop_source() = default;
  stop_source(const stop_source&) = delete;
  stop_source& operator=(const stop_source&) = delete;
  using std::stop_source::get_token;
  using std::stop_source::request_stop;
};

/// An operation that stays where it is.
template <class R>
struct operation {
  using operation_state_concept = operation_state_t;
  R to;
  explicit operation(R given) : to(std::move(given)) {}
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;
};

/// Completes inside start() by `Tag`.
template <class Tag, class... A>
struct just_by {
  using sender_concept = sender_t;
  using completion_signatures = theirs::completion_signatures<Tag(A...)>;
  std::tuple<A...> with;
  template <class R>
  struct at_work : operation<R> {
    std::tuple<A...> with;
    at_work(std::tuple<A...> what, R to) : operation<R>(std::move(to)), with(std::move(what)) {}
    void start() & noexcept {
      std::apply([&](A&... one) { Tag()(std::move(this->to), std::move(one)...); }, with);
    }
  };
  template <class R>
  at_work<R> connect(R to) && {
    return {std::move(with), std::move(to)};
  }
};
template <class... A>
just_by<set_value_t, A...> just(A... with) {
  return {{std::move(with)...}};
}
template <class E>
just_by<set_error_t, E> just_error(E reason) {
  return {{std::move(reason)}};
}
inline just_by<set_stopped_t> just_stopped() { return {}; }

/// Completes on a thread of its own.
struct on_thread {
  using sender_concept = sender_t;
  using completion_signatures = theirs::completion_signatures<set_value_t()>;
  std::thread* where;
  template <class R>
  struct at_work : operation<R> {
    std::thread* where;
    at_work(std::thread* thread, R to) : operation<R>(std::move(to)), where(thread) {}
    void start() & noexcept {
      std::thread& thread = *where;  // set_value() may end this operation before start() returns
      thread = std::thread(
          [receiver = std::move(this->to)]() mutable { set_value_t()(std::move(receiver)); });
    }
  };
  template <class R>
  at_work<R> connect(R to) && {
    return {where, std::move(to)};
  }
};

/// Completes as stopped when it is asked to, on a thread of its own if it has one.
struct until_stopped {
  using sender_concept = sender_t;
  using completion_signatures = theirs::completion_signatures<set_stopped_t()>;
  std::thread* where = nullptr;
  int* running = nullptr;
  template <class R>
  struct at_work : operation<R> {
    struct tell {
      at_work* of;
      void operator()() const noexcept { of->stop(); }
    };
    std::thread* where;
    int* running;
    std::optional<std::stop_callback<tell>> on_stop;
    at_work(std::thread* thread, int* count, R to)
        : operation<R>(std::move(to)), where(thread), running(count) {}
    void start() & noexcept {
      if (running) ++*running;
      on_stop.emplace(this->to.get_env().query(get_stop_token_t()), tell{this});
    }
    void stop() noexcept {
      if (running) --*running;
      if (!where) return set_stopped_t()(std::move(this->to));
      *where = std::thread(
          [receiver = std::move(this->to)]() mutable { set_stopped_t()(std::move(receiver)); });
    }
  };
  template <class R>
  at_work<R> connect(R to) && {
    return {where, running, std::move(to)};
  }
};

/// A sender around one of anybody's: what it completes with, one more.
template <sender S>
struct one_more {
  using sender_concept = sender_t;
  using completion_signatures =
      theirs::completion_signatures<set_value_t(int), set_error_t(std::exception_ptr),
                                    set_stopped_t()>;
  S from;
  template <class R>
  struct adding {
    using receiver_concept = receiver_t;
    R to;
    void set_value(int value) && noexcept { set_value_t()(std::move(to), value + 1); }
    void set_error(std::exception_ptr reason) && noexcept {
      set_error_t()(std::move(to), std::move(reason));
    }
    void set_stopped() && noexcept { set_stopped_t()(std::move(to)); }
    auto get_env() const noexcept { return to.get_env(); }
  };
  template <class R>
  auto connect(R to) && {
    return theirs::connect(std::move(from), adding<R>{std::move(to)});
  }
};

}  // namespace theirs

// [names]
/// Their names, as a program gives them to weir.
struct their_names {
  using sender_t = theirs::sender_t;
  using receiver_t = theirs::receiver_t;
  using operation_state_t = theirs::operation_state_t;
  using set_value_t = theirs::set_value_t;
  using set_error_t = theirs::set_error_t;
  using set_stopped_t = theirs::set_stopped_t;
  using get_stop_token_t = theirs::get_stop_token_t;
  template <class... Signature>
  using completion_signatures = theirs::completion_signatures<Signature...>;
  using stop_source = theirs::stop_source;

  template <class S, class R>
  static auto connect(S&& from, R to) {
    return theirs::connect(std::forward<S>(from), std::move(to));
  }
  static void start(auto& operation) noexcept { operation.start(); }
};
// [/names]

static_assert(theirs::sender<future_sender<int, their_names>>);
static_assert(theirs::sender<future_sender<void, their_names>>);
static_assert(!theirs::sender<future_sender<int>>, "of another world");
static_assert(theirs::receiver<detail::sender_receiver<their_names, int>>);
static_assert(!theirs::receiver<detail::sender_receiver<sender_names, int>>);

template <class... V, class Sender>
auto ours(Sender from) {
  return from_sender<V...>(their_names(), std::move(from));
}

WEIR_TEST("a sender's three outcomes are a value, an error and a cancellation") {
  EXPECT_EQ(co_await ours<int>(theirs::just(3)), 3);
  EXPECT_EQ(*co_await ours<std::unique_ptr<int>>(theirs::just(std::make_unique<int>(4))), 4);
  const auto [number, text] = co_await ours<int, std::string>(theirs::just(5, std::string("6")));
  EXPECT_EQ(number, 5);
  EXPECT_EQ(text, "6");
  co_await ours<>(theirs::just());
  co_await testing::expect_raises<errc::refused>(
      ours<int>(theirs::just_error(error(errc::refused))));
  co_await testing::expect_raises<errc::io>(
      ours<int>(theirs::just_error(std::make_exception_ptr(exception(error(errc::io))))));
  co_await testing::expect_raises<errc::io>(ours<int>(theirs::just_error(std::exception_ptr())));
  co_await testing::expect_raises<errc::cancelled>(ours<int>(theirs::just_stopped()));
  try {
    co_await ours<>(theirs::just_error(std::string("theirs")));
    ADD_FAILURE() << "it is an error";
  } catch (const std::string& reason) {
    EXPECT_EQ(reason, "theirs");
  }
}

/// A sender that can't be connected.
struct broken_sender {
  using sender_concept = theirs::sender_t;
  using completion_signatures = theirs::completion_signatures<theirs::set_value_t()>;
  template <class R>
  typename theirs::just_by<theirs::set_value_t>::template at_work<R> connect(R) && {
    raise(error(errc::full, "no room for the operation"));
  }
};
/// A value that can't be kept.
struct hard_to_move {
  hard_to_move() = default;
  hard_to_move(const hard_to_move&) = default;
  hard_to_move& operator=(const hard_to_move&) = default;
  ~hard_to_move() = default;
  hard_to_move(hard_to_move&&) { raise(error(errc::io, "it does not move")); }  // NOLINT
};

struct just_hard_to_move {
  using sender_concept = theirs::sender_t;
  using completion_signatures = theirs::completion_signatures<theirs::set_value_t(hard_to_move)>;
  template <class R>
  struct at_work : theirs::operation<R> {
    using theirs::operation<R>::operation;
    void start() & noexcept { theirs::set_value_t()(std::move(this->to), hard_to_move()); }
  };
  template <class R>
  at_work<R> connect(R to) && {
    return at_work<R>(std::move(to));
  }
};

WEIR_TEST("what connect() and the move of a value throw is raised") {
  co_await testing::expect_raises<errc::full>(ours<>(broken_sender()));
  co_await testing::expect_raises<errc::io>(ours<hard_to_move>(just_hard_to_move()));
}

WEIR_TEST("a sender stands in a select and under a time-out, and is stopped when it is too late") {
  auto [stopped, slept] = co_await select(ours<>(theirs::until_stopped()), sleep(1_ms));
  EXPECT_FALSE(stopped);
  EXPECT_TRUE(slept);
  co_await testing::expect_raises<errc::timed_out>(
      with_timeout(1_ms, ours<>(theirs::until_stopped())));
  EXPECT_EQ(testing::elapsed(), 2_ms);
}

TEST(CrossSender, completes_on_a_thread_of_its_own) {
  testing::run_virtual(
      []() -> task<> {
        for (int round = 0; round < 20; ++round) {
          std::thread thread;
          co_await ours<>(theirs::on_thread{&thread});
          thread.join();
        }
      }(),
      {.world = {.threads = true}});
}

TEST(CrossSender, that_is_cancelled_ends_on_a_thread_of_its_own) {
  testing::run_virtual(
      []() -> task<> {
        for (int round = 0; round < 20; ++round) {
          std::thread thread;
          co_await testing::expect_raises<errc::timed_out>(
              with_timeout(1_ms, ours<>(theirs::until_stopped{&thread})));
          thread.join();  // it has been started
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
  using receiver_concept = theirs::receiver_t;
  seen* to;
  void set_value(int value) && noexcept { to->value = value; }
  void set_value() && noexcept { to->value = 1; }
  void set_error(std::exception_ptr failure) && noexcept { to->failure = std::move(failure); }
  void set_stopped() && noexcept { to->is_stopped = true; }
  struct nothing {};
  nothing get_env() const noexcept { return {}; }
};
template <class T>
auto connected(future<T> from, seen* to) {
  return theirs::connect(as_sender(std::move(from), their_names()), receiver{to});
}

WEIR_TEST("a future as a sender completes its receiver once, after it was started") {
  seen got;
  promise<int> later;
  auto operation = connected(later.get_future(), &got);
  later.resolve(5);
  EXPECT_EQ(got.value, 0) << "not started";
  operation.start();
  EXPECT_EQ(got.value, 5);

  promise<> second;
  auto waiting = connected(second.get_future(), &got);
  waiting.start();
  EXPECT_EQ(got.value, 5);
  second.resolve();
  EXPECT_EQ(got.value, 1);

  auto failed = connected(future<>(rejected_future(errc::io)), &got);
  failed.start();
  EXPECT_TRUE(got.failure);
  auto stopped = connected(future<>(rejected_future(errc::cancelled)), &got);
  stopped.start();
  EXPECT_TRUE(got.is_stopped);
  auto never_started = connected(resolved_future(1), &got);
  // There and back again.
  EXPECT_EQ(co_await from_sender<int>(as_sender(resolved_future(8))), 8);
  EXPECT_EQ(co_await ours<int>(theirs::one_more(as_sender(resolved_future(8), their_names()))), 9);
  using theirs_around_ours = theirs::one_more<future_sender<int, their_names>>;
  co_await testing::expect_raises<errc::io>(ours<int>(
      theirs_around_ours{as_sender(future<int>(rejected_future<int>(errc::io)), their_names())}));
}

TEST(SenderDeathTest, an_operation_of_a_future_that_ends_before_it_has_completed_is_named) {
  EXPECT_DEATH(
      {
        seen got;
        promise<int> later;
        auto operation = connected(later.get_future(), &got);
        operation.start();
      },
      "an operation of as_sender\\(\\) ends before it has completed");
}

/// Completes when somebody says so, and does not look at its stop token.
struct on_demand {
  using sender_concept = theirs::sender_t;
  using completion_signatures = theirs::completion_signatures<theirs::set_value_t(int)>;
  std::function<void()>* complete;
  template <class R>
  struct at_work : theirs::operation<R> {
    std::function<void()>* complete;
    at_work(std::function<void()>* by, R to) : theirs::operation<R>(std::move(to)), complete(by) {}
    void start() & noexcept {
      *complete = [this] { theirs::set_value_t()(std::move(this->to), 7); };
    }
  };
  template <class R>
  at_work<R> connect(R to) && {
    return {complete, std::move(to)};
  }
};

TEST(Sender, that_does_not_look_at_its_stop_token_is_waited_for_and_its_value_delivered) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    std::function<void()> complete;
    int got = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        if (complete) complete();
      });
      co_await v.run([](std::function<void()>* by, int* to) -> task<> {
        *to = co_await ours<int>(on_demand{.complete = by});
      }(&complete, &got));
      EXPECT_EQ(got, complete ? 7 : 0) << "it was started, and its wait ended before it";
    });
    EXPECT_TRUE(got == 7 || v.was_cancelled());
  });
}

TEST(Sender, cancelled_at_any_point_is_stopped_and_has_ended) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    int running = 0;
    bool was_late = false;
    co_await v.run([](int* count, bool* late) -> task<> {
      auto [stopped, slept] =
          co_await select(ours<>(theirs::until_stopped{.running = count}), sleep(1_ms));
      EXPECT_FALSE(stopped);
      *late = static_cast<bool>(slept);
    }(&running, &was_late));
    EXPECT_EQ(running, 0);
    EXPECT_TRUE(was_late || v.was_cancelled());
  });
}

}  // namespace
}  // namespace weir::sender_test

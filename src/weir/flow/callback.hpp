// Callbacks of others: an interface that calls back becomes something to await. The hard idea: the
// function that is handed out only puts a result into a promise or an item into a channel, so it
// may be called on any thread, inside the call that took it, or after nobody waits any more; and
// nothing of weir runs on its caller's stack (A4). For C functions see c_callback.hpp, for the
// other direction to_callback.hpp.
//
//   from_callback       one call       -> future<T>
//   from_callback_many  many calls     -> cross::receiver<T>, bounded
#pragma once

#include <weir/base/assert.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/promise.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

template <class... A>
struct called_with {
  using type = std::tuple<A...>;
};
template <class A>
struct called_with<A> {
  using type = A;
};
template <>
struct called_with<> {
  using type = void;
};
/// What a callback's arguments are as one value: nothing, one, or a tuple.
template <class... A>
using called_with_t = typename called_with<std::decay_t<A>...>::type;

/// A promise that is broken when the last copy of its callback has gone.
template <class T>
class callback_state final : public promise_value<T> {
 public:
  using promise_value<T>::promise_value;
  void add_holder() noexcept {
    this->keep();
    holders_.fetch_add(1, std::memory_order_relaxed);
  }
  void holder_gone() noexcept {
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) this->break_promise();
    this->drop();
  }

 private:
  std::atomic<std::uint32_t> holders_{0};
};

}  // namespace detail

/// The function that from_callback hands out: called with a result, it is done.
///
/// Cancel:  no waits; a call after the wait was cancelled changes nothing.
/// Order:   the first call or fail() counts, later ones change nothing.
/// Bound:   copies share one block.
/// Errors:  fail() rejects; when the last copy goes without a call, the future is `broken`.
/// Threads: any, also at once.
template <class... A>
class callback {
  using value = detail::called_with_t<A...>;

 public:
  explicit callback(detail::callback_state<value>* of) noexcept : of_(of) { of_->add_holder(); }
  callback(const callback& other) noexcept : of_(other.of_) {
    if (of_) of_->add_holder();
  }
  callback(callback&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  callback& operator=(callback other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~callback() {
    if (of_) of_->holder_gone();
  }

  void operator()(A... with) const noexcept {
    make_sure_it_is_there();
    if (of_->claim()) detail::fulfil<value>(*of_, std::forward<A>(with)...);
  }
  void fail(std::exception_ptr reason) const noexcept {
    make_sure_it_is_there();
    if (of_->claim()) of_->settle_rejected(std::move(reason));
  }
  void fail(error reason) const noexcept {
    fail(std::make_exception_ptr(exception(std::move(reason))));
  }

 private:
  void make_sure_it_is_there() const noexcept {
    WEIR_ASSERT(of_ && "an empty callback is called: it was moved from");
  }

  detail::callback_state<value>* of_;
};

namespace detail {

/// Calls start with a callback; the promise gets what it is called with, or what start throws.
template <class... A, class F>
core_handle begin_callback(F& start, std::source_location place) {
  auto* made = new callback_state<called_with_t<A...>>(place);
  core_handle kept(made);
  const callback<A...> done(made);
  try {
    start(done);
  } catch (...) {
    done.fail(std::current_exception());
  }
  return kept;
}

/// Calls cancel() in the end, unless the callback was called; one that is called from then on finds
/// it claimed.
template <class C>
struct cancel_call {
  C& cancel;
  promise_core& of;
  ~cancel_call() {
    if (of.claim()) cancel();
  }
};

}  // namespace detail

/// Calls start(done) at once and gives a future of what `done` is called with: nothing, a value, or
/// a tuple: `auto [status, body] = co_await from_callback<int, std::string>([&](auto done) {
/// fetch(url, done); });` What start throws is the reason of a rejection.
template <class... A, class F>
[[nodiscard]] auto from_callback(F start,
                                 std::source_location place = std::source_location::current())
    -> future<detail::called_with_t<A...>> {
  return future<detail::called_with_t<A...>>(detail::begin_callback<A...>(start, place));
}

/// The same for something that can be cancelled: starts when awaited, and when the wait is
/// cancelled calls cancel(), which must not throw. Never after the callback was called: a result
/// that comes while the cancelled task's frames end is dropped.
template <class... A, class F, class C>
  requires std::is_invocable_v<C&>
[[nodiscard]] auto from_callback(F start, C cancel) -> task<detail::called_with_t<A...>> {
  const detail::core_handle called =
      detail::begin_callback<A...>(start, std::source_location::current());
  const detail::cancel_call<C> on_cancel{cancel, *called};
  co_return co_await future<detail::called_with_t<A...>>(called);
}

/// A callback that is called often: start(on_item) is called at once, and each on_item(args...)
/// queues an item. It never waits: when `capacity` items are queued the policy acts, and the
/// receiver's stats() count what was dropped; drop_newest if the options say `wait`. on_item says
/// false when nobody receives any more, and with overflow::fail when there was no room; what a
/// policy drops is true. The items end when the last copy of on_item goes.
template <class... A, class F>
[[nodiscard]] auto from_callback_many(channel_options options, F start)
    -> cross::receiver<detail::called_with_t<A...>> {
  using value = detail::called_with_t<A...>;
  static_assert(sizeof...(A) > 0, "an item needs a value; for bare signals use cross::auto_event");
  if (options.when_full == overflow::wait) options.when_full = overflow::drop_newest;
  auto halves = cross::channel<value>(options);
  start([sender = std::move(halves.sender)](A... with) {
    value item(std::forward<A>(with)...);
    return sender.try_send(item);
  });
  return std::move(halves.receiver);
}

}  // namespace weir

// future<T>: a result that will be there, as an object. It can be awaited, given to another thread,
// or followed by handlers (`then`) where there are no coroutines. The hard idea: it is the reading
// half of one small state machine (detail/promise_core.hpp) that any thread may settle, and what
// follows never runs on the stack of whoever settles, or registers: tasks are woken, handlers run
// later in a task of the scope in which they were registered (detail/handler_queue.hpp).
//
// What a handler returns resolves the future that `then` gives: a value is its value, a future or a
// task is adopted, what it throws is the reason. Rules A1 to A11 of docs/reference/rules.md.
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/detail/promise_value.hpp>

#include <concepts>
#include <cstdint>
#include <source_location>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

/// What both kinds of future have in common.
template <class T>
class future_base {
 public:
  using value_type = T;

  /// False once its value was taken, it got a handler, or was moved from.
  explicit operator bool() const noexcept { return static_cast<bool>(core_); }
  /// True when an await would not wait.
  bool is_ready() const noexcept { return core_ && core_->is_settled(); }
  bool has_value() const noexcept { return core_ && core_->phase() == settled_as::fulfilled; }
  /// Null unless it was rejected. Asking counts as having heard.
  std::exception_ptr failure() const noexcept {
    if (!core_ || core_->phase() != settled_as::rejected) return nullptr;
    return core_->hear_failure();
  }
  /// Says that an error may pass unheard, now or later.
  void ignore_errors() const noexcept {
    if (core_) core_->note_heard();
  }

  // For what is built on futures.
  explicit future_base(core_handle of) noexcept : core_(std::move(of)) {}
  promise_core* release() noexcept { return core_.release(); }

 protected:
  core_handle take_core() noexcept {
    WEIR_ASSERT(core_ && "an empty future is used: its value was taken, or it was moved from");
    return std::move(core_);
  }
  core_handle core_;
};

}  // namespace detail

/// The result of something that goes on elsewhere; one reader, who gets the value by move.
///
/// Cancel:  a cancelled await leaves the future as it was. Cancelling the scope in which a handler
///          was registered rejects the handler's own future as `cancelled`, unless it is due.
/// Order:   handlers of a scope run in the order in which they became due, those of one future in
///          the order of their registration; never inside then(), resolve() or reject() (A4).
/// Bound:   one block from the frame pool for each future; handlers are bounded by their scope's
///          life, and one task of it runs them all.
/// Errors:  an await and get() raise the reason; one that nobody asked for when its last reader has
///          gone goes to the unhandled-error handler, but `cancelled` and that a promise was
///          broken.
/// Threads: any, one at a time; handlers run on the loop on which they were registered.
template <class T>
class future : public detail::future_base<T> {
 public:
  static constexpr detail::reading how = detail::reading::only;
  using detail::future_base<T>::future_base;
  future() noexcept : detail::future_base<T>(detail::core_handle()) {}
  future(future&&) noexcept = default;
  future& operator=(future&&) noexcept = default;
  ~future() = default;

  /// `int n = co_await answer;`, once: then the future is empty.
  auto operator co_await() & noexcept {
    return detail::future_wait<T, how>(this->core_, &this->core_);
  }
  auto operator co_await() && noexcept {
    return detail::future_wait<T, how>(std::move(this->core_), nullptr);
  }

  /// Runs f(value) once there is one, and gives a future of what f returns; an error passes by.
  /// This future is empty afterwards. nullptr for f: the value passes by, too.
  template <class F>
  auto then(F f, std::source_location place = std::source_location::current());
  /// As then(f).catch_error(on_error), but on_error does not see what f throws.
  template <class F, class G>
  auto then(F f, G on_error, std::source_location place = std::source_location::current());
  /// Runs f(reason) when there is one, and gives a future of what f returns; a value passes by. f
  /// takes a std::exception_ptr, a `const weir::error&` or a `const std::exception&`: what is none
  /// of these passes by. If f returns nothing and T is a type, the future is one of void.
  template <class F>
  auto catch_error(F f, std::source_location place = std::source_location::current());
  /// Runs f() in either case; value and error pass by once what f returns has ended. When that
  /// fails its error is the reason, and of an error both come in an error_group.
  template <class F>
  future finally(F f, std::source_location place = std::source_location::current());

  /// Gives this reader's place away: many may read then, and get the value by reference.
  shared_future<T> share() noexcept;

  /// Blocks the thread until it is settled, and gives the value or raises the reason: for threads
  /// that run no loop. On a loop that would stop everything: a named assertion.
  T get() {
    WEIR_ASSERT((this->is_ready() || !loop::current()) &&
                "get() would stop this loop for ever: co_await the future instead");
    const detail::core_handle from = this->take_core();
    from->block();
    if (from->phase() == detail::settled_as::rejected) std::rethrow_exception(from->hear_failure());
    if constexpr (!std::is_void_v<T>) return std::move(detail::value_of<T>(*from));
  }
};

/// A future with many readers, who get the value by reference.
///
/// Cancel:  a cancelled await leaves the future as it was; handlers as those of future.
/// Order:   as future: all handlers run, in the order of their registration (A6), whatever one of
///          them throws.
/// Bound:   copies share one block; each handler costs one.
/// Errors:  each reader gets the reason; if none ever asks, the unhandled-error handler does.
/// Threads: any; each copy one at a time.
template <class T>
class shared_future : public detail::future_base<T> {
 public:
  static constexpr detail::reading how = detail::reading::shared;
  using detail::future_base<T>::future_base;
  shared_future() noexcept : detail::future_base<T>(detail::core_handle()) {}
  // NOLINTNEXTLINE(google-explicit-constructor): a future is a shared_future with one reader
  shared_future(future<T>&& one) noexcept
      : detail::future_base<T>(detail::core_handle(one.release())) {}

  /// `const int& n = co_await answer;`: the value lives as long as a copy of the future does.
  auto operator co_await() const& noexcept {
    return detail::future_wait<T, how>(this->core_, nullptr);
  }
  void operator co_await() const&& = delete;

  /// As those of future; f gets the value as `const T&`.
  template <class F>
  auto then(F f, std::source_location place = std::source_location::current()) const;
  template <class F, class G>
  auto then(F f, G on_error, std::source_location place = std::source_location::current()) const;
  template <class F>
  auto catch_error(F f, std::source_location place = std::source_location::current()) const;
  template <class F>
  future<T> finally(F f, std::source_location place = std::source_location::current()) const;

  /// Blocks as that of future.
  decltype(auto) get() const {
    WEIR_ASSERT(this->core_ && "an empty future is used: it was moved from");
    WEIR_ASSERT((this->is_ready() || !loop::current()) &&
                "get() would stop this loop for ever: co_await the future instead");
    this->core_->block();
    if (this->core_->phase() == detail::settled_as::rejected)
      std::rethrow_exception(this->core_->hear_failure());
    return std::as_const(detail::value_of<T>(*this->core_));
  }
};

template <class T>
shared_future<T> future<T>::share() noexcept {
  return shared_future<T>(std::move(*this));
}

namespace detail {
/// A future with one reader, or what is one and is awaited in a way of its own.
template <class F>
concept single_future =
    requires { typename F::value_type; } && std::derived_from<F, future<typename F::value_type>>;
}  // namespace detail

/// `result<int> n = co_await as_result(answer);` An error that is none of weir's is `internal`
/// here, with its text.
template <class F>
  requires detail::single_future<std::remove_cvref_t<F>>
[[nodiscard]] auto as_result(F&& from) noexcept {
  return as_result(std::forward<F>(from).operator co_await());
}
template <class T>
[[nodiscard]] auto as_result(const shared_future<T>& from) noexcept {
  return as_result(from.operator co_await());
}

/// `int n = co_await with_timeout(1_s, answer);` Too late leaves the future as it was, to be asked
/// again, but an operation of Asio, which has ended then; of a shared one it gives a copy.
template <class F>
  requires detail::single_future<std::remove_cvref_t<F>>
[[nodiscard]] WEIR_CORO_WRAPPER auto with_timeout(duration length, F&& from) {
  return with_timeout(length, detail::awaited(std::forward<F>(from).operator co_await()));
}
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER task<T> with_timeout(duration length,
                                                     const shared_future<T>& from) {
  return with_timeout(length, detail::awaited(from.operator co_await()));
}

}  // namespace weir

#include <weir/flow/detail/future_impl.hpp>

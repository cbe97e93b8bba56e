// promise<T>: the half that is resolved, by whoever has the result, on any thread. The hard idea:
// to resolve is not to settle. A promise may be resolved with another future or a task, and follows
// it then; either way the first call decides and later ones change nothing (A1).
//
//   weir::promise<int> answer;
//   weir::future<int> result = answer.get_future();
//   answer.resolve(42);                 // or resolve(another_future), resolve(a_task()), reject(e)
#pragma once

#include <weir/flow/future.hpp>

#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

namespace weir {

/// The right to give a future its result.
///
/// Cancel:  no waits.
/// Order:   the first resolve() or reject() counts, later ones say false and change nothing.
/// Bound:   one block from the frame pool, which its future shares.
/// Errors:  destroyed without a result, its future is rejected as `broken`; resolved with its own
///          future, as `invalid_argument` (A8). Used after it was moved from it stops the process.
/// Threads: resolve() and reject() on any, also at once; the rest one at a time.
template <class T = void>
class promise {
 public:
  explicit promise(std::source_location place = std::source_location::current())
      : core_(new detail::promise_value<T>(place)) {}
  promise(promise&& other) noexcept : core_(std::move(other.core_)), is_given_(other.is_given_) {}
  promise& operator=(promise&& other) noexcept {
    if (this != &other) {
      if (core_) core_->break_promise();
      core_ = std::move(other.core_);
      is_given_ = other.is_given_;
    }
    return *this;
  }
  ~promise() {
    if (core_) core_->break_promise();
  }

  /// The reading half, once.
  future<T> get_future() noexcept {
    make_sure_it_is_there();
    WEIR_ASSERT(!is_given_ && "a promise has one future; share() it for many readers");
    is_given_ = true;
    return future<T>(core_);
  }

  /// With a value (nothing for promise<>), or with a future or task of a T, whose outcome it takes
  /// over. False: it was resolved before. A task is started in the running task's scope.
  template <class... V>
    requires(sizeof...(V) <= 1 && (sizeof...(V) == 1 || std::is_void_v<T>))
  bool resolve(V&&... with) noexcept {
    make_sure_it_is_there();
    if (!core_->claim()) return false;
    const detail::core_handle kept = core_;  // what follows may destroy this promise
    detail::resolve_claimed<T>(*kept, std::forward<V>(with)...);
    return true;
  }
  bool reject(std::exception_ptr reason) noexcept {
    make_sure_it_is_there();
    WEIR_ASSERT(reason && "a promise is rejected with an exception, not with none");
    if (!core_->claim()) return false;
    const detail::core_handle kept = core_;
    kept->settle_rejected(std::move(reason));
    return true;
  }
  bool reject(error reason) noexcept {
    return reject(std::make_exception_ptr(exception(std::move(reason))));
  }

  bool is_resolved() const noexcept {
    make_sure_it_is_there();
    return core_->is_claimed();
  }
  /// False when nobody can read the result any more: the work for it can be spared.
  bool is_wanted() const noexcept {
    make_sure_it_is_there();
    return !is_given_ || !core_->has_one_owner();
  }

 private:
  void make_sure_it_is_there() const noexcept {
    WEIR_ASSERT(core_ && "an empty promise is used: it was moved from");
  }

  detail::core_handle core_;
  bool is_given_ = false;
};

/// A future that has its value already, or its reason.
template <class V>
future<std::decay_t<V>> resolved_future(V&& value) {
  promise<std::decay_t<V>> made;
  made.resolve(std::forward<V>(value));
  return made.get_future();
}
inline future<void> resolved_future() {
  promise<void> made;
  made.resolve();
  return made.get_future();
}
template <class T = void>
future<T> rejected_future(error reason,
                          std::source_location place = std::source_location::current()) {
  promise<T> made(place);
  made.reject(std::move(reason));
  return made.get_future();
}

/// Starts a task in `owner`, or in the running task's scope, and gives its outcome as a future: an
/// error goes there and not to the scope. A cancelled task rejects it as `cancelled`.
template <class T>
future<T> spawn_future(scope& owner, task<T> body,
                       std::source_location place = std::source_location::current()) {
  auto* made = new detail::promise_value<T>(place);
  future<T> given{detail::core_handle(made)};
  made->claim();
  detail::settle_by_task<T>(*made, owner, std::move(body), place);
  return given;
}
template <class T>
future<T> spawn_future(task<T> body, std::source_location place = std::source_location::current()) {
  return spawn_future(detail::scope_here("spawn_future"), std::move(body), place);
}

}  // namespace weir

// A task for those who can't await: it runs in a scope and calls back once, with its outcome. The
// hard idea: the call is owed from the task's first step on, so it comes in every case, also when
// the task's frames end because of a cancellation.
#pragma once

#include <weir/core/scope.hpp>
#include <weir/flow/detail/handler_queue.hpp>

#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

void report_callback_failure() noexcept;

/// A function that is owed exactly one call, once the task has begun.
template <class T, class F>
class owed_call {
 public:
  explicit owed_call(F function) : function_(std::move(function)) {}
  owed_call(owed_call&& other) noexcept
      : function_(std::move(other.function_)), is_owed_(std::exchange(other.is_owed_, false)) {}
  owed_call& operator=(owed_call&&) = delete;
  ~owed_call() {
    if (!is_owed_) return;
    try {
      function_(result<T>(fail(errc::cancelled, "the task was cancelled")));
    } catch (...) {
      report_callback_failure();
    }
  }
  void begin() noexcept { is_owed_ = true; }
  void operator()(result<T> outcome) {
    is_owed_ = false;
    function_(std::move(outcome));
  }

 private:
  F function_;
  bool is_owed_ = false;
};

template <class T, class F>
task<> call_with_outcome(owed_call<T, F> done, task<T> work) {
  done.begin();
  result<T> outcome = fail(errc::internal);
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
      outcome = {};
    } else {
      outcome = co_await std::move(work);
    }
  } catch (...) {
    outcome = fail(error_of(std::current_exception()));
  }
  done(std::move(outcome));
}

}  // namespace detail

/// Starts a task in `owner` (or in the running task's scope) and calls done(result<T>) once, on the
/// loop and never inside this call: with its value, its error (one that is none of weir's is
/// `internal`, with its text), or `cancelled`. What done throws fails the scope. What this call
/// itself raises (no memory for the task, a scope that has ended) is raised instead of the call.
template <class T, class F>
  requires std::is_invocable_v<F&, result<T>>
void to_callback(scope& owner, task<T> work, F done,
                 std::source_location place = std::source_location::current()) {
  // Its frame is made here: without memory for it, spawn() would take that as the task's failure.
  task<> calling =
      detail::call_with_outcome<T, F>(detail::owed_call<T, F>(std::move(done)), std::move(work));
  owner.spawn_at(place, detail::given_task<void>{std::move(calling)});
}
template <class T, class F>
  requires std::is_invocable_v<F&, result<T>>
void to_callback(task<T> work, F done,
                 std::source_location place = std::source_location::current()) {
  to_callback(detail::scope_here("to_callback"), std::move(work), std::move(done), place);
}

}  // namespace weir

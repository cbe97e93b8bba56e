// Waits that end early when the server drains. The hard idea: a result that is there already beats
// the drain, so nothing that was taken from a queue is thrown away.
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/event.hpp>

#include <utility>

namespace weir {

namespace detail {

inline task<> cancel_when(event* happened, scope* inside) {
  co_await happened->wait();
  inside->cancel("the server drains");
}

template <class T>
task<result<T>> until_set(event& happened, task<T> body) {
  auto outcome =
      co_await with_scope({.name = "wait of a client"}, [&](scope& inside) -> task<result<T>> {
        inside.spawn(cancel_when, &happened, &inside);
        auto inner = co_await as_result(std::move(body));
        inside.cancel("the wait is over");
        co_return inner;
      });
  // A cancellation from outside is not ours to absorb: a caller that goes round for `cancelled`
  // would never end.
  if (!outcome && outcome.error() == errc::cancelled) co_await checkpoint();
  co_return outcome;
}

}  // namespace detail

/// The task's value; `cancelled` when the event was set before it had one. Errors of the task are
/// given as they are; a cancellation from outside ends the caller, as at any wait.
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER task<result<T>> until_drained(event& drain, task<T> body) {
  return detail::until_set(drain, std::move(body));
}

}  // namespace weir

// Several tasks at once. Each combinator is a scope: no branch outlives the await, losers are
// cancelled and awaited, and errors arrive as one group. The hard idea: the first end and the end
// of the last loser are two moments, and a loser may succeed between them; each combinator says
// what becomes of its value.
//
//                  waits for              losers' values        an error of one branch
//   when_all       all                    -                     cancels all, raised
//   when_any       the first end          destroyed             of the first: raised
//   race           the first end          returned              cancels all, raised
//   first_success  the first value        destroyed             counts when no branch has a value
//   all_settled    all                    -                     returned
//
// Of tasks in a vector, when their number is known at run time: combine_many.hpp.
//
// A loser that fails while it is cancelled is an error of a branch: when_any and race raise it, and
// the winner's value is lost; first_success leaves it out. A branch that cancels its current scope
// cancels the whole: without a winner, and without a failure, that is raised as `cancelled`, but by
// all_settled, where branches that were cut off have neither value nor failure.
#pragma once

#include <weir/core/detail/awaited_at.hpp>
#include <weir/core/detail/branches.hpp>
#include <weir/core/with_scope.hpp>

#include <source_location>
#include <tuple>
#include <utility>

namespace weir {

/// Runs all tasks at once and gives their values as a tuple (unit for those without one). The first
/// error cancels the others; all errors arrive as one error_group.
template <class... T>
[[nodiscard]] task<std::tuple<detail::unit_if_void<T>...>> when_all(task<T>... bodies) {
  const std::source_location at = detail::awaited_at();
  co_return co_await with_scope(
      {.name = "when_all"}, [&](scope& s) -> task<std::tuple<detail::unit_if_void<T>...>> {
        std::tuple<spawned<T>...> handles{
            s.spawn_at(at, detail::given_task<T>{std::move(bodies)})...};
        co_await s.join();
        co_return std::apply(
            [](auto&... handle) {
              return std::tuple<detail::unit_if_void<T>...>{handle.take_value()...};
            },
            handles);
      });
}

/// Runs all tasks at once until one ends; the others are cancelled and awaited, and their values
/// are destroyed. Tasks of one type: its value. Of several types: a std::variant, by position.
/// Without values: a variant of units, whose index() says who won. If the first to end fails, its
/// error (with those of the others, if any) arrives as an error_group; so does that of a loser
/// which fails while it is cancelled, and the winner's value is destroyed.
template <class T, class... U>
[[nodiscard]] WEIR_CORO_WRAPPER auto when_any(task<T> first, task<U>... others) {
  return detail::any_of(detail::branch_pack<T, U...>(std::move(first), std::move(others)...));
}

/// As when_any, but a loser whose value was there before its cancellation reached it keeps it: one
/// `selected` a branch, of which at least one has a value. `auto [mine, theirs] = co_await
/// race(a(), b());` for branches whose values must not be lost. An error of any branch cancels all
/// and arrives in an error_group.
template <class... T>
[[nodiscard]] WEIR_CORO_WRAPPER task<std::tuple<selected<T>...>> race(task<T>... bodies) {
  static_assert(sizeof...(T) > 0, "race needs a task");
  return detail::race_of(detail::branch_pack<T...>(std::move(bodies)...));
}

/// Runs all tasks at once until one succeeds; errors before that count only when all fail, and then
/// arrive as one error_group in the order of the arguments. The value comes as from when_any.
template <class T, class... U>
[[nodiscard]] WEIR_CORO_WRAPPER auto first_success(task<T> first, task<U>... others) {
  return detail::success_of(detail::branch_pack<T, U...>(std::move(first), std::move(others)...));
}

/// Runs all tasks at once to their ends and gives what each came to, value or error: no error
/// cancels another branch. `auto [one, other] = co_await all_settled(a(), b()); if (!one.failure())
/// use(*one);`
template <class... T>
[[nodiscard]] WEIR_CORO_WRAPPER task<std::tuple<selected<T>...>> all_settled(task<T>... bodies) {
  return detail::settled_of(detail::branch_pack<T...>(std::move(bodies)...));
}

}  // namespace weir

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
// A loser that fails while it is cancelled is an error of a branch: when_any and race raise it, and
// the winner's value is lost; first_success leaves it out. A branch that cancels its current scope
// cancels the whole: without a winner, and without a failure, that is raised as `cancelled`, but by
// all_settled, where branches that were cut off have neither value nor failure.
#pragma once

#include <weir/core/error_group.hpp>
#include <weir/core/select.hpp>
#include <weir/core/with_scope.hpp>

#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace weir {

namespace detail {

template <class T>
using unit_if_void = std::conditional_t<std::is_void_v<T>, unit, T>;

/// What the branches of a when_any share.
template <class Value>
struct any_state {
  scope* around = nullptr;
  std::optional<Value> winner;
};

template <std::size_t Index, class Value, class T>
task<> any_branch(any_state<Value>* state, task<T> body) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(body);
    if (state->winner) co_return;
    state->winner.emplace(Value(std::in_place_index<Index>));
  } else {
    T value = co_await std::move(body);
    if (state->winner) co_return;
    state->winner.emplace(Value(std::in_place_index<Index>, std::move(value)));
  }
  state->around->cancel("another branch of when_any was first");
}

template <class Value, class... T, std::size_t... Index>
task<Value> any_of(std::index_sequence<Index...>, task<T>... bodies) {
  any_state<Value> state;
  const scope_end end = co_await with_scope({.name = "when_any"}, [&](scope& s) -> task<> {
    state.around = &s;
    (s.spawn(any_branch<Index, Value, T>, &state, std::move(bodies)), ...);
    co_await s.join();
  });
  if (!state.winner) raise_cut_short(end.reason);  // a branch has cancelled the scope around it
  co_return std::move(*state.winner);
}

/// Runs a branch and keeps its value, or its error, where it may stand beside those of others.
template <class T>
task<> keep_value(task<T> body, selected<T>* into) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(body);
    into->emplace();
  } else {
    into->emplace(co_await std::move(body));
  }
}
template <class T>
task<> keep_outcome(task<T> body, selected<T>* into) {
  try {
    co_await keep_value(std::move(body), into);
  } catch (...) {
    into->fail(std::current_exception());
  }
}
template <class T>
task<> race_branch(task<T> body, selected<T>* into, scope* around) {
  co_await keep_value(std::move(body), into);
  around->cancel("another branch of the race was first");
}
template <class T>
task<> success_branch(task<T> body, selected<T>* into, scope* around) {
  co_await keep_outcome(std::move(body), into);
  if (!into->failure()) around->cancel("another branch of first_success was first");
}

/// Collects the errors of branches that all failed, as a group.
class failed_branches {
 public:
  failed_branches();
  failed_branches(const failed_branches&) = delete;
  failed_branches& operator=(const failed_branches&) = delete;
  /// Null: the branch has ended without one.
  void add(const std::exception_ptr& failure) noexcept;
  bool is_empty() const noexcept { return group_.is_empty(); }
  [[noreturn]] void raise();

 private:
  error_list* list_;  // owned by the group
  error_group group_;
};

template <class Value, class... T, std::size_t... Index>
task<Value> success_of(std::index_sequence<Index...>, task<T>... bodies) {
  std::tuple<selected<T>...> ends;
  const scope_end end = co_await with_scope({.name = "first_success"}, [&](scope& s) -> task<> {
    (s.spawn(success_branch<T>, std::move(bodies), &std::get<Index>(ends), &s), ...);
    co_await s.join();
  });
  std::optional<Value> first;
  ((!first && std::get<Index>(ends) && !std::get<Index>(ends).failure()
        ? static_cast<void>(
              first.emplace(std::in_place_index<Index>, std::move(*std::get<Index>(ends))))
        : void()),
   ...);
  if (!first) {
    failed_branches all;
    (all.add(std::get<Index>(ends).failure()), ...);
    if (all.is_empty()) raise_cut_short(end.reason);
    all.raise();
  }
  co_return std::move(*first);
}

template <class T, class Variant>
task<T> value_of_any(task<Variant> outcome) {
  Variant winner = co_await std::move(outcome);
  co_return std::visit([](auto& value) -> T { return std::move(value); }, winner);
}

}  // namespace detail

/// Runs all tasks at once and gives their values as a tuple (unit for those without one). The first
/// error cancels the others; all errors arrive as one error_group.
template <class... T>
[[nodiscard]] task<std::tuple<detail::unit_if_void<T>...>> when_all(task<T>... bodies) {
  co_return co_await with_scope(
      {.name = "when_all"}, [&](scope& s) -> task<std::tuple<detail::unit_if_void<T>...>> {
        std::tuple<spawned<T>...> handles{s.spawn(detail::given_task<T>{std::move(bodies)})...};
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
  constexpr bool is_uniform = (std::is_same_v<T, U> && ...);
  using value = std::variant<detail::unit_if_void<T>, detail::unit_if_void<U>...>;
  if constexpr (is_uniform && !std::is_void_v<T>) {
    return detail::value_of_any<T>(detail::any_of<value, T, U...>(
        std::index_sequence_for<T, U...>{}, std::move(first), std::move(others)...));
  } else {
    return detail::any_of<value, T, U...>(std::index_sequence_for<T, U...>{}, std::move(first),
                                          std::move(others)...);
  }
}

/// As when_any, but a loser whose value was there before its cancellation reached it keeps it: one
/// `selected` a branch, of which at least one has a value. `auto [mine, theirs] = co_await
/// race(a(), b());` for branches whose values must not be lost. An error of any branch cancels all
/// and arrives in an error_group.
template <class... T>
[[nodiscard]] task<std::tuple<selected<T>...>> race(task<T>... bodies) {
  static_assert(sizeof...(T) > 0, "race needs a task");
  std::tuple<selected<T>...> ends;
  const scope_end end = co_await with_scope({.name = "race"}, [&](scope& s) -> task<> {
    std::apply(
        [&](auto&... into) {
          (s.spawn(detail::race_branch<T>, std::move(bodies), &into, &s), ...);
        },
        ends);
    co_await s.join();
  });
  const bool has_winner =
      std::apply([](const auto&... one) { return (static_cast<bool>(one) || ...); }, ends);
  if (!has_winner) detail::raise_cut_short(end.reason);
  co_return ends;
}

/// Runs all tasks at once until one succeeds; errors before that count only when all fail, and then
/// arrive as one error_group in the order of the arguments. The value comes as from when_any.
template <class T, class... U>
[[nodiscard]] WEIR_CORO_WRAPPER auto first_success(task<T> first, task<U>... others) {
  using value = std::variant<detail::unit_if_void<T>, detail::unit_if_void<U>...>;
  if constexpr ((std::is_same_v<T, U> && ...) && !std::is_void_v<T>) {
    return detail::value_of_any<T>(detail::success_of<value, T, U...>(
        std::index_sequence_for<T, U...>{}, std::move(first), std::move(others)...));
  } else {
    return detail::success_of<value, T, U...>(std::index_sequence_for<T, U...>{}, std::move(first),
                                              std::move(others)...);
  }
}

/// Runs all tasks at once to their ends and gives what each came to, value or error: no error
/// cancels another branch. `auto [one, other] = co_await all_settled(a(), b()); if (!one.failure())
/// use(*one);`
template <class... T>
[[nodiscard]] task<std::tuple<selected<T>...>> all_settled(task<T>... bodies) {
  std::tuple<selected<T>...> ends;
  co_await with_scope({.name = "all_settled"}, [&](scope& s) -> task<> {
    std::apply(
        [&](auto&... into) { (s.spawn(detail::keep_outcome<T>, std::move(bodies), &into), ...); },
        ends);
    co_await s.join();
  });
  co_return ends;
}

}  // namespace weir

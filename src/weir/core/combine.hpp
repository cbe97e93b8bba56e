// Several tasks at once: when_all and when_any. Both are scopes: no branch outlives the await,
// losers are cancelled and awaited, and errors arrive as one group.
#pragma once

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
  co_await with_scope({.name = "when_any"}, [&](scope& s) -> task<> {
    state.around = &s;
    (s.spawn(any_branch<Index, Value, T>, &state, std::move(bodies)), ...);
    co_await s.join();
  });
  co_return std::move(*state.winner);
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
/// error (with those of the others, if any) arrives as an error_group.
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

}  // namespace weir

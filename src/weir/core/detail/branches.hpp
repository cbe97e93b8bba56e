// What the combinations of tasks are made of, for tasks that the compiler knows one by one and for
// those in a vector (combine_many.hpp). The hard idea: a combination knows its branches only by
// `Branches`, which starts them in order, has a place for what each comes to, and makes one result
// of the winner's value.
#pragma once

#include <weir/core/detail/awaited_at.hpp>
#include <weir/core/error_group.hpp>  // what combinations raise
#include <weir/core/select.hpp>
#include <weir/core/with_scope.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace weir::detail {

template <class T>
using unit_if_void = std::conditional_t<std::is_void_v<T>, unit, T>;

/// The place of a branch among those that the compiler knows.
template <std::size_t Index>
struct place_in_pack {
  template <class Ends>
  static auto& of(Ends& ends) noexcept {
    return std::get<Index>(ends);
  }
  /// The result of a combination that this branch has won.
  template <class One, class T>
  static One result_of(T value) {
    if constexpr (std::is_same_v<One, T>) {
      return value;
    } else {
      return One(std::in_place_index<Index>, std::move(value));
    }
  }
};

/// Branches that the compiler knows.
template <class... T>
class branch_pack {
  static constexpr bool is_of_one_type = [] {
    using first = std::tuple_element_t<0, std::tuple<T..., void>>;
    return (std::is_same_v<T, first> && ...) && !std::is_void_v<first>;
  }();

 public:
  using ends = std::tuple<selected<T>...>;
  using one_of = std::conditional_t<is_of_one_type,
                                    std::tuple_element_t<0, std::tuple<unit_if_void<T>..., unit>>,
                                    std::variant<unit_if_void<T>...>>;

  explicit branch_pack(task<T>&&... bodies) noexcept : bodies_(std::move(bodies)...) {}

  static constexpr std::size_t size() noexcept { return sizeof...(T); }
  ends make_ends() const { return {}; }
  /// visit(body, place), in their order.
  template <class Visit>
  void each(Visit visit) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (visit(std::get<I>(bodies_), place_in_pack<I>()), ...);
    }(std::index_sequence_for<T...>());
  }
  template <class Visit>
  static void each_end(ends& of, Visit visit) {
    std::apply([&](auto&... one) { (visit(one), ...); }, of);
  }

 private:
  std::tuple<task<T>...> bodies_;
};

/// The combination of the first of nothing: `invalid_argument`.
[[noreturn]] void raise_first_of_none();

/// What the branches of a when_any share.
template <class One>
struct any_state {
  scope* around = nullptr;
  std::optional<One> winner;
};

template <class One, class T, class Place>
task<> any_branch(any_state<One>* state, task<T> body, Place place) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(body);
    if (state->winner) co_return;
    state->winner.emplace(place.template result_of<One>(unit()));
  } else {
    T value = co_await std::move(body);
    if (state->winner) co_return;
    state->winner.emplace(place.template result_of<One>(std::move(value)));
  }
  state->around->cancel("another branch of when_any was first");
}

template <class Branches>
task<typename Branches::one_of> any_of(Branches branches) {
  using one_of = typename Branches::one_of;
  if (branches.size() == 0) raise_first_of_none();
  const std::source_location at = awaited_at();
  any_state<one_of> state;
  const scope_end end = co_await with_scope({.name = "when_any"}, [&](scope& s) -> task<> {
    state.around = &s;
    branches.each([&]<class T, class Place>(task<T>& body, Place place) {
      s.spawn_at(at, any_branch<one_of, T, Place>, &state, std::move(body), place);
    });
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

template <class Branches>
task<typename Branches::ends> settled_of(Branches branches) {
  const std::source_location at = awaited_at();
  auto ends = branches.make_ends();
  co_await with_scope({.name = "all_settled"}, [&](scope& s) -> task<> {
    branches.each([&]<class T>(task<T>& body, auto place) {
      s.spawn_at(at, keep_outcome<T>, std::move(body), &place.of(ends));
    });
    co_await s.join();
  });
  co_return ends;
}

template <class T>
task<> race_branch(task<T> body, selected<T>* into, scope* around) {
  co_await keep_value(std::move(body), into);
  around->cancel("another branch of the race was first");
}

template <class Branches>
task<typename Branches::ends> race_of(Branches branches) {
  if (branches.size() == 0) raise_first_of_none();
  const std::source_location at = awaited_at();
  auto ends = branches.make_ends();
  const scope_end end = co_await with_scope({.name = "race"}, [&](scope& s) -> task<> {
    branches.each([&]<class T>(task<T>& body, auto place) {
      s.spawn_at(at, race_branch<T>, std::move(body), &place.of(ends), &s);
    });
    co_await s.join();
  });
  bool has_winner = false;
  branches.each_end(ends, [&](const auto& one) { has_winner = has_winner || one; });
  if (!has_winner) raise_cut_short(end.reason);
  co_return ends;
}

/// The errors of branches that all failed, as a group.
class failed_branches {
 public:
  failed_branches() = default;
  failed_branches(const failed_branches&) = delete;
  failed_branches& operator=(const failed_branches&) = delete;
  ~failed_branches();
  /// The error that the running task, a branch, is handling.
  void add_current() noexcept;
  bool is_empty() const noexcept { return !list_; }
  /// In the order of the branches, which is that of their spawns.
  [[noreturn]] void raise();

 private:
  error_list* list_ = nullptr;  // made with the first error
};

/// What the branches of a first_success share.
struct success_state {
  scope* around = nullptr;
  const void* winner = nullptr;  // its end
  failed_branches failed;
};

template <class T>
task<> success_branch(task<T> body, selected<T>* into, success_state* state) {
  try {
    co_await keep_value(std::move(body), into);
  } catch (...) {
    state->failed.add_current();
    co_return;
  }
  if (state->winner) co_return;
  state->winner = into;
  state->around->cancel("another branch of first_success was first");
}

template <class Branches>
task<typename Branches::one_of> success_of(Branches branches) {
  using one_of = typename Branches::one_of;
  if (branches.size() == 0) raise_first_of_none();
  const std::source_location at = awaited_at();
  auto ends = branches.make_ends();
  success_state state;
  const scope_end end = co_await with_scope({.name = "first_success"}, [&](scope& s) -> task<> {
    state.around = &s;
    branches.each([&]<class T>(task<T>& body, auto place) {
      s.spawn_at(at, success_branch<T>, std::move(body), &place.of(ends), &state);
    });
    co_await s.join();
  });
  std::optional<one_of> first;
  branches.each([&](const auto&, auto place) {
    auto& one = place.of(ends);
    if (&one == state.winner) first.emplace(place.template result_of<one_of>(std::move(*one)));
  });
  if (!first && !state.failed.is_empty()) state.failed.raise();
  if (!first) raise_cut_short(end.reason);
  co_return std::move(*first);
}

}  // namespace weir::detail

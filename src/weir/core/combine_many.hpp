// The combinations of combine.hpp for tasks in a vector, when their number is known at run time:
// the same table, the same laws. The hard idea: all of them run at once, so the vector is the
// bound. Where fewer may run at once, when_all() takes how many; what has no end goes through a
// scope with tasks_max, by spawn_when_room().
//
//                  gives, of task<T>                         of task<>
//   when_all       std::vector<T>, in the order given        nothing
//   when_any       the first value                           who was first: its index
//   race           std::vector<selected<T>>                  std::vector<selected<void>>
//   first_success  the first value                           who was first: its index
//   all_settled    std::vector<selected<T>>                  std::vector<selected<void>>
//
// Of an empty vector when_all and all_settled give an empty one, at once; the others have no first
// and raise `invalid_argument`, as those of futures do (gather.hpp). More than a scope's default
// tasks_max (a million) raise `full`. A header of its own, for the weight of <vector>.
#pragma once

#include <weir/core/detail/awaited_at.hpp>
#include <weir/core/detail/branches.hpp>
#include <weir/core/with_scope.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

namespace weir {

namespace detail {

/// The place of a branch in a vector.
struct place_in_vector {
  std::size_t index;

  template <class Ends>
  auto& of(Ends& ends) const noexcept {
    return ends[index];
  }
  /// The result of a combination that this branch has won.
  template <class One, class T>
  One result_of(T value) const {
    if constexpr (std::is_same_v<One, T>) {
      return value;
    } else {
      return index;
    }
  }
};

/// Branches in a vector.
template <class T>
class branch_vector {
 public:
  using ends = std::vector<selected<T>>;
  using one_of = std::conditional_t<std::is_void_v<T>, std::size_t, T>;

  explicit branch_vector(std::vector<task<T>> bodies) noexcept : bodies_(std::move(bodies)) {}

  std::size_t size() const noexcept { return bodies_.size(); }
  ends make_ends() const { return ends(bodies_.size()); }
  /// visit(body, place), in their order.
  template <class Visit>
  void each(Visit visit) {
    for (std::size_t i = 0; i < bodies_.size(); ++i) visit(bodies_[i], place_in_vector{i});
  }
  template <class Visit>
  static void each_end(ends& of, Visit visit) {
    for (selected<T>& one : of) visit(one);
  }

 private:
  std::vector<task<T>> bodies_;
};

template <class T>
using all_values = std::conditional_t<std::is_void_v<T>, void, std::vector<unit_if_void<T>>>;

}  // namespace detail

/// Runs all tasks, at most `at_once` of them at a time (0: all), and gives their values in the
/// order of the tasks, in which they are spawned, too. The first error cancels the others, and
/// those that were not spawned never begin; all errors arrive as one error_group.
template <class T>
[[nodiscard]] task<detail::all_values<T>> when_all(std::vector<task<T>> bodies,
                                                   std::uint32_t at_once = 0) {
  using values = std::vector<detail::unit_if_void<T>>;
  const std::source_location at = detail::awaited_at();
  scope_options options{.name = "when_all"};
  if (at_once != 0) options.tasks_max = at_once;
  [[maybe_unused]] values all = co_await with_scope(options, [&](scope& s) -> task<values> {
    std::vector<spawned<T>> handles;
    handles.reserve(bodies.size());
    for (task<T>& body : bodies) {
      detail::given_task<T> next{std::move(body)};
      if (at_once == 0) {
        handles.push_back(s.spawn_at(at, std::move(next)));
      } else {
        handles.push_back(co_await s.spawn_when_room_at(at, std::move(next)));
      }
    }
    co_await s.join();
    values taken;
    taken.reserve(handles.size());
    for (spawned<T>& one : handles) taken.push_back(one.take_value());
    co_return taken;
  });
  if constexpr (!std::is_void_v<T>) co_return all;
}

/// Runs all tasks at once until one ends, and gives its value, or its index when tasks have none;
/// the others are cancelled and awaited, and their values are destroyed. An error of the first, or
/// of a loser while it is cancelled, arrives in an error_group.
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER auto when_any(std::vector<task<T>> bodies) {
  return detail::any_of(detail::branch_vector<T>(std::move(bodies)));
}

/// As when_any, but with a `selected` for each task: the value of a loser that was there before its
/// cancellation reached it is kept. At least one has a value.
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER task<std::vector<selected<T>>> race(std::vector<task<T>> bodies) {
  return detail::race_of(detail::branch_vector<T>(std::move(bodies)));
}

/// Runs all tasks at once until one succeeds, and gives its value, or its index when tasks have
/// none; errors count only when all fail, and then arrive as one error_group in the order of the
/// tasks.
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER auto first_success(std::vector<task<T>> bodies) {
  return detail::success_of(detail::branch_vector<T>(std::move(bodies)));
}

/// Runs all tasks at once to their ends and gives what each came to, value or error, in the order
/// of the tasks.
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER task<std::vector<selected<T>>> all_settled(
    std::vector<task<T>> bodies) {
  return detail::settled_of(detail::branch_vector<T>(std::move(bodies)));
}

}  // namespace weir

// Loops in parallel: parallel_for over numbers, parallel_for_each over a container, parallel_reduce
// for a sum of any kind. Each is a job: `co_await pool.run(parallel_for(0, n, body))` in a task,
// `co_await parallel_for(0, n, body)` in a job. The hard idea: a range is halved until a part has
// at most `grain` members, and the far half is what thieves find, so that each steal moves half of
// what is left and few are needed.
#pragma once

#include <weir/pool/fork.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace weir {

struct parallel_options {
  /// At most so many members are one piece of work. 0: an eighth of a thread's share, so that a
  /// thread which is late can be helped. Larger where a member takes less than some 100 ns.
  std::size_t grain = 0;
};

namespace detail {

inline std::size_t grain_for(std::size_t count, const parallel_options& options,
                             std::size_t least = 1) noexcept {
  if (options.grain != 0) return options.grain;
  const std::size_t eighth = count / (std::size_t{8} * pool_width());
  return eighth < least ? least : eighth;
}

template <class Body>
job<> for_part(std::size_t from, std::size_t to, std::size_t grain, Body& body) {
  if (to - from <= grain) {
    for (; from != to; ++from) body(from);
    co_return;
  }
  const std::size_t middle = from + (to - from) / 2;
  co_await fork(for_part(from, middle, grain, body), for_part(middle, to, grain, body)).flat();
}

template <class T, class Map, class Combine>
job<T> reduce_part(std::size_t from, std::size_t to, std::size_t grain, const T& identity, Map& map,
                   Combine& combine) {
  if (to - from <= grain) {
    T sum = identity;
    for (; from != to; ++from) sum = combine(std::move(sum), map(from));
    co_return sum;
  }
  const std::size_t middle = from + (to - from) / 2;
  auto [low, high] = co_await fork(reduce_part<T>(from, middle, grain, identity, map, combine),
                                   reduce_part<T>(middle, to, grain, identity, map, combine))
                         .flat();
  co_return combine(std::move(low), std::move(high));
}

/// The number of members of [first, last); none when last is before first.
template <std::integral Index>
std::size_t count_between(Index first, Index last) noexcept {
  return last <= first ? 0 : static_cast<std::size_t>(last) - static_cast<std::size_t>(first);
}
template <std::integral Index>
Index member(Index first, std::size_t at) noexcept {
  return static_cast<Index>(static_cast<std::size_t>(first) + at);
}

}  // namespace detail

/// Calls body(i) for every i of [first, last), from several threads at once, each in ascending
/// order. The first error ends what has not begun; all arrive as one error_group.
template <std::integral Index, class Body>
  requires std::is_invocable_v<Body&, Index>
job<> parallel_for(Index first, Index last, Body body, parallel_options options = {}) {
  const std::size_t count = detail::count_between(first, last);
  auto each = [&](std::size_t at) { body(detail::member(first, at)); };
  co_await fork(detail::for_part(0, count, detail::grain_for(count, options), each)).flat();
}

/// The same for the elements of a container with begin() and size(), such as a vector or a span.
/// The container must live until the end: it is a reference here.
template <class Container, class Body>
  requires requires(Container& of, Body& body) { body(of.begin()[0]), of.size(); }
job<> parallel_for_each(Container& elements, Body body, parallel_options options = {}) {
  const auto first = elements.begin();
  using step = std::remove_cvref_t<decltype(elements.end() - first)>;
  auto each = [&](std::size_t at) { body(first[static_cast<step>(at)]); };
  const std::size_t count = elements.size();
  co_await fork(detail::for_part(0, count, detail::grain_for(count, options), each)).flat();
}

/// combine(... combine(combine(identity, map(first)), map(first + 1)) ..., map(last - 1)), where
/// `combine` may be applied to neighbouring parts in any grouping, but in their order; `identity`
/// begins each part. With floating point the grouping shows: the same `grain` gives the same sum.
template <class T, std::integral Index, class Map, class Combine>
  requires std::is_invocable_r_v<T, Combine&, T, std::invoke_result_t<Map&, Index>>
job<T> parallel_reduce(Index first, Index last, T identity, Map map, Combine combine,
                       parallel_options options = {}) {
  const std::size_t count = detail::count_between(first, last);
  auto each = [&](std::size_t at) { return map(detail::member(first, at)); };
  auto [sum] = co_await fork(detail::reduce_part<T>(0, count, detail::grain_for(count, options),
                                                    identity, each, combine))
                   .flat();
  co_return std::move(sum);
}

/// Calls plain functions at once and gives their values as a tuple (unit for those without one;
/// nothing when none has one). Errors arrive as one error_group. For jobs: fork().
template <class... F>
  requires(std::is_invocable_v<F&> && ...)
auto parallel_invoke(F... functions)
    -> job<decltype(std::declval<fork_awaiter<std::invoke_result_t<F&>...>&>().await_resume())> {
  co_return co_await fork(detail::job_of_call(std::move(functions))...);
}

}  // namespace weir

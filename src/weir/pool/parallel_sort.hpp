// parallel_sort: quicksort whose halves are jobs, in place. The hard idea: partitions are one
// thread's work each, and the first one looks at everything, so however many threads there are, it
// is faster than a plain sort by about log2(n) / 4 at most. A merge sort would scale further, for a
// second buffer; it was left for when somebody sorts on more than some 8 threads.
#pragma once

#include <weir/pool/parallel_for.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <iterator>
#include <utility>

namespace weir {

namespace detail {

inline constexpr std::size_t sort_grain_least = 2048;  // below, a plain sort is faster

template <class It, class Less>
It median_of_three(It a, It b, It c, Less& less) {
  if (less(*b, *a)) std::swap(a, b);
  if (!less(*c, *b)) return b;
  return less(*c, *a) ? a : c;
}

/// Brings an element near the middle to the front.
template <class It, class Less>
void choose_pivot(It first, It last, Less& less) {
  const auto eighth = (last - first) / 8;
  It middle = first + 4 * eighth;
  It found = median_of_three(
      median_of_three(first, first + eighth, first + 2 * eighth, less),
      median_of_three(middle - eighth, middle, middle + eighth, less),
      median_of_three(first + 6 * eighth, first + 7 * eighth, last - 1, less), less);
  std::iter_swap(first, found);
}

template <class It, class Less>
job<> sort_part(It first, It last, Less& less, std::size_t grain, int depth) {
  const auto count = static_cast<std::size_t>(last - first);
  // Unlucky pivots are given up in time: the rest is a plain sort's, which has a bound.
  if (count <= grain || depth == 0) {
    std::sort(first, last, [&less](const auto& a, const auto& b) { return less(a, b); });
    co_return;
  }
  choose_pivot(first, last, less);
  It middle = std::partition(first + 1, last, [&](const auto& one) { return less(one, *first); });
  It high = middle;
  --middle;
  std::iter_swap(first, middle);                             // the pivot is where it belongs
  if (static_cast<std::size_t>(middle - first) < count / 8)  // many may equal it
    high = std::partition(high, last, [&](const auto& one) { return !less(*middle, one); });
  co_await fork(sort_part(first, middle, less, grain, depth - 1),
                sort_part(high, last, less, grain, depth - 1))
      .flat();
}

}  // namespace detail

/// Sorts [first, last), random access iterators; equal elements in any order. `less` is called from
/// several threads at once. When it throws, what the range holds is unspecified, as
/// for std::sort, and the errors arrive as one error_group. `grain`: parts of at most so many are
/// sorted by one thread; by default an eighth of a thread's share, and 2048 at least.
template <std::random_access_iterator It, class Less>
job<> parallel_sort(It first, It last, Less less, parallel_options options = {}) {
  const auto count = static_cast<std::size_t>(last - first);
  // Parts of less than 16 have no eighths to choose a pivot from.
  const std::size_t grain =
      std::max<std::size_t>(16, detail::grain_for(count, options, detail::sort_grain_least));
  const int depth = 2 * static_cast<int>(std::bit_width(count));
  co_await fork(detail::sort_part(first, last, less, grain, depth)).flat();
}
template <std::random_access_iterator It>
WEIR_CORO_WRAPPER job<> parallel_sort(It first, It last) {
  return parallel_sort(first, last, [](const auto& a, const auto& b) { return a < b; });
}

}  // namespace weir

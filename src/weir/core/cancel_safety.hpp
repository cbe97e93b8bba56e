// What a cancellation leaves of a wait, as part of the awaitable's type: whoever writes a wait
// says it (`when_cancelled`), or a task can't await it, and whoever builds on waits can ask.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace weir {

/// The answers to a cancellation. In all of them a result that was there before it is delivered.
/// docs/reference/waits.md has each wait with the tests that cancel it at every point.
enum class cancel_safety : std::uint8_t {
  nothing_happened,    // what it waits on is as before the await; what was moved into the wait goes
  partial,             // some of it may have happened: its call says how much, or what is to do
  point_of_no_return,  // what the await began is awaited, asked to end or not, to its result
  as_its_waits,        // a task: what it leaves, the waits in it leave; its card says which
};

namespace detail {

template <class A>
concept states_cancel_safety =
    std::same_as<std::remove_cvref_t<decltype(A::when_cancelled)>, cancel_safety>;

template <class A>
consteval cancel_safety safety_of() {
  if constexpr (states_cancel_safety<std::remove_cvref_t<A>>) {
    return std::remove_cvref_t<A>::when_cancelled;
  } else {
    return decltype(std::declval<A>().operator co_await())::when_cancelled;
  }
}

}  // namespace detail

/// Of what stands behind co_await: `static_assert(cancel_safety_of<decltype(inbox.receive())> ==
/// cancel_safety::nothing_happened);`
template <class A>
inline constexpr cancel_safety cancel_safety_of = detail::safety_of<A>();

}  // namespace weir

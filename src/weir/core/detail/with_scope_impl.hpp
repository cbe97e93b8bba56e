// Bodies of with_scope.hpp's templates.
#pragma once

#include <weir/core/with_scope.hpp>

namespace weir {
namespace detail {

[[noreturn]] void rethrow_single(const std::exception& group);  // error_group.hpp

template <class T>
struct given_body {
  task<T> body;
  WEIR_CORO_WRAPPER task<T> operator()(scope&) noexcept { return std::move(body); }
};

/// A single wait as a task.
template <class Leaf>
task<typename Leaf::value_type> awaited(Leaf leaf) {
  co_return co_await static_cast<Leaf&&>(leaf);
}

/// Runs the body in a scope with the options that make() gives. They are written where they stay:
/// to copy them right after that would wait for the writes.
template <class T, class Make>
task<T> run_bounded(Make make, task<T> body) {
  try {
    co_return co_await scope_awaiter<T, given_body<T>, cut_short::raise_error>(
        make(), given_body<T>{std::move(body)});
  } catch (const std::exception& e) {
    rethrow_single(e);
  }
}

}  // namespace detail

template <class T>
WEIR_CORO_WRAPPER task<T> with_timeout(duration length, task<T> body) {
  return detail::run_bounded(
      [length] { return scope_options{.name = detail::timeout_name, .timeout = length}; },
      std::move(body));
}

template <class Leaf>
  requires std::is_base_of_v<detail::wait, Leaf>
WEIR_CORO_WRAPPER auto with_timeout(duration length, Leaf&& leaf) {
  return with_timeout(length, detail::awaited<Leaf>(static_cast<Leaf&&>(leaf)));
}

template <class T>
WEIR_CORO_WRAPPER task<T> with_timeout(duration length, const spawned<T>& handle) {
  return with_timeout(length, detail::awaited(handle.operator co_await()));
}

template <class T>
WEIR_CORO_WRAPPER task<T> with_deadline(time_point at, task<T> body) {
  return detail::run_bounded(
      [at] {
        const bool is_timed = at != time_point::never();
        return scope_options{.name = "deadline",
                             .timeout = is_timed ? at - loop::current()->now() : duration::max()};
      },
      std::move(body));
}

template <class T>
WEIR_CORO_WRAPPER task<T> shield(task<T> body, duration timeout) {
  return detail::run_bounded(
      [timeout] { return scope_options{.name = "shield", .timeout = timeout, .shield = true}; },
      std::move(body));
}

template <class Leaf>
  requires std::is_base_of_v<detail::wait, Leaf>
WEIR_CORO_WRAPPER auto shield(Leaf&& leaf, duration timeout) {
  return shield(detail::awaited<Leaf>(static_cast<Leaf&&>(leaf)), timeout);
}

}  // namespace weir

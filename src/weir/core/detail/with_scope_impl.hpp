// Bodies of with_scope.hpp's templates.
#pragma once

#include <weir/core/with_scope.hpp>

namespace weir {
namespace detail {

/// The only error of a scope that had a single body: unwrapped from its group.
[[noreturn]] void rethrow_single(const std::exception& group);

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

template <class T>
task<T> run_bounded(scope_options options, task<T> body, time_point at = time_point::never()) {
  if (at != time_point::never()) options.timeout = at - loop::current()->now();
  try {
    co_return co_await scope_awaiter<T, given_body<T>, cut_short::raise_error>(
        options, given_body<T>{std::move(body)});
  } catch (const std::exception& e) {
    rethrow_single(e);
  }
}

/// run_bounded() with a time-out and nothing else, which is what most scopes are made for: the
/// options are written once, where they stay.
template <class T>
task<T> run_timed(duration length, task<T> body) {
  try {
    co_return co_await scope_awaiter<T, given_body<T>, cut_short::raise_error>(
        {.name = timeout_name, .timeout = length}, given_body<T>{std::move(body)});
  } catch (const std::exception& e) {
    rethrow_single(e);
  }
}

}  // namespace detail

template <class T>
WEIR_CORO_WRAPPER task<T> with_timeout(duration length, task<T> body) {
  return detail::run_timed(length, std::move(body));
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
  return detail::run_bounded(scope_options{.name = "deadline"}, std::move(body), at);
}

template <class T>
WEIR_CORO_WRAPPER task<T> shield(task<T> body, duration timeout) {
  return detail::run_bounded(scope_options{.name = "shield", .timeout = timeout, .shield = true},
                             std::move(body));
}

}  // namespace weir

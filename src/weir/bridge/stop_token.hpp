// std::stop_token both ways: a scope that ends when somebody's token says so, and a token that says
// when a scope ends. The hard idea: a token is stopped on any thread and a scope is cancelled on
// its own loop, so a task of the scope stands between them and waits for the one or the other.
#pragma once

#include <weir/core/with_scope.hpp>
#include <weir/flow/event.hpp>

#include <stop_token>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

/// Cancels the scope when the event is set.
task<> cancel_when_stopped(cross::event* stopped, scope* around);
/// Requests the stop when its own scope is cancelled.
task<> stop_when_cancelled(std::stop_source source);
/// The body's value; its only error as it is.
template <class T, class Body>
task<T> run_in_scope(const char* name, Body body) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await with_scope({.name = name}, body);
    } else {
      co_return co_await with_scope({.name = name}, body);
    }
  } catch (const std::exception& e) {
    rethrow_single(e);
  }
}

}  // namespace detail

/// Runs the task and cancels it when the token is stopped, on whatever thread: then one without a
/// value just ends, and one with a value raises `cancelled`. A token that is stopped already lets
/// it run to its first wait. An error of the task is raised as it is.
template <class T>
[[nodiscard]] task<T> cancel_on_stop(std::stop_token token, task<T> body) {
  cross::event stopped("std::stop_token");
  const std::stop_callback on_stop(token, [&] { stopped.set(); });
  const auto run = [&](scope& s) -> task<T> {
    if (stopped.is_set()) {
      s.cancel("a std::stop_token was stopped");
    } else {
      s.spawn(detail::cancel_when_stopped, &stopped, &s);
    }
    if constexpr (std::is_void_v<T>) {
      co_await std::move(body);
      s.cancel("its work has ended");
    } else {
      T value = co_await std::move(body);
      s.cancel("its work has ended");
      co_return value;
    }
  };
  co_return co_await detail::run_in_scope<T>("cancel_on_stop", run);
}

/// Runs f(token) with a token that is stopped when the scope around it is cancelled; for code that
/// asks tokens, such as a call on the blocking pool: `co_await with_stop_token([&](std::stop_token
/// t) -> task<> { co_await blocking([&] { old_library(t); }); });` The token is stopped afterwards.
template <class F>
[[nodiscard]] auto with_stop_token(F f) -> std::invoke_result_t<F&, std::stop_token> {
  using value = typename std::invoke_result_t<F&, std::stop_token>::value_type;
  std::stop_source source;
  const auto run = [&](scope& s) -> task<value> {
    s.spawn(detail::stop_when_cancelled, source);
    if constexpr (std::is_void_v<value>) {
      co_await f(source.get_token());
      s.cancel("its work has ended");
    } else {
      value got = co_await f(source.get_token());
      s.cancel("its work has ended");
      co_return got;
    }
  };
  co_return co_await detail::run_in_scope<value>("with_stop_token", run);
}

}  // namespace weir

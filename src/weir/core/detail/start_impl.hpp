// Bodies of start.hpp's templates.
#pragma once

#include <weir/core/detail/awaited_at.hpp>
#include <weir/core/start.hpp>

#include <source_location>

namespace weir {
namespace detail {

template <class T, class F, class... A>
task<> say_and_run(std::optional<T>* value, start_place* place, F f, A... args) {
  readiness<T> ready(*value, *place);
  co_await f(ready, std::move(args)...);
}

}  // namespace detail

template <class T, class F, class... A>
task<T> start(scope& in, F f, A... args) {
  const std::source_location at = detail::awaited_at();
  std::optional<T> value;
  detail::start_place place(in);
  try {
    co_await with_scope({.name = "start"}, [&](scope& nursery) -> task<> {
      nursery.spawn_at(at, &detail::say_and_run<T, F, A...>, &value, &place, std::move(f),
                       std::move(args)...);
      co_await nursery.join();
    });
  } catch (const std::exception& e) {
    detail::rethrow_single(e);
  }
  if (!value) raise(error(errc::closed, "start: the child ended before it said that it was ready"));
  co_return std::move(*value);
}

}  // namespace weir

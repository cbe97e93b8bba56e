// Bodies of hedge.hpp's templates.
#pragma once

#include <weir/core/detail/awaited_at.hpp>
#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/detail/clock_here.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/hedge.hpp>

#include <exception>
#include <expected>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

template <class T>
using value_or_unit = std::conditional_t<std::is_void_v<T>, unit, T>;

/// Raises `invalid_argument`.
void check_hedge(const hedge_options& options);

/// The part of a hedged call that does not depend on its value.
class hedge_course {
 public:
  hedge_course(const hedge_options& options, hedge_stats& stats, latency_histogram* took);

  bool may_begin(std::uint32_t number) noexcept;
  void succeeded(std::uint32_t number, time_point begun) noexcept;
  void failed(const call_failure& what);
  bool has_failed() const noexcept { return failures_.count() != 0; }
  error verdict() const;
  [[noreturn]] void raise() const;

  const hedge_options& options;
  scope* around = nullptr;
  auto_event one_failed{"the failure of a hedged call"};

 private:
  std::string why_no_more() const;

  hedge_stats& stats_;
  latency_histogram* took_;
  failure_list failures_;
  bool is_fatal_ = false;
};

template <class F>
task<> hedged_call(F* call, std::uint32_t number, hedge_course* course,
                   std::optional<value_or_unit<call_value_t<F>>>* first) {
  using value = call_value_t<F>;
  const time_point begun = now_here();
  try {
    if constexpr (std::is_void_v<value>) {
      co_await (*call)();
      if (first->has_value()) co_return;
      first->emplace();
    } else {
      value made = co_await (*call)();
      if constexpr (is_result<value>) {
        if (!made) {
          course->failed(call_failure(made.error()));
          co_return;
        }
      }
      if (first->has_value()) co_return;
      first->emplace(std::move(made));
    }
    course->succeeded(number, begun);
  } catch (...) {
    course->failed(call_failure(std::current_exception()));
  }
}

template <class F>
task<call_value_t<F>> hedge_call(F call, const hedge_options* options, hedge_stats* stats,
                                 latency_histogram* took, std::source_location at) {
  using value = call_value_t<F>;
  hedge_course course(*options, *stats, took);
  std::optional<value_or_unit<value>> first;
  const scope_end end = co_await with_scope({.name = options->name}, [&](scope& s) -> task<> {
    course.around = &s;
    for (std::uint32_t number = 0; course.may_begin(number); ++number) {
      s.spawn_at(at, &hedged_call<F>, &call, number, &course, &first);
      static_cast<void>(co_await select(course.one_failed.wait(), sleep(options->delay)));
    }
    co_await s.join();
  });
  if (first) {
    if constexpr (std::is_void_v<value>) {
      co_return;
    } else {
      co_return std::move(*first);
    }
  }
  if (!course.has_failed())
    raise_cut_short(end.reason);  // a call has cancelled the scope around it
  if constexpr (is_result<value>) {
    co_return std::unexpected<error>(course.verdict());
  } else {
    course.raise();
  }
}

}  // namespace detail

template <class F>
task<detail::call_value_t<F>> hedge(hedge_options options, F call) {
  hedge_stats uncounted;
  co_return co_await detail::hedge_call(detail::call_ref<F>{&call}, &options, &uncounted, nullptr,
                                        detail::awaited_at());
}

template <class F>
task<detail::call_value_t<F>> hedge_policy::run(F call) {
  const detail::calls_inside::guard inside(inside_);
  hedge_options now = options_;
  now.delay = delay();
  co_return co_await detail::hedge_call(detail::call_ref<F>{&call}, &now, &stats_, &took_,
                                        detail::awaited_at());
}

}  // namespace weir

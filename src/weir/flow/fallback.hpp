// fallback: when a call fails, something else gives the value: an older one, a default, another
// server's. When that fails, too, both failures are told.
#pragma once

#include <weir/core/task.hpp>
#include <weir/flow/call_failure.hpp>
#include <weir/flow/detail/calls.hpp>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace weir {

struct fallback_options {
  failure_test when = is_any_failure;  // others are raised as they are
  const char* name = "fallback";
};

struct fallback_stats {
  std::uint64_t calls = 0;
  std::uint64_t fell_back = 0;
  std::uint64_t failed_too = 0;
};

namespace detail {

/// What `other` gives for this failure: it may want to see it, and may be a task or a plain value.
template <class G>
WEIR_CORO_WRAPPER decltype(auto) ask_other(G& other, const call_failure& why) {
  if constexpr (std::is_invocable_v<G&, const call_failure&>) {
    return other(why);
  } else {
    return other();
  }
}

/// A call that was cancelled has not failed, also where that is told as an error.
inline bool falls_back(const fallback_options& options, const call_failure& why) {
  return why.code() != errc::cancelled && options.when(why);
}

/// Raises `invalid_argument`.
void check_fallback(const fallback_options& options);
/// The failure of the other, with that of the call as its cause.
error both_failed(const char* name, const call_failure& first, const call_failure& second);

template <class F, class G>
task<call_value_t<F>> fallback_call(F call, G* other, const fallback_options* options,
                                    fallback_stats* stats) {
  using value = call_value_t<F>;
  check_fallback(*options);
  ++stats->calls;
  std::optional<call_failure> first;
  try {
    if constexpr (std::is_void_v<value>) {
      co_await call();
      co_return;
    } else {
      value made = co_await call();
      bool is_fine = true;
      if constexpr (is_result<value>) {
        is_fine = made.has_value();
        if (!is_fine) is_fine = !falls_back(*options, first.emplace(made.error()));
      }
      if (is_fine) co_return made;
    }
  } catch (...) {
    if (!falls_back(*options, first.emplace(std::current_exception()))) throw;
  }
  ++stats->fell_back;
  std::optional<call_failure> second;
  try {
    using given = std::remove_cvref_t<decltype(ask_other(*other, *first))>;
    if constexpr (requires { typename given::value_type; } && !std::is_same_v<given, value>) {
      co_return co_await ask_other(*other, *first);
    } else {
      co_return ask_other(*other, *first);
    }
  } catch (...) {
    second.emplace(std::current_exception());
  }
  ++stats->failed_too;
  raise(both_failed(options->name, *first, *second));
}

}  // namespace detail

/// The value of the call, or of `other` when it fails: `co_await fallback(from_network,
/// [](const call_failure& why) -> task<page> { ... });` `other` may take the failure, and may give
/// a plain value. A failure of `other` is raised with the call's failure as its cause.
/// `invalid_argument` when `when` is no function.
///
/// Cancel: ends the one that runs; a cancelled call has not failed, and `cancelled` is raised as it
/// is.
template <class F, class G>
task<detail::call_value_t<F>> fallback(F call, G other, fallback_options options = {}) {
  fallback_stats uncounted;
  co_return co_await detail::fallback_call(detail::call_ref<F>{&call}, &other, &options,
                                           &uncounted);
}

/// A fallback with counts, which many calls share.
///
/// Cancel:  as fallback().
/// Order:   none.
/// Bound:   nothing is kept between calls.
/// Errors:  as fallback().
/// Threads: one loop. It outlives every call of its own.
template <class G>
class fallback_policy {
 public:
  explicit fallback_policy(G other, fallback_options options = {})
      : other_(std::move(other)), options_(options) {}

  template <class F>
  task<detail::call_value_t<F>> run(F call) {
    const detail::calls_inside::guard inside(inside_);
    co_return co_await detail::fallback_call(detail::call_ref<F>{&call}, &other_, &options_,
                                             &stats_);
  }
  const char* name() const noexcept { return options_.name; }
  const fallback_stats& stats() const noexcept { return stats_; }

 private:
  G other_;
  fallback_options options_;
  fallback_stats stats_;
  detail::calls_inside inside_;
};

}  // namespace weir

// fork(a(), b()) and fork_list: several jobs at once. The await is the join: it ends after all of
// them have, so what they refer to may stand in the frame that forks. The hard idea: fork and join
// are one expression, so there is no handle that could be dropped while its job still runs.
#pragma once

#include <weir/core/scope.hpp>
#include <weir/pool/job.hpp>

#include <coroutine>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weir {

/// The await of fork(): runs the jobs, gives their values.
///
/// Cancel:  jobs of a cancelled tree that have not begun never do; the fork ends after those that
///          run.
/// Order:   the first job runs here at once, the others here after it or elsewhere meanwhile.
/// Bound:   a worker offers at most 1024 jobs; it runs the rest itself.
/// Errors:  the first one cancels the other jobs; all arrive as one error_group.
/// Threads: within a job only.
template <class... T>  // tidy-allow(shown): it is what fork() gives, and is awaited where it stands
class fork_awaiter {
 public:
  static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
  using awaited_by = detail::job_frame;

  // One after the other: taking several handles over at once, as the compiler would like to do,
  // waits for the stores that have just made them.
  [[gnu::always_inline]] explicit fork_awaiter(job<T>... jobs) noexcept
      : jobs_{&point_.add(*jobs.release())...} {}
  fork_awaiter(const fork_awaiter&) = delete;
  fork_awaiter& operator=(const fork_awaiter&) = delete;
  ~fork_awaiter() {
    for (detail::job_frame* one : jobs_) detail::handle_of(one).destroy();
  }

  /// A group of errors that a job raises becomes part of this fork's group.
  fork_awaiter&& flat() && noexcept {
    point_.flattens = true;
    return std::move(*this);
  }

  bool await_ready() const noexcept { return false; }
  template <class P>
  [[gnu::always_inline]] std::coroutine_handle<> await_suspend(
      std::coroutine_handle<P> from) noexcept {
    return detail::begin_fork(point_, sizeof...(T), from.promise());
  }
  auto await_resume() {
    if (point_.has_failed()) [[unlikely]]
      point_.raise();
    if constexpr ((!std::is_void_v<T> || ...)) {
      return values(std::index_sequence_for<T...>{});
    }
  }

 private:
  template <std::size_t... Index>
  auto values(std::index_sequence<Index...>) {
    return std::tuple<std::conditional_t<std::is_void_v<T>, unit, T>...>{
        value_of<T>(jobs_[Index])...};
  }
  template <class U>
  static auto value_of(detail::job_frame* of) {
    if constexpr (std::is_void_v<U>) {
      return unit{};
    } else {
      return static_cast<detail::job_promise<U>*>(of)->value();
    }
  }

  detail::fork_point point_;
  detail::job_frame* jobs_[sizeof...(T)];
};

/// Runs jobs at once, on as many threads of the pool as are free, and gives their values as a tuple
/// (unit for those without one; nothing when none has one):
/// `auto [a, b] = co_await fork(fib(n - 1), fib(n - 2));`
template <class... T>
[[nodiscard, gnu::always_inline]] inline fork_awaiter<T...> fork(job<T>... jobs) noexcept {
  static_assert(sizeof...(T) > 0, "fork needs a job");
  return fork_awaiter<T...>(std::move(jobs)...);
}

/// Jobs of one type, as many as you like: fork() adds one, the await of join() runs them all.
///
/// Cancel:  as fork(a, b).
/// Order:   values are found in the order in which their jobs were added.
/// Bound:   a frame for each job; a worker offers at most 1024 and runs the rest itself. Others are
///          shown one job each, and more when a job forks: many long jobs that fork nothing run
///          nearly all on one thread. Take parallel_for() for those.
/// Errors:  as fork(a, b).
/// Threads: within a job only.
template <class T = void>
class fork_list {
 public:
  fork_list() = default;
  fork_list(const fork_list&) = delete;
  fork_list& operator=(const fork_list&) = delete;
  ~fork_list() { clear(); }

  void fork(job<T> one) {
    WEIR_ASSERT(!point_.parent && "a fork_list is joined once");
    point_.add(*one.release());
    ++count_;
  }
  std::int32_t size() const noexcept { return count_; }

  class awaiter {
   public:
    static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
    using awaited_by = detail::job_frame;
    explicit awaiter(fork_list& list) noexcept : list_(list) {}
    bool await_ready() const noexcept { return list_.count_ == 0; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> from) noexcept {
      return detail::begin_fork(list_.point_, list_.count_, from.promise());
    }
    void await_resume() {
      if (list_.point_.has_failed()) [[unlikely]]
        list_.point_.raise();
      list_.reverse();
      list_.is_joined_ = true;
    }

   private:
    fork_list& list_;
  };
  /// Waits for all of them; once.
  awaiter join() noexcept {
    WEIR_ASSERT(!point_.parent && "a fork_list is joined once");
    return awaiter(*this);
  }

  /// After join(): calls use(value) for each job, with the value moved out, or use() without one.
  template <class F>
  void each(F use) {
    WEIR_ASSERT((!point_.newest || is_joined_) &&
                "a fork_list has values once its join() has given them: it was not awaited, or "
                "raised");
    for (detail::job_frame* at = point_.newest; at; at = at->next) {
      auto& promise = static_cast<detail::job_promise<T>&>(*at);
      if constexpr (std::is_void_v<T>) {
        use();
      } else {
        use(promise.take());
      }
    }
  }

 private:
  void reverse() noexcept {
    detail::job_frame* turned = nullptr;
    while (detail::job_frame* one = point_.newest) {
      point_.newest = one->next;
      one->next = turned;
      turned = one;
    }
    point_.newest = turned;
  }
  void clear() noexcept {
    while (detail::job_frame* one = point_.newest) {
      point_.newest = one->next;
      detail::handle_of(one).destroy();
    }
  }

  detail::fork_point point_;
  std::int32_t count_ = 0;
  bool is_joined_ = false;
};

}  // namespace weir

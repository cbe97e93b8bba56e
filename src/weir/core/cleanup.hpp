// Cleanup that waits: what a destructor can't do, such as telling a peer good-bye. The hard idea:
// it runs when the body has ended, however it ended; out of reach of the cancellation that may have
// ended it, but not for ever; and what fails in it is heard beside what the body failed with.
#pragma once

#include <weir/core/scope.hpp>
#include <weir/core/task.hpp>

#include <cstddef>
#include <exception>
#include <source_location>
#include <utility>

namespace weir {

struct cleanup_options {
  duration deadline = duration::seconds(5);  // then it is cancelled, and that is an error
  const char* name = "cleanup";
};

/// The cleanups of one body, made by with_cleanups.
///
/// Cancel:  no waits by itself; its cleanups are out of reach of outer cancellations.
/// Order:   last in, first out, one after the other; one may add others.
/// Bound:   cleanups_max; each ends at its deadline.
/// Errors:  `full` beyond cleanups_max, or std::bad_alloc: the cleanup that was to be added does
///          not run. What has been added needs no more memory than its own task does.
/// Threads: one loop.
class cleanups {
 public:
  static constexpr std::size_t cleanups_max = 1000;

  cleanups() = default;
  cleanups(const cleanups&) = delete;
  cleanups& operator=(const cleanups&) = delete;
  ~cleanups();

  /// Runs `co_await cleanup()` when the body has ended. What it refers to must live outside of the
  /// body, whose own variables are gone by then.
  template <class F>
  void defer_async(F cleanup, cleanup_options options = {},
                   std::source_location place = std::source_location::current()) {
    make_sure_of_room();
    add(*new step_of<F>(std::move(cleanup), options, place));
  }
  std::size_t size() const noexcept { return size_; }

  // For with_cleanups.
  void note_failure_of_body(std::exception_ptr what) noexcept;
  /// Made before the body, so that no memory has to be found after it.
  task<> run();
  /// Throws what was noted: the body's alone as it is.
  void raise_failures(const std::exception_ptr& of_body);

 private:
  struct step {
    step(cleanup_options how, std::source_location where) noexcept : options(how), place(where) {}
    step(const step&) = delete;
    step& operator=(const step&) = delete;
    virtual ~step() = default;
    virtual task<> run() = 0;
    step* before = nullptr;
    cleanup_options options;
    std::source_location place;
  };
  template <class F>
  struct step_of final : step {
    F function;
    step_of(F f, cleanup_options how, std::source_location where)
        : step(how, where), function(std::move(f)) {}
    WEIR_CORO_WRAPPER task<> run() override { return function(); }
  };
  struct step_call;

  void make_sure_of_room();
  void add(step& last) noexcept;
  step* take_last() noexcept;
  void note_failure_of(const step& one, time_point due) noexcept;
  static std::exception_ptr told_of(const step& one, time_point due) noexcept;

  step* last_ = nullptr;
  std::size_t size_ = 0;
  detail::error_list* failures_ = nullptr;  // made with the first cleanup, which may fail
};

/// Runs body(cleanups&) and then what it has deferred, shielded, whether it ended with a value, an
/// error or a cancellation: `co_await with_cleanups([&](cleanups& after) -> task<> {
/// after.defer_async([&]() -> task<> { co_await peer.say_good_bye(); }); ... });`
/// An error of the body alone is raised as it is; errors of cleanups, and time-outs of those that
/// overran their deadline, come with it in an error_group, the body's first. After a cancellation
/// without errors the cancellation goes on.
template <class Body>
task<detail::task_value_t<Body, cleanups&>> with_cleanups(Body body);

}  // namespace weir

#include <weir/core/detail/cleanup_impl.hpp>

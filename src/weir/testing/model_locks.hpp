// What threads wait on, for code that is tested by model::check(): a mutex, a condition variable, a
// descriptor of the kernel. The hard idea: whoever waits can't be chosen to go next, so a wake-up
// that is lost shows as a run in which nobody can.
#pragma once

#include <weir/testing/model_atomic.hpp>
#include <weir/testing/model_checker.hpp>

#include <cstdint>
#include <mutex>
#include <source_location>

namespace weir::model {

/// std::mutex.
///
/// Cancel:  as std's: a wait for it can't be.
/// Order:   none: any of those that wait gets it.
/// Bound:   none.
/// Errors:  threads that wait for ever are a deadlock, which fails the run, and so does an unlock()
///          by a thread that does not hold it.
/// Threads: those of the body that made it.
class mutex {  // tidy-allow(one-meaning): weir's, as a model has it
 public:
  mutex() : channel_(detail::make_channel()) {}
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  void lock(std::source_location where = std::source_location::current()) {
    detail::begin_step(operation::lock, where);
    take(where);
  }
  void unlock(std::source_location where = std::source_location::current()) {
    if (holder_ != detail::thread_now()) detail::refuse_unlock(where);
    holder_ = nobody;
    detail::send(channel_);
    detail::wake_all(this);
  }

 private:
  friend class condition_variable;
  void take(std::source_location where) {
    while (holder_ != nobody) detail::block_on(this, where);
    holder_ = detail::thread_now();
    detail::receive(channel_);
  }
  static constexpr std::uint32_t nobody = UINT32_MAX;
  channel_id channel_;
  std::uint32_t holder_ = nobody;
};

/// std::condition_variable, without spurious wake-ups, which could hide a lost one.
///
/// Cancel:  as std's: a wait for it can't be.
/// Order:   none: any of those that wait is woken.
/// Bound:   none.
/// Errors:  a wake-up that is lost is a deadlock, which fails the run.
/// Threads: those of the body that made it.
class condition_variable {
 public:
  condition_variable() = default;
  condition_variable(const condition_variable&) = delete;
  condition_variable& operator=(const condition_variable&) = delete;

  template <class Predicate>
  void wait(std::unique_lock<mutex>& held, Predicate is_there,
            std::source_location where = std::source_location::current()) {
    while (!is_there()) {
      held.mutex()->unlock();  // no step is between this and the wait
      detail::block_on(this, where);
      held.mutex()->take(where);
    }
  }
  void notify_one(std::source_location where = std::source_location::current()) {
    detail::begin_step(operation::wake, where);
    detail::wake_one(this);
  }
  void notify_all(std::source_location where = std::source_location::current()) {
    detail::begin_step(operation::wake, where);
    detail::wake_all(this);
  }
};

/// An eventfd and the wait for it: a number that the kernel keeps. It is coherent, but C++ promises
/// nothing about what happens before a system call, so neither does this.
///
/// Cancel:  a wait can't be.
/// Order:   none.
/// Bound:   none.
/// Errors:  a wake-up that is lost is a deadlock, which fails the run.
/// Threads: those of the body that made it.
class event {  // tidy-allow(one-meaning): weir's, as a model has it
 public:
  event() = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  void signal(std::source_location where = std::source_location::current()) {
    detail::begin_step(operation::wake, where);
    is_signalled_ = true;
    detail::wake_all(this);
  }
  /// Until it is signalled, which it stays.
  void wait(std::source_location where = std::source_location::current()) {
    detail::begin_step(operation::wait, where);
    while (!is_signalled_) detail::block_on(this, where);
  }
  bool is_signalled() const noexcept { return is_signalled_; }
  void clear(std::source_location where = std::source_location::current()) {
    detail::begin_step(operation::wait, where);
    is_signalled_ = false;
  }

 private:
  bool is_signalled_ = false;
};

/// The same for those who look again and again: see short_lock.hpp.
struct spinning : memory {
  static void pause(int) noexcept { yield(); }
};
/// The same with locks: see sleeper_line.hpp.
struct threads : memory {
  using mutex = model::mutex;
  using condition_variable = model::condition_variable;
};

}  // namespace weir::model

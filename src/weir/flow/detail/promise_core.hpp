// The state machine behind promise<T> and future<T>, without the type of the value. The hard idea:
// everything that follows from a promise is a listener in one line, and the outcome is told after
// the lock has been released: to a task by a wake-up, to a handler by a place in its scope's queue
// (handler_queue.hpp), to another promise at once, for that runs nobody's code. So nothing that a
// user wrote runs on the stack of whoever resolves or registers.
//
//            claim                 settle
//   pending -------> resolved ---------------> fulfilled | rejected
//                       |  follow(other)           ^
//                       +--- until other is settled+
//
// Invariants: (1) one claim succeeds, and only its owner settles; (2) value and failure are written
//             before the phase and never changed after it, but moved out by the one reader of a
//             future; (3) a listener is linked exactly while its source is pending, and counts as
//             an owner of itself meanwhile; (4) following_ is guarded by one lock for the process,
//             and has no cycle.
#pragma once

#include <weir/base/error.hpp>
#include <weir/base/intrusive.hpp>
#include <weir/flow/detail/promise_state.hpp>
#include <weir/flow/detail/reach.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <source_location>
#include <utility>

namespace weir::detail {

class promise_core;

/// Hears the end of a promise, on the thread that settles it and without any lock.
struct settle_listener : list_hook<> {
  promise_core* source = nullptr;  // kept alive, once it listens
  virtual void source_settled() noexcept = 0;

 protected:
  ~settle_listener() = default;
};

/// How a consumer may read a source: a future's only one moves, a shared_future's many copy.
enum class reading : std::uint8_t { only, shared };

class promise_core : public settle_listener, public promise_state<> {
 public:
  promise_core(const promise_core&) = delete;
  promise_core& operator=(const promise_core&) = delete;

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

  void drop() noexcept {
    if (was_last_owner()) end();
  }

  // Resolving: who claims it first counts, later ones are ignored (A1).
  /// After a claim: the value stands at value(), or `failure` is the reason.
  void settle_fulfilled() noexcept { settle(settled_as::fulfilled); }
  void settle_rejected(std::exception_ptr failure) noexcept;
  /// After a claim: takes over the outcome of `other` (whose reference is taken) once it has one.
  /// Rejected with `invalid_argument` when that would be its own (A8).
  void follow(promise_core* other, reading how) noexcept;
  /// Rejected with `broken`, unless it was resolved.
  void break_promise() noexcept;

  // Reading.
  std::source_location place() const noexcept { return place_; }
  void* value() const noexcept { return value_; }
  /// The reason, which has reached somebody from now on.
  const std::exception_ptr& hear_failure() noexcept {
    is_heard_.store(true, std::memory_order_relaxed);
    return failure_;
  }
  void note_heard() noexcept { is_heard_.store(true, std::memory_order_relaxed); }
  /// Somebody waited and was cancelled: an error that then finds nobody is told, but ends nothing.
  void note_given_up() noexcept { is_given_up_.store(true, std::memory_order_relaxed); }

  /// False when it is settled already; else `one` hears of it.
  bool listen(settle_listener& one) noexcept;
  /// False when `one` is no longer in the line: it has heard, or is about to.
  bool leave(settle_listener& one) noexcept;
  /// Blocks this thread until it is settled.
  void block() noexcept;

  /// Handlers that stand: registered, and not yet due. Those of one queue are counted on its
  /// thread.
  std::atomic<std::uint32_t> standing_handlers{0};

  // For line_wait.
  mutable many_loops::lock lock_;
  intrusive_list<many_loops::place> waits_;

 protected:
  explicit promise_core(void* value, std::source_location place) noexcept
      : value_(value), place_(place) {}
  virtual ~promise_core() = default;
  void source_settled() noexcept override;
  /// Moves or copies the value of a fulfilled `from`, of the same type, to value().
  virtual void adopt_value(promise_core& from, reading how) = 0;

 private:
  void settle(settled_as how) noexcept;
  void take_outcome(promise_core& from, reading how) noexcept;
  bool leads_to(const promise_core& one) const noexcept;
  void end() noexcept;

  std::atomic<bool> is_heard_{false};
  std::atomic<bool> is_given_up_{false};
  reading source_reading_ = reading::only;
  promise_core* following_ = nullptr;  // (4)
  bool is_followed_ = false;           // by another, now or before; guarded as following_ is
  void* const value_;
  std::exception_ptr failure_;
  intrusive_list<settle_listener> listeners_;
  std::source_location place_;  // where the promise was made, for reports
};

/// An owner of a promise's state.
class core_handle {
 public:
  core_handle() = default;
  explicit core_handle(promise_core* taken) noexcept : core_(taken) {}
  core_handle(core_handle&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  core_handle(const core_handle& other) noexcept : core_(other.core_) {
    if (core_) core_->keep();
  }
  core_handle& operator=(core_handle other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~core_handle() {
    if (core_) core_->drop();
  }
  promise_core* get() const noexcept { return core_; }
  promise_core* release() noexcept { return std::exchange(core_, nullptr); }
  promise_core& operator*() const noexcept { return *core_; }
  promise_core* operator->() const noexcept { return core_; }
  explicit operator bool() const noexcept { return core_ != nullptr; }

 private:
  promise_core* core_ = nullptr;
};

/// Of a finally() that has failed with `why`, or with the error in flight: raises that, together
/// with the error of `source` if it has one.
[[noreturn]] void raise_finally(promise_core& source, const std::exception_ptr& why);
[[noreturn]] void raise_finally(promise_core& source);

/// True for weir's own `cancelled`: no failure, so nobody has to hear it.
bool is_cancellation(const std::exception_ptr& failure) noexcept;
/// weir's error as it is; any other exception as `internal` with its text.
error error_of(const std::exception_ptr& failure) noexcept;

}  // namespace weir::detail

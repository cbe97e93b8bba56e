// Waiting for something to have happened: event (stays set) and condition (wakes who waits now).
// The hard idea: on one loop nothing runs between a check and the wait that follows it, so neither
// needs a lock, nor can a wake-up be lost.
#pragma once

#include <weir/base/intrusive.hpp>
#include <weir/core/wait.hpp>

namespace weir {

namespace detail {

/// The waits of one object, first in, first out.
class wait_queue {
 public:
  /// A place in the queue, inside a wait.
  struct place : list_hook<> {
    wait* waiting = nullptr;
    place() = default;
    place(place&&) noexcept {}  // only before the wait begins
  };

  wait_queue() = default;
  ~wait_queue() { WEIR_ASSERT(is_empty() && "destroyed while tasks wait for it"); }

  bool is_empty() const noexcept { return places_.is_empty(); }
  void push(place& at, wait& waiting) noexcept {
    at.waiting = &waiting;
    places_.push_back(at);
  }
  /// Wakes the first; false when nobody waits.
  bool wake_one() noexcept {
    if (is_empty()) return false;
    places_.pop_front().waiting->complete();
    return true;
  }
  void wake_all() noexcept {
    while (wake_one()) {
    }
  }

 private:
  intrusive_list<place> places_;
};

}  // namespace detail

/// A flag that tasks wait for: once set, every wait passes until reset().
///
/// Cancel:  a cancelled wait leaves the event as it is.
/// Order:   waiters go on in the order in which they came.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  destroying it while tasks wait stops the process.
/// Threads: one loop.
class event {
 public:
  void set() noexcept {
    is_set_ = true;
    waits_.wake_all();
  }
  void reset() noexcept { is_set_ = false; }
  bool is_set() const noexcept { return is_set_; }

  class awaiter final : public detail::leaf_wait<awaiter, void> {
   public:
    explicit awaiter(event& of) noexcept : leaf_wait(kind_), of_(of) {}
    awaiter(awaiter&&) noexcept = default;
    bool try_now() noexcept { return of_.is_set_; }
    void enlist() noexcept { of_.waits_.push(place_, *this); }
    result<void> take() noexcept { return {}; }

   private:
    static void leave(detail::wait& w) noexcept {
      static_cast<awaiter&>(w).place_.unlink();
      w.complete_cancelled();
    }
    static constexpr detail::wait_kind kind_{"event", &leave};
    event& of_;
    detail::wait_queue::place place_;
  };
  /// Waits until the event is set; passes at once when it is.
  [[nodiscard]] awaiter wait() noexcept { return awaiter(*this); }

 private:
  bool is_set_ = false;
  detail::wait_queue waits_;
};

/// Wakes tasks that wait at the moment of the call; keeps nothing for those who come later. Waiters
/// check what they wait for in a loop: `while (items.empty()) co_await changed.wait();`
///
/// Cancel:  a cancelled wait takes no wake-up from another waiter; one that was woken goes on
///          first.
/// Order:   first come, first woken.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  destroying it while tasks wait stops the process.
/// Threads: one loop.
class condition {
 public:
  /// Wakes the task that has waited longest; false when none waits.
  bool notify_one() noexcept { return waits_.wake_one(); }
  void notify_all() noexcept { waits_.wake_all(); }
  bool has_waiters() const noexcept { return !waits_.is_empty(); }

  class awaiter final : public detail::leaf_wait<awaiter, void> {
   public:
    explicit awaiter(condition& of) noexcept : leaf_wait(kind_), of_(of) {}
    awaiter(awaiter&&) noexcept = default;
    bool try_now() noexcept { return false; }
    void enlist() noexcept { of_.waits_.push(place_, *this); }
    result<void> take() noexcept { return {}; }

   private:
    static void leave(detail::wait& w) noexcept {
      static_cast<awaiter&>(w).place_.unlink();
      w.complete_cancelled();
    }
    static constexpr detail::wait_kind kind_{"condition", &leave};
    condition& of_;
    detail::wait_queue::place place_;
  };
  /// Waits for a notification that comes after this call.
  [[nodiscard]] awaiter wait() noexcept { return awaiter(*this); }

 private:
  detail::wait_queue waits_;
};

}  // namespace weir

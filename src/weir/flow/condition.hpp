// condition: waiting until other tasks have changed something. The hard idea: what is checked may
// change between the check and the wait, so a mutex is held around both, and the wait gives it up
// in the same moment in which it takes its place in line. On one loop nothing runs between a check
// and the wait that follows it: there a wait without a mutex loses no wake-up either.
//
//   wait(held)   stands, lets go --> told, or closed --> in the mutex's line --> has it again
//                        |                                       |
//                        +--> cancelled: gone                    +--> cancelled: tells the next
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>
#include <weir/core/task.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/line_stats.hpp>
#include <weir/flow/mutex.hpp>

namespace weir {

namespace detail {

template <class Reach>
class basic_condition {
 public:
  using guard = typename basic_mutex<Reach>::guard;

  basic_condition() = default;
  explicit basic_condition(const char* name) noexcept : name_(name) {}
  basic_condition(const basic_condition&) = delete;
  basic_condition& operator=(const basic_condition&) = delete;
  ~basic_condition() { WEIR_ASSERT(line_.is_empty() && "destroyed while tasks wait for it"); }

  /// Wakes the task that has waited longest; false when none waits. With or without the mutex.
  bool notify_one() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    if (line_.is_empty()) return false;
    woken.add(line_.pop_front());
    return true;
  }
  void notify_all() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    while (!line_.is_empty()) woken.add(line_.pop_front());
  }
  /// Nobody will notify any more: all waits, also later ones, fail with `closed`.
  void close() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    is_closed_ = true;
    close_line(line_, woken);
  }
  /// Gives the mutex up, waits for a notification that comes after that, and takes it again:
  /// `while (items.empty()) co_await changed.wait(held);`
  [[nodiscard]] task<> wait(guard& held);

  bool has_waiters() const noexcept {
    const typename Reach::guard held(lock_);
    return !line_.is_empty();
  }
  const char* name() const noexcept { return name_; }
  line_stats stats() const noexcept {
    const typename Reach::guard held(lock_);
    return {.waiting = line_.count()};
  }

  class awaiter : public closable_wait<awaiter, void, basic_condition, Reach> {
    using base = closable_wait<awaiter, void, basic_condition, Reach>;

   public:
    explicit awaiter(basic_condition& of, guard* held = nullptr) noexcept
        : base(kind_, &of), held_(held) {}
    bool admit(typename Reach::wakes&) noexcept { return this->is_over(); }
    /// Whoever takes the mutex from now on finds this wait in line.
    void stood() noexcept {
      if (held_) held_->unlock();
    }
    auto& line() noexcept { return this->of_->line_; }
    result<void> take() noexcept {
      if (this->is_closed_) return fail(errc::closed, "wait: the condition was closed");
      return {};
    }

   private:
    static void describe(const detail::wait& w, text_sink& out) noexcept {
      out.put(static_cast<const awaiter&>(w).of_->name_);
    }
    static constexpr wait_kind kind_{"condition", &base::leave, &describe};
    guard* held_;
  };

 private:
  class turn;
  template <class, class, class, class>
  friend class line_wait;
  template <class, class, class, class>
  friend class closable_wait;

  [[no_unique_address]] mutable typename Reach::lock lock_;
  bool is_closed_ = false;
  const char* name_ = "condition";
  intrusive_list<awaiter> line_;
};

extern template class basic_condition<one_loop>;
extern template class basic_condition<many_loops>;

}  // namespace detail

/// Wakes tasks that wait at the moment of the call; keeps nothing for those who come later. Waiters
/// check what they wait for in a loop. `wait()` is for what changes without a wait in between,
/// which needs no mutex on one loop; `wait(held)` is for what a mutex guards, with other waits
/// inside.
///
/// Cancel:  a cancelled wait takes no wake-up from another waiter; a wait() that was woken goes on
///          first. Whether a wait(held) has the mutex back, `holds()` of the guard tells.
/// Order:   first come, first woken; with a mutex they then stand in its line.
/// Bound:   nothing is allocated by wait(), one frame by wait(held); waiters are bounded by their
///          scopes.
/// Errors:  `closed` after close(), with the mutex held again; wait(held) without the mutex, and
///          destroying it while tasks wait, stop the process.
/// Threads: one loop; cross::condition is for several.
class condition final : public detail::basic_condition<detail::one_loop> {
 public:
  using basic_condition::basic_condition;
  using basic_condition::wait;
  /// Waits for a notification that comes after this call: `while (items.empty()) co_await
  /// changed.wait();` Between loops there is none, for the notification may come before it.
  [[nodiscard]] awaiter wait() noexcept { return awaiter(*this); }
};

namespace cross {

/// weir::condition for tasks of several loops, with the mutex that guards what they wait for.
///
/// Cancel:  a cancelled wait takes no wake-up from another waiter; whether it has the mutex back,
///          `holds()` of the guard tells.
/// Order:   first come, first woken; then they stand in the mutex's line.
/// Bound:   one frame for each wait; waiters are bounded by their scopes.
/// Errors:  `closed` after close(), with the mutex held again; waiting without the mutex, and
///          destroying it while tasks wait, stop the process.
/// Threads: any; it outlives every call of its own.
class condition final : public detail::basic_condition<detail::many_loops> {
 public:
  using basic_condition::basic_condition;
};

}  // namespace cross
}  // namespace weir

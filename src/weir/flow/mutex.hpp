// mutex: one holder at a time, across its waits. The hard idea: an unlock hands the lock to the
// task that has waited longest instead of opening it, so nobody overtakes, and a cancelled waiter
// either left the line or holds the lock: there is no state between.
//
// Invariants: (1) tasks stand in line only while the lock is held; (2) while it is handed over it
//             stays held.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/line_stats.hpp>

#include <optional>
#include <utility>

namespace weir {

namespace detail {

template <class Reach>
class basic_mutex {
 public:
  /// Holds the lock until it is destroyed. Stays with the task that locked, but by hand_over().
  class [[nodiscard]] guard {
   public:
    guard(guard&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    guard& operator=(guard other) noexcept {
      std::swap(of_, other.of_);
      if (is_planted("flow: a guard that is given another lock forgets its own"))
        other.of_ = nullptr;
      return *this;
    }
    ~guard() { unlock(); }
    /// Lets go before the end of the block; idempotent.
    void unlock() noexcept {
      if (of_) std::exchange(of_, nullptr)->unlock();
    }
    /// For a task that it goes to: `s.spawn(write_down, held.hand_over())`. From here on nobody is
    /// known to hold the lock, so this task may ask for it again, and waits like others.
    [[nodiscard]] guard hand_over() noexcept {
      if (of_) of_->forget_holder();
      return std::move(*this);
    }
    bool holds() const noexcept { return of_ != nullptr; }
    /// Null when it holds nothing.
    basic_mutex* held_mutex() const noexcept { return of_; }

   private:
    friend class basic_mutex;
    explicit guard(basic_mutex* of) noexcept : of_(of) {}
    basic_mutex* of_;
  };

  basic_mutex() = default;
  explicit basic_mutex(const char* name) noexcept : name_(name) {}
  basic_mutex(const basic_mutex&) = delete;
  basic_mutex& operator=(const basic_mutex&) = delete;
  ~basic_mutex() { WEIR_ASSERT(!is_held_ && line_.is_empty() && "destroyed while it is held"); }

  class awaiter final : public line_wait<awaiter, guard, basic_mutex, Reach> {
    using base = line_wait<awaiter, guard, basic_mutex, Reach>;

   public:
    explicit awaiter(basic_mutex& of) noexcept : base(kind_, &of) {}
    bool admit(typename Reach::wakes&) noexcept {
      if (this->of_->is_held_) {
        WEIR_ASSERT(this->of_->holder_ != this->task && "this task holds the mutex already");
        return false;
      }
      this->of_->give_to(this->task);
      return true;
    }
    auto& line() noexcept { return this->of_->line_; }
    result<guard> take() noexcept { return guard(this->of_); }
    guard await_resume() noexcept { return guard(this->of_); }

   private:
    static void describe(const wait& w, text_sink& out) noexcept {
      out.put(static_cast<const awaiter&>(w).of_->name_);
    }
    static const task_header* held_by(const wait& w) noexcept {
      return static_cast<const awaiter&>(w).of_->holder_;
    }
    static constexpr wait_kind kind_{
        .name = "mutex", .cancel = &base::leave, .describe = &describe, .held_by = &held_by};
  };
  /// `auto held = co_await accounts.lock();`
  [[nodiscard]] awaiter lock() noexcept { return awaiter(*this); }
  /// Never waits: nothing when it is held.
  [[nodiscard]] std::optional<guard> try_lock() noexcept {
    const typename Reach::guard held(lock_);
    if (is_held_) return std::nullopt;
    loop* const on = loop::current();
    give_to(on ? on->running() : nullptr);
    return guard(this);
  }
  bool is_locked() const noexcept {
    const typename Reach::guard held(lock_);
    return is_held_;
  }
  const char* name() const noexcept { return name_; }
  line_stats stats() const noexcept {
    const typename Reach::guard held(lock_);
    return {.waiting = line_.count()};
  }

 private:
  friend class awaiter;
  template <class, class, class, class>
  friend class line_wait;

  void give_to(task_header* task) noexcept {
    is_held_ = true;
    holder_ = task;
  }
  void forget_holder() noexcept {
    const typename Reach::guard held(lock_);
    holder_ = nullptr;
  }
  void unlock() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    if (line_.is_empty()) {
      is_held_ = false;
      holder_ = nullptr;
      return;
    }
    awaiter& next =
        is_planted("flow: a mutex goes to who came last") ? line_.back() : line_.front();
    next.unlink();
    holder_ = next.task;  // (2)
    if (is_planted("flow: a mutex is open while it is handed over")) is_held_ = false;
    woken.add(next);
  }

  [[no_unique_address]] mutable typename Reach::lock lock_;
  bool is_held_ = false;
  task_header* holder_ = nullptr;  // only compared: it may have ended
  const char* name_ = "mutex";
  intrusive_list<awaiter> line_;  // (1)
};

}  // namespace detail

/// A lock that is held across waits. Where nothing waits inside, tasks of one loop need none.
///
/// Cancel:  a cancelled lock() holds nothing; one that was given the lock goes on with it first.
/// Order:   first come, first served.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  locking it again in the same task stops the process, for that would wait for ever.
/// Threads: one loop; cross::mutex is for several.
class mutex final : public detail::basic_mutex<detail::one_loop> {
 public:
  using basic_mutex::basic_mutex;
};

namespace cross {

/// weir::mutex for tasks of several loops.
///
/// Cancel:  a cancelled lock() holds nothing; one that was given the lock goes on with it first.
/// Order:   first come, first served.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  locking it again in the same task stops the process, for that would wait for ever.
/// Threads: any; it outlives every holder.
class mutex final : public detail::basic_mutex<detail::many_loops> {
 public:
  using basic_mutex::basic_mutex;
};

}  // namespace cross
}  // namespace weir

// Waiting for something to have happened: event (stays set), auto_event (lets one pass) and, in a
// header of its own, condition (wakes who waits now). The hard idea: on one loop nothing runs
// between a check and the wait that follows it, so none of them needs a lock, nor can a wake-up be
// lost. Their twins in weir::cross may be set from any thread.
#pragma once

#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/flow/condition.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/line_stats.hpp>

namespace weir {

namespace detail {

/// An event of either kind; one that resets itself lets one waiter pass for each set().
template <class Reach, bool ResetsItself>
class basic_event {
 public:
  basic_event() = default;
  explicit basic_event(const char* name) noexcept : name_(name) {}
  basic_event(const basic_event&) = delete;
  basic_event& operator=(const basic_event&) = delete;
  ~basic_event() { WEIR_ASSERT(line_.is_empty() && "destroyed while tasks wait for it"); }

  void set() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    if constexpr (ResetsItself) {
      if (line_.is_empty()) {
        is_set_ = !is_planted("flow: an auto_event that nobody waits for forgets that it was set");
      } else {
        woken.add(line_.pop_front());
      }
    } else {
      is_set_ = true;
      while (!line_.is_empty()) {
        woken.add(line_.pop_front());
        if (is_planted("flow: an event wakes its first waiter only")) return;
      }
    }
  }
  void reset() noexcept {
    const typename Reach::guard held(lock_);
    is_set_ = false;
  }
  /// Nobody will set it any more: from now on a wait that finds it unset, also one that stands
  /// already, fails with `closed`.
  void close() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    is_closed_ = true;
    close_line(line_, woken);
  }
  bool is_set() const noexcept {
    const typename Reach::guard held(lock_);
    return is_set_;
  }
  const char* name() const noexcept { return name_; }
  line_stats stats() const noexcept {
    const typename Reach::guard held(lock_);
    return {.waiting = line_.count()};
  }

  class awaiter final : public closable_wait<awaiter, void, basic_event, Reach> {
    using base = closable_wait<awaiter, void, basic_event, Reach>;

   public:
    explicit awaiter(basic_event& of) noexcept : base(kind_, &of) {}
    bool admit(typename Reach::wakes&) noexcept {
      if (!this->of_->is_set_) return this->is_over();
      if constexpr (ResetsItself) this->of_->is_set_ = false;
      return true;
    }
    auto& line() noexcept { return this->of_->line_; }
    result<void> take() noexcept {
      if (this->is_closed_) return fail(errc::closed, "wait: the event was closed");
      return {};
    }

   private:
    static void describe(const wait& w, text_sink& out) noexcept {
      out.put(static_cast<const awaiter&>(w).of_->name_);
    }
    static constexpr wait_kind kind_{"event", &base::leave, &describe};
  };
  /// Waits until the event is set; passes at once when it is.
  [[nodiscard]] awaiter wait() noexcept { return awaiter(*this); }

 private:
  friend class awaiter;
  template <class, class, class, class>
  friend class line_wait;
  template <class, class, class, class>
  friend class closable_wait;

  [[no_unique_address]] mutable typename Reach::lock lock_;
  bool is_set_ = false;
  bool is_closed_ = false;
  const char* name_ = ResetsItself ? "auto_event" : "event";
  intrusive_list<awaiter> line_;
};

}  // namespace detail

/// A flag that tasks wait for: once set, every wait passes until reset().
///
/// Cancel:  a cancelled wait leaves the event as it is.
/// Order:   waiters go on in the order in which they came.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  `closed` where it is unset after close(); destroying it while tasks wait stops the
///          process.
/// Threads: one loop; cross::event is for several.
class event final : public detail::basic_event<detail::one_loop, false> {
 public:
  using basic_event::basic_event;
};

/// A flag that lets one waiter pass for each set(); a second set() before somebody passed changes
/// nothing.
///
/// Cancel:  a cancelled wait leaves the event as it is; one that was let pass goes on first.
/// Order:   who has waited longest passes first.
/// Bound:   nothing is allocated; at most one pass is kept.
/// Errors:  `closed` where it is unset after close(); destroying it while tasks wait stops the
///          process.
/// Threads: one loop; cross::auto_event is for several.
class auto_event final : public detail::basic_event<detail::one_loop, true> {
 public:
  using basic_event::basic_event;
};

namespace cross {

/// weir::event for tasks of several loops; set() and reset() from any thread.
///
/// Cancel:  a cancelled wait leaves the event as it is.
/// Order:   waiters of one loop go on in the order in which they came.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  `closed` where it is unset after close(); destroying it while tasks wait stops the
///          process.
/// Threads: any; it outlives every call of its own.
class event final : public detail::basic_event<detail::many_loops, false> {
 public:
  using basic_event::basic_event;
};

/// weir::auto_event for tasks of several loops; set() and reset() from any thread.
///
/// Cancel:  a cancelled wait leaves the event as it is; one that was let pass goes on first.
/// Order:   who has waited longest passes first.
/// Bound:   nothing is allocated; at most one pass is kept.
/// Errors:  `closed` where it is unset after close(); destroying it while tasks wait stops the
///          process.
/// Threads: any; it outlives every call of its own.
class auto_event final : public detail::basic_event<detail::many_loops, true> {
 public:
  using basic_event::basic_event;
};

}  // namespace cross

}  // namespace weir

// Waiting for each other: latch (a count that goes down to zero, once) and barrier (a meeting that
// repeats). The hard idea of the barrier: an arrival that is cancelled is taken back, so the others
// go on waiting for somebody who really comes.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/event.hpp>

#include <cstddef>
#include <cstdint>

namespace weir {

namespace detail {

template <class Reach>
class basic_latch {
 public:
  explicit basic_latch(std::size_t count) noexcept : count_(count) {}
  basic_latch(const basic_latch&) = delete;
  basic_latch& operator=(const basic_latch&) = delete;
  ~basic_latch() { WEIR_ASSERT(line_.is_empty() && "destroyed while tasks wait for it"); }

  void count_down(std::size_t by = 1) noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    WEIR_ASSERT(by <= count_ && "a latch was counted below zero");
    count_ -= by;
    if (count_ != 0) return;
    while (!line_.is_empty()) woken.add(line_.pop_front());
  }

  class awaiter final : public closable_wait<awaiter, void, basic_latch, Reach> {
    using base = closable_wait<awaiter, void, basic_latch, Reach>;

   public:
    explicit awaiter(basic_latch& of) noexcept : base(kind_, &of) {}
    bool admit(typename Reach::wakes&) noexcept {
      return this->of_->count_ == 0 || this->is_over();
    }
    auto& line() noexcept { return this->of_->line_; }
    result<void> take() noexcept {
      if (this->is_closed_) return fail(errc::closed, "wait: the latch was closed");
      return {};
    }

   private:
    static constexpr wait_kind kind_{"latch", &base::leave};
  };
  /// Waits until the count is zero.
  [[nodiscard]] awaiter wait() noexcept { return awaiter(*this); }
  /// Counts down now, whatever becomes of the wait for the others that it gives.
  [[nodiscard]] awaiter arrive_and_wait() noexcept {
    count_down();
    return wait();
  }
  /// Somebody who had to count it down has gone: unless the count is zero, all waits, also later
  /// ones, fail with `closed`.
  void close() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    is_closed_ = true;
    close_line(line_, woken);
  }
  bool is_reached() const noexcept { return count() == 0; }
  std::size_t count() const noexcept {
    const typename Reach::guard held(lock_);
    return count_;
  }
  line_stats stats() const noexcept {
    const typename Reach::guard held(lock_);
    return {.waiting = line_.count()};
  }

 private:
  friend class awaiter;
  template <class, class, class, class>
  friend class line_wait;
  template <class, class, class, class>
  friend class closable_wait;

  [[no_unique_address]] mutable typename Reach::lock lock_;
  bool is_closed_ = false;
  std::size_t count_;
  intrusive_list<awaiter> line_;
};

template <class Reach>
class basic_barrier {
 public:
  explicit basic_barrier(std::size_t parties) noexcept : parties_(parties) {
    WEIR_ASSERT(parties > 0 && "a meeting needs somebody");
  }
  basic_barrier(const basic_barrier&) = delete;
  basic_barrier& operator=(const basic_barrier&) = delete;
  ~basic_barrier() { WEIR_ASSERT(line_.is_empty() && "destroyed while tasks wait for it"); }

  class awaiter final : public closable_wait<awaiter, bool, basic_barrier, Reach> {
    using base = closable_wait<awaiter, bool, basic_barrier, Reach>;

   public:
    explicit awaiter(basic_barrier& of) noexcept : base(kind_, &of) {}
    bool admit(typename Reach::wakes& woken) noexcept {
      if (this->is_over()) return true;
      if (this->of_->waiting_ + 1 < this->of_->parties_) return false;
      is_last_ = true;
      this->of_->end_meeting(woken);
      return true;
    }
    void stood() noexcept { ++this->of_->waiting_; }
    void left(typename Reach::wakes&) noexcept {
      if (!is_planted("flow: a cancelled arrival at a barrier counts")) --this->of_->waiting_;
    }
    auto& line() noexcept { return this->of_->line_; }
    result<bool> take() noexcept {
      if (this->is_closed_) return fail(errc::closed, "arrive_and_wait: the barrier was closed");
      return is_last_;
    }

   private:
    static constexpr wait_kind kind_{"barrier", &base::leave};
    bool is_last_ = false;
  };
  /// Waits for all other parties. True for one of them: the one that came last.
  [[nodiscard]] awaiter arrive_and_wait() noexcept { return awaiter(*this); }
  /// One party fewer from now on, which may complete the meeting.
  void drop() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    WEIR_ASSERT(parties_ > 0 && "more parties dropped than there were");
    --parties_;
    if (waiting_ != 0 && waiting_ == parties_) end_meeting(woken);
  }
  /// There will be no meeting any more: all arrivals, also those that wait, fail with `closed`.
  void close() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    is_closed_ = true;
    waiting_ = 0;
    close_line(line_, woken);
  }
  std::uint64_t meetings() const noexcept {
    const typename Reach::guard held(lock_);
    return meetings_;
  }
  line_stats stats() const noexcept {
    const typename Reach::guard held(lock_);
    return {.waiting = waiting_};
  }

 private:
  friend class awaiter;
  template <class, class, class, class>
  friend class line_wait;
  template <class, class, class, class>
  friend class closable_wait;

  void end_meeting(typename Reach::wakes& woken) noexcept {
    ++meetings_;
    waiting_ = 0;
    while (!line_.is_empty()) woken.add(line_.pop_front());
  }

  [[no_unique_address]] mutable typename Reach::lock lock_;
  bool is_closed_ = false;
  std::size_t parties_;
  std::size_t waiting_ = 0;
  std::uint64_t meetings_ = 0;
  intrusive_list<awaiter> line_;
};

}  // namespace detail

/// A count that tasks take down and wait for.
///
/// Cancel:  a cancelled wait leaves the count as it is.
/// Order:   waiters go on in the order in which they came.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  `closed` after close() before the count was zero; counting below zero, and destroying
///          it while tasks wait, stop the process.
/// Threads: one loop; cross::latch is for several.
class latch final : public detail::basic_latch<detail::one_loop> {
 public:
  using basic_latch::basic_latch;
};

/// A meeting of a number of tasks, again and again.
///
/// Cancel:  a cancelled arrival is taken back; when the meeting is complete it goes on first.
/// Order:   a meeting ends for all of its tasks at once; the next begins then.
/// Bound:   nothing is allocated; waiters are bounded by the number of parties.
/// Errors:  `closed` after close(); destroying it while tasks wait stops the process.
/// Threads: one loop; cross::barrier is for several.
class barrier final : public detail::basic_barrier<detail::one_loop> {
 public:
  using basic_barrier::basic_barrier;
};

namespace cross {

/// weir::latch for tasks of several loops; count_down() from any thread.
///
/// Cancel:  a cancelled wait leaves the count as it is.
/// Order:   waiters of one loop go on in the order in which they came.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  `closed` after close() before the count was zero; counting below zero, and destroying
///          it while tasks wait, stop the process.
/// Threads: any; it outlives every call of its own.
class latch final : public detail::basic_latch<detail::many_loops> {
 public:
  using basic_latch::basic_latch;
};

/// weir::barrier for tasks of several loops; drop() from any thread.
///
/// Cancel:  a cancelled arrival is taken back; when the meeting is complete it goes on first.
/// Order:   a meeting ends for all of its tasks at once; the next begins then.
/// Bound:   nothing is allocated; waiters are bounded by the number of parties.
/// Errors:  `closed` after close(); destroying it while tasks wait stops the process.
/// Threads: any; it outlives every call of its own.
class barrier final : public detail::basic_barrier<detail::many_loops> {
 public:
  using basic_barrier::basic_barrier;
};

}  // namespace cross
}  // namespace weir

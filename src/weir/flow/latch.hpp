// Waiting for each other: latch (a count that goes down to zero, once) and barrier (a meeting that
// repeats). The hard idea of the barrier: an arrival that is cancelled is taken back, so the others
// go on waiting for somebody who really comes.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/event.hpp>

#include <cstddef>
#include <cstdint>

namespace weir {

/// A count that tasks take down and wait for.
///
/// Cancel:  a cancelled wait leaves the count as it is.
/// Order:   waiters go on in the order in which they came.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  counting below zero stops the process.
/// Threads: one loop.
class latch {
 public:
  explicit latch(std::size_t count) noexcept : count_(count) {
    if (count_ == 0) reached_.set();
  }

  void count_down(std::size_t by = 1) noexcept {
    WEIR_ASSERT(by <= count_ && "a latch was counted below zero");
    count_ -= by;
    if (count_ == 0) reached_.set();
  }
  /// Waits until the count is zero.
  [[nodiscard]] event::awaiter wait() noexcept { return reached_.wait(); }
  /// Counts down now, and gives the wait for the others.
  [[nodiscard]] event::awaiter arrive_and_wait() noexcept {
    count_down();
    return wait();
  }
  bool is_reached() const noexcept { return count_ == 0; }
  std::size_t count() const noexcept { return count_; }
  line_stats stats() const noexcept { return reached_.stats(); }

 private:
  std::size_t count_;
  event reached_{"latch"};
};

/// A meeting of a number of tasks, again and again.
///
/// Cancel:  a cancelled arrival is taken back; when the meeting is complete it goes on first.
/// Order:   a meeting ends for all of its tasks at once; the next begins then.
/// Bound:   nothing is allocated; waiters are bounded by the number of parties.
/// Errors:  destroying it while tasks wait stops the process.
/// Threads: one loop.
class barrier {
 public:
  explicit barrier(std::size_t parties) noexcept : parties_(parties) {
    WEIR_ASSERT(parties > 0 && "a meeting needs somebody");
  }
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;
  ~barrier() { WEIR_ASSERT(line_.is_empty() && "destroyed while tasks wait for it"); }

  class awaiter final : public detail::line_wait<awaiter, bool, barrier, detail::one_loop> {
   public:
    explicit awaiter(barrier& of) noexcept : line_wait(kind_, &of) {}
    bool admit(detail::one_loop::wakes&) noexcept {
      if (of_->waiting_ + 1 < of_->parties_) return false;
      is_last_ = true;
      of_->end_meeting();
      return true;
    }
    void stood() noexcept { ++of_->waiting_; }
    void left(detail::one_loop::wakes&) noexcept { --of_->waiting_; }
    auto& line() noexcept { return of_->line_; }
    result<bool> take() noexcept { return is_last_; }

   private:
    static constexpr detail::wait_kind kind_{"barrier", &leave};
    bool is_last_ = false;
  };
  /// Waits for all other parties. True for one of them: the one that came last.
  [[nodiscard]] awaiter arrive_and_wait() noexcept { return awaiter(*this); }
  /// One party fewer from now on, which may complete the meeting.
  void drop() noexcept {
    WEIR_ASSERT(parties_ > 0 && "more parties dropped than there were");
    --parties_;
    if (waiting_ != 0 && waiting_ == parties_) end_meeting();
  }
  std::uint64_t meetings() const noexcept { return meetings_; }
  line_stats stats() const noexcept { return {.waiting = waiting_}; }

 private:
  template <class, class, class, class>
  friend class detail::line_wait;

  void end_meeting() noexcept {
    ++meetings_;
    waiting_ = 0;
    intrusive_list<awaiter> met;
    met.append(line_);
    while (!met.is_empty()) met.pop_front().complete();
  }

  [[no_unique_address]] detail::one_loop::lock lock_;
  std::size_t parties_;
  std::size_t waiting_ = 0;
  std::uint64_t meetings_ = 0;
  intrusive_list<awaiter> line_;
};

}  // namespace weir

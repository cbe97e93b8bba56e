// A line of tasks that wait for the same thing (messages of a queue, room in it), served one after
// the other. The hard idea: whoever is woken has the turn until it says how it went on; when it
// leaves for any reason, cancellation included, the turn passes on, so no wake-up is lost.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/core/task.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/event.hpp>

#include <cstddef>

namespace weir {

/// A fair line.
///
/// Cancel:  a task that leaves the line passes its turn on.
/// Order:   first come, first served; nobody overtakes those who wait.
/// Bound:   the caller's: size() says how many wait.
/// Errors:  none.
/// Threads: one loop.
class waiting_line {
 public:
  /// True when a newcomer has to wait behind others.
  bool is_busy() const noexcept { return size_ != 0; }
  std::size_t size() const noexcept { return size_; }
  /// Something may have come: the first in the line looks.
  void wake() noexcept {
    if (!has_turn_ && changed_.notify_one()) has_turn_ = true;
  }
  /// Everybody looks, and leaves: what they wait for is gone.
  void wake_all() noexcept { changed_.notify_all(); }

  /// A place in the line, held by the waiting frame.
  class place {
   public:
    explicit place(waiting_line& line) noexcept : line_(line) { ++line_.size_; }
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() {
      --line_.size_;
      pass_on();
    }
    /// Waits for the turn, or for `length`; false when the time is over.
    task<bool> wait_turn(duration length) {
      pass_back();
      bool is_mine = false;
      co_await with_scope({.name = "waiting line", .timeout = length}, [&](scope&) -> task<> {
        co_await line_.changed_.wait();
        is_mine = true;
      });
      holds_turn_ = is_mine && line_.has_turn_;
      co_return is_mine;
    }

   private:
    // The turn was taken, but nothing was there: the next wake() starts at the front again.
    void pass_back() noexcept {
      if (holds_turn_) line_.has_turn_ = holds_turn_ = false;
    }
    // Leaves with success: there may be more for the next one.
    void pass_on() noexcept {
      if (!holds_turn_) return;
      pass_back();
      line_.wake();
    }

    waiting_line& line_;
    bool holds_turn_ = false;
  };

 private:
  condition changed_;
  std::size_t size_ = 0;
  bool has_turn_ = false;  // somebody was woken and has not yet said how it went on
};

}  // namespace weir

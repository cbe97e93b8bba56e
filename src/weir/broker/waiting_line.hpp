// A line of tasks that wait for the same thing (messages of a queue, room in it), served one after
// the other. The hard idea: the front of the line is given the turn, looks, and either leaves with
// what it found or stays at the front; whoever leaves with the turn, for whatever reason, passes it
// on, and a wake-up that comes while somebody looks makes it look again. So no wake-up is lost.
//
// Invariants: (1) at most one place has the turn, and then it is in the line;
//             (2) a place leaves the line only by its destructor, so nobody is overtaken.
#pragma once

#include <weir/base/defect.hpp>
#include <weir/base/intrusive.hpp>
#include <weir/core/task.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/event.hpp>

#include <cstddef>
#include <utility>

namespace weir {

/// A fair line.
///
/// Cancel:  a task that leaves the line passes its turn on.
/// Order:   first come, first served; who finds nothing keeps its place.
/// Bound:   the caller's: size() says how many wait.
/// Errors:  none.
/// Threads: one loop.
class waiting_line {
 public:
  class place;

  waiting_line() = default;
  waiting_line(const waiting_line&) = delete;
  waiting_line& operator=(const waiting_line&) = delete;

  /// True when a newcomer has to wait behind others.
  bool is_busy() const noexcept { return size_ != 0; }
  std::size_t size() const noexcept { return size_; }
  /// Something may have come: the first in the line looks.
  void wake() noexcept;
  /// Everybody looks, and leaves: what they wait for is gone.
  void wake_all() noexcept;

 private:
  intrusive_list<place> places_;
  std::size_t size_ = 0;
  place* turn_ = nullptr;        // (1) who was woken and has not yet said how it went on
  bool is_woken_again_ = false;  // since it was given the turn
};

/// A place in the line, held by the waiting frame. With nobody before it, it may look at once.
///
/// Cancel:  a cancelled wait_turn() leaves the place where it is; the destructor gives it up.
/// Order:   by construction.
/// Bound:   one wait at a time.
/// Errors:  none.
/// Threads: the line's loop.
class waiting_line::place : public list_hook<> {
 public:
  explicit place(waiting_line& line) noexcept : line_(line) {
    line_.places_.push_back(*this);
    if (line_.size_++ != 0) return;
    line_.turn_ = this;
    line_.is_woken_again_ = true;
  }
  place(const place&) = delete;
  place& operator=(const place&) = delete;
  ~place() {
    unlink();
    --line_.size_;
    if (line_.turn_ != this) return;
    line_.turn_ = nullptr;
    line_.is_woken_again_ = false;
    if (!is_planted("broker: loses the turn of who leaves the line")) line_.wake();
  }

  /// True when wait_turn() would not wait.
  bool may_look() const noexcept {
    return is_called_ || (line_.turn_ == this && line_.is_woken_again_);
  }
  /// Says that nothing was found so far, and waits until it is worth to look (again), or for
  /// `length`; false when the time is over.
  task<bool> wait_turn(duration length) {
    if (may_look()) {
      if (!std::exchange(is_called_, false)) line_.is_woken_again_ = false;
      co_return true;
    }
    if (line_.turn_ == this) line_.turn_ = nullptr;
    co_await with_scope({.name = "waiting line", .timeout = length}, [this](scope&) -> task<> {
      while (line_.turn_ != this && !is_called_) co_await called_.wait();
    });
    co_return std::exchange(is_called_, false) || line_.turn_ == this;
  }

 private:
  friend class waiting_line;
  waiting_line& line_;
  condition called_;
  bool is_called_ = false;  // by wake_all()
};

inline void waiting_line::wake() noexcept {
  if (turn_) {
    is_woken_again_ = true;
  } else if (!places_.is_empty()) {
    turn_ = &places_.front();
    turn_->called_.notify_all();
  }
}

inline void waiting_line::wake_all() noexcept {
  for (place& one : places_) {
    one.is_called_ = true;
    one.called_.notify_all();
  }
}

}  // namespace weir

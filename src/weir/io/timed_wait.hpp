// Socket waits with a time-out of their own. The hard idea: a time-out around every receive must
// cost nothing when the bytes are there already and one timer when they are not: no scope, no task,
// no frame. The timer asks the driver to cancel the request, as a scope would, and the completion
// that follows decides: bytes that had arrived are delivered.
//
// A peer that is slow or gone is an ordinary outcome here, so these waits give it as a value and
// throw nothing.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/core/loop.hpp>
#include <weir/io/io_wait.hpp>

#include <span>

namespace weir::detail {

/// How a transfer ended; errc{} is success.
struct sent_outcome {
  errc failure{};
  explicit operator bool() const noexcept { return failure == errc{}; }
};
struct received_outcome {
  bytes data;  // empty at the end of the stream, and after a failure
  errc failure{};
  bool is_end() const noexcept { return failure == errc{} && data.empty(); }
};

/// The part of a timed wait that does not depend on its type.
struct wait_timer : callback_timer {
  io_part* waiting = nullptr;
  loop* on = nullptr;
  duration limit;
  void (*heard_first)(io_request&) noexcept = nullptr;  // of io_wait, behind ours
  bool has_fired = false;

  void set() noexcept;
  void clear() noexcept {
    if (is_set()) on->remove_timer(*this);
  }
};

/// A wait for one request or several in a row, each of which may take at most `limit`.
template <class Derived, class T>
class timed_wait : public io_wait<Derived, T> {
  using base = io_wait<Derived, T>;

 public:
  timed_wait(const wait_kind& of, duration limit) noexcept : base(of) { timer_.limit = limit; }

  /// Also for the next part of a wait for several: its time counts anew.
  bool try_now() noexcept {
    timer_.has_fired = false;
    if (base::try_now()) return true;
    timer_.heard_first = this->on_complete;
    this->on_complete = &heard;
    if (timer_.limit == duration::max()) return false;
    timer_.waiting = this;
    timer_.on = &this->task->current->on();
    timer_.set();
    return false;
  }

  /// For wait_kind: the driver is asked to cancel once, whoever wants it first.
  static void leave(wait& w) noexcept {
    auto& self = static_cast<timed_wait&>(static_cast<Derived&>(w));
    if (self.timer_.has_fired) {
      self.is_cancel_asked = true;
    } else {
      base::leave(w);
    }
  }

 protected:
  errc failure() const noexcept {
    if (this->outcome >= 0) return errc{};
    if (timer_.has_fired && this->outcome == -ECANCELED) return errc::timed_out;
    return this->failed("").code();
  }

 private:
  static void heard(io_request& request) noexcept {
    auto& self = static_cast<timed_wait&>(static_cast<io_part&>(request));
    self.timer_.clear();
    self.timer_.heard_first(request);
  }

  wait_timer timer_;
};

class [[nodiscard]] timed_receive final : public timed_wait<timed_receive, received_outcome> {
 public:
  timed_receive(io_handle from, duration limit) noexcept;
  result<received_outcome> take() noexcept;

 private:
  static const wait_kind kind_;
};

/// Sends all of the pieces; `limit` counts anew whenever the peer has taken something. What it has
/// taken is added to `sent`, which is right after a cancellation as well.
class [[nodiscard]] timed_send final : public timed_wait<timed_send, sent_outcome> {
 public:
  static constexpr auto when_cancelled = cancel_safety::partial;
  timed_send(io_handle to, std::span<const io_slice> pieces, duration limit,
             std::size_t* sent = nullptr) noexcept;
  bool try_now() noexcept;
  bool goes_on() noexcept;
  result<sent_outcome> take() noexcept;

 private:
  static const wait_kind kind_;
  slice_cursor left_;
  std::size_t* sent_;
};

}  // namespace weir::detail

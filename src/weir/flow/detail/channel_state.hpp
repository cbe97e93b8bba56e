// What the halves of a channel share: the ring of items and the lines on both sides.
//
// Invariants: (1) senders stand in line only while the channel is full and no receiver of another
//                 task waits;
//             (2) receivers stand in line only while it is empty and no sender of another task
//             waits.
// A task stands on both sides when it selects over a send and a receive of one channel; it must not
// meet itself.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/flow/channel_options.hpp>
#include <weir/flow/detail/channel_waits.hpp>
#include <weir/flow/detail/item_ring.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/detail/shared_ring.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

/// Raises `invalid_argument` when no channel can be made like that.
void check_channel_options(const channel_options& options, std::size_t item_size);

template <class T, class Reach>
class channel_state final : public counted_state<channel_state<T, Reach>, Reach> {
  using wakes = typename Reach::wakes;
  using guard = typename Reach::guard;
  using send_wait = channel_send_wait<T, Reach>;
  using receive_wait = channel_receive_wait<T, Reach>;
  using ring = std::conditional_t<Reach::is_shared, shared_ring<T>, item_ring<T>>;

 public:
  explicit channel_state(const channel_options& options)
      : name_(options.name),
        when_full_(options.when_full == overflow::latest ? overflow::drop_oldest
                                                         : options.when_full),
        ring_(make_ring(room_of(options))) {}
  channel_state(const channel_state&) = delete;
  channel_state& operator=(const channel_state&) = delete;
  ~channel_state() = default;

  const char* name() const noexcept { return name_; }

  std::uint64_t add_sender() noexcept {
    const guard held(this->lock_);
    ++this->senders;
    return ++halves_;
  }
  std::uint64_t add_receiver() noexcept {
    const guard held(this->lock_);
    ++this->receivers;
    return ++halves_;
  }

  bool admit(send_wait& one, wakes& woken) noexcept {
    if (this->receivers == 0) [[unlikely]]
      return one.failed_ = errc::broken, true;
    if (give(one.item_, one.task, woken)) [[likely]]
      return true;
    return when_full_ != overflow::wait && (one.failed_ = overflow_to(one.item_), true);
  }
  bool admit(receive_wait& one, wakes& woken) noexcept {
    if (this->senders == 0 && is_planted("flow: a channel ends before it is empty")) return true;
    if (poll(one.item_, one.task, woken) || this->senders == 0) return true;
    return this->receivers == 0 && (one.failed_ = errc::closed, true);
  }
  /// Between loops: admit(), which takes the lock of the other end only when there is need.
  bool try_now(send_wait& one) noexcept {
    wakes woken;
    const held_lock held(this->lock_.back.lock);
    if (put_alone(one.item_)) [[likely]]
      return true;
    if (must_wait()) return false;
    const held_lock other_held(this->lock_.front.lock);
    return admit(one, woken);
  }
  bool try_now(receive_wait& one) noexcept {
    {
      const held_lock held(this->lock_.front.lock);
      if (take_alone(one.item_)) [[likely]]
        return true;
      if (this->senders != 0 && this->receivers != 0 && sends_.is_empty()) return false;
    }
    wakes woken;
    const guard held(this->lock_);
    return admit(one, woken);
  }
  /// Between loops: a moment in which items gather, for whoever has nothing else to do.
  void lets_gather() noexcept {
    ring_.lets_gather([] { return loop::current()->may_look_out(); });
  }
  /// Between loops: true when an item has come in a moment, for whoever has nothing else to do.
  bool looks_out() noexcept { return loop::current()->may_look_out() && ring_.looks_out(); }
  /// errc{} when the item was taken or a policy has dealt with it.
  errc try_send(T& item) noexcept {
    if constexpr (Reach::is_shared) {
      const held_lock held(this->lock_.back.lock);
      if (put_alone(item)) return {};
      if (must_wait()) return errc::full;
    }
    wakes woken;
    const guard held(this->lock_);
    if (this->receivers == 0) return errc::broken;
    if (give(item, nullptr, woken)) return {};
    return when_full_ == overflow::wait ? errc::full : overflow_to(item);
  }
  std::optional<T> try_receive() noexcept {
    std::optional<T> item;
    if constexpr (Reach::is_shared) {
      const held_lock held(this->lock_.front.lock);
      if (take_alone(item)) return item;
      if (sends_.is_empty()) return {};
    }
    wakes woken;
    const guard held(this->lock_);
    static_cast<void>(poll(item, nullptr, woken));
    return item;
  }
  bool is_at_end() const noexcept {
    const guard held(this->lock_);
    return this->senders == 0 && ring_.size() == 0;
  }

  void sender_gone(std::uint64_t half) noexcept {
    bool is_last = false;
    {
      wakes woken;
      const guard held(this->lock_);
      --this->senders;
      const bool ends_all = is_planted("flow: a sender that goes ends the sends of all others");
      fail_all(sends_, woken, errc::closed, ends_all ? any_half : half);
      if (this->senders == 0) fail_all(receives_, woken, errc{}, any_half);
      is_last = this->is_unused();
    }
    if (is_last) delete this;
  }
  void receiver_gone(std::uint64_t half) noexcept {
    bool is_last = false;
    std::optional<item_ring<T>> unread;  // items are destroyed when the lock is free
    {
      wakes woken;
      const guard held(this->lock_);
      --this->receivers;
      fail_all(receives_, woken, errc::closed, half);
      if (this->receivers == 0) {
        unread.emplace(ring_.take_rest());
        if (!is_planted("flow: senders in line are not told that the receivers have gone"))
          fail_all(sends_, woken, errc::broken, any_half);
      }
      is_last = this->is_unused();
    }
    if (is_last) delete this;
  }
  channel_stats stats() const noexcept {
    const guard held(this->lock_);
    return {.capacity = ring_.capacity(),
            .queued = ring_.size(),
            .senders = this->senders,
            .receivers = this->receivers,
            .sends_waiting = sends_.count(),
            .receives_waiting = receives_.count(),
            .dropped = dropped_};
  }

 private:
  friend send_wait;
  friend receive_wait;
  static constexpr std::uint64_t any_half = 0;

  static std::size_t room_of(const channel_options& options) noexcept {
    if (is_planted("flow: a channel has room for one item more")) return options.capacity + 1;
    return options.when_full == overflow::latest ? 1 : options.capacity;
  }
  ring make_ring(std::size_t capacity) {
    if constexpr (Reach::is_shared) {
      return ring(capacity, when_full_ != overflow::wait, this->lock_);
    } else {
      return ring(capacity);
    }
  }

  /// Who has waited longest in a line, but for the task itself; null when nobody else waits.
  template <class W>
  static W* partner(intrusive_list<W>& line, const task_header* task) noexcept {
    for (W& one : line) {
      if (one.task != task) [[likely]]
        return &one;
    }
    return nullptr;
  }
  /// Where nobody waits and nobody has gone, the lock of one end is enough.
  bool put_alone(T& item) noexcept {
    if (this->receivers == 0 || !receives_.is_empty() || !sends_.is_empty() || ring_.is_full())
      return false;
    ring_.push(item);
    return true;
  }
  /// A send that put_alone() refused has nobody to meet.
  bool must_wait() const noexcept {
    return when_full_ == overflow::wait && this->receivers != 0 && receives_.is_empty();
  }
  bool take_alone(std::optional<T>& into) noexcept {
    if (!sends_.is_empty() || ring_.is_empty()) return false;
    into.emplace(ring_.pop());
    return true;
  }
  /// To the receiver that has waited longest, or into the ring; false when there is no room.
  bool give(T& item, const task_header* from, wakes& woken) noexcept {
    if (receive_wait* const first = partner(receives_, from)) {
      first->unlink();
      first->item_.emplace(std::move(item));
      woken.add(*first);
      return true;
    }
    if (ring_.is_full() || !sends_.is_empty()) return false;
    ring_.push(item);
    return true;
  }
  /// The next item, queued or straight from a waiting sender; the freed place goes to the first
  /// waiting sender.
  bool poll(std::optional<T>& into, const task_header* to, wakes& woken) noexcept {
    if (ring_.size() != 0) {
      into.emplace(ring_.pop());
      if (sends_.is_empty()) return true;
      send_wait& next = sends_.pop_front();
      ring_.push(next.item_);
      woken.add(next);
      return true;
    }
    send_wait* const next = partner(sends_, to);
    if (!next) return false;
    next->unlink();
    into.emplace(std::move(next->item_));
    woken.add(*next);
    return true;
  }
  /// What becomes of an item for which there is no room. A dropped one goes out through `item`, to
  /// be destroyed by its sender.
  errc overflow_to(T& item) noexcept {
    if (when_full_ == overflow::fail) return errc::full;
    ++dropped_;
    if (when_full_ == overflow::drop_oldest) {
      T oldest = ring_.pop();
      ring_.push(item);
      item.~T();
      ::new (static_cast<void*>(&item)) T(std::move(oldest));
    }
    return {};
  }
  /// Ends the waits of a half, or of all. One by one from the front: what is told may take others
  /// out of the line.
  template <class Line>
  static void fail_all(Line& line, wakes& woken, errc code, std::uint64_t half) noexcept {
    for (auto at = line.begin(); at != line.end();) {
      auto& one = *at;
      if (half != any_half && one.half_ != half) {
        ++at;
        continue;
      }
      one.unlink();
      one.failed_ = code;
      woken.add(one);
      at = line.begin();
    }
  }

  const char* name_;
  overflow when_full_;
  std::uint64_t halves_ = any_half;  // that there were: a number is never used again
  std::uint64_t dropped_ = 0;
  ring ring_;
  intrusive_list<send_wait> sends_;        // (1)
  intrusive_list<receive_wait> receives_;  // (2)
};

}  // namespace detail

}  // namespace weir

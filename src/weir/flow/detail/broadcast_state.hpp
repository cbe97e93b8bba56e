// What the halves of a broadcast share: the items that are kept, and the receives that wait. An
// item is copied by the task that gets it, when it goes on: until then it is promised to it.
//
// Invariants: (1) a receive stands in line only while all that is kept for its receiver is
//                 promised; (2) a receive that was promised an item is in told_ until it takes it
//                 or its receiver goes, so neither reaches for the other when that is gone.
#pragma once

#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/flow/detail/reach.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace weir {

/// An item of a broadcast, and how many before it this receiver missed.
template <class T>
struct broadcast_item {
  T value;
  std::uint64_t missed = 0;
};

struct broadcast_stats {
  std::size_t capacity = 0;
  std::size_t senders = 0;
  std::size_t receivers = 0;
  std::size_t receives_waiting = 0;
  std::uint64_t sent = 0;
  std::uint64_t missed = 0;  // by all receivers together
};

namespace detail {

template <class T, class Reach>
class broadcast_state;

/// Raises `invalid_argument` for a capacity of none.
void check_broadcast_capacity(std::size_t capacity);

/// Where a receiver is. What is promised belongs to the state, under its lock.
struct broadcast_place {
  std::uint64_t next = 0;      // the number of the item that comes next
  std::uint64_t promised = 0;  // items that receives were told of and have not taken
};

class broadcast_told;

// Woken when there is something; the copy is made by the one who asked, since it may throw.
template <class T, class Reach>
class broadcast_wait final
    : public counted_wait<broadcast_wait<T, Reach>, std::optional<broadcast_item<T>>,
                          broadcast_state<T, Reach>, Reach, true>,
      public list_hook<broadcast_told> {
  using base = counted_wait<broadcast_wait, std::optional<broadcast_item<T>>,
                            broadcast_state<T, Reach>, Reach, true>;

 public:
  broadcast_wait(broadcast_state<T, Reach>* of, broadcast_place* at) noexcept
      : base(kind_, of), at_(at) {}
  broadcast_wait(broadcast_wait&& other) noexcept
      : base(static_cast<base&&>(other)), at_(other.at_) {}
  ~broadcast_wait() {
    if (is_told_) this->of_->forget(*this);
  }

  bool admit(typename Reach::wakes&) noexcept { return this->of_->admit(*this); }
  void fail_closed() noexcept { is_closed_ = true; }
  auto& line() noexcept { return this->of_->line_; }
  result<std::optional<broadcast_item<T>>> take() {
    if (is_closed_) return fail(errc::closed, "receive: this half of the broadcast was closed");
    return this->of_->take(*this);
  }

 private:
  friend class broadcast_state<T, Reach>;
  static constexpr wait_kind kind_{"item of a broadcast", &base::leave};
  broadcast_place* at_;   // the receiver's
  bool is_told_ = false;  // an item is promised
  bool is_closed_ = false;
};

template <class T, class Reach>
class broadcast_state final : public counted_state<broadcast_state<T, Reach>, Reach> {
  using wait = broadcast_wait<T, Reach>;
  using wakes = typename Reach::wakes;
  using guard = typename Reach::guard;
  static_assert(may_be_shared<T, Reach>, "the count of bytes is not atomic: share std::string");

 public:
  explicit broadcast_state(std::size_t capacity)
      : capacity_(capacity), items_(new std::optional<T>[capacity]) {}
  broadcast_state(const broadcast_state&) = delete;
  broadcast_state& operator=(const broadcast_state&) = delete;
  ~broadcast_state() = default;

  std::size_t send(T item) {
    std::optional<T> place(std::move(item));  // then what was there; it goes after the unlock
    wakes woken;
    const guard held(this->lock_);
    if (this->receivers == 0) return 0;  // nobody who comes later may ask for it
    items_[sent_ % capacity_].swap(place);
    ++sent_;
    tell_line(woken);
    return this->receivers;
  }
  bool admit(wait& one) noexcept {
    if (has_more(*one.at_)) return promise_to(one), true;
    return this->senders == 0;
  }
  /// What a receive gets that was woken: its item, or the end.
  std::optional<broadcast_item<T>> take(wait& one) {
    wakes woken;
    const guard held(this->lock_);
    if (one.is_told_) {
      release(one);
    } else if (!has_more(*one.at_)) {
      return std::nullopt;
    }
    try {
      return copy_next(*one.at_);
    } catch (...) {
      tell_line(woken);  // (1)
      throw;
    }
  }
  std::optional<broadcast_item<T>> try_take(broadcast_place& at) {
    const guard held(this->lock_);
    if (!has_more(at)) return std::nullopt;
    return copy_next(at);
  }
  /// A receive that was promised an item goes without it.
  void forget(wait& one) noexcept {
    wakes woken;
    const guard held(this->lock_);
    release(one);
    tell_line(woken);  // (1)
  }
  /// A receiver that comes now: the number of its first item.
  std::uint64_t receiver_came() noexcept {
    const guard held(this->lock_);
    ++this->receivers;
    return sent_;
  }
  void sender_gone() noexcept {
    bool is_last = false;
    {
      wakes woken;
      const guard held(this->lock_);
      if (--this->senders == 0) wake_all(woken);
      is_last = this->is_unused();
    }
    if (is_last) delete this;
  }
  /// Ends the waits of the receiver whose place this is, too.
  void receiver_gone(broadcast_place& at) noexcept {
    bool is_last = false;
    {
      wakes woken;
      const guard held(this->lock_);
      end_waits(at, woken);
      --this->receivers;
      is_last = this->is_unused();
    }
    if (is_last) delete this;
  }
  broadcast_stats stats() const noexcept {
    const guard held(this->lock_);
    return {.capacity = capacity_,
            .senders = this->senders,
            .receivers = this->receivers,
            .receives_waiting = line_.count(),
            .sent = sent_,
            .missed = missed_};
  }

 private:
  friend class broadcast_wait<T, Reach>;

  /// Whether something is kept for this receiver that nobody was promised.
  bool has_more(const broadcast_place& at) const noexcept {
    return std::min<std::uint64_t>(sent_ - at.next, capacity_) > at.promised;
  }
  void promise_to(wait& one) noexcept {
    ++one.at_->promised;
    one.is_told_ = true;
    told_.push_back(one);  // (2)
  }
  void release(wait& one) noexcept {
    --one.at_->promised;
    one.is_told_ = false;
    told_.erase(one);
  }
  /// Each item wakes one receive of a receiver. From the front again after each: what is told may
  /// take others out of the line.
  void tell_line(wakes& woken) noexcept {
    for (auto at = line_.begin(); at != line_.end();) {
      wait& one = *at;
      if (!has_more(*one.at_)) {
        ++at;
        continue;
      }
      line_.erase(one);
      promise_to(one);
      woken.add(one);
      at = line_.begin();
    }
  }
  broadcast_item<T> copy_next(broadcast_place& at) {
    const std::size_t kept = capacity_ + (is_planted("flow: a broadcast repeats an item") ? 1 : 0);
    const std::uint64_t oldest = sent_ > kept ? sent_ - kept : 0;
    const std::uint64_t missed = at.next < oldest ? oldest - at.next : 0;
    broadcast_item<T> item{*items_[(at.next + missed) % capacity_], missed};
    at.next += missed + 1;
    missed_ += missed;
    if (is_planted("flow: a receiver of a broadcast isn't told what it missed")) item.missed = 0;
    return item;
  }
  void wake_all(wakes& woken) noexcept {
    while (!line_.is_empty()) woken.add(line_.pop_front());
  }
  void end_waits(broadcast_place& of, wakes& woken) noexcept {
    for (auto at = told_.begin(); of.promised != 0 && at != told_.end();) {
      wait& one = *at;
      ++at;
      if (one.at_ != &of) continue;
      one.is_closed_ = true;
      release(one);
    }
    for (auto at = line_.begin(); at != line_.end();) {
      wait& one = *at;
      if (one.at_ != &of) {
        ++at;
        continue;
      }
      one.is_closed_ = true;
      line_.erase(one);
      woken.add(one);
      at = line_.begin();
    }
  }

  std::size_t capacity_;
  std::uint64_t sent_ = 0;
  std::uint64_t missed_ = 0;
  std::unique_ptr<std::optional<T>[]> items_;
  intrusive_list<wait> line_;                  // (1)
  intrusive_list<wait, broadcast_told> told_;  // (2)
};

}  // namespace detail

}  // namespace weir

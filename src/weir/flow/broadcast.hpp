// broadcast<T>: each item goes to every receiver. The hard idea: the sender never waits for the
// slowest. The last `capacity` items are kept, each receiver has its own place among them, and one
// that fell behind is told how many it missed.
//
//   sent:    0 1 2 3 4 [5 6 7 8]        capacity 4
//   receivers:   ^2      ^7             the first gets 5 and hears that it missed 3 (2, 3, 4)
#pragma once

#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/flow/detail/reach.hpp>

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

// Woken when there is something; the copy is made by the one who asked, since it may throw.
template <class T, class Reach>
class broadcast_wait final
    : public counted_wait<broadcast_wait<T, Reach>, std::optional<broadcast_item<T>>,
                          broadcast_state<T, Reach>, Reach, true> {
  using base = counted_wait<broadcast_wait, std::optional<broadcast_item<T>>,
                            broadcast_state<T, Reach>, Reach, true>;

 public:
  broadcast_wait(broadcast_state<T, Reach>* of, std::uint64_t* next) noexcept
      : base(kind_, of), next_(next) {}
  broadcast_wait(broadcast_wait&& other) noexcept
      : base(static_cast<base&&>(other)), next_(other.next_) {}

  bool admit(typename Reach::wakes&) noexcept {
    return *next_ != this->of_->sent_ || this->of_->senders == 0;
  }
  void fail_closed() noexcept { is_closed_ = true; }
  auto& line() noexcept { return this->of_->line_; }
  result<std::optional<broadcast_item<T>>> take() {
    if (is_closed_) return fail(errc::closed, "receive: this half of the broadcast was closed");
    return this->of_->take(*next_);
  }

 private:
  friend class broadcast_state<T, Reach>;
  static constexpr wait_kind kind_{"item of a broadcast", &base::leave};
  std::uint64_t* next_;  // the receiver's
  bool is_closed_ = false;
};

template <class T, class Reach>
class broadcast_state final : public counted_state<broadcast_state<T, Reach>, Reach> {
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
    wake_all(woken);
    return this->receivers;
  }
  /// What a receiver gets whose next item is number `next`.
  std::optional<broadcast_item<T>> take(std::uint64_t& next) {
    const guard held(this->lock_);
    if (next == sent_) return std::nullopt;  // woken by the end
    const std::size_t kept = capacity_ + (is_planted("flow: a broadcast repeats an item") ? 1 : 0);
    const std::uint64_t oldest = sent_ > kept ? sent_ - kept : 0;
    const std::uint64_t missed = next < oldest ? oldest - next : 0;
    broadcast_item<T> item{*items_[(next + missed) % capacity_], missed};
    next += missed + 1;
    missed_ += missed;
    if (is_planted("flow: a receiver of a broadcast isn't told what it missed")) item.missed = 0;
    return item;
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
  void receiver_gone(const std::uint64_t* next) noexcept {
    bool is_last = false;
    {
      wakes woken;
      const guard held(this->lock_);
      end_waits(next, woken);
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

  void wake_all(wakes& woken) noexcept {
    while (!line_.is_empty()) woken.add(line_.pop_front());
  }
  void end_waits(const std::uint64_t* next, wakes& woken) noexcept {
    for (auto at = line_.begin(); at != line_.end();) {
      auto& one = *at;
      if (one.next_ != next) {
        ++at;
        continue;
      }
      one.is_closed_ = true;
      one.unlink();
      woken.add(one);
      at = line_.begin();
    }
  }

  std::size_t capacity_;
  std::uint64_t sent_ = 0;
  std::uint64_t missed_ = 0;
  std::unique_ptr<std::optional<T>[]> items_;
  intrusive_list<broadcast_wait<T, Reach>> line_;
};

}  // namespace detail

/// The receiving half of a broadcast. A copy goes on from the place of its original.
///
/// Cancel:  a cancelled receive has taken no item.
/// Order:   items in the order of their sends, each once.
/// Bound:   the broadcast's capacity: who is further behind misses the oldest, and is told.
/// Errors:  the end (all senders gone, nothing left) is an empty optional; `closed` after this
///          half's own close().
/// Threads: one loop; that of cross::broadcast any, one at a time.
template <class T, class Reach>
class basic_broadcast_receiver {
  using state = detail::broadcast_state<T, Reach>;

 public:
  explicit basic_broadcast_receiver(state* of) noexcept : of_(of), next_(of->receiver_came()) {}
  basic_broadcast_receiver(const basic_broadcast_receiver& other) noexcept
      : of_(other.of_), next_(other.next_) {
    if (of_) of_->add_one(of_->receivers);
  }
  /// Not while a task waits in receive().
  basic_broadcast_receiver(basic_broadcast_receiver&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), next_(other.next_) {}
  basic_broadcast_receiver& operator=(basic_broadcast_receiver other) noexcept {
    std::swap(of_, other.of_);
    std::swap(next_, other.next_);
    return *this;
  }
  ~basic_broadcast_receiver() { close(); }

  /// `while (auto next = co_await news.receive()) show(next->value, next->missed);`
  [[nodiscard]] detail::broadcast_wait<T, Reach> receive() noexcept {
    return detail::broadcast_wait<T, Reach>(of_, &next_);
  }
  /// Never waits: empty when nothing is there now.
  [[nodiscard]] std::optional<broadcast_item<T>> try_receive() {
    return of_ ? of_->take(next_) : std::nullopt;
  }
  /// Gives this half up and ends its waits; idempotent.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->receiver_gone(&next_);
  }
  broadcast_stats stats() const noexcept { return of_ ? of_->stats() : broadcast_stats{}; }

 private:
  state* of_;
  std::uint64_t next_;  // the number of the item that comes next
};

/// The sending half of a broadcast. Copies are clones: the broadcast ends for receivers when the
/// last one is gone.
///
/// Cancel:  no waits.
/// Order:   every receiver gets the items in the order of their sends.
/// Bound:   the broadcast's capacity; sending never waits.
/// Errors:  none; an item that nobody is there to receive is dropped, and send() says 0.
/// Threads: one loop; that of cross::broadcast any thread.
template <class T, class Reach>
class basic_broadcast_sender {
  using state = detail::broadcast_state<T, Reach>;

 public:
  explicit basic_broadcast_sender(state* of) noexcept : of_(of) { of_->add_one(of_->senders); }
  basic_broadcast_sender(const basic_broadcast_sender& other) noexcept : of_(other.of_) {
    if (of_) of_->add_one(of_->senders);
  }
  basic_broadcast_sender(basic_broadcast_sender&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)) {}
  basic_broadcast_sender& operator=(basic_broadcast_sender other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~basic_broadcast_sender() { close(); }

  /// Never waits. The number of receivers that can get it.
  std::size_t send(T item) {
    if (!of_) raise(error(errc::closed, "send: this half of the broadcast was closed"));
    return of_->send(std::move(item));
  }
  /// A new receiver, which gets what is sent from now on.
  [[nodiscard]] basic_broadcast_receiver<T, Reach> subscribe() const {
    if (!of_) raise(error(errc::closed, "subscribe: this half of the broadcast was closed"));
    return basic_broadcast_receiver<T, Reach>(of_);
  }
  /// Gives this half up; idempotent.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->sender_gone();
  }
  broadcast_stats stats() const noexcept { return of_ ? of_->stats() : broadcast_stats{}; }

 private:
  state* of_;
};

template <class T>
using broadcast_sender = basic_broadcast_sender<T, detail::one_loop>;
template <class T>
using broadcast_receiver = basic_broadcast_receiver<T, detail::one_loop>;

/// `auto news = weir::broadcast<headline>(64); auto mine = news.subscribe();` T can be copied.
/// Raises `invalid_argument` for capacity 0.
template <class T>
[[nodiscard]] broadcast_sender<T> broadcast(std::size_t capacity) {
  detail::check_broadcast_capacity(capacity);
  return broadcast_sender<T>(new detail::broadcast_state<T, detail::one_loop>(capacity));
}

namespace cross {

template <class T>
using broadcast_sender = basic_broadcast_sender<T, detail::many_loops>;
template <class T>
using broadcast_receiver = basic_broadcast_receiver<T, detail::many_loops>;

/// weir::broadcast between loops. T is copied under a lock: keep it small, or make it a shared_ptr.
/// Several threads use and drop copies at once: no T that shares a count without atomics (`bytes`).
template <class T>
[[nodiscard]] broadcast_sender<T> broadcast(std::size_t capacity) {
  detail::check_broadcast_capacity(capacity);
  return broadcast_sender<T>(new detail::broadcast_state<T, detail::many_loops>(capacity));
}

}  // namespace cross
}  // namespace weir

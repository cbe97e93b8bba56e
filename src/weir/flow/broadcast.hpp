// broadcast<T>: each item goes to every receiver. The hard idea: the sender never waits for the
// slowest. The last `capacity` items are kept, each receiver has its own place among them, and one
// that fell behind is told how many it missed.
//
//   sent:    0 1 2 3 4 [5 6 7 8]        capacity 4
//   receivers:   ^2      ^7             the first gets 5 and hears that it missed 3 (2, 3, 4)
#pragma once

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

template <class T>
class broadcast_state;

/// Raises `invalid_argument` for a capacity of none.
void check_broadcast_capacity(std::size_t capacity);

// Woken when there is something; the copy is made by the one who asked, since it may throw.
template <class T>
class broadcast_wait final
    : public counted_wait<broadcast_wait<T>, std::optional<broadcast_item<T>>, broadcast_state<T>,
                          one_loop, true> {
  using base = counted_wait<broadcast_wait, std::optional<broadcast_item<T>>, broadcast_state<T>,
                            one_loop, true>;

 public:
  broadcast_wait(broadcast_state<T>* of, std::uint64_t* next) noexcept
      : base(kind_, of), next_(next) {}
  broadcast_wait(broadcast_wait&& other) noexcept
      : base(static_cast<base&&>(other)), next_(other.next_) {}

  bool admit(one_loop::wakes&) noexcept {
    return *next_ != this->of_->sent() || this->of_->senders == 0;
  }
  void fail_closed() noexcept { is_closed_ = true; }
  auto& line() noexcept { return this->of_->line_; }
  result<std::optional<broadcast_item<T>>> take() {
    if (is_closed_) return fail(errc::closed, "receive: this half of the broadcast was closed");
    return this->of_->take(*next_);
  }

 private:
  friend class broadcast_state<T>;
  static constexpr wait_kind kind_{"item of a broadcast", &base::leave};
  std::uint64_t* next_;  // the receiver's
  bool is_closed_ = false;
};

template <class T>
class broadcast_state final : public counted_state<broadcast_state<T>, one_loop> {
 public:
  explicit broadcast_state(std::size_t capacity)
      : capacity_(capacity), items_(new std::optional<T>[capacity]) {}
  broadcast_state(const broadcast_state&) = delete;
  broadcast_state& operator=(const broadcast_state&) = delete;
  ~broadcast_state() = default;

  std::uint64_t sent() const noexcept { return sent_; }

  std::size_t send(T item) {
    if (this->receivers == 0) return 0;  // nobody who comes later may ask for it
    items_[sent_ % capacity_].emplace(std::move(item));
    ++sent_;
    wake_all();
    return this->receivers;
  }
  /// What a receiver gets whose next item is number `next`.
  std::optional<broadcast_item<T>> take(std::uint64_t& next) {
    if (next == sent_) return std::nullopt;  // woken by the end
    const std::uint64_t oldest = sent_ > capacity_ ? sent_ - capacity_ : 0;
    const std::uint64_t missed = next < oldest ? oldest - next : 0;
    broadcast_item<T> item{*items_[(next + missed) % capacity_], missed};
    next += missed + 1;
    missed_ += missed;
    return item;
  }
  void sender_gone() noexcept {
    if (--this->senders == 0) wake_all();
    if (this->is_unused()) delete this;
  }
  void receiver_gone(const std::uint64_t* next) noexcept {
    for (auto at = line_.begin(); at != line_.end();) {
      auto& one = *at;
      if (one.next_ != next) {
        ++at;
        continue;
      }
      one.is_closed_ = true;
      one.unlink();
      one.complete();
      at = line_.begin();
    }
    --this->receivers;
    if (this->is_unused()) delete this;
  }
  broadcast_stats stats() const noexcept {
    return {.capacity = capacity_,
            .senders = this->senders,
            .receivers = this->receivers,
            .receives_waiting = line_.count(),
            .sent = sent_,
            .missed = missed_};
  }

 private:
  friend class broadcast_wait<T>;

  void wake_all() noexcept {
    while (!line_.is_empty()) line_.pop_front().complete();
  }

  std::size_t capacity_;
  std::uint64_t sent_ = 0;
  std::uint64_t missed_ = 0;
  std::unique_ptr<std::optional<T>[]> items_;
  intrusive_list<broadcast_wait<T>> line_;
};

}  // namespace detail

/// The receiving half of a broadcast. A copy goes on from the place of its original.
///
/// Cancel:  a cancelled receive has taken no item.
/// Order:   items in the order of their sends, each once.
/// Bound:   the broadcast's capacity: who is further behind misses the oldest, and is told.
/// Errors:  the end (all senders gone, nothing left) is an empty optional; `closed` after this
///          half's own close().
/// Threads: one loop.
template <class T>
class broadcast_receiver {
  using state = detail::broadcast_state<T>;

 public:
  explicit broadcast_receiver(state* of) noexcept : of_(of), next_(of->sent()) { ++of_->receivers; }
  broadcast_receiver(const broadcast_receiver& other) noexcept
      : of_(other.of_), next_(other.next_) {
    if (of_) ++of_->receivers;
  }
  /// Not while a task waits in receive().
  broadcast_receiver(broadcast_receiver&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), next_(other.next_) {}
  broadcast_receiver& operator=(broadcast_receiver other) noexcept {
    std::swap(of_, other.of_);
    std::swap(next_, other.next_);
    return *this;
  }
  ~broadcast_receiver() { close(); }

  /// `while (auto next = co_await news.receive()) show(next->value, next->missed);`
  [[nodiscard]] detail::broadcast_wait<T> receive() noexcept {
    return detail::broadcast_wait<T>(of_, &next_);
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
/// Threads: one loop.
template <class T>
class broadcast_sender {
  using state = detail::broadcast_state<T>;

 public:
  explicit broadcast_sender(state* of) noexcept : of_(of) { ++of_->senders; }
  broadcast_sender(const broadcast_sender& other) noexcept : of_(other.of_) {
    if (of_) ++of_->senders;
  }
  broadcast_sender(broadcast_sender&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  broadcast_sender& operator=(broadcast_sender other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~broadcast_sender() { close(); }

  /// Never waits. The number of receivers that can get it.
  std::size_t send(T item) {
    if (!of_) raise(error(errc::closed, "send: this half of the broadcast was closed"));
    return of_->send(std::move(item));
  }
  /// A new receiver, which gets what is sent from now on.
  [[nodiscard]] broadcast_receiver<T> subscribe() const {
    if (!of_) raise(error(errc::closed, "subscribe: this half of the broadcast was closed"));
    return broadcast_receiver<T>(of_);
  }
  /// Gives this half up; idempotent.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->sender_gone();
  }
  broadcast_stats stats() const noexcept { return of_ ? of_->stats() : broadcast_stats{}; }

 private:
  state* of_;
};

/// `auto news = weir::broadcast<headline>(64); auto mine = news.subscribe();` T can be copied.
/// Raises `invalid_argument` for capacity 0.
template <class T>
[[nodiscard]] broadcast_sender<T> broadcast(std::size_t capacity) {
  detail::check_broadcast_capacity(capacity);
  return broadcast_sender<T>(new detail::broadcast_state<T>(capacity));
}

}  // namespace weir

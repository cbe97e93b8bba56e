// broadcast<T>: each item goes to every receiver. The hard idea: the sender never waits for the
// slowest. The last `capacity` items are kept, each receiver has its own place among them, and one
// that fell behind is told how many it missed.
//
//   sent:    0 1 2 3 4 [5 6 7 8]        capacity 4
//   receivers:   ^2      ^7             the first gets 5 and hears that it missed 3 (2, 3, 4)
#pragma once

#include <weir/base/error.hpp>
#include <weir/flow/detail/broadcast_state.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace weir {

/// The receiving half of a broadcast. A copy goes on from the place of its original.
///
/// Cancel:  a cancelled receive has taken no item.
/// Order:   items in the order of their sends, each once: tasks that share a receiver share them,
///          and who waited longest is first.
/// Bound:   the broadcast's capacity: who is further behind misses the oldest, and is told.
/// Errors:  the end (all senders gone, nothing left) is an empty optional; `closed` after this
///          half's own close(), also for receives that were told of an item and have not gone on.
/// Threads: one loop; that of cross::broadcast any, one at a time.
template <class T, class Reach>
class basic_broadcast_receiver {
  using state = detail::broadcast_state<T, Reach>;

 public:
  explicit basic_broadcast_receiver(state* of) noexcept
      : of_(of), at_{.next = of->receiver_came()} {}
  basic_broadcast_receiver(const basic_broadcast_receiver& other) noexcept
      : of_(other.of_), at_{.next = other.at_.next} {
    if (of_) of_->add_one(of_->receivers);
  }
  /// Not while a task waits in receive().
  basic_broadcast_receiver(basic_broadcast_receiver&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), at_{.next = other.at_.next} {}
  /// As close(), and then as `other`.
  basic_broadcast_receiver& operator=(basic_broadcast_receiver other) noexcept {
    close();
    of_ = std::exchange(other.of_, nullptr);
    at_.next = other.at_.next;
    return *this;
  }
  ~basic_broadcast_receiver() { close(); }

  /// `while (auto next = co_await news.receive()) show(next->value, next->missed);`
  [[nodiscard]] detail::broadcast_wait<T, Reach> receive() noexcept {
    return detail::broadcast_wait<T, Reach>(of_, &at_);
  }
  /// Never waits: empty when nothing is there now, but for what receives that wait have been
  /// promised.
  [[nodiscard]] std::optional<broadcast_item<T>> try_receive() {
    return of_ ? of_->try_take(at_) : std::nullopt;
  }
  /// Gives this half up and ends its waits; idempotent.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->receiver_gone(at_);
  }
  broadcast_stats stats() const noexcept { return of_ ? of_->stats() : broadcast_stats{}; }

 private:
  state* of_;
  detail::broadcast_place at_;
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

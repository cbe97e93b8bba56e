// channel<T>: a bounded conveyor between tasks of one loop, in two halves. The hard idea: the
// halves are counted. When the last sender goes, receivers drain what is queued and then see the
// end; when the last receiver goes, senders fail at once, so a waiter whose partner is gone never
// hangs.
#pragma once

#include <weir/flow/detail/channel_state.hpp>

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

namespace weir {

/// The sending half of a channel. Copies are clones: the channel ends for receivers when the last
/// one is gone.
///
/// Cancel:  a cancelled send has either queued its item or not touched the channel.
/// Order:   items leave in the order in which their sends were admitted.
/// Bound:   the channel's capacity; send waits while it is full (0: until a receiver takes the
///          item).
/// Errors:  `broken` when no receiver is left; `closed` after this half's own close().
/// Threads: one loop; to cross loops use post().
template <class T>
class sender {
 public:
  explicit sender(detail::channel_state<T>* of) noexcept : of_(of) { ++of_->senders; }
  sender(const sender& other) noexcept : of_(other.of_) {
    if (of_) ++of_->senders;
  }
  sender(sender&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  sender& operator=(sender other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~sender() { close(); }

  /// Waits while the channel is full.
  [[nodiscard]] detail::channel_send_wait<T> send(T item) const noexcept {
    return detail::channel_send_wait<T>(of_, std::move(item));
  }
  /// Never waits: false when the channel is full or nobody receives; `item` is then untouched.
  [[nodiscard]] bool try_send(T& item) const noexcept {
    return of_ && of_->receivers != 0 && of_->senders_waiting.is_empty() && of_->offer(item);
  }
  /// Gives this half up; idempotent.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->sender_gone();
  }
  channel_stats stats() const noexcept { return of_ ? of_->stats() : channel_stats{}; }

 private:
  detail::channel_state<T>* of_;
};

/// The receiving half of a channel. Copies compete: each item goes to one receiver.
///
/// Cancel:  a cancelled receive has taken no item.
/// Order:   receivers are served in the order in which they came.
/// Bound:   the channel's capacity.
/// Errors:  the end (all senders gone, nothing queued) is an empty optional; `closed` after this
///          half's own close().
/// Threads: one loop.
template <class T>
class receiver {
 public:
  explicit receiver(detail::channel_state<T>* of) noexcept : of_(of) { ++of_->receivers; }
  receiver(const receiver& other) noexcept : of_(other.of_) {
    if (of_) ++of_->receivers;
  }
  receiver(receiver&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  receiver& operator=(receiver other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~receiver() { close(); }

  /// `while (auto one = co_await lines.receive())`
  [[nodiscard]] detail::channel_receive_wait<T> receive() const noexcept {
    return detail::channel_receive_wait<T>(of_);
  }
  /// Never waits: empty when nothing is there now.
  [[nodiscard]] std::optional<T> try_receive() const noexcept {
    return of_ ? of_->poll() : std::nullopt;
  }
  /// Gives this half up; with the last one, queued items are destroyed and senders fail.
  /// Idempotent.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->receiver_gone();
  }
  channel_stats stats() const noexcept { return of_ ? of_->stats() : channel_stats{}; }

 private:
  detail::channel_state<T>* of_;
};

/// The two halves of a new channel.
template <class T>
struct channel_halves {
  weir::sender<T> sender;
  weir::receiver<T> receiver;
};

/// `auto [to_writer, lines] = weir::channel<std::string>(64);` T moves without throwing. Capacity 0
/// is a rendezvous: a send ends when its item has been taken.
template <class T>
channel_halves<T> channel(std::size_t capacity) {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "items of a channel move without throwing");
  auto* state = new detail::channel_state<T>(capacity);
  return {sender<T>(state), receiver<T>(state)};
}

}  // namespace weir

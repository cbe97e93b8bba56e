// channel<T>: a bounded conveyor between tasks, in two halves. The hard idea: the halves are
// counted. When the last sender goes, receivers drain what is queued and then see the end; when the
// last receiver goes, senders fail at once; and a half that is closed ends its own waits. So a
// waiter whose partner is gone never hangs.
//
//   what happened                              send                 receive
//   every receiver has gone                    raises `broken`      -
//   every sender has gone, nothing is queued   -                    gives nothing: the end
//   this half was closed                       raises `closed`      raises `closed`
//   the channel is full                        waits, or as `when_full` says
#pragma once

#include <weir/flow/detail/channel_state.hpp>

#include <cstddef>
#include <cstdint>
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
///          item), or does what the channel's overflow policy says.
/// Errors:  `broken` when no receiver is left; `closed` after this half's own close(), also for
///          sends that wait; `full` with overflow::fail.
/// Threads: one loop; those of cross::channel go to any, and try_send(), copies and close() need no
///          loop.
template <class T, class Reach>
class basic_sender {
  using state = detail::channel_state<T, Reach>;

 public:
  explicit basic_sender(state* of) noexcept : of_(of), half_(of->add_sender()) {}
  basic_sender(const basic_sender& other) noexcept
      : of_(other.of_), half_(of_ ? of_->add_sender() : 0) {}
  basic_sender(basic_sender&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), half_(other.half_) {}
  basic_sender& operator=(basic_sender other) noexcept {
    std::swap(of_, other.of_);
    std::swap(half_, other.half_);
    return *this;
  }
  ~basic_sender() { close(); }

  /// Waits while the channel is full.
  [[nodiscard]] detail::channel_send_wait<T, Reach> send(T item) const noexcept {
    return detail::channel_send_wait<T, Reach>(of_, half_, std::move(item));
  }
  /// Never waits: false when it could not send now, and `item` is then untouched.
  [[nodiscard]] bool try_send(T& item) const noexcept {
    return of_ && of_->try_send(item) == errc{};
  }
  /// Gives this half up and ends its waits; idempotent.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->sender_gone(half_);
  }
  /// True while somebody could receive what is sent.
  bool has_receivers() const noexcept { return stats().receivers != 0; }
  const char* name() const noexcept { return of_ ? of_->name() : "closed"; }
  channel_stats stats() const noexcept { return of_ ? of_->stats() : channel_stats{}; }

 private:
  state* of_;
  std::uint64_t half_;
};

/// The receiving half of a channel. Copies compete: each item goes to one receiver.
///
/// Cancel:  a cancelled receive has taken no item.
/// Order:   receivers are served in the order in which they came.
/// Bound:   the channel's capacity.
/// Errors:  the end (all senders gone, nothing queued) is an empty optional; `closed` after this
///          half's own close(), also for receives that wait.
/// Threads: one loop; those of cross::channel go to any, and try_receive(), copies and close() need
///          no loop.
template <class T, class Reach>
class basic_receiver {
  using state = detail::channel_state<T, Reach>;

 public:
  explicit basic_receiver(state* of) noexcept : of_(of), half_(of->add_receiver()) {}
  basic_receiver(const basic_receiver& other) noexcept
      : of_(other.of_), half_(of_ ? of_->add_receiver() : 0) {}
  basic_receiver(basic_receiver&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), half_(other.half_) {}
  basic_receiver& operator=(basic_receiver other) noexcept {
    std::swap(of_, other.of_);
    std::swap(half_, other.half_);
    return *this;
  }
  ~basic_receiver() { close(); }

  /// `while (auto one = co_await lines.receive())`
  [[nodiscard]] detail::channel_receive_wait<T, Reach> receive() const noexcept {
    return detail::channel_receive_wait<T, Reach>(of_, half_);
  }
  /// Never waits: empty when nothing is there now.
  [[nodiscard]] std::optional<T> try_receive() const noexcept {
    return of_ ? of_->try_receive() : std::nullopt;
  }
  /// Gives this half up and ends its waits; with the last one, queued items are destroyed and
  /// senders fail. Idempotent.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->receiver_gone(half_);
  }
  /// True when nothing is queued and nobody could send any more.
  bool is_at_end() const noexcept { return !of_ || of_->is_at_end(); }
  const char* name() const noexcept { return of_ ? of_->name() : "closed"; }
  channel_stats stats() const noexcept { return of_ ? of_->stats() : channel_stats{}; }

 private:
  state* of_;
  std::uint64_t half_;
};

template <class T>
using sender = basic_sender<T, detail::one_loop>;
template <class T>
using receiver = basic_receiver<T, detail::one_loop>;

/// The two halves of a new channel.
template <class T, class Reach>
struct basic_channel_halves {
  basic_sender<T, Reach> sender;
  basic_receiver<T, Reach> receiver;
};
template <class T>
using channel_halves = basic_channel_halves<T, detail::one_loop>;

namespace detail {
template <class T, class Reach>
basic_channel_halves<T, Reach> make_channel(const channel_options& options) {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "items of a channel move without throwing");
  check_channel_options(options, sizeof(T));
  auto* state = new channel_state<T, Reach>(options);
  return {basic_sender<T, Reach>(state), basic_receiver<T, Reach>(state)};
}
}  // namespace detail

/// `auto [to_writer, lines] = weir::channel<std::string>(64);` T moves without throwing. Capacity 0
/// is a rendezvous: a send ends when its item has been taken.
template <class T>
channel_halves<T> channel(std::size_t capacity) {
  return detail::make_channel<T, detail::one_loop>({.capacity = capacity});
}
/// `weir::channel<sample>({.capacity = 64, .when_full = weir::overflow::drop_oldest});` Raises
/// `invalid_argument` for options that contradict each other.
template <class T>
channel_halves<T> channel(channel_options options) {
  return detail::make_channel<T, detail::one_loop>(options);
}

/// Twins of what flow offers, for tasks of several loops: the same names, the same rules.
namespace cross {

template <class T>
using sender = basic_sender<T, detail::both_ends>;
template <class T>
using receiver = basic_receiver<T, detail::both_ends>;

/// weir::channel between tasks of several loops.
template <class T>
basic_channel_halves<T, detail::both_ends> channel(std::size_t capacity) {
  return detail::make_channel<T, detail::both_ends>({.capacity = capacity});
}
template <class T>
basic_channel_halves<T, detail::both_ends> channel(channel_options options) {
  return detail::make_channel<T, detail::both_ends>(options);
}

}  // namespace cross
}  // namespace weir

// What the halves of a channel share: the ring of items and the waits on both sides.
//
// Invariants: (1) senders wait only while the channel is full and no receiver waits;
//             (2) receivers wait only while it is empty and no sender waits.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/intrusive.hpp>
#include <weir/core/wait.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <utility>

namespace weir {

/// What a channel holds and who waits on it, for consoles and tests.
struct channel_stats {
  std::size_t capacity = 0;
  std::size_t queued = 0;
  std::size_t senders = 0;
  std::size_t receivers = 0;
  std::size_t sends_waiting = 0;
  std::size_t receives_waiting = 0;
};

namespace detail {

template <class T>
class channel_state;

template <class T>
class channel_send_wait final : public leaf_wait<channel_send_wait<T>, void>, public list_hook<> {
 public:
  channel_send_wait(channel_state<T>* of, T item) noexcept
      : leaf_wait<channel_send_wait, void>(kind_), of_(of), item_(std::move(item)) {}
  channel_send_wait(channel_send_wait&& other) noexcept
      : leaf_wait<channel_send_wait, void>(
            static_cast<leaf_wait<channel_send_wait, void>&&>(other)),
        list_hook<>(),
        of_(other.of_),
        item_(std::move(other.item_)) {}

  bool try_now() noexcept;
  void enlist() noexcept { of_->senders_waiting.push_back(*this); }
  result<void> take() noexcept {
    if (failed_ == errc{}) return {};
    return fail(failed_);
  }

 private:
  friend class channel_state<T>;
  static void leave(wait& w) noexcept {
    static_cast<channel_send_wait&>(w).unlink();
    w.complete_cancelled();
  }
  static constexpr wait_kind kind_{"room in a channel", &leave};
  channel_state<T>* of_;
  T item_;
  errc failed_{};
};

template <class T>
class channel_receive_wait final : public leaf_wait<channel_receive_wait<T>, std::optional<T>>,
                                   public list_hook<> {
  using base = leaf_wait<channel_receive_wait, std::optional<T>>;

 public:
  explicit channel_receive_wait(channel_state<T>* of) noexcept : base(kind_), of_(of) {}
  channel_receive_wait(channel_receive_wait&& other) noexcept
      : base(static_cast<base&&>(other)), list_hook<>(), of_(other.of_) {}

  bool try_now() noexcept;
  void enlist() noexcept { of_->receivers_waiting.push_back(*this); }
  result<std::optional<T>> take() noexcept {
    if (failed_ != errc{}) return fail(failed_);
    return std::move(item_);
  }

 private:
  friend class channel_state<T>;
  static void leave(wait& w) noexcept {
    static_cast<channel_receive_wait&>(w).unlink();
    w.complete_cancelled();
  }
  static constexpr wait_kind kind_{"item of a channel", &leave};
  channel_state<T>* of_;
  std::optional<T> item_;
  errc failed_{};
};

template <class T>
class channel_state {
 public:
  explicit channel_state(std::size_t capacity)
      : capacity_(capacity),
        ring_(capacity == 0 ? nullptr : static_cast<T*>(::operator new(capacity * sizeof(T)))) {}
  channel_state(const channel_state&) = delete;
  channel_state& operator=(const channel_state&) = delete;
  ~channel_state() {
    while (size_ != 0) static_cast<void>(pop());
    ::operator delete(ring_);
  }

  /// Takes the item if there is a receiver waiting or room; leaves it alone otherwise.
  bool offer(T& item) noexcept {
    if (!receivers_waiting.is_empty()) {
      channel_receive_wait<T>& first = receivers_waiting.pop_front();
      first.item_.emplace(std::move(item));
      first.complete();
      return true;
    }
    if (size_ == capacity_) return false;
    ::new (static_cast<void*>(ring_ + (first_ + size_) % capacity_)) T(std::move(item));
    ++size_;
    return true;
  }
  /// The next item, queued or straight from a waiting sender; the freed place goes to the first
  /// waiting sender.
  std::optional<T> poll() noexcept {
    std::optional<T> item;
    if (size_ != 0) {
      item.emplace(pop());
      if (!senders_waiting.is_empty()) {
        channel_send_wait<T>& next = senders_waiting.pop_front();
        offer(next.item_);
        next.complete();
      }
    } else if (!senders_waiting.is_empty()) {
      channel_send_wait<T>& next = senders_waiting.pop_front();
      item.emplace(std::move(next.item_));
      next.complete();
    }
    return item;
  }

  void sender_gone() noexcept {
    if (--senders == 0) {
      while (!receivers_waiting.is_empty()) receivers_waiting.pop_front().complete();
    }
    free_if_unused();
  }
  void receiver_gone() noexcept {
    if (--receivers == 0) {
      while (!senders_waiting.is_empty()) {
        channel_send_wait<T>& one = senders_waiting.pop_front();
        one.failed_ = errc::broken;
        one.complete();
      }
      while (size_ != 0) static_cast<void>(pop());
    }
    free_if_unused();
  }
  channel_stats stats() noexcept {
    return {.capacity = capacity_,
            .queued = size_,
            .senders = senders,
            .receivers = receivers,
            .sends_waiting = count(senders_waiting),
            .receives_waiting = count(receivers_waiting)};
  }

  std::size_t senders = 0;
  std::size_t receivers = 0;
  intrusive_list<channel_send_wait<T>> senders_waiting;       // (1)
  intrusive_list<channel_receive_wait<T>> receivers_waiting;  // (2)

 private:
  T pop() noexcept {
    T* at = ring_ + first_;
    T item = std::move(*at);
    at->~T();
    first_ = (first_ + 1) % capacity_;
    --size_;
    return item;
  }
  void free_if_unused() noexcept {
    if (senders == 0 && receivers == 0) delete this;
  }
  template <class List>
  static std::size_t count(List& list) noexcept {
    std::size_t n = 0;
    for (auto& one : list) {
      static_cast<void>(one);
      ++n;
    }
    return n;
  }

  std::size_t capacity_;
  T* ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

template <class T>
bool channel_send_wait<T>::try_now() noexcept {
  if (!of_) {
    failed_ = errc::closed;
    return true;
  }
  if (of_->receivers == 0) {
    failed_ = errc::broken;
    return true;
  }
  return of_->senders_waiting.is_empty() && of_->offer(item_);
}

template <class T>
bool channel_receive_wait<T>::try_now() noexcept {
  if (!of_) {
    failed_ = errc::closed;
    return true;
  }
  item_ = of_->poll();
  return item_.has_value() || of_->senders == 0;
}

}  // namespace detail

}  // namespace weir

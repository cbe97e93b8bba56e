// oneshot<T>: one value, handed over once, in two halves. The hard idea: it is a channel that can't
// be full, so sending never waits, and both sides learn when the other has gone.
//
//   sender                    receiver
//   send(value)       ->      receive() gives it
//   goes without one  ->      receive() raises `broken`
//   send() says false  <-     has gone
#pragma once

#include <weir/base/error.hpp>
#include <weir/flow/detail/reach.hpp>

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

template <class T, class Reach>
class oneshot_state;

template <class T, class Reach>
class oneshot_wait final
    : public counted_wait<oneshot_wait<T, Reach>, T, oneshot_state<T, Reach>, Reach> {
  using base = counted_wait<oneshot_wait, T, oneshot_state<T, Reach>, Reach>;

 public:
  explicit oneshot_wait(oneshot_state<T, Reach>* of) noexcept : base(kind_, of) {}
  oneshot_wait(oneshot_wait&& other) noexcept : base(static_cast<base&&>(other)) {}

  bool admit(typename Reach::wakes&) noexcept {
    if (this->of_->receivers == 0) return fail_closed(), true;
    if (this->of_->value_) {
      value_ = std::exchange(this->of_->value_, std::nullopt);
      this->of_->is_taken_ = true;
      return true;
    }
    if (this->of_->is_taken_) return fail_closed(), true;
    failed_ = errc::broken;
    return this->of_->senders == 0;
  }
  void fail_closed() noexcept { failed_ = errc::closed; }
  auto& line() noexcept { return this->of_->line_; }
  result<T> take() noexcept {
    if (value_) return std::move(*value_);
    if (failed_ == errc::broken)
      return fail(failed_, "oneshot: its sender has gone without a value");
    return fail(failed_, "oneshot: the value was taken, or this half was closed");
  }

 private:
  friend class oneshot_state<T, Reach>;
  static constexpr wait_kind kind_{"value of a oneshot", &base::leave};
  errc failed_ = errc::broken;
  std::optional<T> value_;
};

template <class T, class Reach>
class oneshot_state final : public counted_state<oneshot_state<T, Reach>, Reach> {
  using wakes = typename Reach::wakes;
  using guard = typename Reach::guard;

 public:
  oneshot_state() noexcept {
    this->senders = 1;
    this->receivers = 1;
  }
  oneshot_state(const oneshot_state&) = delete;
  oneshot_state& operator=(const oneshot_state&) = delete;
  ~oneshot_state() = default;

  /// With a value, or without: then it is broken. False: nobody receives.
  bool settle(T* value) noexcept {
    bool is_last = false;
    bool is_wanted = false;
    {
      wakes woken;
      const guard held(this->lock_);
      this->senders = 0;
      is_wanted = this->receivers != 0;
      if (value && is_wanted) {
        if (line_.is_empty()) {
          value_.emplace(std::move(*value));
        } else {
          is_taken_ = true;
          line_.front().value_.emplace(std::move(*value));
        }
      }
      if (!value || is_taken_) wake_all(woken, is_taken_ ? errc::closed : errc::broken);
      is_last = this->is_unused();
    }
    if (is_last) delete this;
    return is_wanted;
  }
  void receiver_gone() noexcept {
    bool is_last = false;
    std::optional<T> unread;
    {
      wakes woken;
      const guard held(this->lock_);
      this->receivers = 0;
      unread = std::exchange(value_, std::nullopt);
      wake_all(woken, errc::closed);
      is_last = this->is_unused();
    }
    if (is_last) delete this;
  }
  bool is_wanted() const noexcept {
    const guard held(this->lock_);
    return this->receivers != 0;
  }
  bool is_ready() const noexcept {
    const guard held(this->lock_);
    return value_.has_value() || this->senders == 0;
  }

 private:
  friend class oneshot_wait<T, Reach>;
  template <class, class, class, class>
  friend class line_wait;

  void wake_all(wakes& woken, errc code) noexcept {
    while (!line_.is_empty()) {
      oneshot_wait<T, Reach>& one = line_.pop_front();
      one.failed_ = one.value_ ? errc{} : code;
      woken.add(one);
    }
  }

  bool is_taken_ = false;
  std::optional<T> value_;
  intrusive_list<oneshot_wait<T, Reach>> line_;
};

}  // namespace detail

/// The half of a oneshot that gives the value.
///
/// Cancel:  no waits.
/// Order:   one value.
/// Bound:   one value.
/// Errors:  send() says false when the receiver has gone; destroyed without a send, the receiver
///          gets `broken`.
/// Threads: one loop; that of cross::oneshot any thread.
template <class T, class Reach>
class basic_oneshot_sender {
 public:
  explicit basic_oneshot_sender(detail::oneshot_state<T, Reach>* of) noexcept : of_(of) {}
  basic_oneshot_sender(basic_oneshot_sender&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)) {}
  basic_oneshot_sender& operator=(basic_oneshot_sender other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~basic_oneshot_sender() { close(); }

  /// Hands the value over, once. False: nobody will receive it (or it was sent before), and `value`
  /// is untouched.
  bool send(T&& value) noexcept { return of_ && std::exchange(of_, nullptr)->settle(&value); }
  bool send(const T& value) { return send(T(value)); }
  /// Gives up: the receiver gets `broken`. Idempotent, and nothing after a send.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->settle(nullptr);
  }
  /// False when the receiver has gone: the work for the value can be spared.
  bool is_wanted() const noexcept { return of_ && of_->is_wanted(); }

 private:
  detail::oneshot_state<T, Reach>* of_;
};

/// The half of a oneshot that waits for the value.
///
/// Cancel:  a cancelled receive() leaves the value for the next.
/// Order:   the first receive() gets it.
/// Bound:   one value.
/// Errors:  `broken` when the sender went without a value; `closed` when it was taken before, or
///          after close().
/// Threads: one loop; that of cross::oneshot any, one at a time.
template <class T, class Reach>
class basic_oneshot_receiver {
 public:
  explicit basic_oneshot_receiver(detail::oneshot_state<T, Reach>* of) noexcept : of_(of) {}
  basic_oneshot_receiver(basic_oneshot_receiver&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)) {}
  basic_oneshot_receiver& operator=(basic_oneshot_receiver other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~basic_oneshot_receiver() { close(); }

  /// `auto answer = co_await reply.receive();`
  [[nodiscard]] detail::oneshot_wait<T, Reach> receive() const noexcept {
    return detail::oneshot_wait<T, Reach>(of_);
  }
  /// True when receive() would not wait.
  bool is_ready() const noexcept { return !of_ || of_->is_ready(); }
  /// Gives up; a value that was sent is destroyed. Idempotent.
  void close() noexcept {
    if (of_) std::exchange(of_, nullptr)->receiver_gone();
  }

 private:
  detail::oneshot_state<T, Reach>* of_;
};

/// The two halves of a oneshot.
template <class T, class Reach>
struct basic_oneshot_halves {
  basic_oneshot_sender<T, Reach> sender;
  basic_oneshot_receiver<T, Reach> receiver;
};
template <class T>
using oneshot_sender = basic_oneshot_sender<T, detail::one_loop>;
template <class T>
using oneshot_receiver = basic_oneshot_receiver<T, detail::one_loop>;

namespace detail {
template <class T, class Reach>
basic_oneshot_halves<T, Reach> make_oneshot() {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "the value of a oneshot moves without throwing");
  auto* state = new oneshot_state<T, Reach>();
  return {basic_oneshot_sender<T, Reach>(state), basic_oneshot_receiver<T, Reach>(state)};
}
}  // namespace detail

/// `auto [answer, answered] = weir::oneshot<int>();` T moves without throwing.
template <class T>
basic_oneshot_halves<T, detail::one_loop> oneshot() {
  return detail::make_oneshot<T, detail::one_loop>();
}

namespace cross {

template <class T>
using oneshot_sender = basic_oneshot_sender<T, detail::many_loops>;
template <class T>
using oneshot_receiver = basic_oneshot_receiver<T, detail::many_loops>;

/// weir::oneshot between loops, or from any thread to a loop.
template <class T>
basic_oneshot_halves<T, detail::many_loops> oneshot() {
  return detail::make_oneshot<T, detail::many_loops>();
}

}  // namespace cross
}  // namespace weir

// watch<T>: the latest value of something, for those who want to know it and to hear of changes.
// The hard idea: it keeps no history. A receiver remembers the number of the change that it saw
// last, so however many changes came in between, it hears of them once and reads the newest.
#pragma once

#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/flow/detail/reach.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace weir {

struct watch_stats {
  std::uint64_t changes = 0;
  std::size_t senders = 0;
  std::size_t receivers = 0;
  std::size_t waiting = 0;  // tasks in changed()
};

namespace detail {

template <class T, class Reach>
class watch_state;

template <class T, class Reach>
class watch_wait final
    : public counted_wait<watch_wait<T, Reach>, bool, watch_state<T, Reach>, Reach> {
  using base = counted_wait<watch_wait, bool, watch_state<T, Reach>, Reach>;

 public:
  watch_wait(watch_state<T, Reach>* of, const std::uint64_t* seen) noexcept
      : base(kind_, of), seen_(seen) {}
  watch_wait(watch_wait&& other) noexcept : base(static_cast<base&&>(other)), seen_(other.seen_) {}

  bool admit(typename Reach::wakes&) noexcept {
    has_changed_ = this->of_->changes_ != *seen_;
    if (this->of_->senders == 0 &&
        is_planted("flow: the last change of a watch is lost at its end"))
      has_changed_ = false;
    return has_changed_ || this->of_->senders == 0;
  }
  void fail_closed() noexcept { is_closed_ = true; }
  auto& line() noexcept { return this->of_->line_; }
  result<bool> take() noexcept {
    if (is_closed_) return fail(errc::closed, "changed: this half of the watch was closed");
    return has_changed_;
  }

 private:
  friend class watch_state<T, Reach>;
  static constexpr wait_kind kind_{"change of a watch", &base::leave};
  const std::uint64_t* seen_;  // the receiver's
  bool has_changed_ = false;
  bool is_closed_ = false;
};

template <class T, class Reach>
class watch_state final : public counted_state<watch_state<T, Reach>, Reach> {
  using wakes = typename Reach::wakes;
  using guard = typename Reach::guard;
  static_assert(may_be_shared<T, Reach>, "the count of bytes is not atomic: share std::string");

 public:
  explicit watch_state(T initial) : value_(std::move(initial)) {}
  watch_state(const watch_state&) = delete;
  watch_state& operator=(const watch_state&) = delete;
  ~watch_state() = default;

  /// Changes the value under the lock; what f returns or throws goes out.
  template <class F>
  void change(F f) {
    wakes woken;
    const guard held(this->lock_);
    f(value_);
    ++changes_;
    wake_all(woken, true);
  }
  T get(std::uint64_t& seen) const {
    const guard held(this->lock_);
    T copy = value_;
    seen = changes_;
    return copy;
  }
  bool has_changed_since(std::uint64_t seen) const noexcept {
    const guard held(this->lock_);
    return changes_ != seen;
  }
  void gone(std::size_t& side) noexcept {
    bool is_last = false;
    {
      wakes woken;
      const guard held(this->lock_);
      --side;
      if (this->senders == 0) wake_all(woken, false);
      is_last = this->is_unused();
    }
    if (is_last) delete this;
  }
  /// Ends the waits of a receiver that is closed; they are told by their `seen`.
  void end_waits(const std::uint64_t* seen) noexcept {
    wakes woken;
    const guard held(this->lock_);
    for (auto at = line_.begin(); at != line_.end();) {
      auto& one = *at;
      if (one.seen_ != seen) {
        ++at;
        continue;
      }
      one.unlink();
      one.is_closed_ = true;
      woken.add(one);
      at = line_.begin();
    }
  }
  watch_stats stats() const noexcept {
    const guard held(this->lock_);
    return {.changes = changes_,
            .senders = this->senders,
            .receivers = this->receivers,
            .waiting = line_.count()};
  }

 private:
  friend class watch_wait<T, Reach>;

  void wake_all(wakes& woken, bool has_changed) noexcept {
    while (!line_.is_empty()) {
      watch_wait<T, Reach>& one = line_.pop_front();
      one.has_changed_ = has_changed;
      woken.add(one);
    }
  }

  T value_;
  std::uint64_t changes_ = 0;
  intrusive_list<watch_wait<T, Reach>> line_;
};

}  // namespace detail

/// The half of a watch that changes the value. Copies are clones.
///
/// Cancel:  no waits.
/// Order:   receivers see changes in their order, and may miss all but the newest.
/// Bound:   one value.
/// Errors:  `closed` after this half's own close(); without receivers the value is kept all the
///          same.
/// Threads: one loop; that of cross::watch any thread.
template <class T, class Reach>
class basic_watch_sender {
  using state = detail::watch_state<T, Reach>;

 public:
  explicit basic_watch_sender(state* of) noexcept : of_(of) { of_->add_one(of_->senders); }
  basic_watch_sender(const basic_watch_sender& other) noexcept : of_(other.of_) {
    if (of_) of_->add_one(of_->senders);
  }
  basic_watch_sender(basic_watch_sender&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)) {}
  basic_watch_sender& operator=(basic_watch_sender other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~basic_watch_sender() { close(); }

  void set(T value) {
    change([&](T& old) { std::swap(old, value); });
  }
  /// `config.change([](settings& s) { ++s.workers; });` Short, and without calls into this watch:
  /// it runs under the lock between loops.
  template <class F>
  void change(F f) {
    if (!of_) raise(error(errc::closed, "change: this half of the watch was closed"));
    of_->change(std::move(f));
  }
  /// Gives this half up; after the last one, receivers hear of the end. Idempotent.
  void close() noexcept {
    if (!of_) return;
    state* const gone = std::exchange(of_, nullptr);
    gone->gone(gone->senders);
  }
  watch_stats stats() const noexcept { return of_ ? of_->stats() : watch_stats{}; }

 private:
  state* of_;
};

/// The half of a watch that reads the value and waits for changes. A copy has seen what its
/// original has.
///
/// Cancel:  a cancelled changed() has seen nothing: the next one tells of the same change.
/// Order:   a get() never gives an older value than the one before.
/// Bound:   one value.
/// Errors:  changed() says false at the end (no sender is left, nothing new), and raises `closed`
///          after this half's own close().
/// Threads: one loop; that of cross::watch any, one at a time.
template <class T, class Reach>
class basic_watch_receiver {
  using state = detail::watch_state<T, Reach>;

 public:
  explicit basic_watch_receiver(state* of) noexcept : of_(of) { of_->add_one(of_->receivers); }
  basic_watch_receiver(const basic_watch_receiver& other) noexcept
      : of_(other.of_), seen_(other.seen_) {
    if (of_) of_->add_one(of_->receivers);
  }
  /// Not while a task waits in changed().
  basic_watch_receiver(basic_watch_receiver&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), seen_(other.seen_) {}
  /// As close(), and then as `other`.
  basic_watch_receiver& operator=(basic_watch_receiver other) noexcept {
    close();
    of_ = std::exchange(other.of_, nullptr);
    seen_ = other.seen_;
    return *this;
  }
  ~basic_watch_receiver() { close(); }

  /// Waits for a change that get() has not given yet: `while (co_await config.changed())
  /// apply(config.get());`
  [[nodiscard]] detail::watch_wait<T, Reach> changed() const noexcept {
    return detail::watch_wait<T, Reach>(of_, &seen_);
  }
  /// A copy of the newest value.
  [[nodiscard]] T get() {
    if (!of_) raise(error(errc::closed, "get: this half of the watch was closed"));
    return of_->get(seen_);
  }
  bool has_changed() const noexcept { return of_ && of_->has_changed_since(seen_); }
  /// Gives this half up and ends its waits; idempotent.
  void close() noexcept {
    if (!of_) return;
    state* const gone = std::exchange(of_, nullptr);
    gone->end_waits(&seen_);
    gone->gone(gone->receivers);
  }
  watch_stats stats() const noexcept { return of_ ? of_->stats() : watch_stats{}; }

 private:
  state* of_;
  std::uint64_t seen_ = 0;
};

/// The two halves of a watch.
template <class T, class Reach>
struct basic_watch_halves {
  basic_watch_sender<T, Reach> sender;
  basic_watch_receiver<T, Reach> receiver;
};
template <class T>
using watch_sender = basic_watch_sender<T, detail::one_loop>;
template <class T>
using watch_receiver = basic_watch_receiver<T, detail::one_loop>;

/// `auto [config, seen] = weir::watch(settings());` The receiver has seen the initial value.
template <class T>
basic_watch_halves<T, detail::one_loop> watch(T initial) {
  auto* state = new detail::watch_state<T, detail::one_loop>(std::move(initial));
  return {watch_sender<T>(state), watch_receiver<T>(state)};
}

namespace cross {

template <class T>
using watch_sender = basic_watch_sender<T, detail::many_loops>;
template <class T>
using watch_receiver = basic_watch_receiver<T, detail::many_loops>;

/// weir::watch between loops. T is copied under a lock: keep it small, or make it a shared_ptr.
/// Several threads use and drop copies at once: no T that shares a count without atomics (`bytes`).
template <class T>
basic_watch_halves<T, detail::many_loops> watch(T initial) {
  auto* state = new detail::watch_state<T, detail::many_loops>(std::move(initial));
  return {watch_sender<T>(state), watch_receiver<T>(state)};
}

}  // namespace cross
}  // namespace weir

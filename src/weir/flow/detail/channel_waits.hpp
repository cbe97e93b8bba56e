// What a task waits on that sends to a channel or receives from it.
#pragma once

#include <weir/base/error.hpp>
#include <weir/flow/detail/reach.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace weir::detail {

template <class T, class Reach>
class channel_state;

/// Raises what a send or a receive failed with.
[[noreturn]] void raise_send_failure(errc code);
[[noreturn]] void raise_receive_failure();

template <class T, class Reach>
class channel_send_wait final
    : public counted_wait<channel_send_wait<T, Reach>, void, channel_state<T, Reach>, Reach> {
  using base = counted_wait<channel_send_wait, void, channel_state<T, Reach>, Reach>;

 public:
  channel_send_wait(channel_state<T, Reach>* of, std::uint64_t half, T item) noexcept
      : base(kind_, of), half_(half), item_(std::move(item)) {}
  channel_send_wait(channel_send_wait&& other) noexcept
      : base(static_cast<base&&>(other)), half_(other.half_), item_(std::move(other.item_)) {}

  bool try_now() noexcept {
    if constexpr (Reach::is_shared) {
      if (this->of_) [[likely]]
        return this->of_->try_now(*this);
    }
    return base::try_now();
  }
  bool admit(typename Reach::wakes& woken) noexcept { return this->of_->admit(*this, woken); }
  void fail_closed() noexcept { failed_ = errc::closed; }
  auto& line() noexcept { return this->of_->sends_; }
  result<void> take() noexcept {
    if (failed_ == errc{}) return {};
    return fail(failed_);
  }
  void await_resume() {
    if (failed_ != errc{}) [[unlikely]]
      raise_send_failure(failed_);
  }

 private:
  friend class channel_state<T, Reach>;
  static void describe(const wait& w, text_sink& out) noexcept {
    out.put(static_cast<const channel_send_wait&>(w).of_->name());
  }
  static constexpr wait_kind kind_{"room in a channel", &base::leave, &describe};
  std::uint64_t half_;
  errc failed_{};
  T item_;
};

template <class T, class Reach>
class channel_receive_wait final
    : public counted_wait<channel_receive_wait<T, Reach>, std::optional<T>, channel_state<T, Reach>,
                          Reach> {
  using base = counted_wait<channel_receive_wait, std::optional<T>, channel_state<T, Reach>, Reach>;

 public:
  channel_receive_wait(channel_state<T, Reach>* of, std::uint64_t half) noexcept
      : base(kind_, of), half_(half) {}
  channel_receive_wait(channel_receive_wait&& other) noexcept
      : base(static_cast<base&&>(other)), half_(other.half_) {}

  // A plain await only: a select has others to look at.
  bool await_ready() noexcept {
    if constexpr (Reach::is_shared) {
      if (this->of_ && !this->task->is_cancelled()) this->of_->lets_gather();
    }
    if (base::await_ready()) return true;
    if constexpr (Reach::is_shared) {
      const bool may_come = this->task->found == await_outcome::must_wait;
      if (may_come && this->of_->looks_out()) return base::await_ready();
    }
    return false;
  }
  bool try_now() noexcept {
    if constexpr (Reach::is_shared) {
      if (this->of_) [[likely]]
        return this->of_->try_now(*this);
    }
    return base::try_now();
  }
  bool admit(typename Reach::wakes& woken) noexcept { return this->of_->admit(*this, woken); }
  void fail_closed() noexcept { failed_ = errc::closed; }
  auto& line() noexcept { return this->of_->receives_; }
  result<std::optional<T>> take() noexcept {
    if (failed_ != errc{}) return fail(failed_);
    return std::move(item_);
  }
  std::optional<T> await_resume() {
    if (failed_ != errc{}) [[unlikely]]
      raise_receive_failure();
    return std::move(item_);
  }

 private:
  friend class channel_state<T, Reach>;
  static void describe(const wait& w, text_sink& out) noexcept {
    out.put(static_cast<const channel_receive_wait&>(w).of_->name());
  }
  static constexpr wait_kind kind_{"item of a channel", &base::leave, &describe};
  std::uint64_t half_;
  errc failed_{};
  std::optional<T> item_;
};

}  // namespace weir::detail

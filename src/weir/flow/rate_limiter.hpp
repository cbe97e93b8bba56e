// rate_limiter: a token bucket. The hard idea: no tokens are counted and nothing ticks. The bucket
// is the moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371):
// taking tokens moves the moment away, time brings it closer, and a wait knows exactly when its
// turn is.
//
// Invariants: (1) the timer runs for the first in line, and only then.
#pragma once

#include <weir/core/timer_wheel.hpp>
#include <weir/flow/detail/reach.hpp>

#include <cstddef>
#include <cstdint>

namespace weir {

struct rate_options {
  std::uint64_t tokens = 1;             // that come in
  duration per = duration::seconds(1);  // this time, evenly
  std::uint64_t burst = 1;              // that a full bucket holds
  const char* name = "rate_limiter";
};

struct rate_stats {
  std::uint64_t admitted = 0;  // tokens given out
  std::size_t waiting = 0;     // tasks in line
};

/// Tokens at an even rate, with bursts up to the bucket's size.
///
/// Cancel:  a cancelled acquire() takes no token, and the line moves up.
/// Order:   first come, first served, whatever the counts.
/// Bound:   `burst` tokens are kept; nothing is allocated.
/// Errors:  `invalid_argument` for more tokens than the bucket holds, and for a rate or bucket of
///          none.
/// Threads: one loop.
class rate_limiter {
 public:
  explicit rate_limiter(rate_options options);
  rate_limiter(const rate_limiter&) = delete;
  rate_limiter& operator=(const rate_limiter&) = delete;
  ~rate_limiter();

  class awaiter final : public detail::line_wait<awaiter, void, rate_limiter, detail::one_loop> {
   public:
    awaiter(rate_limiter& of, std::uint64_t tokens) noexcept
        : line_wait(kind_, &of), tokens_(tokens) {}
    bool admit(detail::one_loop::wakes&) noexcept;
    void stood() noexcept;
    void left(detail::one_loop::wakes&) noexcept { of_->serve(); }
    auto& line() noexcept { return of_->line_; }
    result<void> take() noexcept;

   private:
    friend class rate_limiter;
    static void describe(const detail::wait& w, detail::text_sink& out) noexcept;
    static const detail::wait_kind kind_;
    std::uint64_t tokens_;
  };
  /// Waits for tokens: `co_await calls.acquire();`
  [[nodiscard]] awaiter acquire(std::uint64_t tokens = 1) noexcept {
    return awaiter(*this, tokens);
  }
  /// Never waits: false when they are not there now, or others wait.
  [[nodiscard]] bool try_acquire(std::uint64_t tokens = 1) noexcept;

  /// How long an acquire() would wait that came now; duration::max() when it asks for more than the
  /// bucket holds.
  duration delay(std::uint64_t tokens = 1) noexcept;

  const char* name() const noexcept { return options_.name; }
  rate_stats stats() const noexcept { return {.admitted = admitted_, .waiting = line_.count()}; }

 private:
  template <class, class, class, class>
  friend class detail::line_wait;
  struct turn : detail::callback_timer {
    rate_limiter* of = nullptr;
  };

  duration cost_of(std::uint64_t tokens) const noexcept;
  time_point due(std::uint64_t tokens) const noexcept;
  bool try_take(std::uint64_t tokens, time_point now) noexcept;
  void serve() noexcept;

  [[no_unique_address]] detail::one_loop::lock lock_;
  rate_options options_;
  time_point full_at_;  // when the bucket will be full
  std::uint64_t admitted_ = 0;
  turn turn_;  // (1)
  intrusive_list<awaiter> line_;
};

}  // namespace weir

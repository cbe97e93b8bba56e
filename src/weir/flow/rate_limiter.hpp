// rate_limiter: a token bucket. The hard idea: no tokens are counted and nothing ticks. The bucket
// is the moment from which on it has filled (the generic cell rate algorithm, ITU-T I.371): taking
// tokens moves that moment on, never beyond now, and a wait knows exactly when its turn is. It is
// kept in ns and fractions of one, or three tokens a second would not come three a second. Only the
// first in line needs a timer, and a timer belongs to a loop: so between loops who becomes first is
// called, and sets its timer at home.
//
//   stands --> first: called --> at home: timer set --> admitted
//                        |                      |
//                        +--> taken back        +--> taken back: the next one is called
//
// Invariants: (1) the first in line, and nobody else, has its timer set or a call on its way;
//             (2) a wait has one call at most on its way, and does not end before that has arrived.
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

namespace detail {

/// What tokens cost: the time that they take to come in, to the last fraction of a ns.
struct token_cost {
  duration time;
  std::uint64_t part = 0;  // of a ns, which has as many as `rate_options::tokens`
};

/// The bucket: no clock, no line.
class token_bucket {
 public:
  /// Raises `invalid_argument` for a rate or a bucket of none.
  explicit token_bucket(const rate_options& options);

  const rate_options& options() const noexcept { return options_; }
  bool has_room_for(std::uint64_t tokens) const noexcept { return tokens <= options_.burst; }
  token_cost cost_of(std::uint64_t tokens) const noexcept {
    return tokens == 1 ? of_one_ : price(tokens);
  }
  /// The first whole ns at which tokens of this cost are there.
  time_point due(token_cost cost) const noexcept { return rounded_up(after(empty_at_, cost)); }
  bool try_take(token_cost cost, time_point now) noexcept {
    const moment taken = after(filled_since(now), cost);
    if (rounded_up(taken) > now) return false;
    empty_at_ = taken;
    return true;
  }
  /// How long tokens of this cost would be waited for behind a line that asks for `ahead`.
  duration delay(token_cost cost, token_cost ahead, time_point now) const noexcept;

 private:
  struct moment {
    time_point at;
    std::uint64_t part = 0;  // as of a cost
  };

  token_cost price(std::uint64_t tokens) const noexcept;
  moment after(moment from, token_cost cost) const noexcept {
    moment sum{.at = from.at + cost.time, .part = from.part + cost.part};
    // Two parts are less than two ns, whose parts may be more than 64 bits hold.
    if (sum.part >= options_.tokens || sum.part < cost.part) {
      sum.at = sum.at + duration(1);
      sum.part -= options_.tokens;
    }
    return sum;
  }
  static time_point rounded_up(moment of) noexcept {
    return of.part == 0 ? of.at : of.at + duration(1);
  }
  moment filled_from(time_point full) const noexcept {
    if (whole_.part == 0) return {.at = full - whole_.time};
    return {.at = full - whole_.time - duration(1), .part = options_.tokens - whole_.part};
  }
  /// A full bucket gains nothing. One that is full since less than a ns does: nobody could take of
  /// it at that moment, and what was lost to rounding would make every token late.
  moment filled_since(time_point now) const noexcept {
    return rounded_up(after(empty_at_, whole_)) < now ? filled_from(now) : empty_at_;
  }

  rate_options options_;
  token_cost of_one_;
  token_cost whole_;  // of a full bucket
  moment empty_at_;   // it had no token, and has filled since
};

template <class Reach>
class basic_rate_limiter {
 public:
  explicit basic_rate_limiter(rate_options options);
  basic_rate_limiter(const basic_rate_limiter&) = delete;
  basic_rate_limiter& operator=(const basic_rate_limiter&) = delete;
  ~basic_rate_limiter();

  class awaiter final : public line_wait<awaiter, void, basic_rate_limiter, Reach> {
    using base = line_wait<awaiter, void, basic_rate_limiter, Reach>;

   public:
    awaiter(basic_rate_limiter& of, std::uint64_t tokens, duration wait_max) noexcept
        : base(kind_, &of),
          tokens_(tokens),
          cost_(of.bucket_.cost_of(tokens)),
          wait_max_(wait_max) {}
    awaiter(awaiter&& other) noexcept
        : base(static_cast<base&&>(other)),
          tokens_(other.tokens_),
          cost_(other.cost_),
          wait_max_(other.wait_max_) {}
    bool try_now() noexcept;
    bool admit(typename Reach::wakes&) noexcept;
    void stood() noexcept;
    void left(typename Reach::wakes& woken) noexcept;
    auto& line() noexcept { return this->of_->line_; }
    result<void> take() noexcept;
    /// Raises call_refused when the wait would be longer than its bound.
    void await_resume();

   private:
    friend class basic_rate_limiter;
    struct turn_timer : callback_timer {
      awaiter* of = nullptr;
    };
    void call(typename Reach::wakes& woken) noexcept;
    void arrive() noexcept;
    void set_timer() noexcept;
    void turn_came() noexcept;
    error why() const noexcept;
    static void leave(wait& w) noexcept;
    static void describe(const wait& w, text_sink& out) noexcept;
    static constexpr wait_kind kind_{"tokens", &leave, &describe};

    std::uint64_t tokens_;
    token_cost cost_;
    duration wait_max_;
    duration delay_;        // of one that is refused
    time_point looked_at_;  // the clock, read before the lock is taken
    bool is_refused_ = false;
    bool is_next_ = false;    // it has been called, or has set its timer: (1)
    bool is_called_ = false;  // a call is on its way: (2)
    bool has_left_ = false;   // taken back while a call was on its way
    turn_timer timer_;
  };
  /// Waits for tokens: `co_await calls.acquire();`
  [[nodiscard]] awaiter acquire(std::uint64_t tokens = 1) noexcept {
    return awaiter(*this, tokens, duration::max());
  }
  /// Waits only if the tokens come within `wait_max`: else it raises call_refused (`full`) at once,
  /// with the time after which they would have come.
  [[nodiscard]] awaiter acquire_within(duration wait_max, std::uint64_t tokens = 1) noexcept {
    return awaiter(*this, tokens, wait_max);
  }
  /// Never waits: false when they are not there now, or others wait.
  [[nodiscard]] bool try_acquire(std::uint64_t tokens = 1) noexcept;

  /// How long an acquire() would wait that came now; duration::max() when it asks for more than the
  /// bucket holds.
  duration delay(std::uint64_t tokens = 1) noexcept;

  const char* name() const noexcept { return bucket_.options().name; }
  rate_stats stats() const noexcept {
    const typename Reach::guard held(lock_);
    return {.admitted = admitted_, .waiting = waiting_};
  }

 private:
  friend class awaiter;
  template <class, class, class, class>
  friend class line_wait;

  bool try_take(std::uint64_t tokens, token_cost cost, time_point now) noexcept {
    if (!bucket_.try_take(cost, now)) return false;
    admitted_ += tokens;
    return true;
  }
  void serve(time_point now, typename Reach::wakes& woken) noexcept;

  [[no_unique_address]] mutable typename Reach::lock lock_;
  token_bucket bucket_;
  std::uint64_t admitted_ = 0;
  std::uint64_t tokens_waited_for_ = 0;  // by the line
  std::size_t waiting_ = 0;              // in the line
  intrusive_list<awaiter> line_;         // (1)
};

extern template class basic_rate_limiter<one_loop>;
extern template class basic_rate_limiter<many_loops>;

}  // namespace detail

/// Tokens at an even rate, with bursts up to the bucket's size.
///
/// Cancel:  a cancelled acquire() takes no token, and the line moves up.
/// Order:   first come, first served, whatever the counts.
/// Bound:   `burst` tokens are kept; nothing is allocated.
/// Errors:  `invalid_argument` for more tokens than the bucket holds, and for a rate or bucket of
///          none.
/// Threads: one loop; cross::rate_limiter is for several.
class rate_limiter final : public detail::basic_rate_limiter<detail::one_loop> {
 public:
  explicit rate_limiter(rate_options options) : basic_rate_limiter(options) {}
};

namespace cross {

/// weir::rate_limiter for tasks of several loops, which share one bucket and one line. Tokens that
/// are there cost a short lock and a look at the clock; a wait that becomes the first in line
/// behind one of another loop costs a post to its own loop, which sets the timer. So a loop that
/// stands still while its task is the first holds up those behind it.
///
/// Cancel:  a cancelled acquire() takes no token, and the line moves up.
/// Order:   first come, first served, whatever the counts and loops.
/// Bound:   `burst` tokens are kept; nothing is allocated.
/// Errors:  `invalid_argument` for more tokens than the bucket holds, and for a rate or bucket of
///          none.
/// Threads: any that runs a loop, on drivers whose clocks agree, as those of the kernel do;
///          stats() on any thread. It outlives every call of its own.
class rate_limiter final : public detail::basic_rate_limiter<detail::many_loops> {
 public:
  explicit rate_limiter(rate_options options) : basic_rate_limiter(options) {}
};

}  // namespace cross
}  // namespace weir

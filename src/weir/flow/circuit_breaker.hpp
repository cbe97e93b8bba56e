// circuit_breaker: calls to something that mostly fails are refused for a while, which spares the
// caller the waiting and the callee the load. Semantics and names as in resilience4j.
//
//              too many failures or slow calls
//     closed --------------------------------> open <--------------+
//        ^                                       | open_for passed, | too many failures among the
//        |       the probes did well             v and a call comes | probes, or they took too long
//        +----------------------------------- half_open ------------+
//
// Invariants: (1) a result counts only in the state in which its call began (its epoch): a call
//                 that was slow to fail does not open a breaker that has closed since;
//             (2) half open, at most `probes` calls are let in; one that ends without a verdict
//                 (cancelled, or ignored) gives its place back.
//
// What decides (breaker_core) is told the time and does nothing by itself; the breaker around it
// has the lock, if any, and does the rest after the unlock: asks the judge, logs, refuses.
#pragma once

#include <weir/flow/detail/breaker_window.hpp>
#include <weir/flow/detail/calls.hpp>
#include <weir/flow/detail/reach.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace weir {

enum class breaker_state : std::uint8_t {
  closed,
  open,
  half_open,
  forced_open,  // refuses until reset()
  disabled,     // lets everything in and counts nothing until reset()
};

/// What a failed call says about the callee.
enum class breaker_verdict : std::uint8_t {
  failure,  // that it does not work
  success,  // that it works: it has answered, even if with a "no"
  ignored,  // nothing
};

/// not_found, already_exists, invalid_argument, permission_denied, too_large, unsupported: success.
/// Refusals of other policies: ignored. All others: failure.
breaker_verdict judge_failure(const call_failure& what);

struct breaker_options {
  const char* name = "breaker";
  std::uint32_t failure_percent = 50;  // of the calls that count: so many and it opens
  std::uint32_t slow_percent = 100;
  duration slow_call = duration::seconds(60);  // a call that takes longer is slow
  std::uint32_t window_calls = 100;            // the last so many calls count
  duration window_time = {};                   // above 0: instead, those of so long
  std::uint32_t calls_min = 100;               // fewer calls open nothing
  duration open_for = duration::seconds(60);   // then it is tried
  std::uint32_t probes = 10;                   // calls that try it
  duration probes_time_max = {};               // above 0: then it opens again, decided or not
  breaker_verdict (*judge)(const call_failure&) = judge_failure;
};

struct breaker_stats {
  breaker_state state = breaker_state::closed;
  std::uint32_t window_calls = 0;  // that count now, and how many of them
  std::uint32_t window_failed = 0;
  std::uint32_t window_slow = 0;
  std::uint64_t succeeded = 0;  // since it was made
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;
  std::uint64_t opened = 0;
};

namespace detail {

/// What is done about a decision when no lock is held any more: it is declared before the guard.
struct breaker_effects {
  const breaker_options& options;
  bool has_turned = false;
  breaker_state to = breaker_state::closed;  // the state that it is in now
  breaker_counts counts;                     // that made it turn
  duration retry_after;                      // of a refusal
  std::optional<error> last_failure;         // for what is told

  explicit breaker_effects(const breaker_options& of) noexcept : options(of) {}
  breaker_effects(const breaker_effects&) = delete;
  breaker_effects& operator=(const breaker_effects&) = delete;
  ~breaker_effects() {
    if (has_turned) [[unlikely]]
      tell();
  }
  [[noreturn]] void refuse() const;

 private:
  void tell() const noexcept;
};

struct breaker_call {
  std::uint64_t epoch = 0;
  time_point begun;
};

/// The decisions.
class breaker_core {
 public:
  explicit breaker_core(breaker_options options);

  const breaker_options& options() const noexcept { return options_; }
  breaker_state state() const noexcept { return state_; }
  bool is_ready(time_point now) const noexcept;
  breaker_stats stats(time_point now) noexcept;

  /// Nothing: it is refused, and the effects say why.
  std::optional<breaker_call> let_in(time_point now, breaker_effects& out) noexcept;
  /// `failure` is there when the verdict is; it leaves with the one that it takes the place of.
  void note(const breaker_call& ended, breaker_verdict verdict, std::optional<error>& failure,
            time_point now, breaker_effects& out) noexcept;
  void give_back(std::uint64_t epoch) noexcept;
  /// By hand. The last failure is forgotten when it closes: it leaves in `forgotten`.
  void put(breaker_state to, time_point now, std::optional<error>& forgotten) noexcept;

 private:
  bool is_bad(const breaker_counts& counts) const noexcept;
  bool is_probing_too_long(time_point now) const noexcept;
  void turn(breaker_state to, time_point now) noexcept;
  void turn(breaker_state to, const breaker_counts& counts, time_point now,
            breaker_effects& out) noexcept;

  breaker_options options_;
  breaker_state state_ = breaker_state::closed;
  std::uint64_t epoch_ = 0;  // (1)
  time_point since_;         // of the state
  breaker_window window_;
  breaker_counts probed_;            // half open: the verdicts
  std::uint32_t probes_let_in_ = 0;  // half open: (2)
  std::optional<error> last_failure_;
  breaker_stats stats_;
};

template <class Reach>
class basic_circuit_breaker {
 public:
  explicit basic_circuit_breaker(breaker_options options) : core_(options) {}
  ~basic_circuit_breaker() { WEIR_ASSERT(running_ == 0 && "destroyed under a call"); }
  basic_circuit_breaker(const basic_circuit_breaker&) = delete;
  basic_circuit_breaker& operator=(const basic_circuit_breaker&) = delete;

  template <class F>
  WEIR_CORO_WRAPPER task<call_value_t<F>> run(F call) {
    return call_under(this, std::move(call));
  }

  /// Refuses all calls until reset().
  void force_open() noexcept { put(breaker_state::forced_open); }
  /// Lets all calls in until reset().
  void disable() noexcept { put(breaker_state::disabled); }
  /// Closes it and forgets what it has counted.
  void reset() noexcept { put(breaker_state::closed); }

  /// True when a call made now would be let in.
  bool is_ready() const noexcept;
  breaker_state state() const noexcept {
    const typename Reach::guard held(lock_);
    return core_.state();
  }
  const char* name() const noexcept { return core_.options().name; }
  breaker_stats stats() noexcept;

  /// A call that was let in.
  class ticket {
   public:
    ticket(ticket&& other) noexcept : of_(std::exchange(other.of_, nullptr)), call_(other.call_) {}
    ticket& operator=(ticket&&) = delete;
    ~ticket() {
      if (of_) of_->give_back(call_.epoch);
    }
    // Only the first verdict counts: what failed after it is that the value was handed on.
    void succeeded() noexcept {
      if (auto* const of = std::exchange(of_, nullptr)) of->note(call_, nullptr);
    }
    void failed(const call_failure& what) noexcept {
      if (auto* const of = std::exchange(of_, nullptr)) of->note(call_, &what);
    }

   private:
    friend class basic_circuit_breaker;
    ticket(basic_circuit_breaker* of, const breaker_call& call) noexcept : of_(of), call_(call) {}
    basic_circuit_breaker* of_;
    breaker_call call_;
  };
  // For policies.
  turn_wait enter() const noexcept { return {}; }
  ticket begin(unit admitted);

 private:
  void note(const breaker_call& ended, const call_failure* failure) noexcept;
  void give_back(std::uint64_t epoch) noexcept {
    const typename Reach::guard held(lock_);
    --running_;
    core_.give_back(epoch);
  }
  void put(breaker_state to) noexcept;

  [[no_unique_address]] mutable typename Reach::lock lock_;
  breaker_core core_;
  std::uint64_t running_ = 0;
};

extern template class basic_circuit_breaker<one_loop>;
extern template class basic_circuit_breaker<many_loops>;

}  // namespace detail

/// Refuses calls while what they call does not work.
///
/// Cancel:  a cancelled call has no verdict and gives its place among the probes back.
/// Order:   none.
/// Bound:   window_calls bytes, or ten slots of time; nothing is allocated by calls.
/// Errors:  call_refused (`refused`) with the time after which to ask again and the last failure
///          as its cause; `invalid_argument` for options that can't be meant.
/// Threads: one loop; cross::circuit_breaker is for several.
class circuit_breaker final : public detail::basic_circuit_breaker<detail::one_loop> {
 public:
  explicit circuit_breaker(breaker_options options) : basic_circuit_breaker(options) {}
};

namespace cross {

/// weir::circuit_breaker for the calls of several loops, which share the state and the window: what
/// one loop has found out spares the others the calls. A call costs two short locks and looks at
/// the clock; the judge is asked, and turns are logged, without a lock, on the loop of the call.
///
/// Cancel:  a cancelled call has no verdict and gives its place among the probes back.
/// Order:   none.
/// Bound:   window_calls bytes, or ten slots of time; nothing is allocated by calls.
/// Errors:  call_refused (`refused`) with the time after which to ask again and the last failure
///          as its cause; `invalid_argument` for options that can't be meant.
/// Threads: any that runs a loop, on drivers whose clocks agree, as those of the kernel do; the
///          judge may be asked by several at once. It outlives every call of its own.
class circuit_breaker final : public detail::basic_circuit_breaker<detail::many_loops> {
 public:
  explicit circuit_breaker(breaker_options options) : basic_circuit_breaker(options) {}
};

}  // namespace cross
}  // namespace weir

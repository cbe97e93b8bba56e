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
#pragma once

#include <weir/flow/detail/breaker_window.hpp>
#include <weir/flow/detail/calls.hpp>

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

/// Refuses calls while what they call does not work.
///
/// Cancel:  a cancelled call has no verdict and gives its place among the probes back.
/// Order:   none.
/// Bound:   window_calls bytes, or ten slots of time; nothing is allocated by calls.
/// Errors:  call_refused (`refused`) with the time after which to ask again and the last failure
///          as its cause; `invalid_argument` for options that can't be meant.
/// Threads: one loop.
class circuit_breaker {
 public:
  explicit circuit_breaker(breaker_options options);
  circuit_breaker(const circuit_breaker&) = delete;
  circuit_breaker& operator=(const circuit_breaker&) = delete;

  template <class F>
  WEIR_CORO_WRAPPER task<detail::call_value_t<F>> run(F call) {
    return detail::call_under(this, std::move(call));
  }

  /// Refuses all calls until reset().
  void force_open() noexcept;
  /// Lets all calls in until reset().
  void disable() noexcept;
  /// Closes it and forgets what it has counted.
  void reset() noexcept;

  /// True when a call made now would be let in.
  bool is_ready() const noexcept;
  breaker_state state() const noexcept { return state_; }
  const char* name() const noexcept { return options_.name; }
  breaker_stats stats() noexcept;

  /// A call that was let in.
  class ticket {
   public:
    ticket(ticket&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), epoch_(other.epoch_), begun_(other.begun_) {}
    ticket& operator=(ticket&&) = delete;
    ~ticket() {
      if (of_) of_->give_back(epoch_);
    }
    void succeeded() noexcept { std::exchange(of_, nullptr)->note(*this, nullptr); }
    void failed(const call_failure& what) noexcept {
      std::exchange(of_, nullptr)->note(*this, &what);
    }

   private:
    friend class circuit_breaker;
    ticket(circuit_breaker* of, std::uint64_t epoch, time_point begun) noexcept
        : of_(of), epoch_(epoch), begun_(begun) {}
    circuit_breaker* of_;
    std::uint64_t epoch_;
    time_point begun_;
  };
  // For policies.
  detail::turn_wait enter() const noexcept { return {}; }
  ticket begin(unit admitted);

 private:
  void note(const ticket& of, const call_failure* failure) noexcept;
  void give_back(std::uint64_t epoch) noexcept;
  bool is_bad(const detail::breaker_counts& counts) const noexcept;
  bool is_probing_too_long(time_point now) const noexcept;
  void turn(breaker_state to, time_point now) noexcept;
  void tell(breaker_state to, const detail::breaker_counts& counts) const noexcept;
  [[noreturn]] void refuse(time_point now);

  breaker_options options_;
  breaker_state state_ = breaker_state::closed;
  std::uint64_t epoch_ = 0;  // (1)
  time_point since_;         // of the state
  detail::breaker_window window_;
  detail::breaker_counts probed_;    // half open: the verdicts
  std::uint32_t probes_let_in_ = 0;  // half open: (2)
  std::optional<error> last_failure_;
  breaker_stats stats_;
};

}  // namespace weir

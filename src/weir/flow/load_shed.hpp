// load_shed: calls that could not be served in time are refused at once, before they cost anything.
// As in tower it stands around a policy that would let them wait; and it looks at the deadline.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/flow/detail/calls.hpp>
#include <weir/flow/detail/clock_here.hpp>

#include <cstdint>
#include <utility>

namespace weir {

struct shed_options {
  const char* name = "load_shed";
  bool refuses_hopeless = true;  // calls whose scope's deadline comes before their usual end
};

struct shed_stats {
  std::uint64_t admitted = 0;
  std::uint64_t refused_busy = 0;      // the policy inside would have let them wait
  std::uint64_t refused_hopeless = 0;  // the deadline would have come first
  duration usual;                      // how long calls that succeed take, smoothed
};

namespace detail {

/// The part of load_shed that does not depend on the policy inside.
class shed_state {
 public:
  explicit shed_state(shed_options options) noexcept : options_(options) {}
  /// Of one that is at rest, or a new one for the calls to come.
  shed_state(const shed_state& other) noexcept : options_(other.options_), stats_(other.stats_) {}
  shed_state& operator=(const shed_state&) = delete;
  ~shed_state() { WEIR_ASSERT(running_ == 0 && "destroyed under a call"); }
  /// Raises when the call is not to be made.
  void admit(bool is_ready);
  void ended(time_point begun, bool has_succeeded) noexcept;
  const shed_options& options() const noexcept { return options_; }
  const shed_stats& stats() const noexcept { return stats_; }

 private:
  shed_options options_;
  shed_stats stats_;
  std::uint32_t running_ = 0;
};

}  // namespace detail

/// Refuses what `Policy` (a bulkhead, a concurrency_limit, a rate_limit ...) would let wait, and
/// what can't be done before the caller's deadline. A call is never refused as hopeless while none
/// is running: it would be the one that shows that things are better now. Over a policy that loops
/// share, another loop may take the place between the look and the call, and then the call waits:
/// `queue_max = 0` inside refuses it.
///
/// Cancel:  as the policy inside; a cancelled call says nothing about how long calls take.
/// Order:   as the policy inside.
/// Bound:   a few words.
/// Errors:  call_refused: `full` for a call that would have to wait, `timed_out` for a hopeless
///          one.
/// Threads: one loop. The policy inside outlives it.
template <class Policy>
class load_shed {
 public:
  explicit load_shed(Policy& inner, shed_options options = {}) noexcept
      : inner_(&inner), state_(options) {}

  template <class F>
  WEIR_CORO_WRAPPER task<detail::call_value_t<F>> run(F call) {
    return detail::call_under(this, through<F>{inner_, std::move(call)});
  }
  bool is_ready() const noexcept { return inner_->is_ready(); }
  const char* name() const noexcept { return state_.options().name; }
  const shed_stats& stats() const noexcept { return state_.stats(); }

  class ticket {
   public:
    ticket(detail::shed_state* of, time_point begun) noexcept : of_(of), begun_(begun) {}
    ticket(ticket&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), begun_(other.begun_) {}
    ticket& operator=(ticket&&) = delete;
    ~ticket() {
      if (of_) of_->ended(begun_, false);
    }
    void succeeded() noexcept {
      if (auto* const of = std::exchange(of_, nullptr)) of->ended(begun_, true);
    }
    void failed(const call_failure&) const noexcept {}

   private:
    detail::shed_state* of_;
    time_point begun_;
  };
  // For policies.
  detail::turn_wait enter() const noexcept { return {}; }
  ticket begin(unit) {
    state_.admit(inner_->is_ready());
    return {&state_, detail::now_here()};
  }

 private:
  template <class F>
  struct through {
    Policy* inner;
    F call;
    WEIR_CORO_WRAPPER auto operator()() { return inner->run(detail::call_ref<F>{&call}); }
  };

  Policy* inner_;
  detail::shed_state state_;
};

}  // namespace weir

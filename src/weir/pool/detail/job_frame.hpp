// The bones of work on a pool: a job's frame, the fork that several jobs come from, and what
// happens when one ends. The hard idea: a fork whose jobs nobody took costs no atomic
// read-modify-write. One strand of execution, the one that forked, runs a first job and then takes
// back from its deque what was offered; only jobs that were taken by somebody else count the fork
// down, and the strand meets them there once, with the number of those that it did not run itself.
//
//   fork_point of f()        left (join_count.hpp): what others have taken is counted down there
//     |          |           whoever brings it to 0 goes on with f()
//   job a()    job b()
//   (strand)   (offered: taken back by the strand, or by a thief)
//
// Invariants: (1) a frame is run by one thread at a time; the end of one thread's part happens
// before the begin of the next one's, through a deque or through `left`; (2) the frame that waits
// at a fork neither runs nor dies before all of the fork's jobs have ended; (3) a job that was not
// begun may be ended as stopped, one that has begun only at its own awaits.
#pragma once

#include <weir/pool/detail/join_count.hpp>
#include <weir/pool/detail/offer_deque.hpp>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <source_location>

namespace weir::detail {

struct fork_point;
struct pool_work;
class pool_core;

enum class job_role : std::uint8_t { fresh, called, forked, root };

/// First part of every job's promise. A frame is made, filled, read and freed within some twenty
/// nanoseconds: what its role says is not set before it has one, and all that is asked when it ends
/// is one byte, for one comparison.
struct job_frame {
  static constexpr std::uint8_t role_bits = 3;
  static constexpr std::uint8_t refused_bit = 4;   // by a full deque, as all that are older
  static constexpr std::uint8_t taken_bit = 8;     // by another strand than the one that forked it
  static constexpr std::uint8_t value_bit = 16;    // it ended with a value,
  static constexpr std::uint8_t failed_bit = 32;   // with `failure`,
  static constexpr std::uint8_t stopped_bit = 64;  // or cancelled

  union {
    job_frame* caller;  // role called
    fork_point* fork;   // role forked
    pool_work* work;    // role root
  };
  job_frame* next;  // role forked: the job of the same fork that was made before this one
  union {
    std::source_location declared;
    std::exception_ptr failure;
  };
  std::uint32_t failure_order;  // of a failed one, among those of its fork
  std::uint8_t state = 0;       // the role and the bits

  // The rest is left as it is on purpose.
  explicit job_frame(std::source_location place) noexcept : declared(place) {}
  job_frame(const job_frame&) = delete;
  job_frame& operator=(const job_frame&) = delete;
  ~job_frame() {
    if (has_failed()) [[unlikely]]
      failure.~exception_ptr();
  }

  job_role role() const noexcept { return static_cast<job_role>(state & role_bits); }
  bool has_value() const noexcept { return (state & value_bit) != 0; }
  bool has_failed() const noexcept { return (state & failed_bit) != 0; }
  bool was_stopped() const noexcept { return (state & stopped_bit) != 0; }
  bool was_taken() const noexcept { return (state & taken_bit) != 0; }
  bool was_refused() const noexcept { return (state & refused_bit) != 0; }

  /// A role is given once, before the job begins.
  void give(job_role one) noexcept {
    WEIR_ASSERT(state == 0 && "a job is awaited, forked or run once");
    state = static_cast<std::uint8_t>(one);
  }
  void stop() noexcept { state |= stopped_bit; }
  void fail() noexcept {
    ::new (static_cast<void*>(&failure)) std::exception_ptr(std::current_exception());
    // It may have a value already: then the destructor of a local threw.
    state = static_cast<std::uint8_t>((state & ~value_bit) | failed_bit);
  }
};
static_assert(sizeof(job_frame) == 32);

// Every promise derives from job_frame first and is aligned to at most 16.
inline std::coroutine_handle<> handle_of(job_frame* frame) noexcept {
  return std::coroutine_handle<job_frame>::from_promise(*frame);
}

/// Where the awaiting job goes on when all jobs of a fork have ended. Part of the await.
struct fork_point {
  job_frame* parent = nullptr;
  job_frame* newest = nullptr;  // the jobs, linked by `next`
  std::int32_t unfinished = 0;  // jobs that the strand has not run to their end
  join_count<> left;
  std::atomic<std::uint32_t> trouble{0};  // one word, so that there is one look at it
  bool flattens = false;                  // a group of errors of one job becomes part of this one's

  static constexpr std::uint32_t cancelled = 1;    // its jobs are to stop
  static constexpr std::uint32_t stopped = 2;      // a job of it was
  static constexpr std::uint32_t one_failure = 4;  // and above: how many have failed

  job_frame& add(job_frame& one) noexcept {
    one.give(job_role::forked);
    one.fork = this;
    one.next = newest;
    newest = &one;
    return one;
  }
  bool is_in_trouble() const noexcept { return trouble.load(std::memory_order_relaxed) != 0; }
  bool is_cancelled() const noexcept {
    return (trouble.load(std::memory_order_relaxed) & cancelled) != 0;
  }
  bool has_stopped() const noexcept {
    return (trouble.load(std::memory_order_relaxed) & stopped) != 0;
  }
  bool has_failed() const noexcept {
    return trouble.load(std::memory_order_relaxed) >= one_failure;
  }
  /// Throws the errors as one error_group, in the order in which they happened.
  [[noreturn]] void raise();
};

/// One thread of a pool, or one that the virtual world imagines, as seen by what runs on it.
struct pool_worker {
  offer_deque<job_frame>* offers = nullptr;  // of the priority that it is at work on
  const std::atomic<std::uint32_t>* alarms = nullptr;
  std::uint32_t hears = 0;  // which alarms concern it
  pool_core* core = nullptr;

  bool is_alarmed() const noexcept {
    return (alarms->load(std::memory_order_relaxed) & hears) != 0;
  }
};

/// The worker that this thread is; null on other threads.
extern constinit thread_local pool_worker* this_worker;

/// Shows thieves all that the worker has offered, and wakes one that sleeps.
void show_offers(pool_worker& of) noexcept;
/// The waiting job `parent` is at a fork, or about to await a job, and something is up: its tree
/// may be cancelled, or something more important may wait. True: it was stopped, or its jobs are
/// offered and others go first; `next` is what to resume.
bool heed_alarm(pool_worker& on, job_frame& parent, fork_point* fork,
                std::coroutine_handle<>& next) noexcept;
/// Whether the tree of a job, or a fork around it, was cancelled.
bool is_stopped_around(const job_frame& of) noexcept;
/// `ended` has ended, in any way, and is suspended: what runs next on this thread.
std::coroutine_handle<> go_on_after(job_frame& ended) noexcept;

/// Offers all jobs but the oldest, and gives that one. A deque that is full refuses the rest: the
/// strand runs them, one after the other.
inline job_frame& offer_jobs(pool_worker& on, const fork_point& fork, std::int32_t count) noexcept {
  job_frame* one = fork.newest;
  bool is_wanted = false;
  for (; count > 1; --count) {
    const offered outcome = on.offers->offer(one);
    if (outcome == offered::no) [[unlikely]] {
      for (job_frame* each = one; each; each = each->next) each->state |= job_frame::refused_bit;
      break;
    }
    is_wanted |= outcome == offered::wanted;
    one = one->next;
  }
  if (is_wanted) [[unlikely]]
    show_offers(on);
  return *one;
}

/// The jobs of `fork` begin; they are `count`. This step and the other ones of a fork and a join
/// are inlined by force: a job has a few dozen instructions in all, and a call in each step would
/// add a third.
[[gnu::always_inline]] inline std::coroutine_handle<> begin_fork(fork_point& fork,
                                                                 std::int32_t count,
                                                                 job_frame& parent) noexcept {
  fork.parent = &parent;
  fork.unfinished = count;
  pool_worker& on = *this_worker;
  if (on.is_alarmed()) [[unlikely]] {
    std::coroutine_handle<> next;
    if (heed_alarm(on, parent, &fork, next)) return next;
  }
  return handle_of(&offer_jobs(on, fork, count));
}

/// Takes back a job of `fork` that nobody has taken; null: the rest is with others.
inline job_frame* take_back(pool_worker& on, fork_point& fork) noexcept {
  job_frame* const found = on.offers->take();
  if (on.offers->keeps_too_much()) [[unlikely]]
    show_offers(on);
  if (!found || found->fork == &fork) [[likely]]
    return found;
  if (on.offers->offer(found) == offered::wanted) show_offers(on);  // an older fork's
  return nullptr;
}

/// The short way of go_on_after(): a job with a value, whose siblings nobody has taken.
[[gnu::always_inline]] inline std::coroutine_handle<> job_ended(job_frame& ended) noexcept {
  constexpr auto forked = static_cast<std::uint8_t>(job_role::forked);
  constexpr auto called = static_cast<std::uint8_t>(job_role::called);
  if (ended.state != (forked | job_frame::value_bit)) [[unlikely]] {
    if (ended.state == (called | job_frame::value_bit)) return handle_of(ended.caller);
    return go_on_after(ended);
  }
  fork_point& fork = *ended.fork;
  if (fork.is_in_trouble()) [[unlikely]]
    return go_on_after(ended);
  if (fork.unfinished == 1) return handle_of(fork.parent);
  job_frame* const next = take_back(*this_worker, fork);
  if (!next) [[unlikely]]
    return go_on_after(ended);
  --fork.unfinished;
  return handle_of(next);
}

}  // namespace weir::detail

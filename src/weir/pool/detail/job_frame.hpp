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

enum class job_end : std::uint8_t { none, value, failed, stopped };
enum class job_role : std::uint8_t { fresh, called, forked, root };

/// First part of every job's promise.
struct job_frame {
  union {
    job_frame* caller = nullptr;  // role called
    fork_point* fork;             // role forked
    pool_work* work;              // role root
  };
  job_frame* next = nullptr;  // the job of the same fork that was made before this one
  union {
    std::source_location here;  // where it awaits; before its first await, where it is declared
    std::exception_ptr failure;
  };
  job_role role = job_role::fresh;
  job_end end = job_end::none;
  bool was_offered = false;
  bool was_taken = false;           // by another strand than the one that forked it
  std::uint32_t failure_order = 0;  // among the failed ones of its fork

  explicit job_frame(std::source_location declared) noexcept : here(declared) {}
  job_frame(const job_frame&) = delete;
  job_frame& operator=(const job_frame&) = delete;
  ~job_frame() {
    if (end == job_end::failed) [[unlikely]]
      failure.~exception_ptr();
  }

  void fail() noexcept {
    ::new (static_cast<void*>(&failure)) std::exception_ptr(std::current_exception());
    end = job_end::failed;
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
  std::int32_t count = 0;
  std::int32_t run_by_strand = 0;
  join_count<> left;
  std::atomic<std::uint32_t> trouble{0};  // one word, so that there is one look at it
  bool flattens = false;                  // a group of errors of one job becomes part of this one's

  static constexpr std::uint32_t cancelled = 1;    // its jobs are to stop
  static constexpr std::uint32_t stopped = 2;      // a job of it was
  static constexpr std::uint32_t one_failure = 4;  // and above: how many have failed

  job_frame& add(job_frame& one) noexcept {
    WEIR_ASSERT(one.role == job_role::fresh && "a job is awaited, forked or run once");
    one.role = job_role::forked;
    one.fork = this;
    one.next = newest;
    newest = &one;
    ++count;
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

/// More items are shown to thieves than before: wakes one that sleeps.
void tell_thieves(pool_worker& from) noexcept;
/// The waiting job `parent` is at a fork, or about to await a job, and something is up: its tree
/// may be cancelled, or something more important may wait. True: it was stopped, or its jobs are
/// offered and others go first; `next` is what to resume.
bool heed_alarm(pool_worker& on, job_frame& parent, fork_point* fork,
                std::coroutine_handle<>& next) noexcept;
/// Whether the tree of a job, or a fork around it, was cancelled.
bool is_stopped_around(const job_frame& of) noexcept;
/// `ended` has ended, in any way, and is suspended: what runs next on this thread.
std::coroutine_handle<> go_on_after(job_frame& ended) noexcept;

/// Offers all jobs but one and gives that one.
inline job_frame& offer_jobs(pool_worker& on, fork_point& fork) noexcept {
  job_frame* one = fork.newest;
  for (; one->next; one = one->next) {
    const offered outcome = on.offers->offer(one);
    if (outcome == offered::no) [[unlikely]]
      break;  // the strand runs the rest
    one->was_offered = true;
    if (outcome == offered::shown) [[unlikely]]
      tell_thieves(on);
  }
  return *one;
}

/// The jobs of `fork` begin.
inline std::coroutine_handle<> begin_fork(fork_point& fork, job_frame& parent) noexcept {
  fork.parent = &parent;
  pool_worker& on = *this_worker;
  if (on.is_alarmed()) [[unlikely]] {
    std::coroutine_handle<> next;
    if (heed_alarm(on, parent, &fork, next)) return next;
  }
  return handle_of(&offer_jobs(on, fork));
}

/// Takes back a job of `fork` that nobody has taken; null: the rest is with others.
inline job_frame* take_back(pool_worker& on, fork_point& fork) noexcept {
  job_frame* const found = on.offers->take();
  if (!found || found->fork == &fork) [[likely]]
    return found;
  if (on.offers->offer(found) == offered::shown) tell_thieves(on);  // an older fork's
  return nullptr;
}

/// The short way of go_on_after(): a job with a value, whose siblings nobody has taken.
inline std::coroutine_handle<> job_ended(job_frame& ended) noexcept {
  if (ended.end != job_end::value) [[unlikely]]
    return go_on_after(ended);
  if (ended.role == job_role::called) return handle_of(ended.caller);
  if (ended.role != job_role::forked || ended.was_taken) [[unlikely]]
    return go_on_after(ended);
  fork_point& fork = *ended.fork;
  if (fork.is_in_trouble()) [[unlikely]]
    return go_on_after(ended);
  if (fork.run_by_strand + 1 == fork.count) return handle_of(fork.parent);
  if (ended.next && !ended.was_offered) [[unlikely]]
    return go_on_after(ended);
  job_frame* const next = take_back(*this_worker, fork);
  if (!next) [[unlikely]]
    return go_on_after(ended);
  ++fork.run_by_strand;
  return handle_of(next);
}

}  // namespace weir::detail

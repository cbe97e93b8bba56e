// The event loop: ready tasks, timers, posts from other threads and the driver, turned in a bounded
// way. The hard idea: fairness is a budget. A turn runs at most so many steps for at most so long,
// and one step at most so many waits that were ready at once; then timers and I/O are looked at, so
// that nothing starves.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/core/driver.hpp>
#include <weir/core/frame.hpp>
#include <weir/core/frame_pool.hpp>
#include <weir/core/timer_wheel.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace weir {

struct loop_options {
  const char* name = "main";
  std::uint32_t turn_steps_max = 256;            // task steps before timers and I/O are looked at
  duration turn_time_max = duration(1'000'000);  // or so long, and up to 64 steps more
  std::uint32_t step_waits_max =
      128;  // waits that are ready at once before a task goes back to the queue
  std::size_t posts_max = 65'536;  // posts from other threads that wait for the loop
};

struct loop_stats {
  std::uint64_t turns = 0;
  std::uint64_t steps = 0;
  std::uint64_t posts = 0;
  std::uint64_t tasks_spawned = 0;
  std::uint64_t tasks_live = 0;
  std::uint64_t timers_live = 0;
};

/// Hears what a loop does: for tests, tracers and consoles.
///
/// Cancel:  no waits.
/// Order:   calls come in the order of what they tell; set in a step, it may hear another's end.
/// Bound:   one observer a loop; a call must be short, for the loop stands still meanwhile.
/// Errors:  none; calls must not throw.
/// Threads: the loop's.
class loop_observer {
 public:
  virtual ~loop_observer() = default;
  virtual void before_run() noexcept {}
  virtual void after_run() noexcept {}
  virtual void task_spawned(std::uint64_t /*id*/) noexcept {}
  virtual void task_scheduled(std::uint64_t /*id*/) noexcept {}
  virtual void before_step(std::uint64_t /*id*/) noexcept {}
  virtual void after_step(std::uint64_t /*id*/) noexcept {}
  virtual void task_exited(std::uint64_t /*id*/) noexcept {}
  virtual void before_io_wait(time_point /*until*/) noexcept {}
  virtual void after_io_wait() noexcept {}
};

namespace detail {

/// A piece of work on its way from another thread to a loop. Intrusive, so that sending it can't
/// fail.
struct post_node {
  post_node* next = nullptr;
  void (*run)(post_node&) noexcept = nullptr;
};

/// Stops the process if the loop of that serial number lives, and what belongs to it is used
/// somewhere else: on another loop, or on a thread without one while it runs. Callers keep their
/// registers.
[[gnu::cold, clang::preserve_most]] void check_use_away_from(std::uint32_t home) noexcept;

class other_loop_runs;
struct post_inbox;
struct tree_walker;

}  // namespace detail

/// One event loop over one driver.
///
/// Cancel:  cancelling its root scope ends every task on it.
/// Order:   ready tasks first in, first out, unless the driver's policy shuffles; posts in the
///          order of each poster.
/// Bound:   loop_options names the limits of a turn and of posts; tasks are bounded by their
///          scopes.
/// Errors:  an error that leaves the root scope goes to the unhandled-error handler.
/// Threads: all but post() and wake() on the thread that runs it.
class loop {
 public:
  explicit loop(driver& io, loop_options options = {});
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  /// What was posted as the loop ended runs still; tasks that are left are cancelled, and end.
  ~loop();

  /// The loop that runs on this thread, or null.
  static loop* current() noexcept { return current_; }

  /// Runs until the root scope has no task left.
  void run();
  /// One turn of run(), for somebody who gives several loops of a thread their turns. False: it was
  /// the last one, no task is left. How long the driver waits inside is the driver's affair.
  bool run_turn();
  /// One turn that does not wait, for a loop inside of somebody else's, and when it wants the next:
  /// turn_time() is at once, never() is when poll_handle() of the driver says so, which it does for
  /// a post, too. stats() says whether tasks are left.
  time_point run_turn_now();
  /// Cancels the root scope from outside, between two turns.
  void cancel_between_turns(const char* reason) noexcept;
  scope& root() noexcept { return *root_; }
  driver& io() noexcept { return driver_; }
  /// The driver's monotonic clock, read now.
  time_point now() noexcept { return driver_.now(); }
  /// The moment at which the present turn began: good enough for "since when".
  time_point turn_time() const noexcept { return turn_time_; }
  const char* name() const noexcept { return options_.name; }
  /// Tells it from all other loops that the process has had, also from one at the same address.
  std::uint32_t serial() const noexcept { return serial_; }
  loop_stats stats() const noexcept;
  /// Counts from zero again, task ids too. For running one program after another on an idle loop.
  void restart_counts() noexcept {
    WEIR_ASSERT(stats().tasks_live == 0);
    stats_ = {};
    tasks_ended_ = 0;
  }
  void observe(loop_observer* observer) noexcept {
    observer_ = observer;
    is_watched_ = observer_ || policy_;
  }

  /// Runs `function` on the loop's thread, between task steps. False: posts_max are waiting
  /// (those that were taken together and are being run count), or the loop has ended.
  template <class F>
  bool post(F function);

  // For waits, timers and drivers.
  inline void make_ready(detail::task_header& task) noexcept;
  void add_timer(detail::timer& t) noexcept { timers_.insert(t); }
  void remove_timer(detail::timer& t) noexcept { timers_.remove(t); }
  detail::task_header* running() const noexcept { return detail::running_task; }
  /// False on a thread that is not the one that runs it. True while nobody runs it.
  bool is_on_this_thread() const noexcept {
    return !running_leaf_ || running_leaf_ == &detail::running_leaf;
  }
  /// Begins the step of the next ready task inside of the present one, which has ended or waits: so
  /// a turn is a chain of transfers. A no-op when it is time to look at the clock.
  std::coroutine_handle<> next_step() noexcept;
  /// The running task may look a moment, of a microsecond or two, for what another loop is about to
  /// send, before it waits or takes: there is nothing else to do, and here such moments are worth
  /// their time. It pays with its step's budget, so that sockets and timers are looked at soon
  /// enough.
  bool may_look_out() noexcept;
  /// Takes one from the step's budget; false: the task should go back to the queue first.
  bool spend() noexcept { return step_budget_ != 0 && step_budget_-- != 0; }
  /// A number below `count`, drawn by lot: who is looked at first where several could be.
  std::uint32_t lot(std::uint32_t count) noexcept {
    if (lot_ == 0) [[unlikely]] {
      if (policy_) return policy_->lot(count);
      lot_ = static_cast<std::uint32_t>(driver_.random()) | 1;
    }
    lot_ ^= lot_ << 13;
    lot_ ^= lot_ >> 17;
    lot_ ^= lot_ << 5;
    return static_cast<std::uint32_t>((std::uint64_t{lot_} * count) >> 32);
  }
  /// Hands a node to the loop's thread; never fails while the loop lives. Any thread.
  void post_node(detail::post_node& node) noexcept;
  void end_post() noexcept;
  inline void note_spawned(detail::task_header& task) noexcept;
  inline void note_exited(detail::task_header& task) noexcept;

 private:
  void enter() noexcept;
  void leave() noexcept;
  void report_errors();
  void end_what_is_left();
  void turn();
  void run_due() noexcept;
  time_point lets_timers_gather(time_point until) noexcept;
  void wait_in_driver(time_point until) noexcept;
  void run_ready() noexcept;
  void step(detail::task_header& task) noexcept;
  std::coroutine_handle<> begin_step(detail::task_header& task) noexcept;
  std::coroutine_handle<> next_chosen_step() noexcept;
  detail::task_header* first_ready() noexcept;
  detail::task_header* next_ready() noexcept;
  void drain_posts() noexcept;
  bool looks_out(time_point until) noexcept;
  bool glance_at_inbox(time_point until) noexcept;
  [[noreturn]] void report_deadlock() noexcept;
  bool reserve_post() noexcept;
  void give_up_post() noexcept;

  struct root_scope;

  static constinit thread_local loop* current_;

  driver& driver_;
  loop_options options_;
  std::uint32_t serial_;                          // from 1
  const std::uintptr_t* running_leaf_ = nullptr;  // of the thread that runs it
  detail::task_header* ready_head_ = nullptr;
  detail::task_header* ready_tail_ = nullptr;
  std::size_t ready_count_ = 0;
  std::uint32_t step_budget_ = 0;
  std::uint32_t lot_ = 0;  // state of a xorshift (Marsaglia 2003), seeded by the driver; 0: not yet
  std::uint32_t steps_left_ = 0;  // of this turn
  std::uint32_t chain_end_ = 0;   // where steps_left_ is when the clock is read next
  time_point turn_time_;
  bool timers_are_dense_ = false;  // those that the last turn has fired
  detail::timer_wheel timers_;
  scope* root_ = nullptr;  // a root_scope
  scheduling_policy* policy_ = nullptr;
  loop_observer* observer_ = nullptr;
  bool is_watched_ = false;  // there is an observer, or a policy that says who is next
  detail::post_inbox* inbox_;
  std::size_t ended_posts_ = 0;     // run, but not yet taken from the number of waiting ones
  std::uint32_t glances_left_ = 0;  // at the inbox, before the loop sleeps
  std::uint32_t drains_ = 0;
  loop_stats stats_;  // without what stats() counts by itself
  std::uint64_t tasks_ended_ = 0;
  loop* next_live_ = nullptr;  // the process's list of loops, for dumps
  friend struct loop_registry;
  friend class detail::other_loop_runs;
  friend struct detail::tree_walker;
};

inline void loop::note_spawned(detail::task_header& task) noexcept {
  task.id = ++stats_.tasks_spawned;
  if (observer_) [[unlikely]]
    observer_->task_spawned(task.id);
}

inline void loop::note_exited(detail::task_header& task) noexcept {
  ++tasks_ended_;
  if (observer_) [[unlikely]]
    observer_->task_exited(task.id);
}

inline void loop::make_ready(detail::task_header& task) noexcept {
  if (policy_) [[unlikely]] {
    policy_->add(task, task.state == detail::task_state::running);
  } else {
    task.next_ready = nullptr;
    (ready_tail_ ? ready_tail_->next_ready : ready_head_) = &task;
    ready_tail_ = &task;
  }
  task.state = detail::task_state::ready;
  ++ready_count_;
  if (observer_) [[unlikely]]
    observer_->task_scheduled(task.id);
}

namespace detail {
template <class F>
struct posted final : post_node {
  loop& on;
  F function;

  static void* operator new(std::size_t size) {
    static_assert(alignof(posted) <= frame_alignment,
                  "weir: what a post captures is aligned to at most 16 bytes; use a "
                  "std::unique_ptr");
    return allocate_frame(size);
  }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }
  posted(loop& target, F f) : on(target), function(std::move(f)) {
    run = [](post_node& node) noexcept {
      auto& self = static_cast<posted&>(node);
      self.on.end_post();
      self.function();  // an exception here ends the process: there is nobody to hear it
      delete &self;
    };
  }
};
}  // namespace detail

template <class F>
bool loop::post(F function) {
  if (!reserve_post()) return false;
  try {
    post_node(*new detail::posted<F>(*this, std::move(function)));
  } catch (...) {
    give_up_post();
    throw;
  }
  return true;
}

}  // namespace weir

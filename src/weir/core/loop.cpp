#include <weir/core/loop.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/cores_allowed.hpp>
#include <weir/base/pause_processor.hpp>
#include <weir/core/detail/other_loop_runs.hpp>
#include <weir/core/detail/post_inbox.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/error_trace.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/core/unhandled.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace weir {

namespace detail {

struct post_inbox : basic_post_inbox<post_node> {};

}  // namespace detail

constinit thread_local loop* loop::current_ = nullptr;

// The process's loops, for dumps from signal handlers: a list that only grows at its head and is
// edited under a lock.
struct loop_registry {
  static std::mutex& lock() {
    static std::mutex* const instance = new std::mutex;
    return *instance;
  }
  static constinit loop* head;
  static void add(loop& one) {
    const std::lock_guard guard(lock());
    one.next_live_ = head;
    head = &one;
  }
  static void remove(loop& one) {
    const std::lock_guard guard(lock());
    for (loop** at = &head; *at; at = &(*at)->next_live_) {
      if (*at == &one) {
        *at = one.next_live_;
        return;
      }
    }
  }
  /// Calls `f` with the loop of that serial number, which stays alive meanwhile.
  template <class F>
  static void visit(std::uint32_t serial, F f) {
    const std::lock_guard guard(lock());
    for (const loop* at = head; at; at = at->next_live_) {
      if (at->serial_ == serial) return f(*at);
    }
  }
};
constinit loop* loop_registry::head = nullptr;

namespace {
std::uint32_t next_serial() noexcept {
  static constinit std::atomic<std::uint32_t> last = 0;
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}
}  // namespace

struct loop::root_scope : scope_options, scope {
  explicit root_scope(loop& of) noexcept
      : scope_options{.name = of.options_.name}, scope(of, nullptr, nullptr, *this) {}
};

loop::loop(driver& io, loop_options options)
    : driver_(io),
      options_(options),
      serial_(next_serial()),
      turn_time_(io.now()),
      timers_(turn_time_),
      policy_(io.policy()),
      is_watched_(policy_ != nullptr),
      inbox_(nullptr) {
  auto inbox = std::make_unique<detail::post_inbox>();
  detail::error_list_without_memory();  // while there is memory to make it
  root_ = new root_scope(*this);
  inbox_ = inbox.release();
  loop_registry::add(*this);
}

loop::~loop() {
  loop_registry::remove(*this);
  inbox_->close([] { std::this_thread::yield(); });
  end_what_is_left();
  inbox_->close([] { std::this_thread::yield(); });  // its tasks have perhaps waited for posts
  delete static_cast<root_scope*>(root_);
  delete inbox_;
}

void detail::check_use_away_from(std::uint32_t home) noexcept {
  const loop* const here = loop::current();
  bool is_elsewhere = false;
  string_sink text;  // cut where there is no memory
  loop_registry::visit(home, [&](const loop& owner) {
    if (!here && owner.is_on_this_thread()) return;  // between its turns, or after them
    is_elsewhere = true;
    text.put("what is for one loop is used on that one; between loops use weir::cross or ");
    text.put("loop::post(): tasks of loop '");
    text.put(owner.name());
    text.put("' have waited for it, and it is used on ");
    text.put(here ? "loop '" : "a thread that runs no loop");
    if (here) text.put(here->name());
    if (here) text.put("'");
  });
  if (is_elsewhere) assertion_failed(text.text.c_str(), __FILE__, __LINE__, __func__);
}

void loop::end_what_is_left() {
  if (inbox_->is_empty(std::memory_order_acquire) && !root_->first_task_) return;
  const detail::other_loop_runs aside;  // it may end in a task of another loop
  enter();
  drain_posts();
  root_->cancel({.kind = cancel_kind::shutdown, .text = "the loop ended"});
  while (root_->first_task_) turn();
  leave();
  report_errors();
}

loop_stats loop::stats() const noexcept {
  loop_stats now = stats_;
  now.tasks_live = now.tasks_spawned - tasks_ended_;
  now.timers_live = timers_.count();
  return now;
}

namespace {
// What the step after the next will touch, asked for in time: where it resumes, its neighbours in
// its scope, which it leaves when it ends, and who comes after it. With fewer that are ready all is
// in the cache still.
void prefetch_after(const detail::task_header& next) noexcept {
  if (!next.next_ready) return;
  const detail::task_header& task = *next.next_ready;
  __builtin_prefetch(task.next_ready, 1);
  __builtin_prefetch(reinterpret_cast<const void*>(task.leaf & ~detail::frame_base::bits), 1);
  __builtin_prefetch(task.next_in_scope, 1);
  __builtin_prefetch(task.prev_in_scope, 1);
}
}  // namespace

detail::task_header* loop::first_ready() noexcept {
  detail::task_header* first = ready_head_;
  ready_head_ = first->next_ready;
  if (ready_head_) {
    prefetch_after(*ready_head_);
  } else {
    ready_tail_ = nullptr;
  }
  --ready_count_;
  return first;
}

// First in, first out; or the one that the policy chooses.
detail::task_header* loop::next_ready() noexcept {
  if (!policy_) [[likely]]
    return first_ready();
  --ready_count_;
  return &policy_->take();
}

std::coroutine_handle<> loop::begin_step(detail::task_header& task) noexcept {
  ++stats_.steps;
  detail::running_task = &task;
  detail::running_leaf = task.leaf;
  step_budget_ = options_.step_waits_max;
  task.state = detail::task_state::running;
  task.since = turn_time_;
  ++task.resumes;
  if (task.is_unwinding) [[unlikely]] {
    task.is_unwinding = false;
    return detail::unwind(task);
  }
  if ((task.leaf & detail::frame_base::boundary_bit) != 0)
    return reinterpret_cast<detail::boundary*>(task.leaf & ~detail::frame_base::bits)->resumed();
  return detail::handle_of(reinterpret_cast<detail::frame_base*>(task.leaf));
}

// A chain is as long as the clock may be left alone. Where an observer listens, each step is a
// chain of its own; where a policy chooses, it is asked who is next in the chain.
std::coroutine_handle<> loop::next_step() noexcept {
  if (is_watched_) [[unlikely]]
    return next_chosen_step();
  if (!ready_head_ || steps_left_ == chain_end_) return std::noop_coroutine();
  --steps_left_;
  return begin_step(*first_ready());
}

std::coroutine_handle<> loop::next_chosen_step() noexcept {
  if (observer_) return std::noop_coroutine();
  if (ready_count_ == 0 || steps_left_ == chain_end_) return std::noop_coroutine();
  --steps_left_;
  --ready_count_;
  detail::running_task = nullptr;  // it waits or has ended: nobody runs while the policy chooses
  return begin_step(policy_->take());
}

void loop::step(detail::task_header& task) noexcept {
  const std::uint64_t id = task.id;
  if (observer_) [[unlikely]] {
    detail::running_task = &task;  // so that running() says whose step it is
    observer_->before_step(id);
  }
  begin_step(task).resume();
  detail::running_task = nullptr;
  if (observer_) [[unlikely]]
    observer_->after_step(id);
}

// The clock is read after 16 steps, or after 64 while they are quick: a reading costs as much as a
// step.
void loop::run_ready() noexcept {
  constexpr std::uint32_t chain_min = 16;
  constexpr std::uint32_t chain_max = 64;
  constexpr duration quick_step = duration::nanoseconds(250);
  std::uint32_t chain = chain_min;
  time_point begun = turn_time_;
  steps_left_ = options_.turn_steps_max;
  while (ready_count_ != 0 && steps_left_ != 0) {
    chain_end_ = steps_left_ - std::min(steps_left_, chain);
    while (ready_count_ != 0 && steps_left_ != chain_end_) {
      --steps_left_;
      step(*next_ready());
    }
    if (ready_count_ == 0 || steps_left_ == 0) return;
    const time_point now = driver_.now();
    if (now - turn_time_ > options_.turn_time_max) return;
    chain = now - begun < quick_step * chain ? chain_max : chain_min;
    begun = now;
  }
}

namespace {
constexpr duration dense_spacing = duration::microseconds(4);
constexpr std::size_t dense_fires_min = 16;
constexpr duration gather_time = duration::microseconds(500);
}  // namespace

void loop::run_due() noexcept {
  const time_point before = turn_time_;
  turn_time_ = driver_.now();
  ++stats_.turns;
  const std::size_t fired = timers_.advance(turn_time_, options_.turn_steps_max);
  timers_are_dense_ =
      fired >= dense_fires_min &&
      (turn_time_ - before).ns <= dense_spacing.ns * static_cast<std::int64_t>(fired);
  drain_posts();
  run_ready();
}

// A sleep takes as much of the processor as several timers. Where they come close together, a loop
// that has caught up would sleep for each handful; so it sleeps a while for many, half as long as
// loops do that round to a millisecond. A world whose time stands still meanwhile has nothing to
// save, and keeps each moment.
time_point loop::lets_timers_gather(time_point until) noexcept {
  if (!timers_are_dense_ || until - turn_time_ > 4 * dense_spacing) return until;
  if (driver_.now() == turn_time_) return until;
  return std::max(until, turn_time_ + gather_time);
}

void loop::wait_in_driver(time_point until) noexcept {
  if (observer_) [[unlikely]]
    observer_->before_io_wait(until);
  driver_.wait(until);
  if (observer_) [[unlikely]]
    observer_->after_io_wait();
}

void loop::turn() {
  run_due();
  if (!root_->first_task_) return;
  const time_point until = ready_count_ != 0 ? turn_time_ : timers_.next_due();
  if (until == time_point::never() && !driver_.is_waiting_for_io() && !driver_.can_be_woken() &&
      inbox_->is_empty(std::memory_order_acquire)) {
    if (driver_.end_deadlock(*this)) return;
    report_deadlock();
  }
  if (until <= turn_time_) return wait_in_driver(turn_time_);
  if (looks_out(until)) return;
  wait_in_driver(inbox_->fall_asleep() ? lets_timers_gather(until) : turn_time_);
  inbox_->stay_awake();
}

namespace {
// With one processor nobody can post while a loop looks out. Asked when the program starts, before
// it binds its threads to cores.
const bool is_on_one_core = detail::cores_allowed() == 1;

// About the processor time of one sleep and one wake-up.
constexpr duration glance_length = duration::microseconds(5);
constexpr std::uint32_t glances_of_a_post = 5;  // what one that was not slept for is worth
constexpr std::uint32_t glances_max = 20;       // 100 us: twice a slow wake-up
constexpr std::uint32_t glances_to_try = 10;
constexpr std::uint32_t drains_until_try = 64;
}  // namespace

// Two loops that answer each other's posts would sleep and be woken for each: 5 to 50 us where the
// answer takes one. So a loop that is posted to looks out for the next post before it sleeps, a
// glance at a time with a look at sockets and timers before each. It has a budget of glances, which
// posts that come within some 25 us keep up; posts that come later use it up, so that a loop which
// has little to do sleeps. Now and then it tries again.
bool loop::looks_out(time_point until) noexcept {
  if (glances_left_ == 0) return false;
  wait_in_driver(turn_time_);
  if (ready_count_ != 0) return true;
  if (glance_at_inbox(until)) {
    glances_left_ = std::min(glances_left_ + glances_of_a_post, glances_max);
    return true;
  }
  return --glances_left_ != 0;
}

// Of 128 waits in a step 16 may look out, so the 16 steps between two looks at the clock are well
// below turn_time_max.
bool loop::may_look_out() noexcept {
  constexpr std::uint32_t price = 8;
  if (glances_left_ == 0 || ready_count_ != 0 || is_watched_ || step_budget_ < price) return false;
  if (!inbox_->is_empty(std::memory_order_relaxed)) return false;
  step_budget_ -= price;
  return true;
}

/// True when there is a post; false when there is none until the glance or the wait is over.
bool loop::glance_at_inbox(time_point until) noexcept {
  const time_point give_up = std::min(driver_.now() + glance_length, until);
  do {
    if (!inbox_->is_empty(std::memory_order_relaxed)) return true;
    detail::pause_processor();
  } while (driver_.now() < give_up);
  return false;
}

void loop::enter() noexcept {
  WEIR_ASSERT(!current_ &&
              "one loop runs on a thread at a time: a task can't call what makes runs of its own");
  current_ = this;
  running_leaf_ = &detail::running_leaf;
}

void loop::leave() noexcept {
  current_ = nullptr;
  running_leaf_ = nullptr;
}

void loop::report_errors() {
  if (detail::error_list* errors = root_->errors_) {
    root_->errors_ = nullptr;
    const error_group group(errors);
    detail::report_unhandled(
        {.text = group.what(), .what = std::make_exception_ptr(group), .is_report = false});
  }
}

void loop::run() {
  enter();
  if (observer_) observer_->before_run();
  while (root_->first_task_) turn();
  if (observer_) observer_->after_run();
  leave();
  report_errors();
}

bool loop::run_turn() {
  enter();
  if (root_->first_task_) turn();
  leave();
  if (root_->first_task_) return true;
  report_errors();
  return false;
}

time_point loop::run_turn_now() {
  enter();
  inbox_->stay_awake();
  run_due();
  wait_in_driver(turn_time_);
  leave();
  if (!root_->first_task_) report_errors();
  if (ready_count_ != 0 || driver_.prepare_poll()) return turn_time_;
  return inbox_->fall_asleep() ? timers_.next_due() : turn_time_;
}

void loop::cancel_between_turns(const char* reason) noexcept {
  enter();
  root_->cancel(reason);
  leave();
}

void loop::report_deadlock() noexcept {
  detail::stderr_sink out;
  out.put("weir: deadlock: every task waits and nothing can wake one\n");
  detail::print_task_tree(*this, out);
  out.flush();
  std::abort();
}

bool loop::reserve_post() noexcept { return inbox_->reserve(options_.posts_max); }

void loop::give_up_post() noexcept { inbox_->give_up(1); }

void loop::end_post() noexcept { ++ended_posts_; }

void loop::post_node(detail::post_node& node) noexcept {
  inbox_->post(node, [this] { driver_.wake(); });
}

void loop::drain_posts() noexcept {
  if (inbox_->is_empty(std::memory_order_relaxed)) return;
  detail::post_node* oldest = inbox_->take_all();
  while (oldest) {
    detail::post_node* following = oldest->next;
    ++stats_.posts;
    oldest->run(*oldest);
    oldest = following;
  }
  // Once for all of them: posters and the loop fight for this number's cache line.
  inbox_->give_up(std::exchange(ended_posts_, 0));
  // On a virtual clock no wake-up costs anything.
  if (is_on_one_core || glances_left_ != 0) return;
  if (++drains_ % drains_until_try == 0 && driver_.has_descriptors()) {
    glances_left_ = glances_to_try;
  }
}

}  // namespace weir

#include <weir/pool/pool.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/cores_allowed.hpp>
#include <weir/base/error.hpp>
#include <weir/base/pause_processor.hpp>
#include <weir/core/detail/works_for.hpp>
#include <weir/io/signals_blocked.hpp>
#include <weir/pool/internal/pool_core.hpp>

#include <algorithm>
#include <exception>

namespace weir::detail {

namespace {

// Threads that the virtual world plays when the options don't say: the same on every machine.
constexpr unsigned threads_played = 4;

pool_work& work_of(const job_frame& of) noexcept {
  const job_frame* at = &of;
  while (at->role() != job_role::root) {
    at = at->role() == job_role::called ? at->caller : at->fork->parent;
  }
  return *at->work;
}

}  // namespace

pool_core::pool_core(const pool_options& options) : options_(options) {
  if (options.threads > pool::threads_max || options.calls_max == 0)
    raise(error(errc::invalid_argument,
                "pool: threads must be at most pool::threads_max, and calls_max above 0"));
  step_timer_.core = this;
  step_timer_.on_fire = [](timer& t) noexcept { static_cast<step_timer&>(t).core->step(); };
}

pool_core::~pool_core() {
  {
    const std::lock_guard guard(lock_);
    WEIR_ASSERT(is_idle() && "a pool outlives the work on it");
  }
  sleepers_.end();
  for (const auto& one : workers_) {
    if (one->thread.joinable()) one->thread.join();
  }
}

// The pool's threads are started by its first call, or played by the loop that calls.
bool pool_core::has_place(loop& from) noexcept {
  const bool is_played = !from.io().can_be_woken();
  if (is_idle()) {
    played_on_ = is_played ? &from : nullptr;
    alarms_.store(is_played ? alarm_virtual : 0, std::memory_order_relaxed);
  }
  WEIR_ASSERT(played_on_ == (is_played ? &from : nullptr) &&
              "a pool serves one virtual loop at a time, or any number of real ones");
  WEIR_ASSERT(!(is_played && threads_ != 0) && "a pool with threads can't serve a virtual loop");
  if (workers_.empty()) {
    unsigned width = options_.threads;
    if (width == 0) width = is_played ? threads_played : cores_allowed();
    try {
      for (unsigned i = 0; i < std::max(1u, width); ++i) {
        workers_.push_back(std::make_unique<worker>());
        worker& made = *workers_.back();
        made.core = this;
        made.alarms = &alarms_;
        made.lot = i + 1;
        for (auto& deque : made.deques) deque.want_shown(std::max(1u, width) - 1);
      }
    } catch (...) {
      workers_.clear();
      return false;
    }
  }
  return is_played || threads_ != 0 || start_threads();
}

bool pool_core::start_threads() noexcept {
  const signals_blocked during_the_starts;
  for (const auto& one : workers_) {
    try {
      one->thread = std::thread([this, &self = *one] { run_thread(self); });
      ++threads_;
    } catch (const std::exception&) {  // no thread, or no memory for one
      break;                           // fewer do; without any, the call is refused
    }
  }
  return threads_ != 0;
}

std::optional<errc> pool_core::submit(pool_work& work, loop& from) noexcept {
  {
    const std::lock_guard guard(lock_);
    std::optional<errc> refusal;
    if (is_closed_) {
      refusal = errc::closed;
    } else if (queues_[0].count + queues_[1].count >= options_.calls_max) {
      refusal = errc::full;
    } else if (!has_place(from)) {
      refusal = errc::io;
    }
    if (refusal) {
      ++refused_;
      return refusal;
    }
    queue& q = queues_[static_cast<std::size_t>(work.of)];
    work.on = &from;
    work.around = scope_asking();
    work.state = work_state::waiting;
    work.prev_waiting = q.last;
    (q.last ? q.last->next_waiting : q.first) = &work;
    q.last = &work;
    q.count.fetch_add(1, std::memory_order_relaxed);
    if (work.of == priority::normal) alarms_.fetch_or(alarm_waiting, std::memory_order_relaxed);
    if (played_on_) set_step();
  }
  wake_one();
  return {};
}

void pool_core::unlink(pool_work& work) noexcept {
  queue& q = queues_[static_cast<std::size_t>(work.of)];
  (work.prev_waiting ? work.prev_waiting->next_waiting : q.first) = work.next_waiting;
  (work.next_waiting ? work.next_waiting->prev_waiting : q.last) = work.prev_waiting;
  work.next_waiting = work.prev_waiting = nullptr;
  q.count.fetch_sub(1, std::memory_order_relaxed);
  if (work.of == priority::normal && !q.first)
    alarms_.fetch_and(~alarm_waiting, std::memory_order_relaxed);
}

bool pool_core::withdraw(pool_work& work) noexcept {
  const std::lock_guard guard(lock_);
  if (work.state == work_state::waiting) {
    unlink(work);
    work.state = work_state::ended;
    ++ended_;
    if (played_on_ && is_idle()) played_on_->remove_timer(step_timer_);
    return true;
  }
  if (work.state == work_state::begun && !work.is_cancelled.load(std::memory_order_relaxed)) {
    work.is_cancelled.store(true, std::memory_order_relaxed);
    note_cancelled();
  }
  return false;
}

void pool_core::end(pool_work& work) noexcept {
  // Frames of what was stopped are ended here rather than on the loop, which others need.
  if (work.body->was_stopped()) {
    handle_of(work.body).destroy();
    work.body = nullptr;
    work.was_stopped = true;
  }
  loop& on = *work.on;
  {
    const std::lock_guard guard(lock_);
    work.state = work_state::ended;
    if (work.is_cancelled.load(std::memory_order_relaxed)) forget_cancelled();
    --begun_;
    ++ended_;
  }
  on.post_node(work);  // which may be gone from here on
}

void pool_core::close() noexcept {
  const std::lock_guard guard(lock_);
  is_closed_ = true;
}

pool_stats pool_core::stats() noexcept {
  const std::lock_guard guard(lock_);
  pool_stats now{.threads = threads_,
                 .asleep = static_cast<unsigned>(sleepers_.count()),
                 .waiting = queues_[0].count + queues_[1].count,
                 .begun = begun_,
                 .ended = ended_,
                 .refused = refused_};
  for (const auto& one : workers_) now.stolen += one->stolen.load(std::memory_order_relaxed);
  return now;
}

std::size_t pool_core::workers_at(const pool_work& work) const noexcept {
  std::size_t count = 0;
  for (const auto& one : workers_) count += one->work.load(std::memory_order_relaxed) == &work;
  return count;
}

bool pool_core::gives_way(const pool_worker& on) noexcept {
  const std::uint32_t now = alarms_.load(std::memory_order_relaxed) & on.hears;
  if ((now & alarm_waiting) != 0) return true;
  return (now & alarm_virtual) != 0 && played_on_->lot(2) == 0;
}

job_frame* pool_core::steal(worker& self, std::size_t of) noexcept {
  self.lot ^= self.lot << 13;
  self.lot ^= self.lot >> 17;
  self.lot ^= self.lot << 5;
  const std::size_t first = self.lot % workers_.size();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    worker& victim = *workers_[(first + i) % workers_.size()];
    if (&victim == &self || !victim.deques[of].shows_any()) continue;
    if (job_frame* const found = victim.deques[of].steal()) {
      self.stolen.store(self.stolen.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return found;
    }
  }
  return nullptr;
}

job_frame* pool_core::begin_waiting(std::size_t of) noexcept {
  queue& q = queues_[of];
  if (q.count.load(std::memory_order_relaxed) == 0) return nullptr;
  const std::lock_guard guard(lock_);
  pool_work* const first = q.first;
  if (!first) return nullptr;
  unlink(*first);
  first->state = work_state::begun;
  ++begun_;
  first->body->give(job_role::root);
  first->body->work = first;
  return first->body;
}

// What this thread leaves for something more important is for whoever has time.
void pool_core::leave_less_important(worker& self, std::size_t than) noexcept {
  for (std::size_t of = than + 1; of < priority_count; ++of) {
    if (!self.deques[of].keeps_any()) continue;
    self.deques[of].show_all();
    wake_one();
  }
}

job_frame* pool_core::find(worker& self) noexcept {
  for (std::size_t of = 0; of < priority_count; ++of) {
    self.offers = &self.deques[of];
    self.hears = of == 0 ? ~alarm_waiting : ~std::uint32_t{0};
    if (job_frame* const own = self.offers->take()) return own;
    job_frame* found = steal(self, of);
    if (!found) found = begin_waiting(of);
    if (!found) continue;
    leave_less_important(self, of);
    // There may be more where it came from.
    if (sleepers_.count() > 0 && sees_work()) wake_one();
    return found;
  }
  return nullptr;
}

// Runs until this thread's strand ends or has to wait for others.
void pool_core::run(worker& self, job_frame& taken) noexcept {
  pool_work& around = work_of(taken);
  self.work.store(&around, std::memory_order_relaxed);
  const works_for caller(around.around);
  taken.state |= job_frame::taken_bit;
  std::coroutine_handle<> next = handle_of(&taken);
  if (alarms_.load(std::memory_order_relaxed) >= alarm_cancelled && is_stopped_around(taken)) {
    taken.stop();  // before it has begun
    next = go_on_after(taken);
  }
  next.resume();
  self.work.store(nullptr, std::memory_order_relaxed);
}

void pool_core::run_thread(worker& self) noexcept {
  this_worker = &self;
  do {
    while (job_frame* const taken = find(self)) run(self, *taken);
  } while (sleep());
  this_worker = nullptr;
}

bool pool_core::sees_work() const noexcept {
  for (const queue& q : queues_) {
    if (q.count.load(std::memory_order_relaxed) != 0) return true;
  }
  for (const auto& one : workers_) {
    for (const auto& deque : one->deques) {
      if (deque.shows_any()) return true;
    }
  }
  return false;
}

// False: the pool ends. A wake-up costs up to 100 us, so work is looked out for about half as long
// (a pause takes some 45 ns) before the thread sleeps.
bool pool_core::sleep() noexcept {
  constexpr int looks = 32;
  constexpr int pauses = 32;
  for (int i = 0; i < looks; ++i) {
    if (sees_work()) return true;
    for (int j = 0; j < pauses; ++j) pause_processor();
  }
  return sleepers_.sleep([this] { return sees_work(); });
}

void pool_core::wake_one() noexcept { sleepers_.wake_one(); }

// One piece of work of one of the played threads, between two turns of the loop.
void pool_core::step() noexcept {
  const std::size_t first = played_on_->lot(static_cast<std::uint32_t>(workers_.size()));
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    worker& self = *workers_[(first + i) % workers_.size()];
    this_worker = &self;
    job_frame* const taken = find(self);
    if (taken) run(self, *taken);
    this_worker = nullptr;
    if (taken) break;
  }
  if (!is_idle()) set_step();
}

void pool_core::set_step() noexcept {
  if (step_timer_.is_set()) return;
  step_timer_.due = played_on_->turn_time();
  played_on_->add_timer(step_timer_);
}

constinit const wait_kind pool_wait::kind_{"pool", &pool_wait::leave, &pool_wait::describe};

bool pool_wait::try_now() noexcept {
  pool_work::run = [](post_node& node) noexcept {
    auto& self = static_cast<pool_wait&>(static_cast<pool_work&>(node));
    if (self.was_stopped) return self.complete_cancelled();
    self.complete();
  };
  const std::optional<errc> refusal = core.submit(*this, *loop::current());
  is_refused_ = refusal.has_value();
  if (refusal) refusal_ = *refusal;
  return is_refused_;
}

result<void> pool_wait::take() noexcept {
  if (!is_refused_) return {};
  switch (refusal_) {
    case errc::closed:
      return fail(error(errc::closed, "run on a pool that was closed", place));
    case errc::full:
      return fail(error(errc::full, "run on a pool: pool_options::calls_max calls wait", place));
    default:
      return fail(error(refusal_, "run on a pool: no thread can be started", place));
  }
}

void pool_wait::leave(wait& w) noexcept {
  auto& self = static_cast<pool_wait&>(w);
  if (self.core.withdraw(self)) self.complete_cancelled();
}

void pool_wait::describe(const wait& w, text_sink& out) noexcept {
  const auto& self = static_cast<const pool_wait&>(w);
  out.put("\"");
  out.put(self.core.name());
  out.put("\": ");
  out.put(self.place.function_name());
  const std::size_t count = self.core.workers_at(self);
  if (count == 0) return out.put(", for a thread");
  out.put(" on ");
  out.put_number(count);
  out.put(count == 1 ? " thread" : " threads");
}

pool_core* make_pool(const pool_options& options) { return new pool_core(options); }
void end_pool(pool_core* pool) noexcept { delete pool; }
void close_pool(pool_core& pool) noexcept { pool.close(); }
pool_stats stats_of(pool_core& pool) noexcept { return pool.stats(); }
const char* name_of(const pool_core& pool) noexcept { return pool.name(); }
unsigned pool_width() noexcept { return this_worker ? this_worker->core->width() : 1; }

}  // namespace weir::detail

namespace weir {

bool is_work_cancelled() noexcept {
  using detail::this_worker;
  if (!this_worker) return false;
  const detail::pool_work* const around =
      static_cast<detail::worker*>(this_worker)->work.load(std::memory_order_relaxed);
  return around && around->is_cancelled.load(std::memory_order_relaxed);
}

}  // namespace weir

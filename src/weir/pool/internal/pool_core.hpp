// The threads of a pool and the calls that wait for one. The hard idea: nobody who offers work
// takes a lock; a thread that sleeps is woken through a line of its own (detail/sleeper_line.hpp).
//
// A worker looks for work in this order, for each priority: its own deque, the deques of others,
// the calls that wait.
#pragma once

#include <weir/core/timer_wheel.hpp>
#include <weir/pool/detail/sleeper_line.hpp>
#include <weir/pool/pool.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace weir::detail {

/// A thread, or what plays one in the virtual world.
struct worker : pool_worker {
  offer_deque<job_frame> deques[priority_count];
  std::uint32_t lot = 1;                  // state of a xorshift: with whom to begin stealing
  std::atomic<pool_work*> work{nullptr};  // the call that it is at work on; only to be compared
  std::atomic<std::uint64_t> stolen{0};
  std::thread thread;
};

/// What a pool is made of.
///
/// Cancel:  withdraw() takes back what has not begun and tells the rest.
/// Order:   as pool.
/// Bound:   as pool.
/// Errors:  submit() gives the code of its refusal.
/// Threads: any.
class pool_core {
 public:
  explicit pool_core(const pool_options& options);
  pool_core(const pool_core&) = delete;
  pool_core& operator=(const pool_core&) = delete;
  ~pool_core();

  std::optional<errc> submit(pool_work& work, loop& from) noexcept;
  /// True: the call had not begun and never will. False: it ends later.
  bool withdraw(pool_work& work) noexcept;
  /// Its body has ended: the loop that awaits it hears of it.
  void end(pool_work& work) noexcept;
  void close() noexcept;
  pool_stats stats() noexcept;
  const char* name() const noexcept { return options_.name; }
  unsigned width() const noexcept { return static_cast<unsigned>(workers_.size()); }
  std::size_t workers_at(const pool_work& work) const noexcept;

  /// Something in here is cancelled: jobs look closely at their awaits until it has ended.
  void note_cancelled() noexcept { alarms_.fetch_add(alarm_cancelled, std::memory_order_relaxed); }
  void forget_cancelled() noexcept {
    alarms_.fetch_sub(alarm_cancelled, std::memory_order_relaxed);
  }
  /// There may be more to do than one thread can: wakes another.
  void wake_one() noexcept;
  /// Whether a job that forks should let others go first.
  bool gives_way(const pool_worker& on) noexcept;

  static constexpr std::uint32_t alarm_waiting = 1;    // a normal call waits; for background work
  static constexpr std::uint32_t alarm_virtual = 2;    // always, in the virtual world
  static constexpr std::uint32_t alarm_cancelled = 4;  // and above: how many

 private:
  struct step_timer : callback_timer {
    pool_core* core = nullptr;
  };

  bool has_place(loop& from) noexcept;
  bool start_threads() noexcept;
  void run_thread(worker& self) noexcept;
  job_frame* find(worker& self) noexcept;
  void leave_less_important(worker& self, std::size_t than) noexcept;
  job_frame* steal(worker& self, std::size_t of) noexcept;
  job_frame* begin_waiting(std::size_t of) noexcept;
  void run(worker& self, job_frame& taken) noexcept;
  bool sees_work() const noexcept;
  bool sleep() noexcept;
  void unlink(pool_work& work) noexcept;
  bool is_idle() const noexcept {  // under the lock
    return begun_ == 0 && !queues_[0].first && !queues_[1].first;
  }
  void step() noexcept;
  void set_step() noexcept;

  struct queue {
    pool_work* first = nullptr;
    pool_work* last = nullptr;
    std::atomic<std::size_t> count{0};  // changed under the lock
  };

  const pool_options options_;
  alignas(64) std::atomic<std::uint32_t> alarms_{0};
  sleeper_line<> sleepers_;
  alignas(64) std::mutex lock_;
  queue queues_[priority_count];
  std::size_t begun_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t refused_ = 0;
  bool is_closed_ = false;
  unsigned threads_ = 0;
  loop* played_on_ = nullptr;  // the virtual world's loop that plays the threads
  step_timer step_timer_;

  std::vector<std::unique_ptr<worker>> workers_;
};

}  // namespace weir::detail

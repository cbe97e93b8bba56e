// pool: threads for work that computes. Any task of any loop awaits it: `co_await pool.run(f)`. The
// hard idea: a call is one node in the frame that awaits it, queued, begun and answered without an
// allocation; what it forks never comes back to the queue, but is stolen between the threads.
//
//   run() -> queued -> begun -----> ended: posted to the loop of whoever awaits it
//              |  cancel: taken back, never begins
//              +--------- cancel: its jobs end at their next awaits, then `ended`
//
// Threads start at the first call. On a loop that nothing outside can wake, as in the virtual
// world, no thread is started: the loop itself plays the pool's threads, one piece of work a turn,
// in an order by lot, so that tests explore which job runs when and who steals from whom.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/core/task.hpp>
#include <weir/core/wait.hpp>
#include <weir/pool/job.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>
#include <utility>

namespace weir {

enum class priority : std::uint8_t {
  normal,
  background,  // begins, and goes on after a fork, only while nothing normal waits for a thread
};
inline constexpr std::size_t priority_count = 2;

struct pool_options {
  const char* name = "pool";     // a literal
  unsigned threads = 0;          // 0: as many as this process may use processors; see threads_max
  std::size_t calls_max = 4096;  // run() calls that wait for a thread; more raise `full`
};

struct pool_stats {
  unsigned threads = 0;       // that were started
  unsigned asleep = 0;        // of these, for want of work
  std::size_t waiting = 0;    // calls that no thread has begun
  std::size_t begun = 0;      // calls that run
  std::uint64_t ended = 0;    // calls that came to an end, cancelled ones included
  std::uint64_t refused = 0;  // `full` or `closed`
  std::uint64_t stolen = 0;   // jobs that ran on another thread than the one that forked them
};

namespace detail {

enum class work_state : std::uint8_t { fresh, waiting, begun, ended };

/// One call of run(): lives in the frame that awaits it.
struct pool_work : post_node {
  pool_core& core;
  job_frame* body;  // owned
  std::source_location place;
  priority of;
  work_state state = work_state::fresh;  // under the pool's lock
  bool was_stopped = false;
  std::atomic<bool> is_cancelled{false};
  loop* on = nullptr;
  const scope* around = nullptr;  // the caller, who waits
  pool_work* next_waiting = nullptr;
  pool_work* prev_waiting = nullptr;

  pool_work(pool_core& in, job_frame* owned, priority p) noexcept
      : core(in), body(owned), place(owned->declared), of(p) {}
  pool_work(const pool_work&) = delete;
  pool_work& operator=(const pool_work&) = delete;
  ~pool_work() {
    if (body) handle_of(body).destroy();
  }
};

class [[nodiscard]] pool_wait final : public leaf_wait<pool_wait, void>, public pool_work {
 public:
  static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
  pool_wait(pool_core& in, job_frame* owned, priority p) noexcept
      : leaf_wait(kind_), pool_work(in, owned, p) {}
  bool try_now() noexcept;
  void enlist() noexcept {}  // try_now has
  result<void> take() noexcept;

 private:
  static void leave(wait& w) noexcept;
  static void describe(const wait& w, text_sink& out) noexcept;
  static const wait_kind kind_;
  errc refusal_ = errc::internal;
  bool is_refused_ = false;
};

pool_core* make_pool(const pool_options& options);
void end_pool(pool_core* pool) noexcept;
void close_pool(pool_core& pool) noexcept;
pool_stats stats_of(pool_core& pool) noexcept;
const char* name_of(const pool_core& pool) noexcept;

}  // namespace detail

/// Threads that run jobs and plain functions which compute, with work stealing between them.
///
/// Cancel:  a call that has not begun is taken back; one that has ends at its next await, or with
///          its value if there is none, and is awaited until then.
/// Order:   calls of one priority begin in the order in which they came; what has begun is
///          finished before new calls begin.
/// Bound:   pool_options: threads, and calls_max calls that wait, over which run() raises `full`.
/// Errors:  what the work raises is raised by the await; `full`; `closed` after close();
///          `invalid_argument` for options that can't be meant.
/// Threads: any; made and destroyed by one, after everything that was run on it has ended.
class pool {
 public:
  static constexpr unsigned threads_max = 1024;

  explicit pool(pool_options options = {}) : core_(detail::make_pool(options)) {}
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;
  /// Ends the threads. Calls that still run are a misuse: a pool outlives the work on it.
  ~pool() { detail::end_pool(core_); }

  /// Runs a job on the threads of the pool: `co_await pool.run(fib(34))`.
  template <class T>
  [[nodiscard]] task<T> run(job<T> body, priority of = priority::normal) {
    detail::pool_wait call(*core_, body.release(), of);
    co_await call;
    co_return static_cast<detail::job_promise<T>&>(*call.body).take();
  }
  /// Runs f() on a thread of the pool: `auto digest = co_await pool.run([&] { return sha256(file);
  /// });`. It must not block (`blocking()` is for that), nor use what belongs to a loop. Values of
  /// scopes (`weir::local`) and fields of the log are the caller's in there, and in jobs.
  template <class F>
    requires std::is_invocable_v<F&>
  [[nodiscard]] WEIR_CORO_WRAPPER auto run(F f, priority of = priority::normal) {
    using value = std::invoke_result_t<F&>;
    static_assert(!detail::is_job<value>, "weir: give run() the job: pool.run(f())");
    static_assert(!detail::is_task<value>,
                  "weir: a pool computes and can't wait; await the task on a loop");
    return run(detail::job_of_call<F>(std::move(f)), of);
  }

  /// Refuses new calls; those that it has taken are finished. Idempotent.
  void close() noexcept { detail::close_pool(*core_); }

  const char* name() const noexcept { return detail::name_of(*core_); }
  pool_stats stats() const noexcept { return detail::stats_of(*core_); }

 private:
  detail::pool_core* core_;
};

}  // namespace weir

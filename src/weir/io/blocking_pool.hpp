// A bounded pool of threads for calls that block: files where there is no ring, other people's
// libraries. The hard idea: jobs are the requests themselves, linked in the waiting frames, so that
// handing one over allocates nothing; a thread is started only when all others are at work, and
// ends after idling.
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/driver.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace weir::detail {

struct blocking_options {
  std::uint32_t threads_max = 16;
  std::size_t queue_max = 65'536;  // jobs that wait for a thread; over it they fail with ENOBUFS
  duration idle = duration::seconds(10);  // after which a thread without work ends
};

struct blocking_stats {
  std::uint32_t threads = 0;
  std::uint32_t busy = 0;
  std::size_t queued = 0;
};

/// Threads that run blocking requests, first in, first out.
///
/// Cancel:  withdraw() takes a job back that has not begun; one that has is waited for.
/// Order:   jobs begin in the order in which they were submitted.
/// Bound:   threads_max threads, queue_max waiting jobs.
/// Errors:  submit() gives -ENOBUFS when the queue is full, -EAGAIN when no thread can be started
///          (the system has no more, or there is no memory) and none is there.
/// Threads: made, used and destroyed by one thread; `done` is called by the pool's.
class blocking_pool {
 public:
  using done_function = void (*)(void* context, io_request& done) noexcept;

  blocking_pool(blocking_options options, done_function done, void* context);
  blocking_pool(const blocking_pool&) = delete;
  blocking_pool& operator=(const blocking_pool&) = delete;
  /// Waits for the jobs that run. None may be queued.
  ~blocking_pool();

  /// 0, or -errno when the job was not taken.
  int submit(io_request& job) noexcept;
  /// True: the job had not begun and never will.
  bool withdraw(io_request& job) noexcept;
  /// A queued job on a handle, taken back; null when there is none.
  io_request* withdraw_any_on(io_handle handle) noexcept;
  /// True: a job runs on the handle, and the last of these will close it.
  bool close_when_done(io_handle handle) noexcept;

  blocking_stats stats() noexcept;

 private:
  struct worker {
    std::thread thread;
    io_request* running = nullptr;
    io_handle running_on = -1;
    bool is_live = false;
    bool closes_handle = false;
  };

  void work(worker& self) noexcept;
  bool start_thread() noexcept;
  void unlink(io_request& job) noexcept;
  bool must_close(worker& self) noexcept;

  const blocking_options options_;
  const done_function done_;
  void* const context_;
  std::mutex lock_;
  std::condition_variable more_;
  std::vector<worker> workers_;  // never grows: threads hold references into it
  io_request* first_ = nullptr;
  io_request* last_ = nullptr;
  std::size_t queued_ = 0;
  std::uint32_t live_ = 0;
  std::uint32_t idle_ = 0;
  bool is_ending_ = false;
};

}  // namespace weir::detail

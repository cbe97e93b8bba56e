#include <weir/io/blocking_pool.hpp>

#include <weir/base/assert.hpp>
#include <weir/io/file_calls.hpp>
#include <weir/io/signals_blocked.hpp>

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>

namespace weir::detail {

blocking_pool::blocking_pool(blocking_options options, done_function done, void* context)
    : options_(options), done_(done), context_(context), workers_(options.threads_max) {
  WEIR_ASSERT(options.threads_max > 0);
}

blocking_pool::~blocking_pool() {
  {
    const std::lock_guard guard(lock_);
    WEIR_ASSERT(!first_);
    is_ending_ = true;
  }
  more_.notify_all();
  for (worker& one : workers_) {
    if (one.thread.joinable()) one.thread.join();
  }
}

int blocking_pool::submit(io_request& job) noexcept {
  const std::lock_guard guard(lock_);
  if (queued_ >= options_.queue_max) return -ENOBUFS;
  if (idle_ <= queued_ && live_ < options_.threads_max && !start_thread() && live_ == 0)
    return -EAGAIN;
  job.next = nullptr;
  job.prev = last_;
  (last_ ? last_->next : first_) = &job;
  last_ = &job;
  ++queued_;
  more_.notify_one();
  return 0;
}

bool blocking_pool::start_thread() noexcept {
  for (worker& one : workers_) {
    if (one.is_live) continue;
    try {
      if (one.thread.joinable()) one.thread.join();  // it has left work() already
      const signals_blocked during_the_start;
      one.thread = std::thread([this, &one] { work(one); });
      one.is_live = true;
      ++live_;
      return true;
    } catch (const std::exception&) {  // no more threads, or no memory for one
      return false;
    }
  }
  return false;
}

void blocking_pool::unlink(io_request& job) noexcept {
  (job.prev ? job.prev->next : first_) = job.next;
  (job.next ? job.next->prev : last_) = job.prev;
  job.next = job.prev = nullptr;
  --queued_;
}

bool blocking_pool::withdraw(io_request& job) noexcept {
  const std::lock_guard guard(lock_);
  if (!job.prev && first_ != &job) return false;
  unlink(job);
  return true;
}

io_request* blocking_pool::withdraw_any_on(io_handle handle) noexcept {
  const std::lock_guard guard(lock_);
  for (io_request* job = first_; job; job = job->next) {
    if (job->handle == handle) {
      unlink(*job);
      return job;
    }
  }
  return nullptr;
}

bool blocking_pool::close_when_done(io_handle handle) noexcept {
  const std::lock_guard guard(lock_);
  bool is_running = false;
  for (worker& one : workers_) {
    if (one.running && one.running_on == handle) is_running = one.closes_handle = true;
  }
  return is_running;
}

// Several workers may be told to close one handle: the last of them does.
bool blocking_pool::must_close(worker& self) noexcept {
  if (!self.closes_handle) return false;
  self.closes_handle = false;
  for (const worker& other : workers_) {
    if (other.running && other.running_on == self.running_on && other.closes_handle) return false;
  }
  return true;
}

void blocking_pool::work(worker& self) noexcept {
  std::unique_lock guard(lock_);
  for (;;) {
    if (!first_) {
      if (is_ending_) break;
      ++idle_;
      more_.wait_for(guard, std::chrono::nanoseconds(options_.idle.ns),
                     [this] { return first_ || is_ending_; });
      --idle_;
      if (!first_) break;
    }
    io_request& job = *first_;
    unlink(job);
    self.running = &job;
    self.running_on = job.handle;
    guard.unlock();
    job.outcome = perform_blocking(job);
    guard.lock();
    self.running = nullptr;
    const bool closes = must_close(self);
    guard.unlock();
    if (closes) ::close(self.running_on);
    done_(context_, job);  // the job may be gone from here on
    guard.lock();
  }
  self.is_live = false;
  --live_;
}

blocking_stats blocking_pool::stats() noexcept {
  const std::lock_guard guard(lock_);
  blocking_stats now{.threads = live_, .queued = queued_};
  for (const worker& one : workers_) now.busy += one.running != nullptr;
  return now;
}

}  // namespace weir::detail

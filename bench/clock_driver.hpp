// The smallest driver there is: the monotonic clock and wake-ups, no files and no sockets. It keeps
// the cost of tasks and timers apart from the cost of I/O.
#pragma once

#include <weir/core/driver.hpp>

#include "measure.hpp"
#include <sys/random.h>
#include <time.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace bench {

class clock_driver final : public weir::driver {
 public:
  const char* name() const noexcept override { return "clock"; }
  weir::time_point now() noexcept override { return weir::time_point(wall_ns()); }
  weir::time_point wall_now() noexcept override {
    return weir::time_point(read_clock(CLOCK_REALTIME));
  }
  std::uint64_t random() noexcept override {
    std::uint64_t bits = 0;
    return getrandom(&bits, sizeof bits, 0) == sizeof bits ? bits : 0;
  }

  bool submit(weir::io_request& request) noexcept override {
    request.outcome = -ENOSYS;
    return true;
  }
  void cancel(weir::io_request&) noexcept override {}
  void wait(weir::time_point until) noexcept override {
    std::unique_lock guard(lock_);
    const std::int64_t now_ns = wall_ns();
    if (until == weir::time_point::never()) {
      changed_.wait(guard, [this] { return is_woken_; });
    } else if (until.ns > now_ns) {
      changed_.wait_for(guard, std::chrono::nanoseconds(until.ns - now_ns),
                        [this] { return is_woken_; });
    }
    is_woken_ = false;
  }
  void wake() noexcept override {
    {
      const std::lock_guard guard(lock_);
      is_woken_ = true;
    }
    changed_.notify_one();
  }
  bool is_waiting_for_io() const noexcept override { return false; }

  weir::io_handle make_socket(int) noexcept override { return -ENOSYS; }
  weir::io_handle make_listener(weir::raw_address&, const weir::listen_options&) noexcept override {
    return -ENOSYS;
  }
  int address_of(weir::io_handle, bool, weir::raw_address&) noexcept override { return -ENOSYS; }
  int set_option(weir::io_handle, int, int, int) noexcept override { return -ENOSYS; }
  int status_of(weir::io_handle, weir::file_status&) noexcept override { return -ENOSYS; }
  int status_of(const char*, weir::file_status&) noexcept override { return -ENOSYS; }
  int list_dir(const char*, void (*)(void*, const char*), void*) noexcept override {
    return -ENOSYS;
  }
  int lock_file(weir::io_handle) noexcept override { return -ENOSYS; }
  void close_now(weir::io_handle) noexcept override {}

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  bool is_woken_ = false;
};

}  // namespace bench

// A copy of this process that works and tells what it finds, line by line. What kills it (an
// assertion, a crash, a limit) is known to the one that started it, and nobody else is hurt.
#pragma once

#include <weir/base/time.hpp>

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::drill {

/// Real time, of the user's clock and not of a simulated one.
time_point real_now() noexcept;

/// The worker's end of the pipe.
///
/// Cancel:  no waits.
/// Order:   lines as they are said.
/// Bound:   none.
/// Errors:  ends the worker when nobody listens any more.
/// Threads: one.
class worker_voice {
 public:
  explicit worker_voice(int to) noexcept : to_(to) {}
  /// A line, without its end; line breaks inside of it are kept.
  void say(std::string line) const;
  /// From now on standard error is told as well, as lines of its own.
  void speak_errors() const noexcept;

 private:
  int to_;
};

/// What a worker does.
///
/// Cancel:  no waits.
/// Order:   in its own process.
/// Bound:   limit_cpu().
/// Errors:  whatever ends the process: worker_process::death().
/// Threads: one.
class worker_job {
 public:
  virtual void work(const worker_voice& voice) = 0;

 protected:
  ~worker_job() = default;
};

/// Hears a worker.
///
/// Cancel:  no waits.
/// Order:   as it spoke.
/// Bound:   none.
/// Errors:  none.
/// Threads: one.
class worker_listener {
 public:
  virtual void hear(std::string_view line) = 0;

 protected:
  ~worker_listener() = default;
};

/// A worker, from the side of who started it.
///
/// Cancel:  no waits; the destructor waits for a process that works on.
/// Order:   lines as they were said, then the end.
/// Bound:   one process.
/// Errors:  `io` from start().
/// Threads: one; the process must have no other when start() is called.
class worker_process {
 public:
  worker_process() = default;
  worker_process(const worker_process&) = delete;
  worker_process& operator=(const worker_process&) = delete;
  ~worker_process();

  /// Forks; once one has ended, the next may begin.
  void start(worker_job& job);
  /// Until its end was read.
  bool is_running() const noexcept { return from_ >= 0; }
  /// To poll(): read() when it is readable.
  int descriptor() const noexcept { return from_; }
  void read(worker_listener& to);

  /// "died by signal 6"; empty when it has ended as it should.
  const std::string& death() const noexcept { return death_; }
  /// What the last one has taken of the processors.
  duration cpu() const noexcept { return cpu_; }

 private:
  void end();

  pid_t pid_ = -1;
  int from_ = -1;
  std::string unread_;
  std::string death_;
  duration cpu_ = {};
};

/// SIGXCPU ends this process after so much time on a processor.
void limit_cpu(duration most) noexcept;
/// So much has this process taken.
duration cpu_taken() noexcept;
/// Waits a moment for words; which of the descriptors may be read. Those below 0 are passed over.
std::vector<std::size_t> wait_for_words(std::span<const int> descriptors);

}  // namespace weir::drill

#include <weir/drill/worker_process.hpp>

#include <weir/base/error.hpp>

#include <errno.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace weir::drill {

namespace {

constexpr char line_break = '\x01';  // inside of a line

time_point clock_now(clockid_t which) noexcept {
  timespec t{};
  ::clock_gettime(which, &t);
  return time_point(std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec);
}

duration length_of(const timeval& t) noexcept {
  return duration(std::int64_t{t.tv_sec} * 1'000'000'000 + std::int64_t{t.tv_usec} * 1'000);
}

}  // namespace

time_point real_now() noexcept { return clock_now(CLOCK_MONOTONIC); }

duration cpu_taken() noexcept { return clock_now(CLOCK_PROCESS_CPUTIME_ID) - time_point(); }

void limit_cpu(duration most) noexcept {
  const auto seconds = static_cast<rlim_t>(most.ns / 1'000'000'000 + 1);
  const rlimit limit{.rlim_cur = seconds, .rlim_max = seconds + 1};
  ::setrlimit(RLIMIT_CPU, &limit);
}

std::vector<std::size_t> wait_for_words(std::span<const int> descriptors) {
  constexpr int moment_ms = 200;
  std::vector<pollfd> all;
  for (const int one : descriptors) all.push_back({.fd = one, .events = POLLIN, .revents = 0});
  ::poll(all.data(), all.size(), moment_ms);
  std::vector<std::size_t> readable;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].revents != 0) readable.push_back(i);
  }
  return readable;
}

void worker_voice::say(std::string line) const {
  std::ranges::replace(line, '\n', line_break);
  line += '\n';
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t count = ::write(to_, line.data() + done, line.size() - done);
    if (count <= 0 && errno != EINTR) std::_Exit(0);
    if (count > 0) done += static_cast<std::size_t>(count);
  }
}

void worker_voice::speak_errors() const noexcept { ::dup2(to_, STDERR_FILENO); }

worker_process::~worker_process() {
  if (is_running()) end();
}

void worker_process::start(worker_job& job) {
  int ends[2];
  if (::pipe(ends) != 0) raise(error::from_os(errno, "make a pipe for a worker"));
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) {
    const int why = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    raise(error::from_os(why, "start a worker"));
  }
  if (pid == 0) {
    ::close(ends[0]);
    std::signal(SIGPIPE, SIG_IGN);
    job.work(worker_voice(ends[1]));
    std::_Exit(0);
  }
  ::close(ends[1]);
  pid_ = pid;
  from_ = ends[0];
  unread_.clear();
  death_.clear();
  cpu_ = {};
}

void worker_process::read(worker_listener& to) {
  char buffer[16'384];
  const ssize_t count = ::read(from_, buffer, sizeof buffer);
  if (count < 0 && errno == EINTR) return;
  if (count <= 0) return end();
  unread_.append(buffer, static_cast<std::size_t>(count));
  std::size_t begin = 0;
  for (std::size_t at = unread_.find('\n'); at != std::string::npos;
       at = unread_.find('\n', begin)) {
    std::string line = unread_.substr(begin, at - begin);
    std::ranges::replace(line, line_break, '\n');
    to.hear(line);
    begin = at + 1;
  }
  unread_.erase(0, begin);
}

void worker_process::end() {
  ::close(from_);
  from_ = -1;
  int status = 0;
  rusage used{};
  while (::wait4(pid_, &status, 0, &used) < 0 && errno == EINTR) {
  }
  cpu_ = length_of(used.ru_utime) + length_of(used.ru_stime);
  if (WIFSIGNALED(status)) {
    death_ = fmt::format("died by signal {}", WTERMSIG(status));
  } else if (WEXITSTATUS(status) != 0) {
    death_ = fmt::format("ended with {}", WEXITSTATUS(status));
  }
}

}  // namespace weir::drill

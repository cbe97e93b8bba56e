#include <weir/testing/internal/child_end.hpp>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <utility>

namespace weir::testing::detail {

// The escape guard stands before functions of these names, and looks for the real ones when they
// are called for the first time, which a handler must not do: hence system calls.

child_end::child_end(bool stays) noexcept {
  int ends[2];
  if (::syscall(SYS_pipe2, ends, stays ? 0 : O_CLOEXEC) != 0) return;
  from_ = ends[0];
  to_ = ends[1];
}

child_end::~child_end() {
  for (const int one : {from_, to_}) {
    if (one >= 0) ::close(one);
  }
}

void child_end::child_began() noexcept { ::close(std::exchange(to_, -1)); }

std::optional<int> child_end::status_within(pid_t child, std::int64_t ms) noexcept {
  timespec left{.tv_sec = ms / 1'000, .tv_nsec = ms % 1'000 * 1'000'000};
  pollfd end{.fd = from_, .events = POLLIN, .revents = 0};
  long count = 0;
  do {  // the call itself makes `left` shorter
    count = ::syscall(SYS_ppoll, &end, 1, &left, nullptr, 0);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) ::syscall(SYS_kill, child, SIGKILL);
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  if (count <= 0 || ended != child) return std::nullopt;
  return status;
}

void be_quiet_child(bool is_mute) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto null = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY, 0));
  if (null < 0) return;
  ::dup2(null, STDOUT_FILENO);
  if (is_mute) ::dup2(null, STDERR_FILENO);
  if (null > STDERR_FILENO) ::close(null);
}

}  // namespace weir::testing::detail

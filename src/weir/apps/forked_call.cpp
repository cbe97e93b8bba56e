#include <weir/apps/forked_call.hpp>

#include <weir/base/error.hpp>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace weir::detail {

namespace {

struct answer_ends {
  int from = -1;
  int to = -1;
};

answer_ends make_ends() {
  int ends[2];
  if (::pipe(ends) != 0) raise(error::from_os(errno, "make a pipe to a child process"));
  return {ends[0], ends[1]};
}

/// Never comes back: what is below on the stack belongs to the parent.
[[noreturn]] void be_child(const std::function<void(void*)>& call, void* answer, std::size_t bytes,
                           int to, pid_t parent) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) std::_Exit(1);  // it has ended before it could be watched
  try {
    call(answer);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "weir: %s\n", failed.what());
    std::_Exit(1);
  }
  // An answer is far below the size of a pipe: one write takes it whole.
  const bool is_written = ::write(to, answer, bytes) == static_cast<ssize_t>(bytes);
  std::_Exit(is_written ? 0 : 1);
}

}  // namespace

bool call_forked(const std::function<void(void*)>& call, void* answer, std::size_t bytes) {
  const answer_ends ends = make_ends();
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    const int why = errno;
    ::close(ends.from);
    ::close(ends.to);
    raise(error::from_os(why, "start a child process"));
  }
  if (child == 0) be_child(call, answer, bytes, ends.to, parent);
  ::close(ends.to);
  ssize_t count = 0;
  do {
    count = ::read(ends.from, answer, bytes);
  } while (count < 0 && errno == EINTR);
  ::close(ends.from);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return count == static_cast<ssize_t>(bytes);
}

}  // namespace weir::detail

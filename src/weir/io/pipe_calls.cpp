#include <weir/io/pipe_calls.hpp>

#include <weir/io/outcome_of.hpp>

#include <signal.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace weir::detail {

std::int64_t read_now(io_handle handle, void* into, std::size_t size) noexcept {
  return outcome_of([&] { return ::read(handle, into, size); });
}

std::int64_t write_now(const io_request& request) noexcept {
  static_assert(sizeof(io_slice) == sizeof(struct iovec));
  const int count = static_cast<int>(std::min<std::size_t>(request.slice_count, IOV_MAX));
  return outcome_of([&] {
    return ::writev(request.handle, reinterpret_cast<const struct iovec*>(request.slices), count);
  });
}

void pipe_signal_guard::hold() noexcept {
  if (is_held_) return;
  sigset_t pipe_only;
  sigset_t before;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
  is_held_ = sigismember(&before, SIGPIPE) == 0;
}

// What our own writes have raised meanwhile must not strike now.
pipe_signal_guard::~pipe_signal_guard() {
  if (!is_held_) return;
  sigset_t pipe_only;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  const struct timespec at_once = {};
  while (::sigtimedwait(&pipe_only, nullptr, &at_once) == SIGPIPE) {
  }
  ::pthread_sigmask(SIG_UNBLOCK, &pipe_only, nullptr);
}

}  // namespace weir::detail

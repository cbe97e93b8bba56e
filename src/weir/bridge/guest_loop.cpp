#include <weir/bridge/guest_loop.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace weir {

namespace {

int made(int descriptor, const char* call) {
  if (descriptor < 0) raise(error::from_os(errno, call));
  return descriptor;
}

}  // namespace

guest_loop::owned_fd::~owned_fd() { ::close(number); }

guest_loop::guest_loop(driver_options io, loop_options options)
    : io_(make_driver(io)),
      on_(*io_, options),
      timer_{made(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create")},
      both_{made(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")} {
  watch(timer_.number);
  const io_handle polled = io_->poll_handle();
  if (polled < 0) {
    raise(error(errc::unsupported, std::string("a guest can't have the driver '") + io_->name() +
                                       "', which has no descriptor to poll: use 'epoll'"));
  }
  watch(polled);
  run();
}

guest_loop::~guest_loop() {
  cancel("its host is gone");
  on_.run();
}

void guest_loop::watch(int handle) {
  struct epoll_event readable{.events = EPOLLIN, .data = {.fd = handle}};
  if (::epoll_ctl(both_.number, EPOLL_CTL_ADD, handle, &readable) != 0)
    raise(error::from_os(errno, "epoll_ctl"));
}

bool guest_loop::run() {
  WEIR_ASSERT(thread_ == &detail::running_leaf &&
              "a guest_loop is run on the thread that made it; on others use loop().post()");
  time_point due;
  for (int turns = 0; turns < turns_max; ++turns) {
    due = on_.run_turn_now();
    if (due > on_.turn_time()) break;
  }
  wake_at(due);
  return on_.stats().tasks_live != 0;
}

// Setting the timer also takes back that it had fired. Zero would switch it off.
void guest_loop::wake_at(time_point due) noexcept {
  if (due == due_) return;
  due_ = due;
  struct itimerspec at{};
  if (due != time_point::never()) {
    const std::int64_t ns = std::max<std::int64_t>(due.ns, 1);
    at.it_value = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  }
  const int outcome = ::timerfd_settime(timer_.number, TFD_TIMER_ABSTIME, &at, nullptr);
  WEIR_ASSERT(outcome == 0);
}

}  // namespace weir

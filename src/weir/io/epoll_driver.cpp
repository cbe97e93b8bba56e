#include <weir/io/epoll_driver.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>
#include <weir/io/socket_calls.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace weir::detail {

namespace {

constexpr duration look_again_pause = duration::milliseconds(10);

// The outcome is known.
bool ended(io_request& request, std::int64_t outcome) noexcept {
  request.outcome = outcome;
  return true;
}

}  // namespace

epoll_driver::epoll_driver(const driver_options& options)
    : kernel_driver(options, SOCK_NONBLOCK), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) raise(error::from_os(errno, "epoll_create1"));
  struct epoll_event wakes{.events = EPOLLIN, .data = {.fd = wake_fd()}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_fd(), &wakes) != 0) {
    const int failure = errno;
    ::close(epoll_);
    raise(error::from_os(failure, "epoll_ctl"));
  }
}

epoll_driver::~epoll_driver() { ::close(epoll_); }

bool epoll_driver::goes_to_derived(io_op op) const noexcept {
  switch (op) {
    case io_op::accept:
    case io_op::connect:
    case io_op::receive:
    case io_op::receive_into:
    case io_op::send:
    case io_op::shutdown:
    case io_op::poll:
    case io_op::receive_datagrams:
    case io_op::send_datagrams:
      return true;
    default:
      return false;
  }
}

epoll_driver::descriptor& epoll_driver::at(io_handle handle) {
  const auto index = static_cast<std::size_t>(handle);
  if (index >= descriptors_.size()) descriptors_.resize(index + index / 2 + 16);
  return descriptors_[index];
}

request_list& epoll_driver::list_of(io_request& request) noexcept {
  descriptor& on = descriptors_[static_cast<std::size_t>(request.handle)];
  switch (request.op) {
    case io_op::send:
    case io_op::send_datagrams:
    case io_op::connect:
      return on.writers;
    case io_op::poll:
      return on.polls;
    default:
      return on.readers;
  }
}

bool epoll_driver::start(io_request& request) noexcept {
  if (request.handle < 0) return ended(request, -EBADF);
  if (request.op == io_op::shutdown) {
    const int how = static_cast<int>(request.flags);
    return ended(request, ::shutdown(request.handle, how) == 0 ? 0 : -errno);
  }
  try {
    at(request.handle);
  } catch (const std::bad_alloc&) {
    return ended(request, -ENOMEM);
  }
  descriptor& on = descriptors_[static_cast<std::size_t>(request.handle)];
  request_list& waiting = list_of(request);
  WEIR_ASSERT((waiting.is_empty() || request.op == io_op::poll || request.op == io_op::accept) &&
              "a socket has one receive and one send at a time");
  if ((waiting.is_empty() || request.op == io_op::poll) && try_request(request, on)) return true;
  if (request.driver_data == &starved_) {
    starved_.push_back(request);
    return false;
  }
  if (request.driver_data == &full_) {
    full_.push_back(request);
    return false;
  }
  if (const int outcome = watch(request); outcome < 0) return ended(request, outcome);
  waiting.push_back(request);
  return false;
}

// A socket of datagrams has an edge of room for each that has left its buffer: until somebody waits
// for room, it hears of none.
int epoll_driver::watch(const io_request& request) noexcept {
  descriptor& on = descriptors_[static_cast<std::size_t>(request.handle)];
  // A descriptor that is only polled belongs to somebody else, who may have closed it and opened
  // another with its number: it is registered anew each time.
  const bool again = request.op == io_op::poll;
  const bool hears_room = on.hears_room || request.op != io_op::receive_datagrams;
  if (on.is_registered && on.hears_room == hears_room && !again) return 0;
  struct epoll_event edges{.events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET,
                           .data = {.fd = request.handle}};
  if (hears_room) edges.events |= EPOLLOUT;
  const bool may_be_there = again || on.is_registered;
  if (!may_be_there || ::epoll_ctl(epoll_, EPOLL_CTL_MOD, request.handle, &edges) != 0) {
    if (may_be_there && errno != ENOENT) return -errno;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, request.handle, &edges) != 0) return -errno;
  }
  on.is_registered = true;
  on.hears_room = hears_room;  // (3)
  return 0;
}

void epoll_driver::stop(io_request& request) noexcept {
  if (request.driver_data == &starved_) {
    starved_.remove(request);
  } else if (request.driver_data == &full_) {
    full_.remove(request);
  } else {
    list_of(request).remove(request);
  }
  finish(request, -ECANCELED);
}

void epoll_driver::adopt(io_handle handle) noexcept {
  const auto index = static_cast<std::size_t>(handle);
  if (index < descriptors_.size()) descriptors_[index] = {};
}

int epoll_driver::adopt_piped(io_handle handle) noexcept {
  try {
    at(handle) = {};
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
  descriptors_[static_cast<std::size_t>(handle)].is_piped = true;
  return 0;
}

void epoll_driver::abandon(io_handle handle) noexcept {
  const auto index = static_cast<std::size_t>(handle);
  if (handle < 0 || index >= descriptors_.size()) return;
  descriptor& on = descriptors_[index];
  for (request_list* waiting : {&on.readers, &on.writers, &on.polls}) {
    while (io_request* request = waiting->pop_front()) finish(*request, -ECANCELED);
  }
  for (const request_list* waiting : {&starved_, &full_}) {
    for (io_request* request = waiting->first(); request;) {
      io_request* following = request->next;
      if (request->handle == handle) stop(*request);
      request = following;
    }
  }
  on = {};
}

// True: its outcome is known. False: it has to wait for the next edge.
bool epoll_driver::try_request(io_request& request, descriptor& on) noexcept {
  switch (request.op) {
    case io_op::accept:
      return try_accept(request, on);
    case io_op::receive:
    case io_op::receive_into:
      return on.is_piped ? try_call(request, on) : try_receive(request, on);
    case io_op::send:
    case io_op::receive_datagrams:
    case io_op::send_datagrams:
      return try_call(request, on);
    case io_op::connect:
      return try_connect(request, on);
    case io_op::poll:
      request.outcome = poll_now(request);
      return request.outcome != 0;
    default:
      return ended(request, -ENOSYS);
  }
}

bool epoll_driver::try_accept(io_request& request, descriptor& on) noexcept {
  if (!on.is_readable) return false;
  for (;;) {
    raw_address* from = request.address;
    socklen_t size = sizeof from->storage;
    const int made = ::accept4(request.handle,
                               from ? reinterpret_cast<struct sockaddr*>(from->storage) : nullptr,
                               from ? &size : nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (made >= 0) {
      if (from) from->size = size;
      adopt(made);
      return ended(request, made);
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;  // gone before we came: not our concern
    if (errno != EAGAIN) return ended(request, -errno);
    on.is_readable = false;  // (1)
    return false;
  }
}

bool epoll_driver::try_receive(io_request& request, descriptor& on) noexcept {
  if (!on.is_readable && !on.is_ended) return false;
  if (request.op == io_op::receive_into) {
    const std::int64_t count = receive_now(request.handle, request.memory, request.size);
    return note_read(request, on, count, request.size);
  }
  const receive_arena::space room = arena_.room();
  if (room.size == 0) {
    request.driver_data = &starved_;
    return false;
  }
  const std::int64_t count = receive_now(request.handle, room.data, room.size);
  if (!note_read(request, on, count, room.size)) return false;
  if (count > 0) request.received = arena_.take(static_cast<std::size_t>(count));
  return true;
}

bool epoll_driver::note_read(io_request& request, descriptor& on, std::int64_t count,
                             std::size_t room) noexcept {
  if (count == -EAGAIN) {
    on.is_readable = false;  // (1)
    return false;
  }
  // Drained, unless an end is behind the data. Only if edges are heard: else the next one is lost.
  const bool is_short = count > 0 && static_cast<std::size_t>(count) < room;
  if (is_short && on.is_registered && !on.was_urgent) on.is_readable = false;  // (1)
  return ended(request, count);
}

bool epoll_driver::try_call(io_request& request, descriptor& on) noexcept {
  const bool is_send = request.op == io_op::send || request.op == io_op::send_datagrams;
  bool& is_ready = is_send ? on.is_writable : on.is_readable;
  if (!is_ready && !on.is_ended) return false;
  const std::int64_t count = call_now(request, on.is_piped);
  if (count == no_room) {
    request.driver_data = &starved_;
    return false;
  }
  if (count != -EAGAIN) return ended(request, count);
  is_ready = false;  // (1)
  return false;
}

bool epoll_driver::try_connect(io_request& request, descriptor& on) noexcept {
  if (request.mode == 0) {
    request.mode = 1;  // begun
    if (::connect(request.handle, reinterpret_cast<struct sockaddr*>(request.address->storage),
                  request.address->size) == 0)
      return ended(request, 0);
    if (errno == EAGAIN && request.address->storage[0] == AF_UNIX) {
      request.mode = 0;
      request.driver_data = &full_;
      connects_again_ = now() + look_again_pause;
      return false;
    }
    if (errno != EINPROGRESS && errno != EINTR) return ended(request, -errno);
    on.is_writable = false;  // (1): established or failed makes an edge
    return false;
  }
  if (!on.is_writable && !on.is_ended) return false;
  return ended(request, connect_outcome(request.handle));
}

void epoll_driver::retry(request_list& waiting, descriptor& on) noexcept {
  while (io_request* request = waiting.first()) {
    request->driver_data = nullptr;
    if (try_request(*request, on)) {
      waiting.remove(*request);
      finish(*request, request->outcome);
    } else if (request->driver_data == &starved_) {
      waiting.remove(*request);
      starved_.push_back(*request);
    } else {
      return;
    }
  }
}

void epoll_driver::heard(const epoll_event& event) noexcept {
  const auto index = static_cast<std::size_t>(event.data.fd);
  if (index >= descriptors_.size()) return;
  descriptor& on = descriptors_[index];
  constexpr std::uint32_t ends = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((event.events & ends) != 0) on.is_ended = true;  // (2)
  if ((event.events & EPOLLPRI) != 0) on.was_urgent = true;
  if ((event.events & (EPOLLIN | EPOLLPRI | ends)) != 0) on.is_readable = true;
  if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) on.is_writable = true;
  retry(on.readers, on);
  retry(on.writers, on);
  for (io_request* request = on.polls.first(); request;) {
    io_request* following = request->next;
    if (try_request(*request, on)) {
      on.polls.remove(*request);
      finish(*request, request->outcome);
    }
    request = following;
  }
}

void epoll_driver::feed_starved() noexcept {
  while (!starved_.is_empty() && arena_.has_room()) {
    io_request& request = *starved_.pop_front();
    request.driver_data = nullptr;
    descriptor& on = descriptors_[static_cast<std::size_t>(request.handle)];
    if (try_request(request, on)) {
      finish(request, request.outcome);
    } else if (request.driver_data == &starved_) {
      starved_.push_back(request);
      return;
    } else if (const int outcome = watch(request); outcome < 0) {
      finish(request, outcome);
    } else {
      on.readers.push_back(request);
    }
  }
}

void epoll_driver::connect_again() noexcept {
  if (now() < connects_again_) return;
  request_list waiting = full_;
  full_ = {};
  while (io_request* request = waiting.pop_front()) {
    request->driver_data = nullptr;
    if (start(*request)) finish(*request, request->outcome);
  }
}

bool epoll_driver::looks_again() const noexcept {
  return !full_.is_empty() || (!starved_.is_empty() && arena_.has_room());
}

// epoll_pwait2 came with Linux 5.11, and the system call filters of some containers are older than
// it: they answer ENOSYS or EPERM. Then milliseconds have to do, rounded up, so that no timer fires
// early.
int epoll_driver::wait_for_events(epoll_event* events, std::int64_t patience_ns) noexcept {
  if (has_pwait2_) {
    const struct timespec timeout{.tv_sec = patience_ns / 1'000'000'000,
                                  .tv_nsec = patience_ns % 1'000'000'000};
    const int count =
        ::epoll_pwait2(epoll_, events, events_max, patience_ns < 0 ? nullptr : &timeout, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    has_pwait2_ = false;
  }
  constexpr std::int64_t milliseconds_max = 1'000'000'000;  // the loop looks again after 11 days
  const std::int64_t milliseconds = std::min((patience_ns + 999'999) / 1'000'000, milliseconds_max);
  return ::epoll_wait(epoll_, events, events_max,
                      patience_ns < 0 ? -1 : static_cast<int>(milliseconds));
}

void epoll_driver::wait(time_point until) noexcept {
  struct epoll_event events[events_max];
  int count = 0;
  do {
    if (!starved_.is_empty()) feed_starved();
    if (!full_.is_empty()) connect_again();
    const time_point end = looks_again() ? std::min(until, now() + look_again_pause) : until;
    count = wait_for_events(events, patience(end));
    // A signal ends the system call, not the wait. So does an io_uring of this thread that the
    // kernel tears down.
    while (count < 0 && errno == EINTR) count = wait_for_events(events, patience(end));
    WEIR_ASSERT(count >= 0);
  } while (count == 0 && looks_again() && patience(until) != 0);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.fd == wake_fd()) {
      clear_wake();
    } else {
      heard(events[i]);
    }
  }
  deliver();
}

std::unique_ptr<driver> make_epoll_driver(const driver_options& options) {
  return std::make_unique<epoll_driver>(options);
}

}  // namespace weir::detail

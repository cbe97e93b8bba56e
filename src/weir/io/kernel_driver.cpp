#include <weir/io/kernel_driver.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>
#include <weir/io/file_calls.hpp>
#include <weir/io/internal/kernel_watches.hpp>
#include <weir/io/internal/spawn_child.hpp>
#include <weir/io/socket_calls.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace weir::detail {

namespace {

time_point clock_now(clockid_t clock) noexcept {
  struct timespec t;
  ::clock_gettime(clock, &t);
  return time_point(t.tv_sec * 1'000'000'000 + t.tv_nsec);
}

int make_wake_fd() {
  const int made = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (made < 0) raise(error::from_os(errno, "eventfd of a driver"));
  return made;
}

request_place place_of(const io_request& request) noexcept {
  return static_cast<request_place>(request.driver_state);
}
void put(io_request& request, request_place place) noexcept {
  request.driver_state = static_cast<std::uint32_t>(place);
}

struct sockaddr* as_sockaddr(raw_address& address) noexcept {
  return reinterpret_cast<struct sockaddr*>(address.storage);
}

// The file of a Unix socket stays when its process dies. When nobody listens behind it any more, it
// is in the way and of no use. 0: it is gone; EADDRINUSE: it is needed, or something else; else why
// that can't be asked.
int remove_dead_unix_path(raw_address& address, int type) noexcept {
  const auto* path = reinterpret_cast<const struct sockaddr_un*>(address.storage);
  if (path->sun_family != AF_UNIX || path->sun_path[0] == '\0') return EADDRINUSE;
  struct stat found;  // connecting to a file of another kind is refused as well
  if (::lstat(path->sun_path, &found) != 0 || !S_ISSOCK(found.st_mode)) return EADDRINUSE;
  const int probe = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return errno;
  const bool is_dead =
      ::connect(probe, as_sockaddr(address), address.size) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return is_dead && ::unlink(path->sun_path) == 0 ? 0 : EADDRINUSE;
}

// Of two who start on one Unix path, one could remove what the other has just made, or take it for
// dead before it listens. So they take turns, by a lock on the folder; a stranger who holds that
// for longer is not waited for.
class path_turn {
 public:
  explicit path_turn(const raw_address& address) noexcept {
    const auto* where = reinterpret_cast<const struct sockaddr_un*>(address.storage);
    if (where->sun_family != AF_UNIX || where->sun_path[0] == '\0') return;
    char folder[sizeof where->sun_path + 1] = ".";
    if (const char* slash = ::strrchr(where->sun_path, '/')) {
      const std::size_t size = std::max<std::size_t>(1, slash - where->sun_path);
      std::memcpy(folder, where->sun_path, size);
      folder[size] = '\0';
    }
    folder_ = ::open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int tries = 0; folder_ >= 0 && tries < tries_max; ++tries) {
      if (::flock(folder_, LOCK_EX | LOCK_NB) == 0) return;
      ::poll(nullptr, 0, 1);
    }
  }
  path_turn(const path_turn&) = delete;
  path_turn& operator=(const path_turn&) = delete;
  ~path_turn() {
    if (folder_ >= 0) ::close(folder_);
  }

 private:
  static constexpr int tries_max = 1'000;  // a millisecond each
  int folder_ = -1;
};

int bind_to(int handle, raw_address& address, int type) noexcept {
  if (::bind(handle, as_sockaddr(address), address.size) == 0) return 0;
  if (errno == EADDRINUSE) errno = remove_dead_unix_path(address, type);
  return errno == 0 ? ::bind(handle, as_sockaddr(address), address.size) : -1;
}

}  // namespace

kernel_driver::kernel_driver(const driver_options& options, int socket_flags)
    : arena_(std::max<std::size_t>(options.receive_blocks_max, 2)),
      socket_flags_(socket_flags),
      shares_ports_(options.shares_ports),
      wake_fd_{make_wake_fd()},
      listener_(wake_fd_.number, is_woken_),
      pool_(
          {.threads_max = options.blocking_threads_max, .queue_max = options.blocking_queue_max},
          [](void* self, io_request& request) noexcept {
            auto& driver = *static_cast<kernel_driver*>(self);
            if (driver.from_pool_.push(request)) driver.wake();
          },
          this) {}

kernel_driver::event_fd::~event_fd() { ::close(number); }

kernel_driver::~kernel_driver() = default;

time_point kernel_driver::now() noexcept { return clock_now(CLOCK_MONOTONIC); }
time_point kernel_driver::wall_now() noexcept { return clock_now(CLOCK_REALTIME); }

std::uint64_t kernel_driver::random() noexcept {
  std::uint64_t drawn = 0;
  // Of 8 bytes getrandom gives all or fails with EINTR, before the system's pool is filled at boot.
  while (::getrandom(&drawn, sizeof drawn, 0) != sizeof drawn) WEIR_ASSERT(errno == EINTR);
  return drawn;
}

bool kernel_driver::submit(io_request& request) noexcept {
  request.driver_state = 0;
  request.driver_data = nullptr;
  switch (request.op) {
    case io_op::wait_signal:
      return start_signal(request);
    case io_op::close:
      close_now(request.handle);
      request.outcome = 0;
      return true;
    default:
      break;
  }
  if (goes_to_derived(request.op)) {
    put(request, request_place::derived);
    if (start(request)) return true;
  } else {
    put(request, request_place::pool);
    // The request belongs to a thread of the pool from here on, unless it is refused.
    if (const int refusal = pool_.submit(request); refusal < 0) {
      request.outcome = refusal;
      return true;
    }
  }
  ++pending_;
  return false;
}

std::int64_t kernel_driver::call_now(io_request& request, bool is_piped) noexcept {
  switch (request.op) {
    case io_op::send:
      return is_piped ? write_now(request) : send_now(request);
    case io_op::send_datagrams:
      return send_datagrams_now(request);
    case io_op::receive_datagrams:
      return arena_.has_room() ? datagrams_.receive_now(request, arena_) : no_room;
    case io_op::receive_into:
      return read_now(request.handle, request.memory, request.size);
    default:
      break;
  }
  const receive_arena::space room = arena_.room();
  if (room.size == 0) return no_room;
  const std::int64_t count = read_now(request.handle, room.data, room.size);
  if (count > 0) request.received = arena_.take(static_cast<std::size_t>(count));
  return count;
}

bool kernel_driver::start_signal(io_request& request) noexcept {
  const int number = static_cast<int>(request.flags);
  request.outcome = listener_.listen(number);
  if (request.outcome < 0) return true;
  if (listener_.take(number)) {
    hear_signals(std::uint64_t{1} << number);  // it is for those who have waited all along, too
    request.outcome = number;
    return true;
  }
  put(request, request_place::signals);
  signals_.push_back(request);
  ++pending_;
  return false;
}

void kernel_driver::cancel(io_request& request) noexcept {
  switch (place_of(request)) {
    case request_place::derived:
      return stop(request);
    case request_place::pool:
      if (pool_.withdraw(request)) finish(request, -ECANCELED);
      return;
    case request_place::signals:
      signals_.remove(request);
      return finish(request, -ECANCELED);
    case request_place::done:
    case request_place::nowhere:
      return;
  }
}

void kernel_driver::finish(io_request& request, std::int64_t outcome) noexcept {
  WEIR_ASSERT(place_of(request) != request_place::done);  // (1)
  request.outcome = outcome;
  put(request, request_place::done);
  done_.push_back(request);
}

void kernel_driver::leave_to_pool(io_request& request) noexcept {
  put(request, request_place::pool);
  if (const int refusal = pool_.submit(request); refusal < 0) finish(request, refusal);
}

bool kernel_driver::has_done() const noexcept {
  return !done_.is_empty() || !from_pool_.is_empty(std::memory_order_acquire);
}

void kernel_driver::take_from_pool() noexcept {
  if (from_pool_.is_empty(std::memory_order_relaxed)) return;
  io_request* oldest = from_pool_.take_all();
  while (oldest) {
    io_request* following = oldest->next;
    finish(*oldest, oldest->outcome);
    oldest = following;
  }
}

void kernel_driver::take_signals() noexcept {
  if (!listener_.has_any()) return;
  std::uint64_t taken = 0;
  for (io_request* request = signals_.first(); request; request = request->next) {
    const int number = static_cast<int>(request->flags);
    if (listener_.take(number)) taken |= std::uint64_t{1} << number;
  }
  hear_signals(taken);
}

void kernel_driver::hear_signals(std::uint64_t numbers) noexcept {
  for (io_request* request = signals_.first(); request;) {
    io_request* following = request->next;
    if ((numbers >> request->flags & 1) != 0) {
      signals_.remove(*request);
      finish(*request, request->flags);
    }
    request = following;
  }
}

void kernel_driver::deliver() noexcept {
  take_from_pool();
  take_signals();
  // What is finished by what is delivered now waits for the next turn.
  request_list now = done_;
  done_ = {};
  while (io_request* request = now.pop_front()) {
    put(*request, request_place::nowhere);
    --pending_;
    request->on_complete(*request);
  }
}

std::int64_t kernel_driver::patience(time_point until) noexcept {
  if (has_done()) return 0;
  if (until == time_point::never()) return -1;
  const std::int64_t left = (until - now()).ns;
  return left > 0 ? left : 0;
}

void kernel_driver::wake() noexcept {
  if (!is_woken_.raise()) return;  // the first one is under way
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_.number, &one, sizeof one);
}

void kernel_driver::clear_wake() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = ::read(wake_fd_.number, &count, sizeof count);
  is_woken_.lower();  // after the read: wake_flag says why
}

io_handle kernel_driver::make_socket(int family) noexcept {
  const int made = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | socket_flags_, 0);
  if (made < 0) return -errno;
  adopt(made);
  return made;
}

io_handle kernel_driver::make_listener(raw_address& address,
                                       const listen_options& options) noexcept {
  const int made = make_socket(as_sockaddr(address)->sa_family);
  return made < 0 ? made : bind_socket(made, SOCK_STREAM, address, options);
}

io_handle kernel_driver::make_datagram_socket(int family, raw_address& address,
                                              const listen_options& options) noexcept {
  const int made = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | socket_flags_, 0);
  if (made < 0) return -errno;
  adopt(made);
  return address.size == 0 ? made : bind_socket(made, SOCK_DGRAM, address, options);
}

// Binds, and listens to what has connections. The socket is closed when that fails.
io_handle kernel_driver::bind_socket(io_handle made, int type, raw_address& address,
                                     const listen_options& options) noexcept {
  const int on = 1;
  const int family = as_sockaddr(address)->sa_family;
  if (options.ipv6_only && family != AF_INET6) {
    ::close(made);
    return -EINVAL;
  }
  const bool is_unix = family == AF_UNIX;
  const bool is_stream = type == SOCK_STREAM;
  const path_turn mine(address);
  const bool is_shared = !is_unix && (options.reuse_port || (is_stream && shares_ports_));
  if ((!is_unix && is_stream &&
       ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) ||
      (is_shared && ::setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
      (options.ipv6_only && ::setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
      bind_to(made, address, type) != 0 || (is_stream && ::listen(made, options.backlog) != 0)) {
    const int failure = errno;
    ::close(made);
    return -failure;
  }
  if (const int outcome = address_of(made, false, address); outcome < 0) {
    ::close(made);
    return outcome;
  }
  return made;
}

int kernel_driver::make_pipe(io_handle (&ends)[2]) noexcept {
  int made[2];
  if (::pipe2(made, O_CLOEXEC | O_NONBLOCK) != 0) return -errno;
  for (const int one : made) {
    if (const int outcome = adopt_stream(one); outcome < 0) {
      ::close(made[0]);
      ::close(made[1]);
      return outcome;
    }
  }
  ends[0] = made[0];
  ends[1] = made[1];
  return 0;
}

int kernel_driver::adopt_stream(io_handle handle) noexcept {
  pipe_signal_.hold();
  return adopt_piped(handle);
}

int kernel_driver::address_of(io_handle handle, bool peer, raw_address& out) noexcept {
  socklen_t size = sizeof out.storage;
  const int outcome = peer ? ::getpeername(handle, as_sockaddr(out), &size)
                           : ::getsockname(handle, as_sockaddr(out), &size);
  if (outcome != 0) return -errno;
  out.size = size;
  return 0;
}

int kernel_driver::set_option(io_handle handle, int level, int option, int value) noexcept {
  if (level == SOL_SOCKET && option == SO_LINGER) {
    const struct linger with{.l_onoff = 1, .l_linger = value};
    return ::setsockopt(handle, level, option, &with, sizeof with) == 0 ? 0 : -errno;
  }
  return ::setsockopt(handle, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

child_host* kernel_driver::children() noexcept { return &detail::kernel_children(); }

watch_host* kernel_driver::watches() noexcept { return &detail::kernel_watches(); }

int kernel_driver::terminal_size_of(io_handle handle, int& rows, int& columns) noexcept {
  struct winsize now = {};
  if (::ioctl(handle, TIOCGWINSZ, &now) != 0) return -errno;
  rows = now.ws_row;
  columns = now.ws_col;
  return 0;
}

int kernel_driver::status_of(const char* path, file_status& out) noexcept {
  return path_status_now(path, out);
}
int kernel_driver::status_of(io_handle handle, file_status& out) noexcept {
  return handle_status_now(handle, out);
}
std::size_t kernel_driver::path_of(io_handle handle, char* out, std::size_t size) noexcept {
  return handle_path_now(handle, out, size);
}
int kernel_driver::list_dir(const char* path, void (*visit)(void*, const char* name),
                            void* context) noexcept {
  return list_dir_now(path, visit, context);
}
int kernel_driver::lock_file(io_handle handle) noexcept { return lock_file_now(handle); }

void kernel_driver::close_now(io_handle handle) noexcept {
  abandon(handle);
  while (io_request* queued = pool_.withdraw_any_on(handle)) finish(*queued, -ECANCELED);
  if (!pool_.close_when_done(handle)) ::close(handle);
}

}  // namespace weir::detail

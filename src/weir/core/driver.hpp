// The seam between weir and the world: clocks, randomness, sockets, files and wake-ups enter
// through this interface and nowhere else. Drivers (io_uring, epoll, the virtual world) implement
// it; core never makes a system call. The hard idea: the interface is completion-based (submit a
// request, hear its outcome later), because readiness can be turned into completions cheaply, but
// not the other way round.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/time.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

class child_host;
class loop;
class watch_host;
namespace detail {
struct task_header;
}

/// A socket, pipe or file of a driver. Real drivers use descriptors; the virtual world numbers its
/// own. -1 is none.
using io_handle = int;

/// An address as a driver sees it: the bytes of a sockaddr (IPv4, IPv6 or Unix path).
struct raw_address {
  alignas(8) unsigned char storage[128] = {};
  std::uint32_t size = 0;
};

/// A piece of memory to send or write. The same layout as struct iovec.
struct io_slice {
  const void* data = nullptr;
  std::size_t size = 0;
};

/// One datagram: to be sent, or received.
struct io_datagram {
  bytes data;
  io_slice piece;        // what is sent
  raw_address address;   // whom it is for or who sent it; size 0: the connected peer, or nobody
  std::size_t size = 0;  // as it was sent; more than data.size() when the rest was cut off

  std::string_view text() const noexcept { return data.text(); }
  bool is_truncated() const noexcept { return size > data.size(); }
};

enum class io_op : std::uint8_t {
  accept,   // handle -> new handle; address = the peer's
  connect,  // handle, address -> 0
  receive,  // handle -> count; received = view of the driver's buffer; 0 is the end of the stream
  receive_into,  // handle, memory, size -> count
  send,          // handle, slices (flags 1: of the `bytes` at memory) -> count sent (may be fewer)
  shutdown,      // handle, flags (SHUT_RD, SHUT_WR, SHUT_RDWR) -> 0
  close,         // handle -> 0; can't be cancelled
  open,          // path (in the open directory `handle`, if there is one), flags, mode -> handle
  read_at,       // handle, memory, size, offset -> count (0 at the end)
  write_at,      // handle, slices, offset, flags 1 = durable when it is complete -> count; with
                 // O_APPEND at the end, whatever the offset
  sync,          // handle, flags 1 = data only -> 0
  preallocate,   // handle, offset, size: zero-filled space that later writes need not allocate -> 0
  truncate,      // handle, offset = new size -> 0
  rename,        // path, path_to (both in `handle`) -> 0
  remove,        // path (in `handle`; flags 1 = folder) -> 0
  make_dir,      // path, mode -> 0
  sync_dir,      // handle (the path says nothing then) or path -> 0: makes renames, creations and
                 // removals in it durable
  receive_datagrams,  // handle, memory = io_datagrams, size = how many -> how many came
  send_datagrams,     // the same -> how many were sent; an error is that of the first
  poll,          // handle, flags (POLLIN ...) -> ready flags: for descriptors of other libraries
  wait_signal,   // flags = signal number -> the number, when it arrives
  run_blocking,  // function on the bounded blocking pool -> 0
  start_child,   // the same: function starts a child process at children() -> 0
};

/// One operation in flight: what is asked and, once complete, what happened. Lives in the waiting
/// frame; the driver links it while it is pending, so it neither moves nor dies before its
/// completion.
struct io_request {
  io_op op = io_op::poll;
  std::uint32_t flags = 0;
  io_handle handle = -1;
  std::uint32_t mode = 0;
  void* memory = nullptr;
  std::size_t size = 0;
  std::uint64_t offset = 0;
  const io_slice* slices = nullptr;
  std::size_t slice_count = 0;
  const char* path = nullptr;
  const char* path_to = nullptr;
  raw_address* address = nullptr;
  void (*function)(void*) = nullptr;  // run_blocking, start_child: called with `memory`

  std::int64_t outcome = 0;  // >= 0: count, handle or 0; < 0: -errno
  bytes received;            // receive only
  void (*on_complete)(io_request&) noexcept = nullptr;

  // The driver's own: links, a state, a registration.
  io_request* next = nullptr;
  io_request* prev = nullptr;
  void* driver_data = nullptr;
  std::uint32_t driver_state = 0;
  std::uint32_t driver_generation = 0;
};

/// How a listening socket is made.
struct listen_options {
  bool reuse_port = false;
  int backlog = 1024;
  bool ipv6_only = false;  // [::] without IPv4; EINVAL for what is no IPv6 address
};

/// What a directory entry or an open file is.
struct file_status {
  std::uint64_t size = 0;
  bool is_directory = false;
  std::int64_t modified_wall_ns = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  /// The same file, whatever it is called; as long as one of the two is kept open.
  bool is_same_file(const file_status& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
};

/// Keeps a loop's ready tasks and says which goes next; absent (null) means first in, first out.
///
/// Cancel:  no waits; a cancelled task comes here as any other, to end its frames.
/// Order:   its whole purpose.
/// Bound:   by the tasks of the loop.
/// Errors:  none.
/// Threads: the loop's.
class scheduling_policy {  // tidy-allow(shown): of the explorer in weir/testing
 public:
  virtual ~scheduling_policy() = default;
  /// A task is ready. `goes_on`: it is running, and what it awaits was there at once, so that it
  /// could go on without a switch.
  virtual void add(detail::task_header& task, bool goes_on) noexcept = 0;
  /// The task that runs next leaves. Called only while there is one.
  virtual detail::task_header& take() noexcept = 0;
  /// A number in [0, count): which of several equals comes first.
  virtual std::uint32_t lot(std::uint32_t count) noexcept = 0;
};

/// The world as one loop sees it.
///
/// Cancel:  cancel() asks; the request still completes exactly once, with -ECANCELED or with what
///          it had achieved.
/// Order:   completions are delivered from wait(), in the order in which they happened.
/// Bound:   by named limits of each driver: what has no room in a ring or its buffers waits inside;
///          what has none in the queue of the blocking pool is complete at once, with -ENOBUFS.
/// Errors:  as -errno in a request's outcome; the synchronous calls return the same.
/// Threads: only the loop's thread, but wake(), which any thread may call.
class driver {  // tidy-allow(shown): weir brings the worlds
 public:
  static constexpr int no_such_call = -95;  // -EOPNOTSUPP: this world has none of these

  virtual ~driver() = default;
  /// "io_uring", "epoll", "virtual".
  virtual const char* name() const noexcept = 0;

  /// Monotonic time. Never goes back.
  virtual time_point now() noexcept = 0;
  /// Wall time in nanoseconds since 1970; may jump.
  virtual time_point wall_now() noexcept = 0;
  /// Random bits: from the system for real drivers, from the seed in the virtual world.
  virtual std::uint64_t random() noexcept = 0;

  /// Starts `request`. True: it is complete already (outcome is set, on_complete is not called).
  virtual bool submit(io_request& request) noexcept = 0;
  /// Asks a submitted request to end early. Its completion arrives from wait() as always.
  virtual void cancel(io_request& request) noexcept = 0;
  /// Delivers completions; when there are none, waits for one, for wake() or for `until`, not less.
  /// Without an end (time_point::never()) it may come back with nothing.
  virtual void wait(time_point until) noexcept = 0;
  /// Ends a wait() in progress or the next one. Any thread; async-signal-safe.
  virtual void wake() noexcept = 0;
  /// True while requests are pending, so that a loop without timers still has something to wait
  /// for.
  virtual bool is_waiting_for_io() const noexcept = 0;

  // Calls that don't wait.
  /// A stream socket for an address family (AF_INET, AF_INET6, AF_UNIX): handle or -errno.
  virtual io_handle make_socket(int family) noexcept = 0;
  /// A bound, listening socket; `address` is updated to the one that was bound. Handle or -errno.
  virtual io_handle make_listener(raw_address& address, const listen_options& options) noexcept = 0;
  /// A datagram socket, bound to `address`, which is updated, when that has a size: handle or
  /// -errno.
  virtual io_handle make_datagram_socket(int /*family*/, raw_address& /*address*/,
                                         const listen_options& /*options*/) noexcept {
    return no_such_call;
  }
  /// A pipe: what is sent to ends[1] is received from ends[0]. 0 or -errno.
  virtual int make_pipe(io_handle (& /*ends*/)[2]) noexcept { return no_such_call; }
  /// Takes over a descriptor that doesn't block and is read and written as a pipe is, such as a
  /// terminal: 0 or -errno.
  virtual int adopt_stream(io_handle /*handle*/) noexcept { return no_such_call; }
  /// True when handles are descriptors, so that children can inherit them and other calls of the
  /// kernel may be given them.
  virtual bool has_descriptors() const noexcept { return false; }
  /// Where child processes are started (io/child_host.hpp); null: this world has none.
  virtual child_host* children() noexcept { return nullptr; }
  /// Where folders are watched (io/watch_host.hpp); null: this world has none.
  virtual watch_host* watches() noexcept { return nullptr; }
  /// Of a terminal, in characters: 0 or -errno (-EIO: it is gone).
  virtual int terminal_size_of(io_handle /*handle*/, int& /*rows*/, int& /*columns*/) noexcept {
    return no_such_call;
  }
  /// The local (or the peer's) address of a socket: 0 or -errno.
  virtual int address_of(io_handle handle, bool peer, raw_address& out) noexcept = 0;
  /// A socket option that holds an int (TCP_NODELAY, SO_LINGER seconds ...): 0 or -errno.
  virtual int set_option(io_handle handle, int level, int option, int value) noexcept = 0;
  /// Size and kind of a path: 0 or -errno.
  virtual int status_of(const char* path, file_status& out) noexcept = 0;
  /// The same of an open file.
  virtual int status_of(io_handle handle, file_status& out) noexcept = 0;
  /// Writes the path of an open file, for the text of an error: its length, at most `size`; 0: it
  /// is not known.
  virtual std::size_t path_of(io_handle /*handle*/, char* /*out*/, std::size_t /*size*/) noexcept {
    return 0;
  }
  /// Calls `visit(context, name)` for each entry of a folder but . and .. : 0 or -errno.
  virtual int list_dir(const char* path, void (*visit)(void*, const char* name),
                       void* context) noexcept = 0;
  /// Takes an exclusive lock on an open file that ends with the process or the handle: 0 or -errno
  /// (-EWOULDBLOCK: held).
  virtual int lock_file(io_handle handle) noexcept = 0;
  /// Closes at once, without a request: for destructors. Pending requests on it complete with
  /// -ECANCELED first.
  virtual void close_now(io_handle handle) noexcept = 0;

  /// A descriptor for those who wait elsewhere than in wait(): readable while that has something to
  /// deliver. no_such_call: there is none.
  virtual io_handle poll_handle() noexcept { return no_such_call; }
  /// Before such a wait: hands over what was asked. True: wait() has something to deliver at once,
  /// which the descriptor need not show.
  virtual bool prepare_poll() noexcept { return false; }
  /// False when nothing outside the loop can ever wake it, so that an idle loop without timers is a
  /// deadlock.
  virtual bool can_be_woken() const noexcept { return true; }
  /// Null: tasks run first in, first out.
  virtual scheduling_policy* policy() noexcept { return nullptr; }
  /// Every task waits and nothing can wake one. True: the driver has seen to it that the loop goes
  /// on, for example by cancelling its root scope; false: the process ends with the task tree.
  virtual bool end_deadlock(loop& /*on*/) noexcept { return false; }
};

}  // namespace weir

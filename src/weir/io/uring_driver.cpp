#include <weir/io/uring_driver.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace weir::detail {

namespace {

constexpr std::size_t transfer_bytes_max = std::size_t{1} << 30;

// ThreadSanitizer puts a signal's handler off until a call that it knows, and it does not know
// those of liburing: a wait that went to sleep just then would not hear of it.
constexpr bool is_thread_sanitized() noexcept {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  return true;
#endif
#endif
  return false;
}
constexpr std::int64_t handlers_wait_max_ns = 50'000'000;
constexpr std::int64_t look_again_pause_ns = 10'000'000;

// What user_data says besides a request's address, which is never that small.
constexpr std::uint64_t about_wake = 1;
constexpr std::uint64_t about_cancel = 2;  // and the address of the cancelled request, if it is one
// The receive of a socket: its number above these bits, its generation in the upper half.
constexpr std::uint64_t about_stream = 3;
constexpr int about_bits = 3;

// io_request::driver_data while the driver holds a request.
char marks[3];
void* const is_cancelling = &marks[0];
void* const is_unsubmitted = &marks[1];
void* const is_starved = &marks[2];

std::uint64_t stream_of(io_handle handle, std::uint32_t generation) noexcept {
  return about_stream | static_cast<std::uint64_t>(handle) << about_bits |
         std::uint64_t{generation} << 32;
}

bool is_receive(io_op op) noexcept { return op == io_op::receive || op == io_op::receive_into; }
bool is_send(io_op op) noexcept { return op == io_op::send || op == io_op::send_datagrams; }
// Receives are among them for pipes only.
bool is_called_when_ready(io_op op) noexcept {
  return is_receive(op) || is_send(op) || op == io_op::receive_datagrams;
}
bool is_of_file(io_op op) noexcept {
  return op == io_op::read_at || op == io_op::write_at || op == io_op::sync;
}
/// It blocks, so the kernel gives it to one of its workers.
bool is_worked_on(const io_request& request) noexcept {
  return request.op == io_op::sync || (request.op == io_op::write_at && request.flags == 1);
}

}  // namespace

uring_driver::ring_owner::~ring_owner() {
  if (is_open) io_uring_queue_exit(&ring);
}

uring_driver::uring_driver(const driver_options& options)
    : kernel_driver(options, 0),
      kept_bytes_max_(options.receive_blocks_max / kept_share * receive_arena::block_bytes) {
  open_ring(options.ring_entries);
  add_buffers();
  watch_wake_fd();
}

uring_driver::~uring_driver() {
  shared_.wait_for_all(ring_);
  if (buffers_) io_uring_unregister_buf_ring(&ring_, buffer_group);
  for (const receive_arena::loan& lent : lent_) {
    if (lent) receive_arena::give_back(lent);
  }
  std::free(buffers_);
  for (descriptor& one : descriptors_) {
    while (one.first) drop_first(one);
  }
  while (piece* one = free_pieces_) {
    free_pieces_ = one->next;
    delete one;
  }
}

// Completions are made when we ask for them, on our thread, so that they neither interrupt us nor
// need a lock. That is Linux 6.1; on older kernels epoll does as well.
void uring_driver::open_ring(unsigned entries) {
  struct io_uring_params parameters = {};
  parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                     IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  parameters.cq_entries = entries * 4;
  const int outcome = io_uring_queue_init_params(entries, &ring_, &parameters);
  if (outcome < 0) {
    raise(error(errc::unsupported, "the kernel refuses a ring (before Linux 6.1, or not allowed)")
              .caused_by(error::from_os(-outcome, "io_uring_setup")));
  }
  owner_.is_open = true;
  // The kernel's workers, who sync files for us, don't inherit where we may run: on another core
  // each would cost two wake-ups across cores (100 us on a virtual machine) beside its work.
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0) {
    io_uring_register_iowq_aff(&ring_, sizeof cores, &cores);
    is_on_one_core_ = CPU_COUNT(&cores) == 1;
  }
  io_uring_register_ring_fd(&ring_);  // spares a look-up per call; works without
}

bool uring_driver::goes_to_derived(io_op op) const noexcept {
  switch (op) {
    case io_op::accept:
    case io_op::connect:
    case io_op::receive:
    case io_op::receive_into:
    case io_op::send:
    case io_op::shutdown:
    case io_op::poll:
    case io_op::read_at:
    case io_op::write_at:
    case io_op::sync:
    case io_op::receive_datagrams:
    case io_op::send_datagrams:
      return true;
    default:  // rare, or several calls in one
      return false;
  }
}

uring_driver::descriptor* uring_driver::at(io_handle handle) noexcept {
  const auto index = static_cast<std::size_t>(handle);
  try {
    if (index >= descriptors_.size()) descriptors_.resize(index + index / 2 + 16);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return &descriptors_[index];
}

bool uring_driver::start(io_request& request) noexcept {
  request.outcome = -EBADF;
  if (request.handle < 0) return true;
  if (request.op == io_op::shutdown) {
    const int how = static_cast<int>(request.flags);
    request.outcome = ::shutdown(request.handle, how) == 0 ? 0 : -errno;
    return true;
  }
  descriptor* on = at(request.handle);
  if (!on) {
    request.outcome = -ENOMEM;
    return true;
  }
  request.driver_generation = on->generation;
  if (is_streamed(request)) return start_receive(request, *on);
  if (is_called_when_ready(request.op)) return start_when_ready(request, *on);
  ++on->pending;
  queue(request);
  if (is_worked_on(request)) hand_over();
  return false;
}

// A receive of a socket, for which the kernel has a buffer when it comes to that. Others that wait
// for readiness are tried at once, but for receives of datagrams where that is in vain; one that
// would block waits with a poll and is tried again.
// What is still on its way of a handle that was closed is none, whatever has its number now.
bool uring_driver::is_streamed(const io_request& request) const noexcept {
  const descriptor& on = descriptors_[static_cast<std::size_t>(request.handle)];
  return is_receive(request.op) && !on.is_piped && request.driver_generation == on.generation;
}

bool uring_driver::start_when_ready(io_request& request, descriptor& on) noexcept {
  io_request*& waiting = is_send(request.op) ? on.sender : on.receiver;
  WEIR_ASSERT(!waiting && "a socket has one receive and one send at a time");
  if (on.is_piped) request.flags = 0;  // it shares nothing
  request.outcome = try_now(request, on);
  if (request.outcome != -EAGAIN && request.outcome != no_room) return true;
  waiting = &request;
  ++on.pending;
  if (request.outcome == no_room) {
    request.driver_data = is_starved;
    starved_.push_back(request);
  } else {
    queue(request);
  }
  return false;
}

// Where datagrams come one by one, each as an answer, the look before the wait finds nothing, again
// and again: after such a look 1 and then 3 receives wait without one. What is there is told by the
// poll as well, but a turn later: of many that come at once three at most are taken so.
std::int64_t uring_driver::try_now(io_request& request, descriptor& on) noexcept {
  if (shared_sends::asks(request)) return -EAGAIN;
  if (request.op != io_op::receive_datagrams) return call_now(request, on.is_piped);
  if (on.looks_spared != 0) {
    --on.looks_spared;
    return -EAGAIN;
  }
  const std::int64_t outcome = call_now(request, false);
  constexpr int spared_max = 3;
  const int more = outcome == -EAGAIN ? 2 * on.looks_to_spare + 1 : 0;
  on.looks_spared = on.looks_to_spare = static_cast<std::uint8_t>(std::min(more, spared_max));
  return outcome;
}

bool uring_driver::start_receive(io_request& request, descriptor& on) noexcept {
  WEIR_ASSERT(!on.receiver && "a socket has one receive and one send at a time");
  if (on.first) {
    request.outcome = take_kept(request, on);
    return true;
  }
  if (on.ending != not_ended) {
    request.outcome = on.ending;
    return true;
  }
  on.receiver = &request;
  if (!on.is_armed) queue(request);
  return false;
}

// The kernel no longer holds the request.
void uring_driver::forget(io_request& request) noexcept {
  descriptor& on = descriptors_[static_cast<std::size_t>(request.handle)];
  --on.pending;
  if (on.sender == &request) on.sender = nullptr;
  if (on.receiver == &request) on.receiver = nullptr;
}

// The disk is slow: what it is asked for begins at once, and the rest of the turn runs beside it. A
// worker on our own core would wake now and run when we wait, so we step aside until it waits.
void uring_driver::hand_over() noexcept {
  io_uring_submit(&ring_);
  if (is_on_one_core_) ::sched_yield();
}

io_uring_sqe* uring_driver::next_entry() noexcept {
  if (io_uring_sqe* entry = io_uring_get_sqe(&ring_)) return entry;
  io_uring_submit(&ring_);  // the queue is full: a system call more than once a turn
  return io_uring_get_sqe(&ring_);
}

void uring_driver::queue(io_request& request) noexcept {
  if (io_uring_sqe* entry = unsubmitted_.is_empty() ? next_entry() : nullptr) {
    request.driver_data = nullptr;
    prepare(request, *entry);
  } else {
    request.driver_data = is_unsubmitted;
    unsubmitted_.push_back(request);
  }
}

void uring_driver::prepare_stream(io_handle handle, io_uring_sqe& entry) noexcept {
  descriptor& on = descriptors_[static_cast<std::size_t>(handle)];
  if (is_sparing_) {
    io_uring_prep_recv(&entry, handle, nullptr, 0, 0);
  } else {
    io_uring_prep_recv_multishot(&entry, handle, nullptr, 0, 0);
  }
  entry.flags |= IOSQE_BUFFER_SELECT;
  entry.buf_group = buffer_group;
  io_uring_sqe_set_data64(&entry, stream_of(handle, on.generation));
  on.is_armed = true;
  ++on.pending;
}

void uring_driver::prepare(io_request& request, io_uring_sqe& entry) noexcept {
  const int handle = request.handle;
  if (is_streamed(request)) return prepare_stream(handle, entry);
  if (shared_sends::asks(request) && shared_.prepare(request, entry)) return;
  prepare_call(request, entry);
  io_uring_sqe_set_data(&entry, &request);
}

void uring_driver::prepare_call(io_request& request, io_uring_sqe& entry) noexcept {
  const int handle = request.handle;
  switch (request.op) {
    case io_op::accept: {
      auto* from = request.address;
      if (from) from->size = sizeof from->storage;
      io_uring_prep_accept(&entry, handle,
                           from ? reinterpret_cast<struct sockaddr*>(from->storage) : nullptr,
                           from ? &from->size : nullptr, SOCK_CLOEXEC);
      return;
    }
    case io_op::connect:
      io_uring_prep_connect(&entry, handle,
                            reinterpret_cast<struct sockaddr*>(request.address->storage),
                            request.address->size);
      return;
    case io_op::send:
    case io_op::send_datagrams:
      io_uring_prep_poll_add(&entry, handle, POLLOUT);
      return;
    case io_op::receive:
    case io_op::receive_into:
    case io_op::receive_datagrams:
      io_uring_prep_poll_add(&entry, handle, POLLIN);
      return;
    case io_op::poll:
      io_uring_prep_poll_add(&entry, handle, request.flags);
      return;
    case io_op::read_at:
      io_uring_prep_read(&entry, handle, request.memory,
                         static_cast<unsigned>(std::min(request.size, transfer_bytes_max)),
                         request.offset);
      return;
    case io_op::write_at:
      io_uring_prep_writev(
          &entry, handle, reinterpret_cast<const struct iovec*>(request.slices),
          static_cast<unsigned>(std::min<std::size_t>(request.slice_count, IOV_MAX)),
          request.offset);
      if (request.flags == 1) entry.rw_flags = RWF_DSYNC;
      return;
    default:
      io_uring_prep_fsync(&entry, handle, request.flags == 1 ? IORING_FSYNC_DATASYNC : 0);
  }
}

void uring_driver::stop(io_request& request) noexcept {
  if (request.driver_data == is_cancelling) return;
  const bool is_held_here =
      request.driver_data == is_unsubmitted || request.driver_data == is_starved;
  if (is_held_here) (request.driver_data == is_starved ? starved_ : unsubmitted_).remove(request);
  if (is_streamed(request)) {  // (1): its stream goes on and keeps what arrives
    descriptors_[static_cast<std::size_t>(request.handle)].receiver = nullptr;
    return finish(request, -ECANCELED);
  }
  if (is_held_here) {
    forget(request);
    return finish(request, -ECANCELED);
  }
  request.driver_data = is_cancelling;
  cancelling_.push_back(request);
  ask_to_cancel(request);
}

void uring_driver::ask_to_cancel(io_request& request) noexcept {
  io_uring_sqe* entry = next_entry();
  if (!entry) {
    cancels_again_ = true;
    return;
  }
  io_uring_prep_cancel64(entry, shared_sends::name_of(request), 0);
  io_uring_sqe_set_data64(entry, about_cancel | reinterpret_cast<std::uintptr_t>(&request));
}

// The kernel does not find a request that it is about to begin, or to hand to a worker. Those that
// have been complete all along are no longer on the list.
void uring_driver::cancel_again() noexcept {
  cancels_again_ = false;
  for (io_request* request = cancelling_.first(); request && !cancels_again_;
       request = request->next)
    ask_to_cancel(*request);
}

void uring_driver::stop_stream(io_handle handle, descriptor& on) noexcept {
  io_uring_sqe* entry = next_entry();
  if (!entry) return;  // the next piece tries again
  on.is_stopping = true;
  io_uring_prep_cancel64(entry, stream_of(handle, on.generation), 0);
  io_uring_sqe_set_data64(entry, about_cancel);
}

// Any of the streams could bring a burst, also one whose receiver waits: that one is armed anew.
void uring_driver::be_sparing() noexcept {
  is_sparing_ = true;
  for (std::size_t i = 0; i < descriptors_.size(); ++i) {
    descriptor& on = descriptors_[i];
    if (on.is_armed && !on.is_stopping) stop_stream(static_cast<io_handle>(i), on);
  }
}

void uring_driver::adopt(io_handle handle) noexcept {
  const auto index = static_cast<std::size_t>(handle);
  if (index >= descriptors_.size()) return;
  descriptor& on = descriptors_[index];
  while (on.first) drop_first(on);
  // What the kernel held on a closed socket of this number may still be on its way back.
  descriptors_[index] = {.pending = on.pending, .generation = on.generation + 1};
}

int uring_driver::adopt_piped(io_handle handle) noexcept {
  descriptor* on = at(handle);
  if (!on) return -ENOMEM;
  adopt(handle);
  on->is_piped = true;
  return 0;
}

void uring_driver::abandon(io_handle handle) noexcept {
  const auto index = static_cast<std::size_t>(handle);
  if (handle < 0 || index >= descriptors_.size()) return;
  descriptor& on = descriptors_[index];
  if (on.receiver && is_streamed(*on.receiver)) stop(*on.receiver);
  for (io_request* request = unsubmitted_.first(); request;) {
    io_request* following = request->next;
    if (request->handle == handle) stop(*request);
    request = following;
  }
  for (io_request* waiting : {on.receiver, on.sender}) {
    if (waiting && waiting->driver_data == is_starved) stop(*waiting);
  }
  const bool is_kernel_involved = on.pending != 0;
  adopt(handle);  // (3), (4): nothing of what was open counts any more
  if (!is_kernel_involved) return;
  if (io_uring_sqe* entry = next_entry()) {
    io_uring_prep_cancel_fd(entry, handle, IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_data64(entry, about_cancel);
  }
  while (io_uring_sq_ready(&ring_) != 0 && io_uring_submit(&ring_) > 0) {
  }  // (2)
}

void uring_driver::watch_wake_fd() noexcept {
  io_uring_sqe* entry = next_entry();
  WEIR_ASSERT(entry);
  io_uring_prep_poll_multishot(entry, wake_fd(), POLLIN);
  io_uring_sqe_set_data64(entry, about_wake);
}

void uring_driver::submit_queued() noexcept {
  while (io_request* request = unsubmitted_.first()) {
    io_uring_sqe* entry = next_entry();
    if (!entry) return;
    unsubmitted_.remove(*request);
    request->driver_data = nullptr;
    prepare(*request, *entry);
  }
}

// False: nothing happened, and perhaps there is time left.
bool uring_driver::enter(std::int64_t patience_ns) noexcept {
  if (patience_ns == 0) {
    // Without anything to hand over or to fetch there is no need for a system call.
    const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
    if (io_uring_sq_ready(&ring_) != 0 || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)))
      io_uring_submit_and_get_events(&ring_);
    return true;
  }
  if (patience_ns < 0 && !is_thread_sanitized()) {
    io_uring_submit_and_wait(&ring_, 1);
    return true;
  }
  if (is_thread_sanitized() && (patience_ns < 0 || patience_ns > handlers_wait_max_ns))
    patience_ns = handlers_wait_max_ns;
  io_uring_cqe* first = nullptr;
  struct __kernel_timespec timeout = {.tv_sec = patience_ns / 1'000'000'000,
                                      .tv_nsec = patience_ns % 1'000'000'000};
  const int outcome = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  const bool is_early = outcome >= 0 || outcome == -EINTR || outcome == -ETIME;
  return io_uring_cq_ready(&ring_) != 0 || !is_early;
}

void uring_driver::wait(time_point until) noexcept {
  if (!unsubmitted_.is_empty()) submit_queued();
  if (cancels_again_) cancel_again();
  if (!starved_.is_empty() || missing_ != 0) feed_starved();
  // A signal, or a ring of this thread that is torn down, ends the system call, not a timed wait.
  std::int64_t left_ns = io_uring_cq_ready(&ring_) != 0 ? 0 : patience_or_less(until);
  while (!enter(left_ns) && left_ns > 0) {
    if (!starved_.is_empty()) feed_starved();
    left_ns = patience_or_less(until);
  }
  io_uring_cqe* batch[64];
  // Bounded by what was complete when we looked: what completes meanwhile waits for the next turn.
  for (unsigned left = io_uring_cq_ready(&ring_); left != 0;) {
    const unsigned count = io_uring_peek_batch_cqe(&ring_, batch, std::min<unsigned>(left, 64));
    for (unsigned i = 0; i < count; ++i) heard(*batch[i]);
    io_uring_cq_advance(&ring_, count);
    left -= count;
  }
  deliver();
}

void uring_driver::heard(const io_uring_cqe& completion) noexcept {
  if ((completion.user_data & shared_sends::about_mask) == about_cancel) {
    if (completion.res == -ENOENT && completion.user_data != about_cancel) cancels_again_ = true;
    return;
  }
  if (completion.user_data == about_wake) {
    clear_wake();
    if ((completion.flags & IORING_CQE_F_MORE) == 0) watch_wake_fd();
    return;
  }
  if ((completion.user_data & shared_sends::about_mask) == about_stream)
    return heard_stream(completion);
  auto* request = (completion.user_data & shared_sends::about_mask) == shared_sends::about
                      ? shared_.heard(completion)
                      : static_cast<io_request*>(io_uring_cqe_get_data(&completion));
  if (request) heard_request(*request, completion.res);
}

void uring_driver::heard_request(io_request& request, std::int64_t outcome) noexcept {
  const bool is_cancelling_now = request.driver_data == is_cancelling;
  if (is_cancelling_now) cancelling_.remove(request);
  const bool is_closed = request.driver_generation !=
                         descriptors_[static_cast<std::size_t>(request.handle)].generation;
  const bool is_over = is_cancelling_now || is_closed;  // (4)
  if (shared_sends::asks(request)) {
    outcome = shared_sends::judge(request, outcome);  // of a closed socket as well: it may be done
  } else if (is_called_when_ready(request.op) && outcome >= 0)
    outcome = is_closed ? -ECANCELED : call_now(request, is_piped(request));
  if (request.op == io_op::receive_datagrams && outcome > 1) {  // they come in batches
    descriptor& on = descriptors_[static_cast<std::size_t>(request.handle)];
    on.looks_spared = on.looks_to_spare = 0;
  }
  if (outcome == no_room && is_over) outcome = -ECANCELED;
  if (outcome == no_room) {
    request.driver_data = is_starved;
    return starved_.push_back(request);
  }
  // Not an answer: a signal came, what was ready no longer is, or a peer went before we came.
  const bool is_none = outcome == -EINTR || outcome == -EAGAIN ||
                       (request.op == io_op::accept && outcome == -ECONNABORTED);
  if (is_none && !is_over) return queue(request);
  if (is_none) outcome = -ECANCELED;
  if (request.op == io_op::accept && outcome >= 0) adopt(static_cast<io_handle>(outcome));
  forget(request);
  // Nobody has asked for that: it found no thread to do it, as under many signals.
  if (outcome == -ECANCELED && is_of_file(request.op) && !is_over) return leave_to_pool(request);
  finish(request, outcome);
}

void uring_driver::heard_stream(const io_uring_cqe& completion) noexcept {
  const auto handle = static_cast<io_handle>((completion.user_data & 0xffff'ffff) >> about_bits);
  descriptor& on = descriptors_[static_cast<std::size_t>(handle)];
  const bool has_ended = (completion.flags & IORING_CQE_F_MORE) == 0;
  if (has_ended) --on.pending;
  bytes view = take_buffer(completion);
  if (on.generation != completion.user_data >> 32) return;  // (3)
  if (has_ended) on.is_armed = on.is_stopping = false;
  if (completion.res > 0) {
    keep(on, std::move(view));
  } else if (completion.res == 0 || (completion.res != -ENOBUFS && completion.res != -ECANCELED &&
                                     completion.res != -EINTR && completion.res != -EAGAIN)) {
    on.ending = completion.res;
  }
  io_request* receiver = on.receiver;
  if (!receiver) {
    const bool has_enough = on.kept >= kept_pieces_max || on.ending != not_ended;
    if (has_enough && on.is_armed && !on.is_stopping) stop_stream(handle, on);
    if (kept_bytes_ > kept_bytes_max_ && !is_sparing_) be_sparing();
  } else if (on.first || on.ending != not_ended) {
    on.receiver = nullptr;
    finish(*receiver, on.first ? take_kept(*receiver, on) : on.ending);
  } else if (!on.is_armed && missing_ != buffers_count) {
    queue(*receiver);
  } else if (!on.is_armed) {
    receiver->driver_data = is_starved;
    starved_.push_back(*receiver);
  }
}

void uring_driver::feed_starved() noexcept {
  arena_.room();  // before the ring takes all
  for (unsigned id = 0; id < buffers_count && missing_ != 0; ++id) {
    if (lent_[id]) continue;
    lent_[id] = arena_.lend();
    if (!lent_[id]) break;
    lend_buffer(id);
    --missing_;
  }
  for (io_request* request = starved_.first(); request;) {
    io_request* following = request->next;
    if (is_streamed(*request) ? missing_ != buffers_count : arena_.room().size != 0) {
      starved_.remove(*request);
      queue(*request);
    }
    request = following;
  }
}

std::int64_t uring_driver::patience_or_less(time_point until) noexcept {
  const std::int64_t left_ns = patience(until);
  if (starved_.is_empty() || !arena_.has_room()) return left_ns;
  return left_ns < 0 ? look_again_pause_ns : std::min(left_ns, look_again_pause_ns);
}

std::unique_ptr<driver> make_uring_driver(const driver_options& options) {
  return std::make_unique<uring_driver>(options);
}

}  // namespace weir::detail

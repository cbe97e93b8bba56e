// The driver over io_uring. The hard idea: one system call per turn submits all that was asked, but
// for syncs, which begin at once, and takes all that is complete. Each socket that is received from
// has one receive in the kernel that completes again and again (multishot) and names no memory: the
// kernel picks a buffer of a small ring when data arrives, so ten thousand idle connections pin
// nothing. What arrives while nobody receives is kept, up to a bound at which the kernel is told to
// stop; then TCP's own flow control does the rest. Of a burst the kernel has taken much more before
// we hear of any, so there is a second bound, for all sockets: over it each receive is a single
// one. Sends are tried directly first, for they nearly always fit; one that doesn't waits for room
// with a poll. What the kernel may read by itself goes through the ring: shared_sends.hpp.
//
// Rejected: multishot accept takes connections that nobody has asked for, so a cancelled accept
// could not leave them to another process. Rejected: single receives, each armed anew (10 % more
// processor time per small message). What the kernel can do on a thread only, and can't make one,
// it gives back as cancelled though nobody has asked for that: our own threads do it then.
//
// Invariants: (1) the kernel holds a request from its submission to its completion: a cancelled one
//                 is not finished before its completion has been seen. Receives are held by us;
//             (2) what is queued for submission is handed to the kernel before a descriptor that it
//                 names is closed, for numbers are looked up at that moment;
//             (3) a completion of a stream counts only if its generation is the descriptor's;
//             (4) a request of another generation than its descriptor's is not tried again: that
//                 was closed, and the number may be another's by now.
#pragma once

#include <weir/io/kernel_driver.hpp>
#include <weir/io/shared_sends.hpp>

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace weir::detail {

/// Requests handed to the kernel as they are.
///
/// Cancel:  by a request of its own to the kernel, again while that doesn't find the first one,
///          whose completion decides.
/// Order:   as the kernel completes.
/// Bound:   ring_entries submissions per system call; buffers_count buffers wait for data. Kept for
///          those who don't receive: kept_pieces_max pieces of a socket and what one wait brings
///          besides, at most buffers_count; of all sockets 1/kept_share of receive_blocks_max, what
///          one wait brings, and one piece for each receive that was cancelled.
/// Errors:  the constructor raises `unsupported` when the kernel refuses a ring.
/// Threads: as driver says; made on the loop's thread, which alone may submit.
class uring_driver final : public kernel_driver {
 public:
  static constexpr unsigned buffers_count = 128;  // a power of two
  static constexpr int buffer_group = 0;
  static constexpr unsigned kept_pieces_max = 4;  // of a socket; then its receive is stopped
  static constexpr unsigned kept_share = 32;      // of all sockets; then all receives are stopped

  explicit uring_driver(const driver_options& options);
  ~uring_driver() override;

  const char* name() const noexcept override { return "io_uring"; }
  void wait(time_point until) noexcept override;
  bool has_send(io_handle handle) const noexcept override {
    const auto index = static_cast<std::size_t>(handle);
    return handle >= 0 && index < descriptors_.size() && descriptors_[index].sender;
  }

 protected:
  bool start(io_request& request) noexcept override;
  void stop(io_request& request) noexcept override;
  void adopt(io_handle handle) noexcept override;
  int adopt_piped(io_handle handle) noexcept override;
  void abandon(io_handle handle) noexcept override;
  bool goes_to_derived(io_op op) const noexcept override;

 private:
  struct piece {
    bytes view;
    std::size_t pinned = 0;  // bytes
    piece* next = nullptr;
  };
  struct descriptor {
    std::uint32_t pending = 0;        // what the kernel holds on this number, of former sockets too
    std::uint32_t generation = 0;     // (3), (4)
    std::int32_t ending = not_ended;  // 0 after the end of the stream, -errno after a failure
    std::uint16_t kept = 0;           // pieces that arrived while nobody received
    bool is_armed = false;            // the kernel receives
    bool is_stopping = false;         // and was told to end that
    bool is_piped = false;            // no socket: it is read and written
    std::uint8_t looks_spared = 0;    // receives of datagrams that still wait without a look
    std::uint8_t looks_to_spare = 0;  // so many after the last look, which found nothing
    piece* first = nullptr;
    piece* last = nullptr;
    io_request* receiver = nullptr;
    io_request* sender = nullptr;
  };
  static constexpr std::int32_t not_ended = 1;

  /// The ring itself; a type of its own so that it goes even when the constructor fails later.
  struct ring_owner {
    struct io_uring ring = {};
    bool is_open = false;
    ~ring_owner();
  };

  void open_ring(unsigned entries);
  void add_buffers();
  void lend_buffer(unsigned id) noexcept;
  descriptor* at(io_handle handle) noexcept;
  void hand_over() noexcept;
  io_uring_sqe* next_entry() noexcept;
  /// Queues the request for submission; without room for it, it waits in unsubmitted_.
  void queue(io_request& request) noexcept;
  void prepare(io_request& request, io_uring_sqe& entry) noexcept;
  void prepare_call(io_request& request, io_uring_sqe& entry) noexcept;
  void prepare_stream(io_handle handle, io_uring_sqe& entry) noexcept;
  bool is_piped(const io_request& request) const noexcept {
    return descriptors_[static_cast<std::size_t>(request.handle)].is_piped;
  }
  bool is_streamed(const io_request& request) const noexcept;
  bool start_when_ready(io_request& request, descriptor& on) noexcept;
  std::int64_t try_now(io_request& request, descriptor& on) noexcept;
  bool start_receive(io_request& request, descriptor& on) noexcept;
  void watch_wake_fd() noexcept;
  void submit_queued() noexcept;
  bool enter(std::int64_t patience_ns) noexcept;
  void heard(const io_uring_cqe& completion) noexcept;
  void heard_request(io_request& request, std::int64_t outcome) noexcept;
  void heard_stream(const io_uring_cqe& completion) noexcept;
  bytes take_buffer(const io_uring_cqe& completion) noexcept;
  void keep(descriptor& on, bytes view) noexcept;
  std::int64_t take_kept(io_request& request, descriptor& on) noexcept;
  void drop_first(descriptor& on) noexcept;
  void ask_to_cancel(io_request& request) noexcept;
  void cancel_again() noexcept;
  void stop_stream(io_handle handle, descriptor& on) noexcept;
  void be_sparing() noexcept;
  void feed_starved() noexcept;
  /// patience(), but short while there is no memory: no completion tells of more.
  std::int64_t patience_or_less(time_point until) noexcept;
  void forget(io_request& request) noexcept;

  bool is_on_one_core_ = false;  // and the kernel's workers with us
  ring_owner owner_;
  struct io_uring& ring_ = owner_.ring;
  io_uring_buf_ring* buffers_ = nullptr;
  receive_arena::loan lent_[buffers_count];
  unsigned missing_ = 0;  // buffers that could not be replaced yet
  std::vector<descriptor> descriptors_;
  request_list unsubmitted_;
  request_list starved_;        // receives that found no buffer
  request_list cancelling_;     // the kernel holds them and was told to end them
  bool cancels_again_ = false;  // it could not be told, or did not find one
  piece* free_pieces_ = nullptr;
  const std::size_t kept_bytes_max_;
  std::size_t kept_bytes_ = 0;  // what is pinned by pieces
  bool is_sparing_ = false;     // more than that was: receives are single until half of it is gone
  shared_sends shared_;
};

[[nodiscard]] std::unique_ptr<driver> make_uring_driver(const driver_options& options);

}  // namespace weir::detail

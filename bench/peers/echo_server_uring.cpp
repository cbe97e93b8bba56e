// The limit over io_uring: multishot accept, one receive into a ring of provided buffers and one
// send in flight for each connection, and one system call a turn. Multishot receives and sends
// outside the ring were measured too: no difference above the noise.
#include "listen.hpp"
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr unsigned buffers = 1024;  // a power of two
constexpr unsigned buffer_bytes = 16 * 1024;

struct connection {
  int handle;
  std::uint16_t buffer;
  unsigned size;
  unsigned sent;
};

// What a completion is for: in the low bits of its user data.
enum class kind : std::uint64_t { accept, receive, send };

io_uring ring;
io_uring_buf_ring* provided;
char* memory;

io_uring_sqe* next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring);
  while (!entry) {
    io_uring_submit(&ring);
    entry = io_uring_get_sqe(&ring);
  }
  return entry;
}

void mark(io_uring_sqe* entry, connection* one, kind what) {
  io_uring_sqe_set_data64(entry, reinterpret_cast<std::uint64_t>(one) | std::uint64_t(what));
}

void give_back(std::uint16_t buffer) {
  io_uring_buf_ring_add(provided, memory + std::size_t{buffer} * buffer_bytes, buffer_bytes, buffer,
                        io_uring_buf_ring_mask(buffers), 0);
  io_uring_buf_ring_advance(provided, 1);
}

void receive(connection* one) {
  io_uring_sqe* entry = next_entry();
  io_uring_prep_recv(entry, one->handle, nullptr, buffer_bytes, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
  entry->buf_group = 0;
  mark(entry, one, kind::receive);
}

void send_rest(connection* one) {
  io_uring_sqe* entry = next_entry();
  io_uring_prep_send(entry, one->handle,
                     memory + std::size_t{one->buffer} * buffer_bytes + one->sent,
                     one->size - one->sent, MSG_NOSIGNAL);
  mark(entry, one, kind::send);
}

void drop(connection* one) {
  close(one->handle);
  delete one;
}

void accepted(int handle) {
  if (handle < 0) return;
  bench::set_no_delay(handle);
  receive(new connection{handle, 0, 0, 0});
}

void received(connection* one, const io_uring_cqe& done) {
  if (done.res == -ENOBUFS) return receive(one);  // every buffer is being sent: those come back
  if (done.res <= 0) {
    if (done.flags & IORING_CQE_F_BUFFER)
      give_back(static_cast<std::uint16_t>(done.flags >> IORING_CQE_BUFFER_SHIFT));
    return drop(one);
  }
  one->buffer = static_cast<std::uint16_t>(done.flags >> IORING_CQE_BUFFER_SHIFT);
  one->size = static_cast<unsigned>(done.res);
  one->sent = 0;
  send_rest(one);
}

void sent(connection* one, int count) {
  if (count > 0) one->sent += static_cast<unsigned>(count);
  if (count > 0 && one->sent < one->size) return send_rest(one);
  give_back(one->buffer);
  if (count <= 0) return drop(one);
  receive(one);
}

void make_ring() {
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                     IORING_SETUP_SUBMIT_ALL;
  parameters.cq_entries = 32 * 1024;
  if (io_uring_queue_init_params(1024, &ring, &parameters) != 0) std::exit(1);
  void* block = mmap(nullptr, buffers * sizeof(io_uring_buf), PROT_READ | PROT_WRITE,
                     MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  provided = static_cast<io_uring_buf_ring*>(block);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(block);
  registration.ring_entries = buffers;
  if (io_uring_register_buf_ring(&ring, &registration, 0) != 0) std::exit(1);
  io_uring_buf_ring_init(provided);
  // Aligned: with buffers that begin 16 bytes behind a page, as malloc has them, a request of 16
  // KiB costs half as much again.
  memory = static_cast<char*>(std::aligned_alloc(4096, std::size_t{buffers} * buffer_bytes));
  for (unsigned i = 0; i < buffers; ++i) give_back(static_cast<std::uint16_t>(i));
}

}  // namespace

int main() {
  make_ring();
  const int listener = bench::listen_anywhere(0);
  io_uring_sqe* entry = next_entry();
  io_uring_prep_multishot_accept(entry, listener, nullptr, nullptr, 0);
  mark(entry, nullptr, kind::accept);
  for (;;) {
    io_uring_submit_and_wait(&ring, 1);
    io_uring_cqe* done = nullptr;
    unsigned head = 0;
    unsigned count = 0;
    io_uring_for_each_cqe(&ring, head, done) {
      ++count;
      auto* one = reinterpret_cast<connection*>(done->user_data & ~std::uint64_t{3});
      switch (kind(done->user_data & 3)) {
        case kind::accept:
          accepted(done->res);
          break;
        case kind::receive:
          received(one, *done);
          break;
        case kind::send:
          sent(one, done->res);
          break;
      }
    }
    io_uring_cq_advance(&ring, count);
  }
}

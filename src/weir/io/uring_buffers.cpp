// The buffers that the kernel fills, and the pieces that came before somebody received.
#include <weir/base/error.hpp>
#include <weir/io/uring_driver.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace weir::detail {

namespace {

constexpr std::size_t copied_bytes_max = 4 * 1024;  // smaller pieces are copied together

}  // namespace

void uring_driver::add_buffers() {
  void* memory = nullptr;
  if (::posix_memalign(&memory, 4096, buffers_count * sizeof(struct io_uring_buf)) != 0)
    throw std::bad_alloc();
  buffers_ = static_cast<io_uring_buf_ring*>(memory);
  std::memset(memory, 0, buffers_count * sizeof(struct io_uring_buf));
  struct io_uring_buf_reg registration = {};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
  registration.ring_entries = buffers_count;
  registration.bgid = buffer_group;
  if (const int outcome = io_uring_register_buf_ring(&ring_, &registration, 0); outcome < 0) {
    std::free(std::exchange(buffers_, nullptr));
    raise(error(errc::unsupported, "the kernel's io_uring has no buffer rings (it is before 5.19)")
              .caused_by(error::from_os(-outcome, "io_uring_register")));
  }
  io_uring_buf_ring_init(buffers_);
  arena_.room();  // one block is for what we read ourselves: pipes and datagrams
  for (unsigned id = 0; id < buffers_count; ++id) {
    if (!lent_[id]) lent_[id] = arena_.lend();
    if (lent_[id]) {
      lend_buffer(id);
    } else {
      ++missing_;
    }
  }
}

void uring_driver::lend_buffer(unsigned id) noexcept {
  io_uring_buf_ring_add(buffers_, lent_[id].data, receive_arena::block_bytes,
                        static_cast<unsigned short>(id), io_uring_buf_ring_mask(buffers_count), 0);
  io_uring_buf_ring_advance(buffers_, 1);
}

// The bytes of a completion; the kernel's buffer goes back, or another in its place.
bytes uring_driver::take_buffer(const io_uring_cqe& completion) noexcept {
  if ((completion.flags & IORING_CQE_F_BUFFER) == 0) return {};
  const unsigned id = completion.flags >> IORING_CQE_BUFFER_SHIFT;
  const auto size = static_cast<std::size_t>(std::max(completion.res, 0));
  bytes view;
  if (size != 0 && size <= copied_bytes_max) {
    if (const receive_arena::space room = arena_.room(); room.size >= size) {
      std::memcpy(room.data, lent_[id].data, size);
      view = arena_.take(size);
    }
  }
  if (!view && size != 0) {
    view = receive_arena::take_lent(lent_[id], size);
    lent_[id] = arena_.lend();
    if (!lent_[id]) {
      ++missing_;
      return view;
    }
  }
  lend_buffer(id);
  return view;
}

void uring_driver::keep(descriptor& on, bytes view) noexcept {
  if (on.ending != not_ended) return;  // behind a hole
  piece* one = free_pieces_;
  if (one) {
    free_pieces_ = one->next;
  } else if (one = new (std::nothrow) piece; !one) {
    on.ending = -ENOMEM;  // a hole in the stream must not go unnoticed
    return;
  }
  // A piece that was copied lies beside others, one that was not has its block to itself.
  one->pinned = view.size() <= copied_bytes_max ? view.size() : receive_arena::block_bytes;
  one->view = std::move(view);
  one->next = nullptr;
  kept_bytes_ += one->pinned;
  (on.last ? on.last->next : on.first) = one;
  on.last = one;
  ++on.kept;
}

void uring_driver::drop_first(descriptor& on) noexcept {
  piece* one = on.first;
  on.first = one->next;
  if (!on.first) on.last = nullptr;
  --on.kept;
  kept_bytes_ -= one->pinned;
  if (kept_bytes_ <= kept_bytes_max_ / 2) is_sparing_ = false;
  one->view = {};
  one->next = free_pieces_;
  free_pieces_ = one;
}

std::int64_t uring_driver::take_kept(io_request& request, descriptor& on) noexcept {
  bytes& view = on.first->view;
  std::size_t size = view.size();
  if (request.op == io_op::receive) {
    request.received = std::move(view);
    drop_first(on);
  } else {
    size = std::min(size, request.size);
    std::memcpy(request.memory, view.data(), size);
    view = view.slice(size);
    if (!view) drop_first(on);
  }
  return static_cast<std::int64_t>(size);
}

}  // namespace weir::detail

#include <weir/io/shared_sends.hpp>

#include <weir/base/assert.hpp>

#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace weir::detail {

namespace {

std::int64_t now_ns() noexcept {
  struct timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

std::int64_t shared_sends::judge(io_request& request, std::int64_t outcome) noexcept {
  const bool is_refused =
      outcome == -EOPNOTSUPP || outcome == -EINVAL || outcome == -ENOMEM || outcome == -ENOBUFS;
  if (!is_refused) return outcome;
  request.flags = 0;
  return -EAGAIN;
}

bool shared_sends::prepare(io_request& request, io_uring_sqe& entry) noexcept {
  auto* made = new (std::nothrow) held{*static_cast<const bytes*>(request.memory), &request};
  if (!made) {
    request.flags = 0;
    return false;
  }
  ++count_;
  constexpr std::size_t once_max = std::size_t{1} << 30;
  io_uring_prep_send_zc(&entry, request.handle, request.slices->data,
                        std::min(request.slices->size, once_max), MSG_NOSIGNAL, 0);
  request.offset = reinterpret_cast<std::uintptr_t>(made) | about;
  io_uring_sqe_set_data64(&entry, request.offset);
  return true;
}

io_request* shared_sends::heard(const io_uring_cqe& answer) noexcept {
  auto* one = reinterpret_cast<held*>(answer.user_data & ~about);
  const bool is_first = (answer.flags & IORING_CQE_F_NOTIF) == 0;
  io_request* complete = is_first ? std::exchange(one->request, nullptr) : nullptr;
  WEIR_ASSERT(!one->request);
  if ((answer.flags & IORING_CQE_F_MORE) == 0) {  // (1)
    --count_;
    delete one;
  }
  return complete;
}

void shared_sends::wait_for_all(struct io_uring& ring) noexcept {
  const std::int64_t until_ns = now_ns() + last_wait.ns;
  while (count_ != 0) {
    const std::int64_t left_ns = until_ns - now_ns();
    if (left_ns <= 0) return;
    struct __kernel_timespec patience = {.tv_sec = left_ns / 1'000'000'000,
                                         .tv_nsec = left_ns % 1'000'000'000};
    io_uring_cqe* one = nullptr;
    const int outcome = io_uring_submit_and_wait_timeout(&ring, &one, 1, &patience, nullptr);
    if (outcome == -EINTR) continue;
    if (outcome < 0 || !one) return;
    if ((one->user_data & about_mask) == about) heard(*one);
    io_uring_cqe_seen(&ring, one);
  }
}

}  // namespace weir::detail

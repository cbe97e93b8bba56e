#include <weir/io/socket_calls.hpp>

#include <weir/io/outcome_of.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace weir::detail {

std::int64_t send_now(const io_request& request) noexcept {
  constexpr int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
  if (request.slice_count == 1) {
    return outcome_of(
        [&] { return ::send(request.handle, request.slices->data, request.slices->size, flags); });
  }
  struct msghdr message = {};
  static_assert(sizeof(io_slice) == sizeof(struct iovec));
  message.msg_iov = reinterpret_cast<struct iovec*>(const_cast<io_slice*>(request.slices));
  message.msg_iovlen = std::min<std::size_t>(request.slice_count, IOV_MAX);
  return outcome_of([&] { return ::sendmsg(request.handle, &message, flags); });
}

std::int64_t receive_now(io_handle handle, void* into, std::size_t size) noexcept {
  return outcome_of([&] { return ::recv(handle, into, size, MSG_DONTWAIT); });
}

std::int64_t poll_now(const io_request& request) noexcept {
  struct pollfd one{
      .fd = request.handle, .events = static_cast<short>(request.flags), .revents = 0};
  const std::int64_t ready = outcome_of([&] { return ::poll(&one, 1, 0); });
  if (ready < 0) return ready;
  if ((one.revents & POLLNVAL) != 0) return -EBADF;
  return one.revents;
}

std::int64_t connect_outcome(io_handle handle) noexcept {
  int failure = 0;
  socklen_t size = sizeof failure;
  if (::getsockopt(handle, SOL_SOCKET, SO_ERROR, &failure, &size) != 0) return -errno;
  return -failure;
}

}  // namespace weir::detail

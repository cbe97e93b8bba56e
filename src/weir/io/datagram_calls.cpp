#include <weir/io/datagram_calls.hpp>

#include <weir/io/outcome_of.hpp>
#include <weir/io/receive_arena.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace weir::detail {

namespace {

// A copy as small as it can be: several share a block of the arena.
bytes kept_in(receive_arena& arena, const char* data, std::size_t size) noexcept {
  if (size == 0) return {};
  if (size <= receive_arena::block_bytes) {
    if (const receive_arena::space room = arena.room(size); room.size >= size) {
      std::memcpy(room.data, data, size);
      return arena.take(size);
    }
  }
  try {
    return bytes::copy_of({data, size});
  } catch (const std::bad_alloc&) {
    return {};
  }
}

bool is_unix(const raw_address& address) noexcept {
  return reinterpret_cast<const struct sockaddr*>(address.storage)->sa_family == AF_UNIX;
}

}  // namespace

std::int64_t datagram_memory::receive_now(io_request& request, receive_arena& arena) noexcept {
  if (!room_) room_.reset(new (std::nothrow) char[batch_max * bytes_max]);
  if (!room_) return -ENOMEM;
  auto* wanted = static_cast<io_datagram*>(request.memory);
  const std::size_t count = std::min(request.size, batch_max);
  struct mmsghdr heads[batch_max];
  struct iovec places[batch_max];
  for (std::size_t i = 0; i < count; ++i) {
    heads[i] = {};
    places[i] = {.iov_base = &room_[i * bytes_max], .iov_len = bytes_max};
    heads[i].msg_hdr.msg_iov = &places[i];
    heads[i].msg_hdr.msg_iovlen = 1;
    heads[i].msg_hdr.msg_name = wanted[i].address.storage;
    heads[i].msg_hdr.msg_namelen = sizeof wanted[i].address.storage;
  }
  // MSG_TRUNC: the length is the datagram's own, not that of what fitted.
  const std::int64_t came = outcome_of([&] {
    return ::recvmmsg(request.handle, heads, static_cast<unsigned>(count), MSG_DONTWAIT | MSG_TRUNC,
                      nullptr);
  });
  for (std::int64_t i = 0; i < came; ++i) {
    io_datagram& one = wanted[i];
    one.address.size = heads[i].msg_hdr.msg_namelen;
    one.size = heads[i].msg_len;
    one.data =
        kept_in(arena, static_cast<const char*>(places[i].iov_base), std::min(one.size, bytes_max));
  }
  return came;
}

std::int64_t send_datagrams_now(const io_request& request) noexcept {
  auto* given = static_cast<io_datagram*>(request.memory);
  constexpr std::size_t batch_max = 64;
  const std::size_t count = std::min(request.size, batch_max);
  struct mmsghdr heads[batch_max];
  struct iovec pieces[batch_max];
  for (std::size_t i = 0; i < count; ++i) {
    heads[i] = {};
    pieces[i] = {.iov_base = const_cast<void*>(given[i].piece.data),
                 .iov_len = given[i].piece.size};
    heads[i].msg_hdr.msg_iov = &pieces[i];
    heads[i].msg_hdr.msg_iovlen = 1;
    if (given[i].address.size == 0) continue;
    heads[i].msg_hdr.msg_name = given[i].address.storage;
    heads[i].msg_hdr.msg_namelen = given[i].address.size;
  }
  const std::int64_t sent = outcome_of([&] {
    return ::sendmmsg(request.handle, heads, static_cast<unsigned>(count),
                      MSG_DONTWAIT | MSG_NOSIGNAL);
  });
  // Readiness tells of the socket's own room and its connected peer's, never of another receiver's:
  // to wait for that would be a wait for nothing, or a busy one.
  if (sent == -EAGAIN && given->address.size != 0 && is_unix(given->address)) return -ENOBUFS;
  return sent;
}

}  // namespace weir::detail

// libuv's echo server: a buffer for all connections and uv_try_write, which is as fast as it gets.
#include "listen.hpp"
#include <uv.h>

#include <cstdlib>
#include <cstring>

namespace {

char buffer[64 * 1024];

struct late_write {
  uv_write_t request;
  char data[];
};

void lend(uv_handle_t*, std::size_t, uv_buf_t* out) { *out = uv_buf_init(buffer, sizeof buffer); }
void forget(uv_handle_t* peer) { delete reinterpret_cast<uv_tcp_t*>(peer); }
void close_peer(uv_stream_t* peer) {
  if (!uv_is_closing(reinterpret_cast<uv_handle_t*>(peer)))
    uv_close(reinterpret_cast<uv_handle_t*>(peer), forget);
}

void written(uv_write_t* request, int status) {
  if (status < 0) close_peer(request->handle);
  std::free(request);
}

void write_rest(uv_stream_t* peer, const char* data, std::size_t size) {
  auto* late = static_cast<late_write*>(std::malloc(sizeof(late_write) + size));
  std::memcpy(late->data, data, size);
  const uv_buf_t piece = uv_buf_init(late->data, static_cast<unsigned>(size));
  if (uv_write(&late->request, peer, &piece, 1, written) < 0) std::free(late);
}

void received(uv_stream_t* peer, ssize_t count, const uv_buf_t*) {
  if (count == 0) return;
  if (count < 0) return close_peer(peer);
  const uv_buf_t piece = uv_buf_init(buffer, static_cast<unsigned>(count));
  const int sent = uv_try_write(peer, &piece, 1);
  if (sent < 0 && sent != UV_EAGAIN) return close_peer(peer);
  const auto done = static_cast<std::size_t>(sent < 0 ? 0 : sent);
  if (done < static_cast<std::size_t>(count))
    write_rest(peer, buffer + done, static_cast<std::size_t>(count) - done);
}

void arrived(uv_stream_t* listener, int) {
  auto* peer = new uv_tcp_t;
  uv_tcp_init(listener->loop, peer);
  auto* stream = reinterpret_cast<uv_stream_t*>(peer);
  if (uv_accept(listener, stream) != 0) return close_peer(stream);
  uv_tcp_nodelay(peer, 1);
  uv_read_start(stream, lend, received);
}

}  // namespace

int main() {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  sockaddr_in where;
  uv_ip4_addr("127.0.0.1", 0, &where);
  uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&where), 0);
  if (uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, arrived) != 0) return 1;
  int size = sizeof where;
  uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&where), &size);
  bench::announce(ntohs(where.sin_port));
  return uv_run(loop, UV_RUN_DEFAULT);
}

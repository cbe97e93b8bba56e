// libuv's side of system_bench.
#include "../measure.hpp"
#include <arpa/inet.h>
#include <uv.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr char text[] = "a datagram of thirty-two bytes..";
constexpr unsigned text_size = sizeof text - 1;

struct spawning {
  uv_loop_t loop;
  std::int64_t left = 0;
  std::uint64_t ended = 0;
};

void spawn_one(spawning& all) {
  static char program[] = "/bin/true";
  char* arguments[] = {program, nullptr};
  uv_process_options_t options = {};
  options.file = program;
  options.args = arguments;
  options.exit_cb = [](uv_process_t* process, std::int64_t status, int) {
    auto& of = *static_cast<spawning*>(process->loop->data);
    if (status == 0) ++of.ended;
    uv_close(reinterpret_cast<uv_handle_t*>(process), [](uv_handle_t* handle) {
      auto& now = *static_cast<spawning*>(handle->loop->data);
      delete reinterpret_cast<uv_process_t*>(handle);
      if (--now.left > 0) spawn_one(now);
    });
  };
  if (uv_spawn(&all.loop, new uv_process_t, &options) != 0) std::abort();
}

std::uint64_t spawn(std::int64_t count) {
  spawning all;
  uv_loop_init(&all.loop);
  all.loop.data = &all;
  all.left = count;
  spawn_one(all);
  uv_run(&all.loop, UV_RUN_DEFAULT);
  uv_loop_close(&all.loop);
  return all.ended;
}

struct talk {
  uv_udp_t server;
  uv_udp_t client;
  char memory[65'536];
  std::int64_t left = 0;
  std::int64_t in_batch = 0;
  std::uint64_t received = 0;
};

void lend(uv_handle_t* handle, std::size_t, uv_buf_t* out) {
  auto& all = *static_cast<talk*>(handle->loop->data);
  *out = uv_buf_init(all.memory, sizeof all.memory);
}

void send_from(uv_udp_t* socket, const sockaddr* to) {
  uv_buf_t piece = uv_buf_init(const_cast<char*>(text), text_size);
  if (uv_udp_try_send(socket, &piece, 1, to) != static_cast<int>(text_size)) std::abort();
}

// Both sockets, the client connected to the server.
void open(talk& all, uv_loop_t& loop) {
  uv_loop_init(&loop);
  loop.data = &all;
  uv_udp_init(&loop, &all.server);
  uv_udp_init(&loop, &all.client);
  sockaddr_in where{};
  uv_ip4_addr("127.0.0.1", 0, &where);
  uv_udp_bind(&all.server, reinterpret_cast<sockaddr*>(&where), 0);
  int size = sizeof where;
  uv_udp_getsockname(&all.server, reinterpret_cast<sockaddr*>(&where), &size);
  uv_udp_connect(&all.client, reinterpret_cast<sockaddr*>(&where));
}

std::uint64_t finish(talk& all, uv_loop_t& loop) {
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return all.received;
}

void close_both(talk& all) {
  uv_close(reinterpret_cast<uv_handle_t*>(&all.server), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&all.client), nullptr);
}

std::uint64_t udp_echo(std::int64_t count) {
  static talk all;
  all = {};
  uv_loop_t loop;
  open(all, loop);
  all.left = count;
  uv_udp_recv_start(
      &all.server, lend,
      [](uv_udp_t* socket, ssize_t size, const uv_buf_t*, const sockaddr* from, unsigned) {
        if (size > 0 && from) send_from(socket, from);
      });
  uv_udp_recv_start(&all.client, lend,
                    [](uv_udp_t* socket, ssize_t size, const uv_buf_t*, const sockaddr*, unsigned) {
                      auto& of = *static_cast<talk*>(socket->loop->data);
                      if (size <= 0) return;
                      of.received += static_cast<std::uint64_t>(size);
                      if (--of.left == 0) return close_both(of);
                      send_from(&of.client, nullptr);
                    });
  send_from(&all.client, nullptr);
  return finish(all, loop);
}

std::uint64_t udp_batch(std::int64_t count) {
  static talk all;
  all = {};
  uv_loop_t loop;
  open(all, loop);
  all.left = (count + 15) / 16;
  uv_udp_recv_start(&all.server, lend,
                    [](uv_udp_t* socket, ssize_t size, const uv_buf_t*, const sockaddr*, unsigned) {
                      auto& of = *static_cast<talk*>(socket->loop->data);
                      if (size <= 0) return;
                      of.received += static_cast<std::uint64_t>(size);
                      if (++of.in_batch < 16) return;
                      of.in_batch = 0;
                      if (--of.left == 0) return close_both(of);
                      for (int i = 0; i < 16; ++i) send_from(&of.client, nullptr);
                    });
  for (int i = 0; i < 16; ++i) send_from(&all.client, nullptr);
  return finish(all, loop);
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 100 : 1;
  bench::measure("spawn", 1'000 / scale, spawn);
  bench::measure("udp_echo", 100'000 / scale, udp_echo);
  bench::measure("udp_one_way/batch=16", 160'000 / scale, udp_batch);
}

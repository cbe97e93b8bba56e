// What the kernel's other things cost: a child process from its start to its status, and datagrams
// between two sockets of one loop.
#include <weir/core.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/process.hpp>

#include "measure.hpp"

#include <array>
#include <memory>
#include <vector>

using weir::task;

namespace {

task<std::uint64_t> spawn(std::int64_t count) {
  std::uint64_t ended = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto wait = [](weir::process& child) -> task<weir::exit_status> {
      co_return co_await child.wait();
    };
    const auto status = co_await weir::with_process(weir::command("/bin/true"), wait);
    if (status.is_success()) ++ended;
  }
  co_return ended;
}

constexpr std::string_view text = "a datagram of thirty-two bytes..";

task<> echo(weir::datagram_socket* at) {
  for (;;) {
    const weir::datagram one = co_await at->receive();
    co_await at->send_to(one.address, one.text());
  }
}

task<std::uint64_t> udp_echo(std::int64_t count) {
  auto server = weir::bind_datagrams();
  auto client = weir::open_datagrams();
  co_await client.connect(server.local());
  std::uint64_t received = 0;
  co_await weir::with_scope([&](weir::scope& scope) -> task<> {
    scope.spawn(echo, &server);
    for (std::int64_t i = 0; i < count; ++i) {
      co_await client.send(text);
      received += (co_await client.receive()).text().size();
    }
    scope.cancel("measured");
  });
  co_return received;
}

// Sixteen at a time in one direction.
task<std::uint64_t> udp_batch(std::int64_t count) {
  auto server = weir::bind_datagrams();
  auto client = weir::open_datagrams();
  co_await client.connect(server.local());
  std::array<weir::datagram, 16> out;
  std::array<weir::datagram, 16> in;
  out.fill(weir::datagram_of(text));
  std::uint64_t received = 0;
  for (std::int64_t i = 0; i < count; i += 16) {
    co_await client.send_batch(out);
    for (std::size_t came = 0; came < 16;) {
      const std::size_t fresh = co_await server.receive_batch(in);
      for (std::size_t n = 0; n < fresh; ++n) received += in[n].text().size();
      came += fresh;
    }
  }
  co_return received;
}

std::uint64_t run(task<std::uint64_t> what) {
  const std::unique_ptr<weir::driver> driver = weir::make_driver({});
  return weir::run_on(*driver, std::move(what));
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 100 : 1;
  bench::measure("spawn", 1'000 / scale, [](std::int64_t n) { return run(spawn(n)); });
  bench::measure("udp_echo", 100'000 / scale, [](std::int64_t n) { return run(udp_echo(n)); });
  bench::measure("udp_one_way/batch=16", 160'000 / scale,
                 [](std::int64_t n) { return run(udp_batch(n)); });
}

// Asio's echo server with C++20 coroutines.
#include "listen.hpp"
#include <boost/asio.hpp>

#include <memory>
#include <utility>

namespace asio = boost::asio;
using asio::use_awaitable;
using asio::ip::tcp;

namespace {

constexpr std::size_t buffer_bytes = 16 * 1024;

asio::awaitable<void> echo(tcp::socket peer) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(buffer_bytes);
  try {
    for (;;) {
      const std::size_t size =
          co_await peer.async_read_some(asio::buffer(buffer.get(), buffer_bytes), use_awaitable);
      co_await asio::async_write(peer, asio::buffer(buffer.get(), size), use_awaitable);
    }
  } catch (const boost::system::system_error&) {
    co_return;  // the peer is gone
  }
}

asio::awaitable<void> serve(tcp::acceptor& listener) {
  for (;;) {
    tcp::socket peer = co_await listener.async_accept(use_awaitable);
    peer.set_option(tcp::no_delay(true));
    asio::co_spawn(listener.get_executor(), echo(std::move(peer)), asio::detached);
  }
}

}  // namespace

int main() {
  asio::io_context context(1);
  tcp::acceptor listener(context, {asio::ip::address_v4::loopback(), 0});
  listener.listen(4096);
  bench::announce(listener.local_endpoint().port());
  asio::co_spawn(context, serve(listener), asio::detached);
  context.run();
}

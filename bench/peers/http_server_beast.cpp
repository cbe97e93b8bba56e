// Boost.Beast's HTTP server with coroutines.
#include <boost/beast/http.hpp>

#include "listen.hpp"
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>

#include <chrono>
#include <utility>

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::use_awaitable;
using asio::ip::tcp;

namespace {

asio::awaitable<void> serve_peer(boost::beast::tcp_stream peer) {
  boost::beast::flat_buffer buffer;
  try {
    for (;;) {
      http::request<http::empty_body> request;
      peer.expires_after(std::chrono::seconds(75));
      co_await http::async_read(peer, buffer, request, use_awaitable);
      http::response<http::string_body> response(http::status::ok, request.version());
      response.set(http::field::date, "Tue, 01 Jan 2030 00:00:00 GMT");
      response.set(http::field::content_type, "text/plain");
      response.keep_alive(request.keep_alive());
      response.body() = "Hello, world!";
      response.prepare_payload();
      co_await http::async_write(peer, response, use_awaitable);
      if (!request.keep_alive()) co_return;
    }
  } catch (const boost::system::system_error&) {
    co_return;  // the client is gone
  }
}

asio::awaitable<void> serve(tcp::acceptor& listener) {
  for (;;) {
    tcp::socket peer = co_await listener.async_accept(use_awaitable);
    peer.set_option(tcp::no_delay(true));
    asio::co_spawn(listener.get_executor(), serve_peer(boost::beast::tcp_stream(std::move(peer))),
                   asio::detached);
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

// Asio's echo server with callbacks.
#include "listen.hpp"
#include <boost/asio.hpp>

#include <memory>
#include <utility>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

class session : public std::enable_shared_from_this<session> {
 public:
  explicit session(tcp::socket peer) : peer_(std::move(peer)) {}
  void receive() {
    peer_.async_read_some(asio::buffer(buffer_),
                          [me = shared_from_this()](auto failed, std::size_t size) {
                            if (!failed) me->send(size);
                          });
  }

 private:
  void send(std::size_t size) {
    asio::async_write(peer_, asio::buffer(buffer_, size),
                      [me = shared_from_this()](auto failed, std::size_t) {
                        if (!failed) me->receive();
                      });
  }

  tcp::socket peer_;
  char buffer_[16 * 1024];
};

void accept(tcp::acceptor& listener) {
  listener.async_accept([&listener](auto failed, tcp::socket peer) {
    if (!failed) {
      peer.set_option(tcp::no_delay(true));
      std::make_shared<session>(std::move(peer))->receive();
    }
    accept(listener);
  });
}

}  // namespace

int main() {
  asio::io_context context(1);
  tcp::acceptor listener(context, {asio::ip::address_v4::loopback(), 0});
  listener.listen(4096);
  bench::announce(listener.local_endpoint().port());
  accept(listener);
  context.run();
}

// Waiting for what other libraries made, one function for each bridge; docs/guide/bridges.md shows
// them. It runs to its end by itself.
#include <weir/bridge/asio_token.hpp>
#include <weir/bridge/guest_loop.hpp>
#include <weir/bridge/sender.hpp>
#include <weir/bridge/std_future.hpp>
#include <weir/bridge/stop_token.hpp>
#include <weir/io.hpp>
#include <weir/io/readiness.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <future>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

using namespace weir::literals;

namespace {

// [future]
weir::task<> futures() {
  std::future<int> theirs = std::async(std::launch::async, [] { return 6 * 7; });
  std::printf("std::future: %d\n", co_await weir::from_std_future(std::move(theirs)));
  std::future<int> ours = weir::to_std_future(weir::resolved_future(8));
  std::printf("and back: %d\n", ours.get());
}
// [/future]

// [stop]
weir::task<> stop_tokens() {
  std::stop_source source;
  std::jthread other([&source] { source.request_stop(); });
  co_await weir::cancel_on_stop(source.get_token(),
                                []() -> weir::task<> { co_await weir::sleep(1_h); }());
  std::printf("stopped by a token\n");

  std::stop_token token;
  co_await weir::with_scope({.timeout = 1_ms}, [&](weir::scope&) -> weir::task<> {
    co_await weir::with_stop_token([&](std::stop_token given) -> weir::task<> {
      token = given;  // for a call on the blocking pool that asks it now and then
      co_await weir::sleep(1_h);
    });
  });
  std::printf("token %s\n", token.stop_requested() ? "stopped" : "not stopped");
}
// [/stop]

// [descriptor]
weir::task<> descriptors() {
  int ends[2];
  if (::pipe(ends) != 0) co_return;
  co_await weir::wait_writable(ends[1]);
  if (::write(ends[1], "x", 1) == 1) co_await weir::wait_readable(ends[0]);
  std::printf("readable\n");
  ::close(ends[0]);
  ::close(ends[1]);
}
// [/descriptor]

// [asio]
boost::asio::awaitable<int> add(boost::asio::io_context& context, int a, int b) {
  boost::asio::steady_timer timer(context, std::chrono::milliseconds(1));
  co_await timer.async_wait(boost::asio::use_awaitable);
  co_return a + b;
}
weir::task<> asio() {
  boost::asio::io_context context;
  boost::asio::steady_timer timer(context, std::chrono::milliseconds(1));
  auto elapsed = timer.async_wait(weir::use_weir);
  auto sum = boost::asio::co_spawn(context, add(context, 2, 3), weir::use_weir);
  std::jthread runs([&context] { context.run(); });
  co_await elapsed;
  std::printf("Asio: %d\n", co_await sum);
}
// [/asio]

// [sender]
weir::task<> senders() {
  auto sender = weir::as_sender(weir::resolved_future(std::string("sent")));
  std::printf("%s\n", (co_await weir::from_sender<std::string>(std::move(sender))).c_str());
}
// [/sender]

// [guest]
void inside_a_foreign_loop() {
  weir::guest_loop inside;
  inside.root().spawn([]() -> weir::task<> {
    co_await weir::sleep(1_ms);
    std::printf("as a guest\n");
  });
  pollfd watched{.fd = inside.descriptor(), .events = POLLIN, .revents = 0};
  while (inside.run()) ::poll(&watched, 1, -1);  // the host's wait, with all that it waits for
}
// [/guest]

weir::task<> tour() {
  co_await futures();
  co_await stop_tokens();
  co_await descriptors();
  co_await asio();
  co_await senders();
}

}  // namespace

int main() {
  inside_a_foreign_loop();
  return weir::run(tour());
}

// The server's way of a small request allocates nothing once a connection has had its first. Counts
// every allocation of the thread, so the client beside it has to do without as well.
// Needs the kernel: it counts what a real socket costs.
#include <weir/http/server.hpp>

#include <weir/core.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/allocations.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string_view>

// The sanitizers bring an allocator of their own, and under AddressSanitizer frames are not pooled.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEIR_TEST_COUNTS_ALLOCATIONS 0
#else
#define WEIR_TEST_COUNTS_ALLOCATIONS 1
#endif

namespace weir::http::server_allocation_test {
namespace {

task<> hello(request& asked, response& answered) {
  answered.header("X-Path", asked.path());
  co_await answered.send(200, "text/plain", "Hello, world!");
}

task<> ask(socket& peer, std::string_view text) {
  co_await peer.send(text);
  std::size_t size = 0;
  bytes last;
  do {
    last = co_await peer.receive();
    size += last.size();
  } while (!last.empty() && !last.text().ends_with("Hello, world!"));
  EXPECT_GT(size, 100u);
}

// A request without a body, and one whose body nobody reads.
task<> ask_often(address at, std::size_t* counted) {
  socket peer = co_await connect(at);
  for (int round = 0; round < 1100; ++round) {
    if (round == 100) *counted = weir::testing::allocations();
    co_await ask(peer,
                 "GET /a/path?and=query HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n");
    co_await ask(peer, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nunrea");
  }
  *counted = weir::testing::allocations() - *counted;
}

TEST(small_requests, allocate_nothing_on_a_connection_that_is_kept) {
  if (!WEIR_TEST_COUNTS_ALLOCATIONS) GTEST_SKIP() << "allocations are the sanitizer's here";
  for (const char* name : {"epoll", "io_uring"}) {
    std::unique_ptr<driver> io;
    try {
      io = make_driver({.name = name});
    } catch (const exception&) {
      continue;  // the kernel refuses io_uring
    }
    std::size_t counted = 0;
    run_on(*io, [](std::size_t* out) -> task<> {
      server one(hello);
      listener door = co_await listen({});
      const address at = door.local();
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { co_await one.run(std::move(door)); });
        co_await ask_often(at, out);
        one.drain();
      });
    }(&counted));
    EXPECT_EQ(counted, 0u) << name;
  }
}

}  // namespace
}  // namespace weir::http::server_allocation_test

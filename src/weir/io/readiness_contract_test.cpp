// What is ready, as poll(2) says it: of each kind of handle, on every driver.
// Needs the kernel: every driver has to keep the contract; the virtual one does too.
#include <weir/io/readiness.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/pipe_ends.hpp>

#include <gtest/gtest.h>
#include <poll.h>

#include <string>
#include <string_view>
#include <utility>

namespace weir::readiness_contract_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class readiness_contract : public contract::fixture {
 protected:
  /// The ends of a connection over a Unix socket.
  task<connection> connect_here() const {
    listener door = co_await listen({.path = path("door")});
    socket client = co_await connect(door.local());
    socket server = co_await door.accept();
    co_return connection{std::move(client), std::move(server)};
  }
};
INSTANTIATE_TEST_SUITE_P(drivers, readiness_contract, ::testing::ValuesIn(all_drivers()), name_of);

constexpr int everything = POLLIN | POLLOUT | POLLRDHUP;

/// What holds of a handle now, or very soon; 0: nothing that is asked for. io_uring tells of
/// POLLRDHUP unasked.
template <class Owner>
task<int> ready(const Owner& of, int wanted = everything) {
  const auto found = co_await as_result(with_timeout(20_ms, [](int handle, int flags) -> task<int> {
    co_return co_await wait_ready(handle, flags);
  }(of.handle(), wanted)));
  if (!found) EXPECT_EQ(found.error().code(), errc::timed_out);
  const bool is_uring = loop::current()->io().name() == std::string_view(uring_name);
  co_return found.value_or(0) & (is_uring ? wanted | POLLERR | POLLHUP : ~0);
}

task<> fill(socket* to) {
  static const std::string much(1 << 20, 'x');
  for (;;) co_await to->send(much);
}

TEST_P(readiness_contract, of_a_connection_follows_what_comes_and_how_it_ends) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    EXPECT_EQ(co_await ready(pair.client), POLLOUT);
    EXPECT_EQ(co_await ready(pair.client, POLLIN), 0);
    EXPECT_EQ(co_await ready(pair.client, 0), 0);
    co_await pair.server.send("x");
    EXPECT_EQ(co_await ready(pair.client, POLLIN), POLLIN);
    EXPECT_EQ(co_await ready(pair.client), POLLIN | POLLOUT);
    EXPECT_EQ(co_await receive_at_least(pair.client, 1), "x");
    EXPECT_EQ(co_await ready(pair.client), POLLOUT) << "it was taken";
    co_await pair.server.shutdown_send();
    EXPECT_EQ(co_await ready(pair.client, POLLIN), POLLIN) << "the end can be read";
    EXPECT_EQ(co_await ready(pair.client), POLLIN | POLLOUT | POLLRDHUP);
    EXPECT_EQ(co_await ready(pair.client, 0), 0) << "the other direction goes on";
    co_await pair.client.shutdown_send();
    EXPECT_EQ(co_await ready(pair.client, 0), POLLHUP);
    EXPECT_EQ(co_await ready(pair.client), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
  });
}

TEST_P(readiness_contract, of_a_connection_that_was_reset_says_so_without_being_asked) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    pair.server.reset();
    EXPECT_EQ(co_await ready(pair.client, 0), POLLERR | POLLHUP);
    EXPECT_EQ(co_await ready(pair.client), POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP);
    EXPECT_EQ(co_await code_of(pair.client.receive()), errc::broken);
    EXPECT_EQ(co_await ready(pair.client, 0), POLLHUP) << "an error is told once";
  });
}

TEST_P(readiness_contract, of_a_unix_connection_whose_other_end_closes_is_a_hang_up) {
  run([&]() -> task<> {
    connection pair = co_await connect_here();
    EXPECT_EQ(co_await ready(pair.client), POLLOUT);
    co_await pair.server.send("x");
    pair.server.close();
    EXPECT_EQ(co_await ready(pair.client, 0), POLLHUP);
    EXPECT_EQ(co_await ready(pair.client), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    EXPECT_EQ(co_await receive_at_least(pair.client, 1), "x");
    EXPECT_EQ(co_await ready(pair.client), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
  });
}

TEST_P(readiness_contract, of_a_full_connection_comes_back_once_the_peer_has_read) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(fill, &pair.client);
      co_await sleep(20_ms);
      s.cancel("it is full");
    });
    EXPECT_EQ(co_await ready(pair.client, POLLOUT), 0);
    bool is_ready = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        while (co_await pair.server.receive()) {
        }
      });
      is_ready = co_await wait_writable(pair.client.handle()) == POLLOUT;
      s.cancel("enough");
    });
    EXPECT_TRUE(is_ready);
  });
}

TEST_P(readiness_contract, of_a_pipe_tells_each_end_that_the_other_one_is_gone) {
  run([]() -> task<> {
    pipe_ends ends = make_pipe();
    EXPECT_EQ(co_await ready(ends.reader), 0);
    EXPECT_EQ(co_await ready(ends.writer), POLLOUT);
    co_await ends.writer.send("x");
    EXPECT_EQ(co_await ready(ends.reader), POLLIN);
    ends.writer.close();
    EXPECT_EQ(co_await ready(ends.reader), POLLIN | POLLHUP);
    EXPECT_EQ((co_await ends.reader.receive()).text(), "x");
    EXPECT_EQ(co_await ready(ends.reader, 0), POLLHUP);
    EXPECT_EQ(co_await ready(ends.reader), POLLHUP);
    ends = make_pipe();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await ready(ends.writer, 0), POLLERR); });
      co_await yield();
      ends.reader.close();
    });
    EXPECT_EQ(co_await ready(ends.writer), POLLOUT | POLLERR);
  });
}

TEST_P(readiness_contract, of_a_listener_is_a_connection_to_accept) {
  run([]() -> task<> {
    listener door = co_await listen({});
    EXPECT_EQ(co_await ready(door), 0);
    const socket client = co_await connect(door.local());
    EXPECT_EQ(co_await ready(door), POLLIN);
    const socket server = co_await door.accept();
    EXPECT_EQ(co_await ready(door), 0);
  });
}

TEST_P(readiness_contract, of_datagrams_follows_what_comes_and_what_was_refused) {
  run([]() -> task<> {
    datagram_socket here = bind_datagrams();
    datagram_socket there = open_datagrams();
    co_await there.connect(here.local());
    EXPECT_EQ(co_await ready(here), POLLOUT);
    co_await there.send("x");
    EXPECT_EQ(co_await ready(here), POLLIN | POLLOUT);
    EXPECT_EQ((co_await here.receive()).text(), "x");
    EXPECT_EQ(co_await ready(here), POLLOUT);
    here.close();
    co_await there.send("nobody is there");
    EXPECT_EQ(co_await ready(there, 0), POLLERR);
    EXPECT_EQ(co_await ready(there), POLLOUT | POLLERR);
    EXPECT_EQ(co_await code_of(there.receive()), errc::refused);
    EXPECT_EQ(co_await ready(there), POLLOUT) << "an error is told once";
  });
}

TEST_P(readiness_contract, is_told_to_all_who_wait_for_it_and_to_nobody_else) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    const io_handle handle = pair.client.handle();
    int told = 0;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 2; ++i) {
        s.spawn([&]() -> task<> { told += co_await wait_readable(handle) == POLLIN ? 1 : 0; });
      }
      s.spawn([&]() -> task<> {
        EXPECT_EQ(co_await code_of(wait_ready(handle, POLLPRI)), errc::closed);
      });
      co_await sleep(1_ms);
      co_await pair.server.send("x");
      while (told != 2) co_await sleep(1_ms);
      pair.client.close();
    });
    EXPECT_EQ(co_await code_of(wait_readable(-1)), errc::closed);
  });
}

}  // namespace
}  // namespace weir::readiness_contract_test

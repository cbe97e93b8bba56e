// Sends whose bytes the kernel may read by itself, on every driver. Over loopback it copies them
// when they leave, so what a peer has not made room for yet is what it still reads.
// Needs the kernel: it is the one who says when it is done with them.
#include <weir/io/shared_send.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/io/pipe_ends.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace weir::shared_send_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class shared_send_contract : public contract::fixture {
 protected:
  bool shares() const { return std::string_view(GetParam().name) == "io_uring"; }
};
INSTANTIATE_TEST_SUITE_P(drivers, shared_send_contract, ::testing::ValuesIn(all_drivers()),
                         name_of);

/// Memory that tells when its last view is gone, and is overwritten then.
struct watched_block : buffer_block {
  explicit watched_block(std::size_t size) : text(pattern(size)) {
    release = [](buffer_block* self) noexcept {
      auto& block = *static_cast<watched_block*>(self);
      ++block.releases;
      block.text.assign(block.text.size(), '!');
    };
  }
  bytes view() { return bytes(text.data(), text.size(), this); }

  std::string text;
  int releases = 0;
};

TEST_P(shared_send_contract, bytes_of_any_size_arrive_as_they_were_sent_and_are_given_back) {
  for (const std::size_t size : {0u, 1u, 65'535u, 65'536u, 3'000'000u}) {
    watched_block block(size);
    run([&]() -> task<> {
      connection pair = co_await connect_pair();
      std::string arrived;
      std::size_t sent = 1;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { arrived = co_await receive_all(pair.server); });
        co_await send_shared(pair.client, block.view(), &sent);
        co_await pair.client.shutdown_send();
      });
      EXPECT_EQ(sent, size);
      EXPECT_TRUE(arrived == pattern(size)) << size;
    });
    EXPECT_EQ(block.releases, 1) << size;
  }
}

TEST_P(shared_send_contract, a_cancelled_one_tells_how_much_has_left_and_its_bytes_stay_till_then) {
  watched_block block(16'000'000);
  const std::string text = block.text;
  run([&]() -> task<> {
    connection pair = co_await connect_pair();
    std::size_t sent = 0;
    co_await with_scope({.timeout = 20_ms}, [&](scope&) -> task<> {
      co_await send_shared(pair.client, block.view(), &sent);
      ADD_FAILURE() << "more was sent than buffers hold";
    });
    EXPECT_GT(sent, 0u);
    EXPECT_LT(sent, text.size());
    EXPECT_EQ(block.releases, shares() ? 0 : 1) << "the kernel has not sent all that it took";
    co_await pair.client.shutdown_send();
    const std::string arrived = co_await receive_all(pair.server);
    EXPECT_EQ(arrived.size(), sent);
    EXPECT_TRUE(std::string_view(text).starts_with(arrived));
  });
  EXPECT_EQ(block.releases, 1);
}

TEST_P(shared_send_contract, one_that_waits_ends_when_its_socket_is_closed) {
  watched_block block(16'000'000);
  run([&]() -> task<> {
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_EQ(co_await code_of(send_shared(pair.client, block.view())), errc::closed);
      });
      co_await sleep(5_ms);
      pair.client.close();
    });
  });
  EXPECT_EQ(block.releases, 1);
}

// The kernel is asked at the latest by the close itself, and may do all of it then.
TEST_P(shared_send_contract, one_whose_socket_is_closed_in_the_same_turn_tells_how_much_has_left) {
  enum class kind { tcp, tcp_then_pipe, unix_path };
  for (const kind tried : {kind::tcp, kind::tcp_then_pipe, kind::unix_path}) {
    watched_block block(100'000);
    run([&]() -> task<> {
      listener door =
          tried == kind::unix_path ? co_await listen({.path = path("door")}) : co_await listen({});
      socket client = co_await connect(door.local());
      socket server = co_await door.accept();
      std::size_t sent = 0;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { co_await as_result(send_shared(client, block.view(), &sent)); });
        s.spawn([&]() -> task<> {
          client.close();
          pipe_ends other;
          if (tried == kind::tcp_then_pipe) other = make_pipe();  // which has its number
          co_await sleep(1_ms);
        });
        co_return;
      });
      if (is_kernel() && tried != kind::unix_path) EXPECT_GT(sent, 0u) << "the send was first";
      EXPECT_EQ((co_await receive_all(server)).size(), sent);
    });
    EXPECT_EQ(block.releases, 1);
  }
}

TEST_P(shared_send_contract, a_peer_that_is_gone_is_broken) {
  watched_block block(16'000'000);
  run([&]() -> task<> {
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_EQ(co_await code_of(send_shared(pair.client, block.view())), errc::broken);
      });
      co_await sleep(5_ms);
      pair.server.reset();
    });
  });
  EXPECT_EQ(block.releases, 1);
}

TEST_P(shared_send_contract, the_same_bytes_go_to_many_peers) {
  watched_block block(300'000);
  run([&]() -> task<> {
    const auto send_one = [](watched_block* from) -> task<> {
      connection pair = co_await connect_pair();
      std::string arrived;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { arrived = co_await receive_all(pair.server); });
        co_await send_shared(pair.client, from->view());
        co_await pair.client.shutdown_send();
      });
      EXPECT_TRUE(arrived == pattern(300'000));
    };
    const bytes kept = block.view();
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 4; ++i) s.spawn(send_one, &block);
      co_return;
    });
    EXPECT_EQ(block.releases, 0);
  });
  EXPECT_EQ(block.releases, 1);
}

TEST_P(shared_send_contract, a_unix_socket_copies_and_all_arrives) {
  watched_block block(1'000'000);
  run([&]() -> task<> {
    const std::string at = path("door");
    listener door = co_await listen({.path = at});
    socket client = co_await connect(door.local());
    socket server = co_await door.accept();
    std::string arrived;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { arrived = co_await receive_all(server); });
      co_await send_shared(client, block.view());
      client.close();
    });
    EXPECT_TRUE(arrived == pattern(1'000'000));
  });
  EXPECT_EQ(block.releases, 1);
}

}  // namespace
}  // namespace weir::shared_send_test

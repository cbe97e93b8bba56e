// Needs the kernel: libuv's loop waits on a real descriptor. Built where libuv is installed.
#include <weir/bridge/guest_loop.hpp>
#include <weir/core.hpp>
#include <weir/flow/channel.hpp>
#include <weir/io/address.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/socket.hpp>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::guest_in_libuv_test {
namespace {

using namespace weir::literals;
using ::testing::ElementsAre;

/// libuv's loop with weir as its guest: the guest's descriptor is polled, and nothing else is said.
class guest_in_libuv : public ::testing::Test {
 public:  // for callbacks of libuv, which are plain functions
  guest_in_libuv() {
    EXPECT_EQ(uv_loop_init(&host), 0);
    host.data = this;
    inside.emplace();
    EXPECT_EQ(uv_poll_init(&host, &watched, inside->descriptor()), 0);
    EXPECT_EQ(uv_poll_start(&watched, UV_READABLE, on_readable), 0);
  }
  ~guest_in_libuv() override {
    // Handles are closed by name: what a test forgot, or a guest that never ended, is busy here.
    EXPECT_EQ(uv_loop_close(&host), 0);
  }

  /// Until neither has anything left: with nothing to wait for the host returns by itself.
  void host_until_done() {
    run_guest();
    EXPECT_EQ(uv_run(&host, UV_RUN_DEFAULT), 0);
    EXPECT_FALSE(inside->run()) << "the host has ended before its guest";
  }

  /// What the host does whenever the guest may have something to do.
  void run_guest() {
    ++guest_runs;
    if (inside->run()) return;
    uv_poll_stop(&watched);  // the descriptor lives longer than the handle that polls it
    close(watched);
  }

  template <class Handle>
  static void close(Handle& handle) {
    auto* const one = reinterpret_cast<uv_handle_t*>(&handle);
    if (!uv_is_closing(one)) uv_close(one, nullptr);
  }
  template <class Handle>
  static guest_in_libuv& of(Handle* handle) {
    return *static_cast<guest_in_libuv*>(handle->loop->data);
  }

  uv_loop_t host;
  uv_poll_t watched;
  std::optional<guest_loop> inside;
  int guest_runs = 0;

 private:
  static void on_readable(uv_poll_t* handle, int status, int) {
    EXPECT_EQ(status, 0);
    of(handle).run_guest();
  }
};

TEST_F(guest_in_libuv, a_task_that_sleeps_is_woken_by_the_descriptor_alone) {
  int slept = 0;
  inside->root().spawn(
      [](int* count) -> task<> {
        for (; *count < 5; ++*count) co_await sleep(1_ms);
      },
      &slept);
  host_until_done();
  EXPECT_EQ(slept, 5);
  EXPECT_GE(guest_runs, 5) << "each sleep gave the host its thread back";
}

TEST_F(guest_in_libuv, a_timer_of_the_host_feeds_a_channel_and_the_guest_ends_with_it) {
  auto [to, from] = cross::channel<int>(1);  // the host's callbacks stand outside of the guest
  struct {
    uv_timer_t timer;
    cross::sender<int>* out;
    int fed = 0;
  } ticking{.timer = {}, .out = &to};
  std::vector<int> heard;
  inside->root().spawn(
      [](cross::receiver<int>* in, std::vector<int>* into) -> task<> {
        while (auto one = co_await in->receive()) {
          into->push_back(*one);
          co_await sleep(1_ms);  // so that ticks find the channel full, too
        }
      },
      &from, &heard);
  uv_timer_init(&host, &ticking.timer);
  ticking.timer.data = &ticking;
  uv_timer_start(
      &ticking.timer,
      [](uv_timer_t* timer) {
        auto& mine = *static_cast<decltype(ticking)*>(timer->data);
        if (mine.fed == 5) {
          mine.out->close();
          close(mine.timer);
        } else if (int next = mine.fed + 1; mine.out->try_send(next)) {
          mine.fed = next;
        }
      },
      0, 1);
  host_until_done();
  EXPECT_THAT(heard, ElementsAre(1, 2, 3, 4, 5));
}

/// Connections that libuv accepts and echoes, in the same thread and loop as the guest.
class echo_in_libuv {
 public:
  explicit echo_in_libuv(uv_loop_t& host) {
    struct sockaddr_in where{};
    EXPECT_EQ(uv_ip4_addr("127.0.0.1", 0, &where), 0);
    EXPECT_EQ(uv_tcp_init(&host, &door_), 0);
    EXPECT_EQ(uv_tcp_bind(&door_, reinterpret_cast<const sockaddr*>(&where), 0), 0);
    door_.data = this;
    EXPECT_EQ(uv_listen(reinterpret_cast<uv_stream_t*>(&door_), 1, on_arrived), 0);
    int size = sizeof where;
    uv_tcp_getsockname(&door_, reinterpret_cast<sockaddr*>(&where), &size);
    port_ = ntohs(where.sin_port);
  }
  std::uint16_t port() const noexcept { return port_; }
  std::size_t echoed() const noexcept { return echoed_; }

 private:
  static echo_in_libuv& of(void* data) { return *static_cast<echo_in_libuv*>(data); }
  static void on_arrived(uv_stream_t* door, int status) {
    ASSERT_EQ(status, 0);
    echo_in_libuv& self = of(door->data);
    uv_tcp_init(door->loop, &self.peer_);
    self.peer_.data = &self;
    auto* const peer = reinterpret_cast<uv_stream_t*>(&self.peer_);
    ASSERT_EQ(uv_accept(door, peer), 0);
    uv_close(reinterpret_cast<uv_handle_t*>(door), nullptr);  // one is enough
    uv_read_start(peer, lend, on_received);
  }
  static void lend(uv_handle_t* peer, std::size_t, uv_buf_t* out) {
    echo_in_libuv& self = of(peer->data);
    *out = uv_buf_init(self.memory_, sizeof self.memory_);
  }
  static void on_received(uv_stream_t* peer, ssize_t count, const uv_buf_t* what) {
    if (count == UV_EOF) return uv_close(reinterpret_cast<uv_handle_t*>(peer), nullptr);
    ASSERT_GE(count, 0) << uv_strerror(static_cast<int>(count));
    const uv_buf_t piece = uv_buf_init(what->base, static_cast<unsigned>(count));
    ASSERT_EQ(uv_try_write(peer, &piece, 1), count) << "words are short";
    of(peer->data).echoed_ += static_cast<std::size_t>(count);
  }

  uv_tcp_t door_;
  uv_tcp_t peer_;
  std::uint16_t port_ = 0;
  std::size_t echoed_ = 0;
  char memory_[64];
};

// Each waits for the other's half of a conversation, on one thread: neither may keep it.
TEST_F(guest_in_libuv, a_socket_of_the_guest_talks_with_a_socket_of_the_host) {
  echo_in_libuv other(host);
  std::string heard;
  inside->root().spawn(
      [](std::uint16_t port, std::string* into) -> task<> {
        socket talk = co_await connect(address::loopback(port));
        for (const char* word : {"one", "two", "three"}) {
          co_await talk.send(word);
          *into += co_await contract::receive_at_least(talk, std::string(word).size());
        }
      },
      other.port(), &heard);
  host_until_done();
  EXPECT_EQ(heard, "onetwothree");
  EXPECT_EQ(other.echoed(), heard.size());
}

TEST_F(guest_in_libuv, what_the_host_cancels_ends_and_frees_the_host) {
  const auto held = std::make_shared<int>();
  inside->root().spawn([](std::shared_ptr<int>) -> task<> { co_await sleep(1_h); }, held);
  uv_timer_t enough;
  uv_timer_init(&host, &enough);
  uv_timer_start(
      &enough,
      [](uv_timer_t* timer) {
        of(timer).inside->cancel("the host has had enough");
        of(timer).run_guest();
        close(*timer);
      },
      0, 0);
  host_until_done();
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace weir::guest_in_libuv_test

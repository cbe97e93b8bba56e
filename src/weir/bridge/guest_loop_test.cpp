// Needs the kernel: a foreign loop waits on a real descriptor.
#include <weir/bridge/guest_loop.hpp>

#include <weir/base/text.hpp>
#include <weir/core.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/socket.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <optional>
#include <string>
#include <thread>

namespace weir::guest_loop_test {
namespace {

using namespace weir::literals;

class guest : public ::testing::Test {
 protected:
  bool is_readable(int patience_ms = 0) {
    struct pollfd one{.fd = inside->descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&one, 1, patience_ms) == 1;
  }
  /// The smallest host there is: waits on the descriptor, and on nothing else.
  void host_until_done() {
    while (inside->run()) ASSERT_TRUE(is_readable(30'000)) << "tasks are left, and nothing comes";
  }

  /// Until a task says that it is about to wait, and all that came before has been heard.
  void host_until(const bool& is_waiting) {
    while (inside->run() && !is_waiting) ASSERT_TRUE(is_readable(30'000));
    while (is_readable()) inside->run();
    ASSERT_TRUE(is_waiting);
  }

  std::optional<guest_loop> inside{std::in_place};
};

/// Sets a flag when it goes.
class at_end {
 public:
  explicit at_end(bool* flag) noexcept : flag_(flag) {}
  at_end(const at_end&) = delete;
  at_end& operator=(const at_end&) = delete;
  ~at_end() { *flag_ = true; }

 private:
  bool* flag_;
};

task<> echo(socket* with) {
  while (auto piece = co_await with->receive()) co_await with->send(piece.text());
}

TEST_F(guest, timers_and_sockets_go_on_while_the_host_waits_on_one_descriptor) {
  std::string heard;
  inside->root().spawn(
      [](std::string* out) -> task<> {
        auto ends = co_await contract::connect_pair();
        co_await with_scope({}, [&](scope& s) -> task<> {
          s.spawn(echo, &ends.server);
          for (const char* word : {"one", "two", "three"}) {
            co_await sleep(1_ms);
            co_await ends.client.send(word);
            *out += co_await contract::receive_at_least(ends.client, std::string(word).size());
          }
          s.cancel("heard enough");
        });
      },
      &heard);
  host_until_done();
  EXPECT_EQ(heard, "onetwothree");
}

TEST_F(guest, the_descriptor_is_silent_while_nothing_is_to_be_done) {
  struct {
    contract::connection ends;
    std::string heard;
    bool is_waiting = false;
  } at;
  inside->root().spawn(
      [](decltype(at)* here) -> task<> {
        here->ends = co_await contract::connect_pair();
        here->is_waiting = true;
        here->heard = (co_await here->ends.server.receive()).text();
      },
      &at);
  host_until(at.is_waiting);
  EXPECT_FALSE(is_readable()) << "a receive waits";
  inside->root().spawn([](socket* from) -> task<> { co_await from->send("x"); }, &at.ends.client);
  host_until_done();
  EXPECT_EQ(at.heard, "x");
  inside->root().spawn([]() -> task<> { co_await sleep(1_h); });
  EXPECT_TRUE(inside->run());
  EXPECT_FALSE(is_readable()) << "an hour is long";
  inside->cancel("enough");
  EXPECT_FALSE(inside->run());
}

TEST_F(guest, a_post_from_another_thread_is_heard_even_without_tasks) {
  EXPECT_FALSE(inside->run());
  EXPECT_FALSE(is_readable());
  bool is_run = false;
  std::thread([&] {
    EXPECT_TRUE(inside->loop().post([&] {
      inside->root().spawn(
          [](bool* done) -> task<> {
            co_await blocking([] {});
            *done = true;
          },
          &is_run);
    }));
  }).join();
  ASSERT_TRUE(is_readable(30'000));
  host_until_done();
  EXPECT_TRUE(is_run);
}

TEST_F(guest, tasks_that_never_wait_give_the_host_its_turns) {
  bool is_enough = false;
  inside->root().spawn(
      [](bool* enough) -> task<> {
        while (!*enough) co_await yield();
      },
      &is_enough);
  for (int turns = 0; turns < 3; ++turns) {
    EXPECT_TRUE(inside->run());
    EXPECT_TRUE(is_readable()) << "it wants to go on at once";
  }
  is_enough = true;
  EXPECT_FALSE(inside->run());
  EXPECT_FALSE(is_readable());
}

TEST_F(guest, what_is_cancelled_while_it_waits_for_io_ends_in_the_next_runs) {
  bool has_ended = false;
  bool is_waiting = false;
  inside->root().spawn(
      [](bool* ended, bool* waiting) -> task<> {
        auto ends = co_await contract::connect_pair();
        const at_end note(ended);
        *waiting = true;
        static_cast<void>(co_await ends.server.receive());
      },
      &has_ended, &is_waiting);
  host_until(is_waiting);
  inside->cancel("enough");
  host_until_done();
  EXPECT_TRUE(has_ended);
}

TEST_F(guest, its_end_cancels_what_is_left_and_waits_for_it) {
  bool has_ended = false;
  inside->root().spawn(
      [](bool* ended) -> task<> {
        const at_end note(ended);
        co_await sleep(1_h);
      },
      &has_ended);
  inside->run();
  inside.reset();
  EXPECT_TRUE(has_ended);
}

TEST_F(guest, refuses_a_driver_that_nobody_can_poll) {
  if (!contract::has_uring()) GTEST_SKIP() << "the kernel refuses io_uring";
  try {
    const guest_loop other({.name = "io_uring"});
    FAIL() << "it was taken";
  } catch (const exception& refused) {
    EXPECT_EQ(refused.reason(), errc::unsupported);
    EXPECT_THAT(describe(refused.reason()), ::testing::HasSubstr("use 'epoll'"));
  }
}

TEST(GuestLoopDeathTest, running_it_on_another_thread_stops_the_process) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  guest_loop made_here;
  EXPECT_DEATH(std::thread([&] { made_here.run(); }).join(),
               "a guest_loop is run on the thread that made it; on others use loop..[.]post");
}

TEST_F(guest, lives_in_a_loop_of_asio) {
  boost::asio::io_context host;
  boost::asio::posix::stream_descriptor watched(host, inside->descriptor());
  const auto watch = [&](const auto& again) -> void {
    if (!inside->run()) return;
    watched.async_wait(boost::asio::posix::descriptor_base::wait_read,
                       [&, again](boost::system::error_code) { again(again); });
  };
  int slept = 0;
  inside->root().spawn(
      [](int* count) -> task<> {
        for (; *count < 5; ++*count) co_await sleep(1_ms);
      },
      &slept);
  watch(watch);
  host.run();
  watched.release();
  EXPECT_EQ(slept, 5);
}

}  // namespace
}  // namespace weir::guest_loop_test

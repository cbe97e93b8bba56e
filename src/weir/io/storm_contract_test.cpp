// Hard times for system calls: signals that interrupt them, buffers that hold next to nothing,
// peers that fall silent. Nothing is lost, nothing hangs.
// Needs the kernel: these are its ways.
#include <weir/io/child_process_test.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/file.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <csignal>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace weir::storm_contract_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class storm_contract : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, storm_contract, ::testing::ValuesIn(kernel_drivers()), name_of);

/// Interrupts the thread that made it as often as it can; each system call that waits may end with
/// EINTR.
class interruptions {
 public:
  interruptions() {
    struct sigaction quiet = {};
    quiet.sa_handler = [](int) {};  // without SA_RESTART
    ::sigaction(SIGUSR2, &quiet, &before_);
    thread_ = std::thread([this, target = ::pthread_self()] {
      while (!is_ending_) {
        ::pthread_kill(target, SIGUSR2);
        ++count_;
        std::this_thread::yield();
      }
    });
  }
  interruptions(const interruptions&) = delete;
  interruptions& operator=(const interruptions&) = delete;
  ~interruptions() {
    is_ending_ = true;
    thread_.join();
    ::signal(SIGUSR2, SIG_IGN);  // which drops one that is still on its way
    ::sigaction(SIGUSR2, &before_, nullptr);
  }
  /// Until the storm has begun.
  void wait_for_first() const {
    while (count_ == 0) std::this_thread::yield();
  }

 private:
  struct sigaction before_ = {};
  std::atomic<bool> is_ending_ = false;
  std::atomic<std::uint64_t> count_ = 0;
  std::thread thread_;
};

TEST_P(storm_contract, system_calls_that_are_interrupted_lose_nothing) {
  const interruptions storm;
  storm.wait_for_first();
  run([&]() -> task<> {
    const std::string text = pattern(1'000'000);
    connection pair = co_await connect_pair();
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await pair.client.send(text);
        co_await pair.client.shutdown_send();
      });
      got = co_await receive_all(pair.server);
    });
    EXPECT_TRUE(got == text);

    for (int round = 0; round < 20; ++round) {
      file to = co_await open_file(path("file"), {.write = true, .create = true});
      co_await to.write_at(0, std::string_view(text).substr(0, 200'000));
      co_await to.sync();
      std::string back(200'000, ' ');
      EXPECT_EQ(co_await to.read_at(0, back), back.size());
      EXPECT_TRUE(text.starts_with(back));
      co_await sleep(1_ms);
      co_await remove_path(path("file"));
    }
  });
}

// The kernel gives up what waits for a worker that it can't make, as many signals keep it from
// making one, too, and says of it what it says of a cancelled one.
TEST_P(storm_contract, files_are_written_and_synced_where_the_kernel_can_make_no_worker) {
  ASSERT_EQ(::chmod(path("").c_str(), 0777), 0);
  const factory driver = GetParam();
  const child_outcome outcome = in_child([&] {
    constexpr int nobody = 54'321;  // the limit does not hold for root
    if (::geteuid() == 0) ::syscall(SYS_setuid, nobody);
    const std::unique_ptr<weir::driver> io = driver.make({});
    run_on(*io, [&]() -> task<> {
      // A thread of the pool opens it, and idles.
      file to = co_await open_file(path("a"), {.write = true, .create = true});
      const rlimit none{0, 0};
      ::setrlimit(RLIMIT_NPROC, &none);
      co_await to.write_durably_at(0, "whole");
      co_await to.sync();
      std::array<char, 5> back{};
      EXPECT_EQ(co_await to.read_at(0, back), back.size());
      EXPECT_EQ(std::string_view(back.data(), back.size()), "whole");

      // Of one that is closed meanwhile it is an end; the number is another file's by then.
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(
            [](file& f) -> task<> {
              const errc code = co_await code_of(f.write_durably_at(0, "x"));
              EXPECT_TRUE(code == errc{} || code == errc::closed) << static_cast<int>(code);
            },
            std::ref(to));
        co_await yield();
        to.close();
        file other = co_await open_file(path("b"), {.write = true, .create = true});
        co_await s.join();
        EXPECT_EQ(value_or_raise(path_status(path("b"))).size, 0u);
      });
    }());
    return HasFailure() ? 1 : 0;
  });
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

TEST_P(storm_contract, buffers_that_are_always_full_or_empty_lose_nothing) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    const int least = 1;  // the kernel makes some KiB of it
    ::setsockopt(pair.client.handle(), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    ::setsockopt(pair.server.handle(), SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    const std::string text = pattern(60'000);
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (std::size_t at = 0; at < text.size(); at += 97)
          co_await pair.client.send(std::string_view(text).substr(at, 97));
        co_await pair.client.shutdown_send();
      });
      std::array<char, 13> memory{};
      while (const std::size_t count = co_await pair.server.receive_into(memory))
        got.append(memory.data(), count);
    });
    EXPECT_TRUE(got == text);
  });
}

int option_of(const socket& of, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(of.handle(), IPPROTO_TCP, option, &value, &size), 0);
  return value;
}

TEST_P(storm_contract, keep_alive_asks_a_silent_peer_and_can_be_turned_off) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    pair.client.set_keep_alive(80_s);
    EXPECT_EQ(option_of(pair.client, TCP_KEEPIDLE), 40);
    EXPECT_EQ(option_of(pair.client, TCP_KEEPINTVL) * option_of(pair.client, TCP_KEEPCNT), 40);
    EXPECT_EQ(option_of(pair.client, TCP_USER_TIMEOUT), 80'000);
    pair.client.set_keep_alive(duration::max());
    EXPECT_EQ(option_of(pair.client, TCP_USER_TIMEOUT), 0);
    pair.client.set_keep_alive(1_ms);
    EXPECT_EQ(option_of(pair.client, TCP_USER_TIMEOUT), 1'000) << "a second at least";
    co_await pair.client.send("still open");
    EXPECT_EQ(co_await receive_at_least(pair.server, 10), "still open");
  });
}

// A peer that takes nothing looks like one that is gone: what was sent stays where it is.
TEST_P(storm_contract, a_peer_that_takes_nothing_for_that_long_has_vanished) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    pair.client.set_keep_alive(1_s);
    std::string text;
    text.resize(64'000'000, 'x');
    EXPECT_EQ(co_await code_of(with_timeout(100_s, pair.client.send(text))), errc::timed_out);
    EXPECT_EQ(co_await code_of(pair.client.send("x")), errc::broken) << "no time-out of ours";
  });
}

TEST_P(storm_contract, of_two_who_start_on_a_unix_path_one_listens) {
  const std::string where = path("door");
  std::barrier both(2);
  std::atomic<int> listening = 0;
  const auto start_often = [&](bool is_first) {
    const std::unique_ptr<driver> io = GetParam().make({});
    for (int round = 0; round < 100; ++round) {
      both.arrive_and_wait();
      raw_address mine = address::unix_path(where)->raw();
      const io_handle door = io->make_listener(mine, {});
      if (door >= 0) ++listening;
      both.arrive_and_wait();
      if (is_first) EXPECT_EQ(listening.exchange(0), 1) << "round " << round;
      if (door >= 0) io->close_now(door);  // its path stays, and nobody listens
    }
  };
  std::thread other([&] { start_often(false); });
  start_often(true);
  other.join();
}

// The case that these rounds meet once in thousands: one is between its look and its bind.
TEST_P(storm_contract, a_start_on_a_unix_path_waits_for_another_in_its_folder) {
  const std::unique_ptr<driver> io = GetParam().make({});
  std::latch is_held(1);
  std::atomic<bool> is_over = false;
  std::thread other([&, folder = std::string(path("."))] {
    const int held = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT_EQ(::flock(held, LOCK_EX), 0);
    is_held.count_down();
    // A start that does not wait is through long before. One that waits gives up after a second,
    // which so many turns may take on a busy machine.
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(250);
    for (int i = 0; i < 20'000 && std::chrono::steady_clock::now() < until; ++i)
      std::this_thread::yield();
    is_over = true;
    ::close(held);
  });
  is_held.wait();
  raw_address where = address::unix_path(path("door"))->raw();
  const io_handle door = io->make_listener(where, {});
  EXPECT_TRUE(is_over);
  EXPECT_GE(door, 0);
  io->close_now(door);
  other.join();
}

}  // namespace
}  // namespace weir::storm_contract_test

// What the drivers over the real kernel do at its limits.
// Needs the kernel: limits and system call filters of processes.
#include <weir/io/kernel_driver.hpp>

#include <weir/base/log.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/child_process_test.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/file.hpp>
#include <weir/io/lowered_limit_test.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/receive_arena.hpp>
#include <weir/testing/allocations.hpp>
#include <weir/testing/contracts/driver_contract.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::kernel_driver_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using ::testing::HasSubstr;

struct epoll_drivers {
  static std::unique_ptr<driver> make() { return make_named<epoll_name>({}); }
  static std::string folder() { return ::testing::TempDir(); }
};
WEIR_DRIVER_CONTRACT_ON(kernel, epoll_drivers);

struct uring_drivers : epoll_drivers {
  static std::unique_ptr<driver> make() {
    return has_uring() ? make_named<uring_name>({}) : nullptr;
  }
};
WEIR_DRIVER_CONTRACT_ON(kernel, uring_drivers);

class kernel_limits : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, kernel_limits, ::testing::ValuesIn(kernel_drivers()), name_of);

// The disk is slow: what it is asked for must not wait until all tasks have had their turn.
TEST_P(kernel_limits, a_durable_write_begins_beside_the_turn) {
  run([&]() -> task<> {
    file to = co_await open_file(path("a"), {.write = true, .create = true});
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](file& f) -> task<> { co_await f.write_durably_at(0, "begun"); }, std::ref(to));
      co_await yield();  // the writer has asked; the turn goes on
      const std::uint64_t turn = loop::current()->stats().turns;
      const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (to.size() == 0 && std::chrono::steady_clock::now() < patience)
        std::this_thread::yield();
      EXPECT_EQ(to.size(), 5u);
      EXPECT_EQ(loop::current()->stats().turns, turn);
    });
  });
}

TEST_P(kernel_limits, a_full_disk_is_no_space) {
  run([]() -> task<> {
    file full = co_await open_file("/dev/full", {.write = true});
    const result<void> outcome = co_await as_result(full.write_at(0, "x"));
    EXPECT_FALSE(outcome);
    if (outcome) co_return;
    EXPECT_EQ(outcome.error().code(), errc::no_space);
    EXPECT_EQ(outcome.error().message(), "write '/dev/full'");
  });
}

TEST_P(kernel_limits, a_write_that_fails_on_its_way_says_how_far_it_came) {
  ::signal(SIGXFSZ, SIG_IGN);
  run([&]() -> task<> {
    file f = co_await open_file(path("a"), {.write = true, .create = true});
    const lowered_limit small(RLIMIT_FSIZE, 100'000);
    const std::string text(300'000, 'x');
    const result<void> outcome = co_await as_result(f.write_at(0, text));
    EXPECT_FALSE(outcome);
    if (outcome) co_return;
    EXPECT_EQ(outcome.error().code(), errc::too_large);
    EXPECT_EQ(outcome.error().message(), "write '" + path("a") + "' failed after 100000 bytes");
    EXPECT_EQ(f.size(), 100'000u);
  });
  ::signal(SIGXFSZ, SIG_DFL);
}

TEST_P(kernel_limits, what_is_behind_urgent_data_is_received) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await pair.client.send("ab");
    EXPECT_EQ(::send(pair.client.handle(), "!", 1, MSG_OOB), 1);
    co_await pair.client.send("de");
    EXPECT_EQ(co_await receive_at_least(pair.server, 4), "abde");
  });
}

TEST_P(kernel_limits, the_path_of_a_dead_unix_socket_is_taken_over) {
  const std::string where = path("door");
  run([&]() -> task<> {
    {
      listener dead = co_await listen({.path = where});
    }
    EXPECT_TRUE(path_status(where)) << "closing leaves the file";
    listener door = co_await listen({.path = where});
    socket client = co_await connect(door.local());
    socket server = co_await door.accept();
    co_await client.send("x");
    EXPECT_EQ(co_await receive_at_least(server, 1), "x");
    file other = co_await open_file(path("no socket"), {.write = true, .create = true});
    EXPECT_EQ(co_await code_of(listen({.path = path("no socket")})), errc::busy);
  });
}

TEST_P(kernel_limits, a_connect_to_a_unix_listener_without_room_waits_for_it) {
  run([&]() -> task<> {
    listener door = co_await listen({.path = path("door"), .backlog = 1});
    int connected = 0;
    const auto connect_one = [&]() -> task<> {
      socket client = co_await connect(door.local());
      ++connected;
    };
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 5; ++i) s.spawn(connect_one);
      for (int i = 0; i < 5; ++i) std::ignore = co_await door.accept();
      co_await s.join();
    });
    EXPECT_EQ(connected, 5);
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 5; ++i) s.spawn(connect_one);
      while (connected < 7) co_await yield();
      s.cancel("test");
    });
    EXPECT_EQ(connected, 7);
  });
}

TEST_P(kernel_limits, abstract_unix_names_and_ipv6_work) {
  const std::string name = "@weir-test-" + std::to_string(::getpid());
  run([&]() -> task<> {
    std::vector<address> wanted{*address::unix_path(name)};
    if (has_ipv6()) wanted.push_back(*address::parse("[::1]:0"));
    for (const address& where : wanted) {
      listener door = co_await listen_at(where);
      socket client = co_await connect(door.local());
      socket server = co_await door.accept();
      co_await client.send("x");
      EXPECT_EQ(co_await receive_at_least(server, 1), "x");
      EXPECT_TRUE(door.local().is_loopback());
    }
  });
}

TEST_P(kernel_limits, receives_wait_while_views_hold_all_memory) {
  run(
      []() -> task<> {
        std::vector<connection> pairs;
        for (int i = 0; i < 3; ++i) pairs.push_back(co_await connect_pair());
        const std::string text(200'000, 'x');
        std::vector<bytes> kept;
        std::size_t arrived = 0;
        bool is_dropping = false;
        co_await with_scope([&](scope& s) -> task<> {
          for (connection& pair : pairs) {
            s.spawn([&]() -> task<> {
              co_await pair.client.send(text);
              co_await pair.client.shutdown_send();
            });
            s.spawn([&]() -> task<> {
              while (bytes piece = co_await pair.server.receive()) {
                arrived += piece.size();
                if (!is_dropping) kept.push_back(std::move(piece));
              }
            });
          }
          std::size_t before = 1;
          while (before != arrived) {  // until nothing moves any more
            before = arrived;
            co_await sleep(20_ms);
          }
          EXPECT_LE(arrived, 8 * detail::receive_arena::block_bytes);
          EXPECT_GT(arrived, 0u);
          is_dropping = true;
          kept.clear();
          co_await s.join();
        });
        EXPECT_EQ(arrived, 3 * text.size());
      },
      {.receive_blocks_max = 8});
}

TEST_P(kernel_limits, a_driver_of_one_block_receives) {
  run(
      []() -> task<> {
        connection pair = co_await connect_pair();
        co_await pair.client.send("x");
        EXPECT_EQ(co_await receive_at_least(pair.server, 1), "x");
      },
      {.receive_blocks_max = 1});
}

// No event tells that there is memory again.
TEST_P(kernel_limits, receives_without_memory_are_looked_at_again) {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "the sanitizer's own memory would be limited, too";
#endif
  const factory driver = GetParam();
  const child_outcome outcome = in_child([&] {
    const std::unique_ptr<weir::driver> io = driver.make({});
    run_on(*io, []() -> task<> {
      connection pair = co_await connect_pair();
      const std::string text(5'000'000, 'x');
      std::vector<bytes> kept;
      kept.reserve(5'000);
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { co_await pair.client.send(text); });
        co_await yield();
        static rlimit before{};
        ::getrlimit(RLIMIT_DATA, &before);
        ::signal(SIGALRM, [](int) { ::setrlimit(RLIMIT_DATA, &before); });
        const itimerval later{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 50'000}};
        ::setitimer(ITIMER_REAL, &later, nullptr);
        const rlimit none{.rlim_cur = 4'096, .rlim_max = before.rlim_max};
        ::setrlimit(RLIMIT_DATA, &none);
        for (std::size_t left = text.size(); left != 0; left -= kept.back().size())
          kept.push_back(co_await pair.server.receive());
      });
    }());
    return 0;
  });
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

TEST_P(kernel_limits, a_small_ring_serves_many_more_requests) {
  run(
      []() -> task<> {
        std::vector<connection> pairs;
        for (int i = 0; i < 300; ++i) pairs.push_back(co_await connect_pair());
        int arrived = 0;
        co_await with_scope([&](scope& s) -> task<> {
          for (connection& pair : pairs) {
            s.spawn([&]() -> task<> {
              for (int i = 0; i < 5; ++i)
                arrived += static_cast<int>((co_await receive_at_least(pair.server, 1)).size());
            });
          }
          co_await yield();
          for (int i = 0; i < 5; ++i) {
            for (connection& pair : pairs) co_await pair.client.send("x");
            while (arrived < 300 * (i + 1)) co_await yield();
          }
          co_await s.join();
        });
        EXPECT_EQ(arrived, 1'500);
      },
      {.ring_entries = 4});
}

TEST_P(kernel_limits, what_nobody_receives_stays_with_the_sender) {
  run(
      []() -> task<> {
        connection pair = co_await connect_pair();
        // Once received from, a socket may be read ahead; but only so far.
        co_await pair.client.send("x");
        EXPECT_EQ(co_await receive_at_least(pair.server, 1), "x");
        const std::string text(1'000, 'y');
        std::size_t all = 0;
        co_await with_scope({.timeout = 50_ms}, [&](scope&) -> task<> {
          for (;;) {
            std::size_t sent = 0;
            co_await pair.client.send(text, &sent);
            all += sent;
            co_await yield();
          }
        });
        co_await pair.client.shutdown_send();
        std::size_t arrived = 0;
        while (const bytes piece = co_await pair.server.receive()) arrived += piece.size();
        EXPECT_GE(arrived, all);
        EXPECT_LT(arrived, 64u << 20);
      },
      {.receive_blocks_max = 200});
}

// Bytes that have left the client and are not in the kernel's queue of the server.
std::size_t kept_of(const connection& pair, std::size_t sent) {
  int unsent = 0;
  int unread = 0;
  EXPECT_EQ(::ioctl(pair.client.handle(), SIOCOUTQ, &unsent), 0);
  EXPECT_EQ(::ioctl(pair.server.handle(), SIOCINQ, &unread), 0);
  const auto in_kernel = static_cast<std::size_t>(unsent) + static_cast<std::size_t>(unread);
  return sent - std::min(sent, in_kernel);
}

// A socket that was received from once may be read ahead: by a burst further than a few pieces,
// since the kernel has taken much of it before the driver hears of any.
TEST_P(kernel_limits, bursts_that_nobody_receives_stay_with_their_senders) {
  constexpr std::size_t blocks_max = 1'024;
  run(
      []() -> task<> {
        struct sender {
          connection pair;
          std::size_t sent = 0;
        };
        const std::string text = pattern(400'000);
        std::vector<sender> all(40);
        for (sender& one : all) {
          one.pair = co_await connect_pair();
          co_await one.pair.client.send("x");
          EXPECT_EQ(co_await receive_at_least(one.pair.server, 1), "x");
        }
        co_await with_scope([&](scope& s) -> task<> {
          for (sender& one : all) {
            s.spawn([&]() -> task<> {
              co_await one.pair.client.send(text, &one.sent);
              co_await one.pair.client.shutdown_send();
            });
          }
          std::size_t before = 0;
          std::size_t kept = 1;
          while (before != kept) {  // until nothing moves any more
            before = std::exchange(kept, 0);
            co_await sleep(10_ms);
            for (const sender& one : all) kept += kept_of(one.pair, one.sent);
          }
          constexpr std::size_t at_once = 128 + blocks_max / 32 + 40;
          EXPECT_LE(kept, at_once * detail::receive_arena::block_bytes);
          for (sender& one : all) EXPECT_EQ(co_await receive_all(one.pair.server), text);
        });
      },
      {.receive_blocks_max = blocks_max});
}

// A stream that fails ends there: what came before is right, and nothing that came later follows.
TEST_P(kernel_limits, without_memory_a_stream_that_nobody_receives_has_no_hole) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "allocations can't fail here";
  run([]() -> task<> {
    std::size_t struck = 0;
    for (std::uint64_t nth = 1; nth <= 6; ++nth) {
      connection pair = co_await connect_pair();
      connection other = co_await connect_pair();
      co_await pair.client.send("x");
      EXPECT_EQ(co_await receive_at_least(pair.server, 1), "x");
      std::string sent;
      const auto send_all = [&]() -> task<> {
        for (const char* piece : {"a", "b", "c", "d", "e"}) {
          co_await pair.client.send(piece);
          sent += piece;
          co_await other.client.send("y");  // once it is here, so is the piece
          std::ignore = co_await other.server.receive();
        }
      };
      {
        const testing::failing_allocation no_memory(nth);
        try {
          co_await send_all();
        } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the sender's own want
        }
        struck += no_memory.has_struck();
      }
      co_await pair.client.shutdown_send();
      std::string arrived;
      const auto receive_rest = [&]() -> task<> {
        while (const bytes piece = co_await pair.server.receive()) arrived += piece.text();
      };
      const result<void> whole = co_await as_result(receive_rest());
      EXPECT_TRUE(sent.starts_with(arrived)) << arrived << " of " << sent;
      if (whole) EXPECT_EQ(arrived, sent);
    }
    if (std::string_view(loop::current()->io().name()) == "io_uring") EXPECT_GE(struck, 1u);
  });
}

// The system calls of a wait end with EINTR then, as they do for an instant when a ring of the same
// thread has been closed: one test failed in thousands, after one of another driver.
TEST_P(kernel_limits, signals_that_nobody_waits_for_do_not_end_a_wait) {
  const factory driver = GetParam();
  const child_outcome outcome = in_child([&] {
    const std::unique_ptr<weir::driver> io = driver.make({});
    struct sigaction action = {};
    static volatile sig_atomic_t heard = 0;
    action.sa_handler = [](int) { heard = heard + 1; };
    sigfillset(&action.sa_mask);
    ::sigaction(SIGALRM, &action, nullptr);
    const itimerval every{.it_interval = {.tv_sec = 0, .tv_usec = 500},
                          .it_value = {.tv_sec = 0, .tv_usec = 500}};
    ::setitimer(ITIMER_REAL, &every, nullptr);
    while (heard < 10) {
      const time_point until = io->now() + 5_ms;
      io->wait(until);
      if (io->now() < until) return 1;
    }
    io->wake();
    io->wait(time_point::never());  // a wake-up does
    return 0;
  });
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

TEST_P(kernel_limits, two_receives_at_once_are_a_bug_that_is_told) {
  const factory driver = GetParam();
  const child_outcome outcome = in_child([&] {
    const std::unique_ptr<weir::driver> io = driver.make({});
    run_on(*io, []() -> task<> {
      connection pair = co_await connect_pair();
      co_await with_scope([&](scope& s) -> task<> {
        for (int i = 0; i < 2; ++i)
          s.spawn([&]() -> task<> { std::ignore = co_await pair.server.receive(); });
        co_await s.join();
      });
    }());
    return 0;
  });
  EXPECT_EQ(outcome.signal, SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("a socket has one receive and one send at a time"));
}

TEST(make_driver, refuses_a_name_that_it_does_not_know) {
  try {
    std::ignore = make_driver({.name = "iocp"});
    ADD_FAILURE() << "there is no such driver";
  } catch (const exception& e) {
    EXPECT_EQ(e.reason().code(), errc::invalid_argument);
    EXPECT_EQ(e.reason().message(), "there is no driver 'iocp'; io_uring and epoll are known");
  }
}

TEST(make_driver, obeys_the_environment) {
  ::setenv("WEIR_DRIVER", "epoll", 1);
  EXPECT_STREQ(make_driver()->name(), "epoll");
  ::setenv("WEIR_DRIVER", "kqueue", 1);
  EXPECT_THROW(std::ignore = make_driver(), exception);
  EXPECT_STREQ(make_driver({.name = "epoll"})->name(), "epoll") << "the program's choice is first";
  ::unsetenv("WEIR_DRIVER");
}

// As containers do: a system call fails with EPERM or ENOSYS, whatever the kernel could do.
bool deny(unsigned system_call, unsigned code) {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, system_call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | code),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = sizeof rules / sizeof rules[0], .filter = rules};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
constexpr int exit_unfiltered = 77;

class denied_with : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(errors, denied_with, ::testing::Values(EPERM, ENOSYS),
                         [](const auto& one) { return one.param == EPERM ? "EPERM" : "ENOSYS"; });

TEST_P(denied_with, io_uring_falls_back_to_epoll_and_says_so_once) {
  const child_outcome outcome = in_child([] {
    ::unsetenv("WEIR_DRIVER");
    if (!deny(__NR_io_uring_setup, GetParam())) return exit_unfiltered;
    const std::unique_ptr<driver> first = make_driver();
    const std::unique_ptr<driver> second = make_driver();
    if (std::string(first->name()) != "epoll" || std::string(second->name()) != "epoll") return 1;
    try {
      std::ignore = make_driver({.name = "io_uring"});
      return 2;
    } catch (const exception& e) {
      return e.reason() == errc::unsupported ? 0 : 3;
    }
  });
  if (outcome.code == exit_unfiltered)
    GTEST_SKIP() << "this system does not let us filter system calls";
  EXPECT_EQ(outcome.code, 0);
  const std::string line = "io_uring is not available, using epoll";
  EXPECT_THAT(outcome.text, HasSubstr(line));
  EXPECT_EQ(outcome.text.find(line), outcome.text.rfind(line));
}

TEST_P(denied_with, epoll_waits_in_milliseconds_and_fires_no_timer_early) {
  const child_outcome outcome = in_child([] {
    if (!deny(__NR_epoll_pwait2, GetParam())) return exit_unfiltered;
    const std::unique_ptr<driver> io = make_driver({.name = "epoll"});
    return run_on(*io, []() -> task<int> {
      const time_point start = loop::current()->now();
      co_await sleep(duration(1'500'000));
      if (loop::current()->now() - start < duration(1'500'000)) co_return 1;
      connection pair = co_await connect_pair();
      std::string arrived;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { arrived = co_await receive_all(pair.server); });
        co_await sleep(1_ms);
        co_await pair.client.send("x");
        pair.client.close();
      });
      co_return arrived == "x" ? 0 : 2;
    }());
  });
  if (outcome.code == exit_unfiltered)
    GTEST_SKIP() << "this system does not let us filter system calls";
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

// As when the kernel has no memory for a request: what does not wait as well fails with EAGAIN.
bool deny_submissions_alone() {
  constexpr unsigned flags_at = offsetof(struct seccomp_data, args[3]);
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_enter, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, flags_at),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1 /* IORING_ENTER_GETEVENTS */, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = sizeof rules / sizeof rules[0], .filter = rules};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(uring_driver, a_cancel_that_the_kernel_does_not_take_is_asked_again) {
  if (!has_uring()) GTEST_SKIP() << "no io_uring";
  const child_outcome outcome = in_child([] {
    const std::unique_ptr<driver> io = make_driver({.name = uring_name, .ring_entries = 4});
    if (!deny_submissions_alone()) return exit_unfiltered;
    ::alarm(20);
    run_on(*io, []() -> task<> {
      listener door = co_await listen({});
      co_await with_scope([&](scope& s) -> task<> {
        for (int i = 0; i < 20; ++i)
          s.spawn([&]() -> task<> { std::ignore = co_await door.accept(); });
        for (int i = 0; i < 20; ++i) co_await yield();
        s.cancel("test");
      });
    }());
    return 0;
  });
  if (outcome.code == exit_unfiltered)
    GTEST_SKIP() << "this system does not let us filter system calls";
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

TEST(make_driver, says_its_choice_once_to_those_who_ask) {
  const child_outcome outcome = in_child([] {
    log::set_level(log::level::debug);
    for (int i = 0; i < 2; ++i) std::ignore = make_driver({.name = "epoll"});
    return 0;
  });
  const std::string line = "driver chosen driver=epoll";
  EXPECT_THAT(outcome.text, HasSubstr(line));
  EXPECT_EQ(outcome.text.find(line), outcome.text.rfind(line));
}

}  // namespace
}  // namespace weir::kernel_driver_test

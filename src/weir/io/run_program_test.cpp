// Programs as a whole: exit codes, signals, all cores. What ends a process runs in a child.
// Needs the kernel: exit codes, signals, threads.
#include <weir/io/run_program.hpp>

#include <weir/base/log.hpp>
#include <weir/core.hpp>
#include <weir/core/core_group.hpp>
#include <weir/io/child_process_test.hpp>
#include <weir/io/signals.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/allocations.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace weir::run_program_test {
namespace {

using namespace weir::literals;
using ::testing::HasSubstr;
using ::testing::Not;

// A port that the loops agree on before they listen. It is bound and shared, so nobody else gets
// it, and does not listen, so it takes no connection away.
class shared_port {
 public:
  shared_port() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const raw = reinterpret_cast<sockaddr*>(&where);
    socklen_t size = sizeof where;
    EXPECT_EQ(::bind(socket_, raw, size), 0);
    EXPECT_EQ(::getsockname(socket_, raw, &size), 0);
    number_ = ntohs(where.sin_port);
  }
  ~shared_port() { ::close(socket_); }
  shared_port(const shared_port&) = delete;
  shared_port& operator=(const shared_port&) = delete;

  std::uint16_t number() const noexcept { return number_; }

 private:
  int socket_;
  std::uint16_t number_ = 0;
};

task<int> give(int value) {
  co_await sleep(1_ms);
  co_return value;
}

TEST(run_program, its_result_is_the_exit_code) {
  EXPECT_EQ(run(give(42)), 42);
  EXPECT_EQ(run([]() -> task<> { co_await sleep(1_ms); }()), 0);
}

TEST(run_program, an_error_that_nobody_takes_ends_the_process_with_its_trace) {
  const child_outcome outcome = in_child([] {
    return run([]() -> task<> {
      co_await sleep(1_ms);
      raise(error(errc::corrupt, "the flux is broken"));
    }());
  });
  EXPECT_EQ(outcome.signal, SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("corrupt: the flux is broken"));
  EXPECT_THAT(outcome.text, HasSubstr("run_program_test.cpp"));
}

TEST(run_program, sigterm_ends_every_wait_and_the_program_in_order_T19) {
  const child_outcome outcome = in_child(
      [] {
        return run([]() -> task<> {
          struct farewell {
            ~farewell() { std::fprintf(stderr, "cleaned up\n"); }
          } at_the_end;
          listener door = co_await listen({});
          say_ready();
          std::ignore = co_await door.accept();
        }());
      },
      [](pid_t child) { ::kill(child, SIGTERM); });
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("cleaned up"));
}

TEST(run_program, a_stop_by_a_signal_is_in_the_log_with_its_kind_and_name) {
  for (const bool on_all_cores : {false, true}) {
    const child_outcome outcome = in_child(
        [&] {
          log::set_level(log::level::debug);
          const auto program = []() -> task<> {
            say_ready();
            co_await sleep(3600_s);
          };
          return on_all_cores ? run_on_all_cores({.cores = 1}, program) : run(program());
        },
        [](pid_t child) { ::kill(child, SIGTERM); });
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    const std::string name = on_all_cores ? "\"core 0\"" : "main";
    EXPECT_THAT(outcome.text,
                HasSubstr("scope cancelled scope=" + name + " kind=shutdown reason=SIGTERM"));
  }
}

TEST(run_program, a_second_signal_kills_one_that_does_not_end_T19) {
  const child_outcome outcome = in_child(
      [] {
        return run([]() -> task<> {
          co_await shield([]() -> task<> {
            say_ready();
            std::ignore = co_await as_result(wait_signal(SIGTERM));
            co_await sleep(1_ms);
            ::kill(::getpid(), SIGTERM);
            co_await sleep(3600_s);
          }());
        }());
      },
      [](pid_t child) { ::kill(child, SIGTERM); });
  EXPECT_EQ(outcome.signal, SIGTERM) << outcome.text;
}

TEST(run_program, a_second_signal_kills_one_whose_loop_is_held_T19) {
  for (const bool on_all_cores : {false, true}) {
    const child_outcome outcome = in_child([&] {
      const auto program = []() -> task<> {
        ::raise(SIGTERM);
        ::raise(SIGINT);  // no turn of the loop between the two
        std::fprintf(stderr, "still here\n");
        co_return;
      };
      return on_all_cores ? run_on_all_cores({.cores = 1}, program) : run(program());
    });
    EXPECT_EQ(outcome.signal, SIGINT) << outcome.text;
    EXPECT_THAT(outcome.text, Not(HasSubstr("still here")));
  }
}

TEST(run_program, a_signal_that_was_ignored_at_the_start_stays_ignored) {
  const child_outcome outcome = in_child([] {
    ::signal(SIGINT, SIG_IGN);
    return run([]() -> task<int> {
      ::raise(SIGINT);
      co_await sleep(1_ms);
      co_return 7;
    }());
  });
  EXPECT_EQ(outcome.code, 7) << outcome.text;
}

TEST(run_program, every_core_serves_one_port) {
  std::atomic<int> listeners = 0;
  const shared_port port;
  std::atomic<int> served = 0;
  std::set<std::thread::id> threads;
  std::mutex lock;
  const auto program = [&]() -> task<> {
    {
      const std::lock_guard guard(lock);
      threads.insert(std::this_thread::get_id());
    }
    listener door = co_await listen({.port = port.number()});
    ++listeners;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (;;) {
          socket peer = co_await door.accept();
          co_await peer.send("x");
        }
      });
      while (listeners < 3) co_await sleep(1_ms);
      for (int i = 0; i < 20; ++i) {
        socket self = co_await connect(address::loopback(port.number()));
        served += (co_await self.receive()).text() == "x";
      }
      while (served < 60) co_await sleep(1_ms);
      s.cancel("done");
    });
  };
  EXPECT_EQ(run_on_all_cores({.cores = 3}, program), 0);
  EXPECT_EQ(served, 60);
  EXPECT_EQ(threads.size(), 3u);
}

TEST(run_program, an_error_on_one_core_ends_the_others_and_the_process) {
  const child_outcome outcome = in_child([] {
    std::atomic<int> started = 0;
    return run_on_all_cores({.cores = 3}, [&]() -> task<> {
      struct farewell {
        ~farewell() { std::fprintf(stderr, "cleaned up\n"); }
      } at_the_end;
      const int mine = started++;
      if (mine == 1) {
        while (started < 3) co_await sleep(1_ms);
        raise(error(errc::corrupt, "core 1 is broken"));
      }
      co_await sleep(3600_s);
    });
  });
  EXPECT_EQ(outcome.signal, SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("core 1 is broken"));
  EXPECT_THAT(outcome.text,
              ::testing::ContainsRegex("cleaned up(.|\n)*cleaned up(.|\n)*cleaned up"));
}

TEST(run_program, errors_of_several_cores_are_all_told) {
  const child_outcome outcome = in_child([] {
    std::atomic<int> started = 0;
    return run_on_all_cores({.cores = 3}, [&]() -> task<> {
      ++started;
      if (this_core() == 1) {
        while (started < 3) co_await sleep(1_ms);
        raise(error(errc::corrupt, "core 1 is broken"));
      }
      std::ignore = co_await as_result(sleep(3600_s));
      raise(error(errc::io, this_core() == 0 ? "core 0 can't clean up" : "core 2 can't clean up"));
    });
  });
  EXPECT_EQ(outcome.signal, SIGABRT);
  EXPECT_THAT(outcome.text,
              ::testing::ContainsRegex("3 errors:(.|\n)*\\[1\\](.|\n)*core 1 is broken"));
  EXPECT_THAT(outcome.text, HasSubstr("core 0 can't clean up"));
  EXPECT_THAT(outcome.text, HasSubstr("core 2 can't clean up"));
}

TEST(run_program, without_memory_for_another_core_all_end) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "allocations can't fail here";
  static std::atomic<bool> is_told = false;
  const unhandled_handler before =
      set_unhandled_handler([](const unhandled_error&) noexcept { is_told = true; });
  bool has_struck = true;
  for (std::uint64_t nth = 1; has_struck; ++nth) {
    const testing::failing_allocation no_memory(nth);
    int code = 1;
    is_told = false;
    try {
      code = run_on_all_cores({.cores = 3}, []() -> task<> { co_return; });
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): before there were any
    }
    has_struck = no_memory.has_struck();
    EXPECT_EQ(code != 0 || is_told, has_struck) << testing::failing_allocation::place();
  }
  set_unhandled_handler(before);
}

// What is called belongs to one core, so it needs no lock: a sanitizer would see a race.
TEST(run_program, cores_call_each_other) {
  std::vector<std::int64_t> sums(3);
  std::atomic<int> done = 0;
  const auto program = [&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (int t = 0; t < 4; ++t) {
        s.spawn([&]() -> task<> {
          for (std::size_t i = 0; i < 60; ++i) {
            const auto add = [&]() -> task<std::string> {
              sums[this_core()] += 1;
              if (sums[this_core()] % 8 == 0) co_await yield();
              co_return "a value that is too long for the small buffer of a string";
            };
            if (i % 5 == 0) {
              std::ignore = co_await as_result(with_timeout(1_us, cores().call(i % 3, add)));
            } else {
              EXPECT_EQ((co_await cores().call(i % 3, add)).size(), 57u);
            }
          }
        });
      }
      co_return;
    });
    ++done;
    while (done < 3) co_await sleep(1_ms);
    const auto total = co_await as_result(
        cores().map_reduce([&] { return sums[this_core()]; }, std::int64_t{0},
                           [](std::int64_t a, std::int64_t b) { return a + b; }));
    if (total) EXPECT_GE(*total, 576);
    ++done;
    while (done < 6) co_await sleep(1_ms);
  };
  EXPECT_EQ(run_on_all_cores({.cores = 3}, program), 0);
}

TEST(run_program, a_stop_that_cuts_calls_off_is_no_error) {
  const child_outcome outcome = in_child(
      [] {
        std::atomic<int> started = 0;
        return run_on_all_cores({.cores = 3}, [&]() -> task<> {
          co_await with_scope([&](scope& s) -> task<> {
            for (int i = 0; i < 20; ++i) {
              s.spawn([&]() -> task<> {
                co_await cores().call((this_core() + 1) % 3, [&]() -> task<> {
                  if (++started == 60) say_ready();
                  co_await sleep(3600_s);
                });
              });
            }
            co_return;
          });
        });
      },
      [](pid_t child) { ::kill(child, SIGTERM); });
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

// Many loops to tell: the first have long been told when the last are, and are called by these.
TEST(run_program, a_stop_is_told_to_all_cores_before_one_cuts_calls_off) {
  const child_outcome outcome = in_child(
      [] {
        constexpr std::size_t count = 40;
        constexpr std::size_t callers = 10;
        std::atomic<std::size_t> started = 0;
        const auto stay = [&]() -> task<> {
          if (++started == count) say_ready();
          co_await sleep(3600_s);
        };
        return run_on_all_cores({.io = {.ring_entries = 8}, .cores = count}, [&]() -> task<> {
          const bool calls = this_core() >= count - callers;
          if (calls) co_await cores().call(count - this_core(), stay);
          if (!calls) co_await stay();
        });
      },
      [](pid_t child) { ::kill(child, SIGTERM); });
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

TEST(run_program, an_unknown_driver_is_told_in_a_line) {
  for (const bool on_all_cores : {false, true}) {
    const child_outcome outcome = in_child([&] {
      ::setenv("WEIR_DRIVER", "kqueue", 1);
      return on_all_cores ? run_on_all_cores(
                                {.cores = 1}, [](int) -> task<> { co_return; }, 1)
                          : run(give(0));
    });
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.text, ::testing::StartsWith("weir: invalid_argument: there is no driver "));
    EXPECT_EQ(outcome.text.find('\n'), outcome.text.size() - 1);
  }
}

TEST(run_program, sigint_ends_all_cores) {
  const child_outcome outcome = in_child(
      [] {
        std::atomic<int> started = 0;
        return run_on_all_cores({.cores = 3}, [&]() -> task<> {
          if (++started == 3) say_ready();
          co_await sleep(3600_s);
        });
      },
      [](pid_t child) { ::kill(child, SIGINT); });
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

}  // namespace
}  // namespace weir::run_program_test

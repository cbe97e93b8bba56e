// Waits for descriptors that others own: what makes them ready, and what they say of errors.
// Needs the kernel: the virtual world has no descriptors.
#include <weir/io/readiness.hpp>

#include <weir/io/contract_test.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

namespace weir::readiness_test {
namespace {

using namespace weir::contract;

/// A descriptor of somebody else's, which knows nothing of weir.
struct foreign {
  int number;
  explicit foreign(int made) noexcept : number(made) { EXPECT_GE(number, 0); }
  foreign(const foreign&) = delete;
  foreign& operator=(const foreign&) = delete;
  ~foreign() { close(); }
  void close() noexcept {
    if (number >= 0) ::close(std::exchange(number, -1));
  }
};

/// Both ends of a pipe, or of a pair of sockets.
struct foreign_pair {
  foreign a;  // of a pipe, the end that is read
  foreign b;
  explicit foreign_pair(std::array<int, 2> made) noexcept : a(made[0]), b(made[1]) {}

  static std::array<int, 2> of_pipe() noexcept {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    return ends;
  }
  static std::array<int, 2> of_sockets() noexcept {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    return ends;
  }
};

/// Writes until it would block.
void fill(const foreign& to) {
  const std::string piece(4096, 'x');
  while (::write(to.number, piece.data(), piece.size()) > 0) {
  }
  EXPECT_EQ(errno, EAGAIN);
}
/// Reads until it would block.
void drain(const foreign& from) {
  std::array<char, 4096> piece;
  while (::read(from.number, piece.data(), piece.size()) > 0) {
  }
}
void count(const foreign& event, std::uint64_t by) {
  EXPECT_EQ(::write(event.number, &by, sizeof by), static_cast<ssize_t>(sizeof by));
}
std::uint64_t take_count(const foreign& event) {
  std::uint64_t counted = 0;
  EXPECT_EQ(::read(event.number, &counted, sizeof counted), static_cast<ssize_t>(sizeof counted));
  return counted;
}

class readiness : public contract::fixture {
 protected:
  /// The flags with which make()'s wait ends. It must not end before act(), though the driver looks
  /// at it several times.
  template <class Make>
  static task<int> after(Make make, std::function<void()> act) {
    int flags = 0;
    bool has_acted = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        flags = co_await make();
        EXPECT_TRUE(has_acted) << "nothing has happened yet, and it gave " << flags;
      });
      for (int turns = 0; turns < 5; ++turns) co_await yield();
      has_acted = true;
      act();
      co_await s.join();
    });
    co_return flags;
  }
};
INSTANTIATE_TEST_SUITE_P(drivers, readiness, ::testing::ValuesIn(kernel_drivers()), name_of);

TEST_P(readiness, of_an_eventfd_comes_with_a_count_and_goes_with_it) {
  run([]() -> task<> {
    const foreign event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const auto readable = [&] { return wait_readable(event.number); };
    const auto writable = [&] { return wait_writable(event.number); };
    for (int round = 0; round < 3; ++round) {
      EXPECT_EQ(co_await after(readable, [&] { count(event, 2); }), POLLIN);
      EXPECT_EQ(co_await readable(), POLLIN) << "nobody has taken it";
      EXPECT_EQ(take_count(event), 2u);
    }
    EXPECT_EQ(co_await writable(), POLLOUT);
    count(event, ~std::uint64_t{0} - 1);  // as much as it holds
    EXPECT_EQ(co_await after(writable, [&] { take_count(event); }), POLLOUT);
  });
}

TEST_P(readiness, is_heard_when_another_thread_makes_it) {
  run([]() -> task<> {
    const foreign event(::eventfd(0, EFD_CLOEXEC));
    std::jthread other;
    EXPECT_EQ(co_await after([&] { return wait_readable(event.number); },
                             [&] { other = std::jthread([&] { count(event, 1); }); }),
              POLLIN);
    EXPECT_EQ(take_count(event), 1u);
  });
}

TEST_P(readiness, of_a_full_pipe_comes_with_room) {
  run([]() -> task<> {
    const foreign_pair pipe(foreign_pair::of_pipe());
    const auto writable = [&] { return wait_writable(pipe.b.number); };
    EXPECT_EQ(co_await writable(), POLLOUT);
    for (int round = 0; round < 2; ++round) {
      fill(pipe.b);
      EXPECT_EQ(co_await after(writable, [&] { drain(pipe.a); }), POLLOUT);
    }
  });
}

TEST_P(readiness, of_a_pipe_says_when_the_other_end_has_gone) {
  run([]() -> task<> {
    foreign_pair read(foreign_pair::of_pipe());
    const auto readable = [&] { return wait_readable(read.a.number); };
    EXPECT_EQ(co_await after(readable, [&] { read.b.close(); }), POLLHUP);

    foreign_pair rest(foreign_pair::of_pipe());
    EXPECT_EQ(::write(rest.b.number, "x", 1), 1);
    rest.b.close();
    EXPECT_EQ(co_await wait_readable(rest.a.number), POLLIN | POLLHUP) << "first read the rest";

    foreign_pair full(foreign_pair::of_pipe());
    fill(full.b);
    const auto writable = [&] { return wait_writable(full.b.number); };
    EXPECT_EQ(co_await after(writable, [&] { full.a.close(); }), POLLERR);
  });
}

TEST_P(readiness, of_a_full_socket_comes_with_room_and_of_both_ways_each_by_itself) {
  run([]() -> task<> {
    foreign_pair ends(foreign_pair::of_sockets());
    fill(ends.a);
    const auto readable = [&] { return wait_readable(ends.a.number); };
    const auto writable = [&] { return wait_writable(ends.a.number); };
    int read_flags = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { read_flags = co_await readable(); });
      EXPECT_EQ(co_await after(writable, [&] { drain(ends.b); }), POLLOUT);
      EXPECT_EQ(read_flags, 0) << "there is room, and nothing to be read";
      EXPECT_EQ(::write(ends.b.number, "x", 1), 1);
      co_await s.join();
    });
    EXPECT_EQ(read_flags, POLLIN);
    drain(ends.a);
    fill(ends.a);
    EXPECT_EQ(co_await after(readable, [&] { ends.b.close(); }) & (POLLIN | POLLHUP),
              POLLIN | POLLHUP);
    EXPECT_EQ(co_await writable() & (POLLOUT | POLLHUP), POLLOUT | POLLHUP)
        << "a write would not block: it fails";
  });
}

TEST_P(readiness, of_a_connection_that_was_reset_is_an_error) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    const foreign other(::dup(pair.client.handle()));
    EXPECT_EQ(
        co_await after([&] { return wait_readable(other.number); }, [&] { pair.server.reset(); }) &
            (POLLERR | POLLHUP),
        POLLERR | POLLHUP);
  });
}

TEST_P(readiness, wakes_all_who_wait_for_one_descriptor) {
  run([]() -> task<> {
    const foreign event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int woken = 0;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) {
        s.spawn([&]() -> task<> {
          EXPECT_EQ(co_await wait_readable(event.number), POLLIN);
          ++woken;
        });
      }
      EXPECT_EQ(
          co_await after([&] { return wait_readable(event.number); }, [&] { count(event, 1); }),
          POLLIN);
      co_await s.join();
    });
    EXPECT_EQ(woken, 3);
  });
}

// The owner may close a descriptor between two waits, and the next one gets its number.
TEST_P(readiness, of_a_number_is_that_of_the_descriptor_that_has_it_now) {
  run([]() -> task<> {
    foreign_pair ends(foreign_pair::of_pipe());
    const int number = ends.a.number;
    EXPECT_EQ(::write(ends.b.number, "x", 1), 1);
    EXPECT_EQ(co_await wait_readable(number), POLLIN);
    drain(ends.a);
    EXPECT_EQ(co_await after([&] { return wait_readable(number); },
                             [&] { std::ignore = ::write(ends.b.number, "x", 1); }),
              POLLIN);
    const foreign event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    EXPECT_EQ(::dup3(event.number, number, O_CLOEXEC), number);  // closes the pipe's end
    EXPECT_EQ(co_await after([&] { return wait_readable(number); }, [&] { count(event, 1); }),
              POLLIN);
  });
}

TEST_P(readiness, of_a_file_is_there_and_of_what_is_no_descriptor_is_closed) {
  run([&]() -> task<> {
    const foreign file(::open(path("a").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(co_await wait_readable(file.number), POLLIN);
    EXPECT_EQ(co_await wait_writable(file.number), POLLOUT);
    int number = -1;
    {
      const foreign gone(::dup(file.number));
      number = gone.number;
    }
    EXPECT_EQ(co_await code_of(wait_readable(number)), errc::closed);
    EXPECT_EQ(co_await code_of(wait_writable(-1)), errc::closed);
  });
}

}  // namespace
}  // namespace weir::readiness_test

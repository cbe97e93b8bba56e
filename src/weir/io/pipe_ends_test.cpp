// What pipes do, on every driver.
// Needs the kernel: every driver has to keep the contract; the virtual one does too.
#include <weir/io/pipe_ends.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/testing/test.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::pipe_ends_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class pipe_contract : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, pipe_contract, ::testing::ValuesIn(all_drivers()), name_of);

task<std::string> read_all(pipe_reader& from) {
  std::string all;
  while (auto piece = co_await from.receive()) all += piece.text();
  co_return all;
}

std::string numbered(std::size_t size) {
  std::string made(size, '\0');
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<char>((i * 131 + i / 251) & 0xff);
  return made;
}

TEST_P(pipe_contract, bytes_arrive_as_they_were_sent_and_the_end_is_empty_P5) {
  run([]() -> task<> {
    auto [reader, writer] = make_pipe();
    co_await writer.send("hello ");
    const io_slice pieces[] = {{"wo", 2}, {"", 0}, {"rld", 3}};
    co_await writer.send(pieces);
    co_await writer.shutdown_send();
    EXPECT_EQ(co_await read_all(reader), "hello world");
    EXPECT_TRUE((co_await reader.receive()).empty()) << "the end stays the end";
  });
}

TEST_P(pipe_contract, megabytes_arrive_whole_though_the_pipe_is_small) {
  run([]() -> task<> {
    auto [reader, writer] = make_pipe();
    const std::string text = numbered(3'000'000);
    std::vector<io_slice> pieces;
    for (std::size_t at = 0; at < text.size(); at += 1'000)
      pieces.push_back({text.data() + at, 1'000});
    std::string arrived;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { arrived = co_await read_all(reader); });
      co_await writer.send(pieces);
      writer.close();
    });
    EXPECT_TRUE(arrived == text);
  });
}

TEST_P(pipe_contract, bytes_are_received_into_the_callers_memory) {
  run([]() -> task<> {
    auto [reader, writer] = make_pipe();
    std::array<char, 4> memory{};
    std::string arrived;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        while (const std::size_t count = co_await reader.receive_into(memory))
          arrived.append(memory.data(), count);
      });
      co_await yield();
      co_await writer.send("more than fits at once");
      writer.close();
    });
    EXPECT_EQ(arrived, "more than fits at once");
  });
}

TEST_P(pipe_contract, a_send_that_nobody_will_read_is_broken_and_raises_no_signal_P5) {
  struct sigaction own = {};  // also where whoever started this ignores it
  own.sa_handler = SIG_DFL;
  struct sigaction before = {};
  ::sigaction(SIGPIPE, &own, &before);
  run([]() -> task<> {
    auto [reader, writer] = make_pipe();
    reader.close();
    EXPECT_EQ(co_await code_of(writer.send("anybody there?")), errc::broken);
  });
  struct sigaction now = {};
  ::sigaction(SIGPIPE, &before, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL) << "and this program would have died of it";
}

TEST_P(pipe_contract, a_reader_that_goes_breaks_a_send_that_waits) {
  run([]() -> task<> {
    auto [reader, writer] = make_pipe();
    const std::string text(1'000'000, 'x');
    std::size_t sent = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [&]() -> task<> { EXPECT_EQ(co_await code_of(writer.send(text, &sent)), errc::broken); });
      co_await sleep(1_ms);
      reader.close();
    });
    EXPECT_GT(sent, 0u);
    EXPECT_LT(sent, text.size());
  });
}

TEST_P(pipe_contract, a_cancelled_send_tells_how_much_of_it_is_in_the_pipe) {
  run([]() -> task<> {
    auto [reader, writer] = make_pipe();
    const std::string text = numbered(1'000'000);
    std::size_t sent = 0;
    co_await with_scope({.timeout = 5_ms}, [&](scope&) -> task<> {
      co_await writer.send(text, &sent);
      ADD_FAILURE() << "more was sent than a pipe holds";
    });
    EXPECT_GT(sent, 0u);
    writer.close();
    const std::string arrived = co_await read_all(reader);
    EXPECT_EQ(arrived.size(), sent);
    EXPECT_TRUE(std::string_view(text).starts_with(arrived));
  });
}

TEST_P(pipe_contract, a_cancel_that_races_with_data_loses_none_of_it) {
  run([]() -> task<> {
    auto [reader, writer] = make_pipe();
    std::string arrived;
    for (int round = 0; round < 200; ++round) {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { arrived += (co_await reader.receive()).text(); });
        co_await yield();
        co_await writer.send("x");
        for (int turns = round % 4; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
    }
    writer.close();
    arrived += co_await read_all(reader);
    EXPECT_EQ(arrived, std::string(200, 'x'));
  });
}

TEST_P(pipe_contract, in_a_cancelled_scope_neither_end_does_anything) {
  run([]() -> task<> {
    auto [reader, writer] = make_pipe();
    co_await writer.send("kept");
    co_await with_scope([&](scope& s) -> task<> {
      s.cancel("test");
      co_await as_result(writer.send("never"));
      std::ignore = co_await reader.receive();
      ADD_FAILURE() << "a wait in a cancelled scope went on";
    });
    writer.close();
    EXPECT_EQ(co_await read_all(reader), "kept");
  });
}

/// Asked of the driver as it is, without a task.
struct raw_request : io_request {
  raw_request(io_op what, io_handle on) {
    op = what;
    handle = on;
    on_complete = [](io_request& self) noexcept { ++static_cast<raw_request&>(self).completions; };
  }
  void wait_on(driver& io) {
    for (int turns = 0; completions == 0 && turns < 100; ++turns) io.wait(io.now() + 10_ms);
  }
  int completions = 0;
};

/// How much came, at most 64 KiB; 0 at the end.
std::size_t receive_some(driver& io, io_handle from) {
  std::string memory(65'536, '\0');
  raw_request one(io_op::receive_into, from);
  one.memory = memory.data();
  one.size = memory.size();
  if (!io.submit(one)) one.wait_on(io);
  return one.outcome > 0 ? static_cast<std::size_t>(one.outcome) : 0;
}

// A pipe shares nothing (shared_send.hpp); a send that asks for it waits and ends as any other.
TEST_P(pipe_contract, a_send_that_may_be_shared_ends_once_when_it_is_cancelled_or_closed) {
  for (const bool is_closed : {false, true}) {
    const std::unique_ptr<driver> io = GetParam().make({});
    io_handle ends[2];
    ASSERT_EQ(io->make_pipe(ends), 0);
    bytes data = bytes::copy_of(std::string(100'000, 'x'));
    const io_slice slice{data.data(), data.size()};
    raw_request send(io_op::send, ends[1]);
    send.flags = 1;
    send.memory = &data;
    send.slices = &slice;
    send.slice_count = 1;
    std::size_t sent = 0;
    while (io->submit(send)) {
      ASSERT_GT(send.outcome, 0);
      sent += static_cast<std::size_t>(send.outcome);
    }
    io->wait(io->now());  // the kernel has it
    std::size_t arrived = 0;
    if (is_closed) {
      arrived = receive_some(*io, ends[0]);  // makes room, too late
      io->close_now(ends[1]);
    } else {
      io->cancel(send);
    }
    send.wait_on(*io);
    EXPECT_EQ(send.completions, 1);
    if (is_kernel()) EXPECT_EQ(send.outcome, -ECANCELED);
    if (send.outcome > 0) sent += static_cast<std::size_t>(send.outcome);
    if (!is_closed) io->close_now(ends[1]);
    while (const std::size_t count = receive_some(*io, ends[0])) arrived += count;
    EXPECT_EQ(arrived, sent);
    EXPECT_EQ(send.completions, 1);
    io->close_now(ends[0]);
  }
}

TEST_P(pipe_contract, close_ends_the_waits_of_other_tasks_with_closed) {
  run([]() -> task<> {
    auto [reader, writer] = make_pipe();
    auto [full_reader, full_writer] = make_pipe();
    const std::string text(1'000'000, 'x');
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await code_of(reader.receive()), errc::closed); });
      s.spawn(
          [&]() -> task<> { EXPECT_EQ(co_await code_of(full_writer.send(text)), errc::closed); });
      co_await sleep(1_ms);
      reader.close();
      full_writer.close();
    });
    EXPECT_EQ(co_await code_of(reader.receive()), errc::closed);
  });
}

TEST_P(pipe_contract, waits_on_ends_that_were_closed_just_now_are_cancelled_once) {
  run([]() -> task<> {
    auto [reader, unused] = make_pipe();
    auto [full_reader, writer] = make_pipe();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](pipe_reader* from) -> task<> { std::ignore = co_await from->receive(); }, &reader);
      s.spawn([](pipe_writer* to) -> task<> { co_await to->send(std::string(1'000'000, 'x')); },
              &writer);
      co_await sleep(1_ms);
      reader.close();
      writer.close();
      s.cancel("their ends are gone, too");
    });
    auto [next_reader, next_writer] = make_pipe();
    co_await next_writer.send("n");
    EXPECT_EQ((co_await next_reader.receive()).text(), "n");
  });
}

TEST_P(pipe_contract, a_closed_number_that_is_used_again_is_a_new_pipe) {
  run([]() -> task<> {
    const std::string text(1'000'000, 'x');
    for (int round = 0; round < 100; ++round) {
      pipe_ends old = make_pipe();
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { co_await as_result(old.reader.receive()); });
        s.spawn([&]() -> task<> { co_await as_result(old.writer.send(text)); });
        for (int turns = round % 3; turns > 0; --turns) co_await yield();
        old.reader.close();
        old.writer.close();
        pipe_ends other = make_pipe();
        co_await other.writer.send("new");
        other.writer.close();
        EXPECT_EQ(co_await read_all(other.reader), "new");
      });
    }
  });
}

TEST_P(pipe_contract, a_number_goes_from_pipe_to_socket_and_back) {
  run([]() -> task<> {
    for (int round = 0; round < 20; ++round) {
      {
        pipe_ends ends = make_pipe();
        co_await ends.writer.send("pipe");
        ends.writer.close();
        EXPECT_EQ(co_await read_all(ends.reader), "pipe");
      }
      connection pair = co_await connect_pair();
      co_await pair.client.send("socket");
      EXPECT_EQ(co_await receive_at_least(pair.server, 6), "socket");
    }
  });
}

class pipe_of_a_descriptor : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, pipe_of_a_descriptor, ::testing::ValuesIn(kernel_drivers()),
                         name_of);

struct blocking_pipe {
  int ends[2] = {-1, -1};
  blocking_pipe() { EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0); }
  blocking_pipe(const blocking_pipe&) = delete;
  blocking_pipe& operator=(const blocking_pipe&) = delete;
  ~blocking_pipe() {
    close(0);
    close(1);
  }
  void close(int which) {
    if (ends[which] >= 0) ::close(std::exchange(ends[which], -1));
  }
  bool blocks(int which) const { return (::fcntl(ends[which], F_GETFL) & O_NONBLOCK) == 0; }
};

TEST_P(pipe_of_a_descriptor, is_read_to_its_end_and_blocks_for_others_as_before) {
  run([]() -> task<> {
    blocking_pipe shared;
    pipe_reader reader = open_pipe_reader(shared.ends[0]);
    EXPECT_TRUE(shared.blocks(0));
    co_await with_scope([&](scope& s) -> task<> {
      const spawned<std::string> all = s.spawn([&] WEIR_CORO_WRAPPER { return read_all(reader); });
      co_await yield();
      EXPECT_EQ(::write(shared.ends[1], "hello", 5), 5);
      shared.close(1);
      EXPECT_EQ(co_await all, "hello");
    });
  });
}

TEST_P(pipe_of_a_descriptor, is_written_to_and_ends_with_both_descriptors) {
  run([]() -> task<> {
    blocking_pipe shared;
    pipe_writer writer = open_pipe_writer(shared.ends[1]);
    EXPECT_TRUE(shared.blocks(1));
    co_await writer.send("hello");
    char got[6];
    EXPECT_EQ(::read(shared.ends[0], got, sizeof got), 5);
    EXPECT_EQ(std::string_view(got, 5), "hello");
    shared.close(0);
    const auto sent = co_await as_result(writer.send("more"));
    EXPECT_EQ(sent.error().code(), errc::broken);
  });
}

TEST_P(pipe_of_a_descriptor, of_a_named_one_that_nobody_reads_is_broken) {
  const std::string fifo = path("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const int reads = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int writes = ::open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
  ::close(reads);
  run([writes]() -> task<> {
    std::string why;
    try {
      std::ignore = open_pipe_writer(writes);
    } catch (const exception& e) {
      why = e.what();
    }
    EXPECT_THAT(why, ::testing::StartsWith("broken: open the pipe of descriptor "));
    co_return;
  });
  ::close(writes);
}

TEST_P(pipe_of_a_descriptor, that_is_none_is_told_for_what_it_is) {
  run([]() -> task<> {
    const auto why = [](int of) -> std::string {
      try {
        std::ignore = open_pipe_reader(of);
      } catch (const exception& e) {
        return e.what();
      }
      return "";
    };
    const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    int sockets[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    EXPECT_EQ(why(file), "invalid_argument: open the pipe of descriptor " + std::to_string(file) +
                             ": it is a file: use open_file() with /dev/stdin or its path");
    EXPECT_THAT(why(null), ::testing::HasSubstr(": it is none"));
    EXPECT_THAT(why(sockets[0]), ::testing::HasSubstr(": it is a socket: use wait_readable()"));
    EXPECT_THAT(why(-1), ::testing::HasSubstr("Bad file descriptor"));
    for (const int one : {file, null, sockets[0], sockets[1]}) ::close(one);
    co_return;
  });
}

TEST(PipeOfADescriptor, is_not_there_in_the_virtual_world) {
  testing::run_virtual([]() -> task<> {
    EXPECT_THROW(std::ignore = open_pipe_reader(), exception);
    co_return;
  }());
}

}  // namespace
}  // namespace weir::pipe_ends_test

// Files on their way to pipes, and who is heard meanwhile, on every driver.
// Needs the kernel: its calls, its page cache and its pipes.
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/file_copy.hpp>
#include <weir/io/file_kit_test.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace weir::file_send_test {
namespace {

using namespace weir::contract;
using detail::descriptor_sink;
using ::testing::HasSubstr;

class file_send : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, file_send, ::testing::ValuesIn(all_drivers()), name_of);
class kernel_file_send : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, kernel_file_send, ::testing::ValuesIn(kernel_drivers()), name_of);

task<std::string> read_all(pipe_reader& from) {
  std::string all;
  while (auto piece = co_await from.receive()) all += piece.text();
  co_return all;
}

TEST_P(file_send, sends_a_file_and_ranges_of_it_to_a_pipe_and_leaves_it_open) {
  run([&]() -> task<> {
    const std::string text = pattern(3'000'000);
    file from = co_await make_file(path("from"), text);
    auto [reader, writer] = make_pipe();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        copy_progress progress;
        EXPECT_EQ(co_await send_file(from, writer, {.progress = &progress}), 3'000'000u);
        EXPECT_EQ(progress.sent, 3'000'000u);
        EXPECT_EQ(co_await send_file(from, writer, {.offset = 10, .count = 20}), 20u);
        co_await writer.send("the end");
        writer.close();
      });
      EXPECT_TRUE(co_await read_all(reader) == text + text.substr(10, 20) + "the end");
    });
  });
}

TEST_P(file_send, leaves_the_socket_to_others_between_and_after_it_and_minds_no_other_socket) {
  run([&]() -> task<> {
    const std::string text = pattern(3'000'000);
    file from = co_await make_file(path("from"), text);
    auto [reader, writer] = make_pipe();
    auto [other_reader, other_writer] = make_pipe();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        std::ignore = co_await send_file(from, writer);
        co_await writer.send("the end");
        writer.close();
      });
      s.spawn([&]() -> task<> {
        std::ignore = co_await send_file(from, other_writer);
        other_writer.close();
      });
      s.spawn([&]() -> task<> { EXPECT_TRUE(co_await read_all(other_reader) == text); });
      EXPECT_TRUE(co_await read_all(reader) == text + "the end");
    });
  });
}

class FileSendDeathTest : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, FileSendDeathTest, ::testing::ValuesIn(all_drivers()), name_of);

// The peer reads nothing, so that a whole file never leaves.
TEST_P(FileSendDeathTest, a_send_or_another_file_beside_it_stops_the_process) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const bool sends_file : {false, true}) {
    const auto program = [&] {
      run([&]() -> task<> {
        file from = co_await make_file(path("from"), pattern(20'000'000));
        connection pair = co_await connect_pair();
        copy_progress progress;
        co_await with_scope([&](scope& s) -> task<> {
          s.spawn([&]() -> task<> {
            std::ignore = co_await send_file(from, pair.server, {.progress = &progress});
          });
          // Read into memory a piece counts as a whole, and the first one may be too large to
          // leave.
          for (int i = 0; i < 1'000 && progress.sent == 0; ++i) co_await sleep(duration(1));
          if (sends_file) std::ignore = co_await send_file(from, pair.server);
          co_await pair.server.send(pattern(20'000'000));
        });
      });
    };
    EXPECT_DEATH(program(), "a socket has one receive and one send at a time");
  }
}

TEST_P(FileSendDeathTest, a_file_under_a_send_that_waits_stops_the_process_at_once) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto program = [&] {
    run([&]() -> task<> {
      file from = co_await make_file(path("from"), pattern(1'000));
      connection pair = co_await connect_pair();
      const std::string more_than_fits = pattern(20'000'000);
      co_await with_scope({.timeout = duration::seconds(5)}, [&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { co_await pair.server.send(more_than_fits); });
        co_await sleep(duration(1));
        std::ignore = co_await send_file(from, pair.server);
      });
    });
  };
  EXPECT_DEATH(program(), "a socket has one receive and one send at a time");
}

TEST_P(file_send, of_a_send_to_a_pipe_that_nobody_reads_says_that_the_sink_failed) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), pattern(3'000'000));
    auto [reader, writer] = make_pipe();
    copy_progress progress;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        const auto failed = co_await as_result(send_file(from, writer, {.progress = &progress}));
        WEIR_REQUIRE(!failed);
        EXPECT_EQ(failed.error().code(), errc::broken);
        EXPECT_THAT(std::string(failed.error().message()),
                    HasSubstr("send_file: the sink failed after"));
      });
      EXPECT_FALSE((co_await reader.receive()).empty());
      reader.close();
    });
    EXPECT_LT(progress.sent, 3'000'000u);
  });
}

TEST_P(file_send, cancelled_while_the_pipe_is_full_it_tells_how_much_has_left) {
  run([&]() -> task<> {
    const std::string text = pattern(1'000'000);
    file from = co_await make_file(path("from"), text);
    for (int turns = 0; turns < 40; turns += 3) {
      auto [reader, writer] = make_pipe();
      copy_progress progress;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          co_await send_file(from, writer, {.offset = 1, .progress = &progress});
        });
        for (int i = 0; i < turns; ++i) co_await yield();
        if (turns % 2 == 0) EXPECT_EQ((co_await reader.receive()).text().front(), text[1]);
        s.cancel("test");
      });
      EXPECT_LT(progress.sent, text.size());
      writer.close();
      const std::string rest = co_await read_all(reader);
      EXPECT_TRUE(text.substr(1, progress.sent).ends_with(rest));
      if (turns % 2 != 0) EXPECT_EQ(rest.size(), progress.sent);
    }
  });
}

// What a test's call of the kernel notes.
int calls = 0;
int refusal = 0;

std::int64_t send_and_count(int from, std::uint64_t at, int to, std::size_t size) noexcept {
  ++calls;
  const std::int64_t moved = detail::send_range_now(from, at, to, size);
  if (moved < 0 && moved != -EAGAIN) refusal = static_cast<int>(-moved);
  return moved;
}

TEST_P(kernel_file_send, fills_a_pipe_without_reading_the_file) {
  run([&]() -> task<> {
    const std::string text = pattern(1'000'000);
    file from = co_await make_file(path("from"), text);
    if (!detail::is_in_memory(from.handle(), 0, text.size()))
      co_return skip("this file system does not say what is in memory");
    auto [reader, writer] = make_pipe();
    calls = refusal = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await detail::send_file_by(from, descriptor_sink(writer), {}, &send_and_count);
        writer.close();
      });
      EXPECT_TRUE(co_await read_all(reader) == text);
    });
    if (refusal == EINVAL) co_return skip("a kernel before Linux 5.12");
    EXPECT_EQ(refusal, 0);
    EXPECT_GT(calls, 10) << "a pipe holds 64 KiB";
  });
}

std::int64_t send_nothing(int, std::uint64_t, int, std::size_t size) noexcept {
  ++calls;
  return static_cast<std::int64_t>(size);
}

TEST_P(kernel_file_send, lets_others_hear_of_the_kernel_after_each_piece) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), pattern(64'000));
    if (!detail::is_in_memory(from.handle(), 0, 64'000))
      co_return skip("this file system does not say what is in memory");
    connection sent = co_await connect_pair();
    connection other = co_await connect_pair();
    calls = 0;
    int calls_when_heard = -1;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_EQ((co_await other.client.receive()).text(), "x");
        calls_when_heard = calls;
      });
      co_await yield();
      co_await other.server.send("x");
      EXPECT_EQ(co_await detail::send_file_by(from, descriptor_sink(sent.server),
                                              {.piece_bytes = 1000}, &send_nothing),
                64'000u);
    });
    EXPECT_EQ(calls, 64);
    EXPECT_GE(calls_when_heard, 0);
    EXPECT_LE(calls_when_heard, 4);
  });
}

}  // namespace
}  // namespace weir::file_send_test

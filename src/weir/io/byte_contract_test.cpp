// Readers, writers, copies and pipes on what is really there: sockets and files of every driver.
// Needs the kernel: they are generic, and these are the things that they are for.
#include <weir/io/contract_test.hpp>
#include <weir/io/copy.hpp>
#include <weir/io/file_stream.hpp>
#include <weir/io/pipe.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/tls_socket.hpp>
#include <weir/io/writer.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::byte_contract_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

static_assert(byte_source<socket> && byte_sink<socket>);
static_assert(byte_source<tls_socket> && byte_sink<tls_socket>);
static_assert(byte_source<file_source> && byte_sink<file_sink>);
static_assert(byte_source<pipe_reader> && byte_sink<pipe_writer>);

class byte_contract : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, byte_contract, ::testing::ValuesIn(all_drivers()), name_of);

std::string numbered_lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

TEST_P(byte_contract, lines_through_a_socket_arrive_whole_and_in_order) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    constexpr int lines = 20'000;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        writer out(pair.client);
        for (int i = 0; i < lines; ++i) co_await out.write("line " + std::to_string(i) + "\r\n");
        co_await out.end();
      });
      reader in(pair.server);
      int count = 0;
      while (auto line = co_await in.read_line()) {
        EXPECT_EQ(line->text(), "line " + std::to_string(count));
        ++count;
      }
      EXPECT_EQ(count, lines);
    });
  });
}

TEST_P(byte_contract, a_read_that_times_out_on_a_socket_loses_no_byte) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    reader in(pair.server);
    co_await pair.client.send("half");
    EXPECT_EQ(co_await code_of(with_timeout(5_ms, in.read_line())), errc::timed_out);
    co_await pair.client.send(" and half\n");
    EXPECT_EQ((*co_await in.read_line()).text(), "half and half");
  });
}

TEST_P(byte_contract, a_file_is_copied_and_a_socket_gets_one) {
  run([this]() -> task<> {
    const std::string text = numbered_lines(50'000);
    file source = co_await open_file(path("a"), {.write = true, .create = true});
    co_await source.write_at(0, text);
    file target = co_await open_file(path("b"), {.write = true, .create = true});
    file_source from(source);
    file_sink to(target);
    EXPECT_EQ(co_await copy(from, to), text.size());
    EXPECT_EQ(target.size(), text.size());

    connection pair = co_await connect_pair();
    std::string arrived;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { arrived = co_await receive_all(pair.server); });
      file_source again(target, {.piece_bytes = 10'000});
      EXPECT_EQ(co_await pipe_to(again, pair.client), text.size());
    });
    EXPECT_TRUE(arrived == text);
  });
}

TEST_P(byte_contract, a_file_is_read_line_by_line_and_goes_on_when_it_has_grown) {
  run([this]() -> task<> {
    file log = co_await open_file(path("log"), {.write = true, .create = true});
    file_sink out(log);
    co_await out.send("one\ntwo\n");
    file_source bytes_of(log);
    {
      reader in(bytes_of);
      EXPECT_EQ((*co_await in.read_line()).text(), "one");
      EXPECT_EQ((*co_await in.read_line()).text(), "two");
      EXPECT_FALSE(co_await in.read_line());
    }
    co_await out.send("three\n");
    reader in(bytes_of);
    EXPECT_EQ((*co_await in.read_line()).text(), "three");
    EXPECT_EQ(out.offset(), 14u);
  });
}

TEST_P(byte_contract, a_proxy_of_two_pipes_passes_both_directions_and_both_ends) {
  run([]() -> task<> {
    connection outside = co_await connect_pair();
    connection inside = co_await connect_pair();
    const std::string question = numbered_lines(30'000);
    const std::string answer = numbered_lines(40'000);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await pipe_to(outside.server, inside.client); });
      s.spawn([&]() -> task<> { co_await pipe_to(inside.client, outside.server); });
      s.spawn([&]() -> task<> {
        const std::string heard = co_await receive_all(inside.server);
        EXPECT_TRUE(heard == question);
        co_await inside.server.send(answer);
        co_await inside.server.shutdown_send();
      });
      s.spawn([&]() -> task<> {
        const std::string heard = co_await receive_all(outside.client);
        EXPECT_TRUE(heard == answer);
      });
      co_await outside.client.send(question);
      co_await outside.client.shutdown_send();
    });
  });
}

TEST_P(byte_contract, a_file_goes_through_a_pipe_of_the_system_line_by_line) {
  run([this]() -> task<> {
    const std::string text = numbered_lines(20'000);
    file source = co_await open_file(path("lines"), {.write = true, .create = true});
    co_await source.write_at(0, text);
    auto [out, into] = make_pipe();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](file* from, pipe_writer to) -> task<> {
            file_source bytes_of(*from);
            co_await pipe_to(bytes_of, to);
          },
          &source, std::move(into));
      reader in(out);
      int count = 0;
      while (auto line = co_await in.read_line()) {
        EXPECT_EQ(line->text(), "line " + std::to_string(count));
        ++count;
      }
      EXPECT_EQ(count, 20'000);
    });
  });
}

TEST_P(byte_contract, a_sink_that_resets_ends_the_pipe_and_its_source) {
  run([]() -> task<> {
    connection left = co_await connect_pair();
    connection right = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_EQ(co_await code_of(pipe_to(left.server, right.client)), errc::broken);
        EXPECT_FALSE(static_cast<bool>(left.server)) << "closed";
      });
      right.server.reset();
      errc code{};
      while (code == errc{}) code = co_await code_of(left.client.send("more"));
    });
  });
}

}  // namespace
}  // namespace weir::byte_contract_test

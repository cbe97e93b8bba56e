// What a cancellation leaves of each operation, on every driver: all of it or nothing.
// Needs the kernel: every driver has to keep the contract; the virtual one does too.
#include <weir/io/contract_test.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/file.hpp>
#include <weir/io/file_stream.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/readiness.hpp>
#include <weir/io/writer.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::operation_contract_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class operation_contract : public contract::fixture {
 protected:
  static constexpr open_options make_new{.write = true, .create = true};
};
INSTANTIATE_TEST_SUITE_P(drivers, operation_contract, ::testing::ValuesIn(all_drivers()), name_of);

/// Awaits `wait` in a scope that is cancelled already.
template <class Make>
task<> in_cancelled_scope(Make make, const char* what) {
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel("test");
    std::ignore = co_await as_result(make());
    co_await checkpoint();
    ADD_FAILURE() << what << " went on in a cancelled scope";
  });
}

TEST_P(operation_contract, in_a_cancelled_scope_none_of_them_happens_T7) {
  run([&]() -> task<> {
    file a = co_await open_file(path("a"), make_new);
    co_await a.write_at(0, "whole");
    co_await make_dir(path("folder"));
    connection pair = co_await connect_pair();
    listener door = co_await listen({});
    datagram_socket near = bind_datagrams();
    datagram_socket far = bind_datagrams();
    co_await far.connect(near.local());
    co_await pair.client.send("kept");
    co_await sleep(1_ms);
    std::array<char, 8> memory{};

    co_await in_cancelled_scope([&] { return open_file(path("new"), make_new); }, "open");
    co_await in_cancelled_scope([&] { return a.write_at(0, "other"); }, "write");
    co_await in_cancelled_scope([&] { return a.read_at(0, memory); }, "read");
    co_await in_cancelled_scope([&] { return a.write_durably_at(0, "other"); }, "durable write");
    co_await in_cancelled_scope([&] { return a.sync(); }, "sync");
    co_await in_cancelled_scope([&] { return a.sync_data(); }, "sync of data");
    co_await in_cancelled_scope([&] { return a.preallocate(0, 4'096); }, "preallocate");
    co_await in_cancelled_scope([&] { return a.truncate(1); }, "truncate");
    co_await in_cancelled_scope([&] { return rename_path(path("a"), path("b")); }, "rename");
    co_await in_cancelled_scope([&] { return remove_path(path("a")); }, "remove");
    co_await in_cancelled_scope([&] { return remove_dir(path("folder")); }, "remove folder");
    co_await in_cancelled_scope([&] { return make_dir(path("other")); }, "make folder");
    co_await in_cancelled_scope([&] { return sync_dir(path("")); }, "sync folder");
    const directory here = co_await open_dir(path(""));
    co_await in_cancelled_scope([&] { return open_dir(path("")); }, "open folder");
    co_await in_cancelled_scope([&] { return here.open_file("new", make_new); }, "open in it");
    co_await in_cancelled_scope([&] { return here.rename("a", "b"); }, "rename in it");
    co_await in_cancelled_scope([&] { return here.remove("a"); }, "remove in it");
    co_await in_cancelled_scope([&] { return here.sync(); }, "sync it");
    co_await in_cancelled_scope([&]() -> task<socket> { co_return co_await connect(door.local()); },
                                "connect");
    co_await in_cancelled_scope([&] { return door.accept(); }, "accept");
    co_await in_cancelled_scope([&] { return pair.server.send("x"); }, "send");
    co_await in_cancelled_scope([&] { return pair.server.receive(); }, "receive");
    co_await in_cancelled_scope([&] { return pair.server.receive_into(memory); }, "receive_into");
    co_await in_cancelled_scope([&] { return pair.server.shutdown_send(); }, "shutdown");
    co_await in_cancelled_scope([&] { return far.send("x"); }, "send of a datagram");
    co_await in_cancelled_scope([&] { return far.connect(far.local()); }, "connect of datagrams");

    co_await far.send("y");
    EXPECT_EQ((co_await near.receive()).text(), "y");
    EXPECT_FALSE(path_status(path("new")));
    EXPECT_FALSE(path_status(path("other")));
    EXPECT_FALSE(path_status(path("b")));
    EXPECT_TRUE(path_status(path("folder"))->is_directory);
    EXPECT_EQ(a.size(), 5u);
    for (std::size_t at = 0; at < 5;) {
      const std::size_t count = co_await a.read_at(at, std::span(memory).subspan(at));
      WEIR_REQUIRE(count != 0);
      at += count;
    }
    EXPECT_EQ(std::string(memory.data(), 5), "whole");
    EXPECT_EQ(co_await receive_at_least(pair.server, 4), "kept");
    co_await pair.server.send("still open");
    EXPECT_EQ(co_await receive_at_least(pair.client, 10), "still open");
  });
}

/// `begin` is given the count that a call before has left.
template <class Begin>
task<> counts_none(Begin begin, const char* what) {
  std::size_t count = 7;
  co_await in_cancelled_scope([&]() -> task<> { co_await begin(&count); }, what);
  EXPECT_EQ(count, 0u) << what;
}

TEST_P(operation_contract, what_never_began_in_a_cancelled_scope_counts_none_T7) {
  run([&]() -> task<> {
    file log = co_await open_file(path("a"), {.write = true, .create = true, .append = true});
    file_sink to_log(log);
    connection pair = co_await connect_pair();
    datagram_socket near = bind_datagrams();
    datagram_socket far = bind_datagrams();
    datagram batch[] = {datagram_to(near.local(), "x")};
    reader in(pair.client);
    writer out(pair.server);
    std::array<char, 8> memory{};
    const io_slice pieces[] = {{"x", 1}};

    co_await counts_none([&](auto* sent) { return pair.server.send("x", sent); }, "send");
    co_await counts_none([&](auto* sent) { return pair.server.send(pieces, sent); }, "of pieces");
    co_await counts_none([&](auto* sent) { return far.send_batch(batch, sent); }, "batch");
    co_await counts_none([&](auto* appended) { return log.append("x", appended); }, "append");
    co_await counts_none([&](auto* sent) -> task<> { co_await to_log.send("x", sent); }, "sink");
    co_await counts_none([&](auto* taken) { return out.write("x", taken); }, "write");
    co_await counts_none([&](auto* got) { return in.read_exactly(memory, got); }, "read_exactly");
    EXPECT_EQ(log.size(), 0u);
    EXPECT_EQ(out.buffered(), "");
  });
}

TEST_P(operation_contract, a_cancel_in_flight_leaves_all_of_it_or_none_T7) {
  run([&]() -> task<> {
    for (int round = 0; round < 40; ++round) {
      const std::string number = std::to_string(round);
      const std::string old_name = path("old" + number);
      const std::string new_name = path("new" + number);
      file a = co_await open_file(old_name, make_new);
      co_await a.write_at(0, std::string(100, 'a'));
      bool was_truncated = false;
      bool was_made = false;
      bool was_renamed = false;
      bool was_opened = false;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          co_await a.truncate(7);
          was_truncated = true;
        });
        s.spawn([&]() -> task<> {
          co_await make_dir(path("folder" + number));
          was_made = true;
        });
        s.spawn([&]() -> task<> {
          co_await rename_path(old_name, new_name);
          was_renamed = true;
        });
        s.spawn([&]() -> task<> {
          const file other = co_await open_file(path("other" + number), make_new);
          was_opened = static_cast<bool>(other);
        });
        for (int turns = round % 4; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
      EXPECT_THAT(a.size(), ::testing::AnyOf(100u, 7u));
      if (was_truncated) EXPECT_EQ(a.size(), 7u);
      EXPECT_NE(path_status(old_name).has_value(), path_status(new_name).has_value());
      if (was_renamed) EXPECT_TRUE(path_status(new_name));
      if (was_made) EXPECT_TRUE(path_status(path("folder" + number)));
      if (was_opened) EXPECT_TRUE(path_status(path("other" + number)));
    }
  });
}

TEST_P(operation_contract, a_cancel_that_races_with_a_copy_through_files_loses_none_of_it) {
  run([&]() -> task<> {
    const std::string text = pattern(64 * 1024);
    for (int round = 0; round < 40; ++round) {
      file a = co_await open_file(path("file" + std::to_string(round)), make_new);
      file_sink to(a, {.piece_bytes = 4096});
      std::size_t sent = 0;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { co_await to.send(text, &sent); });
        for (int turns = round; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
      EXPECT_GE(a.size(), sent);
      EXPECT_LE(a.size(), sent + 4096);
      EXPECT_EQ(to.offset(), sent);
      co_await to.send(std::string_view(text).substr(sent));
      file_source from(a, {.piece_bytes = 4096});
      std::string got;
      const auto receive_all_of_it = [&]() -> task<> {
        while (const bytes piece = co_await from.receive()) got += piece.text();
      };
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(receive_all_of_it);
        for (int turns = round; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
      EXPECT_EQ(from.offset(), got.size());
      co_await receive_all_of_it();
      EXPECT_TRUE(got == text) << "round " << round;
    }
  });
}

TEST_P(operation_contract, a_cancelled_receive_into_touches_no_memory_and_takes_nothing) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    std::array<char, 4> memory{'o', 'l', 'd', '!'};
    co_await with_scope({.timeout = 2_ms}, [&](scope&) -> task<> {
      std::ignore = co_await pair.server.receive_into(memory);
      ADD_FAILURE() << "nothing was sent";
    });
    co_await pair.client.send("kept");
    co_await sleep(1_ms);
    EXPECT_EQ(std::string(memory.data(), 4), "old!");
    EXPECT_EQ(co_await receive_at_least(pair.server, 4), "kept");
  });
}

TEST_P(operation_contract, a_connect_that_waits_for_a_full_backlog_can_be_cancelled) {
  const std::string where = path("door");
  run([&]() -> task<> {
    listener door = co_await listen({.path = where, .backlog = 1});
    std::vector<socket> waiting;
    std::size_t cut_short = 0;
    for (int i = 0; i < 8; ++i) {
      bool has_connected = false;
      co_await with_scope({.timeout = 2_ms}, [&](scope&) -> task<> {
        const auto outcome = co_await as_result(connect(door.local()));
        has_connected = outcome.has_value();
        // Linux refuses a Unix connect that may not wait (EAGAIN); others wait in line.
        if (!outcome && outcome.error() != errc::cancelled) {
          EXPECT_EQ(outcome.error().code(), errc::busy);
          ++cut_short;
        }
        co_await checkpoint();
      });
      cut_short += !has_connected;
    }
    EXPECT_GE(cut_short, 1u);
    socket first = co_await door.accept();  // the line moves on
    EXPECT_TRUE(first);
  });
}

TEST_P(operation_contract, waiting_for_readiness_can_be_cancelled_and_begun_again) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await with_scope({.timeout = 2_ms}, [&](scope&) -> task<> {
      std::ignore = co_await wait_ready(pair.server.handle(), POLLIN);
      ADD_FAILURE() << "nothing was sent";
    });
    co_await pair.client.send("x");
    EXPECT_EQ(co_await wait_ready(pair.server.handle(), POLLIN) & POLLIN, POLLIN);
    EXPECT_EQ(co_await receive_at_least(pair.server, 1), "x");
  });
}

TEST_P(operation_contract, what_is_closed_or_was_never_opened_says_so) {
  run([&]() -> task<> {
    socket none;
    file nothing;
    EXPECT_EQ(co_await code_of(none.receive()), errc::closed);
    EXPECT_EQ(co_await code_of(none.send("x")), errc::closed);
    EXPECT_EQ(co_await code_of(none.shutdown_send()), errc::closed);
    EXPECT_EQ(co_await code_of(nothing.sync()), errc::closed);
    EXPECT_EQ(co_await code_of(nothing.write_at(0, "x")), errc::closed);
    none.close();
    none.reset();
    nothing.close();
    EXPECT_EQ(co_await code_of([](socket* s) -> task<> {
                std::ignore = s->peer();
                co_return;
              }(&none)),
              errc::closed);
    EXPECT_EQ(co_await code_of([](socket* s) -> task<> {
                s->set_no_delay(true);
                co_return;
              }(&none)),
              errc::closed);
    EXPECT_EQ(co_await code_of([](file* f) -> task<> {
                std::ignore = f->size();
                co_return;
              }(&nothing)),
              errc::closed);
    EXPECT_EQ(co_await code_of([](file* f) -> task<> {
                std::ignore = f->try_lock();
                co_return;
              }(&nothing)),
              errc::closed);
  });
}

TEST_P(operation_contract, listeners_share_a_port_only_when_both_ask_for_it) {
  run([]() -> task<> {
    listener first = co_await listen({.reuse_port = true});
    listener second = co_await listen({.port = first.local().port(), .reuse_port = true});
    EXPECT_EQ(second.local(), first.local());
    EXPECT_EQ(co_await code_of(listen({.port = first.local().port()})), errc::busy);
    second.close();
    socket client = co_await connect(first.local());
    socket server = co_await first.accept();
    co_await client.send("x");
    EXPECT_EQ(co_await receive_at_least(server, 1), "x");
  });
}

TEST_P(operation_contract, ipv6_works_like_ipv4) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;  // none on this machine
    listener door = co_await listen_at(value_or_raise(address::parse("[::1]:0")));
    EXPECT_EQ(door.local().family(), address_family::ipv6);
    socket client = co_await connect(door.local());
    socket server = co_await door.accept();
    EXPECT_EQ(server.peer(), client.local());
    co_await client.send("x");
    client.close();
    EXPECT_EQ(co_await receive_all(server), "x");
  });
}

}  // namespace
}  // namespace weir::operation_contract_test

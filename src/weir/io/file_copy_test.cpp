// Copying files and sending them, by the kernel and by reading, on every driver.
// Needs the kernel: its calls, its page cache and its sockets.
#include <weir/io/file_copy.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/byte_kit_test.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/file_kit_test.hpp>
#include <weir/io/tls_kit_test.hpp>
#include <weir/io/tls_socket.hpp>
#include <weir/testing/cancel_points.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

namespace weir::file_copy_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using detail::descriptor_sink;
using ::testing::HasSubstr;
using testing::told_sink;

task<std::string> text_of(file& from) {
  std::string text(from.size(), '\0');
  std::size_t size = 0;
  while (size < text.size()) size += co_await from.read_at(size, std::span(text).subspan(size));
  co_return text;
}

class file_copy : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, file_copy, ::testing::ValuesIn(all_drivers()), name_of);
class kernel_file_copy : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, kernel_file_copy, ::testing::ValuesIn(kernel_drivers()), name_of);

TEST_P(file_copy, copies_a_whole_file_piece_by_piece_and_counts_it) {
  run([&]() -> task<> {
    const std::string text = pattern(300'000);
    file from = co_await make_file(path("from"), text);
    file to = co_await make_file(path("to"), "");
    copy_progress progress{.received = 9, .sent = 9};
    EXPECT_EQ(co_await copy_file(from, to, {.piece_bytes = 70'000, .progress = &progress}),
              300'000u);
    EXPECT_EQ(progress.sent, 300'000u);
    EXPECT_EQ(progress.received, 300'000u);
    EXPECT_EQ(co_await text_of(to), text);
  });
}

TEST_P(file_copy, copies_a_range_over_what_the_target_has_and_leaves_the_rest) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), "0123456789");
    file to = co_await make_file(path("to"), "abcdefghij");
    EXPECT_EQ(co_await copy_file(from, to, {.offset = 2, .count = 3, .target_offset = 4}), 3u);
    EXPECT_EQ(co_await text_of(to), "abcd234hij");
    EXPECT_EQ(co_await copy_file(from, to, {.offset = 7, .target_offset = 9}), 3u);
    EXPECT_EQ(co_await text_of(to), "abcd234hi789");
    EXPECT_EQ(co_await copy_file(from, to, {.offset = 10}), 0u);
    EXPECT_EQ(co_await copy_file(from, to, {.offset = 99}), 0u);
    EXPECT_EQ(co_await copy_file(from, to, {.count = 0}), 0u);
    EXPECT_EQ(co_await text_of(to), "abcd234hi789");
  });
}

TEST_P(file_copy, refuses_at_once_a_count_that_the_file_does_not_have) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), "0123456789");
    file to = co_await make_file(path("to"), "");
    told_sink sink;
    const auto too_long = co_await as_result(copy_file(from, to, {.offset = 8, .count = 3}));
    WEIR_REQUIRE(!too_long);
    EXPECT_EQ(too_long.error().code(), errc::end_of_stream);
    EXPECT_EQ(too_long.error().message(), "copy_file: the file has 10 bytes, not 3 from 8 on");
    EXPECT_EQ(co_await code_of(copy_file(from, to, {.offset = 11, .count = 0})),
              errc::end_of_stream);
    EXPECT_EQ(co_await code_of(send_file(from, sink, {.count = 11})), errc::end_of_stream);
    EXPECT_EQ(to.size(), 0u);
    EXPECT_EQ(sink.sends, 0u);
  });
}

// `to_file_end` is a count; as an offset it is beyond every file.
TEST_P(file_copy, refuses_an_offset_that_no_file_has) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), "0123456789");
    file to = co_await make_file(path("to"), "precious");
    told_sink sink;
    constexpr std::uint64_t last = std::numeric_limits<std::int64_t>::max();
    for (const std::uint64_t at : {to_file_end, last + 1, last - 9}) {
      EXPECT_EQ(co_await code_of(copy_file(from, to, {.target_offset = at})),
                errc::invalid_argument);
    }
    EXPECT_EQ(co_await code_of(copy_file(from, to, {.offset = to_file_end})),
              errc::invalid_argument);
    EXPECT_EQ(co_await code_of(send_file(from, sink, {.offset = to_file_end})),
              errc::invalid_argument);
    EXPECT_EQ(co_await text_of(to), "precious");
  });
}

TEST_P(file_copy, within_one_file_copies_ranges_that_are_apart_and_refuses_others) {
  run([&]() -> task<> {
    file one = co_await make_file(path("one"), "0123456789");
    EXPECT_EQ(co_await copy_file(one, one, {.offset = 0, .count = 5, .target_offset = 5}), 5u);
    EXPECT_EQ(co_await text_of(one), "0123401234");
    const auto refused =
        co_await as_result(copy_file(one, one, {.offset = 0, .count = 5, .target_offset = 4}));
    WEIR_REQUIRE(!refused);
    EXPECT_EQ(refused.error().code(), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(copy_file(one, one)), errc::invalid_argument);
    EXPECT_EQ(co_await text_of(one), "0123401234");
  });
}

TEST_P(file_copy, says_which_file_is_closed) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), "0123456789");
    file to = co_await make_file(path("to"), "");
    to.close();
    const auto of_target = co_await as_result(copy_file(from, to));
    WEIR_REQUIRE(!of_target);
    EXPECT_EQ(of_target.error().code(), errc::closed);
    EXPECT_EQ(of_target.error().message(), "copy_file: the target was closed after 0 bytes");
    from.close();
    EXPECT_EQ(co_await code_of(copy_file(from, to)), errc::closed);
  });
}

TEST_P(file_copy, sends_a_file_and_ranges_of_it_to_a_socket_and_leaves_it_open) {
  run([&]() -> task<> {
    const std::string text = pattern(3'000'000);
    file from = co_await make_file(path("from"), text);
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        copy_progress progress;
        EXPECT_EQ(co_await send_file(from, pair.server, {.progress = &progress}), 3'000'000u);
        EXPECT_EQ(progress.sent, 3'000'000u);
        EXPECT_EQ(co_await send_file(from, pair.server, {.offset = 10, .count = 20}), 20u);
        EXPECT_EQ(co_await send_file(from, pair.server, {.offset = 2'999'990}), 10u);
        co_await pair.server.send("the end");
        co_await pair.server.shutdown_send();
      });
      EXPECT_EQ(co_await receive_all(pair.client),
                text + text.substr(10, 20) + text.substr(2'999'990) + "the end");
    });
  });
}

TEST_P(file_copy, of_a_send_to_a_peer_that_went_says_that_the_sink_failed) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), pattern(3'000'000));
    connection pair = co_await connect_pair();
    pair.client.reset();
    const auto failed = co_await as_result(send_file(from, pair.server));
    WEIR_REQUIRE(!failed);
    EXPECT_EQ(failed.error().code(), errc::broken);
    EXPECT_THAT(std::string(failed.error().message()),
                HasSubstr("send_file: the sink failed after"));
  });
}

TEST_P(file_copy, sends_over_tls_as_well) {
  run([&]() -> task<> {
    const std::string text = pattern(200'000);
    file from = co_await make_file(path("from"), text);
    const std::int64_t now = loop::current()->io().wall_now().ns / 1'000'000'000;
    const testing::certificate_authority ca("weir test CA", now);
    const testing::pem_pair pem = ca.issue({.now = now});
    const std::string trusted = ca.certificate();
    const tls_identity identity = pem.identity();
    tls_server server({.identities = {&identity, 1}});
    tls_client client({.ca = trusted});
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        tls_socket peer = co_await tls_accept(server, std::move(pair.server));
        EXPECT_EQ(co_await send_file(from, peer), 200'000u);
        co_await peer.shutdown_send();
      });
      tls_socket reader = co_await tls_connect(client, std::move(pair.client), "weir.test");
      std::string got;
      while (const bytes piece = co_await reader.receive()) got += piece.text();
      EXPECT_EQ(got, text);
    });
  });
}

// What a test's call of the kernel does besides its work. The pool's threads call it.
std::atomic<int> calls;
std::atomic<int> refusal;     // instead of the second call
std::atomic<int> other_file;  // is cut, or grows, after the first one
std::atomic<bool> was_full;   // the socket

std::int64_t copy_once(int from, std::uint64_t at, int to, std::uint64_t target_at,
                       std::size_t size) noexcept {
  if (++calls == 2) return -refusal;
  return detail::copy_range_now(from, at, to, target_at, size);
}
std::int64_t send_once(int from, std::uint64_t at, int to, std::size_t size) noexcept {
  if (++calls == 2) return -refusal;
  return detail::send_range_now(from, at, to, size);
}
std::int64_t copy_while_it_grows(int from, std::uint64_t at, int to, std::uint64_t target_at,
                                 std::size_t size) noexcept {
  if (::pwrite(other_file, "more", 4, 100'000 + 4 * calls++) != 4) return -EIO;
  return detail::copy_range_now(from, at, to, target_at, size);
}
std::int64_t copy_and_cut(int from, std::uint64_t at, int to, std::uint64_t target_at,
                          std::size_t size) noexcept {
  const std::int64_t moved = detail::copy_range_now(from, at, to, target_at, size);
  return ::ftruncate(other_file, 50'000) == 0 ? moved : -EIO;
}
std::int64_t send_and_cut(int from, std::uint64_t at, int to, std::size_t size) noexcept {
  const std::int64_t moved = detail::send_range_now(from, at, to, size);
  return ::ftruncate(other_file, 50'000) == 0 ? moved : -EIO;
}
std::int64_t send_and_tell(int from, std::uint64_t at, int to, std::size_t size) noexcept {
  const std::int64_t moved = detail::send_range_now(from, at, to, size);
  if (moved == -EAGAIN) was_full = true;
  return moved;
}

TEST_P(kernel_file_copy, goes_on_by_reading_where_the_kernel_refuses) {
  run([&]() -> task<> {
    const std::string text = pattern(300'000);
    file from = co_await make_file(path("from"), text);
    for (const int number : {EXDEV, EINVAL, EOPNOTSUPP, ENOSYS, 0}) {
      calls = 0;
      refusal = number;
      file to = co_await open_file(path("to"), {.write = true, .create = true, .truncate = true});
      EXPECT_EQ(co_await detail::copy_file_by(from, to, {.piece_bytes = 100'000}, &copy_once),
                300'000u);
      EXPECT_EQ(calls, 2) << "it is not asked again";
      EXPECT_EQ(co_await text_of(to), text);
    }
  });
}

TEST_P(kernel_file_copy, sends_on_by_reading_where_the_kernel_refuses) {
  run([&]() -> task<> {
    const std::string text = pattern(300'000);
    file from = co_await make_file(path("from"), text);
    if (!detail::is_in_memory(from.handle(), 0, 300'000))
      co_return skip("this file system does not say what is in memory");
    calls = 0;
    refusal = EINVAL;
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_EQ(co_await detail::send_file_by(from, descriptor_sink(pair.server),
                                                {.piece_bytes = 100'000}, &send_once),
                  300'000u);
        co_await pair.server.shutdown_send();
      });
      EXPECT_EQ(co_await receive_all(pair.client), text);
      EXPECT_EQ(calls, 2);
    });
  });
}

TEST_P(kernel_file_copy, does_not_copy_what_the_file_gains_meanwhile) {
  run([&]() -> task<> {
    const std::string text = pattern(100'000);
    file from = co_await make_file(path("from"), text);
    file to = co_await make_file(path("to"), "");
    calls = 0;
    other_file = from.handle();
    EXPECT_EQ(
        co_await detail::copy_file_by(from, to, {.piece_bytes = 40'000}, &copy_while_it_grows),
        100'000u);
    EXPECT_EQ(from.size(), 100'012u);
    EXPECT_EQ(co_await text_of(to), text);
  });
}

TEST_P(kernel_file_copy, tells_that_the_file_was_cut_meanwhile_and_how_much_there_was) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), pattern(100'000));
    file to = co_await make_file(path("to"), "");
    other_file = from.handle();
    copy_progress progress;
    const auto cut = co_await as_result(detail::copy_file_by(
        from, to, {.piece_bytes = 40'000, .progress = &progress}, &copy_and_cut));
    WEIR_REQUIRE(!cut);
    EXPECT_EQ(cut.error().code(), errc::end_of_stream);
    EXPECT_EQ(cut.error().message(), "copy_file: the file was cut: it ended after 50000 bytes");
    EXPECT_EQ(progress.sent, 50'000u);
    EXPECT_EQ(to.size(), 50'000u);

    file other = co_await make_file(path("other"), pattern(100'000));
    other_file = other.handle();
    connection pair = co_await connect_pair();
    EXPECT_EQ(co_await code_of(detail::send_file_by(other, descriptor_sink(pair.server),
                                                    {.piece_bytes = 40'000, .progress = &progress},
                                                    &send_and_cut)),
              errc::end_of_stream);
    pair.server.close();
    EXPECT_EQ((co_await receive_all(pair.client)).size(), progress.sent);
    EXPECT_GE(progress.sent, 40'000u);
    EXPECT_LE(progress.sent, 50'000u);
  });
}

TEST_P(kernel_file_copy, tells_a_full_disk_as_the_failure_of_the_sink) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), pattern(100'000));
    file to = co_await open_file("/dev/full", {.read = false, .write = true});
    const auto full = co_await as_result(copy_file(from, to));
    WEIR_REQUIRE(!full);
    EXPECT_EQ(full.error().code(), errc::no_space);
    EXPECT_EQ(full.error().message(), "copy_file: the sink failed after 0 bytes");
  });
}

TEST_P(kernel_file_copy, cancelled_between_any_two_turns_it_tells_how_much_was_copied) {
  run([&]() -> task<> {
    const std::string text = pattern(100'000);
    file from = co_await make_file(path("from"), text);
    for (int turns = 0; turns < 12; ++turns) {
      file to = co_await open_file(path("to"), {.write = true, .create = true, .truncate = true});
      copy_progress progress;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          co_await copy_file(from, to, {.piece_bytes = 10'000, .progress = &progress});
        });
        for (int i = 0; i < turns; ++i) co_await yield();
        s.cancel("test");
      });
      EXPECT_EQ(progress.sent, to.size());
      EXPECT_EQ(co_await text_of(to), text.substr(0, progress.sent));
    }
  });
}

TEST_P(kernel_file_copy, cancelled_while_the_socket_is_full_it_tells_how_much_has_left) {
  run([&]() -> task<> {
    const std::string text = pattern(20'000'000);
    file from = co_await make_file(path("from"), text);
    if (!detail::is_in_memory(from.handle(), 0, text.size()))
      co_return skip("this file system does not say what is in memory");
    connection pair = co_await connect_pair();
    copy_progress progress;
    was_full = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await detail::send_file_by(from, descriptor_sink(pair.server), {.progress = &progress},
                                      &send_and_tell);
      });
      while (!was_full) co_await yield();
      s.cancel("test");
    });
    EXPECT_LT(progress.sent, text.size());
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await pair.server.send("and on");
        pair.server.close();
      });
      EXPECT_TRUE(co_await receive_all(pair.client) == text.substr(0, progress.sent) + "and on");
    });
  });
}

TEST_P(kernel_file_copy, waits_for_a_slow_reader_and_ends_with_closed_when_the_socket_is_closed) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), pattern(20'000'000));
    connection pair = co_await connect_pair();
    copy_progress progress;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_EQ(co_await code_of(send_file(from, pair.server, {.progress = &progress})),
                  errc::closed);
      });
      while (progress.sent == 0) co_await yield();
      pair.server.close();
    });
    EXPECT_LT(progress.sent, 20'000'000u);
    EXPECT_EQ((co_await receive_all(pair.client)).size(), progress.sent);
  });
}

TEST_P(kernel_file_copy, sends_what_is_on_the_disk_only) {
  run([&]() -> task<> {
    const std::string text = pattern(1'000'000);
    file from = co_await make_file(path("from"), text);
    co_await from.sync();
    ::posix_fadvise(from.handle(), 0, 0, POSIX_FADV_DONTNEED);
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_EQ(co_await send_file(from, pair.server), 1'000'000u);
        co_await pair.server.shutdown_send();
      });
      EXPECT_EQ(co_await receive_all(pair.client), text);
    });
  });
}

TEST_P(file_copy, has_told_nothing_when_it_is_refused_at_once) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), "0123456789");
    file to = co_await make_file(path("to"), "");
    copy_progress progress{.received = 9, .sent = 9};
    EXPECT_EQ(co_await code_of(copy_file(from, to, {.count = 11, .progress = &progress})),
              errc::end_of_stream);
    EXPECT_EQ(progress.sent, 0u);
    EXPECT_EQ(progress.received, 0u);
  });
}

std::int64_t time_out(int, std::uint64_t, int, std::size_t) noexcept { return -ETIMEDOUT; }

TEST_P(kernel_file_copy, tells_the_error_of_the_socket_that_the_kernel_gave) {
  run([&]() -> task<> {
    file from = co_await make_file(path("from"), pattern(10'000));
    if (!detail::is_in_memory(from.handle(), 0, 10'000))
      co_return skip("this file system does not say what is in memory");
    connection pair = co_await connect_pair();
    EXPECT_EQ(
        co_await code_of(detail::send_file_by(from, descriptor_sink(pair.server), {}, &time_out)),
        errc::timed_out);
  });
}

TEST_P(kernel_file_copy, tells_what_of_a_file_is_in_memory) {
  run([&]() -> task<> {
    file on = co_await make_file(path("on"), pattern(100'000));
    const auto counted = detail::is_counted_in_memory(on.handle(), 0, 100'000);
    if (!counted) co_return skip("this kernel does not say what is in memory");
    if (!*counted) co_return skip("this file system does not");
    EXPECT_TRUE(detail::is_probed_in_memory(on.handle(), 0, 100'000));
    EXPECT_FALSE(*detail::is_counted_in_memory(on.handle(), 99'000, 10'000)) << "behind its end";
    EXPECT_FALSE(detail::is_probed_in_memory(on.handle(), 99'000, 10'000));
    co_await on.sync();
    ::posix_fadvise(on.handle(), 0, 0, POSIX_FADV_DONTNEED);
    struct statfs system = {};
    EXPECT_EQ(::fstatfs(on.handle(), &system), 0);
    if (system.f_type == TMPFS_MAGIC) co_return skip("pages of this file system stay in memory");
    EXPECT_FALSE(*detail::is_counted_in_memory(on.handle(), 0, 100'000));
    EXPECT_FALSE(detail::is_in_memory(-1, 0, 1));
  });
}

TEST(FileCopy, cancelled_at_any_point_it_tells_how_much_was_sent) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    const std::string text = pattern(400'000);
    file from = co_await make_file("/from", text);
    told_sink to{.part_max = 50'000, .pause = 1_ns};
    copy_progress progress;
    co_await v.run([](file& source, told_sink& sink, copy_progress& told) -> task<> {
      co_await send_file(source, sink, {.offset = 1, .progress = &told});
    }(from, to, progress));
    EXPECT_EQ(progress.sent, to.got.size());
    EXPECT_EQ(to.got, text.substr(1, progress.sent));
  });
}

TEST(FileCopy, cancelled_at_any_point_what_it_counts_is_in_the_target) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    const std::string text = pattern(400'000);
    file from = co_await make_file("/from", text);
    file to = co_await open_file("/to", {.write = true, .create = true, .truncate = true});
    copy_progress progress;
    co_await v.run([](file& source, file& target, copy_progress& told) -> task<> {
      co_await copy_file(source, target, {.progress = &told});
    }(from, to, progress));
    EXPECT_EQ((co_await text_of(to)).substr(0, progress.sent), text.substr(0, progress.sent));
    EXPECT_GE(to.size(), progress.sent);
  });
}

}  // namespace
}  // namespace weir::file_copy_test

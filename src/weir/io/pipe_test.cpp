// The rules of pipes, W8 to W13 of docs/reference/rules.md; the names follow the groups of the
// Web Platform Tests for piping.
#include <weir/io/pipe.hpp>

#include <weir/core/error_group.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/byte_kit_test.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/writer.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::pipe_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using testing::expect_raises;
using testing::told_sink;
using testing::told_source;

using events = std::vector<std::string>;

WEIR_TEST("a pipe moves all bytes in order and counts them (W3)") {
  told_source from{.pieces = {"ab", "cde", "f", "gh"}, .pause = 1_ms};
  told_sink to{.part_max = 2, .pause = 1_ms};
  EXPECT_EQ(co_await pipe_to(from, to), 8u);
  EXPECT_EQ(to.got, "abcdefgh");
}

WEIR_TEST("nothing is read while the queue is full (W8)") {
  told_source from;
  for (int i = 0; i < 20; ++i) from.pieces.emplace_back("0123456789");
  told_sink to{.part_max = 10, .pause = 1_ms};
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      while (to.got.size() < 200) {
        EXPECT_LE(from.bytes_given, to.got.size() + 30)
            << "less than 25 bytes wait before a piece of 10 is read";
        co_await sleep(100_us);
      }
    });
    EXPECT_EQ(co_await pipe_to(from, to, {.queue_bytes_max = 25}), 200u);
  });
}

WEIR_TEST("nothing is read while the sink takes nothing (W8)") {
  told_source from;
  for (int i = 0; i < 100; ++i) from.pieces.emplace_back("x");
  told_sink to{.pause = duration::max()};
  co_await with_scope({.timeout = 1_h}, [&](scope&) -> task<> {
    co_await pipe_to(from, to, {.queue_bytes_max = 1, .keep_sink = true, .drain_timeout = 1_ms});
  });
  EXPECT_EQ(from.bytes_given, 0u) << "one was read and given back";
  EXPECT_EQ(from.asked, 1u);
}

WEIR_TEST("reads do not wait for writes while there is room (W9)") {
  told_source from{.pieces = {"a", "b", "c", "d"}, .pause = 10_ms};
  told_sink to{.pause = 40_ms};
  co_await pipe_to(from, to);
  // One after the other they would take 4 * 50 + 10; the writes alone take 40 ms for "a" and, as
  // "bcd" has come meanwhile and leaves as one send of three parts, 3 * 40.
  EXPECT_EQ(elapsed(), 10_ms + 4 * 40_ms + 40_ms) << "the last 40 are the end's";
  EXPECT_EQ(to.sends, 2u);
}

WEIR_TEST("a failed source breaks the sink, unless that is to be kept (W10)") {
  for (const bool keep : {false, true}) {
    told_source from{.pieces = {"abc"}, .failure = errc::timed_out};
    told_sink to;
    const auto outcome = co_await as_result(pipe_to(from, to, {.keep_sink = keep}));
    WEIR_REQUIRE(!outcome);
    EXPECT_EQ(outcome.error().code(), errc::timed_out);
    EXPECT_EQ(outcome.error().message(), "pipe_to: the source failed after 3 bytes");
    EXPECT_EQ(to.events, keep ? events{} : events{"abort timed_out"});
    EXPECT_TRUE(from.events.empty());
  }
}

WEIR_TEST("a failed sink ends the source, unless that is to be kept (W10)") {
  for (const bool keep : {false, true}) {
    told_source from{.pieces = {"abc", "def"}, .waits_for_ever = true};
    told_sink to{.part_max = 1, .fails_after = 4};
    copy_progress progress;
    const auto outcome =
        co_await as_result(pipe_to(from, to, {.keep_source = keep, .progress = &progress}));
    WEIR_REQUIRE(!outcome);
    EXPECT_EQ(outcome.error().code(), errc::broken);
    EXPECT_EQ(outcome.error().message(), "pipe_to: the sink failed after 4 bytes");
    EXPECT_EQ(from.events, keep ? events{} : events{"cancel broken"});
    EXPECT_TRUE(to.events.empty());
    EXPECT_EQ(progress.sent, 4u);
    EXPECT_EQ(progress.received, 4u) << "what could not be written went back";
    EXPECT_EQ(from.rest(), "ef");
  }
}

WEIR_TEST("an ended source ends the sink, unless that is to be kept open (W10)") {
  for (const bool keep : {false, true}) {
    told_source from{.pieces = {"abc"}};
    told_sink to;
    EXPECT_EQ(co_await pipe_to(from, to, {.keep_open = keep}), 3u);
    EXPECT_EQ(to.events, keep ? events{} : events{"end"});
  }
}

/// A sink or source that was closed before.
struct closed_sink : told_sink {
  explicit operator bool() const noexcept { return false; }
};
struct closed_source : told_source {
  explicit operator bool() const noexcept { return false; }
};

WEIR_TEST("a sink that was closed before ends the source, and nothing is read (W10)") {
  told_source from{.pieces = {"abc"}};
  closed_sink to;
  const auto outcome = co_await as_result(pipe_to(from, to));
  WEIR_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), errc::closed);
  EXPECT_EQ(from.events, events{"cancel closed"});
  EXPECT_EQ(from.asked, 0u);
}

WEIR_TEST("of several things at once the source's failure counts first (W10)") {
  closed_source from;
  closed_sink to;
  const auto outcome = co_await as_result(pipe_to(from, to));
  WEIR_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().message(), "pipe_to: the source failed after 0 bytes");
  EXPECT_EQ(to.events, events{"abort closed"});
  EXPECT_TRUE(from.events.empty());

  told_source failing{.pieces = {"a"}, .failure = errc::io};
  told_sink failing_too{.pause = 1_ms, .fails_after = 0};
  co_await expect_raises<errc::io>(pipe_to(failing, failing_too));
}

WEIR_TEST("the sink's failure counts before the source's end (W10)") {
  told_source from{.pieces = {"abc"}};
  told_sink to{.part_max = 1, .pause = 1_ms, .fails_after = 2};
  co_await expect_raises<errc::broken>(pipe_to(from, to));
  EXPECT_EQ(from.events, events{"cancel broken"});
}

WEIR_TEST("what was read is written before the sink is told of the end (W11)") {
  told_source from{.pieces = {"abc", "def"}};
  told_sink to{.part_max = 1, .pause = 1_ms};
  co_await pipe_to(from, to);
  EXPECT_EQ(to.got, "abcdef");
  EXPECT_EQ(to.events, events{"end"});
}

WEIR_TEST("what was read is written before the sink is told of a failure (W11)") {
  told_source from{.pieces = {"abc", "def"}, .failure = errc::broken};
  told_sink to{.part_max = 1, .pause = 1_ms};
  co_await expect_raises<errc::broken>(pipe_to(from, to));
  EXPECT_EQ(to.got, "abcdef");
  EXPECT_EQ(to.events, events{"abort broken"});
}

WEIR_TEST("an error in telling the other side takes the place of the first one (W11)") {
  told_source failing{.pieces = {"abc"}, .failure = errc::broken};
  told_sink to{.abort_failure = errc::io};
  co_await expect_raises<errc::io>(pipe_to(failing, to));

  told_source ending{.pieces = {"abc"}};
  told_sink ends_badly{.end_failure = errc::no_space};
  co_await expect_raises<errc::no_space>(pipe_to(ending, ends_badly));
}

WEIR_TEST("a cancellation writes what was read, then breaks the sink and ends the source (W12)") {
  for (const bool keep : {false, true}) {
    told_source from{.pieces = {"abc", "def"}, .waits_for_ever = true};
    told_sink to{.part_max = 1, .pause = 10_ms};
    copy_progress progress;
    bool is_over = false;
    co_await with_scope({.timeout = 25_ms}, [&](scope&) -> task<> {
      co_await pipe_to(from, to, {.keep_source = keep, .keep_sink = keep, .progress = &progress});
      is_over = true;
    });
    EXPECT_FALSE(is_over) << "the cancellation goes on";
    EXPECT_EQ(to.got, "abcdef");
    EXPECT_EQ(progress.sent, 6u);
    EXPECT_EQ(to.events, keep ? events{} : events{"abort cancelled"});
    EXPECT_EQ(from.events, keep ? events{} : events{"cancel cancelled"});
  }
}

WEIR_TEST("a sink that takes nothing holds a cancelled pipe for drain_timeout only (W12)") {
  told_source from{.pieces = {"abc"}, .waits_for_ever = true};
  told_sink to{.pause = duration::max()};
  co_await with_scope({.timeout = 1_ms}, [&](scope&) -> task<> {
    co_await pipe_to(from, to, {.keep_sink = true, .drain_timeout = 2_s});
  });
  EXPECT_EQ(elapsed(), 1_ms + 2_s);
  EXPECT_EQ(from.rest(), "abc") << "what could not be written went back";
  EXPECT_EQ(from.events, events{"cancel cancelled"});
}

task<> pipe_for_1_ms(told_source& from, told_sink& to) {
  co_await with_scope({.timeout = 1_ms}, [&](scope&) -> task<> {
    co_await pipe_to(from, to, {.drain_timeout = 1_s});
  });
}

WEIR_TEST("an error in telling a side of a cancellation is heard (W12)") {
  told_source from{.waits_for_ever = true};
  told_sink to{.abort_failure = errc::io};
  const auto texts = co_await testing::errors_of(pipe_for_1_ms(from, to));
  EXPECT_EQ(texts.size(), 1u);
  EXPECT_EQ(from.events, events{"cancel cancelled"}) << "the other side is told all the same";
}

WEIR_TEST("a sink that never answers holds a cancelled pipe for drain_timeout only (W12)") {
  told_source from{.waits_for_ever = true};
  told_sink to{.pause = duration::max()};
  const auto texts = co_await testing::errors_of(pipe_for_1_ms(from, to));
  EXPECT_EQ(texts.size(), 1u);
  EXPECT_EQ(elapsed(), 1_s + 1_ms);
}

WEIR_TEST("after a pipe both sides are free again, and no byte is gone (W13)") {
  told_source from{.pieces = {"abc", "def"}, .waits_for_ever = true};
  reader in(from);
  told_sink to{.part_max = 1, .pause = 1_ms, .fails_after = 2};
  co_await expect_raises<errc::broken>(pipe_to(in, to, {.keep_source = true}));
  EXPECT_EQ((co_await in.read_exactly(4)).text(), "cdef");

  told_source ended{.pieces = {"xyz"}};
  told_sink open;
  co_await pipe_to(ended, open, {.keep_open = true});
  const io_slice more{"!", 1};
  co_await open.send({&more, 1}, nullptr);
  EXPECT_EQ(open.got, "xyz!");
}

TEST(Pipe, cancelled_at_any_point_it_loses_no_byte) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_source from{.pieces = {"abc", "def", "ghi"}, .pause = 1_ns};
    told_sink to{.part_max = 2, .pause = 1_ns};
    copy_progress progress;
    co_await v.run([](told_source& source, told_sink& sink, copy_progress& told) -> task<> {
      co_await pipe_to(
          source, sink,
          {.queue_bytes_max = 4, .keep_source = true, .keep_sink = true, .progress = &told});
    }(from, to, progress));
    EXPECT_EQ(to.got + from.rest(), "abcdefghi");
    EXPECT_EQ(progress.sent, to.got.size());
    EXPECT_EQ(progress.received, progress.sent);
  });
}

/// All that was read is written, and then both sides have heard of the same end.
void expect_an_end(const told_source& from, const told_sink& to, std::string_view failure = {}) {
  if (from.asked == 0) return;
  EXPECT_EQ(to.got.size(), from.bytes_given);
  ASSERT_FALSE(to.events.empty());
  const std::string& last = to.events.back();
  if (last == "end") {
    EXPECT_TRUE(to.has_ended);
    EXPECT_EQ(from.rest(), "");
    EXPECT_TRUE(failure.empty() && from.events.empty());
  } else if (last == "abort cancelled") {
    EXPECT_EQ(from.events, events{"cancel cancelled"});
  } else {
    EXPECT_EQ(last, failure);
    EXPECT_TRUE(from.events.empty()) << "it has failed";
  }
}

TEST(Pipe, cancelled_at_any_point_tells_both_sides_of_an_end_W12) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_source from{.pieces = {"abc", "def"}, .pause = 1_ns};
    told_sink to{.part_max = 2, .pause = 1_ns};
    co_await v.run([](told_source& source, told_sink& sink) -> task<> {
      EXPECT_EQ(co_await pipe_to(source, sink), 6u);
    }(from, to));
    expect_an_end(from, to);
  });
}

TEST(Pipe, cancelled_at_any_point_into_a_writer_leaves_nothing_in_its_buffer_W12) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_source from{.pieces = {"abc", "def"}, .pause = 1_ns};
    told_sink to{.part_max = 2, .pause = 1_ns};
    writer out(to, {.buffer_bytes = 4});
    co_await v.run([](told_source& source, writer& sink) -> task<> {
      EXPECT_EQ(co_await pipe_to(source, sink), 6u);
    }(from, out));
    expect_an_end(from, to);
    EXPECT_EQ(out.buffered(), "");
  });
}

WEIR_TEST("a sink that does not hear of the end in time after a cancellation is broken (W12)") {
  told_source from{.pieces = {"abc"}};
  told_sink to{.end_pause = 1_h};
  const auto texts = co_await testing::errors_of(pipe_for_1_ms(from, to));
  EXPECT_EQ(texts.size(), 1u);
  EXPECT_EQ(elapsed(), 1_ms + 1_s);
  EXPECT_EQ(to.events, (events{"end", "end", "abort cancelled"}));
}

/// A sink whose flush does not wait.
struct quick_sink : told_sink {
  std::size_t flushes = 0;
  void flush() noexcept { ++flushes; }
};

WEIR_TEST("a cancelled pipe flushes a sink that it breaks (W12)") {
  told_source from{.pieces = {"abc"}, .waits_for_ever = true};
  quick_sink to;
  co_await with_scope({.timeout = 1_ms}, [&](scope&) -> task<> { co_await pipe_to(from, to); });
  EXPECT_EQ(to.flushes, 1u);
  EXPECT_EQ(to.events, events{"abort cancelled"});
}

TEST(Pipe, cancelled_at_any_point_of_a_failure_breaks_the_sink_and_tells_the_failure_W12) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_source from{.pieces = {"abc", "def"}, .failure = errc::io, .pause = 1_ns};
    told_sink to{.part_max = 2, .pause = 2_ns};
    bool is_told = false;
    co_await v.run([](told_source& source, told_sink& sink, bool& told) -> task<> {
      const auto outcome = co_await as_result(pipe_to(source, sink));
      told = !outcome && outcome.error().code() == errc::io;
    }(from, to, is_told));
    expect_an_end(from, to, "abort io");
    if (!to.events.empty() && to.events.back() == "abort io") EXPECT_TRUE(is_told);
  });
}

/// A source that takes its time to hear of its end.
struct slow_source : told_source {
  bool has_heard = false;
  task<> cancel(error why) {
    told_source::cancel(why);
    co_await sleep(1_ns);
    has_heard = true;
  }
};

TEST(Pipe, cancelled_at_any_point_of_a_failure_of_the_sink_ends_the_source_W12) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    slow_source from;
    from.pieces = {"abc", "def"};
    from.waits_for_ever = true;
    told_sink to{.part_max = 2, .pause = 1_ns, .fails_after = 4};
    co_await v.run([](slow_source& source, told_sink& sink) -> task<> {
      const auto outcome = co_await as_result(pipe_to(source, sink));
      EXPECT_FALSE(outcome);
    }(from, to));
    EXPECT_TRUE(from.has_heard || from.asked == 0);
  });
}

WEIR_TEST("a pipe into a writer flushes it at the end") {
  told_source from{.pieces = {"abc", "def"}};
  told_sink to;
  writer out(to);
  co_await pipe_to(from, out);
  EXPECT_EQ(to.got, "abcdef");
  EXPECT_EQ(to.events, events{"end"});
}

WEIR_TEST("a great many small pieces are bounded, too") {
  told_source from;
  for (int i = 0; i < 300; ++i) from.pieces.emplace_back("x");
  told_sink to{.pause = 1_ms};
  EXPECT_EQ(co_await pipe_to(from, to), 300u);
  EXPECT_EQ(to.got.size(), 300u);
}

}  // namespace
}  // namespace weir::pipe_test

#include <weir/io/writer.hpp>

#include <weir/base/log.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/byte_kit_test.hpp>
#include <weir/io/file_stream.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace weir::writer_test {
namespace {

using namespace weir::literals;
using testing::expect_raises;
using testing::told_sink;

static_assert(byte_sink<writer>);

WEIR_TEST("small writes are gathered until the buffer is full or flushed") {
  told_sink to;
  writer out(to, {.buffer_bytes = 8});
  co_await out.write("abc");
  co_await out.write("de");
  EXPECT_EQ(to.sends, 0u);
  EXPECT_EQ(out.buffered(), "abcde");
  co_await out.write("fghi");
  EXPECT_EQ(to.got, "abcde");
  EXPECT_EQ(out.buffered(), "fghi");
  co_await out.flush();
  EXPECT_EQ(to.got, "abcdefghi");
  EXPECT_EQ(out.sent(), 9u);
  co_await out.flush();
  EXPECT_EQ(to.sends, 2u) << "nothing is sent for nothing";
}

WEIR_TEST("a text over the buffer's size leaves at once with what was buffered") {
  told_sink to;
  writer out(to, {.buffer_bytes = 4});
  co_await out.write("ab");
  std::size_t taken = 0;
  co_await out.write("cdefgh", &taken);
  EXPECT_EQ(taken, 6u);
  EXPECT_EQ(to.got, "abcdefgh");
  EXPECT_EQ(to.sends, 1u);
}

WEIR_TEST("the end is told after what was buffered (W3)") {
  told_sink to;
  writer out(to);
  co_await out.write("last words");
  co_await out.end();
  EXPECT_EQ(to.got, "last words");
  EXPECT_EQ(to.events, std::vector<std::string>{"end"});
}

WEIR_TEST("an error of the sink leaves what was not sent") {
  told_sink to{.part_max = 3, .fails_after = 3};
  writer out(to);
  co_await out.write("abcdef");
  co_await expect_raises<errc::broken>(out.flush());
  EXPECT_EQ(out.buffered(), "def");
  to.fails_after = std::string::npos;
  co_await out.flush();
  EXPECT_EQ(to.got, "abcdef");
}

TEST(Writer, a_write_cancelled_at_any_point_has_taken_what_it_tells_and_keeps_it) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_sink to{.part_max = 2, .pause = 1_ns};
    writer out(to, {.buffer_bytes = 4});
    static constexpr std::array<std::string_view, 4> texts{"abc", "de", "0123456789", "xyz"};
    std::string whole;
    std::size_t taken = 0;
    co_await v.run([](writer& of, std::string& done, std::size_t& told) -> task<> {
      for (const std::string_view text : texts) {
        told = 0;
        co_await of.write(text, &told);
        done += text;
        told = 0;
      }
      co_await of.flush();
    }(out, whole, taken));
    for (const std::string_view text : texts) {
      if (whole.size() == std::string_view("abcde0123456789xyz").find(text)) {
        whole += text.substr(0, taken);
        break;
      }
    }
    co_await out.flush();
    EXPECT_EQ(to.got, whole);
  });
}

/// A frame between brackets.
struct bracketed {
  result<frame_place> find(std::string_view, std::size_t) const { return frame_place{}; }
  result<frame_place> find_last(std::string_view) const { return frame_place{}; }
  result<frame_edges> around(std::string_view) const {
    frame_edges edges;
    edges.bytes = {'[', ']'};
    edges.head_size = edges.tail_size = 1;
    return edges;
  }
};

TEST(Writer, a_frame_is_never_cut_wherever_it_is_cancelled) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_sink to{.part_max = 2, .pause = 1_ns};
    writer out(to, {.buffer_bytes = 6});
    bracketed codec;
    co_await v.run([](writer& of, bracketed& with) -> task<> {
      co_await of.write_frame(with, "abc");
      co_await of.write_frame(with, "de");
      co_await of.write_frame(with, "0123456789");
      co_await of.flush();
    }(out, codec));
    co_await out.flush();
    std::string_view sent = to.got;
    for (const std::string_view frame : {"[abc]", "[de]", "[0123456789]"}) {
      if (sent.empty()) break;
      EXPECT_TRUE(sent.starts_with(frame)) << to.got;
      sent.remove_prefix(std::min(frame.size(), sent.size()));
    }
    EXPECT_EQ(sent, "");
  });
}

TEST(Writer, a_send_cancelled_at_any_point_has_taken_what_it_tells_and_keeps_it) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_sink to{.part_max = 2, .pause = 1_ns};
    writer out(to, {.buffer_bytes = 4});
    std::size_t sent = 0;
    co_await v.run([](writer& of, std::size_t& told) -> task<> {
      const io_slice pieces[] = {{"abc", 3}, {"de", 2}, {"0123456789", 10}, {"xyz", 3}};
      co_await of.send(pieces, &told);
    }(out, sent));
    co_await out.flush();
    if (!v.was_cancelled()) EXPECT_EQ(sent, 18u);
    EXPECT_EQ(to.got, std::string_view("abcde0123456789xyz").substr(0, sent));
  });
}

TEST(Writer, an_end_cancelled_at_any_point_has_lost_nothing_and_may_be_told_again) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_sink to{.part_max = 2, .pause = 1_ns};
    writer out(to, {.buffer_bytes = 8});
    co_await out.write("abcdefg");
    co_await v.run([](writer& of) -> task<> { co_await of.shutdown_send(); }(out));
    if (!to.events.empty()) EXPECT_EQ(to.got, "abcdefg") << "it ended before all was sent";
    if (!v.was_cancelled()) EXPECT_FALSE(to.events.empty());
    EXPECT_EQ(to.got + std::string(out.buffered()), "abcdefg");
    co_await out.end();
    EXPECT_EQ(to.got, "abcdefg");
    EXPECT_EQ(to.events.back(), "end");
  });
}

TEST(Writer, an_abort_cancelled_at_any_point_has_dropped_what_was_buffered_or_not_begun) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_sink to{.pause = 1_ns};
    writer out(to);
    co_await out.write("never sent");
    co_await v.run([](writer& of) -> task<> {
      co_await yield();
      co_await of.abort(error(errc::io));
    }(out));
    EXPECT_TRUE(!to.events.empty() || v.was_cancelled());
    if (!to.events.empty()) EXPECT_EQ(out.buffered(), "");
    co_await out.abort(error(errc::io));
    EXPECT_EQ(out.buffered(), "");
    EXPECT_EQ(to.events.back(), "abort io");
    EXPECT_EQ(to.got, "");
  });
}

TEST(Writer, what_was_never_flushed_is_told_in_the_log) {
  std::string logged;
  const log::sink before = log::set_sink({[](void* to, log::level, std::string_view text) noexcept {
                                            static_cast<std::string*>(to)->append(text);
                                          },
                                          &logged});
  testing::run_virtual([](std::string& lines) -> task<> {
    told_sink to;
    {
      writer meant(to);
      co_await meant.write("dropped");
      meant.discard();
      writer cancelled(to);
      co_await with_scope([&](scope& s) -> task<> {
        writer inside(to);
        co_await inside.write("ended by a cancellation");
        s.cancel();
        co_await sleep(1_s);
      });
    }
    EXPECT_EQ(lines, "");
    {
      writer forgotten(to);
      co_await forgotten.write("forgotten");
    }
    EXPECT_EQ(lines, "a writer was destroyed with bytes that were never flushed bytes=9");
  }(logged));
  (void)log::set_sink(before);
}

WEIR_TEST("a flush to the end of a file is one write of it, head and body") {
  testing::world().set_short_chance(0);
  const auto writes = [] { return testing::world().count_of(io_op::write_at); };
  file log = co_await open_file("/log", {.write = true, .create = true, .append = true});
  file_sink to(log, {.piece_bytes = 3});
  writer out(to, {.buffer_bytes = 8});
  co_await out.write("head: ");
  const std::uint64_t before = writes();
  co_await out.write("a body that is longer");
  EXPECT_EQ(writes(), before + 1);
  EXPECT_EQ(*testing::world().disk().content_of("/log"), "head: a body that is longer");
  EXPECT_EQ(out.buffered(), "");
  EXPECT_EQ(to.offset(), 27u);
}

WEIR_TEST("what is discarded while it is being sent is gone, and the writer goes on") {
  told_sink to{.part_max = 2, .pause = 1_ms};
  writer out(to, {.buffer_bytes = 8});
  co_await out.write("abcdef");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](writer* flushed) -> task<> { co_await flushed->flush(); }, &out);
    co_await sleep(1_ms + 500_us);
    out.discard();
    EXPECT_EQ(out.buffered(), "");
  });
  EXPECT_EQ(to.got, "abcdef") << "it was on its way";
  EXPECT_EQ(out.buffered(), "");
  co_await out.write("gh");
  co_await out.flush();
  EXPECT_EQ(to.got, "abcdefgh");
}

WEIR_TEST("a writer is a sink: several pieces, and as much as was taken is told") {
  told_sink to{.part_max = 1, .pause = 1_ms};
  writer out(to, {.buffer_bytes = 4});
  const io_slice pieces[] = {{"ab", 2}, {"", 0}, {"cdefgh", 6}};
  std::size_t sent = 0;
  const auto outcome = co_await as_result(with_timeout(4_ms + 500_us, out.send(pieces, &sent)));
  EXPECT_FALSE(outcome);
  EXPECT_EQ(to.got, "abcd");
  EXPECT_EQ(sent, 4u);
  EXPECT_EQ(out.buffered(), "");
  co_await out.send({}, &sent);
  EXPECT_EQ(sent, 0u) << "of no pieces none";
  co_await out.abort(error(errc::io));
  EXPECT_EQ(to.events, std::vector<std::string>{"abort io"});
}

}  // namespace
}  // namespace weir::writer_test

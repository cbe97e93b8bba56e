#include <weir/io/copy.hpp>

#include <weir/io/byte_kit_test.hpp>
#include <weir/io/writer.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::copy_test {
namespace {

using namespace weir::literals;
using testing::expect_raises;
using testing::told_sink;
using testing::told_source;

WEIR_TEST("a copy takes all to the end, counts it, and ends neither side") {
  told_source from{.pieces = {"ab", "cdef", "g"}};
  told_sink to;
  copy_progress progress{.received = 9, .sent = 9};
  EXPECT_EQ(co_await copy(from, to, &progress), 7u);
  EXPECT_EQ(to.got, "abcdefg");
  EXPECT_EQ(progress.received, 7u);
  EXPECT_EQ(progress.sent, 7u);
  EXPECT_TRUE(to.events.empty());
  EXPECT_TRUE(from.events.empty());
}

WEIR_TEST("an error of a copy says which side failed, and after how many bytes") {
  told_source from{.pieces = {"abc"}, .failure = errc::timed_out};
  told_sink to;
  const auto of_source = co_await as_result(copy(from, to));
  WEIR_REQUIRE(!of_source);
  EXPECT_EQ(of_source.error().code(), errc::timed_out);
  EXPECT_EQ(of_source.error().message(), "copy: the source failed after 3 bytes");
  WEIR_REQUIRE(of_source.error().cause());
  EXPECT_EQ(of_source.error().cause()->message(), "as told");

  told_source more{.pieces = {"abc", "defg"}};
  told_sink full{.part_max = 1, .fails_after = 5, .failure = errc::no_space};
  copy_progress progress;
  const auto of_sink = co_await as_result(copy(more, full, &progress));
  WEIR_REQUIRE(!of_sink);
  EXPECT_EQ(of_sink.error().code(), errc::no_space);
  EXPECT_EQ(of_sink.error().message(), "copy: the sink failed after 5 bytes");
  EXPECT_EQ(progress.sent, 5u);
  EXPECT_EQ(progress.received, 5u) << "the rest went back";
  EXPECT_EQ(more.rest(), "fg");
}

WEIR_TEST("what a source can't take back is told by the difference of the counts") {
  told_source from{.pieces = {"abcd"}, .takes_back = false};
  told_sink to{.part_max = 1, .fails_after = 1};
  copy_progress progress;
  co_await expect_raises<errc::broken>(copy(from, to, &progress));
  EXPECT_EQ(progress.received, 4u);
  EXPECT_EQ(progress.sent, 1u);
}

TEST(Copy, cancelled_at_any_point_it_tells_how_much_was_copied_and_loses_nothing) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_source from{.pieces = {"abc", "def", "ghi"}, .pause = 1_ns};
    reader in(from);
    told_sink to{.part_max = 2, .pause = 1_ns};
    copy_progress progress;
    co_await v.run([](reader& source, told_sink& sink, copy_progress& told) -> task<> {
      co_await copy(source, sink, &told);
    }(in, to, progress));
    EXPECT_EQ(progress.sent, to.got.size());
    EXPECT_EQ(progress.received, progress.sent);
    EXPECT_EQ(to.got + co_await in.read_all(100), "abcdefghi");
  });
}

WEIR_TEST("copy_exactly takes so many and leaves what follows") {
  told_source from{.pieces = {"abc", "defgh", "i"}};
  reader in(from);
  told_sink to;
  EXPECT_EQ(co_await copy_exactly(in, to, 5), 5u);
  EXPECT_EQ(co_await copy_exactly(in, to, 0), 0u);
  EXPECT_EQ(to.got, "abcde");
  EXPECT_EQ(in.buffered(), "fgh");
  copy_progress progress;
  const auto more = co_await as_result(copy_exactly(in, to, 5, &progress));
  WEIR_REQUIRE(!more);
  EXPECT_EQ(more.error().code(), errc::end_of_stream);
  EXPECT_EQ(more.error().message(), "copy: the source ended after 4 of 5 bytes");
  EXPECT_EQ(progress.sent, 4u);
  EXPECT_EQ(to.got, "abcdefghi");
}

TEST(Copy, of_so_many_cancelled_at_any_point_tells_how_much_was_copied_and_can_be_gone_on_with) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_source from{.pieces = {"abc", "def", "ghi"}, .pause = 1_ns};
    reader in(from);
    told_sink to{.part_max = 2, .pause = 1_ns};
    copy_progress progress;
    co_await v.run([](reader& source, told_sink& sink, copy_progress& told) -> task<> {
      co_await copy_exactly(source, sink, 5, &told);
    }(in, to, progress));
    EXPECT_LE(to.got.size(), 5u);
    if (!v.was_cancelled()) EXPECT_EQ(to.got.size(), 5u);
    EXPECT_EQ(progress.sent, to.got.size());
    EXPECT_LE(progress.sent, progress.received);
    co_await copy_exactly(in, to, 5 - progress.sent);
    EXPECT_EQ(to.got, "abcde");
    EXPECT_EQ(co_await in.read_all(100), "fghi");
  });
}

WEIR_TEST("a copy into a writer leaves the last bytes in its buffer") {
  told_source from{.pieces = {"abc", "defgh"}};
  told_sink to;
  writer out(to, {.buffer_bytes = 4});
  EXPECT_EQ(co_await copy(from, out), 8u);
  co_await out.end();
  EXPECT_EQ(to.got, "abcdefgh");
}

}  // namespace
}  // namespace weir::copy_test

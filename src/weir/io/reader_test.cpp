#include <weir/io/reader.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/byte_kit_test.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace weir::reader_test {
namespace {

using namespace weir::literals;
using testing::expect_raises;
using testing::told_source;

static_assert(byte_source<reader>);

task<std::vector<std::string>> lines_of(reader& in) {
  std::vector<std::string> all;
  while (auto line = co_await in.read_line()) all.emplace_back(line->text());
  co_return all;
}

/// The text in pieces of `size` bytes.
std::vector<std::string> cut(std::string_view text, std::size_t size) {
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < text.size(); at += size) {
    pieces.emplace_back(text.substr(at, size));
  }
  return pieces;
}

WEIR_TEST("lines come without their ends, wherever the stream was cut into pieces") {
  const std::string text = "one\r\ntwo\n\n\r\nlast";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    told_source from{.pieces = cut(text, size)};
    reader in(from);
    EXPECT_EQ(co_await lines_of(in), (std::vector<std::string>{"one", "two", "", "", "last"}))
        << size;
    EXPECT_TRUE(in.is_at_end());
    EXPECT_FALSE(co_await in.read_line()) << "the end stays the end";
    EXPECT_EQ(from.asked, from.pieces.size() + 1) << "and is not asked for again";
  }
}

WEIR_TEST("a line in one block is a view of it, one across blocks is gathered") {
  told_source from{.pieces = {"a\nb", "c\nd\n"}};
  reader in(from);
  const bytes first = *co_await in.read_line();
  const std::string_view rest = in.buffered();
  EXPECT_EQ(rest, "b");
  EXPECT_EQ(rest.data(), first.data() + 2) << "the same block, no copy";
  EXPECT_EQ((*co_await in.read_line()).text(), "bc");
  EXPECT_EQ((*co_await in.read_line()).text(), "d");
  EXPECT_EQ(first.text(), "a") << "views outlive the reader's buffer";
}

WEIR_TEST("a line over its limit is told with the limit, and nothing of it is lost") {
  for (const std::vector<std::string>& pieces :
       {std::vector<std::string>{"123456789\nnext\n"},
        std::vector<std::string>{"1234", "56789", "\n"}, std::vector<std::string>{"123456789"}}) {
    told_source from{.pieces = pieces};
    reader in(from, {.item_bytes_max = 8});
    const auto line = co_await as_result(in.read_line());
    WEIR_REQUIRE(!line);
    EXPECT_EQ(line.error().code(), errc::too_large);
    EXPECT_EQ(line.error().message(),
              "a line is longer than the reader's item_bytes_max of 8 bytes");
    EXPECT_EQ((co_await in.read_exactly(4)).text(), "1234") << "all of it is still here";
  }
  told_source fits{.pieces = cut("12345678\r\n12345678\n12345678", 3)};
  reader in(fits, {.item_bytes_max = 8});
  EXPECT_EQ((co_await lines_of(in)).size(), 3u);
}

WEIR_TEST("read_until takes its delimiter and leaves it out, wherever the stream was cut") {
  const std::string text = "Host: a\r\n\r\nbody-\r\n-more\r\n\r\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    told_source from{.pieces = cut(text, size)};
    reader in(from);
    EXPECT_EQ((co_await in.read_until("\r\n\r\n")).text(), "Host: a");
    EXPECT_EQ((co_await in.read_until("\r\n\r\n")).text(), "body-\r\n-more");
    co_await expect_raises<errc::end_of_stream>(in.read_until("x"));
  }
}

WEIR_TEST("an end before the delimiter is told with what has come, which stays") {
  told_source from{.pieces = {"half a ", "head"}};
  reader in(from);
  const auto head = co_await as_result(in.read_until("\r\n\r\n"));
  WEIR_REQUIRE(!head);
  EXPECT_EQ(head.error().code(), errc::end_of_stream);
  EXPECT_EQ(head.error().message(), "the stream ended after 11 bytes of an unfinished item");
  EXPECT_EQ(in.buffered(), "half a head");
  EXPECT_FALSE(in.is_at_end());
}

WEIR_TEST("an item over the limit is told before more of it is gathered") {
  told_source from{.pieces = cut(std::string(100, 'x'), 4)};
  reader in(from, {.item_bytes_max = 16});
  co_await expect_raises<errc::too_large>(in.read_until("\r\n\r\n"));
  EXPECT_LE(from.bytes_given, 24u) << "the limit, a part of the delimiter and a piece";
}

WEIR_TEST("read_exactly gives all or tells how far the stream went") {
  told_source from{.pieces = {"abc", "defg", "h"}};
  reader in(from, {.item_bytes_max = 6});
  EXPECT_EQ((co_await in.read_exactly(5)).text(), "abcde");
  EXPECT_TRUE((co_await in.read_exactly(0)).empty());
  const auto more = co_await as_result(in.read_exactly(6));
  WEIR_REQUIRE(!more);
  EXPECT_EQ(more.error().code(), errc::end_of_stream);
  EXPECT_EQ(more.error().message(), "the stream ended after 3 of 6 bytes");
  EXPECT_EQ((co_await in.read_exactly(3)).text(), "fgh") << "what had come is still here";
  co_await expect_raises<errc::too_large>(in.read_exactly(7));
}

WEIR_TEST("read_exactly fills memory of any size and tells how much is there") {
  told_source from{.pieces = {"abc", "defg", "h"}};
  reader in(from, {.item_bytes_max = 1});
  std::string memory(5, '-');
  std::size_t got = 99;
  co_await in.read_exactly(memory, &got);
  EXPECT_EQ(memory, "abcde");
  EXPECT_EQ(got, 5u);
  memory.assign(8, '-');
  const auto more = co_await as_result(in.read_exactly(memory, &got));
  WEIR_REQUIRE(!more);
  EXPECT_EQ(more.error().message(), "the stream ended after 3 of 8 bytes");
  EXPECT_EQ(got, 3u);
  EXPECT_EQ(memory, "fgh-----");
}

WEIR_TEST("read_some gives what has arrived, and nothing at the end") {
  told_source from{.pieces = {"abc", "d"}};
  reader in(from);
  EXPECT_EQ((co_await in.read_exactly(1)).text(), "a");
  EXPECT_EQ((co_await in.read_some()).text(), "bc");
  EXPECT_EQ((co_await in.receive()).text(), "d");
  EXPECT_TRUE((co_await in.read_some()).empty());
  EXPECT_TRUE((co_await in.read_some()).empty());
}

WEIR_TEST("read_all gives the rest of the stream, or keeps it when it is too large") {
  told_source from{.pieces = {"first\nabc", "def", "g"}};
  reader in(from);
  EXPECT_EQ((*co_await in.read_line()).text(), "first");
  co_await expect_raises<errc::too_large>(in.read_all(5));
  EXPECT_EQ(co_await in.read_all(7), "abcdefg");
  EXPECT_EQ(co_await in.read_all(7), "");
}

WEIR_TEST("an error of the source leaves what had come before it") {
  told_source from{.pieces = {"abc"}, .failure = errc::broken};
  reader in(from);
  co_await expect_raises<errc::broken>(in.read_line());
  EXPECT_EQ(in.buffered(), "abc");
  co_await expect_raises<errc::broken>(in.read_exactly(4));
  EXPECT_EQ((co_await in.read_exactly(3)).text(), "abc");
}

WEIR_TEST("a read that timed out has taken nothing") {
  told_source from{.pieces = {"ab", "c\n"}, .pause = 10_ms};
  reader in(from);
  co_await expect_raises<errc::timed_out>(with_timeout(15_ms, in.read_line()));
  EXPECT_EQ(in.buffered(), "ab");
  EXPECT_EQ((*co_await in.read_line()).text(), "abc");
}

WEIR_TEST("bytes that are put back come first") {
  told_source from{.pieces = {"cd", "ef"}};
  reader in(from);
  EXPECT_TRUE(in.put_back(bytes::copy_of("b")));
  EXPECT_TRUE(in.put_back(bytes::copy_of("a")));
  EXPECT_EQ((co_await in.read_exactly(4)).text(), "abcd");
  EXPECT_TRUE(in.put_back(bytes::copy_of("")));
  EXPECT_EQ(co_await in.read_all(10), "ef");
}

WEIR_TEST("a reader on a reader reads on where that one is") {
  told_source from{.pieces = {"head\nline 1\nline 2"}};
  reader outer(from);
  EXPECT_EQ((*co_await outer.read_line()).text(), "head");
  reader inner(outer);
  EXPECT_EQ((co_await lines_of(inner)).size(), 2u);
}

TEST(Reader, a_read_cancelled_at_any_point_has_taken_nothing) {
  static constexpr std::string_view text = "first line\nsecond\n0123456789tail";
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_source from{.pieces = cut(text, 3), .pause = 1_ns};
    reader in(from);
    std::string seen;
    char memory[5] = {};
    std::size_t got = 0;
    co_await v.run(
        [](reader& of, std::string& into, std::span<char> to, std::size_t& count) -> task<> {
          into += (*co_await of.read_line()).text();
          into += '\n';
          const bytes second = co_await of.read_until("\n");
          into += std::string(second.text()) + '\n';
          const bytes digits = co_await of.read_exactly(5);
          into += digits.text();
          co_await of.read_exactly(to, &count);
          into += co_await of.read_all(100);
        }(in, seen, memory, got));
    if (seen.size() < 23) {  // memory was not yet added
      seen.append(memory, got);
    } else {
      seen.insert(23, std::string_view(memory, got));
    }
    EXPECT_EQ(seen + co_await in.read_all(100), text);
  });
}

/// A frame ends in a semicolon.
struct semicolons {
  result<frame_place> find(std::string_view have, std::size_t seen) const {
    const std::size_t end = have.find(';', seen);
    if (end == have.npos) return frame_place{};
    return frame_place{.is_whole = true, .offset = 0, .size = end, .total = end + 1};
  }
  result<frame_place> find_last(std::string_view) const { return frame_place{}; }
  result<frame_edges> around(std::string_view) const { return frame_edges{}; }
};

TEST(Reader, a_read_of_frames_and_of_what_is_there_cancelled_at_any_point_has_taken_nothing) {
  static constexpr std::string_view text = "first frame;second;tail";
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    told_source from{.pieces = cut(text, 3), .pause = 1_ns};
    reader in(from);
    const semicolons codec;
    std::string seen;
    co_await v.run([](reader& of, const semicolons& with, std::string& into) -> task<> {
      for (int i = 0; i < 2; ++i) {
        const auto frame = co_await of.read_frame(with);
        into += std::string(frame->text()) + ";";
      }
      for (;;) {
        const bytes some = co_await of.read_some();
        if (!some) break;
        into += some.text();
      }
    }(in, codec, seen));
    EXPECT_EQ(seen + co_await in.read_all(100), text);
  });
}

WEIR_TEST("a read that can finish at once ends in a cancelled scope, and takes nothing") {
  told_source from{.pieces = {"a\nb\n"}};
  reader in(from);
  EXPECT_EQ((*co_await in.read_line()).text(), "a");
  bool has_read = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel();
    co_await in.read_line();
    has_read = true;
  });
  EXPECT_FALSE(has_read);
  EXPECT_EQ((*co_await in.read_line()).text(), "b");
}

WEIR_TEST("who reads lines that are all there gives others a turn") {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += "x\n";
  told_source from{.pieces = {text}};
  reader in(from);
  bool is_over = false;
  int turns = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      while (!is_over) {
        ++turns;
        co_await yield();
      }
    });
    while (co_await in.read_line()) {
    }
    is_over = true;
  });
  EXPECT_GE(turns, 10);
}

TEST(ReaderDeathTest, two_reads_at_once_stop_the_process_W6) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 told_source from{.pieces = {"a"}, .pause = 1_ms};
                 reader in(from);
                 co_await with_scope([&](scope& s) -> task<> {
                   s.spawn([&]() -> task<> { co_await in.read_line(); });
                   co_await in.read_line();
                 });
               }()),
               "one read of a reader at a time");
}

TEST(ReaderDeathTest, its_end_under_a_read_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 told_source from{.pieces = {"a"}, .pause = 1_ms};
                 std::optional<reader> in(std::in_place, from);
                 co_await with_scope([&](scope& s) -> task<> {
                   s.spawn([&]() -> task<> { co_await in->read_line(); });
                   co_await yield();
                   in.reset();
                 });
               }()),
               "a reader outlives its reads");
}

TEST(ReaderDeathTest, a_read_up_to_an_empty_delimiter_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 told_source from{.pieces = {"a"}};
                 reader in(from);
                 std::ignore = co_await in.read_until("");
               }()),
               "read_until needs a delimiter");
}

}  // namespace
}  // namespace weir::reader_test

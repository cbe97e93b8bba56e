// Frames over streams, both ways: the codecs of this floor with the readers and writers of io.
#include <weir/io/reader.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/writer.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>
#include <weir/wire/length_prefix.hpp>
#include <weir/wire/line_frames.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::framed_stream_test {
namespace {

using namespace weir::literals;
using testing::expect_raises;

/// What a peer sends, in pieces, and then the end.
struct peer {
  std::vector<std::string> pieces;
  std::size_t given = 0;

  task<bytes> receive() {
    co_await sleep(1_ns);
    co_return given < pieces.size() ? bytes::copy_of(pieces[given++]) : bytes();
  }
};

WEIR_TEST("frames of every size pass a socket, whole and in order") {
  listener door = co_await listen({});
  socket client = co_await connect(door.local());
  socket server = co_await door.accept();
  const length_prefix codec(length_format::varint, 100'000);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      writer out(client, {.buffer_bytes = 512});
      for (std::size_t size = 0; size < 5'000; size = size * 3 / 2 + 1)
        co_await out.write_frame(codec, std::string(size, static_cast<char>('a' + size % 26)));
      co_await out.end();
    });
    reader in(server, {.item_bytes_max = 1});
    std::size_t size = 0;
    while (auto frame = co_await in.read_frame(codec)) {
      EXPECT_EQ(frame->text(), std::string(size, static_cast<char>('a' + size % 26)));
      size = size * 3 / 2 + 1;
    }
    EXPECT_GE(size, 5'000u);
  });
}

WEIR_TEST("an end between frames is the end, one inside of a frame is an error") {
  const length_prefix codec(length_format::two_bytes);
  peer from{.pieces = {std::string("\0\1x\0\5ab", 7)}};
  reader in(from);
  EXPECT_EQ((*co_await in.read_frame(codec)).text(), "x");
  co_await expect_raises<errc::end_of_stream>(in.read_frame(codec));
  EXPECT_EQ(in.buffered(), std::string_view("\0\5ab", 4)) << "what has come is still here";

  peer ends{.pieces = {std::string("\0\1x", 3)}};
  reader whole(ends);
  EXPECT_TRUE(co_await whole.read_frame(codec));
  EXPECT_FALSE(co_await whole.read_frame(codec));
  EXPECT_FALSE(co_await whole.read_frame(codec));
}

WEIR_TEST("a frame over its limit is an error both ways, and takes nothing") {
  const length_prefix codec(length_format::one_byte, 3);
  peer from{.pieces = {"\4abcd"}};
  reader in(from);
  co_await expect_raises<errc::too_large>(in.read_frame(codec));
  EXPECT_EQ(in.buffered(), "\4abcd");

  std::string sent;
  struct {
    std::string& to;
    task<> send(std::span<const io_slice> pieces, std::size_t*) {
      for (const io_slice& one : pieces) to.append(static_cast<const char*>(one.data), one.size);
      co_return;
    }
  } sink{sent};
  writer out(sink);
  co_await expect_raises<errc::too_large>(out.write_frame(codec, "abcd"));
  co_await out.write_frame(codec, "abc");
  co_await out.flush();
  EXPECT_EQ(sent, "\3abc");
}

WEIR_TEST("lines are frames, too, and the codec may change between two of them") {
  const line_frames lines;
  const length_prefix blocks(length_format::one_byte);
  peer from{.pieces = {"4 bytes fol", "low\r\n\4ab", "cdlast"}};
  reader in(from);
  EXPECT_EQ((*co_await in.read_frame(lines)).text(), "4 bytes follow");
  EXPECT_EQ((*co_await in.read_frame(blocks)).text(), "abcd");
  EXPECT_EQ((*co_await in.read_frame(lines)).text(), "last");
}

TEST(FramedStream, a_read_of_a_frame_cancelled_at_any_point_has_taken_it_or_nothing) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    const length_prefix codec(length_format::one_byte);
    peer from{.pieces = {"\3a", "bc\2d", "e", "\1f"}};
    reader in(from);
    std::string seen;
    co_await v.run([](reader& of, const length_prefix& with, std::string& into) -> task<> {
      while (auto frame = co_await of.read_frame(with)) into += frame->text();
    }(in, codec, seen));
    while (auto frame = co_await in.read_frame(codec)) seen += frame->text();
    EXPECT_EQ(seen, "abcdef");
  });
}

}  // namespace
}  // namespace weir::framed_stream_test

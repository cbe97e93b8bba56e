// Memory that fails under readers, writers, files and sockets: each allocation of a scenario in
// turn. What was asked for can be asked for again, and no byte is lost or doubled.
#include <weir/core.hpp>
#include <weir/io/byte_kit_test.hpp>
#include <weir/io/file.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/writer.hpp>
#include <weir/testing/allocation_points.hpp>

#include <gtest/gtest.h>

#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::io_bad_alloc_test {
namespace {

using namespace weir::literals;
using testing::for_each_allocation;
using testing::told_sink;
using testing::told_source;

// Asks once more when there was no memory. Answers are short, so that strings hold them without.
template <class Ask>
task<std::string> once_more(Ask ask) {
  try {
    co_return co_await ask();
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the next time there is some
  }
  co_return co_await ask();
}

// A socket that gives its bytes in pieces and has them ready, so that only the reader allocates.
struct piecemeal {
  std::vector<bytes> pieces;
  std::size_t given = 0;
  task<bytes> receive() {
    co_await checkpoint();
    co_return given < pieces.size() ? pieces[given++] : bytes();
  }
};

TEST(WithoutMemory, a_read_leaves_its_bytes_to_the_next) {
  for_each_allocation([]() -> task<> {
    piecemeal from;
    for (const char* piece : {"one\ntw", "o\n", "3", "333", "3rest ", "of it"}) {
      from.pieces.push_back(bytes::copy_of(piece));
    }
    reader in(from);
    const auto line = [&]() -> task<std::string> {
      const bytes got = *co_await in.read_line();
      co_return std::string(got.text());
    };
    const auto part = [&]() -> task<std::string> {
      const bytes got = co_await in.read_until("\n");
      co_return std::string(got.text());
    };
    const auto five = [&]() -> task<std::string> {
      const bytes got = co_await in.read_exactly(5);
      co_return std::string(got.text());
    };
    const auto rest = [&]() -> task<std::string> { co_return co_await in.read_all(100); };
    EXPECT_EQ(co_await once_more(line), "one");
    EXPECT_EQ(co_await once_more(part), "two");
    EXPECT_EQ(co_await once_more(five), "33333");
    EXPECT_EQ(co_await once_more(rest), "rest of it");
  });
}

// More than the reader's block has room for.
TEST(WithoutMemory, a_read_leaves_a_long_piece_to_the_next) {
  for_each_allocation([]() -> task<> {
    piecemeal from;
    const std::string middle(600, 'b');
    for (const std::string_view piece : {"first ", middle.c_str(), " last\n", "rest ", "of it"}) {
      from.pieces.push_back(bytes::copy_of(piece));
    }
    from.pieces.push_back(bytes::copy_of(middle));
    reader in(from);
    std::optional<bytes> line;
    try {
      line = co_await in.read_line();
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): once more
    }
    if (!line) line = co_await in.read_line();
    EXPECT_TRUE(line && line->text() == "first " + middle + " last");
    const auto rest = [&]() -> task<std::string> { co_return co_await in.read_all(1'000); };
    EXPECT_EQ(co_await once_more(rest), "rest of it" + middle);
  });
}

TEST(WithoutMemory, a_write_leaves_the_writer_whole) {
  for_each_allocation([]() -> task<> {
    told_sink to{.part_max = 3};
    to.got.reserve(1'000);
    const std::string_view text = "what is written comes out as it was put in; ";
    {
      writer out(to);
      for (int i = 0; i < 5; ++i) co_await out.write(text);
      co_await out.flush();
    }
    std::string five;
    for (int i = 0; i < 5; ++i) five += text;
    EXPECT_EQ(to.got, five);
  });
}

TEST(WithoutMemory, a_server_or_a_client_ends_their_connection_and_no_more) {
  for_each_allocation([]() -> task<> {
    listener door = co_await listen({});
    const address at = door.local();
    std::string back;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](listener* in) -> task<> {
            socket peer = co_await in->accept();
            reader asked(peer);
            while (auto line = co_await asked.read_line()) {
              const std::string answer = "you said " + std::string(line->text()) + "\n";
              co_await peer.send(answer);
            }
          },
          &door);
      socket peer = co_await connect(at);
      co_await peer.send("hello\n");
      reader in(peer);
      back = (co_await in.read_line())->text();
      co_await peer.shutdown_send();
    });
    EXPECT_EQ(back, "you said hello");
  });
}

// [save]
TEST(WithoutMemory, a_file_is_written_in_the_second_try) {
  weir::testing::for_each_allocation([]() -> task<> {
    const auto save = []() -> task<> {
      file out = co_await open_file("/note", {.write = true, .create = true});
      co_await out.write_at(0, "text");
      co_await out.sync();
      out.close();
      co_await rename_path("/note", "/kept");
    };
    bool has_failed = false;
    try {
      co_await save();
    } catch (const std::bad_alloc&) {
      has_failed = true;
    }
    if (has_failed) co_await save();
    file kept = co_await open_file("/kept");
    char text[5] = {};
    EXPECT_EQ(co_await kept.read_at(0, std::span(text)), 4u);
    EXPECT_STREQ(text, "text");
  });
}
// [/save]

}  // namespace
}  // namespace weir::io_bad_alloc_test

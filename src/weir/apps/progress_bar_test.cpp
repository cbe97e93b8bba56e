#include <weir/apps/progress_bar.hpp>

#include <weir/core/sleep.hpp>
#include <weir/testing/escape_guard.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace weir::progress_bar_test {
namespace {

using namespace weir::literals;

TEST(progress_bar, says_how_much_is_done_and_how_long_the_rest_takes) {
  EXPECT_EQ(progress_text("checking", progress_unit::bytes, 1'258'292, 4 << 20, 6_s),
            "checking  [======>             ]  30 %  1.2 MiB of 4.0 MiB, 14s left");
  EXPECT_EQ(progress_text("moving", progress_unit::messages, 0, 17, 6_s),
            "moving  [>                   ]   0 %  0 of 17");
}

TEST(progress_bar, never_shows_more_than_everything) {
  EXPECT_EQ(progress_text("x", progress_unit::messages, 9, 7, 6_s),
            "x  [====================]  100 %  7 of 7");
  EXPECT_EQ(progress_text("x", progress_unit::messages, 0, 0, 6_s),
            "x  [====================]  100 %  0 of 0");
}

/// A terminal whose other end the test reads.
struct terminal_pair {
  terminal_pair() {
    const testing::escape_allowed beside_the_program;
    EXPECT_EQ(openpty(&ours, &theirs, nullptr, nullptr, nullptr), 0);
    setenv("TERM", "xterm", 1);
  }
  ~terminal_pair() {
    close(ours);
    close(theirs);
  }
  /// What has been drawn; nothing is read when nothing was written, as a mark always follows it.
  std::string shown() const {
    EXPECT_EQ(write(theirs, "#", 1), 1);
    std::string text;
    while (!text.ends_with('#')) {
      std::array<char, 512> block{};
      const auto count = read(ours, block.data(), block.size());
      if (count <= 0) break;
      text.append(block.data(), static_cast<std::size_t>(count));
    }
    text.pop_back();
    return text;
  }
  int ours = -1;
  int theirs = -1;
};

/// It looks at the terminal and at TERM when it is made.
progress_bar bar_at(int descriptor) {
  const testing::escape_allowed beside_the_program;
  return progress_bar("x", progress_unit::messages, descriptor);
}

WEIR_TEST("a progress bar keeps silent for a second, draws ten times a second, and goes away") {
  const terminal_pair terminal;
  progress_bar bar = bar_at(terminal.theirs);
  bar.progressed(0, 10);
  co_await sleep(900_ms);
  bar.progressed(1, 10);
  EXPECT_EQ(terminal.shown(), "");
  co_await sleep(100_ms);
  bar.progressed(5, 10);
  EXPECT_EQ(terminal.shown(), "\r\x1b[Kx  [==========>         ]  50 %  5 of 10, 2s left");
  co_await sleep(50_ms);
  bar.progressed(6, 10);
  EXPECT_EQ(terminal.shown(), "");
  bar.end();
  EXPECT_EQ(terminal.shown(), "\r\x1b[K");
}

WEIR_TEST("a progress bar draws nothing where there is no terminal") {
  std::array<int, 2> ends{};
  {
    const testing::escape_allowed beside_the_program;
    EXPECT_EQ(pipe(ends.data()), 0);
  }
  {
    progress_bar bar = bar_at(ends[1]);
    bar.progressed(0, 10);
    co_await sleep(5_s);
    bar.progressed(5, 10);
  }
  close(ends[1]);
  char nothing = 0;
  EXPECT_EQ(read(ends[0], &nothing, 1), 0);
  close(ends[0]);
}

}  // namespace
}  // namespace weir::progress_bar_test

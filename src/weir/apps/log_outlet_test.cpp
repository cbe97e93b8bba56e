#include <weir/apps/log_outlet.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <string>

namespace weir::log_outlet_test {
namespace {

using namespace literals;

/// A pipe of two pages, each for one write at least; read when the test says so.
class slow_reader {
 public:
  slow_reader() {
    EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0);
    EXPECT_GT(::fcntl(ends_[1], F_SETPIPE_SZ, 8192), 0);
    EXPECT_EQ(::fcntl(ends_[0], F_SETFL, O_NONBLOCK), 0);
  }
  slow_reader(const slow_reader&) = delete;
  slow_reader& operator=(const slow_reader&) = delete;
  ~slow_reader() {
    leave();
    ::close(ends_[1]);
  }

  int descriptor() const { return ends_[1]; }
  void leave() {
    if (ends_[0] >= 0) ::close(ends_[0]);
    ends_[0] = -1;
  }
  std::string read_all() const {
    std::string out;
    std::array<char, 4096> block;
    ssize_t count;
    while ((count = ::read(ends_[0], block.data(), block.size())) > 0)
      out.append(block.data(), static_cast<std::size_t>(count));
    return out;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

std::size_t count_of(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(log_outlet, a_line_has_its_time_and_level) {
  const slow_reader reader;
  const log_outlet outlet(reader.descriptor());
  log::warn("full", {{"folder", "/data"}});
  const std::string line = reader.read_all();
  ASSERT_GT(line.size(), 24u);
  EXPECT_EQ(line.substr(23), "Z warning full folder=/data\n");
  EXPECT_EQ(line.substr(10, 1), "T");
}

TEST(log_outlet, lines_that_nobody_takes_are_lost_and_counted_and_none_is_told_twice) {
  const slow_reader reader;
  const log_outlet outlet(reader.descriptor(), 1_ms);
  for (int i = 0; i < 500; ++i) log::error("event", {{"number", i}});
  ASSERT_GT(outlet.lost(), 0u);
  const std::string taken = reader.read_all();
  EXPECT_EQ(count_of(taken, " error event number="), 500 - outlet.lost());
  EXPECT_EQ(taken.back(), '\n');
  log::error("after");
  const std::string rest = reader.read_all();
  EXPECT_TRUE(
      rest.substr(23).starts_with("Z warning lines of the log were lost: nobody took them count=" +
                                  std::to_string(outlet.lost()) + "\n"))
      << rest;
  EXPECT_TRUE(rest.ends_with(" error after\n"));
  log::error("and again");
  EXPECT_EQ(count_of(reader.read_all(), "lost"), 0u);
}

TEST(log_outlet, a_line_that_was_cut_ends_before_the_next_begins) {
  const slow_reader reader;
  const log_outlet outlet(reader.descriptor(), 1_ms);
  log::error("short");
  log::error("long", {{"text", std::string(6'000, 'x')}});
  EXPECT_EQ(outlet.lost(), 1u);
  EXPECT_EQ(reader.read_all().back(), 'x');
  log::error("next");
  const std::string rest = reader.read_all();
  EXPECT_EQ(rest.front(), '\n');
  EXPECT_EQ(count_of(rest, "\n"), 3u) << rest;
}

TEST(log_outlet, a_reader_that_has_gone_ends_nothing) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  slow_reader reader;
  const log_outlet outlet(reader.descriptor(), 1_ms);
  reader.leave();
  log::error("unheard");
  EXPECT_EQ(outlet.lost(), 1u);
  std::signal(SIGPIPE, before);
}

}  // namespace
}  // namespace weir::log_outlet_test

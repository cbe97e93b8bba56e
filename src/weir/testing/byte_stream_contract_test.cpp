// The contract of byte streams: over weir's own, over one written as a user would, and over wrong
// ones.
#include <weir/testing/contracts/byte_stream_contract.hpp>

#include <weir/core.hpp>
#include <weir/flow/event.hpp>
#include <weir/io/connection_test.hpp>
#include <weir/testing/internal/caught_failures.hpp>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace weir::byte_stream_contract_test {
namespace {

struct sockets {
  static task<contract::connection> open() { co_return co_await contract::connect_pair(); }
  static constexpr std::size_t holds_max = std::size_t{64} << 10;
};
WEIR_BYTE_STREAM_CONTRACT(sockets);

// What may be wrong with a stream.
enum class fault : std::uint8_t {
  none,
  unbounded,
  counts_at_the_end,
  counts_too_much,
  counts_after_a_wait,
  loses_when_cut_off,
  takes_before_it_waits,
  swaps,
  ends_once,
  sends_to_nobody,
};

fault planted = fault::none;

// A stream of a user's own, in memory.
struct tube {
  static constexpr std::size_t bytes_max = 1'000;
  std::string held{};
  bool has_ended = false;
  bool has_told_end = false;
  bool is_left = false;
  auto_event room{"room"};
  auto_event news{"news"};
};

class tube_sink {
 public:
  explicit tube_sink(std::shared_ptr<tube> to) : to_(std::move(to)) {}

  task<> send(std::span<const io_slice> pieces, std::size_t* sent) {
    std::size_t count = 0;
    if (sent) *sent = 0;
    for (const io_slice& piece : pieces) {
      std::string_view rest(static_cast<const char*>(piece.data), piece.size);
      while (!rest.empty()) {
        while (to_->held.size() >= tube::bytes_max && !to_->is_left &&
               planted != fault::unbounded) {
          if (planted == fault::counts_too_much && sent) *sent = count + rest.size();
          co_await to_->room.wait();
        }
        if (to_->is_left && planted != fault::sends_to_nobody) raise(error(errc::broken));
        if (to_->is_left) to_->held.clear();
        const std::size_t now = planted == fault::unbounded
                                    ? rest.size()
                                    : std::min(rest.size(), tube::bytes_max - to_->held.size());
        if (planted == fault::swaps && !to_->held.empty()) {
          to_->held.insert(0, rest.substr(0, now));
        } else {
          to_->held += rest.substr(0, now);
        }
        rest.remove_prefix(now);
        to_->news.set();
        if (planted == fault::counts_after_a_wait) co_await yield();
        count += now;
        if (sent && planted != fault::counts_at_the_end) *sent = count;
      }
    }
    if (sent) *sent = count;
  }
  void close() {
    to_->has_ended = true;
    to_->news.set();
  }

 private:
  std::shared_ptr<tube> to_;
};

class tube_source {
 public:
  explicit tube_source(std::shared_ptr<tube> from) : from_(std::move(from)) {}

  task<bytes> receive() {
    while (from_->held.empty() && !from_->has_ended) co_await from_->news.wait();
    if (from_->held.empty()) {
      if (planted == fault::ends_once && from_->has_told_end) raise(error(errc::closed));
      from_->has_told_end = true;
      co_return bytes();
    }
    const bytes all = bytes::copy_of(std::exchange(from_->held, {}));
    from_->room.set();
    if (planted == fault::loses_when_cut_off) {
      co_await sleep(duration::microseconds(50));
    }
    if (planted == fault::takes_before_it_waits) co_await yield();
    co_return all;
  }
  void close() {
    from_->is_left = true;
    from_->room.set();
  }

 private:
  std::shared_ptr<tube> from_;
};

struct tubes {
  static task<std::pair<tube_sink, tube_source>> open() {
    const auto made = std::make_shared<tube>();
    co_return std::pair(tube_sink(made), tube_source(made));
  }
  static constexpr std::size_t holds_max = tube::bytes_max;
};
WEIR_BYTE_STREAM_CONTRACT(tubes);

// The rules that a stream with this fault breaks, one to a line.
std::string broken(fault one) {
  planted = one;
  std::string all;
  for (const std::string& rule :
       testing::broken_rules(testing::byte_stream_contract<tubes>::rules())) {
    all += rule + "\n";
  }
  planted = fault::none;
  return all;
}

TEST(ByteStreamContract, is_kept_by_a_right_stream) { EXPECT_EQ(broken(fault::none), ""); }

TEST(ByteStreamContract, has_more_rules_for_two_directions) {
  EXPECT_EQ(testing::byte_stream_contract<sockets>::rules().size(),
            testing::byte_stream_contract<tubes>::rules().size() + 2);
}

TEST(ByteStreamContract, finds_a_stream_without_a_bound) {
  EXPECT_EQ(broken(fault::unbounded),
            "a send that nobody receives waits, and cancelled has sent what it says\n");
}
TEST(ByteStreamContract, finds_counts_that_are_wrong_after_a_cancellation) {
  const std::string both =
      "a send that nobody receives waits, and cancelled has sent what it says\n"
      "a send cancelled at any point has sent what it says\n";
  EXPECT_EQ(broken(fault::counts_at_the_end), both);
  EXPECT_EQ(broken(fault::counts_too_much), both);
  EXPECT_EQ(broken(fault::counts_after_a_wait),
            "a send cancelled at any point has sent what it says\n");
}
TEST(ByteStreamContract, finds_bytes_that_a_cut_off_receive_loses) {
  EXPECT_EQ(broken(fault::loses_when_cut_off),
            "receives that are cut off while bytes arrive lose none\n"
            "a receive cancelled at any point has taken nothing\n");
  EXPECT_EQ(broken(fault::takes_before_it_waits),
            "a receive cancelled at any point has taken nothing\n");
}
TEST(ByteStreamContract, finds_another_order) {
  EXPECT_NE(broken(fault::swaps).find("bytes arrive whole and in order"), std::string::npos);
}
TEST(ByteStreamContract, finds_an_end_that_is_an_error_the_second_time) {
  EXPECT_NE(broken(fault::ends_once).find("the end is empty and stays the end"), std::string::npos);
}
TEST(ByteStreamContract, finds_a_send_to_nobody_that_succeeds) {
  EXPECT_NE(broken(fault::sends_to_nobody).find("a send to a source that is gone fails"),
            std::string::npos);
}

}  // namespace
}  // namespace weir::byte_stream_contract_test

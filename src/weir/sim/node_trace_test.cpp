#include <weir/sim/node_trace.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace weir::node_trace_test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

packet with(std::string data) {
  return {.connection = 7, .from = 0x0a000001, .to = 0x0a000002, .data = std::move(data)};
}

/// So many packets; one of them is another in every second run, from `odd` on.
class packets final : public repeated_run {
 public:
  packets(std::uint64_t count, std::uint64_t odd, std::string other)
      : count_(count), odd_(odd), other_(std::move(other)) {}
  void run(node_trace& trace) override {
    trace.count(counted);
    const bool is_odd = runs++ % 2 == 1;
    for (std::uint64_t i = 0; i < count_; ++i) {
      trace.arrives(nodes_, with(is_odd && i == odd_ ? other_ : "abc"));
    }
  }

  packet_bytes counted = packet_bytes::all;
  int runs = 0;

 private:
  std::uint64_t count_;
  std::uint64_t odd_;
  std::string other_;
  choices decisions_{1};
  virtual_nodes nodes_{decisions_};
};

TEST(NodeTrace, runs_that_are_equal_are_made_twice_and_no_more) {
  packets same(1'000, 500, "abc");
  const run_parting made = part_of_two(same);
  EXPECT_EQ(made.text, "");
  EXPECT_EQ(made.steps, 1'000u);
  EXPECT_EQ(made.compared, packet_bytes::all);
  EXPECT_EQ(same.runs, 2);
}

TEST(NodeTrace, other_bytes_are_another_packet) {
  packets parting(1'000, 500, "abd");
  const std::string text = part_of_two(parting).text;
  EXPECT_THAT(text, StartsWith("two runs part at step 501\n  one:   00:00:00.000000 a packet"));
  EXPECT_THAT(text, HasSubstr("\n  other: 00:00:00.000000 a packet"));
}

TEST(NodeTrace, of_packets_whose_bytes_may_vary_only_the_size_counts) {
  packets same(1'000, 500, "abd");
  packets longer(1'000, 500, "abcd");
  same.counted = longer.counted = packet_bytes::size;
  const run_parting made = part_of_two(same);
  EXPECT_EQ(made.text, "");
  EXPECT_EQ(made.compared, packet_bytes::size);
  EXPECT_THAT(part_of_two(longer).text, HasSubstr(", with 3 bytes\n"));
  EXPECT_THAT(part_of_two(longer).text, HasSubstr(", with 4 bytes\n"));
}

TEST(NodeTrace, finds_the_step_of_a_run_that_has_more_of_them_than_marks) {
  constexpr std::uint64_t many = node_trace::marks_max * 5 / 4;
  packets parting(many, many - 2, "abd");
  EXPECT_THAT(part_of_two(parting).text,
              StartsWith("two runs part at step " + std::to_string(many - 1) + "\n"));
}

TEST(NodeTrace, a_run_that_ends_before_the_other_is_told_by_their_lengths) {
  struct shorter final : repeated_run {
    void run(node_trace& trace) override {
      const int count = runs++ % 2 == 0 ? 30 : 20;
      for (int i = 0; i < count; ++i) trace.arrives(nodes, with("abc"));
    }
    int runs = 0;
    choices decisions{1};
    virtual_nodes nodes{decisions};
  } uneven;
  EXPECT_EQ(part_of_two(uneven).text,
            "two runs are the same up to where one of them ends: 30 and 20 steps\n");
}

TEST(NodeTrace, says_between_which_steps_it_was_when_it_does_not_happen_again) {
  struct once final : repeated_run {
    void run(node_trace& trace) override {
      for (int i = 0; i < 10; ++i) trace.arrives(nodes, with(runs == 1 && i == 4 ? "abd" : "abc"));
      ++runs;
    }
    int runs = 0;
    choices decisions{1};
    virtual_nodes nodes{decisions};
  } rare;
  EXPECT_EQ(part_of_two(rare, 2).text,
            "two runs part between the steps 5 and 5; 2 pairs more did not there\n");
  EXPECT_EQ(rare.runs, 6);
}

}  // namespace
}  // namespace weir::node_trace_test

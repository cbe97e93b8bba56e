#include <weir/serve/reply_lines.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace weir::reply_lines_test {
namespace {

TEST(reply_lines, a_host_has_so_many_calls_and_its_others_follow_in_their_order) {
  reply_lines lines;
  reply_lines::host* slow = nullptr;
  for (std::uint64_t i = 0; i < reply_lines::host_calls_max; ++i) {
    slow = lines.begin("http://slow", {.sequence = i});
    ASSERT_NE(slow, nullptr);
  }
  EXPECT_EQ(lines.begin("http://slow", {.sequence = 100}), nullptr);
  EXPECT_EQ(lines.begin("http://slow", {.sequence = 101, .token = 7}), nullptr);
  EXPECT_FALSE(lines.next()) << "none has ended";
  reply_lines::host* const quick = lines.begin("http://quick", {.sequence = 200});
  EXPECT_NE(quick, nullptr);
  lines.end(quick);
  EXPECT_FALSE(lines.next()) << "a call to another host";
  lines.end(slow);
  EXPECT_EQ(lines.begin("http://slow", {.sequence = 102}), nullptr) << "it would overtake two";
  auto next = lines.next();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->to, slow);
  EXPECT_EQ(next->what, reply_place{.sequence = 100});
  EXPECT_FALSE(lines.next()) << "it has all its calls again";
  lines.end(slow);
  next = lines.next();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->what, (reply_place{.sequence = 101, .token = 7}));
}

TEST(reply_lines, hosts_with_a_line_take_turns_and_idle_ones_are_forgotten) {
  reply_lines lines;
  std::vector<reply_lines::host*> calls;
  for (const char* name : {"a", "b"}) {
    for (std::uint64_t i = 0; i < reply_lines::host_calls_max + 2; ++i) {
      if (auto* to = lines.begin(name, {.sequence = i})) calls.push_back(to);
    }
  }
  EXPECT_EQ(calls.size(), 2 * reply_lines::host_calls_max);
  for (auto* one : calls) lines.end(one);
  calls.clear();
  std::string turns;
  while (auto next = lines.next()) {
    turns += *next->to->name;
    calls.push_back(next->to);
  }
  EXPECT_EQ(turns, "abab");
  EXPECT_EQ(lines.hosts(), 2u);
  for (auto* one : calls) lines.end(one);
  EXPECT_EQ(lines.hosts(), 0u);
}

TEST(reply_lines, a_host_is_the_scheme_the_name_and_the_port_of_a_url) {
  EXPECT_EQ(host_of_url("http://Name:80/a?b"), host_of_url("http://name/c"));
  EXPECT_NE(host_of_url("http://name:81/"), host_of_url("http://name/"));
  EXPECT_NE(host_of_url("https://name/"), host_of_url("http://name/"));
  EXPECT_EQ(host_of_url("no url"), "no url");
}

}  // namespace
}  // namespace weir::reply_lines_test

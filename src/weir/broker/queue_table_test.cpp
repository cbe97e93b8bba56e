#include <weir/broker/queue_table.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace weir::detail::queue_table_test {
namespace {

std::vector<std::uint32_t> numbers(const queue_table& table) {
  std::vector<std::uint32_t> found;
  table.each([&](const message_queue& queue) { found.push_back(queue.number); });
  return found;
}

TEST(queue_table, finds_what_was_made_and_nothing_else) {
  queue_table table;
  EXPECT_EQ(table.find(0), nullptr);
  message_queue& seven = table.make(7);
  EXPECT_EQ(&table.make(7), &seven);
  table.make(4'096);
  table.make(5'000'000);
  EXPECT_EQ(table.find(7), &seven);
  for (const std::uint32_t absent : {0u, 6u, 8u, 4'095u, 4'097u, 4'999'999u, UINT32_MAX}) {
    EXPECT_EQ(table.find(absent), nullptr) << absent;
  }
  EXPECT_EQ(numbers(table), (std::vector<std::uint32_t>{7, 4'096, 5'000'000}));
  EXPECT_EQ(table.next(0)->number, 7u);
  EXPECT_EQ(table.next(7)->number, 7u);
  EXPECT_EQ(table.next(8)->number, 4'096u);
  EXPECT_EQ(table.next(4'097)->number, 5'000'000u);
  EXPECT_EQ(table.next(5'000'001), nullptr);
}

TEST(queue_table, a_page_goes_with_its_last_queue) {
  queue_table table;
  table.make(1);
  const std::size_t one = table.memory_bytes();
  for (std::uint32_t number = 2; number < 100'000; ++number) {
    table.make(number);
    if (number > 2) table.erase(number - 1);
  }
  EXPECT_EQ(numbers(table), (std::vector<std::uint32_t>{1, 99'999}));
  table.erase(99'999);
  table.erase(1'500'000);
  EXPECT_LT(table.memory_bytes(), one + 1'000) << "16 bytes for 4,096 queues that were";
  table.erase(1);
  EXPECT_EQ(table.find(1), nullptr);
  EXPECT_LT(table.memory_bytes(), 1'000u);
}

TEST(queue_table, the_highest_number_costs_megabytes_and_no_more) {
  queue_table table;
  table.make(UINT32_MAX);
  EXPECT_NE(table.find(UINT32_MAX), nullptr);
  EXPECT_LT(table.memory_bytes(), 20'000'000u);
}

}  // namespace
}  // namespace weir::detail::queue_table_test

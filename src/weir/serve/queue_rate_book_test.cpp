// Rates of queues that come and go between rounds and within one.
#include <weir/serve/service_counters.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <vector>

namespace weir::queue_rate_book_test {
namespace {

using namespace literals;

/// Queues by number with what was submitted to them, sampled as the service does, some at a time.
class QueueRateBook : public ::testing::Test {
 protected:
  void sample(std::size_t at_once = 100) {
    now_ = now_ + 5_s;
    book.begin_round();
    std::vector<queue_progress> some;
    for (const auto& [number, submitted] : queues) {
      some.push_back({.number = number, .totals = {.submitted = submitted}});
      if (some.size() < at_once) continue;
      book.sample(some, now_);
      some.clear();
      for (const auto& [known, rate] : rates) EXPECT_DOUBLE_EQ(rate_of(known), rate) << known;
    }
    book.sample(some, now_);
    book.end_round();
  }
  double rate_of(std::uint32_t number) const { return book.of({.number = number}).submitted; }

  queue_rate_book book;
  std::map<std::uint32_t, std::uint64_t> queues;
  std::map<std::uint32_t, double> rates;  // must be seen in the middle of rounds, too

 private:
  time_point now_;
};

TEST_F(QueueRateBook, knows_each_queue_by_its_number) {
  queues = {{3, 0}, {7, 0}, {8, 0}};
  sample();
  queues = {{3, 5}, {7, 10}, {8, 0}};
  sample();
  EXPECT_DOUBLE_EQ(rate_of(3), 1);
  EXPECT_DOUBLE_EQ(rate_of(7), 2);
  EXPECT_DOUBLE_EQ(rate_of(8), 0);
  EXPECT_DOUBLE_EQ(rate_of(4), 0) << "nobody has told of it";
}

TEST_F(QueueRateBook, drops_queues_that_are_gone_and_takes_new_ones) {
  for (std::uint32_t number = 0; number < 50; ++number) queues[number] = 0;
  sample();
  for (auto& [number, submitted] : queues) submitted = 5 * number;
  sample();
  for (std::uint32_t number = 0; number < 50; number += 2) queues.erase(number);
  for (auto& [number, submitted] : queues) submitted += 5 * number;
  for (std::uint32_t number = 50; number < 90; ++number) queues[number] = 1'000;
  sample();
  for (std::uint32_t number = 0; number < 90; ++number) {
    const bool is_known = number < 50 && number % 2 == 1;
    EXPECT_DOUBLE_EQ(rate_of(number), is_known ? number : 0) << number;
  }
  queues.clear();
  sample();
  EXPECT_DOUBLE_EQ(rate_of(1), 0);
}

TEST_F(QueueRateBook, shows_all_rates_while_a_round_goes_on) {
  for (std::uint32_t number = 0; number < 20; ++number) queues[number] = 0;
  sample();
  for (auto& [number, submitted] : queues) submitted += 5 * number;
  sample();
  for (std::uint32_t number = 0; number < 10; ++number) queues.erase(number);
  for (auto& [number, submitted] : queues) {
    submitted += 5 * number;
    rates[number] = number;
  }
  sample(1);
}

}  // namespace
}  // namespace weir::queue_rate_book_test

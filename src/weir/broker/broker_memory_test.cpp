// What a queued message costs in memory, measured at the allocator and not by our own counting.
#include <weir/broker/broker_state.hpp>

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <string>

namespace weir::broker_memory_test {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEIR_OWN_ALLOCATOR 1
#endif
#endif

[[maybe_unused]] std::size_t allocated() {
  const auto all = mallinfo2();
  return all.uordblks + all.hblkhd;
}

TEST(broker_memory, a_million_queued_messages_take_less_than_a_tenth_of_a_gibibyte) {
#ifdef WEIR_OWN_ALLOCATOR
  GTEST_SKIP() << "a sanitizer replaces the allocator";
#else
  constexpr std::uint64_t messages = 1'000'000;
  constexpr std::size_t bytes_max = (std::size_t(1) << 30) / 10;
  const std::size_t before = allocated();
  broker_state state({1, 2}, {});
  record_batch batch;
  batch.append(queue_set_record{1, 1, "q", {}});
  ASSERT_TRUE(state.apply(batch[0], {1, 0, 64}));
  const std::string body(1'024, 'x');
  for (std::uint64_t i = 1; i <= messages; ++i) {
    batch.clear();
    submit_record record;
    record.sequence = i;
    record.queue = 1;
    record.submitted = 1;
    record.expires = static_cast<std::int64_t>(i) * 1'000'000;
    record.body.text = body;
    batch.append(record);
    const auto segment = static_cast<std::uint32_t>(i / 60'000 + 1);
    ASSERT_TRUE(state.apply(batch[0], {segment, static_cast<std::uint32_t>(i % 60'000), 1'100}));
  }
  ASSERT_EQ(state.find_queue("q")->ready, messages);
  const std::size_t used = allocated() - before;
  EXPECT_LT(used, bytes_max);
  EXPECT_GE(used, messages * sizeof(detail::message)) << "the measurement missed something";
  EXPECT_NEAR(static_cast<double>(used), static_cast<double>(state.memory_bytes()), 1e6);
#endif
}

}  // namespace
}  // namespace weir::broker_memory_test

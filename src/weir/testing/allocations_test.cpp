#include <weir/testing/allocations.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <new>

namespace weir::allocations_test {
namespace {

TEST(Allocations, are_counted_and_the_nth_fails) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "not under ThreadSanitizer";
  // Not by new-expressions, which a compiler may leave out.
  const std::uint64_t before = testing::allocations();
  ::operator delete(::operator new(1));
  EXPECT_EQ(testing::allocations(), before + 1);
  const testing::failing_allocation second(2);
  ::operator delete(::operator new(1));
  EXPECT_FALSE(second.has_struck());
  EXPECT_THROW(::operator delete(::operator new(1)), std::bad_alloc);
  EXPECT_TRUE(second.has_struck());
  ::operator delete(::operator new(1));  // one fails, and no more
}

}  // namespace
}  // namespace weir::allocations_test

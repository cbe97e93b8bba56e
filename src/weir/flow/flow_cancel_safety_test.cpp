// What the types of this floor's waits say of a cancellation. That it is so, the tests of each
// show: docs/reference/waits.md.
#include <weir/core/cancel_safety.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/flow/future.hpp>

#include <gtest/gtest.h>

#include <utility>

namespace weir::flow_cancel_safety_test {
namespace {

template <class Object, class Call>
constexpr cancel_safety of(Call /*call*/) {
  return cancel_safety_of<decltype(std::declval<Call>()(std::declval<Object&>()))>;
}

FLOW_CONTRACT("the types of all waits say that a cancelled one has not happened") {
  using enum cancel_safety;
  EXPECT_EQ((of<typename Kit::template sender<int>>([](auto& x) { return x.send(1); })),
            nothing_happened);
  EXPECT_EQ((of<typename Kit::template receiver<int>>([](auto& x) { return x.receive(); })),
            nothing_happened);
  EXPECT_EQ(
      (of<typename Kit::template broadcast_receiver<int>>([](auto& x) { return x.receive(); })),
      nothing_happened);
  using once = decltype(Kit::template oneshot<int>());
  EXPECT_EQ(of<once>([](auto& x) { return x.receiver.receive(); }), nothing_happened);
  using watched = decltype(Kit::template watch<int>(1));
  EXPECT_EQ(of<watched>([](auto& x) { return x.receiver.changed(); }), nothing_happened);
  EXPECT_EQ(of<typename Kit::event>([](auto& x) { return x.wait(); }), nothing_happened);
  EXPECT_EQ(of<typename Kit::auto_event>([](auto& x) { return x.wait(); }), nothing_happened);
  EXPECT_EQ(of<typename Kit::latch>([](auto& x) { return x.wait(); }), nothing_happened);
  EXPECT_EQ(of<typename Kit::barrier>([](auto& x) { return x.arrive_and_wait(); }),
            nothing_happened);
  EXPECT_EQ(of<typename Kit::mutex>([](auto& x) { return x.lock(); }), nothing_happened);
  EXPECT_EQ(of<typename Kit::shared_mutex>([](auto& x) { return x.lock_shared(); }),
            nothing_happened);
  EXPECT_EQ(of<typename Kit::semaphore>([](auto& x) { return x.acquire(); }), nothing_happened);
  EXPECT_EQ(of<typename Kit::rate_limiter>([](auto& x) { return x.acquire(); }), nothing_happened);
  co_return;
}

TEST(CancelSafety, of_a_wait_that_has_no_twin_between_loops_is_the_same) {
  EXPECT_EQ(of<condition>([](auto& x) { return x.wait(); }), cancel_safety::nothing_happened);
}

TEST(CancelSafety, of_futures_is_part_of_their_types) {
  EXPECT_EQ(cancel_safety_of<future<int>>, cancel_safety::nothing_happened);
  EXPECT_EQ(cancel_safety_of<shared_future<int>&>, cancel_safety::nothing_happened);
}

}  // namespace
}  // namespace weir::flow_cancel_safety_test

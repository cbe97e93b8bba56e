#include <weir/flow/semaphore.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/contracts/semaphore_contract.hpp>

#include <cstddef>

namespace weir::semaphore_test {
namespace {

using namespace weir::literals;

struct semaphores {
  static auto make(std::size_t permits) { return semaphore(permits); }
};
WEIR_SEMAPHORE_CONTRACT(semaphores);

struct cross_semaphores {
  static auto make(std::size_t permits) { return cross::semaphore(permits); }
};
WEIR_SEMAPHORE_CONTRACT(cross_semaphores);

FLOW_CONTRACT("asking for more than there are is an error, and close() ends the line") {
  typename Kit::semaphore slots(2);
  co_await testing::expect_raises<errc::invalid_argument>(slots.acquire(3));
  slots.add(1);
  auto all = co_await slots.acquire(3);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](typename Kit::semaphore* from) -> task<> {
          co_await testing::expect_raises<errc::closed>(from->acquire());
        },
        &slots);
    co_await sleep(1_ms);
    slots.close();
  });
  co_await testing::expect_raises<errc::closed>(slots.acquire());
  all.release();
  EXPECT_EQ(slots.stats().free, 3u);
  EXPECT_EQ(slots.stats().total, 3u);
  EXPECT_FALSE(slots.try_acquire());
}

}  // namespace
}  // namespace weir::semaphore_test

#include <weir/flow/oneshot.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <memory>
#include <utility>

namespace weir::oneshot_test {
namespace {

using namespace weir::literals;

FLOW_CONTRACT("a value sent before or after the receive began arrives once") {
  {
    auto [to, from] = Kit::template oneshot<int>();
    EXPECT_FALSE(from.is_ready());
    EXPECT_TRUE(to.send(1));
    EXPECT_FALSE(to.send(2)) << "it was sent before";
    EXPECT_TRUE(from.is_ready());
    EXPECT_EQ(co_await from.receive(), 1);
    co_await testing::expect_raises<errc::closed>(from.receive());
  }
  auto [to, from] = Kit::template oneshot<std::unique_ptr<int>>();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { EXPECT_EQ(*(co_await from.receive()), 3); });
    co_await sleep(1_ms);
    EXPECT_TRUE(to.send(std::make_unique<int>(3)));
  });
}

FLOW_CONTRACT("a sender that goes without a value breaks the receive, waiting or not") {
  auto [to, from] = Kit::template oneshot<int>();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await testing::expect_raises<errc::broken>(from.receive()); });
    co_await sleep(1_ms);
    to.close();
  });
  co_await testing::expect_raises<errc::broken>(from.receive());
}

FLOW_CONTRACT("a receiver that goes is known to the sender, and a value left over is destroyed") {
  auto counted = std::make_shared<int>(0);
  {
    auto [to, from] = Kit::template oneshot<std::shared_ptr<int>>();
    EXPECT_TRUE(to.is_wanted());
    EXPECT_TRUE(to.send(counted));
    EXPECT_EQ(counted.use_count(), 2);
    from.close();
    EXPECT_EQ(counted.use_count(), 1);
  }
  auto [to, from] = Kit::template oneshot<std::shared_ptr<int>>();
  from.close();
  EXPECT_FALSE(to.is_wanted());
  std::shared_ptr<int> mine = counted;
  EXPECT_FALSE(to.send(std::move(mine)));
  EXPECT_TRUE(mine) << "untouched";
  co_await testing::expect_raises<errc::closed>(from.receive());
}

FLOW_CONTRACT(
    "of two receives that wait one gets the value, and the other hears that it was taken") {
  auto [answer, answered] = Kit::template oneshot<int>();
  int got = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { got = co_await answered.receive(); });
    co_await sleep(1_ms);
    s.spawn([&]() -> task<> { co_await testing::expect_raises<errc::closed>(answered.receive()); });
    co_await sleep(1_ms);
    EXPECT_TRUE(answer.send(5));
  });
  EXPECT_EQ(got, 5);
}

FLOW_CONTRACT("closing the receiver ends its own wait") {
  auto [to, from] = Kit::template oneshot<int>();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await testing::expect_raises<errc::closed>(from.receive()); });
    co_await sleep(1_ms);
    from.close();
  });
}

template <class Kit>
void check_cancelled_receive() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    auto [to, from] = Kit::template oneshot<int>();
    int got = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await yield();
        to.send(7);
      });
      co_await v.run([&]() -> task<> { got = co_await from.receive(); }());
      if (got == 0) got = co_await from.receive();
    });
    EXPECT_EQ(got, 7);
  });
}

TEST(Oneshot, a_cancelled_receive_leaves_the_value) {
  check_cancelled_receive<local_flow>();
  check_cancelled_receive<cross_flow>();
}

}  // namespace
}  // namespace weir::oneshot_test

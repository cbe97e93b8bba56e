#include <weir/flow/watch.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace weir::watch_test {
namespace {

using namespace weir::literals;

FLOW_CONTRACT("a receiver hears of changes once and reads the newest") {
  auto [to, from] = Kit::watch(std::string("a"));
  EXPECT_EQ(from.get(), "a");
  EXPECT_FALSE(from.has_changed());
  to.set("b");
  to.set("c");
  EXPECT_TRUE(co_await from.changed());
  EXPECT_TRUE(co_await from.changed()) << "not read yet";
  EXPECT_EQ(from.get(), "c");
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, from.changed()));
  to.change([](std::string& text) { text += '!'; });
  EXPECT_EQ(from.get(), "c!");
  EXPECT_EQ(to.stats().changes, 3u);
}

FLOW_CONTRACT("every receiver hears, and a copy has seen what its original has") {
  auto [to, from] = Kit::watch(0);
  auto copy = from;
  std::vector<int> heard;
  co_await with_scope([&](scope& s) -> task<> {
    for (auto* one : {&from, &copy}) {
      s.spawn(
          [&heard](auto* mine) -> task<> {
            while (co_await mine->changed()) heard.push_back(mine->get());
          },
          one);
    }
    co_await sleep(1_ms);
    to.set(1);
    co_await sleep(1_ms);
    to.set(2);
    to.close();
  });
  EXPECT_EQ(heard, (std::vector<int>{1, 1, 2, 2}));
}

FLOW_CONTRACT("at the end a change that was not read is still told, and then false") {
  auto [to, from] = Kit::watch(0);
  auto clone = to;
  to.set(1);
  to.close();
  EXPECT_TRUE(co_await from.changed());
  EXPECT_EQ(from.get(), 1);
  clone.close();
  EXPECT_FALSE(co_await from.changed());
  from.close();
  co_await testing::expect_raises<errc::closed>(from.changed());
}

FLOW_CONTRACT("closing a receiver ends its own wait, and a change that throws is none") {
  auto [to, from] = Kit::watch(0);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await testing::expect_raises<errc::closed>(from.changed()); });
    co_await sleep(1_ms);
    from.close();
  });
  EXPECT_THROW(to.change([](int&) { throw std::runtime_error("no"); }), std::runtime_error);
  EXPECT_EQ(to.stats().changes, 0u);
}

FLOW_CONTRACT("a sender that was closed says so, and leaves the value to its clones") {
  auto [to, from] = Kit::watch(1);
  auto clone = to;
  to.close();
  try {
    to.set(2);
    ADD_FAILURE() << "this half was closed";
  } catch (const exception& e) {
    EXPECT_EQ(e.reason().code(), errc::closed);
  }
  EXPECT_THROW(to.change([](int& one) { ++one; }), exception);
  EXPECT_FALSE(from.has_changed());
  clone.set(3);
  EXPECT_EQ(from.get(), 3);
  co_return;
}

FLOW_CONTRACT("a receiver that is assigned to ends its wait and goes on as the other") {
  auto [to, from] = Kit::watch(1);
  auto [to_other, other] = Kit::watch(10);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await testing::expect_raises<errc::closed>(from.changed()); });
    co_await sleep(1_ms);
    from = std::move(other);
  });
  EXPECT_EQ(to.stats().receivers, 0u);
  to_other.set(11);
  EXPECT_TRUE(co_await from.changed());
  EXPECT_EQ(from.get(), 11);
}

template <class Kit>
void check_cancelled_changed() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    auto [to, from] = Kit::watch(0);
    int last = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (int i = 1; i <= 3; ++i) {
          to.set(i);
          co_await yield();
        }
        to.close();
      });
      const auto follow = [&]() -> task<> {
        while (co_await from.changed()) {
          const int now = from.get();
          EXPECT_GT(now, last);
          last = now;
        }
      };
      co_await v.run(follow());
      co_await follow();
    });
    EXPECT_EQ(last, 3) << "a cancelled changed() has seen nothing";
  });
}

TEST(Watch, a_cancelled_changed_has_seen_nothing) {
  check_cancelled_changed<local_flow>();
  check_cancelled_changed<cross_flow>();
}

}  // namespace
}  // namespace weir::watch_test

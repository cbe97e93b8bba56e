// A service in a simulated world: seats are sold to whoever pays first. docs/guide/testing.md shows
// how its fault, which no ordinary test meets, is found.
// [includes]
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/sim/explore.hpp>
#include <weir/testing/test.hpp>

#include <map>
#include <string>

namespace {

using namespace weir::literals;
// [/includes]

// [service]
class theatre {
 public:
  explicit theatre(bool is_careful) : is_careful_(is_careful) {}

  // True when the seat is theirs.
  weir::task<bool> buy(int seat, std::string who) {
    auto held = co_await selling_.lock();
    if (!is_careful_) held.unlock();  // "nobody waits for a payment with a lock held"
    if (sold_.contains(seat)) co_return false;
    co_await pay();
    sold_[seat] = who;
    ++sales_;
    co_return true;
  }
  int sales() const { return sales_; }

 private:
  weir::task<> pay() { co_await weir::sleep(2_s); }

  bool is_careful_;
  weir::mutex selling_{"selling"};
  std::map<int, std::string> sold_;
  int sales_ = 0;
};
// [/service]

// [buyers]
weir::task<> arrive_and_buy(theatre* at, const char* who) {
  weir::random_source luck(weir::loop::current()->io().random());
  co_await weir::sleep(weir::duration(luck.between(0, 60'000'000'000)));
  static_cast<void>(co_await at->buy(7, who));
}

weir::task<> two_buyers(theatre* at) {
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(arrive_and_buy, at, "Ada");
    s.spawn(arrive_and_buy, at, "Grace");
    co_await s.join();
  });
}
// [/buyers]

// [test]
WEIR_TEST("a seat is sold once, whenever two buyers come") {
  theatre odeon(true);
  co_await two_buyers(&odeon);
  EXPECT_EQ(odeon.sales(), 1);
}
// [/test]

// [explore]
// The careless theatre passes when one buyer comes after the other, and most runs are like that.
class careless final : public weir::explored_program {
 public:
  WEIR_CORO_WRAPPER weir::task<> body() override { return sell(&sales_); }
  std::string verdict() override { return sales_ == 1 ? "" : "a seat was sold twice"; }

 private:
  static weir::task<> sell(int* sales) {
    theatre odeon(false);
    co_await two_buyers(&odeon);
    *sales = odeon.sales();
  }
  int sales_ = 0;
};

TEST(Careless, sells_a_seat_twice_in_some_run) {
  careless program;
  const weir::exploration made = weir::explore(program, {.schedules = 1000});
  ASSERT_TRUE(made.failure);
  EXPECT_EQ(made.failure->outcome.failure, "a seat was sold twice");
}
// [/explore]

}  // namespace

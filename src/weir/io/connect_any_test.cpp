#include <weir/io/connect_any.hpp>

#include <weir/core.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::connect_any_test {
namespace {

using namespace weir::literals;

address at(const char* text) { return *address::parse(text); }

std::vector<std::string> texts(const std::vector<address>& all) {
  std::vector<std::string> out;
  for (const address& one : all) out.push_back(one.text());
  return out;
}

// An address whose connections are neither accepted nor refused: its queue of one is full. A packet
// to a machine that is off looks the same.
struct silent_address {
  listener door;
  socket first_in_line;
  address where() const { return door.local(); }
};
task<silent_address> make_silent() {
  silent_address made{.door = co_await listen({.backlog = 1}), .first_in_line = {}};
  made.first_in_line = co_await connect(made.door.local());
  co_return made;
}
// An address at which nobody listens.
task<address> make_refusing() {
  const listener door = co_await listen({});
  co_return door.local();
}

TEST(InTurnByFamily, begins_with_the_first_and_takes_the_families_in_turn) {
  const std::vector<address> all{at("[::1]:1"), at("[::2]:1"),   at("[::3]:1"),
                                 at("[::4]:1"), at("1.1.1.1:1"), at("2.2.2.2:1")};
  EXPECT_THAT(
      texts(in_turn_by_family(all)),
      ::testing::ElementsAre("[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1", "[::4]:1"));
  EXPECT_THAT(texts(in_turn_by_family({at("1.1.1.1:1"), at("[::1]:1"), at("[::2]:1")})),
              ::testing::ElementsAre("1.1.1.1:1", "[::1]:1", "[::2]:1"));
  EXPECT_TRUE(in_turn_by_family({}).empty());
}

WEIR_TEST("the first address that answers is connected to, and no other is tried") {
  listener door = co_await listen({});
  listener other = co_await listen({});
  const socket made = co_await connect_any({door.local(), other.local()});
  EXPECT_EQ(made.peer(), door.local());
  EXPECT_EQ(testing::elapsed(), 0_ms);
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_s, other.accept()));
}

WEIR_TEST("an address that is silent holds the next one up for attempt_delay only") {
  const silent_address dead = co_await make_silent();
  listener door = co_await listen({});
  const socket made = co_await connect_any({dead.where(), door.local()}, 250_ms);
  EXPECT_EQ(made.peer(), door.local());
  EXPECT_EQ(testing::elapsed(), 250_ms);
}

WEIR_TEST("after a refusal the next address is tried at once") {
  const address nobody = co_await make_refusing();
  listener door = co_await listen({});
  const socket made = co_await connect_any({nobody, nobody, door.local()}, 250_ms);
  EXPECT_EQ(made.peer(), door.local());
  EXPECT_EQ(testing::elapsed(), 0_ms);
}

WEIR_TEST("an address that was slow still wins over those that never answer") {
  silent_address slow = co_await make_silent();
  const silent_address dead = co_await make_silent();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await sleep(400_ms);
      const socket taken = co_await slow.door.accept();  // there is room in its line again
      co_await sleep(1_h);
    });
    const socket made = co_await connect_any({slow.where(), dead.where(), dead.where()}, 250_ms);
    EXPECT_EQ(made.peer(), slow.where());
    EXPECT_EQ(testing::elapsed(), 400_ms);
    s.cancel();
  });
}

WEIR_TEST("when every address refuses the last refusal is raised, and names the address") {
  const address one = co_await make_refusing();
  const address other = co_await make_refusing();
  const auto outcome = co_await as_result(connect_any({one, other}));
  WEIR_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), errc::refused);
  EXPECT_THAT(std::string(outcome.error().message()), ::testing::HasSubstr(other.text()));
}

WEIR_TEST("no address at all is invalid_argument") {
  co_await testing::expect_raises<errc::invalid_argument>(connect_any({}));
}

WEIR_TEST("a deadline around it ends all tries") {
  const silent_address one = co_await make_silent();
  const silent_address other = co_await make_silent();
  co_await testing::expect_raises<errc::timed_out>(
      with_timeout(1_s, connect_any({one.where(), other.where()})));
  EXPECT_EQ(testing::elapsed(), 1_s);
}

TEST(ConnectAny, cancelled_at_any_point_leaves_no_socket_open) {
  const std::size_t cancelled = testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    const silent_address dead = co_await make_silent();
    listener door = co_await listen({});
    const std::size_t before = testing::world().open_handles();
    bool is_connected = false;
    co_await v.run([](std::vector<address> all, bool* done) -> task<> {
      const socket made = co_await connect_any(std::move(all), 10_ms);
      *done = true;
    }({dead.where(), door.local()}, &is_connected));
    EXPECT_TRUE(is_connected || v.was_cancelled());
    // What the kernel had connected before the cancellation may wait in the door's line.
    while (co_await as_result(with_timeout(1_ms, door.accept()))) {
    }
    EXPECT_EQ(testing::world().open_handles(), before);
  });
  EXPECT_GT(cancelled, 3u);
}

}  // namespace
}  // namespace weir::connect_any_test

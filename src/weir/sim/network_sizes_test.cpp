#include <weir/sim/network_sizes.hpp>

#include <weir/core.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/explore.hpp>
#include <weir/sim/virtual_nodes.hpp>
#include <weir/sim/virtual_run.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace weir::network_sizes_test {
namespace {

using namespace weir::literals;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

class program final : public explored_program {
 public:
  explicit program(task<> (*body)()) : body_(body) {}
  WEIR_CORO_WRAPPER task<> body() override { return body_(); }

 private:
  task<> (*body_)();
};

virtual_world& world_here() { return dynamic_cast<virtual_driver&>(loop::current()->io()).world(); }

task<std::pair<socket, socket>> connection() {
  listener door = co_await listen({});
  socket out = co_await connect(door.local());
  socket in = co_await door.accept();
  co_return std::pair(std::move(out), std::move(in));
}

task<> send_before_anybody_receives() {
  auto [out, in] = co_await connection();
  const std::string text(100, 'x');
  co_await out.send(text);
}

task<> fill_a_pipe() {
  auto [out, in] = make_pipe();
  co_await in.send("two");
}

task<> knock_twice() {
  listener door = co_await listen({});
  const socket first = co_await connect(door.local());
  const socket second = co_await connect(door.local());
}

const explore_options drawing = {
    .run = {.world = {.short_chance = 0.2, .queued_chance = 0.5, .draws_sizes = true}}};

void expect_found(task<> (*body)(), const char* log, const char* words) {
  program one(body);
  const exploration made = explore(one, drawing);
  ASSERT_TRUE(made.failure) << log;
  EXPECT_EQ(made.failure->outcome.how, run_failure::deadlock) << log;
  EXPECT_NE(made.failure->found.how, strategy::in_order) << "in order all sizes are plain";
  EXPECT_EQ(made.failure->shrunk.text(), log);
  EXPECT_EQ(made.failure->words, std::string("  before step 2: ") + words + "\n");
}

TEST(NetworkSizes, that_are_too_small_are_found_shrunk_to_the_largest_of_these_and_told) {
  expect_found(&send_before_anybody_receives, "b0=3", "socket buffers of 64 bytes");
  expect_found(&fill_a_pipe, "b1=4", "pipe buffers of 1 byte");
  expect_found(&knock_twice, "b2=3", "accept queues of 1 connection");
}

TEST(NetworkSizes, can_be_plain_for_a_program_or_for_all) {
  program plain([]() -> task<> {
    world_here().set_sizes();
    co_await send_before_anybody_receives();
    co_await fill_a_pipe();
    co_await knock_twice();
  });
  EXPECT_FALSE(explore(plain, drawing).failure);
  program any(&send_before_anybody_receives);
  EXPECT_FALSE(explore(any).failure) << "of one machine they are drawn where somebody asks";
}

TEST(NetworkSizes, are_drawn_for_a_program_that_asks_for_it_and_not_in_order) {
  program asks([]() -> task<> {
    world_here().draw_sizes();
    co_await send_before_anybody_receives();
  });
  const exploration made = explore(asks);
  ASSERT_TRUE(made.failure);
  EXPECT_NE(made.failure->found.how, strategy::in_order);
  EXPECT_EQ(made.failure->shrunk.text(), "b0=3");
}

TEST(NetworkSizes, can_be_others_for_a_program) {
  program narrow([]() -> task<> {
    world_here().set_sizes({.socket_buffer = 99});
    co_await send_before_anybody_receives();
  });
  const exploration made = explore(narrow);
  ASSERT_TRUE(made.failure);
  EXPECT_EQ(made.failure->runs, 1u) << "they are so in order, too";
  EXPECT_TRUE(made.failure->shrunk.exceptions.empty());
}

TEST(NetworkSizes, are_no_decision_of_a_run_without_sockets) {
  choices decisions(1);
  const auto of = [&](task<> body) {
    return run_outcome(std::move(body), {.world = {.draws_sizes = true, .decisions = &decisions}});
  };
  of([]() -> task<> { co_await sleep(1_s); }());
  EXPECT_EQ(decisions.count(choice_kind::size), 0u);
  of([]() -> task<> { static_cast<void>(co_await connection()); }());
  EXPECT_EQ(decisions.count(choice_kind::size), 3u);
}

TEST(NetworkSizes, are_plain_in_half_of_the_runs_and_each_other_one_in_some) {
  std::map<std::string, int> seen;
  constexpr int runs = 400;
  for (int seed = 1; seed <= runs; ++seed) {
    choices decisions(static_cast<std::uint64_t>(seed));
    const network_sizes drawn = draw_sizes(decisions, {});
    ++seen[size_text({.socket_buffer = drawn.socket_buffer}, {})];
    EXPECT_EQ(size_text(drawn, drawn), "");
  }
  EXPECT_NEAR(seen[""], runs / 2, runs / 10);
  for (const char* one : {"4096 bytes", "512 bytes", "64 bytes", "1 byte"})
    EXPECT_GT(seen[std::string("socket buffers of ") + one], runs / 16) << one;
  EXPECT_EQ(seen.size(), 5u);
}

TEST(NetworkSizes, are_never_larger_than_the_plain_ones) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    choices decisions(seed);
    EXPECT_LE(draw_sizes(decisions, {.socket_buffer = 7}).socket_buffer, 7u);
  }
}

TEST(NetworkSizes, are_told_only_when_they_are_smaller_than_the_plain_ones) {
  std::set<std::string> told;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    choices decisions(0);
    decisions.record_next();
    decisions.restart(seed);
    static_cast<void>(draw_sizes(decisions, {.socket_buffer = 64, .accept_queue = 2}));
    for (const choice& one : decisions.recorded().exceptions) told.insert(size_text(one));
  }
  EXPECT_THAT(told, IsSupersetOf({"socket buffers of 1 byte", "accept queues of 1 connection",
                                  "pipe buffers of 4096 bytes"}));
  EXPECT_THAT(told, Each(AnyOf("socket buffers of 1 byte", "accept queues of 1 connection",
                               HasSubstr("pipe buffers"))));
}

TEST(NetworkSizesDeathTest, cannot_be_drawn_after_the_first_socket) {
  program late([]() -> task<> {
    static_cast<void>(co_await connection());
    world_here().draw_sizes();
  });
  EXPECT_DEATH(explore(late), "draw_sizes\\(\\) comes before the first socket, pipe and listener");
}

constexpr std::size_t much = 1 << 20;

task<> send_much(socket out) {
  const std::string text(much, 'x');
  co_await out.send(text);
  co_await out.shutdown_send();
}
task<> receive_much(socket in) {
  std::size_t all = 0;
  while (const bytes piece = co_await in.receive()) all += piece.size();
  EXPECT_EQ(all, much);
}

TEST(NetworkSizes, that_are_small_grow_with_what_goes_through) {
  choices decisions(0);
  decisions.replay(*choice_log::parse("b0=4"));
  virtual_world world({.draws_sizes = true, .decisions = &decisions});
  const virtual_outcome outcome = run_outcome_in(world, []() -> task<> {
    auto [out, in] = co_await connection();
    co_await when_all(send_much(std::move(out)), receive_much(std::move(in)));
  }());
  EXPECT_FALSE(outcome.is_failed) << outcome.failure;
  EXPECT_EQ(outcome.sizes, "socket buffers of 1 byte");
  EXPECT_GT(world.count_of(io_op::receive), 100u);
  EXPECT_LT(world.count_of(io_op::receive), 1'000u);
}

struct talker final : node_program {
  WEIR_CORO_WRAPPER task<> main(virtual_node&) override { return body(to); }
  std::string to = {};
  task<> (*body)(std::string) = nullptr;
};

TEST(NetworkSizes, grow_between_machines_too) {
  choices decisions(0);
  decisions.replay(*choice_log::parse("b0@1=4,b0@2=4"));
  talker here;
  talker there;
  virtual_nodes all(decisions);
  virtual_node& ann = all.add({.name = "ann", .world = {.draws_sizes = true}});
  virtual_node& bob = all.add({.name = "bob", .world = {.draws_sizes = true}});
  here.body = [](std::string) -> task<> {
    listener door = co_await listen({.host = "*", .port = 70});
    co_await receive_much(co_await door.accept());
  };
  there.to = ann.address();
  there.body = [](std::string to) -> task<> { co_await send_much(co_await connect(to, 70)); };
  ann.start(here);
  all.run_for(1_ms);
  bob.start(there);
  EXPECT_TRUE(all.run_for(2_s));
  EXPECT_EQ(ann.world().drawn_sizes(), "socket buffers of 1 byte");
  EXPECT_EQ(bob.world().drawn_sizes(), "socket buffers of 1 byte");
  EXPECT_TRUE(ann.has_ended()) << "a byte at a time it would take a quarter of an hour";
  EXPECT_FALSE(ann.outcome().is_failed) << ann.outcome().failure;
}

}  // namespace
}  // namespace weir::network_sizes_test

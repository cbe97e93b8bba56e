#include <weir/sim/choice.hpp>

#include <weir/core.hpp>
#include <weir/sim/odometer.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weir::choice_test {
namespace {

using namespace weir::literals;

struct draws final : node_program {
  explicit draws(int how_many) : count(how_many) {}
  task<> main(virtual_node&) override {
    for (int i = 0; i < count; ++i) {
      got.push_back(loop::current()->io().random());
      co_await sleep(1_ms);
    }
  }
  int count;
  std::vector<std::uint64_t> got{};
};

// What `far` draws while `near` draws as often as told.
std::vector<std::uint64_t> drawn_beside(choices& decisions, int draws_of_near) {
  virtual_nodes all(decisions);
  virtual_node& near = all.add({.name = "near", .world = {.shuffle = true}});
  virtual_node& far = all.add({.name = "far", .world = {.shuffle = true}});
  draws first(draws_of_near);
  draws second(5);
  near.start(first);
  far.start(second);
  all.run_for(1_s);
  return second.got;
}

TEST(RandomNumbers, of_a_machine_do_not_depend_on_those_of_another) {
  choices seven(7);
  const auto alone = drawn_beside(seven, 0);
  seven.restart(7);
  EXPECT_EQ(drawn_beside(seven, 3), alone);
  seven.restart(8);
  EXPECT_NE(drawn_beside(seven, 0), alone);
}

TEST(RandomNumbers, of_a_machine_are_replayed_from_its_part_of_the_log) {
  choices decisions(7);
  decisions.record_next();
  decisions.restart(7);
  const auto drawn = drawn_beside(decisions, 3);
  const choice_log log = decisions.take_record();
  EXPECT_NE(log.text().find("p0@2="), std::string::npos) << log.text();
  decisions.replay(*choice_log::parse(log.text()));
  EXPECT_EQ(drawn_beside(decisions, 3), drawn);
  decisions.replay(*choice_log::parse(log.text()));
  EXPECT_EQ(drawn_beside(decisions, 0), drawn) << "without the other's, it has its own";
}

TEST(Odometer, names_the_machine_of_each_decision) {
  constexpr choice_kind kind = choice_kind::fault;
  const auto answers_of = [](choices& decisions) {
    std::vector<std::uint64_t> got;
    for (const std::uint32_t machine : {1u, 2u, 0u}) {
      decisions.decide_for(machine);
      got.push_back(decisions.below(kind, 2));
    }
    return got;
  };
  odometer all(1);
  std::vector<std::string> logs;
  do {
    choices decisions(0);
    decisions.follow(all);
    const auto got = answers_of(decisions);
    logs.push_back(all.log().text());
    choices replayed(0);
    replayed.replay(*choice_log::parse(logs.back()));
    EXPECT_EQ(answers_of(replayed), got) << logs.back();
  } while (all.advance());
  EXPECT_EQ(logs, (std::vector<std::string>{"", "f0=1", "f0@2=1", "f0@1=1"}));
}

TEST(Choices, tell_which_decisions_of_a_log_are_not_plain) {
  struct hears final : choice_listener {
    void decided(const choice& what) noexcept override { all.exceptions.push_back(what); }
    choice_log all;
  } listener;
  choices decisions(1);
  decisions.tell(&listener);
  decisions.below(choice_kind::fault, 1'000'000);
  EXPECT_EQ(listener.all.text(), "") << "a seed's are not told: almost all of them differ";
  decisions.replay(*choice_log::parse("f1=1,t0@2=3,f7=1"));
  for (int i = 0; i < 3; ++i) decisions.below(choice_kind::fault, 2);
  decisions.decide_for(2);
  decisions.below(choice_kind::task, 9);
  EXPECT_EQ(listener.all.text(), "f1=1,t0@2=3") << "f7 was never asked for";
}

}  // namespace
}  // namespace weir::choice_test

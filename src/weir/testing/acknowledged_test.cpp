#include <weir/testing/acknowledged.hpp>

#include <weir/core.hpp>
#include <weir/testing/internal/reports.hpp>
#include <weir/testing/test_on_nodes.hpp>

#include <string>

namespace weir::acknowledged_test {
namespace {

using namespace weir::literals;

// A worker that takes two letters and answers `answers` of them.
task<> work(broker* at, int answers) {
  static_cast<void>(co_await at->put_queue("letters", {}));
  for (const char* text : {"one", "two"}) {
    static_cast<void>(co_await at->submit("letters", {.body = text}));
  }
  const auto taken = co_await at->lease("letters", 2, 1_s, std::nullopt);
  WEIR_REQUIRE(taken && taken->size() == 2);
  for (int i = 0; i < answers; ++i) {
    const std::string& receipt = (*taken)[static_cast<std::size_t>(i)].receipt;
    static_cast<void>(i == 0 ? co_await at->ack(receipt, "", "")
                             : co_await at->reject(receipt, "no"));
  }
}

template <class Body, class... A>
task<> with_broker(Body body, A... arguments) {
  const auto letters = co_await broker::open({.dir = "/letters"});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await letters->run(); });
    co_await body(letters.get(), arguments...);
    co_await letters->close();
  });
}
task<> answer(int count) { co_await with_broker(&work, count); }

constexpr const char* one_left =
    "queue letters: 1 message was taken and neither acknowledged nor given back";
constexpr const char* two_left =
    "queue letters: 2 messages were taken and neither acknowledged nor given back";

WEIR_TEST("a test whose messages all have their answer passes") { co_await answer(2); }

WEIR_TEST("a test that means to leave messages says so and passes") {
  co_await answer(1);
  testing::may_leave_messages();
}

TEST(Acknowledged, a_run_fails_when_a_message_was_taken_and_forgotten) {
  const virtual_outcome one = run_outcome(answer(1));
  EXPECT_EQ(one.how, run_failure::left_behind);
  EXPECT_EQ(one.failure, one_left);
  EXPECT_EQ(run_outcome(answer(0)).failure, two_left);
  EXPECT_EQ(run_outcome(answer(2)).failure, "");
}

TEST(Acknowledged, an_error_is_told_and_not_what_was_left_because_of_it) {
  const virtual_outcome failed = run_outcome(with_broker([](broker* at) -> task<> {
    co_await work(at, 1);
    raise(error(errc::refused, "no more letters"));
  }));
  EXPECT_EQ(failed.how, run_failure::error);
  EXPECT_EQ(failed.failure.find("queue letters"), std::string::npos) << failed.failure;
}

task<> crash_with_one_left() {
  const auto letters = co_await broker::open({.dir = "/letters"});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { static_cast<void>(co_await as_result(letters->run())); });
    co_await work(letters.get(), 1);
    testing::world().crash();
    s.cancel("its machine has crashed");
  });
}

TEST(Acknowledged, a_machine_that_crashed_has_left_nothing_that_could_be_answered) {
  virtual_world world;
  EXPECT_EQ(run_outcome_in(world, crash_with_one_left(), {.may_leave_handles = true}).failure, "");
}

template <bool MayLeave>
void answer_on_a_machine(explored_nodes& nodes) {
  virtual_node& post = nodes.add("post");
  nodes.start(post, []() -> task<> {
    co_await answer(1);
    if (MayLeave) testing::may_leave_messages();
  });
  nodes.run_to_end(post);
}

TEST(Acknowledged, is_asked_of_each_machine_of_an_explored_run) {
  using testing::report_of;
  EXPECT_TRUE(report_of(&answer_on_a_machine<false>).starts_with(std::string("post: ") + one_left));
  EXPECT_EQ(report_of(&answer_on_a_machine<true>), "");
}

TEST(Acknowledged, may_be_asked_for_before_the_broker_goes) {
  const testing::caught_failures caught;
  testing::run_virtual(with_broker([](broker* at) -> task<> {
    testing::may_leave_messages();
    const testing::acknowledged_at_end settled(*at);
    co_await work(at, 0);
  }));
  EXPECT_EQ(caught.text(), two_left);
}

}  // namespace
}  // namespace weir::acknowledged_test

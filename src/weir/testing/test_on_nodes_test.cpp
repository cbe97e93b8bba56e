// Faults that are planted in programs on several machines, and what WEIR_TEST_ON_NODES says.
#include <weir/testing/test_on_nodes.hpp>

#include <weir/base/probe.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/file.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/chaos.hpp>
#include <weir/sim/explore.hpp>
#include <weir/testing/internal/reports.hpp>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace weir::test_on_nodes_test {
namespace {

using namespace weir::literals;

using testing::report_of;
using testing::with_environment;
using testing::word_after;

std::string replay_of(const std::string& which, void (*body)(explored_nodes&)) {
  ::setenv("WEIR_REPLAY", which.c_str(), 1);
  std::string text = report_of(body);
  ::unsetenv("WEIR_REPLAY");
  return text;
}

void expect_parts(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in:\n" << text;
}

// A till: "+" is answered by what is in it, a digit puts so much into it.
struct till {
  int money = 0;
};

task<> serve_one(till* its, socket line) {
  reader in(line);
  while (const auto said = co_await in.read_line()) {
    if (said->text() == "?") {
      co_await line.send(std::to_string(its->money) + "\n");
    } else {
      its->money = std::stoi(std::string(said->text()));
      co_await line.send("ok\n");
    }
  }
}

task<> serve(till* its) {
  listener door = co_await listen({.host = "0.0.0.0", .port = 70});
  co_await with_scope([&](scope& s) -> task<> {
    for (;;) s.spawn(serve_one, its, co_await door.accept());
  });
}

task<> add_one(std::string host, duration later) {
  co_await sleep(later);
  socket line = co_await connect(*address::parse(host + ":70"));
  reader in(line);
  co_await line.send("?\n");
  const auto money = co_await in.read_line();
  co_await line.send(std::to_string(std::stoi(std::string(money->text())) + 1) + "\n");
  static_cast<void>(co_await in.read_line());
}

int runs = 0;
void loses_an_update(explored_nodes& nodes) {
  ++runs;
  till its;
  virtual_node& shop = nodes.add("shop");
  virtual_node& ann = nodes.add("ann");
  virtual_node& bob = nodes.add("bob");
  nodes.start(shop, serve, &its);
  nodes.start(ann, add_one, shop.address(), 1_ms);
  // With every packet at its fastest Ann has answered before Bob asks.
  nodes.start(bob, add_one, shop.address(), 2_ms);
  nodes.run_to_end(ann);
  nodes.run_to_end(bob);
  nodes.stop(shop);
  EXPECT_EQ(its.money, 2) << "an update was lost";
}

TEST(OnNodes, an_update_that_two_machines_lose_on_a_third_is_found_shrunk_and_told) {
  const std::string text = report_of(&loses_an_update);
  expect_parts(text, {"an update was lost", "test_on_nodes_test.cpp:", "of ann is ", "needed",
                      "in order", "shop 1 serve ", "bob 1 add_one ",
                      "replay it:  WEIR_REPLAY=log:", "--gtest_filter=OnNodes.an_update"});
  const auto log = run_name::parse(word_after(text, "WEIR_REPLAY="));
  ASSERT_TRUE(log && log->log) << text;
  EXPECT_LE(log->log->exceptions.size(), 2u) << text;
}

task<> add_here(int* count) {
  const int read = *count;
  co_await checkpoint();
  *count = read + 1;
}

TEST(OnNodes, the_order_of_one_machines_tasks_is_explored_and_its_switch_has_the_machines_name) {
  const std::string text = report_of([](auto& nodes) {
    virtual_node& ann = nodes.add("ann");
    virtual_node& shop = nodes.add("shop");
    nodes.start(ann, []() -> task<> { co_return; });
    nodes.start(shop, []() -> task<> {
      int count = 0;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(add_here, &count);
        s.spawn(add_here, &count);
        co_await s.join();
      });
      EXPECT_EQ(count, 2) << "an update was lost";
    });
    nodes.run_to_end(ann);
    nodes.run_to_end(shop);
  });
  expect_parts(text, {"an update was lost", "1 switch needed", " stops and shop's task ",
                      "WEIR_REPLAY=log:t", "@2=1 "});
}

TEST(OnNodes, which_machine_goes_first_is_explored) {
  const std::string text = report_of([](auto& nodes) {
    std::string order;
    for (const char* name : {"ann", "bob"}) {
      nodes.start(
          nodes.add(name),
          [](std::string* to, char what) -> task<> {
            to->push_back(what);
            co_return;
          },
          &order, *name);
    }
    nodes.run_for(1_ms);
    EXPECT_EQ(order, "ab") << "bob was first";
  });
  expect_parts(
      text, {"bob was first", "1 exception needed", "before step 1: next machine 1 is 1 instead"});
}

TEST(OnNodes, the_command_replays_the_failure_and_a_stale_log_fails) {
  const std::string text = report_of(&loses_an_update);
  const std::string log = word_after(text, "WEIR_REPLAY=");
  runs = 0;
  const std::string again = replay_of(log, &loses_an_update);
  EXPECT_EQ(word_after(again, "WEIR_REPLAY="), log);
  expect_parts(again, {"an update was lost"});
  EXPECT_LE(runs, 5) << "a replay is no campaign";
  expect_parts(replay_of(word_after(text, ", schedule "), &loses_an_update),
               {"an update was lost"});
  EXPECT_EQ(replay_of("fifo", &loses_an_update), "");
  expect_parts(replay_of("log:t99999@2=1", &loses_an_update),
               {"names a choice that this run does not come to: t99999@2=1"});
}

// Says all it has before the other one listens to any of it, and so does the other one.
task<> talk(socket line, std::size_t length) {
  const std::string text(length, 'x');
  co_await line.send(text);
  std::size_t heard = 0;
  while (heard < length) {
    const bytes piece = co_await line.receive();
    if (!piece) break;
    heard += piece.size();
  }
}
task<> talk_at(std::size_t length) {
  listener door = co_await listen({.host = "0.0.0.0", .port = 70});
  co_await talk(co_await door.accept(), length);
}
task<> talk_to(std::string where, std::size_t length) {
  co_await talk(co_await connect(where, 70), length);
}
void both_talk(explored_nodes& nodes) {
  virtual_node& ann = nodes.add("ann");
  virtual_node& bob = nodes.add("bob");
  nodes.start(ann, talk_at, 100u);
  nodes.run_for(1_ms);
  nodes.start(bob, talk_to, ann.address(), 100u);
  nodes.run_to_end(bob);
  nodes.run_to_end(ann);
}

TEST(OnNodes, who_relies_on_a_large_buffer_is_found_and_told_how_small_it_was) {
  const with_environment enough("WEIR_TEST_SCHEDULES", "100");
  const std::string text = report_of(&both_talk);
  expect_parts(text, {"deadlock", "2 exceptions needed", "ann: socket buffers of 64 bytes\n",
                      "bob: socket buffers of 64 bytes\n", "WEIR_REPLAY=log:b0@1=3,b0@2=3 "});
  expect_parts(replay_of("log:b0@1=3,b0@2=3", &both_talk), {"ann: socket buffers of 64 bytes\n"});
  EXPECT_EQ(replay_of("log:b0@1=2,b0@2=3", &both_talk), "") << "512 bytes are enough";
  EXPECT_EQ(report_of([](explored_nodes& nodes) {
              virtual_node& ann = nodes.add("ann");
              virtual_node& bob = nodes.add("bob");
              ann.world().set_sizes();
              nodes.start(ann, talk_at, 100u);
              nodes.run_for(1_ms);
              nodes.start(bob, talk_to, ann.address(), 100u);
              nodes.run_to_end(bob);
              nodes.run_to_end(ann);
            }),
            "")
      << "of one of them they are plain";
}

// [power]
// A ledger that answers before it has synced what it has written, and one that does not.
enum class answers : std::uint8_t { at_once, when_synced };

task<> keep_ledger(answers when) {
  file book = co_await open_file("/book", {.write = true, .create = true});
  co_await sync_dir("/");
  listener door = co_await listen({.host = "0.0.0.0", .port = 70});
  for (;;) {
    socket line = co_await door.accept();
    reader in(line);
    const auto entry = co_await in.read_line();
    if (!entry) continue;
    co_await book.write_at(0, std::string(entry->text()));
    if (when == answers::at_once) {
      co_await line.send("noted\n");
      co_await sleep(1_ms);
    }
    co_await book.sync();
    if (when == answers::when_synced) co_await line.send("noted\n");
  }
}

task<> enter(std::string host, bool* is_noted) {
  socket line = co_await connect(*address::parse(host + ":70"));
  reader in(line);
  co_await line.send("7 pounds\n");
  const auto said = co_await as_result(in.read_line());
  *is_noted = said && said->has_value();  // else the power went before
}

task<> read_ledger(std::string* into) {
  file book = co_await open_file("/book");
  char text[9] = {};
  std::size_t count = 0;
  while (const std::size_t more = co_await book.read_at(count, std::span(text).subspan(count)))
    count += more;
  into->assign(text, count);
}

void loses_power(explored_nodes& nodes, answers when) {
  bool is_noted = false;
  std::string kept;
  virtual_node& ledger = nodes.add("ledger");
  virtual_node& clerk = nodes.add("clerk");
  nodes.start(ledger, keep_ledger, when);
  nodes.run_for(1_ms);
  nodes.start(clerk, enter, ledger.address(), &is_noted);
  // In order long after all is done.
  const std::uint64_t early = nodes.lot(30);
  nodes.run_for(duration::microseconds(100 * static_cast<std::int64_t>(30 - early)));
  ledger.cut_power();
  nodes.start(ledger, read_ledger, &kept);
  nodes.run_to_end(ledger);
  nodes.stop(clerk);  // nobody tells it that the power went
  if (is_noted) EXPECT_EQ(kept, "7 pounds") << "what was noted is lost";
}

WEIR_TEST_ON_NODES("an entry that was noted survives the power when it was synced before") {
  loses_power(nodes, answers::when_synced);
}
// [/power]

TEST(OnNodes, an_answer_before_the_sync_is_found_by_a_power_cut_at_a_bad_moment) {
  const std::string text = report_of([](auto& nodes) { loses_power(nodes, answers::at_once); });
  expect_parts(text, {"what was noted is lost", "fault 1 is ", "instead of 0", "ledger 1 "});
  const auto log = run_name::parse(word_after(text, "WEIR_REPLAY="));
  ASSERT_TRUE(log && log->log) << text;
  EXPECT_LE(log->log->exceptions.size(), 2u) << text;
}

TEST(OnNodes, what_a_program_leaves_behind_is_told_with_the_name_of_its_machine) {
  expect_parts(report_of([](auto& nodes) {
                 nodes.add("first");
                 nodes.start(nodes.add("second"), []() -> task<> {
                   loop::current()->io().make_socket(2);
                   co_return;
                 });
                 nodes.run_to_end(nodes.all().at(1));
               }),
               {"second: left open: 1", "failed (left behind) in run 1, schedule fifo"});
  expect_parts(report_of([](auto& nodes) {
                 nodes.start(nodes.add("one"), []() -> task<> { co_await sleep(1_h); });
                 nodes.run_for(1_s);
               }),
               {"one: left behind: its program still runs", "failed (left behind) in run 1"});
}

TEST(OnNodes, a_program_that_has_not_begun_when_the_body_ends_is_told_and_never_begins) {
  static int begun;
  begun = 0;
  expect_parts(report_of([](auto& nodes) {
                 nodes.start(nodes.add("one"), []() -> task<> {
                   ++begun;
                   co_await sleep(1_h);
                 });
               }),
               {"one: left behind: its program still runs", "failed (left behind) in run 1"});
  EXPECT_EQ(begun, 0);
}

TEST(OnNodes, an_error_or_a_report_on_a_machine_fails_the_run_also_when_it_starts_again) {
  expect_parts(report_of([](auto& nodes) {
                 virtual_node& one = nodes.add("one");
                 nodes.start(one, []() -> task<> {
                   raise(error(errc::not_found, "no such queue"));
                   co_return;
                 });
                 nodes.run_to_end(one);
                 nodes.start(one, []() -> task<> { co_return; });
                 nodes.run_to_end(one);
               }),
               {"one: ", "no such queue", "failed (error)"});
  expect_parts(report_of([](auto& nodes) {
                 virtual_node& one = nodes.add("one");
                 nodes.start(one, []() -> task<> {
                   co_await with_scope({.failures = weir::report}, [](scope& s) -> task<> {
                     s.spawn([]() -> task<> {
                       raise(error(errc::busy, "a reported one"));
                       co_return;
                     });
                     co_await s.join();
                   });
                 });
                 nodes.run_to_end(one);
               }),
               {"a task failed: one: ", "a reported one"});
}

TEST(OnNodes, machines_that_wait_for_each_other_are_a_deadlock_told_with_all_their_tasks) {
  expect_parts(report_of([](auto& nodes) {
                 virtual_node& shop = nodes.add("shop");
                 virtual_node& ann = nodes.add("ann");
                 till its;
                 nodes.start(shop, serve, &its);
                 nodes.start(
                     ann,
                     [](std::string host) -> task<> {
                       co_await sleep(1_ms);
                       socket line = co_await connect(*address::parse(host + ":70"));
                       static_cast<void>(co_await line.receive());
                     },
                     shop.address());
                 nodes.run_to_end(ann);
               }),
               {"deadlock: nothing can happen any more, and ann has not ended", "shop:\n", "ann:\n",
                "failed (deadlock) in run 1, schedule fifo"});
}

TEST(OnNodes, a_program_that_goes_on_for_ever_fails_the_run) {
  expect_parts(report_of([](auto& nodes) {
                 virtual_node& one = nodes.add("one");
                 nodes.start(one, []() -> task<> {
                   for (;;) co_await sleep(1_s);
                 });
                 nodes.run_to_end(one, 60_s);
               }),
               {"one has not ended within 60 s", "one:\n", "failed (no end) in run 1"});
  expect_parts(report_of([](auto& nodes) {
                 virtual_node& one = nodes.add("one");
                 nodes.start(one, []() -> task<> {
                   co_await sleep(1_s);
                   raise(error(errc::busy, "before its end"));
                 });
                 nodes.run_for(1_ms);
                 nodes.stop(one);
                 nodes.start_again(one);
                 nodes.run_to_end(one);
               }),
               {"one: ", "before its end", "failed (error) in run 1"});
}

// Fails when the machine that was added last goes first.
class race final : public program_on_nodes {
 public:
  explicit race(bool is_fair) : is_fair_(is_fair) {}
  void run_on(explored_nodes& nodes) override {
    first_.clear();
    for (const char* name : {"ann", "bob"}) {
      nodes.start(
          nodes.add(name),
          [](std::string* first, std::string own) -> task<> {
            if (first->empty()) *first = own;
            co_return;
          },
          &first_, std::string(name));
    }
    nodes.run_for(1_ms);
  }
  std::string verdict() override {
    return is_fair_ || first_ == "ann" ? "" : first_ + " was first";
  }

 private:
  bool is_fair_;
  std::string first_;
};

TEST(OnNodes, are_explored_without_macros_and_all_their_schedules_are_tried) {
  race unfair(false);
  const exploration some = explore(unfair);
  ASSERT_TRUE(some.failure);
  EXPECT_EQ(some.failure->outcome.failure, "bob was first");
  EXPECT_EQ(some.failure->shrunk.text(), "o0=1");
  const exploration found = explore_all(unfair, 1, 100);
  ASSERT_TRUE(found.failure);
  EXPECT_EQ(found.failure->shrunk.text(), "o0=1");
  race fair(true);
  const exploration all = explore_all(fair, 2, 100);
  EXPECT_TRUE(all.is_complete);
  EXPECT_FALSE(all.failure);
  EXPECT_GE(all.runs, 2u);
}

chaos_set kills() {
  chaos_set made;
  made.set(chaos_kind::kill, true);
  return made;
}

TEST(OnNodes, the_run_in_order_is_the_first_and_has_no_faults) {
  static std::vector<bool> had_faults;
  had_faults.clear();
  EXPECT_EQ(report_of([](auto& nodes) {
              had_faults.push_back(false);
              virtual_node& one = nodes.add("one");
              nodes.start(one, []() -> task<> { co_await sleep(1_h); });
              nodes.allow(kills());
              nodes.run_for(20_s);
              had_faults.back() = one.starts() != 1 || nodes.lot(1000) != 0;
              nodes.heal();
              nodes.run_to_end(one, 3_h);
            }),
            "");
  ASSERT_GT(had_faults.size(), 20u);
  EXPECT_FALSE(had_faults.front());
  EXPECT_NE(std::find(had_faults.begin(), had_faults.end(), true), had_faults.end());
}

TEST(OnNodes, a_fault_by_lot_is_told_in_words_and_replayed) {
  constexpr auto body = [](explored_nodes& nodes) {
    virtual_node& one = nodes.add("one");
    nodes.start(one, []() -> task<> { co_await sleep(1_h); });
    nodes.allow(kills());
    nodes.run_for(60_s);
    nodes.heal();
    nodes.run_to_end(one, 3_h);
    EXPECT_EQ(one.starts(), 1u) << "it was not to be killed";
  };
  const std::string text = report_of(body);
  expect_parts(text, {"it was not to be killed", ": one: killed"});
  const std::string log = word_after(text, "WEIR_REPLAY=");
  EXPECT_EQ(word_after(replay_of(log, body), "WEIR_REPLAY="), log);
}

TEST(OnNodes, a_maybe_that_a_failure_takes_is_told_by_its_name_and_machine) {
  const with_environment enough("WEIR_TEST_SCHEDULES", "100");
  expect_parts(report_of([](auto& nodes) {
                 virtual_node& shop = nodes.add("shop");
                 nodes.start(shop, []() -> task<> {
                   co_await yield();
                   EXPECT_FALSE(maybe("the till is empty"));
                 });
                 nodes.run_to_end(shop);
               }),
               {"shop: maybe(\"the till is empty\") at test_on_nodes_test.cpp:", " is true\n"});
}

// Machines are at work, and some schedules only come to it.
void throws_by_lot(explored_nodes& nodes) {
  nodes.start(nodes.add("shop"), []() -> task<> { co_await sleep(1_h); });
  nodes.run_for(1_ms);
  if (nodes.lot(4) == 3) throw std::runtime_error("no such shop");
  nodes.stop(nodes.all().at(0));
}

TEST(OnNodes, a_body_that_throws_fails_its_run_and_is_replayed) {
  const with_environment enough("WEIR_TEST_SCHEDULES", "100");
  const std::string text = report_of(&throws_by_lot);
  EXPECT_NE(text.find("thrown by the body: no such shop\nfailed (error)"), std::string::npos)
      << text;
  EXPECT_EQ(word_after(text, "WEIR_REPLAY="), "log:f0=3");
  EXPECT_NE(replay_of("log:f0=3", &throws_by_lot).find("no such shop"), std::string::npos);
}

}  // namespace
}  // namespace weir::test_on_nodes_test

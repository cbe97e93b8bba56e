// Programs of a virtual machine that run as child processes. What the kernel does as well is in
// io/process_test.cpp and io/process_contract_test.cpp.
#include <weir/sim/virtual_processes.hpp>

#include <weir/base/probe.hpp>
#include <weir/core.hpp>
#include <weir/io/file.hpp>
#include <weir/io/process.hpp>
#include <weir/io/signals.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/memory_watch.hpp>
#include <weir/sim/virtual_nodes.hpp>
#include <weir/testing/allocation_points.hpp>
#include <weir/testing/fault_points.hpp>
#include <weir/testing/test.hpp>

#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cctype>
#include <span>
#include <string>
#include <utility>

namespace weir::virtual_processes_test {
namespace {

using namespace weir::literals;
using testing::world;

virtual_processes& machine() { return world().processes(); }

task<> say(virtual_process* self, std::string text) { co_await self->output().send(text); }
task<std::string> read_all(pipe_reader* from) {
  std::string all;
  while (const bytes piece = co_await from->receive()) all += piece.text();
  co_return all;
}
task<> wait_until_ready(process& child) {
  char last = 0;
  while (last != '\n' && co_await child.output().receive_into(std::span(&last, 1)) == 1) {
  }
  EXPECT_EQ(last, '\n') << "it has ended before it was ready";
}
// As a careless program does, which waits for no child.
void start_and_forget(std::string program) {
  child_plan plan;
  plan.program = program;
  plan.arguments = {std::move(program)};
  plan.wants_end = false;
  EXPECT_EQ(loop::current()->io().children()->start_child(plan).failure, 0);
}
command talking(std::string program) {
  return command(std::move(program)).output(child_stream::piped());
}

// [program]
WEIR_TEST("a report is what the filter makes of the lines") {
  weir::testing::world().processes().install(
      "/usr/bin/upper", [](virtual_process& self) -> task<int> {
        while (const bytes piece = co_await self.input().receive()) {
          std::string text(piece.text());
          for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
          co_await self.output().send(text);
        }
        co_return self.arguments().size() > 1 ? 1 : 0;
      });
  const auto done = co_await run_process(command("upper"), {.input = "one\ntwo\n"});
  EXPECT_EQ(done.output, "ONE\nTWO\n");
  EXPECT_TRUE(done.status.is_success());
}
// [/program]

WEIR_TEST("what a killed program does in its cleanup reaches nobody") {
  machine().install("/bin/tidy", [](virtual_process& self) -> task<int> {
    co_await with_cleanups([&](cleanups& after) -> task<> {
      after.defer_async([&]() -> task<> {
        static_cast<void>(co_await as_result(self.output().send("cleaned up")));
        static_cast<void>(
            co_await as_result(open_file("/cleaned-up", {.write = true, .create = true})));
      });
      co_await say(&self, "ready\n");
      co_await sleep(1_h);
    });
    co_return 0;
  });
  co_await with_process(talking("tidy"), [](process& child) -> task<> {
    co_await wait_until_ready(child);
    child.signal(SIGKILL);
    EXPECT_EQ((co_await child.wait()).signal, SIGKILL);
    EXPECT_EQ(co_await read_all(&child.output()), "");
  });
  co_await sleep(2_h);
  file_status found;
  EXPECT_EQ(world().disk().status_of("/cleaned-up", found), -ENOENT);
  EXPECT_EQ(machine().left(), "");
}

WEIR_TEST("a program that is killed may still take a few turns, and no more") {
  machine().install("/bin/count", [](virtual_process& self) -> task<int> {
    for (;;) {
      co_await self.output().send("\n");
      co_await yield();
    }
  });
  const std::string after =
      co_await with_process(talking("count"), [](process& child) -> task<std::string> {
        co_await wait_until_ready(child);
        child.signal(SIGKILL);
        co_return co_await read_all(&child.output());
      });
  sometimes(after.empty(), "it ends at once");
  sometimes(after.size() > 1, "it goes on for a while");
}

WEIR_TEST("the files, locks and sockets of a killed program are closed") {
  machine().install("/bin/holder", [](virtual_process& self) -> task<int> {
    file held = co_await open_file("/held", {.write = true, .create = true});
    EXPECT_EQ(loop::current()->io().lock_file(held.handle()), 0);
    listener door = co_await listen({.port = 7000});
    co_await say(&self, "ready\n");
    const socket nobody = co_await door.accept();
    co_return 0;
  });
  co_await with_process(talking("holder").grace({}), [](process& child) -> task<> {
    co_await wait_until_ready(child);
    file ours = co_await open_file("/held", {.write = true});
    EXPECT_EQ(loop::current()->io().lock_file(ours.handle()), -EWOULDBLOCK);
    co_await child.end();
    EXPECT_EQ(loop::current()->io().lock_file(ours.handle()), 0);
    const listener again = co_await listen({.port = 7000});
  });
}

WEIR_TEST("a program serves whoever connects to it, as any other of its machine") {
  machine().install("/bin/server", [](virtual_process& self) -> task<int> {
    listener door = co_await listen({.port = 7000});
    co_await say(&self, "ready\n");
    socket peer = co_await door.accept();
    while (const bytes got = co_await peer.receive()) co_await peer.send(got.text());
    co_return 0;
  });
  co_await with_process(talking("server"), [](process& child) -> task<> {
    co_await wait_until_ready(child);
    socket line = co_await connect(address::loopback(7000));
    co_await line.send("hello");
    std::string got;
    while (got.size() < 5) got += (co_await line.receive()).text();
    EXPECT_EQ(got, "hello");
    co_await line.shutdown_send();
    EXPECT_EQ((co_await child.wait()).code, 0);
  });
}

WEIR_TEST("a program hears the signals that it waits for") {
  machine().install("/bin/polite", [](virtual_process& self) -> task<int> {
    self.hear(SIGTERM);
    self.ignore(SIGHUP);
    co_await say(&self, "ready\n");
    co_await wait_signal(SIGTERM);
    co_await say(&self, "bye");
    co_return 7;
  });
  co_await with_process(talking("polite"), [](process& child) -> task<> {
    co_await wait_until_ready(child);
    child.signal(SIGHUP);
    child.signal(SIGTERM);
    EXPECT_EQ(co_await read_all(&child.output()), "bye");
    EXPECT_EQ((co_await child.wait()).code, 7);
  });
}

WEIR_TEST("of ignoring and hearing a signal the last one counts") {
  machine().install("/bin/fickle", [](virtual_process& self) -> task<int> {
    self.hear(SIGTERM);
    self.ignore(SIGTERM);
    self.ignore(SIGHUP);
    self.hear(SIGHUP);
    co_await say(&self, "ready\n");
    co_await wait_signal(SIGHUP);
    const auto kept = co_await as_result(with_timeout(1_s, wait_signal(SIGTERM)));
    co_return kept ? 8 : 7;
  });
  co_await with_process(talking("fickle"), [](process& child) -> task<> {
    co_await wait_until_ready(child);
    child.signal(SIGTERM);
    child.signal(SIGHUP);
    EXPECT_EQ((co_await child.wait()).code, 7) << "the ignored signal was kept";
  });
}

WEIR_TEST("an error that leaves a program aborts it, and is told in its errors") {
  machine().install("/bin/wrong", [](virtual_process&) -> task<int> {
    raise(error(errc::malformed, "all is wrong"));
    co_return 0;
  });
  const auto done = co_await run_process(command("wrong"));
  EXPECT_EQ(done.status.signal, SIGABRT);
  EXPECT_NE(done.errors.find("all is wrong"), std::string::npos) << done.errors;
}

WEIR_TEST("an error that leaves a program is told in a file, if its errors go there") {
  machine().install("/bin/wrong", [](virtual_process& self) -> task<int> {
    co_await self.errors().send("before\n");
    raise(error(errc::malformed, "all is wrong"));
    co_return 0;
  });
  file log = co_await open_file("/log", {.write = true, .create = true});
  const auto done = co_await run_process(command("wrong").errors(child_stream::of(log)));
  EXPECT_EQ(done.status.signal, SIGABRT);
  const std::string told = *world().disk().content_of("/log");
  EXPECT_TRUE(told.starts_with("before\n")) << told;
  EXPECT_NE(told.find("all is wrong"), std::string::npos) << told;
}

// A write that its process did not live to see has not moved the offset: no hole of zeros.
WEIR_TEST("a program that is killed while it writes to a file leaves no hole for the next one") {
  machine().install("/bin/writer", [](virtual_process& self) -> task<int> {
    for (int i = 0; i < 5; ++i) co_await self.output().send("xx");
    co_return 0;
  });
  file log = co_await open_file("/log", {.write = true, .create = true});
  for (int i = 0; i < 2; ++i) {
    co_await with_process(command("writer").output(child_stream::of(log)),
                          [](process& child) -> task<> {
                            co_await yield();
                            child.signal(SIGKILL);
                            co_await child.wait();
                          });
  }
  const std::string all = *world().disk().content_of("/log");
  EXPECT_EQ(all, std::string(all.size(), 'x'));
  sometimes(!all.empty() && all.size() < 20, "one of them was killed while it wrote");
}

WEIR_TEST("a program exits in the middle of its tasks") {
  machine().install("/bin/exits", [](virtual_process& self) -> task<int> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([]() -> task<> { co_await sleep(1_h); });
      co_await self.exit(300);
    });
    co_return 1;
  });
  EXPECT_EQ((co_await run_process(command("exits"))).status.code, 300 - 256);
  EXPECT_LT(testing::elapsed(), 1_h);
}

WEIR_TEST("what other tasks of a program do after its exit reaches nobody") {
  machine().install("/bin/exits", [](virtual_process& self) -> task<int> {
    bool has_exited = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](virtual_process* self, bool* has_exited) -> task<> {
            *has_exited = true;
            co_await self->exit(3);
          },
          &self, &has_exited);
      s.spawn(
          [](virtual_process* self, bool* has_exited) -> task<> {
            while (!*has_exited) co_await yield();
            static_cast<void>(
                co_await as_result(open_file("/ghost", {.write = true, .create = true})));
            co_await self->output().send("after its exit");
          },
          &self, &has_exited);
      co_await s.join();
    });
    co_return 1;
  });
  const auto done = co_await run_process(command("exits"));
  EXPECT_EQ(done.status, (exit_status{.code = 3, .signal = 0}));
  EXPECT_EQ(done.output, "");
  EXPECT_EQ(done.errors, "") << "nor do its errors";
  file_status found;
  EXPECT_EQ(world().disk().status_of("/ghost", found), -ENOENT);
}

WEIR_TEST("children of a program that was killed go on without a parent, and are reaped") {
  machine().install("/bin/child", [](virtual_process& self) -> task<int> {
    co_await sleep(1_s);
    co_await say(&self, "an orphan's word");
    co_return 0;
  });
  machine().install("/bin/parent", [](virtual_process& self) -> task<int> {
    co_await with_process(command("child"), [&](process&) -> task<> {
      co_await say(&self, "ready\n");
      co_await sleep(1_h);
    });
    co_return 0;
  });
  co_await with_process(talking("parent"), [](process& child) -> task<> {
    co_await wait_until_ready(child);
    child.signal(SIGKILL);
    EXPECT_EQ((co_await child.wait()).signal, SIGKILL);
    EXPECT_EQ(co_await read_all(&child.output()), "an orphan's word");
  });
  co_await sleep(1_s);
  EXPECT_EQ(machine().left(), "");
}

WEIR_TEST("what is kept of an orphan is forgotten when it has ended") {
  machine().install("/bin/true", [](virtual_process&) -> task<int> { co_return 0; });
  machine().install("/bin/careless", [](virtual_process&) -> task<int> {
    for (int i = 0; i < 3; ++i) start_and_forget("true");
    co_await sleep(1_s);
    co_return 0;
  });
  EXPECT_EQ((co_await run_process(command("careless"))).status.code, 0);
  co_await sleep(1_s);
  EXPECT_EQ(machine().kept(), 0U);
}

WEIR_TEST("a zombie goes with the parent that did not wait for it") {
  machine().install("/bin/true", [](virtual_process&) -> task<int> { co_return 0; });
  machine().install("/bin/careless", [](virtual_process& self) -> task<int> {
    start_and_forget("true");
    co_await sleep(1_s);
    co_await say(&self, "ready\n");
    co_await sleep(1_s);
    co_return 0;
  });
  co_await with_process(talking("careless"), [](process& child) -> task<> {
    co_await wait_until_ready(child);
    EXPECT_NE(machine().left().find("'true' has ended"), std::string::npos);
    EXPECT_EQ((co_await child.wait()).code, 0);
  });
  EXPECT_EQ(machine().left(), "");
}

WEIR_TEST("a start that is refused is an error and leaves nothing behind") {
  machine().install("/bin/true", [](virtual_process&) -> task<int> { co_return 0; });
  machine().limit(1);
  co_await with_process(command("true"), [](process&) -> task<> {
    const auto second = co_await as_result(run_process(command("true")));
    EXPECT_EQ(second.error().os_code(), EAGAIN);
  });
  EXPECT_TRUE((co_await run_process(command("true"))).status.is_success());
}

TEST(VirtualProcesses, each_start_can_be_made_to_fail) {
  const std::size_t runs =
      testing::for_each_fault({.op = io_op::start_child, .code = EAGAIN}, []() -> task<> {
        machine().install("/bin/true", [](virtual_process&) -> task<int> { co_return 0; });
        int failed = 0;
        for (int i = 0; i < 3; ++i) {
          const auto done = co_await as_result(run_process(command("true")));
          if (!done) EXPECT_EQ(done.error().os_code(), EAGAIN);
          if (!done) ++failed;
        }
        EXPECT_LE(failed, 1);
      });
  EXPECT_EQ(runs, 3U);
}

TEST(VirtualProcesses, a_start_without_memory_is_an_error_and_leaves_nothing_behind) {
  const std::size_t runs = testing::for_each_allocation([]() -> task<> {
    machine().install("/bin/true", [](virtual_process&) -> task<int> { co_return 0; });
    co_await run_process(command("true"));
  });
  EXPECT_GT(runs, 10U);
}

TEST(VirtualProcesses, without_handles_a_start_is_full_and_leaves_nothing_behind) {
  bool has_started = false;
  for (std::size_t handles = 0; handles < 20 && !has_started; ++handles) {
    virtual_world few({.handles_max = handles});
    testing::run_virtual_in(few, [](bool* started) -> task<> {
      machine().install("/bin/cat", [](virtual_process& self) -> task<int> {
        while (const bytes piece = co_await self.input().receive())
          co_await self.output().send(piece.text());
        co_return 0;
      });
      const auto done = co_await as_result(run_process(command("cat"), {.input = "text"}));
      *started = done.has_value();
      if (done) EXPECT_EQ(done->output, "text");
      if (!done) EXPECT_EQ(done.error().code(), errc::full);
    }(&has_started));
  }
  EXPECT_TRUE(has_started);
}

TEST(VirtualProcesses, a_child_that_nobody_waited_for_fails_the_run) {
  const auto left_by = [](bool waits_for_end) {
    return testing::run_outcome([](bool ends_first) -> task<> {
      machine().install("/bin/nap", [](virtual_process&) -> task<int> {
        co_await sleep(1_s);
        co_return 0;
      });
      start_and_forget("nap");
      if (ends_first) co_await sleep(2_s);
    }(waits_for_end));
  };
  const virtual_outcome zombie = left_by(true);
  EXPECT_EQ(zombie.how, run_failure::left_behind);
  EXPECT_NE(zombie.failure.find("'nap' has ended and nobody waited for it"), std::string::npos);
  EXPECT_NE(left_by(false).failure.find("'nap' still runs"), std::string::npos);
}

TEST(VirtualProcesses, a_deadlock_shows_the_tasks_of_children_too) {
  const virtual_outcome stuck = testing::run_outcome([]() -> task<> {
    machine().install("/bin/deaf", [](virtual_process& self) -> task<int> {
      const bytes got = co_await self.input().receive();
      co_return got ? 1 : 0;
    });
    co_await with_process(command("deaf").input(child_stream::piped()).grace({}),
                          [](process& child) -> task<> { co_await child.wait(); });
  }());
  EXPECT_EQ(stuck.how, run_failure::deadlock);
  EXPECT_NE(stuck.failure.find("deaf"), std::string::npos) << stuck.failure;
}

TEST(VirtualProcesses, the_first_dies_of_a_signal_that_it_has_not_waited_for_and_the_run_fails) {
  bool goes_on = false;
  const virtual_outcome dead = testing::run_outcome([](bool* reached) -> task<> {
    world().raise_signal(SIGCHLD);  // is ignored as a rule
    world().raise_signal(SIGTERM);
    co_await sleep(1_ms);
    *reached = true;
  }(&goes_on));
  EXPECT_EQ(dead.how, run_failure::error);
  EXPECT_TRUE(dead.failure.starts_with("the program has died of signal 15, which nobody had"))
      << dead.failure;
  EXPECT_FALSE(goes_on);
}

TEST(VirtualProcesses, may_send_the_first_a_signal_that_it_dies_of) {
  const virtual_outcome dead = testing::run_outcome([]() -> task<> {
    machine().install("/bin/killer", [](virtual_process&) -> task<int> {
      world().raise_signal(SIGHUP);
      co_return 0;
    });
    co_await run_process(command("killer"));
  }());
  EXPECT_TRUE(dead.failure.starts_with("the program has died of signal 1, which nobody had"))
      << dead.failure;
}

TEST(VirtualProcesses, take_time_between_a_signal_and_their_end) {
  virtual_world slow({.latency_min = 1_ms, .latency_max = 1_ms});
  testing::run_virtual_in(slow, []() -> task<> {
    machine().install("/bin/nap", [](virtual_process&) -> task<int> {
      co_await sleep(1_h);
      co_return 0;
    });
    co_await with_process(command("nap"), [](process& child) -> task<> {
      const time_point asked = loop::current()->now();
      child.signal(SIGKILL);
      co_await child.wait();
      EXPECT_GE(loop::current()->now() - asked, 1_ms);
    });
  }());
}

TEST(VirtualProcesses, that_send_themselves_a_signal_that_ends_them_take_no_step_more) {
  virtual_world slow({.latency_min = 1_ms, .latency_max = 1_ms});
  int ticks = 0;
  testing::run_virtual_in(slow, [](int* counted) -> task<> {
    machine().install("/bin/abort", [&](virtual_process& self) -> task<int> {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          for (;; ++*counted) co_await sleep(duration::microseconds(10));
        });
        co_await sleep(duration::microseconds(15));
        co_await self.raise(SIGABRT);
      });
      co_return 0;
    });
    EXPECT_EQ((co_await run_process(command("abort"))).status.signal, SIGABRT);
  }(&ticks));
  EXPECT_EQ(ticks, 1) << "another task went on";
}

TEST(VirtualProcesses, that_are_killed_end_though_every_lot_lets_them_live) {
  virtual_world late({.queued_chance = 1});
  testing::run_virtual_in(late, []() -> task<> {
    machine().install("/bin/nap", [](virtual_process&) -> task<int> {
      co_await sleep(1_h);
      co_return 0;
    });
    co_await with_process(command("nap"), [](process& child) -> task<> {
      child.signal(SIGKILL);
      EXPECT_EQ((co_await child.wait()).signal, SIGKILL);
    });
  }());
}

struct parent_program final : node_program {
  WEIR_CORO_WRAPPER task<> main(virtual_node&) override { return body(); }
  task<> body() {
    co_await with_process(talking("clock"), [&](process& child) -> task<> {
      while (const bytes piece = co_await child.output().receive()) ticks += piece.size();
    });
  }
  std::size_t ticks = 0;
};

struct careless_program final : node_program {
  task<> main(virtual_node&) override {
    start_and_forget("holder");
    co_await sleep(1_h);
  }
};

TEST(VirtualProcesses, give_their_memory_back_when_their_machine_is_killed_or_loses_its_power) {
  choices decisions(1);
  virtual_nodes nodes(decisions);
  virtual_node& node = nodes.add({.name = "one"});
  node.world().processes().install("/bin/holder", [](virtual_process&) -> task<int> {
    const std::string large(100'000, 'x');
    co_await sleep(1_h);
    co_return large[0] == 'x' ? 0 : 1;
  });
  const memory_watch taken(node.world());
  careless_program parent;
  for (const bool is_power_cut : {false, true}) {
    node.start(parent);
    nodes.run_for(10_s);
    EXPECT_GT(taken.bytes(), 100'000U);
    is_power_cut ? node.cut_power() : node.kill();
    EXPECT_EQ(taken.bytes(), 0U) << "what they hold must not wait for the next program";
  }
}

TEST(VirtualProcesses, leave_no_memory_of_a_killed_machine_that_read_from_them) {
  choices decisions(1);
  virtual_nodes nodes(decisions);
  virtual_node& node = nodes.add({.name = "one"});
  node.world().processes().install("/bin/clock", [](virtual_process& self) -> task<int> {
    for (;;) {
      co_await sleep(1_s);
      co_await self.output().send(".");
    }
  });
  const memory_watch taken(node.world());
  parent_program parent;
  for (int i = 0; i < 3; ++i) {
    node.start(parent);
    nodes.run_for(10_s);
    EXPECT_GT(taken.bytes(), 0U);
    node.kill();
    EXPECT_EQ(taken.bytes(), 0U) << i;
  }
}

TEST(VirtualProcesses, run_on_a_machine_among_others_and_end_with_its_program) {
  choices decisions(1);
  virtual_nodes nodes(decisions);
  virtual_node& node = nodes.add({.name = "one"});
  node.world().processes().install("/bin/nap", [](virtual_process&) -> task<int> {
    co_await sleep(1_h);
    co_return 0;
  });
  node.world().processes().install("/bin/clock", [](virtual_process& self) -> task<int> {
    start_and_forget("nap");
    for (;;) {
      co_await sleep(1_s);
      co_await self.output().send(".");
    }
  });
  parent_program parent;
  node.start(parent);
  nodes.run_for(duration::milliseconds(10'500));
  EXPECT_EQ(parent.ticks, 10U);
  node.kill();
  nodes.run_for(10_s);
  EXPECT_EQ(parent.ticks, 10U);
  EXPECT_EQ(node.world().processes().left(), "");
  EXPECT_EQ(node.world().open_handles(), 0U);
  parent.ticks = 0;
  node.start(parent);
  nodes.run_for(duration::milliseconds(3'500));
  EXPECT_EQ(parent.ticks, 3U);
  node.cut_power();
  EXPECT_EQ(node.world().processes().left(), "");
}

TEST(VirtualProcesses, take_steps_that_the_fingerprint_of_their_machines_has) {
  const auto fingerprint_with = [](int steps) {
    choices decisions(1);
    virtual_nodes nodes(decisions);
    virtual_node& node = nodes.add({.name = "one"});
    node.world().processes().install("/bin/clock", [&](virtual_process&) -> task<int> {
      for (int i = 0; i < steps; ++i) co_await yield();
      co_return 0;
    });
    parent_program parent;
    node.start(parent);
    nodes.run_for(10_s);
    return nodes.fingerprint();
  };
  EXPECT_EQ(fingerprint_with(1), fingerprint_with(1));
  EXPECT_NE(fingerprint_with(1), fingerprint_with(2));
}

}  // namespace
}  // namespace weir::virtual_processes_test

// One body, two arms, for child processes: under many schedules in the virtual world, whose
// programs keep the promises of those that a kernel has, and once on each driver of the kernel.
// Needs the kernel: it is one of the two arms.
#include <weir/io/contract_test.hpp>
#include <weir/io/file.hpp>
#include <weir/io/virtual_programs_test.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/two_arms.hpp>

#include <signal.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

namespace weir::process_contract_test {
namespace {

using namespace weir::literals;
using contract::code_of;
using contract::install_programs_here;

command shell(std::string script) { return command("sh", {"-c", std::move(script)}); }

task<> wait_until_ready(process& child) {
  char last = 0;
  while (last != '\n' && co_await child.output().receive_into(std::span(&last, 1)) == 1) {
  }
  EXPECT_EQ(last, '\n') << "it has ended before it was ready";
}

// A file of the body's own. The other arms may run at the same time.
std::string path_of(const char* name, bool is_virtual) {
  if (is_virtual) return std::string("/") + name;
  return std::filesystem::temp_directory_path() / ("weir." + std::to_string(::getpid()) + name);
}
task<std::string> content_of(file* of) {
  std::string all(of->size(), '\0');
  for (std::size_t got = 0; got < all.size();)
    got += co_await of->read_at(got, std::span(all).subspan(got));
  co_return all;
}

WEIR_TEST_ON_BOTH("a child is fed, and its output, errors and status are collected apart") {
  install_programs_here();
  const auto done = co_await run_process(shell("cat; echo wrong >&2; exit 3"), {.input = "fed\n"});
  EXPECT_EQ(done.output, "fed\n");
  EXPECT_EQ(done.errors, "wrong\n");
  EXPECT_EQ(done.status, (exit_status{.code = 3, .signal = 0}));
}

WEIR_TEST_ON_BOTH("a pipe that was given to a start that fails is received from as before") {
  install_programs_here();
  auto [reader, writer] = make_pipe();
  const command none = command("/no/such/program").input(child_stream::of(reader));
  EXPECT_EQ(co_await code_of(run_process(none)), errc::not_found);
  std::string got;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { got = (co_await reader.receive()).text(); });
    co_await yield();  // it waits, and the loop goes on
    co_await writer.send("x");
  });
  EXPECT_EQ(got, "x");
}

WEIR_TEST_ON_BOTH("a child is not started over a pipe or a file that is closed") {
  install_programs_here();
  auto [reader, writer] = make_pipe();
  reader.close();
  const pipe_writer moved = std::move(writer);
  const file none;
  const auto refusal = [](command what) -> task<std::string> {
    const auto outcome = co_await as_result(run_process(std::move(what)));
    co_return outcome || outcome.error().code() != errc::closed
        ? std::string("not closed")
        : std::string(outcome.error().message());
  };
  EXPECT_EQ(co_await refusal(command("cat").input(child_stream::of(reader))),
            "start 'cat': the file or pipe for its input is closed");
  // NOLINTNEXTLINE(bugprone-use-after-move): that is what is refused
  EXPECT_EQ(co_await refusal(command("cat").output(child_stream::of(writer))),
            "start 'cat': the file or pipe for its output is closed");
  EXPECT_EQ(co_await refusal(command("cat").errors(child_stream::of(none))),
            "start 'cat': the file or pipe for its errors is closed");
}

WEIR_TEST_ON_BOTH("a pipe to a child holds the sender back until it reads, and loses nothing") {
  install_programs_here();
  co_await with_process(
      command("cat").input(child_stream::piped()).output(child_stream::piped()),
      [](process& child) -> task<> {
        const std::string text = contract::pattern(350'000);  // pipes and child hold less
        std::size_t sent = 0;
        co_await with_scope([&](scope& s) -> task<> {
          s.spawn([&]() -> task<> {
            co_await child.input().send(text, &sent);
            child.input().close();
          });
          std::string got;
          while (const bytes piece = co_await child.output().receive()) {
            got += piece.text();
            EXPECT_LE(sent, got.size() + 300'000) << "what nobody has read was taken";
          }
          EXPECT_TRUE(got == text);
        });
        EXPECT_EQ((co_await child.wait()).code, 0) << "the end of its input ends it";
      });
}

WEIR_TEST_ON_BOTH("a child that nobody reads dies of its broken pipe") {
  install_programs_here();
  co_await with_process(command("yes").output(child_stream::piped()), [](process& child) -> task<> {
    co_await wait_until_ready(child);
    child.output().close();
    EXPECT_EQ((co_await child.wait()).signal, SIGPIPE);
  });
}

WEIR_TEST_ON_BOTH("those who write to one file, one after the other, write on where it ends") {
  const std::string path = path_of("log", install_programs_here());
  file log = co_await open_file(path, {.write = true, .create = true});
  for (int i = 0; i < 2; ++i) {
    const auto done = co_await run_process(
        shell("echo before; /bin/pwd; echo after").in_folder("/").output(child_stream::of(log)));
    EXPECT_TRUE(done.status.is_success());
  }
  EXPECT_EQ(co_await content_of(&log), "before\n/\nafter\nbefore\n/\nafter\n");
  co_await remove_path(path);
}

WEIR_TEST_ON_BOTH("what one child has read of a file, the next one does not read again") {
  const std::string path = path_of("lines", install_programs_here());
  file lines = co_await open_file(path, {.write = true, .create = true});
  co_await lines.write_at(0, "one\ntwo\n");
  const auto cat = command("cat").input(child_stream::of(lines));
  EXPECT_EQ((co_await run_process(cat)).output, "one\ntwo\n");
  EXPECT_EQ((co_await run_process(cat)).output, "");
  co_await lines.write_at(8, "three\n");
  EXPECT_EQ((co_await run_process(cat)).output, "three\n");
  co_await remove_path(path);
}

WEIR_TEST_ON_BOTH("a child that ignores SIGTERM is killed at the end of its body") {
  install_programs_here();
  co_await with_process(shell("trap '' TERM; echo ready; while :; do read line || :; done")
                            .input(child_stream::piped())
                            .output(child_stream::piped())
                            .grace(5_ms),
                        [](process& child) -> task<> {
                          co_await wait_until_ready(child);
                          EXPECT_EQ((co_await child.end()).signal, SIGKILL);
                          EXPECT_FALSE(child.signal(SIGKILL));
                        });
}

WEIR_TEST_ON_BOTH("a cancelled end has told its child to end, which can be waited for") {
  install_programs_here();
  co_await with_process(shell("trap 'exit 42' TERM; echo ready; while :; do read line || :; done")
                            .input(child_stream::piped())
                            .output(child_stream::piped())
                            .grace(1_h),
                        [](process& child) -> task<> {
                          co_await wait_until_ready(child);
                          co_await with_scope([&](scope& s) -> task<> {
                            bool is_told = false;
                            s.spawn([&]() -> task<> {
                              is_told = true;
                              co_await child.end();
                            });
                            while (!is_told) co_await yield();
                            s.cancel("test");
                          });
                          EXPECT_EQ((co_await child.wait()).code, 42);
                          EXPECT_EQ((co_await child.end()).code, 42);
                        });
}

WEIR_TEST_ON_BOTH("a stop signal to a child that is stopped does not outlast its SIGCONT") {
  install_programs_here();
  co_await with_process(command("cat").input(child_stream::piped()).output(child_stream::piped()),
                        [](process& child) -> task<> {
                          co_await child.input().send("\n");
                          co_await wait_until_ready(child);
                          child.signal(SIGSTOP);
                          child.signal(SIGTSTP);
                          child.signal(SIGCONT);
                          child.input().close();
                          EXPECT_EQ((co_await child.wait()).code, 0);
                        });
}

WEIR_TEST_ON_BOTH("a child that has ended can be signalled until it was waited for") {
  install_programs_here();
  for (const bool has_own_group : {false, true}) {
    command what("true");
    what.output(child_stream::piped());
    if (has_own_group) what.own_group();
    co_await with_process(what, [](process& child) -> task<> {
      EXPECT_FALSE(co_await child.output().receive()) << "the end";
      EXPECT_TRUE(child.signal(SIGCONT));
      EXPECT_EQ((co_await child.wait()).code, 0);
      EXPECT_FALSE(child.signal(SIGCONT));
    });
  }
}

WEIR_TEST_ON_BOTH("a child goes with the run_process that is cancelled") {
  install_programs_here();
  EXPECT_EQ(co_await code_of(with_timeout(2_ms, run_process(command("sleep", {"1000"})))),
            errc::timed_out);
}

WEIR_TEST_ON_BOTH("a child that can not be started is an error, and nothing is left of it") {
  install_programs_here();
  EXPECT_EQ(co_await code_of(run_process(command("/no/such/program"), {.input = "text"})),
            errc::not_found);
  EXPECT_EQ(co_await code_of(run_process(command("/"), {.input = "text"})),
            errc::permission_denied);
}

WEIR_TEST_ON_BOTH("a child has the environment and the folder of its command") {
  install_programs_here();
  const auto bare = command("/usr/bin/env").clear_environment().set("ONLY", "this");
  EXPECT_EQ((co_await run_process(bare)).output, "ONLY=this\n");
  EXPECT_EQ((co_await run_process(command("pwd").in_folder("/"))).output, "/\n");
}

/// Where a child's end() is cancelled it has been told to end, another end() goes on with it, and
/// nothing of it is left in any case.
template <bool has_own_group, bool ignores, bool ends_again>
void expect_that_a_cancelled_end_has_told_it() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    install_programs_here();
    const std::size_t before = testing::world().open_handles();
    const std::string script = "echo ready; while :; do read line || :; done";
    command what = shell((ignores ? "trap '' TERM; " : "") + script)
                       .input(child_stream::piped())
                       .output(child_stream::piped())
                       .grace(ignores ? 5_ms : 1_h);
    if (has_own_group) what.own_group();
    co_await with_process(std::move(what), [&](process& child) -> task<> {
      co_await wait_until_ready(child);
      bool is_told = false;
      int ended_by = 0;
      co_await v.run([](process* of, bool* told, int* by) -> task<> {
        co_await yield();
        *told = true;
        *by = (co_await of->end()).signal;
      }(&child, &is_told, &ended_by));
      const int expected = ignores ? SIGKILL : SIGTERM;
      if (ended_by != 0) EXPECT_EQ(ended_by, expected);
      EXPECT_TRUE(ended_by != 0 || v.was_cancelled());
      if (is_told && !ignores) EXPECT_EQ((co_await child.wait()).signal, SIGTERM);
      if (ends_again) EXPECT_EQ((co_await child.end()).signal, expected);
    });
    EXPECT_EQ(testing::world().open_handles(), before);
    EXPECT_EQ(testing::world().processes().kept(), 0u);
  });
}

TEST(CancelledProcess, an_end_has_told_its_child_to_end_and_another_goes_on_with_that) {
  expect_that_a_cancelled_end_has_told_it<false, false, true>();
  expect_that_a_cancelled_end_has_told_it<true, false, true>();
  expect_that_a_cancelled_end_has_told_it<false, true, true>();
  expect_that_a_cancelled_end_has_told_it<true, true, true>();
}

TEST(CancelledProcess, a_child_whose_end_was_cancelled_is_gone_with_its_body) {
  expect_that_a_cancelled_end_has_told_it<false, false, false>();
  expect_that_a_cancelled_end_has_told_it<true, true, false>();
}

TEST(CancelledProcess, a_wait_for_a_child_leaves_it_alone) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    install_programs_here();
    bool is_told = false;
    co_await with_process(
        command("cat").input(child_stream::piped()), [&](process& child) -> task<> {
          co_await with_scope([&](scope& s) -> task<> {
            s.spawn([&]() -> task<> {
              co_await sleep(1_ms);
              child.input().close();
            });
            co_await v.run([](process* of, bool* done) -> task<> {
              *done = (co_await of->wait()).is_success();
            }(&child, &is_told));
          });
          EXPECT_TRUE(is_told || v.was_cancelled());
          EXPECT_TRUE((co_await child.wait()).is_success()) << "its end is told once more";
        });
    EXPECT_EQ(testing::world().processes().kept(), 0u);
  });
}

TEST(CancelledProcess, a_run_process_has_ended_its_child_and_left_nothing_of_it) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    install_programs_here();
    const std::size_t before = testing::world().open_handles();
    std::string got;
    co_await v.run([](std::string* to) -> task<> {
      const finished_process done = co_await run_process(command("cat"), {.input = "text"});
      *to = done.output;
    }(&got));
    EXPECT_TRUE(got == "text" || (got.empty() && v.was_cancelled()));
    EXPECT_EQ(testing::world().open_handles(), before);
    EXPECT_EQ(testing::world().processes().kept(), 0u);
  });
}

}  // namespace
}  // namespace weir::process_contract_test

// Terminals, watches and child processes belong to the loop that made them, as sockets do: a wait
// for them on another one is stopped before it begins.
// Needs the kernel: terminals and watches are its own.
#include <weir/core/with_scope.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/dir_watch.hpp>
#include <weir/io/other_loop_test.hpp>
#include <weir/io/process.hpp>
#include <weir/io/terminal_stream.hpp>

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <thread>
#include <tuple>
#include <utility>

namespace weir::wrong_kernel_loop_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class WrongKernelLoopDeathTest : public contract::fixture {
 protected:
  WrongKernelLoopDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  /// On the loop of another thread, while that of the test stands still.
  template <class Use>
  void use_elsewhere(Use use) const {
    std::thread([&] {
      const auto io = GetParam().make({});
      run_on(*io, [](Use* what) -> task<> { co_await with_timeout(5_s, (*what)()); }(&use));
    }).join();
  }
};
INSTANTIATE_TEST_SUITE_P(drivers, WrongKernelLoopDeathTest, ::testing::ValuesIn(kernel_drivers()),
                         name_of);

/// The program's side of a pseudo-terminal, and the user's.
struct pty_pair {
  int user = -1;
  int program = -1;

  pty_pair() { EXPECT_EQ(::openpty(&user, &program, nullptr, nullptr, nullptr), 0); }
  pty_pair(const pty_pair&) = delete;
  pty_pair& operator=(const pty_pair&) = delete;
  ~pty_pair() {
    ::close(user);
    ::close(program);
  }
};

TEST_P(WrongKernelLoopDeathTest, using_a_terminal_there_stops_the_process) {
  using use = task<> (*)(terminal* of);
  constexpr use all[] = {
      [](terminal* of) -> task<> { std::ignore = co_await of->next_key(); },
      [](terminal* of) -> task<> { std::ignore = co_await of->receive(); },
      [](terminal* of) -> task<> { std::ignore = co_await of->next_size(of->size()); },
      [](terminal* of) -> task<> { co_await of->send("x"); },
  };
  for (const use one : all) {
    const auto program = [&]() -> task<> {
      const pty_pair pty;
      terminal screen = open_terminal(pty.program);
      use_elsewhere([&]() -> task<> { co_await one(&screen); });
      co_return;
    };
    EXPECT_DEATH(run(program), other_loop_said);
  }
}

TEST_P(WrongKernelLoopDeathTest, waiting_for_a_watch_there_stops_the_process) {
  const auto hear = [this](dir_watch watch) {
    use_elsewhere([&]() -> task<> { std::ignore = co_await watch.next(); });
  };
  EXPECT_DEATH(run([&]() -> task<> {
                 hear(watch_dir(path("")));
                 co_return;
               }),
               other_loop_said);
  EXPECT_DEATH(run([&]() -> task<> { hear(co_await watch_tree(path(""))); }), other_loop_said);
}

TEST_P(WrongKernelLoopDeathTest, waiting_for_a_child_process_there_stops_the_process) {
  using use = task<exit_status> (process::*)();
  for (const use one : {&process::wait, &process::end}) {
    const auto program = [&]() -> task<> {
      command reads_until_we_end("cat");
      reads_until_we_end.input(child_stream::piped());
      co_await with_process(std::move(reads_until_we_end), [&](process& child) -> task<> {
        use_elsewhere([&]() -> task<> { std::ignore = co_await (child.*one)(); });
        co_return;
      });
    };
    EXPECT_DEATH(run(program), other_loop_said);
  }
}

}  // namespace
}  // namespace weir::wrong_kernel_loop_test

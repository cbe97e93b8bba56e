// Sockets and files belong to the loop that made them: on another one a wait on them is stopped
// before it begins.
#include <weir/core/core_loops_test.hpp>
#include <weir/io/file.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <tuple>

namespace weir {
namespace {

class WrongLoopDeathTest : public ::testing::Test {
 protected:
  WrongLoopDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

constexpr const char* said =
    "a socket or file is used on the loop that made it; between loops use weir::cross";

// Opens something on the test's loop and uses it in a task of another.
template <class Open, class Use>
task<> use_on_another_loop(Open open, Use use) {
  core_loops others(1);
  auto opened = co_await open();
  others[0].root().spawn([&]() -> task<> { co_await use(&opened); });
  co_await others.run([]() -> task<> { co_await yield(); }());
}

TEST_F(WrongLoopDeathTest, accepting_there_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual(use_on_another_loop(
                   []() -> task<listener> { co_return co_await listen({}); },
                   [](listener* door) -> task<> { std::ignore = co_await door->accept(); })),
               said);
}

TEST_F(WrongLoopDeathTest, sending_there_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 listener door = co_await listen({});
                 co_await use_on_another_loop(
                     [&]() -> task<socket> { co_return co_await connect(door.local()); },
                     [](socket* peer) -> task<> { co_await peer->send("x"); });
               }()),
               said);
}

TEST_F(WrongLoopDeathTest, reading_a_file_there_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual(use_on_another_loop(
                   [] { return open_file("data", {.write = true, .create = true}); },
                   [](file* data) -> task<> {
                     char memory[4];
                     std::ignore = co_await data->read_at(0, memory);
                   })),
               said);
}

}  // namespace
}  // namespace weir

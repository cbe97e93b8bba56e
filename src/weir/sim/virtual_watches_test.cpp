// Watched folders of a virtual machine: its bounds, and what becomes of a watch with its program.
// What is told of changes is in io/watch_host_contract_test.cpp, the same as of a kernel's.
#include <weir/sim/virtual_watches.hpp>

#include <weir/core.hpp>
#include <weir/io/dir_watch.hpp>
#include <weir/io/file.hpp>
#include <weir/io/process.hpp>
#include <weir/io/watch_kit_test.hpp>
#include <weir/sim/node_kit_test.hpp>
#include <weir/sim/virtual_processes.hpp>
#include <weir/testing/settle.hpp>
#include <weir/testing/test.hpp>

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>

#include <string>
#include <vector>

namespace weir::virtual_watches_test {
namespace {

using namespace weir::literals;
using contract::take;
using contract::text_of;
using ::testing::ElementsAre;
using testing::expect_raises;
using testing::world;

// [reload]
weir::task<> follow_settings(std::string folder, int* reloads) {
  weir::dir_watch watch = weir::watch_dir(folder);
  for (;;) {
    const weir::dir_event one = co_await watch.next();
    const bool is_new = one.what == weir::dir_change::renamed;
    if (is_new && one.name == "settings") ++*reloads;  // a program would read them
  }
}

WEIR_TEST("settings that are replaced are read anew, a draft of them is not") {
  co_await weir::make_dir("/etc");
  int reloads = 0;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(follow_settings, "/etc", &reloads);
    co_await weir::testing::settle();
    weir::testing::world().disk().put_file("/etc/draft", "size = 2");  // by somebody else
    co_await weir::testing::settle();
    EXPECT_EQ(reloads, 0);
    co_await weir::rename_path("/etc/draft", "/etc/settings");
    co_await weir::testing::settle();
    EXPECT_EQ(reloads, 1);
    s.cancel();
  });
}
// [/reload]

TEST(VirtualWatches, of_one_too_many_are_refused_until_others_go) {
  testing::run_virtual([]() -> task<> {
    driver& io = loop::current()->io();
    const auto watch = [&](io_handle by, std::size_t number) {
      return io.watches()->watch(by, ("/" + std::to_string(number)).c_str(), IN_CREATE);
    };
    const io_handle first = io.watches()->make_watcher();
    const io_handle second = io.watches()->make_watcher();
    for (std::size_t i = 0; i < virtual_watches::watches_max; ++i) {
      co_await make_dir("/" + std::to_string(i));
      EXPECT_GT(watch(i % 2 == 0 ? first : second, i), 0);
    }
    EXPECT_EQ(watch(first, 0), 1) << "it is watched already";
    EXPECT_EQ(watch(first, 1), -ENOSPC);
    co_await expect_raises<errc::full>([]() -> task<> {
      static_cast<void>(watch_dir("/1"));
      co_return;
    }());
    io.close_now(second);
    EXPECT_GT(watch(first, 1), 0);
    io.watches()->unwatch(first, 1);
    co_await remove_dir("/1");
    EXPECT_EQ(world().watches().open_watches(), virtual_watches::watches_max / 2 - 1);
    io.close_now(first);
    EXPECT_EQ(world().watches().open_watches(), 0u);
  }());
}

TEST(VirtualWatches, take_a_handle_of_the_program_as_files_do) {
  virtual_world world({.handles_max = 1});
  virtual_driver io(world);
  const io_handle made = io.watches()->make_watcher();
  EXPECT_GE(made, 0);
  EXPECT_THAT(world.open_names(), ElementsAre("a watch of folders"));
  EXPECT_EQ(io.watches()->make_watcher(), -EMFILE);
  io.close_now(made);
  EXPECT_EQ(world.open_handles(), 0u);
}

WEIR_TEST("who watches hears what is put on the disk from outside, but not of damage to it") {
  dir_watch watch = watch_dir("/");
  world().disk().put_file("/conf/a", "x");
  world().disk().set_content("/conf/a", "y");
  EXPECT_THAT(co_await take(watch, 1), ElementsAre("created conf/"));
  dir_watch lower = watch_dir("/conf");
  world().disk().set_content("/conf/a", "z");
  world().disk().put_file("/conf/a", "x");
  world().disk().put_file("/conf/b", "x");
  EXPECT_THAT(co_await take(lower, 5),
              ElementsAre("changed a", "written a", "created b", "changed b", "written b"));
}

WEIR_TEST("a write of no bytes is no change") {
  dir_watch watch = watch_dir("/");
  constexpr io_handle handle = 1'000;
  EXPECT_EQ(world().disk().open("/a", O_WRONLY | O_CREAT, handle), 0);
  EXPECT_EQ(world().disk().write_at(handle, "", 0), 0);
  EXPECT_EQ(world().disk().close(handle), 0);
  EXPECT_THAT(co_await take(watch, 2), ElementsAre("created a", "written a"));
}

WEIR_TEST("who watches hears of a socket's name") {
  dir_watch watch = watch_dir("/");
  for (int i = 0; i < 2; ++i) const listener door = co_await listen({.path = "/door"});
  EXPECT_THAT(co_await take(watch, 3), ElementsAre("created door", "removed door", "created door"))
      << "one that nobody listens at is replaced";
}

class NodeWatches : public contract::two_machines {
 protected:
  contract::program& watcher() {
    return add([this]() -> task<> {
      dir_watch watch = co_await watch_tree("/");
      for (;;) heard.push_back(text_of(co_await watch.next()));
    });
  }
  std::vector<std::string> heard;
};

TEST_F(NodeWatches, of_a_killed_program_hear_nothing_and_those_of_the_next_one_hear_what_is_new) {
  contract::program& program = watcher();
  near.start(program);
  all.run_for(1_s);
  near.world().disk().put_file("/a", "x");
  far.world().disk().put_file("/elsewhere", "x");
  all.run_for(1_s);
  EXPECT_THAT(heard, ElementsAre("created a", "changed a", "written a"));
  near.kill();
  EXPECT_EQ(near.world().watches().open_watches(), 0u);
  near.world().disk().put_file("/b", "x");
  near.start(program);
  all.run_for(1_s);
  EXPECT_EQ(heard.size(), 3u);
  near.cut_power();
  near.start(program);
  all.run_for(1_s);
  EXPECT_EQ(near.world().disk().make_dir("/c"), 0);
  all.run_for(1_s);
  EXPECT_EQ(heard.back(), "created c/");
  EXPECT_EQ(heard.size(), 4u);
}

WEIR_TEST("a watch of a child process ends with it") {
  co_await make_dir("/d");
  world().processes().install("/bin/watcher", [](virtual_process&) -> task<int> {
    dir_watch watch = watch_dir("/d");
    co_await watch.next();
    co_return 0;
  });
  co_await with_process(command("/bin/watcher"), [](process&) -> task<> {
    co_await testing::settle();
    EXPECT_EQ(world().watches().open_watches(), 1u);
  });
  EXPECT_EQ(world().watches().open_watches(), 0u);
}

}  // namespace
}  // namespace weir::virtual_watches_test

// The waits of watched folders, cancelled at every point: no change is lost, none is told twice.
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/watch_kit_test.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::cancelled_watch_test {
namespace {

using namespace weir::literals;
using contract::make;
using contract::text_of;
using contract::touch;
using contract::write;
using testing::cancel_at_every_point;
using ::testing::ElementsAre;
using testing::victim;

/// Takes so many events that there are `count` of them.
task<> listen(dir_watch* to, std::vector<std::string>* heard, std::size_t count) {
  while (heard->size() < count) {
    std::string one = text_of(co_await to->next());
    heard->push_back(one.substr(0, one.find(" (found)")));  // by lot: it is told once, either way
  }
}

/// What is heard of changes while they are made, with a victim among those who listen; then nothing
/// comes.
task<std::vector<std::string>> heard_of(victim& v, dir_watch& watch, task<> (*changes)(),
                                        std::size_t count, errc then = errc::timed_out) {
  std::vector<std::string> heard;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(changes);
    co_await v.run(listen(&watch, &heard, count));
    co_await listen(&watch, &heard, count);
  });
  EXPECT_EQ(co_await contract::code_of(with_timeout(1_s, listen(&watch, &heard, count + 1))), then);
  co_return heard;
}

TEST(CancelledWatch, a_wait_for_a_change_of_a_folder_loses_none) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await make_dir("/d");
    dir_watch watch = watch_dir("/d");
    const auto changes = []() -> task<> {
      co_await write("/d/a", "x");
      co_await sleep(1_ms);
      co_await make_dir("/d/sub");
      co_await remove_path("/d/a");
      co_await sleep(1_ms);
      co_await remove_dir("/d/sub");
      co_await remove_dir("/d");
    };
    EXPECT_THAT(co_await heard_of(v, watch, changes, 7, errc::closed),
                ElementsAre("created a", "changed a", "written a", "created sub/", "removed a",
                            "removed sub/", "gone"));
  });
}

TEST(CancelledWatch, a_wait_between_the_halves_of_a_rename_loses_neither) {
  cancel_at_every_point([](victim& v) -> task<> {
    for (const char* file : {"/d/a", "/d/b", "/d/c"}) {
      co_await make("/d");
      co_await touch(file);
    }
    dir_watch watch = watch_dir("/d");
    const auto changes = []() -> task<> {
      co_await rename_path("/d/a", "/d/x");
      co_await sleep(1_ms);
      co_await rename_path("/d/b", "/outside");  // its second half does not come
      co_await sleep(100_ms);
      co_await rename_path("/d/c", "/outside");
      co_await rename_path("/outside", "/d/y");  // the second half of another
    };
    EXPECT_THAT(co_await heard_of(v, watch, changes, 4),
                ElementsAre("renamed a -> x", "removed b", "removed c", "created y"));
  });
}

TEST(CancelledWatch, a_wait_for_a_change_of_a_tree_loses_none_and_no_folder) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await make("/d/a/deep");
    dir_watch watch = co_await watch_tree("/d");
    const auto changes = []() -> task<> {
      co_await make("/d/new/deep");
      co_await sleep(1_ms);
      co_await rename_path("/d/a", "/d/b");
      co_await sleep(1_ms);
      co_await touch("/d/new/deep/one");
      co_await touch("/d/b/deep/two");
      co_await rename_path("/d/b", "/outside");
      co_await sleep(1_ms);
      co_await touch("/outside/deep/silent");
    };
    EXPECT_THAT(co_await heard_of(v, watch, changes, 6),
                ElementsAre("created new/", "created new/deep/", "renamed a -> b/",
                            "created new/deep/one", "created b/deep/two", "removed b/"));
  });
}

TEST(CancelledWatch, a_watch_of_a_tree_that_is_not_had_leaves_nothing) {
  cancel_at_every_point([](victim& v) -> task<> {
    constexpr int folders = 100;  // more than are looked at in one call
    for (int i = 0; i < folders; ++i) co_await make("/d/" + std::to_string(i));
    const std::size_t before = testing::world().open_handles();
    bool is_had = false;
    co_await v.run([](bool* had) -> task<> {
      const dir_watch watch = co_await watch_tree("/d");
      *had = true;
    }(&is_had));
    EXPECT_TRUE(is_had || v.was_cancelled());
    EXPECT_EQ(testing::world().open_handles(), before);
    EXPECT_EQ(testing::world().watches().open_watches(), 0u);
    dir_watch watch = co_await watch_tree("/d");
    co_await touch("/d/99/file");
    EXPECT_EQ(text_of(co_await watch.next()), "created 99/file");
  });
}

}  // namespace
}  // namespace weir::cancelled_watch_test

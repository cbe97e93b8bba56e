// Watching a folder, on every driver.
// Needs the kernel: every driver has to keep the contract; the virtual one does too.
#include <weir/io/dir_watch.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/io/file.hpp>
#include <weir/io/watch_kit_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::dir_watch_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class folder_watch : public contract::watch_fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, folder_watch, ::testing::ValuesIn(all_drivers()), name_of);

TEST_P(folder_watch, tells_what_is_created_changed_written_and_removed_in_order) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    co_await write(in("a"), "text");
    co_await make_dir(in("sub"));
    co_await remove_path(in("a"));
    co_await remove_dir(in("sub"));
    EXPECT_THAT(co_await take(watch, 6), ElementsAre("created a", "changed a", "written a",
                                                     "created sub/", "removed a", "removed sub/"));
  });
}

TEST_P(folder_watch, tells_a_change_to_a_task_that_waits) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_THAT(co_await take(watch, 3), ElementsAre("created a", "changed a", "written a"));
      });
      co_await sleep(1_ms);
      co_await write(in("a"), "x");
    });
  });
}

TEST_P(folder_watch, makes_one_event_of_the_two_halves_of_a_rename_F2) {
  run([&]() -> task<> {
    co_await write(in("a"), "text");
    co_await write(in("b"), "text");
    co_await write(path("outside"), "text");
    dir_watch watch = watch_dir(path("d"));
    co_await rename_path(in("a"), in("c"));
    co_await rename_path(in("b"), in("c"));
    co_await rename_path(path("outside"), in("x"));
    co_await rename_path(in("c"), path("outside"));
    EXPECT_THAT(co_await take(watch, 4),
                ElementsAre("renamed a -> c", "renamed b -> c", "created x", "removed c"));
    co_await rename_path(in("x"), path("outside"));
    co_await write(in("y"), "");
    EXPECT_THAT(co_await take(watch, 3), ElementsAre("removed x", "created y", "written y"));
  });
}

TEST_P(folder_watch, takes_many_events_and_long_names_without_losing_one) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    for (int i = 0; i < 500; ++i) {
      std::string entry = std::to_string(i);
      entry.insert(0, static_cast<std::size_t>(i % 250), 'n');
      co_await make_dir(in(entry));
    }
    for (int i = 0; i < 500; ++i) {
      const dir_event one = co_await watch.next();
      EXPECT_EQ(one.what, dir_change::created);
      EXPECT_THAT(one.name, HasSubstr(std::to_string(i)));
    }
  });
}

TEST_P(folder_watch, says_that_events_were_lost_and_goes_on_F1) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    co_await overflow();
    std::size_t before = 0;
    while ((co_await watch.next()).what != dir_change::lost) ++before;
    EXPECT_EQ(before, most());
    co_await make_dir(in("later"));
    EXPECT_EQ(text_of(co_await watch.next()), "created later/");
  });
}

TEST_P(folder_watch, ends_when_the_folder_is_gone) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    co_await remove_dir(path("d"));
    EXPECT_EQ((co_await watch.next()).what, dir_change::gone);
    EXPECT_EQ(co_await code_of(watch.next()), errc::closed);
  });
}

TEST_P(folder_watch, a_cancel_that_races_with_changes_loses_none_F3) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    std::vector<std::string> heard;
    for (int round = 0; round < 60; ++round) {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { heard.push_back(text_of(co_await watch.next())); });
        co_await yield();
        co_await make_dir(in(std::to_string(round)));
        for (int turns = round % 4; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
    }
    while (heard.size() < 60) heard.push_back(text_of(co_await watch.next()));
    for (int round = 0; round < 60; ++round)
      EXPECT_EQ(heard[static_cast<std::size_t>(round)], "created " + std::to_string(round) + "/");
  });
}

TEST_P(folder_watch, a_cancel_between_the_halves_of_a_rename_keeps_the_first) {
  run([&]() -> task<> {
    co_await write(in("a"), "text");
    dir_watch watch = watch_dir(path("d"));
    co_await rename_path(in("a"), path("outside"));
    std::string heard;
    co_await with_scope({.timeout = 1_ms}, [&](scope&) -> task<> {
      heard = text_of(co_await watch.next());  // waits for what may be the second half
    });
    if (heard.empty()) heard = text_of(co_await watch.next());
    EXPECT_EQ(heard, "removed a");
  });
}

TEST_P(folder_watch, close_ends_a_wait_with_closed) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await code_of(watch.next()), errc::closed); });
      co_await sleep(1_ms);
      watch.close();
    });
  });
}

TEST_P(folder_watch, of_what_is_no_folder_is_refused_by_name) {
  run([&]() -> task<> {
    co_await write(path("file"), "text");
    const auto refusal = [](const std::string& of) -> error {
      try {
        dir_watch never = watch_dir(of);
      } catch (const exception& e) {
        return e.reason();
      }
      return errc::internal;
    };
    EXPECT_EQ(refusal(path("nowhere")).code(), errc::not_found);
    EXPECT_THAT(std::string(refusal(path("nowhere")).message()), HasSubstr(path("nowhere")));
    EXPECT_EQ(refusal(path("file")).code(), errc::invalid_argument);
    EXPECT_EQ(refusal(std::string("a\0b", 3)).code(), errc::invalid_argument);
    co_return;
  });
}

}  // namespace
}  // namespace weir::dir_watch_test

// Watching a tree of folders, on every driver.
// Needs the kernel: every driver has to keep the contract, the virtual one too; links and limits.
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/dir_watch.hpp>
#include <weir/io/internal/kernel_watches.hpp>
#include <weir/io/internal/watched_tree.hpp>
#include <weir/io/watch_kit_test.hpp>
#include <weir/testing/allocations.hpp>
#include <weir/testing/test.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace weir::watch_tree_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAre;

class tree_watch : public contract::watch_fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, tree_watch, ::testing::ValuesIn(all_drivers()), name_of);

/// Of what the virtual world has not: links, and limits of the process.
class kernel_tree_watch : public contract::watch_fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, kernel_tree_watch, ::testing::ValuesIn(kernel_drivers()),
                         name_of);

/// What is told until a mark that is made now; the mark itself is not among it.
task<std::vector<std::string>> take_all(dir_watch& from, const std::string& root) {
  const std::string mark = root + "/mark";
  co_await touch(mark);
  std::vector<std::string> all;
  for (;;) {
    std::string one = text_of(co_await from.next());
    if (one == "created mark") break;
    all.push_back(std::move(one));
  }
  co_await remove_path(mark);
  EXPECT_EQ(text_of(co_await from.next()), "removed mark");
  co_return all;
}

TEST_P(tree_watch, tells_changes_at_any_depth_by_their_paths) {
  run([&]() -> task<> {
    co_await make(path("d/a/b/c"));
    dir_watch watch = co_await watch_tree(path("d"));
    co_await touch(in("one"));
    co_await touch(in("a/two"));
    co_await touch(in("a/b/c/three"));
    co_await write(in("a/b/c/three"), "t");
    co_await remove_path(in("a/two"));
    EXPECT_THAT(co_await take(watch, 6),
                ElementsAre("created one", "created a/two", "created a/b/c/three",
                            "changed a/b/c/three", "written a/b/c/three", "removed a/two"));
  });
}

TEST_P(tree_watch, watches_folders_that_are_made_later_and_tells_what_they_had_by_then) {
  run([&]() -> task<> {
    dir_watch watch = co_await watch_tree(path("d"));
    co_await make(path("d/new/deep"));
    co_await touch(in("new/deep/file"));
    EXPECT_THAT(co_await take(watch, 3), ElementsAre("created new/", "created new/deep/ (found)",
                                                     "created new/deep/file (found)"));
    co_await touch(in("new/later"));
    co_await make(path("d/new/deep/er"));
    EXPECT_THAT(co_await take(watch, 2), ElementsAre("created new/later", "created new/deep/er/"));
    co_await touch(in("new/deep/er/last"));
    co_await remove_path(in("new/deep/file"));
    EXPECT_THAT(co_await take(watch, 2),
                ElementsAre("created new/deep/er/last", "removed new/deep/file"));
  });
}

TEST_P(tree_watch, tells_a_folder_to_a_task_that_waits_once_it_is_watched) {
  run([&]() -> task<> {
    dir_watch watch = co_await watch_tree(path("d"));
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_THAT(co_await take(watch, 1), ElementsAre("created new/"));
        co_await touch(in("new/file"));
        EXPECT_THAT(co_await take(watch, 1), ElementsAre("created new/file"));
      });
      co_await yield();
      co_await make(path("d/new"));
    });
  });
}

TEST_P(tree_watch, keeps_paths_right_when_folders_move) {
  run([&]() -> task<> {
    co_await make(path("d/a/deep"));
    co_await make(path("d/b"));
    dir_watch watch = co_await watch_tree(path("d"));
    co_await rename_path(in("a"), in("b/moved"));
    co_await touch(in("b/moved/deep/one"));
    EXPECT_THAT(co_await take(watch, 2),
                ElementsAre("renamed a -> b/moved/", "created b/moved/deep/one"));
    co_await rename_path(in("b/moved/deep"), in("up"));
    co_await rename_path(in("up"), in("down"));
    co_await touch(in("down/two"));
    EXPECT_THAT(co_await take(watch, 3), ElementsAre("renamed b/moved/deep -> up/",
                                                     "renamed up -> down/", "created down/two"));
    co_await rename_path(in("down/two"), in("b/three"));
    EXPECT_THAT(co_await take(watch, 1), ElementsAre("renamed down/two -> b/three"));
  });
}

TEST_P(tree_watch, is_right_about_a_place_that_another_folder_has_taken_before_it_looked) {
  run([&]() -> task<> {
    dir_watch watch = co_await watch_tree(path("d"));
    co_await make(path("d/a"));
    co_await rename_path(in("a"), in("b"));
    co_await make(path("d/a"));
    EXPECT_THAT(co_await take_all(watch, path("d")),
                ElementsAre("created a/", "renamed a -> b/", "created a/"));
    co_await touch(in("a/one"));
    co_await touch(in("b/two"));
    EXPECT_THAT(co_await take(watch, 2), ElementsAre("created a/one", "created b/two"));
  });
}

TEST_P(tree_watch, watches_a_new_folder_whose_parent_moves_before_it_is_looked_at) {
  run([&]() -> task<> {
    co_await make(path("d/a/deep"));
    dir_watch watch = co_await watch_tree(path("d"));
    co_await make(path("d/a/b"));
    co_await make(path("d/a/deep/er"));
    co_await rename_path(in("a"), in("c"));
    co_await rename_path(in("c"), in("e"));
    EXPECT_THAT(
        co_await take_all(watch, path("d")),
        ElementsAre("created a/b/", "created a/deep/er/", "renamed a -> c/", "renamed c -> e/"));
    co_await touch(in("e/b/x"));
    co_await touch(in("e/deep/er/y"));
    EXPECT_THAT(co_await take(watch, 2), ElementsAre("created e/b/x", "created e/deep/er/y"));
  });
}

TEST_P(tree_watch, takes_no_entry_of_another_folder_for_that_of_one_that_has_moved) {
  run([&]() -> task<> {
    co_await make(path("d/a"));
    dir_watch watch = co_await watch_tree(path("d"));
    co_await make(path("d/a/b"));
    co_await rename_path(in("a"), in("c"));
    co_await make(path("d/a/b"));
    EXPECT_THAT(
        co_await take_all(watch, path("d")),
        ElementsAre("created a/b/", "renamed a -> c/", "created a/b/ (found)", "created a/"));
    co_await touch(in("a/b/x"));
    co_await touch(in("c/b/y"));
    EXPECT_THAT(co_await take(watch, 2), ElementsAre("created a/b/x", "created c/b/y"));
  });
}

TEST_P(kernel_tree_watch, goes_through_no_link_that_stands_where_a_folder_was) {
  run([&]() -> task<> {
    co_await make(path("d/a"));
    co_await make(path("outside/b"));
    dir_watch watch = co_await watch_tree(path("d"));
    co_await make(path("d/a/b"));
    co_await rename_path(in("a"), in("c"));
    ::symlink(path("outside").c_str(), in("a").c_str());
    EXPECT_THAT(co_await take_all(watch, path("d")),
                ElementsAre("created a/b/", "renamed a -> c/", "created a"));
    co_await touch(path("outside/b/silent"));
    co_await touch(in("c/b/x"));
    EXPECT_THAT(co_await take(watch, 1), ElementsAre("created c/b/x"));
  });
}

TEST_P(tree_watch, is_right_about_two_folders_that_change_places) {
  run([&]() -> task<> {
    co_await make(path("d/a/of_a"));
    co_await make(path("d/b/of_b"));
    dir_watch watch = co_await watch_tree(path("d"));
    co_await rename_path(in("a"), in("c"));
    co_await rename_path(in("b"), in("a"));
    co_await rename_path(in("c"), in("b"));
    EXPECT_THAT(co_await take_all(watch, path("d")),
                ElementsAre("renamed a -> c/", "renamed b -> a/", "renamed c -> b/"));
    co_await touch(in("a/of_b/one"));
    co_await touch(in("b/of_a/two"));
    EXPECT_THAT(co_await take(watch, 2), ElementsAre("created a/of_b/one", "created b/of_a/two"));
  });
}

TEST_P(tree_watch, no_longer_hears_a_folder_that_has_left_and_hears_one_that_comes) {
  run([&]() -> task<> {
    co_await make(path("d/a/deep"));
    co_await make(path("outside/x"));
    co_await touch(path("outside/x/file"));
    dir_watch watch = co_await watch_tree(path("d"));
    co_await rename_path(in("a"), path("away"));
    co_await touch(path("away/silent"));
    co_await touch(path("away/deep/silent"));
    EXPECT_THAT(co_await take_all(watch, path("d")), ElementsAre("removed a/"));
    co_await touch(path("away/deep/silent too"));
    co_await rename_path(path("outside/x"), in("x"));
    EXPECT_THAT(co_await take_all(watch, path("d")),
                ElementsAre("created x/", "created x/file (found)"));
    co_await touch(in("x/later"));
    co_await rename_path(path("away"), in("a"));
    EXPECT_THAT(co_await take_all(watch, path("d")),
                UnorderedElementsAre("created x/later", "created a/", "created a/silent (found)",
                                     "created a/deep/ (found)", "created a/deep/silent (found)",
                                     "created a/deep/silent too (found)"));
  });
}

TEST_P(tree_watch, forgets_removed_folders_and_makes_room_for_others) {
  run([&]() -> task<> {
    dir_watch watch = co_await watch_tree(path("d"), {.folders_max = 3});
    for (int round = 0; round < 20; ++round) {
      co_await make(path("d/a/b"));
      EXPECT_THAT(co_await take_all(watch, path("d")),
                  ElementsAre("created a/", "created a/b/ (found)"));
      co_await remove_dir(in("a/b"));
      co_await remove_dir(in("a"));
      EXPECT_THAT(co_await take(watch, 2), ElementsAre("removed a/b/", "removed a/"));
    }
  });
}

TEST_P(kernel_tree_watch, does_not_follow_symbolic_links) {
  run([&]() -> task<> {
    co_await make(path("outside/deep"));
    co_await make(path("real/sub"));
    ::symlink(path("real").c_str(), path("root").c_str());
    ::symlink(path("outside").c_str(), path("real/before").c_str());
    dir_watch watch = co_await watch_tree(path("root"));
    ::symlink(path("outside").c_str(), path("real/later").c_str());
    co_await touch(path("outside/silent"));
    co_await touch(path("outside/deep/silent"));
    co_await touch(path("real/file"));
    co_await touch(path("real/sub/file"));
    EXPECT_THAT(co_await take(watch, 3),
                ElementsAre("created later", "created file", "created sub/file"))
        << "the root itself may be a link";
  });
}

TEST_P(tree_watch, refuses_a_tree_with_more_folders_than_the_limit) {
  run([&]() -> task<> {
    co_await make(path("d/a/b/c"));
    const auto refused = co_await as_result(watch_tree(path("d"), {.folders_max = 3}));
    WEIR_REQUIRE(!refused);
    EXPECT_EQ(refused.error().code(), errc::full);
    EXPECT_THAT(std::string(refused.error().message()), HasSubstr("more than 3 folders"));
    EXPECT_TRUE(co_await as_result(watch_tree(path("d"), {.folders_max = 4})));
    EXPECT_EQ(co_await code_of(watch_tree(path("nowhere"))), errc::not_found);
  });
}

TEST_P(tree_watch, tells_which_later_folder_is_beyond_the_limit_and_goes_on) {
  run([&]() -> task<> {
    dir_watch watch = co_await watch_tree(path("d"), {.folders_max = 2});
    co_await make(path("d/a"));
    co_await make(path("d/b"));
    EXPECT_THAT(co_await take(watch, 3), ElementsAre("created a/", "created b/", "unwatched b/"));
    co_await touch(in("b/silent"));
    co_await touch(in("a/one"));
    EXPECT_THAT(co_await take(watch, 1), ElementsAre("created a/one"));
  });
}

TEST_P(tree_watch, looks_at_no_more_than_twice_the_limit_of_a_huge_folder_that_is_moved_in) {
  run([&]() -> task<> {
    for (int i = 0; i < 20; ++i) co_await make(path("outside/" + std::to_string(i)));
    dir_watch watch = co_await watch_tree(path("d"), {.folders_max = 4});
    co_await rename_path(path("outside"), in("big"));
    std::vector<std::string> all = co_await take_all(watch, path("d"));
    std::erase_if(all, [](const std::string& one) { return !one.starts_with("unwatched"); });
    WEIR_REQUIRE(all.size() == 5u);
    EXPECT_EQ(all.front(), "unwatched big/") << "once for all that are not even looked at";
  });
}

TEST_P(kernel_tree_watch, raises_what_keeps_a_folder_from_being_listed_at_the_start) {
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "the sanitizer opens descriptors of its own, and reports it when it can't";
#endif
  run([&]() -> task<> {
    co_await blocking([] {});  // its thread needs descriptors, too
    struct rlimit before = {};
    ::getrlimit(RLIMIT_NOFILE, &before);
    // With one descriptor after the other: none of them is left out without an error.
    const int next = ::fcntl(0, F_DUPFD_CLOEXEC, 0);
    ::close(next);
    errc last = errc::full;
    for (int left = 1; last != errc{} && left < 10; ++left) {
      const struct rlimit few{.rlim_cur = static_cast<rlim_t>(next + left),
                              .rlim_max = before.rlim_max};
      ::setrlimit(RLIMIT_NOFILE, &few);
      last = co_await code_of(watch_tree(path("d")));
      ::setrlimit(RLIMIT_NOFILE, &before);
      EXPECT_EQ(last == errc{}, left >= 3) << left;
    }
  });
}

TEST_P(tree_watch, says_that_events_were_lost_and_watches_what_was_made_meanwhile) {
  run([&]() -> task<> {
    co_await make(path("d/goes/deep"));
    dir_watch watch = co_await watch_tree(path("d"));
    co_await overflow();
    co_await make(path("d/unseen/deep"));
    co_await rename_path(in("goes"), in("unseen/went"));
    while ((co_await watch.next()).what != dir_change::lost) {
    }
    co_await touch(in("unseen/deep/one"));
    co_await touch(in("unseen/went/deep/two"));
    EXPECT_THAT(co_await take(watch, 2),
                ElementsAre("created unseen/deep/one", "created unseen/went/deep/two"));
  });
}

TEST_P(tree_watch, ends_when_the_root_is_gone_also_with_the_folder_above_it) {
  run([&]() -> task<> {
    dir_watch watch = co_await watch_tree(path("d"));
    co_await remove_dir(path("d"));
    EXPECT_EQ(text_of(co_await watch.next()), "gone");
    EXPECT_EQ(co_await code_of(watch.next()), errc::closed);

    co_await make(path("above/root"));
    dir_watch lower = co_await watch_tree(path("above/root"));
    co_await rename_path(path("above"), path("elsewhere"));
    co_await make(path("elsewhere/root/new"));
    EXPECT_THAT(co_await take(lower, 2), ElementsAre("created new/", "gone"));
    EXPECT_EQ(co_await code_of(lower.next()), errc::closed);
  });
}

TEST_P(tree_watch, tells_what_happened_before_the_root_went_and_then_that_it_is_gone) {
  run([&]() -> task<> {
    co_await make(path("d/old"));
    dir_watch watch = co_await watch_tree(path("d"));
    co_await touch(in("file"));
    co_await make(path("d/new/deep"));
    co_await rename_path(in("file"), in("old/file"));
    co_await remove_path(in("old/file"));
    for (const char* folder : {"d/old", "d/new/deep", "d/new", "d"})
      co_await remove_dir(path(folder));
    std::vector<std::string> all;
    while (all.empty() || all.back() != "gone") all.push_back(text_of(co_await watch.next()));
    EXPECT_THAT(all, IsSupersetOf({"created file", "created new/", "renamed file -> old/file",
                                   "removed old/file", "removed old/", "removed new/"}));
    EXPECT_EQ(co_await code_of(watch.next()), errc::closed);
  });
}

TEST_P(tree_watch, a_cancel_that_races_with_new_folders_loses_none) {
  run([&]() -> task<> {
    dir_watch watch = co_await watch_tree(path("d"));
    std::vector<std::string> heard;
    const auto listen = [&]() -> task<> {
      for (;;) heard.push_back(text_of(co_await watch.next()));
    };
    std::vector<std::string> expected;
    for (int round = 0; round < 60; ++round) {
      const std::string folder = std::to_string(round);
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(listen);
        co_await yield();
        co_await make(path("d/" + folder));
        co_await touch(in(folder + "/file"));
        for (int turns = round % 6; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
      expected.push_back("created " + folder + "/");
      expected.push_back("created " + folder + "/file");  // found or not, but once
    }
    while (heard.size() < expected.size()) heard.push_back(text_of(co_await watch.next()));
    for (std::string& one : heard) one = one.substr(0, one.find(" (found)"));
    EXPECT_EQ(heard, expected);
  });
}

TEST_P(tree_watch, close_ends_a_wait_with_closed) {
  run([&]() -> task<> {
    dir_watch watch = co_await watch_tree(path("d"));
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await code_of(watch.next()), errc::closed); });
      co_await yield();
      watch.close();
    });
    EXPECT_EQ(co_await code_of(watch.next()), errc::closed);
  });
}

TEST_P(tree_watch, gives_nothing_after_close_although_more_has_been_read) {
  run([&]() -> task<> {
    dir_watch watch = co_await watch_tree(path("d"));
    co_await touch(in("one"));
    co_await touch(in("two"));
    EXPECT_THAT(co_await take(watch, 1), ElementsAre("created one"));
    watch.close();
    EXPECT_EQ(co_await code_of(watch.next()), errc::closed);
  });
}

/// The books alone: events as the kernel would give them.
class WatchedTree : public ::testing::Test {
 protected:
  WatchedTree() { std::filesystem::create_directories(root_); }
  ~WatchedTree() override {
    std::filesystem::remove_all(root_);
    ::close(inotify_);
  }
  /// The next told ones, as text.
  std::vector<std::string> told(detail::watched_tree& by) {
    std::vector<std::string> all;
    while (auto one = by.next_told()) all.push_back(text_of(*one));
    return all;
  }
  bool hear(detail::watched_tree& by, int folder, std::uint32_t mask, const char* entry) {
    dir_event one{.what = dir_change::created, .is_directory = (mask & IN_ISDIR) != 0};
    return by.hear({.folder = folder, .mask = mask, .size = 32, .name = entry}, one);
  }
  int number_of(const std::string& folder) {
    return ::inotify_add_watch(inotify_, (root_ + folder).c_str(), detail::watch_mask);
  }

  std::string root_ = ::testing::TempDir() + "weir-books-" + std::to_string(::getpid());
  int inotify_ = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
};

TEST_F(WatchedTree, tells_an_entry_that_was_found_once_although_its_event_comes_later) {
  detail::watched_tree books(detail::kernel_watches(), inotify_, root_, 100);
  books.look_around(0);
  std::filesystem::create_directories(root_ + "/new");
  std::ofstream(root_ + "/new/x") << "text";
  EXPECT_TRUE(hear(books, number_of(""), IN_CREATE | IN_ISDIR, "new"));
  books.look_around(1000);  // so many bytes may tell of what is found now
  EXPECT_THAT(told(books), ElementsAre("created new/x (found)"));
  const int number = number_of("/new");
  EXPECT_TRUE(hear(books, number, IN_MODIFY, "x"));
  EXPECT_FALSE(hear(books, number, IN_CREATE, "x")) << "told already";
  EXPECT_TRUE(hear(books, number, IN_DELETE, "x"));
  EXPECT_TRUE(hear(books, number, IN_CREATE, "x")) << "another one";
}

TEST_F(WatchedTree, does_not_take_a_later_entry_for_one_that_was_found) {
  detail::watched_tree books(detail::kernel_watches(), inotify_, root_, 100);
  books.look_around(0);
  std::filesystem::create_directories(root_ + "/new");
  std::ofstream(root_ + "/new/x") << "text";
  EXPECT_TRUE(hear(books, number_of(""), IN_CREATE | IN_ISDIR, "new"));
  books.look_around(0);
  int queued = 0;
  EXPECT_EQ(::ioctl(inotify_, FIONREAD, &queued), 0);
  const int number = number_of("/new");
  for (int heard = 0; heard <= queued; heard += 32) hear(books, number, IN_MODIFY, "other");
  EXPECT_TRUE(hear(books, number, IN_CREATE, "x")) << "what was found has gone unheard";
}

/// A kernel on which something happens to a folder just before it is opened.
class busy_host final : public watch_host {
 public:
  explicit busy_host(std::string folder, void (*happens)(const std::string&))
      : folder_(std::move(folder)), happens_(happens) {}

  io_handle make_watcher() noexcept override { return kernel_.make_watcher(); }
  int watch(io_handle watcher, const char* path, std::uint32_t mask) noexcept override {
    return kernel_.watch(watcher, path, mask);
  }
  void unwatch(io_handle watcher, int number) noexcept override {
    kernel_.unwatch(watcher, number);
  }
  std::size_t unread_of(io_handle watcher) noexcept override { return kernel_.unread_of(watcher); }
  io_handle keep(io_handle watcher) noexcept override { return kernel_.keep(watcher); }
  void drop(io_handle kept) noexcept override { kernel_.drop(kept); }
  int list_folder(const char* path, void (*visit)(void*, const char*, bool),
                  void* context) override {
    if (path == folder_) std::exchange(happens_, [](const std::string&) {})(folder_);
    return kernel_.list_folder(path, visit, context);
  }

 private:
  watch_host& kernel_ = detail::kernel_watches();
  std::string folder_;
  void (*happens_)(const std::string& folder);
};

TEST_F(WatchedTree, tells_nothing_of_a_folder_that_takes_the_place_of_another_before_it_is_opened) {
  busy_host host(root_ + "/new", [](const std::string& folder) {
    std::filesystem::rename(folder, folder + "-moved");
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/of the other") << "text";
  });
  detail::watched_tree books(host, inotify_, root_, 100);
  books.look_around(0);
  std::filesystem::create_directories(root_ + "/new");
  std::ofstream(root_ + "/new/x") << "text";
  EXPECT_TRUE(hear(books, number_of(""), IN_CREATE | IN_ISDIR, "new"));
  books.look_around(0);
  EXPECT_THAT(told(books), ElementsAre());
  books.move(number_of(""), "new", number_of(""), "new-moved");
  books.look_around(0);
  EXPECT_THAT(told(books),
              ElementsAre("created new-moved/x (found)", "created new/of the other (found)"));
}

TEST_F(WatchedTree, of_a_folder_with_more_entries_than_there_is_room_for_says_that_it_is_lost) {
  detail::watched_tree books(detail::kernel_watches(), inotify_, root_, 100);
  books.look_around(0);
  std::filesystem::create_directories(root_ + "/new/sub");
  EXPECT_TRUE(hear(books, number_of(""), IN_CREATE | IN_ISDIR, "new"));
  for (std::size_t i = 0; i + 1 < detail::watched_tree::told_max; ++i)
    books.tell({.what = dir_change::changed});
  std::ofstream(root_ + "/new/x") << "text";
  std::ofstream(root_ + "/new/y") << "text";
  books.look_around(0);
  EXPECT_FALSE(books.has_to_look()) << "no room";
  std::vector<std::string> all = told(books);
  EXPECT_EQ(all.size(), detail::watched_tree::told_max + 1);
  EXPECT_EQ(all.back(), "lost new");
  EXPECT_TRUE(books.has_to_look()) << "the folder in it is watched all the same";
}

// Whichever allocation fails: the books are right afterwards, or say that something was lost and
// are made anew.
TEST_F(WatchedTree, survives_want_of_memory) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "allocations can't fail here";
  const auto twice = [](auto step) {
    for (int i = 0; i < 2; ++i) {
      try {
        return step();
      } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): again
      }
    }
  };
  bool has_struck = true;
  for (std::uint64_t nth = 1; has_struck; ++nth) {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_ + "/a/b");
    std::filesystem::create_directories(root_ + "/c/d");
    detail::watched_tree books(detail::kernel_watches(), inotify_, root_, 100);
    while (books.has_to_look()) books.look_around(0);
    std::filesystem::create_directories(root_ + "/n/m");
    std::filesystem::rename(root_ + "/a", root_ + "/n/z");
    std::filesystem::remove_all(root_ + "/c");
    const int root = number_of("");
    const int to = number_of("/n");
    {
      const testing::failing_allocation no_memory(nth);
      twice([&] { hear(books, root, IN_CREATE | IN_ISDIR, "n"); });
      twice([&] { books.look_around(0); });
      twice([&] { books.move(root, "a", to, "z"); });
      twice([&] { books.forget(root, "c"); });
      twice([&] { books.look_around(0); });
      has_struck = no_memory.has_struck();
    }
    while (books.has_to_look()) books.look_around(0);
    for (const std::string folder : {"/n", "/n/m", "/n/z", "/n/z/b"}) {
      dir_event one;
      EXPECT_TRUE(books.hear({number_of(folder), IN_CREATE, 0, 32, "entry"}, one)) << folder;
      EXPECT_EQ("/" + one.name, folder + "/entry") << testing::failing_allocation::place();
    }
  }
}

}  // namespace
}  // namespace weir::watch_tree_test

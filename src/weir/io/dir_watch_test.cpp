// Watching a folder, on every driver of a kernel.
// Needs the kernel: inotify and real files.
#include <weir/io/dir_watch.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/io/file.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace weir::dir_watch_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class folder_watch : public contract::fixture {
 protected:
  folder_watch() { ::mkdir(path("d").c_str(), 0700); }
  std::string in(const std::string& entry) const { return path("d/" + entry); }
  static void write(const std::string& file, const char* text) { std::ofstream(file) << text; }
};
INSTANTIATE_TEST_SUITE_P(drivers, folder_watch, ::testing::ValuesIn(kernel_drivers()), name_of);

std::string text_of(const dir_event& one) {
  std::string text = name(one.what);
  if (!one.old_name.empty()) text += " " + one.old_name + " ->";
  if (!one.name.empty()) text += " " + one.name;
  return one.is_directory ? text + "/" : text;
}
task<std::vector<std::string>> take(dir_watch& from, std::size_t count) {
  std::vector<std::string> all;
  while (all.size() < count) all.push_back(text_of(co_await from.next()));
  co_return all;
}

TEST_P(folder_watch, tells_what_is_created_changed_written_and_removed_in_order) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    write(in("a"), "text");
    ::mkdir(in("sub").c_str(), 0700);
    ::unlink(in("a").c_str());
    ::rmdir(in("sub").c_str());
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
      write(in("a"), "text");
    });
  });
}

TEST_P(folder_watch, makes_one_event_of_the_two_halves_of_a_rename_F2) {
  write(in("a"), "text");
  write(in("b"), "text");
  write(path("outside"), "text");
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    ::rename(in("a").c_str(), in("c").c_str());
    ::rename(in("b").c_str(), in("c").c_str());
    ::rename(path("outside").c_str(), in("x").c_str());
    ::rename(in("c").c_str(), path("outside").c_str());
    EXPECT_THAT(co_await take(watch, 4),
                ElementsAre("renamed a -> c", "renamed b -> c", "created x", "removed c"));
    ::rename(in("x").c_str(), path("outside").c_str());
    write(in("y"), "");
    EXPECT_THAT(co_await take(watch, 3), ElementsAre("removed x", "created y", "written y"));
  });
}

TEST_P(folder_watch, takes_many_events_and_long_names_without_losing_one) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    for (int i = 0; i < 500; ++i) {
      std::string entry = std::to_string(i);
      entry.insert(0, static_cast<std::size_t>(i % 250), 'n');
      ::mkdir(in(entry).c_str(), 0700);
    }
    for (int i = 0; i < 500; ++i) {
      const dir_event one = co_await watch.next();
      EXPECT_EQ(one.what, dir_change::created);
      EXPECT_THAT(one.name, HasSubstr(std::to_string(i)));
    }
  });
}

TEST_P(folder_watch, says_that_events_were_lost_and_goes_on_F1) {
  std::size_t most = 0;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> most;
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    for (std::size_t i = 0; i < most; ++i) {
      ::close(::open(in("a").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      ::unlink(in("a").c_str());
    }
    std::size_t before = 0;
    while ((co_await watch.next()).what != dir_change::lost) ++before;
    EXPECT_EQ(before, most);
    ::mkdir(in("later").c_str(), 0700);
    EXPECT_EQ(text_of(co_await watch.next()), "created later/");
  });
}

TEST_P(folder_watch, ends_when_the_folder_is_gone) {
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    ::rmdir(path("d").c_str());
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
        ::mkdir(in(std::to_string(round)).c_str(), 0700);
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
  write(in("a"), "text");
  run([&]() -> task<> {
    dir_watch watch = watch_dir(path("d"));
    ::rename(in("a").c_str(), path("outside").c_str());
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
  write(path("file"), "text");
  run([&]() -> task<> {
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

TEST(FolderWatch, is_unsupported_in_a_virtual_world) {
  const auto io = make_virtual({});
  run_on(*io, []() -> task<> {
    errc code{};
    try {
      dir_watch never = watch_dir("/");
    } catch (const exception& e) {
      code = e.reason().code();
    }
    EXPECT_EQ(code, errc::unsupported);
    co_return;
  }());
}

}  // namespace
}  // namespace weir::dir_watch_test

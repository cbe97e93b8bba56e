// The events of inotify(7) as a driver gives them, on every driver: which, in which order, and what
// is left out.
// Needs the kernel: every driver has to keep the contract; the virtual one does too.
#include <weir/io/watch_host.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/io/readiness.hpp>
#include <weir/io/watch_kit_test.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::watch_host_contract_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint32_t usual = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM |
                                IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_EXCL_UNLINK;

std::string text_of(const inotify_event& head, std::string_view name) {
  static const std::map<std::uint32_t, std::string> words{
      {IN_CREATE, "create"},           {IN_MODIFY, "modify"},
      {IN_CLOSE_WRITE, "close_write"}, {IN_DELETE, "delete"},
      {IN_MOVED_FROM, "moved_from"},   {IN_MOVED_TO, "moved_to"},
      {IN_DELETE_SELF, "delete_self"}, {IN_MOVE_SELF, "move_self"},
      {IN_IGNORED, "ignored"},         {IN_Q_OVERFLOW, "overflow"},
  };
  std::string text = std::to_string(head.wd) + " " + words.at(head.mask & ~IN_ISDIR);
  if (!name.empty()) text += " " + std::string(name);
  if ((head.mask & IN_ISDIR) != 0) text += "/";
  return text;
}

/// A watcher as the loop's driver makes it.
///
/// Cancel:  as receive.
/// Order:   as the host's.
/// Bound:   as the host's.
/// Errors:  as the host's.
/// Threads: the loop's.
class watcher {
 public:
  watcher() : of_(loop::current()->io(), host().make_watcher()) {
    EXPECT_EQ(loop::current()->io().adopt_stream(of_.handle()), 0);
  }
  int watch(const std::string& path, std::uint32_t mask = usual) {
    return host().watch(handle(), path.c_str(), mask);
  }
  void unwatch(int number) { host().unwatch(handle(), number); }
  std::size_t unread() { return host().unread_of(handle()); }
  io_handle handle() const { return of_.handle(); }
  void close() { of_.close(); }

  /// All that there is by now.
  task<std::vector<std::string>> events() {
    std::vector<std::string> all;
    while (const std::size_t before = unread()) {
      const bytes some = co_await detail::receive_wait(handle());
      EXPECT_EQ(some.size() + unread(), before);
      read_into(all, some);
    }
    co_return all;
  }
  /// The same, once the file was closed that `last` tells of. Where a worker of the kernel has
  /// written to it, as io_uring has it, it may be open a moment longer than its handle.
  task<std::vector<std::string>> events_until_closed(std::string last) {
    std::vector<std::string> all;
    while (all.empty() || all.back() != last)
      read_into(all, co_await with_timeout(10_s, detail::receive_wait(handle())));
    co_return all;
  }
  /// Of the renames that were told since the last question.
  std::vector<std::uint32_t> cookies() { return std::exchange(cookies_, {}); }

  static watch_host& host() { return *loop::current()->io().watches(); }

 private:
  void read_into(std::vector<std::string>& all, const bytes& some) {
    for (std::size_t at = 0; at < some.size();) {
      struct inotify_event head;
      std::memcpy(&head, some.data() + at, sizeof head);
      const char* const name = some.data() + at + sizeof head;
      all.push_back(text_of(head, std::string_view(name, ::strnlen(name, head.len))));
      if (head.cookie != 0) cookies_.push_back(head.cookie);
      at += sizeof head + head.len;
    }
  }

  detail::socket_owner of_;
  std::vector<std::uint32_t> cookies_;
};

class watch_host_contract : public contract::watch_fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, watch_host_contract, ::testing::ValuesIn(all_drivers()), name_of);

TEST_P(watch_host_contract, a_file_is_created_modified_closed_and_deleted) {
  run([&]() -> task<> {
    watcher w;
    EXPECT_EQ(w.watch(path("d")), 1);
    co_await touch(in("a"));
    EXPECT_THAT(co_await w.events(), ElementsAre("1 create a"));
    file a = co_await open_file(in("a"), {.write = true});
    co_await a.write_at(0, "");
    EXPECT_THAT(co_await w.events(), IsEmpty()) << "nothing was written";
    co_await a.write_at(0, "x");
    EXPECT_THAT(co_await w.events(), ElementsAre("1 modify a"));
    co_await a.truncate(0);
    EXPECT_THAT(co_await w.events(), ElementsAre("1 modify a"));
    co_await a.preallocate(0, 4'096);
    EXPECT_THAT(co_await w.events(), ElementsAre("1 modify a"));
    co_await rename_path(in("a"), in("b"));
    co_await a.write_at(0, "x");
    a.close();
    EXPECT_THAT(co_await w.events_until_closed("1 close_write b"),
                ElementsAre("1 moved_from a", "1 moved_to b", "1 modify b", "1 close_write b"))
        << "by the name that it has by then";
    co_await write(in("b"), "");
    EXPECT_THAT(co_await w.events_until_closed("1 close_write b"),
                ElementsAre("1 modify b", "1 close_write b"))
        << "it was cut";
    co_await remove_path(in("b"));
    EXPECT_THAT(co_await w.events(), ElementsAre("1 delete b"));
    co_await write(in("c"), "");
    EXPECT_THAT(co_await w.events_until_closed("1 close_write c"),
                ElementsAre("1 create c", "1 close_write c"))
        << "of a new file nothing is cut";
  });
}

TEST_P(watch_host_contract, a_file_without_a_name_is_silent) {
  run([&]() -> task<> {
    file a = co_await open_file(in("a"), {.write = true, .create = true});
    watcher w;
    w.watch(path("d"));
    co_await remove_path(in("a"));
    co_await a.write_at(0, "x");
    a.close();
    EXPECT_THAT(co_await w.events(), ElementsAre("1 delete a"));
  });
}

TEST_P(watch_host_contract, equal_events_in_a_row_are_one_and_others_are_not) {
  run([&]() -> task<> {
    watcher w;
    w.watch(path("d"));
    file a = co_await open_file(in("a"), {.write = true, .create = true});
    file b = co_await open_file(in("b"), {.write = true, .create = true});
    for (file* one : {&a, &a, &b, &a}) co_await one->write_at(0, "x");
    EXPECT_THAT(co_await w.events(),
                ElementsAre("1 create a", "1 create b", "1 modify a", "1 modify b", "1 modify a"));
    co_await a.write_at(0, "x");
    EXPECT_THAT(co_await w.events(), ElementsAre("1 modify a")) << "the one before was received";
  });
}

TEST_P(watch_host_contract, both_halves_of_a_rename_have_one_cookie_and_no_other_has_it) {
  run([&]() -> task<> {
    co_await make_dir(path("e"));
    co_await touch(in("a"));
    co_await make_dir(in("f"));
    watcher w;
    EXPECT_EQ(w.watch(path("d")), 1);
    EXPECT_EQ(w.watch(path("e")), 2);
    EXPECT_EQ(w.watch(in("f")), 3);
    co_await rename_path(in("a"), path("e/b"));
    EXPECT_THAT(co_await w.events(), ElementsAre("1 moved_from a", "2 moved_to b"));
    const std::vector<std::uint32_t> first = w.cookies();
    WEIR_REQUIRE(first.size() == 2u);
    EXPECT_EQ(first[0], first[1]);
    co_await write(path("e/b"), "x");
    EXPECT_THAT(co_await w.events_until_closed("2 close_write b"),
                ElementsAre("2 modify b", "2 close_write b"));
    co_await rename_path(in("f"), path("e/g"));
    EXPECT_THAT(co_await w.events(),
                ElementsAre("1 moved_from f/", "2 moved_to g/", "3 move_self"));
    const std::vector<std::uint32_t> second = w.cookies();
    WEIR_REQUIRE(second.size() == 2u);
    EXPECT_NE(second[0], first[0]);
    co_await rename_path(path("e/b"), path("outside"));
    EXPECT_THAT(co_await w.events(), ElementsAre("2 moved_from b"));
    co_await rename_path(path("outside"), path("outside"));
    EXPECT_THAT(co_await w.events(), IsEmpty());
  });
}

TEST_P(watch_host_contract, a_folder_that_goes_says_so_once_nobody_has_it_open) {
  run([&]() -> task<> {
    co_await make_dir(in("f"));
    watcher w;
    w.watch(path("d"));
    w.watch(in("f"));
    directory held = co_await open_dir(in("f"));
    co_await remove_dir(in("f"));
    EXPECT_THAT(co_await w.events(), ElementsAre("1 delete f/"));
    held.close();
    EXPECT_THAT(co_await w.events(), ElementsAre("2 delete_self", "2 ignored"));
    co_await remove_dir(path("d"));
    EXPECT_THAT(co_await w.events(), ElementsAre("1 delete_self", "1 ignored"));
  });
}

TEST_P(watch_host_contract, what_a_rename_replaces_goes_without_a_word_to_its_folder) {
  run([&]() -> task<> {
    co_await make_dir(in("f"));
    co_await make_dir(in("g"));
    watcher w;
    w.watch(path("d"));
    w.watch(in("g"));
    co_await rename_path(in("f"), in("g"));
    EXPECT_THAT(co_await w.events(),
                ElementsAre("1 moved_from f/", "1 moved_to g/", "2 delete_self", "2 ignored"));
  });
}

TEST_P(watch_host_contract, a_path_has_one_number_and_the_last_mask_until_it_is_unwatched) {
  run([&]() -> task<> {
    watcher w;
    EXPECT_EQ(w.watch(path("d"), IN_CREATE), 1);
    EXPECT_EQ(w.watch(path("d"), IN_DELETE), 1);
    co_await touch(in("a"));
    co_await remove_path(in("a"));
    EXPECT_THAT(co_await w.events(), ElementsAre("1 delete a"));
    w.unwatch(1);
    EXPECT_THAT(co_await w.events(), ElementsAre("1 ignored"));
    co_await touch(in("b"));
    EXPECT_THAT(co_await w.events(), IsEmpty());
    EXPECT_EQ(w.watch(path("d")), 2) << "a number is not used again";
    EXPECT_EQ(w.watch(in("b")), 3);
    co_await write(in("b"), "x");
    EXPECT_THAT(co_await w.events_until_closed("3 close_write"),
                ElementsAre("2 modify b", "3 modify", "2 modify b", "3 modify", "2 close_write b",
                            "3 close_write"))
        << "cut, written and closed";
  });
}

TEST_P(watch_host_contract, what_can_not_be_watched_is_refused) {
  run([&]() -> task<> {
    co_await touch(in("a"));
    watcher w;
    EXPECT_EQ(w.watch(in("nowhere")), -ENOENT);
    EXPECT_EQ(w.watch(in("a"), usual | IN_ONLYDIR), -ENOTDIR);
    const io_handle handle = w.handle();
    w.close();
    EXPECT_EQ(watcher::host().watch(handle, path("d").c_str(), usual), -EBADF);
  });
}

TEST_P(watch_host_contract, a_watcher_is_readable_while_it_has_events) {
  run([&]() -> task<> {
    watcher w;
    w.watch(path("d"));
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await wait_readable(w.handle()), POLLIN); });
      co_await yield();
      EXPECT_EQ(w.unread(), 0u);
      co_await touch(in("a"));
    });
    EXPECT_EQ(co_await wait_readable(w.handle()), POLLIN);
    EXPECT_THAT(co_await w.events(), ElementsAre("1 create a"));
    EXPECT_EQ(co_await code_of(with_timeout(1_ms,
                                            [](int handle) -> task<int> {
                                              co_return co_await wait_readable(handle);
                                            }(w.handle()))),
              errc::timed_out);
  });
}

TEST_P(watch_host_contract, of_several_watchers_each_hears_what_it_watches) {
  run([&]() -> task<> {
    co_await make_dir(path("e"));
    watcher first;
    watcher second;
    first.watch(path("e"));
    first.watch(path("d"));
    second.watch(path("d"));
    co_await touch(in("a"));
    EXPECT_THAT(co_await first.events(), ElementsAre("2 create a"));
    first.close();
    co_await touch(in("b"));
    EXPECT_THAT(co_await second.events(), ElementsAre("1 create a", "1 create b"));
  });
}

TEST_P(watch_host_contract, a_folder_is_listed_with_what_is_a_folder) {
  run([&]() -> task<> {
    co_await make_dir(in("f"));
    co_await touch(in("a"));
    std::map<std::string, bool> all;
    const auto add = [](void* to, const char* name, bool is_folder) {
      static_cast<std::map<std::string, bool>*>(to)->emplace(name, is_folder);
    };
    EXPECT_EQ(watcher::host().list_folder(path("d").c_str(), add, &all), 0);
    EXPECT_THAT(all, ElementsAre(std::pair("a", false), std::pair("f", true)));
    EXPECT_EQ(watcher::host().list_folder(in("a").c_str(), add, &all), -ENOTDIR);
    EXPECT_EQ(watcher::host().list_folder(in("b").c_str(), add, &all), -ENOENT);
  });
}

}  // namespace
}  // namespace weir::watch_host_contract_test

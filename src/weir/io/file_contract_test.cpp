// What files, threads, signals and wake-ups do, on every driver.
// Needs the kernel: every driver has to keep the contract; the virtual one does too.
#include <weir/io/file.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/file_copy.hpp>
#include <weir/io/patient_lock.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::file_contract_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class file_contract : public contract::fixture {
 protected:
  static constexpr open_options make_new{.write = true, .create = true};
};
INSTANTIATE_TEST_SUITE_P(drivers, file_contract, ::testing::ValuesIn(all_drivers()), name_of);

task<std::string> read_whole(std::string path) {
  file from = co_await open_file(std::move(path));
  std::string text(from.size() + 10, '\0');
  std::size_t size = 0;
  while (const std::size_t count = co_await from.read_at(size, std::span(text).subspan(size)))
    size += count;
  text.resize(size);
  co_return text;
}

TEST_P(file_contract, what_was_written_is_read) {
  run([&]() -> task<> {
    file f = co_await open_file(path("a"), make_new);
    co_await f.write_at(0, "hello");
    co_await f.write_at(5, " world");
    co_await f.write_at(0, "H");
    co_await f.sync_data();
    co_await f.sync();
    EXPECT_EQ(f.size(), 11u);
    f.close();
    EXPECT_EQ(co_await read_whole(path("a")), "Hello world");
  });
}

TEST_P(file_contract, a_durable_write_is_a_write) {
  run([&]() -> task<> {
    file f = co_await open_file(path("a"), make_new);
    const std::string text(200'000, 'x');
    co_await f.write_durably_at(3, text);
    co_await f.write_durably_at(0, "abc");
    co_await f.write_durably_at(0, "");
    EXPECT_EQ(co_await read_whole(path("a")), "abc" + text);
    file reader = co_await open_file(path("a"));
    EXPECT_EQ(co_await code_of(reader.write_durably_at(0, "x")), errc::permission_denied);
  });
}

TEST_P(file_contract, pieces_are_written_one_after_the_other) {
  run([&]() -> task<> {
    file f = co_await open_file(path("a"), make_new);
    const std::string text(3'000, 'x');
    std::vector<io_slice> pieces(3'000, io_slice{"y", 1});  // more than one system call takes
    pieces.insert(pieces.begin(), {"", 0});
    pieces.push_back({text.data(), text.size()});
    co_await f.write_at(2, pieces);
    EXPECT_EQ(co_await read_whole(path("a")),
              std::string(2, '\0') + std::string(3'000, 'y') + text);
  });
}

TEST_P(file_contract, reading_at_the_end_gives_nothing) {
  run([&]() -> task<> {
    file f = co_await open_file(path("a"), make_new);
    co_await f.write_at(0, "abc");
    std::array<char, 10> memory{};
    EXPECT_EQ(co_await f.read_at(3, memory), 0u);
    EXPECT_EQ(co_await f.read_at(100, memory), 0u);
  });
}

// -1 is no offset but, to some calls of the kernel, "where the last one ended".
TEST_P(file_contract, an_offset_that_no_file_has_is_an_invalid_argument) {
  run([&]() -> task<> {
    file f = co_await open_file(path("a"), make_new);
    co_await f.write_at(0, "precious");
    std::array<char, 10> memory{};
    for (const std::uint64_t at :
         {~std::uint64_t{0}, ~std::uint64_t{0} - 1, std::uint64_t{1} << 63}) {
      EXPECT_EQ(co_await code_of(f.read_at(at, memory)), errc::invalid_argument);
      EXPECT_EQ(co_await code_of(f.write_at(at, "x")), errc::invalid_argument);
      EXPECT_EQ(co_await code_of(f.write_durably_at(at, "x")), errc::invalid_argument);
      EXPECT_EQ(co_await code_of(f.truncate(at)), errc::invalid_argument);
      EXPECT_EQ(co_await code_of(f.preallocate(at, 1)), errc::invalid_argument);
    }
    const auto refused = co_await as_result(f.write_at(std::uint64_t{1} << 63, "x"));
    EXPECT_EQ(refused.error().message(),
              "write at 9223372036854775808: a file has no offset beyond 9223372036854775807");
    EXPECT_EQ(co_await f.read_at(0, memory), 8u);
    EXPECT_EQ(std::string(memory.data(), 8), "precious");
  });
}

TEST_P(file_contract, opening_says_what_is_wrong) {
  run([&]() -> task<> {
    const auto missing = co_await as_result(open_file(path("missing")));
    EXPECT_FALSE(missing);
    if (!missing) {
      EXPECT_EQ(missing.error().code(), errc::not_found);
      EXPECT_THAT(std::string(missing.error().message()), ::testing::HasSubstr("missing'"));
      EXPECT_THAT(missing.error().place().file_name(), ::testing::HasSubstr("file_contract_test"));
    }
    std::ignore = co_await open_file(path("a"), make_new);
    EXPECT_EQ(
        co_await code_of(open_file(path("a"), {.write = true, .create = true, .exclusive = true})),
        errc::already_exists);
  });
}

// The text of an error with this code.
template <class Wait>
task<std::string> text_of(errc expected, Wait wait) {
  const auto outcome = co_await as_result(std::move(wait));
  co_return outcome || outcome.error().code() != expected ? std::string("no such error")
                                                          : std::string(outcome.error().message());
}

TEST_P(file_contract, a_file_does_what_it_was_opened_for_and_says_so) {
  run([&]() -> task<> {
    file from = co_await open_file(path("a"), {.write = true, .create = true});
    from = co_await open_file(path("a"));
    EXPECT_EQ(co_await text_of(errc::permission_denied, from.write_at(0, "x")),
              "write '" + path("a") + "': the file was not opened for writing");
    file to = co_await open_file(path("a"), {.read = false, .write = true});
    char one = 0;
    EXPECT_EQ(co_await text_of(errc::permission_denied, to.read_at(0, {&one, 1})),
              "read '" + path("a") + "': the file was not opened for reading");
    EXPECT_EQ(co_await text_of(errc::invalid_argument, from.truncate(1)),
              "truncate '" + path("a") + "'");
    to.close();
    EXPECT_EQ(co_await text_of(errc::closed, to.write_at(0, "x")), "write");
  });
}

TEST_P(file_contract, an_append_goes_to_the_end_whoever_else_has_written) {
  run([&]() -> task<> {
    constexpr open_options at_end{.write = true, .create = true, .append = true};
    file one = co_await open_file(path("a"), at_end);
    file other = co_await open_file(path("a"), at_end);
    const directory in = co_await open_dir(path(""));
    file third = co_await in.open_file("a", {.write = true, .append = true});
    std::size_t appended = 99;
    co_await one.append("one", &appended);
    EXPECT_EQ(appended, 3u);
    co_await other.append(", two");
    co_await one.append("", &appended);
    EXPECT_EQ(appended, 0u);
    const io_slice pieces[] = {{", ", 2}, {"", 0}, {"2", 1}};
    co_await other.append(pieces, &appended);
    EXPECT_EQ(appended, 3u);
    one = std::move(third);
    co_await one.append(", three");
    EXPECT_EQ(co_await read_whole(path("a")), "one, two, 2, three");
    char first = 0;
    EXPECT_EQ(co_await one.read_at(0, {&first, 1}), 1u) << "it is read as any other";
    EXPECT_EQ(first, 'o');
    file anew = co_await open_file(
        path("a"), {.write = true, .create = true, .truncate = true, .append = true});
    co_await other.append("at the new end");
    EXPECT_EQ(co_await read_whole(path("a")), "at the new end");
  });
}

TEST_P(file_contract, a_file_is_written_at_offsets_or_at_its_end_and_says_which) {
  run([&]() -> task<> {
    file log = co_await open_file(path("a"), {.write = true, .create = true, .append = true});
    file other = co_await open_file(path("b"), make_new);
    EXPECT_EQ(co_await text_of(errc::permission_denied, log.write_at(0, "x")),
              "write '" + path("a") + "': the file was not opened for writing at an offset");
    EXPECT_EQ(co_await code_of(log.write_durably_at(0, "")), errc::permission_denied);
    EXPECT_EQ(co_await text_of(errc::permission_denied, log.preallocate(0, 10)),
              "preallocate '" + path("a") + "': the file was not opened for writing at an offset");
    std::size_t appended = 99;
    EXPECT_EQ(co_await text_of(errc::permission_denied, other.append("x", &appended)),
              "write '" + path("b") + "': the file was not opened for appending");
    EXPECT_EQ(appended, 0u);
    file reader = co_await open_file(path("a"), {.append = true});
    EXPECT_EQ(co_await text_of(errc::permission_denied, reader.append("x")),
              "write '" + path("a") + "': the file was not opened for writing");
    co_await other.write_at(0, "text");
    EXPECT_EQ(co_await code_of(copy_file(other, log)), errc::permission_denied);
    EXPECT_EQ(log.size(), 0u);
    log.close();
    EXPECT_EQ(co_await code_of(log.append("x")), errc::closed);
    EXPECT_EQ(co_await code_of(log.preallocate(0, 10)), errc::closed);
  });
}

TEST_P(file_contract, a_path_with_a_zero_byte_names_nothing) {
  run([&]() -> task<> {
    const std::string kept = path("a");
    const std::string cut = kept + std::string("\0.bak", 5);
    {
      const file made = co_await open_file(kept, make_new);
    }
    const auto opened = co_await as_result(open_file(cut));
    EXPECT_FALSE(opened);
    if (!opened) {
      EXPECT_EQ(opened.error().message(), "open '" + kept + "': a zero byte follows");
    }
    for (auto call : {&remove_path, &remove_dir, &sync_dir})
      EXPECT_EQ(co_await code_of(call(cut)), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(rename_path(kept, cut)), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(rename_path(cut, kept)), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(make_dir(cut)), errc::invalid_argument);
    EXPECT_EQ(path_status(cut).error().code(), errc::invalid_argument);
    EXPECT_THROW(list_dir(cut), exception);
    EXPECT_TRUE(path_status(kept)) << "it is still there";
  });
}

TEST_P(file_contract, truncation_drops_and_preallocation_keeps_and_adds_zeros) {
  run([&]() -> task<> {
    file f = co_await open_file(path("a"), make_new);
    co_await f.write_at(0, "abcdef");
    co_await f.truncate(3);
    EXPECT_EQ(f.size(), 3u);
    co_await f.preallocate(0, 200'000);
    EXPECT_EQ(f.size(), 200'000u);
    EXPECT_EQ(co_await read_whole(path("a")), "abc" + std::string(199'997, '\0'));
    std::ignore = co_await open_file(path("a"), {.write = true, .truncate = true});
    EXPECT_EQ(f.size(), 0u);
  });
}

TEST_P(file_contract, renaming_replaces_and_removal_removes) {
  run([&]() -> task<> {
    file a = co_await open_file(path("a"), make_new);
    co_await a.write_at(0, "new");
    file b = co_await open_file(path("b"), make_new);
    co_await b.write_at(0, "old");
    co_await rename_path(path("a"), path("b"));
    co_await sync_dir(path(""));
    EXPECT_EQ(co_await read_whole(path("b")), "new");
    EXPECT_EQ(path_status(path("a")).error().code(), errc::not_found);
    co_await remove_path(path("b"));
    EXPECT_EQ(co_await code_of(remove_path(path("b"))), errc::not_found);
    EXPECT_EQ(co_await code_of(rename_path(path("b"), path("c"))), errc::not_found);
  });
}

TEST_P(file_contract, entries_of_an_open_directory_are_its_own_wherever_it_was_moved) {
  run([&]() -> task<> {
    co_await make_dir(path("d"));
    directory d = co_await open_dir(path("d") + "/");
    co_await rename_path(path("d"), path("moved"));
    co_await make_dir(path("d"));
    file made = co_await d.open_file("one", make_new);
    co_await made.write_at(0, "ours");
    co_await d.rename("one", "two");
    co_await d.sync();
    EXPECT_EQ(co_await read_whole(path("moved/two")), "ours");
    const file found = co_await d.open_file("two");
    EXPECT_EQ(found.size(), 4u);
    co_await d.remove("two");
    EXPECT_EQ(co_await code_of(d.remove("two")), errc::not_found);
    EXPECT_THAT(list_dir(path("moved")), ::testing::IsEmpty());
    EXPECT_THAT(list_dir(path("d")), ::testing::IsEmpty()) << "another's, in its place";
  });
}

TEST_P(file_contract, what_fails_in_an_open_directory_is_named_by_its_whole_path) {
  run([&]() -> task<> {
    const directory d = co_await open_dir(path(""));
    const auto missing = co_await as_result(d.open_file("none"));
    WEIR_REQUIRE(!missing);
    EXPECT_EQ(missing.error(), errc::not_found);
    EXPECT_THAT(missing.error().message(), ::testing::HasSubstr("open '" + path("none") + "'"));
    const auto unnamed = co_await as_result(d.rename("none", "other"));
    WEIR_REQUIRE(!unnamed);
    EXPECT_THAT(unnamed.error().message(), ::testing::HasSubstr("rename '" + path("none") + "'"));
    EXPECT_EQ(co_await code_of(open_dir(path("none"))), errc::not_found);
    std::ignore = co_await open_file(path("a"), make_new);
    EXPECT_NE(co_await code_of(open_dir(path("a"))), errc{}) << "a file is none";
  });
}

TEST_P(file_contract, a_name_does_not_lead_out_of_an_open_directory) {
  run([&]() -> task<> {
    co_await make_dir(path("d"));
    const directory d = co_await open_dir(path("d"));
    for (const std::string name : {"/a", "..", ".", "../a", "b/a", "a/"}) {
      const auto opened = co_await as_result(d.open_file(name, make_new));
      WEIR_REQUIRE(!opened);
      EXPECT_EQ(opened.error(), errc::invalid_argument) << name;
      EXPECT_THAT(opened.error().message(), ::testing::HasSubstr("has no / and is not . or .."))
          << name;
      EXPECT_EQ(co_await code_of(d.remove(name)), errc::invalid_argument) << name;
      EXPECT_EQ(co_await code_of(d.rename(name, "a")), errc::invalid_argument) << name;
      EXPECT_EQ(co_await code_of(d.rename("a", name)), errc::invalid_argument) << name;
    }
    const std::string cut("a\0b", 3);
    EXPECT_EQ(co_await code_of(d.open_file(cut, make_new)), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(open_dir(path("d") + cut)), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(d.open_file("", make_new)), errc::not_found);
    EXPECT_THAT(list_dir(path("d")), ::testing::IsEmpty());
  });
}

TEST_P(file_contract, a_directory_that_was_closed_or_moved_from_does_nothing) {
  run([&]() -> task<> {
    co_await make_dir(path("d"));
    directory d = co_await open_dir(path("d"));
    directory other = std::move(d);
    EXPECT_TRUE(other);
    EXPECT_FALSE(d);  // NOLINT(bugprone-use-after-move): what is left is closed
    EXPECT_EQ(co_await code_of(d.open_file("a", make_new)), errc::closed);
    other.close();
    EXPECT_EQ(co_await code_of(other.open_file("a", make_new)), errc::closed);
    EXPECT_EQ(co_await code_of(other.rename("a", "b")), errc::closed);
    EXPECT_EQ(co_await code_of(other.remove("a")), errc::closed);
    EXPECT_EQ(co_await code_of(other.sync()), errc::closed);
    EXPECT_THAT(list_dir(path("d")), ::testing::IsEmpty());
  });
}

TEST_P(file_contract, folders_are_made_listed_and_removed) {
  run([&]() -> task<> {
    co_await make_dir(path("d"));
    EXPECT_EQ(co_await code_of(make_dir(path("d"))), errc::already_exists);
    EXPECT_TRUE(path_status(path("d"))->is_directory);
    std::ignore = co_await open_file(path("d/one"), make_new);
    std::ignore = co_await open_file(path("d/two"), make_new);
    co_await sync_dir(path("d"));
    EXPECT_THAT(list_dir(path("d")), ::testing::UnorderedElementsAre("one", "two"));
    EXPECT_NE(co_await code_of(remove_dir(path("d"))), errc{}) << "it is not empty";
    co_await remove_path(path("d/one"));
    co_await remove_path(path("d/two"));
    co_await remove_dir(path("d"));
    EXPECT_FALSE(path_status(path("d")));
  });
}

TEST_P(file_contract, a_lock_keeps_others_out_until_its_file_is_closed) {
  run([&]() -> task<> {
    file first = co_await open_file(path("lock"), make_new);
    file second = co_await open_file(path("lock"), make_new);
    EXPECT_TRUE(first.try_lock());
    EXPECT_FALSE(second.try_lock());
    first.close();
    EXPECT_TRUE(second.try_lock());
  });
}

TEST_P(file_contract, a_lock_is_waited_for_as_long_as_patience_lasts) {
  run([&]() -> task<> {
    file first = co_await open_file(path("lock"), make_new);
    file second = co_await open_file(path("lock"), make_new);
    EXPECT_TRUE(co_await lock_within(duration(), first)) << "a free one is taken without patience";
    EXPECT_FALSE(co_await lock_within(duration::milliseconds(30), second));
    co_await with_scope([&](scope& both) -> task<> {
      both.spawn([&]() -> task<> {
        co_await sleep(duration::milliseconds(30));
        first.close();
      });
      EXPECT_TRUE(co_await lock_within(duration::seconds(60), second));
    });
  });
}

TEST_P(file_contract, many_operations_at_once_all_end) {
  run([&]() -> task<> {
    file f = co_await open_file(path("a"), make_new);
    co_await with_scope([&](scope& s) -> task<> {
      for (std::uint64_t i = 0; i < 500; ++i) {
        s.spawn(
            [](file* to, std::uint64_t at) -> task<> {
              const std::string text = std::to_string(1'000 + at);
              co_await to->write_at(at * 4, text);
            },
            &f, i);
      }
      co_await s.join();
    });
    const std::string all = co_await read_whole(path("a"));
    EXPECT_EQ(all.size(), 2'000u);
    for (std::size_t i = 0; i * 4 < all.size(); ++i)
      EXPECT_EQ(all.substr(i * 4, 4), std::to_string(1'000 + i));
  });
}

TEST_P(file_contract, cancelled_operations_end_and_leave_the_file_usable) {
  run([&]() -> task<> {
    file f = co_await open_file(path("a"), make_new);
    const std::string text(100'000, 'x');
    for (int round = 0; round < 20; ++round) {
      co_await with_scope([&](scope& s) -> task<> {
        for (int i = 0; i < 50; ++i) {
          s.spawn([&]() -> task<> {
            co_await f.write_at(0, text);
            co_await f.sync_data();
          });
        }
        for (int turns = round % 3; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
    }
    co_await f.write_at(0, text);
    EXPECT_EQ(co_await read_whole(path("a")), text);
  });
}

TEST_P(file_contract, closing_while_operations_are_pending_ends_each_of_them_L3) {
  run([&]() -> task<> {
    const std::string text(100'000, 'x');
    file f = co_await open_file(path("a"), make_new);
    int ended = 0;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 100; ++i) {
        s.spawn([&]() -> task<> {
          const errc code = co_await code_of(f.write_at(0, text));
          EXPECT_TRUE(code == errc{} || code == errc::closed) << name(code);
          ++ended;
        });
      }
      co_await yield();
      f.close();
    });
    EXPECT_EQ(ended, 100);
    EXPECT_EQ(co_await code_of(f.sync()), errc::closed);
  });
}

TEST_P(file_contract, posts_from_many_threads_all_arrive_in_each_threads_order) {
  constexpr int thread_count = 4;
  constexpr int posts_each = 5'000;
  run([&]() -> task<> {
    loop& here = *loop::current();
    int arrived = 0;
    std::array<int, thread_count> last{};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < thread_count; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 1; i <= posts_each; ++i) {
          while (!here.post([&, t, i] {
            EXPECT_EQ(last[t] + 1, i);
            last[t] = i;
            ++arrived;
          })) {
            std::this_thread::yield();  // full: the loop has to catch up
          }
        }
      });
    }
    while (arrived < thread_count * posts_each) co_await sleep(1_ms);
    for (std::thread& one : threads) one.join();
  });
}

TEST_P(file_contract, a_sleeping_loop_is_woken_by_a_post) {
  run([]() -> task<> {
    loop& here = *loop::current();
    listener door = co_await listen({});
    // Each round lets the loop fall asleep with nothing but the post to wake it.
    for (int round = 0; round < 200; ++round) {
      std::thread other;
      co_await with_scope([&](scope& s) -> task<> {
        other = std::thread([&] { here.post([&] { s.cancel("posted"); }); });
        std::ignore = co_await door.accept();
        ADD_FAILURE() << "nobody woke it";
      });
      other.join();
    }
  });
}

TEST_P(file_contract, ten_thousand_timers_fire_and_none_early) {
  run([]() -> task<> {
    int fired = 0;
    co_await with_scope([&](scope& s) -> task<> {
      const time_point start = loop::current()->now();
      for (int i = 0; i < 10'000; ++i) {
        s.spawn(
            [&](time_point due) -> task<> {
              co_await sleep_until(due);
              EXPECT_LE(due, loop::current()->now());
              ++fired;
            },
            start + duration::microseconds((i * 7919) % 20'000));
      }
      co_await s.join();
    });
    EXPECT_EQ(fired, 10'000);
  });
}

}  // namespace
}  // namespace weir::file_contract_test

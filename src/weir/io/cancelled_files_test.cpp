// The operations on files, cancelled at every point: what a file holds afterwards is what it held,
// or what was asked for, or for a write a prefix of that.
#include <weir/core.hpp>
#include <weir/io/file.hpp>
#include <weir/io/file_stream.hpp>
#include <weir/io/patient_lock.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cancelled_files_test {
namespace {

using namespace weir::literals;
using testing::cancel_at_every_point;
using ::testing::Contains;
using testing::victim;

std::string content_of(const char* path) {
  const auto content = testing::world().disk().content_of(path);
  return content ? *content : "none";
}
std::string with_start(std::string whole, std::string_view start) {
  whole.replace(0, start.size(), start);
  return whole;
}
/// Each write takes so many bytes at most: several are needed, between which it can be cancelled.
void write_in_parts_of(std::int64_t size) {
  testing::world().add_fault({.op = io_op::write_at, .count = 1'000, .partial = size});
}

TEST(CancelledFiles, operations_in_an_open_directory_have_happened_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    std::string done;
    co_await v.run([](std::string* log) -> task<> {
      const directory root = co_await open_dir("/");
      *log += 'd';
      file made = co_await root.open_file("a", {.write = true, .create = true});
      *log += 'o';
      co_await root.rename("a", "b");
      *log += 'r';
      co_await root.sync();
      *log += 's';
      co_await root.remove("b");
      *log += 'x';
    }(&done));
    const auto did = [&](char what) { return done.find(what) != std::string::npos; };
    const bool is_first = path_status("/a").has_value();
    const bool is_second = path_status("/b").has_value();
    EXPECT_FALSE(is_first && is_second);
    if (!did('d')) EXPECT_FALSE(is_first || is_second);
    if (did('o') && !did('s')) EXPECT_TRUE(is_first || is_second) << done;
    if (did('r')) EXPECT_FALSE(is_first) << done;
    if (did('x')) EXPECT_FALSE(is_second) << done;
  });
}

task<> use_a_file(std::string* log) {
  file made = co_await open_file("/a", {.write = true, .create = true});
  *log += 'o';
  co_await made.write_at(0, "text");
  *log += 'w';
  char memory[4];
  if (co_await made.read_at(0, memory) == 4) EXPECT_EQ(std::string_view(memory, 4), "text");
  *log += 'g';
  co_await made.sync();
  *log += 's';
  co_await made.sync_data();
  *log += 'y';
  co_await made.preallocate(0, 8);
  *log += 'p';
  co_await made.write_durably_at(4, "more");
  *log += 'W';
  co_await made.truncate(2);
  *log += 't';
  co_await make_dir("/folder");
  *log += 'd';
  co_await rename_path("/a", "/folder/b");
  *log += 'r';
  co_await sync_dir("/folder");
  *log += 'f';
  co_await remove_path("/folder/b");
  *log += 'x';
  co_await remove_dir("/folder");
  *log += 'e';
}
/// What the file may hold when so much of use_a_file() was done: the next step has happened or not,
/// and of a write any prefix has.
std::vector<std::string> contents_after(std::string_view done) {
  const std::string reserved = std::string("text") + std::string(4, '\0');
  switch (done.empty() ? ' ' : done.back()) {
    case ' ':
      return {""};
    case 'o':
      return {"", "t", "te", "tex", "text"};
    case 'w':
    case 'g':
    case 's':
      return {"text"};
    case 'y':
      return {"text", reserved};
    case 'p':
      return {reserved, std::string("textm") + std::string(3, '\0'),
              std::string("textmo") + std::string(2, '\0'),
              std::string("textmor") + std::string(1, '\0'), "textmore"};
    case 'W':
      return {"textmore", "te"};
    default:
      return {"te"};
  }
}

TEST(CancelledFiles, operations_on_files_have_happened_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    std::string done;
    co_await v.run(use_a_file(&done));
    const auto did = [&](char what) { return done.find(what) != std::string::npos; };
    const bool is_first = path_status("/a").has_value();
    const bool is_second = path_status("/folder/b").has_value();
    if (is_first) EXPECT_THAT(contents_after(done), Contains(content_of("/a"))) << done;
    if (is_second) EXPECT_EQ(content_of("/folder/b"), "te") << done;
    EXPECT_FALSE(is_first && is_second) << "a rename that is half done";
    if (!did('t')) EXPECT_FALSE(is_second);
    if (did('r')) EXPECT_FALSE(is_first);
    if (did('o') && !did('f')) EXPECT_TRUE(is_first || is_second) << "neither of both names";
    if (did('x')) EXPECT_FALSE(is_second);
    if (did('d') && !did('x')) EXPECT_TRUE(path_status("/folder"));
    if (did('e')) EXPECT_FALSE(path_status("/folder"));
    if (!v.was_cancelled()) EXPECT_EQ(done, "owgsypWtdrfxe");
    EXPECT_EQ(testing::world().open_handles(), 0u);
  });
}

constexpr std::string_view new_text = "new content";

task<> write_plainly(file* to) { co_await to->write_at(0, new_text); }
task<> write_pieces(file* to) {
  const io_slice pieces[] = {{new_text.data(), 4}, {new_text.data() + 4, new_text.size() - 4}};
  co_await to->write_at(0, pieces);
}
task<> write_durably(file* to) { co_await to->write_durably_at(0, new_text); }

template <auto write>
void expect_a_prefix_is_written() {
  cancel_at_every_point([](victim& v) -> task<> {
    testing::world().disk().put_file("/a", "what was there before");
    file to = co_await open_file("/a", {.write = true});
    write_in_parts_of(3);
    bool is_done = false;
    co_await v.run([](file* into, bool* done) -> task<> {
      co_await yield();
      co_await write(into);
      *done = true;
    }(&to, &is_done));
    EXPECT_TRUE(is_done || v.was_cancelled());
    std::vector<std::string> prefixes;
    for (std::size_t size = is_done ? new_text.size() : 0; size <= new_text.size(); ++size)
      prefixes.push_back(with_start("what was there before", new_text.substr(0, size)));
    EXPECT_THAT(prefixes, Contains(content_of("/a")));
    co_await write(&to);
    EXPECT_EQ(content_of("/a"), "new contentere before") << "it may be repeated";
  });
}

TEST(CancelledFiles, a_write_has_written_a_prefix_or_nothing_and_may_be_repeated) {
  expect_a_prefix_is_written<&write_plainly>();
  expect_a_prefix_is_written<&write_pieces>();
  expect_a_prefix_is_written<&write_durably>();
}

task<> sync_written(file* of) {
  co_await of->write_at(0, new_text);
  co_await of->sync();
}
task<> sync_data_written(file* of) {
  co_await of->write_at(0, new_text);
  co_await of->sync_data();
}

/// What was said to be durable is there after a power cut; nothing else than that, or what was
/// there before, in part or whole.
template <auto write>
void expect_that_what_is_told_is_durable() {
  cancel_at_every_point([](victim& v) -> task<> {
    testing::world().disk().put_file("/a", "old content");
    file to = co_await open_file("/a", {.write = true});
    bool is_told = false;
    co_await v.run([](file* into, bool* told) -> task<> {
      co_await yield();
      co_await write(into);
      *told = true;
    }(&to, &is_told));
    EXPECT_TRUE(is_told || v.was_cancelled());
    testing::world().disk().crash(crash_loss::all);
    std::vector<std::string> possible;
    for (std::size_t size = is_told ? new_text.size() : 0; size <= new_text.size(); ++size)
      possible.push_back(with_start("old content", new_text.substr(0, size)));
    EXPECT_THAT(possible, Contains(content_of("/a")));
  });
}

TEST(CancelledFiles, what_was_told_to_be_durable_is_there_after_a_power_cut) {
  expect_that_what_is_told_is_durable<&sync_written>();
  expect_that_what_is_told_is_durable<&sync_data_written>();
  expect_that_what_is_told_is_durable<&write_durably>();
}

task<> receive_all(file_source* from, std::string* into) {
  while (const bytes piece = co_await from->receive()) *into += piece.text();
}

TEST(CancelledFiles, a_receive_from_a_file_has_taken_what_it_gave_and_no_more) {
  cancel_at_every_point([](victim& v) -> task<> {
    testing::world().disk().put_file("/a", "0123456789");
    file of = co_await open_file("/a");
    file_source from(of, {.offset = 1, .piece_bytes = 4});
    std::string got;
    co_await v.run(receive_all(&from, &got));
    EXPECT_EQ(from.offset(), 1 + got.size());
    co_await receive_all(&from, &got);
    EXPECT_EQ(got, "123456789");
  });
}

task<> send_text(file_sink* to, std::string_view what, std::size_t* sent) {
  co_await to->send(what, sent);
}
task<> send_pieces(file_sink* to, std::string_view what, std::size_t* sent) {
  const io_slice pieces[] = {{what.data(), 2}, {what.data() + 2, what.size() - 2}};
  co_await to->send(pieces, sent);
}

constexpr std::string_view old_text = "what was there before";
constexpr std::string_view sent_text = "0123456789";

template <auto send>
void expect_what_sent_says() {
  cancel_at_every_point([](victim& v) -> task<> {
    testing::world().disk().put_file("/a", old_text);
    file of = co_await open_file("/a", {.write = true});
    file_sink to(of, {.offset = 1, .piece_bytes = 4});
    write_in_parts_of(3);
    std::size_t sent = 99;
    co_await v.run([](file_sink* into, std::size_t* count) -> task<> {
      *count = 0;  // where it is cancelled before it has begun
      co_await yield();
      *count = 99;
      co_await send(into, sent_text, count);
    }(&to, &sent));
    if (!v.was_cancelled()) EXPECT_EQ(sent, sent_text.size());
    EXPECT_EQ(to.offset(), 1 + sent);
    const std::string content = content_of("/a");
    std::vector<std::string> possible;
    for (std::size_t size = sent; size <= sent_text.size(); ++size)
      possible.push_back("w" +
                         with_start(std::string(old_text.substr(1)), sent_text.substr(0, size)));
    EXPECT_THAT(possible, Contains(content)) << sent << " are sent, and a part of what follows";
    co_await to.send(sent_text.substr(sent));
    EXPECT_EQ(content_of("/a"), "w0123456789ere before") << "whoever goes on writes it again";
    EXPECT_EQ(to.offset(), 1 + sent_text.size());
  });
}

TEST(CancelledFiles, a_send_to_a_file_has_written_what_it_tells_and_may_be_gone_on_with) {
  expect_what_sent_says<&send_text>();
  expect_what_sent_says<&send_pieces>();
}

/// `at_end` is what has been appended in all before the last append, which `appended` counts.
task<> append_twice(std::size_t* at_end, std::size_t* appended) {
  file log = co_await open_file("/log", {.write = true, .append = true});
  co_await log.append("one, ", appended);
  *at_end += *appended;
  co_await log.append("two", appended);
}

TEST(CancelledFiles, an_append_tells_how_much_of_it_is_at_the_end) {
  cancel_at_every_point([](victim& v) -> task<> {
    testing::world().disk().put_file("/log", "before: ");
    write_in_parts_of(2);
    std::size_t at_end = 0;
    std::size_t appended = 0;
    co_await v.run(append_twice(&at_end, &appended));
    EXPECT_EQ(content_of("/log"), std::string("before: one, two").substr(0, 8 + at_end + appended));
    if (!v.was_cancelled()) EXPECT_EQ(at_end + appended, 8u);
  });
}

task<> send_to_the_end(file_sink* to, std::size_t* sent) {
  constexpr io_slice pieces[] = {{"one, ", 5}, {"two", 3}};
  co_await to->send(pieces, sent);
}

TEST(CancelledFiles, a_send_to_the_end_of_a_file_tells_all_that_it_has_appended) {
  cancel_at_every_point([](victim& v) -> task<> {
    testing::world().disk().put_file("/log", "before: ");
    write_in_parts_of(2);
    file log = co_await open_file("/log", {.write = true, .append = true});
    file_sink to(log, {.piece_bytes = 3});
    std::size_t sent = 0;
    co_await v.run(send_to_the_end(&to, &sent));
    EXPECT_EQ(content_of("/log"), std::string("before: one, two").substr(0, 8 + sent));
    EXPECT_EQ(to.offset(), sent);
    if (v.was_cancelled()) co_await to.send(std::string_view("one, two").substr(sent));
    EXPECT_EQ(content_of("/log"), "before: one, two");
  });
}

TEST(CancelledFiles, a_patient_lock_is_taken_or_free) {
  cancel_at_every_point([](victim& v) -> task<> {
    testing::world().disk().put_file("/lock", "");
    file holder = co_await open_file("/lock");
    file patient = co_await open_file("/lock");
    file other = co_await open_file("/lock");
    EXPECT_TRUE(holder.try_lock());
    bool is_taken = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(25_ms);  // it has looked three times
        holder.close();
      });
      co_await v.run([](file* what, bool* taken) -> task<> {
        *taken = co_await lock_within(1_h, *what);
      }(&patient, &is_taken));
    });
    EXPECT_TRUE(is_taken || v.was_cancelled());
    EXPECT_EQ(other.try_lock(), !is_taken);
    other.close();
    EXPECT_TRUE(co_await lock_within(duration(), patient)) << "it may be asked for again";
  });
}

}  // namespace
}  // namespace weir::cancelled_files_test

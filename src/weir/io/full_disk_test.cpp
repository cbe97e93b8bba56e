// Disks that become full in the middle of a write: what was written is told, and nothing is lost.
// Needs the kernel: it decides how much of a write still goes.
#include <weir/io/child_process_test.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/copy.hpp>
#include <weir/io/file_kit_test.hpp>
#include <weir/io/file_stream.hpp>
#include <weir/io/lowered_limit_test.hpp>
#include <weir/io/writer.hpp>
#include <weir/testing/test.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

namespace weir::full_disk_test {
namespace {

using namespace weir::contract;

constexpr std::size_t room = 100'000;  // about so much of a text still goes,
constexpr std::size_t text_size = 200'000;
constexpr std::size_t piece = 30'000;  // which is no multiple of this

/// A folder in which there is little room at first.
struct narrow_place {
  std::string folder;
  std::string elsewhere;  // with room
  errc full;              // what a write fails with
  std::function<void()> make_room;

  auto make(const std::string& name) const {
    return open_file(folder + "/" + name, {.read = true, .write = true, .create = true});
  }
};

task<std::string> content(file& of) {
  std::string all(of.size(), '\0');
  std::size_t at = 0;
  while (at < all.size()) {
    const std::size_t got = co_await of.read_at(at, std::span(all).subspan(at));
    if (got == 0) break;
    at += got;
  }
  all.resize(at);
  co_return all;
}

/// How much of the piece after `whole` bytes is in the file. It has nothing else.
task<std::size_t> part_after(std::size_t whole, file& of, std::string_view text) {
  const std::string there = co_await content(of);
  EXPECT_TRUE(there == text.substr(0, there.size()));
  EXPECT_GT(there.size(), whole) << "the kernel has written a part";
  EXPECT_LT(there.size(), whole + piece);
  co_return there.size() - whole;
}

task<> stream(const narrow_place& at) {
  const std::string text = pattern(text_size);
  file f = co_await at.make("streamed");
  file_sink sink(f, {.piece_bytes = piece});
  std::size_t sent = 0;
  const result<void> outcome = co_await as_result(sink.send(text, &sent));
  WEIR_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), at.full);
  EXPECT_EQ(sent, room / piece * piece) << "whole pieces";
  EXPECT_EQ(sink.offset(), sent);
  const std::size_t part = co_await part_after(sent, f, text);
  EXPECT_EQ(outcome.error().message(),
            "write '" + at.folder + "/streamed' failed after " + std::to_string(part) + " bytes");
  at.make_room();
  co_await sink.send(std::string_view(text).substr(sent));
  EXPECT_TRUE(co_await content(f) == text);
}

task<> write_small_texts(const narrow_place& at) {
  const std::string text = pattern(text_size);
  file f = co_await at.make("written");
  file_sink sink(f, {.piece_bytes = piece});
  writer out(sink, {.buffer_bytes = piece});
  std::size_t taken = 0;
  const auto write_on = [&]() -> task<> {
    while (taken < text.size()) {
      std::size_t now = 0;
      const std::string_view next = std::string_view(text).substr(taken, 1'000);
      const result<void> outcome = co_await as_result(out.write(next, &now));
      taken += now;
      if (!outcome) raise(outcome.error());
    }
    co_await out.flush();
  };
  EXPECT_EQ(co_await code_of(write_on()), at.full);
  EXPECT_EQ(out.sent(), room / piece * piece);
  EXPECT_EQ(out.sent() + out.buffered().size(), taken) << "what was taken is sent or kept";
  std::ignore = co_await part_after(out.sent(), f, text);
  at.make_room();
  co_await write_on();
  EXPECT_TRUE(co_await content(f) == text);
}

task<> copy_there(const narrow_place& at) {
  const std::string text = pattern(text_size);
  file original = co_await make_file(at.elsewhere + "original", text);
  file f = co_await at.make("copied");
  file_source from(original, {.piece_bytes = piece});
  file_sink to(f, {.piece_bytes = piece});
  copy_progress progress;
  const auto outcome = co_await as_result(copy(from, to, &progress));
  WEIR_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), at.full);
  EXPECT_EQ(outcome.error().message(),
            "copy: the sink failed after " + std::to_string(progress.sent) + " bytes");
  EXPECT_EQ(progress.sent, room / piece * piece);
  EXPECT_EQ(from.offset(), to.offset()) << "what was not sent is received again";
  std::ignore = co_await part_after(progress.sent, f, text);
  at.make_room();
  EXPECT_EQ(co_await copy(from, to), text_size - progress.sent);
  EXPECT_TRUE(co_await content(f) == text);
}

bool write_file(const char* path, const std::string& text) {
  const int to = ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (to < 0) return false;
  const bool is_written =
      ::write(to, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(to);
  return is_written;
}

/// Mounts a file system in memory at `folder`, for this process alone and without rights.
bool mount_disk(const std::string& folder, std::size_t size) {
  const auto only = [](auto id) { return "0 " + std::to_string(id) + " 1"; };
  const std::string user = only(::getuid());  // before they are nobody's
  const std::string group = only(::getgid());
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_file("/proc/self/uid_map", user) &&
         write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/gid_map", group) &&
         ::mount("weir", folder.c_str(), "tmpfs", 0, ("size=" + std::to_string(size)).c_str()) == 0;
}

class full_disk : public contract::fixture {
 protected:
  static constexpr int exit_unmounted = 77;

  full_disk() : disk(path("disk")) { EXPECT_EQ(::mkdir(disk.c_str(), 0700), 0); }

  /// Where a file may not become larger: EFBIG, as of a quota.
  void with_limited_files(task<> (*body)(const narrow_place&)) {
    auto* const before = ::signal(SIGXFSZ, SIG_IGN);
    std::optional<lowered_limit> limit;
    run([&]() -> task<> {
      const narrow_place here{
          .folder = disk, .elsewhere = path(""), .full = errc::too_large, .make_room = [&] {
            limit.reset();
          }};
      limit.emplace(RLIMIT_FSIZE, room);
      co_await body(here);
    });
    ::signal(SIGXFSZ, before);
  }
  /// A file system of its own, with another file that can be removed.
  void on_a_full_disk(task<> (*body)(const narrow_place&)) {
    const child_outcome outcome = in_child([&] {
      const std::string other = disk + "/other";
      if (!mount_disk(disk, 3 * text_size)) return exit_unmounted;
      if (!write_file(other.c_str(), std::string(3 * text_size - room, 'x'))) return 1;
      const narrow_place here{
          .folder = disk, .elsewhere = path(""), .full = errc::no_space, .make_room = [&] {
            ::unlink(other.c_str());
          }};
      run([&]() -> task<> { co_await body(here); });
      std::fflush(stdout);
      return HasFailure() ? 1 : 0;
    });
    if (outcome.code == exit_unmounted)
      GTEST_SKIP() << "this system does not let us mount a file system";
    EXPECT_EQ(outcome.code, 0) << outcome.text;
  }

  const std::string disk;
};
INSTANTIATE_TEST_SUITE_P(drivers, full_disk, ::testing::ValuesIn(kernel_drivers()), name_of);

TEST_P(full_disk, is_told_by_a_stream_with_what_it_has_sent_and_goes_on_when_there_is_room) {
  on_a_full_disk(stream);
}
TEST_P(full_disk, leaves_what_a_writer_has_taken_in_its_buffer) {
  on_a_full_disk(write_small_texts);
}
TEST_P(full_disk, ends_a_copy_that_can_go_on_where_it_was) { on_a_full_disk(copy_there); }
TEST_P(full_disk, or_a_file_that_may_not_grow_is_told_by_a_stream) { with_limited_files(stream); }
TEST_P(full_disk, or_a_file_that_may_not_grow_leaves_what_a_writer_has_taken) {
  with_limited_files(write_small_texts);
}

}  // namespace
}  // namespace weir::full_disk_test

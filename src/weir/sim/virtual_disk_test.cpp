#include <weir/sim/virtual_disk.hpp>

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace weir::virtual_disk_test {
namespace {

class VirtualDisk : public ::testing::Test {
 protected:
  io_handle open(const char* path, std::uint32_t flags = O_RDWR | O_CREAT) {
    const io_handle handle = next_++;
    EXPECT_EQ(disk_.open(path, flags, handle), 0) << path;
    return handle;
  }
  std::string text(const char* path) {
    const auto content = disk_.content_of(path);
    return content ? *content : "(none)";
  }

  virtual_clock clock_;
  choices choices_{1};
  virtual_disk disk_{clock_, {choices_, choice_kind::disk}};
  io_handle next_ = 3;
};

TEST_F(VirtualDisk, what_was_written_is_read_at_every_offset_and_over_page_borders) {
  const io_handle f = open("/a");
  const std::string block(3 * virtual_disk::page_size, 'x');
  EXPECT_EQ(disk_.write_at(f, block, 100), static_cast<std::int64_t>(block.size()));
  EXPECT_EQ(disk_.write_at(f, "edge", virtual_disk::page_size - 2), 4);
  char out[8];
  EXPECT_EQ(disk_.read_at(f, out, 8, virtual_disk::page_size - 4), 8);
  EXPECT_EQ(std::string(out, 8), "xxedgexx");
  EXPECT_EQ(disk_.read_at(f, out, 8, 96), 8);
  EXPECT_EQ(std::string(out, 8), std::string("\0\0\0\0xxxx", 8)) << "holes are zeros";
  EXPECT_EQ(disk_.read_at(f, out, 8, 100 + block.size() - 3), 3) << "short at the end";
  EXPECT_EQ(disk_.read_at(f, out, 8, 1 << 20), 0);
}

TEST_F(VirtualDisk, an_open_directory_is_where_it_is_and_not_where_its_path_leads) {
  EXPECT_EQ(disk_.make_dir("/d"), 0);
  const io_handle d = open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(disk_.rename("/d", "/e"), 0);
  EXPECT_EQ(disk_.make_dir("/d"), 0);
  EXPECT_EQ(disk_.open("a", O_RDWR | O_CREAT, next_++, d), 0);
  EXPECT_EQ(disk_.rename("a", "b", d), 0);
  EXPECT_EQ(text("/e/b"), "");
  EXPECT_EQ(text("/d/b"), "(none)");
  EXPECT_EQ(disk_.open("/d/c", O_RDWR | O_CREAT, next_++, d), 0) << "a path from the root is one";
  EXPECT_EQ(text("/d/c"), "");
  EXPECT_EQ(disk_.remove("b", false, d), 0);
  EXPECT_EQ(disk_.remove("b", false, d), -ENOENT);
  EXPECT_EQ(disk_.remove("/e", true), 0);
  EXPECT_EQ(disk_.open("a", O_RDWR | O_CREAT, next_++, d), -ENOENT) << "nothing is made in it";
  const io_handle f = open("/f");
  EXPECT_EQ(disk_.open("a", O_RDWR | O_CREAT, next_++, f), -ENOTDIR);
  EXPECT_EQ(disk_.open("a", O_RDWR | O_CREAT, next_++, 1'000), -EBADF);
}

TEST_F(VirtualDisk, a_synced_directory_keeps_its_entries_over_a_crash_by_its_handle) {
  EXPECT_EQ(disk_.make_dir("/d"), 0);
  EXPECT_EQ(disk_.sync_dir("/"), 0);
  const io_handle d = open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(disk_.open("a", O_RDWR | O_CREAT, next_++, d), 0);
  EXPECT_EQ(disk_.sync_dir(d), 0);
  EXPECT_EQ(disk_.open("b", O_RDWR | O_CREAT, next_++, d), 0);
  EXPECT_EQ(disk_.sync_dir(open("/f")), 0) << "a file is synced as one";
  EXPECT_EQ(disk_.sync_dir(io_handle{1'000}), -EBADF);
  EXPECT_EQ(disk_.remove("/d/a", false), 0);
  EXPECT_EQ(disk_.remove("/d/b", false), 0);
  EXPECT_EQ(disk_.remove("/d", true), 0);
  disk_.crash(crash_loss::all);
  EXPECT_EQ(text("/d/a"), "");
  EXPECT_EQ(text("/d/b"), "(none)");
  const io_handle again = open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(disk_.open("c", O_RDWR | O_CREAT, next_++, again), 0) << "its removal was undone";
}

TEST_F(VirtualDisk, a_direct_write_without_room_for_all_ends_at_a_sector) {
  constexpr std::uint64_t sector = virtual_disk::sector_size;
  const io_handle f = open("/a", O_RDWR | O_CREAT | O_DIRECT);
  const std::string text(4 * sector, 'x');
  disk_.set_quota(2 * sector + 100);
  EXPECT_EQ(disk_.write_at(f, text, 0), std::int64_t{2 * sector});
  EXPECT_EQ(disk_.write_at(f, text, 2 * sector), -ENOSPC);
  EXPECT_EQ(disk_.write_at(f, std::string_view(text).substr(1), 0), -EINVAL);
  EXPECT_EQ(disk_.write_at(f, {}, 1), 0) << "of nothing nothing is asked";
  EXPECT_EQ(disk_.write_at(open("/a"), "x", 1), 1) << "through another handle";
}

TEST_F(VirtualDisk, a_broken_page_is_read_around_and_mended_when_all_of_it_is_written) {
  constexpr std::uint64_t page = virtual_disk::page_size;
  const io_handle f = open("/a");
  EXPECT_EQ(disk_.write_at(f, std::string(4 * page, 'x'), 0), std::int64_t{4 * page});
  EXPECT_EQ(disk_.break_pages("/none", 0, 1), -ENOENT);
  EXPECT_EQ(disk_.break_pages("/a", page + 1, page), 0) << "the second and the third";
  std::string out(4 * page, '\0');
  EXPECT_EQ(disk_.read_at(f, out.data(), out.size(), 100), std::int64_t{page - 100});
  EXPECT_EQ(disk_.read_at(f, out.data(), 1, page), -EIO);
  EXPECT_EQ(disk_.read_at(f, out.data(), 1, 3 * page - 1), -EIO);
  EXPECT_EQ(disk_.read_at(f, out.data(), out.size(), 3 * page), std::int64_t{page});
  EXPECT_EQ(disk_.write_at(f, "part", page + 8), -EIO) << "the rest of the page would be read";
  EXPECT_EQ(disk_.write_at(f, std::string(page, 'y'), page), std::int64_t{page});
  EXPECT_EQ(disk_.read_at(f, out.data(), out.size(), 0), std::int64_t{2 * page});
  EXPECT_EQ(out[page], 'y');
  EXPECT_EQ(disk_.read_at(f, out.data(), 1, 2 * page), -EIO) << "the other stays as it is";
}

TEST_F(VirtualDisk, refuses_what_linux_refuses) {
  EXPECT_EQ(disk_.open("/none", O_RDONLY, 9), -ENOENT);
  EXPECT_EQ(disk_.open("/no/where", O_RDWR | O_CREAT, 9), -ENOENT);
  EXPECT_EQ(disk_.open("/tmp", O_RDWR, 9), -EISDIR);
  EXPECT_EQ(disk_.open("", O_RDONLY, 9), -ENOENT);
  EXPECT_EQ(disk_.open(std::string(300, 'n').c_str(), O_RDWR | O_CREAT, 9), -ENAMETOOLONG);
  const io_handle f = open("/a");
  EXPECT_EQ(disk_.open("/a", O_RDWR | O_CREAT | O_EXCL, 9), -EEXIST);
  EXPECT_EQ(disk_.open("/a/b", O_RDWR | O_CREAT, 9), -ENOTDIR);
  EXPECT_EQ(disk_.open("/a", O_RDONLY | O_DIRECTORY, 9), -ENOTDIR);
  EXPECT_EQ(disk_.make_dir("/tmp"), -EEXIST);
  EXPECT_EQ(disk_.remove("/a", true), -ENOTDIR);
  EXPECT_EQ(disk_.remove("/tmp", false), -EISDIR);
  EXPECT_EQ(disk_.remove("/none", false), -ENOENT);
  EXPECT_EQ(disk_.remove("/", true), -EBUSY);
  const io_handle reader = open("/a", O_RDONLY);
  EXPECT_EQ(disk_.write_at(reader, "x", 0), -EBADF);
  const io_handle writer = open("/a", O_WRONLY);
  char out[1];
  EXPECT_EQ(disk_.read_at(writer, out, 1, 0), -EBADF);
  EXPECT_EQ(disk_.close(f), 0);
  EXPECT_EQ(disk_.close(f), -EBADF);
  EXPECT_EQ(disk_.write_at(f, "x", 0), -EBADF);
}

TEST_F(VirtualDisk, a_folder_with_entries_is_neither_removed_nor_replaced) {
  ASSERT_EQ(disk_.make_dir("/d"), 0);
  ASSERT_EQ(disk_.make_dir("/e"), 0);
  disk_.close(open("/d/x"));
  EXPECT_EQ(disk_.remove("/d", true), -ENOTEMPTY);
  EXPECT_EQ(disk_.rename("/e", "/d"), -ENOTEMPTY);
  EXPECT_EQ(disk_.rename("/d/x", "/e"), -EISDIR);
  EXPECT_EQ(disk_.rename("/e", "/d/x"), -ENOTDIR);
  EXPECT_EQ(disk_.rename("/d", "/d/inside"), -EINVAL);
  EXPECT_EQ(disk_.rename("/d", "/e"), 0);
  EXPECT_EQ(text("/e/x"), "");
}

TEST_F(VirtualDisk, paths_may_have_dots_and_double_slashes) {
  ASSERT_EQ(disk_.make_dir("/d"), 0);
  disk_.write_at(open("/d/x"), "1", 0);
  EXPECT_EQ(text("d/./x"), "1");
  EXPECT_EQ(text("//d//x"), "1");
  EXPECT_EQ(text("/d/../d/x"), "1");
  EXPECT_EQ(text("/../d/x"), "1");
  EXPECT_EQ(disk_.open("/d/x/", O_RDONLY, 99), -ENOTDIR);
}

TEST_F(VirtualDisk, truncating_and_growing_again_shows_zeros) {
  const io_handle f = open("/a");
  disk_.write_at(f, "abcdef", 0);
  EXPECT_EQ(disk_.truncate(f, 2), 0);
  EXPECT_EQ(disk_.truncate(f, 5), 0);
  EXPECT_EQ(text("/a"), std::string("ab\0\0\0", 5));
  EXPECT_EQ(disk_.preallocate(f, 0, 8), 0);
  EXPECT_EQ(text("/a").size(), 8u);
  EXPECT_EQ(disk_.preallocate(f, 0, 4), 0) << "does not shrink";
  EXPECT_EQ(text("/a").size(), 8u);
}

TEST_F(VirtualDisk, a_crash_drops_what_was_not_synced_and_keeps_the_rest) {
  const io_handle f = open("/a");
  disk_.write_at(f, "durable", 0);
  EXPECT_EQ(disk_.sync(f), 0);
  EXPECT_EQ(disk_.sync_dir("/"), 0);
  disk_.write_at(f, "X", 3);
  disk_.write_at(f, "more", 5000);
  disk_.crash(crash_loss::all);
  EXPECT_EQ(text("/a"), "durable");
  EXPECT_EQ(disk_.open_files(), 0u);
}

TEST_F(VirtualDisk, a_crash_that_loses_nothing_keeps_all) {
  disk_.write_at(open("/a"), "written", 0);
  disk_.crash(crash_loss::none);
  EXPECT_EQ(text("/a"), "written");
}

TEST_F(VirtualDisk, a_synced_file_without_a_synced_folder_is_gone_after_a_crash) {
  const io_handle f = open("/a");
  disk_.write_at(f, "x", 0);
  disk_.sync(f);
  disk_.crash(crash_loss::all);
  EXPECT_EQ(text("/a"), "(none)");
}

TEST_F(VirtualDisk, a_removal_and_a_rename_are_undone_by_a_crash_unless_the_folder_was_synced) {
  for (const bool is_synced : {false, true}) {
    for (const char* name : {"/old", "/gone", "/target"}) {
      const io_handle f = open(name);
      disk_.truncate(f, 0);
      disk_.write_at(f, name, 0);
      disk_.sync(f);
      disk_.close(f);
    }
    disk_.sync_dir("/");
    disk_.remove("/gone", false);
    disk_.rename("/old", "/target");
    if (is_synced) disk_.sync_dir("/");
    disk_.crash(crash_loss::all);
    EXPECT_EQ(text("/gone"), is_synced ? "(none)" : "/gone");
    EXPECT_EQ(text("/old"), is_synced ? "(none)" : "/old");
    EXPECT_EQ(text("/target"), is_synced ? "/old" : "/target");
  }
}

TEST_F(VirtualDisk, a_crash_by_lot_tears_writes_at_sectors_and_nowhere_else) {
  std::set<std::string> seen;
  for (int round = 0; round < 40; ++round) {
    const io_handle f = open("/a");
    disk_.truncate(f, 0);
    disk_.write_at(f, std::string(1024, 'o'), 0);
    disk_.sync(f);
    disk_.sync_dir("/");
    disk_.write_at(f, std::string(1024, 'n'), 0);
    disk_.crash(crash_loss::some);
    const std::string now = text("/a");
    ASSERT_EQ(now.size(), 1024u);
    for (const std::size_t sector : {0u, 512u}) {
      const std::string part = now.substr(sector, 512);
      EXPECT_TRUE(part == std::string(512, 'o') || part == std::string(512, 'n'));
    }
    seen.insert(now);
  }
  EXPECT_EQ(seen.size(), 4u) << "each sector by itself";
}

TEST_F(VirtualDisk, after_a_sync_that_failed_a_later_one_does_not_save_what_it_lost) {
  const io_handle f = open("/a");
  disk_.sync(f);
  disk_.sync_dir("/");
  disk_.write_at(f, "lost", 0);
  disk_.lose_sync(f);
  disk_.write_at(f, "kept", 2 * virtual_disk::page_size);
  EXPECT_EQ(disk_.sync(f), 0);
  EXPECT_EQ(text("/a").substr(0, 4), "lost") << "readers see it";
  disk_.crash(crash_loss::all);
  EXPECT_EQ(text("/a").substr(0, 4), std::string(4, '\0'));
  EXPECT_EQ(text("/a").substr(2 * virtual_disk::page_size), "kept");
}

TEST_F(VirtualDisk, the_quota_cuts_a_write_short_and_then_refuses_until_there_is_room) {
  disk_.set_quota(10);
  const io_handle f = open("/a");
  EXPECT_EQ(disk_.write_at(f, "12345678", 0), 8);
  EXPECT_EQ(disk_.write_at(f, "12345678", 8), 2);
  EXPECT_EQ(disk_.write_at(f, "1", 10), -ENOSPC);
  EXPECT_EQ(disk_.write_at(f, "x", 0), 1) << "inside the file there is room";
  EXPECT_EQ(disk_.preallocate(f, 0, 11), -ENOSPC);
  EXPECT_EQ(disk_.used(), 10u);
  disk_.truncate(f, 4);
  EXPECT_EQ(disk_.write_at(f, "1", 4), 1);
  disk_.close(f);
  disk_.remove("/a", false);
  disk_.sync_dir("/");
  EXPECT_EQ(disk_.used(), 0u);
}

TEST_F(VirtualDisk, a_lock_is_held_until_its_handle_is_closed) {
  const io_handle first = open("/lock");
  const io_handle second = open("/lock");
  EXPECT_EQ(disk_.lock(first), 0);
  EXPECT_EQ(disk_.lock(first), 0);
  EXPECT_EQ(disk_.lock(second), -EWOULDBLOCK);
  disk_.close(first);
  EXPECT_EQ(disk_.lock(second), 0);
  disk_.crash(crash_loss::none);
  EXPECT_EQ(disk_.lock(open("/lock")), 0) << "a lock ends with its process";
}

TEST_F(VirtualDisk, an_open_file_outlives_its_name) {
  const io_handle f = open("/a");
  disk_.write_at(f, "still here", 0);
  disk_.remove("/a", false);
  char out[10];
  EXPECT_EQ(disk_.read_at(f, out, 10, 0), 10);
  EXPECT_EQ(std::string(out, 10), "still here");
}

TEST_F(VirtualDisk, appending_writes_at_the_end_whatever_the_offset) {
  disk_.write_at(open("/a"), "abc", 0);
  disk_.write_at(open("/a", O_WRONLY | O_APPEND), "def", 0);
  EXPECT_EQ(text("/a"), "abcdef");
  open("/a", O_RDWR | O_TRUNC);
  EXPECT_EQ(text("/a"), "");
}

TEST_F(VirtualDisk, lists_names_in_order_or_by_lot) {
  for (const char* name : {"/c", "/a", "/b"}) open(name);
  std::vector<std::string> names;
  ASSERT_EQ(disk_.list_dir("/", names, false), 0);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c", "tmp"}));
  std::set<std::vector<std::string>> orders;
  for (int i = 0; i < 20; ++i) {
    std::vector<std::string> shuffled;
    disk_.list_dir("/", shuffled, true);
    orders.insert(shuffled);
    std::ranges::sort(shuffled);
    EXPECT_EQ(shuffled, names);
  }
  EXPECT_GT(orders.size(), 5u);
  EXPECT_EQ(disk_.list_dir("/a", names, false), -ENOTDIR);
}

TEST_F(VirtualDisk, tells_size_kind_and_time) {
  disk_.write_at(open("/a"), "four", 0);
  file_status status;
  ASSERT_EQ(disk_.status_of("/a", status), 0);
  EXPECT_EQ(status.size, 4u);
  EXPECT_FALSE(status.is_directory);
  EXPECT_EQ(status.modified_wall_ns, virtual_clock::wall_start.ns);
  ASSERT_EQ(disk_.status_of("/tmp", status), 0);
  EXPECT_TRUE(status.is_directory);
  EXPECT_EQ(disk_.status_of("/none", status), -ENOENT);
}

}  // namespace
}  // namespace weir::virtual_disk_test

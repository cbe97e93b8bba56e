// What files, paths and sockets refuse, on both arms: programs are tested in the virtual world for
// what they make of an error, so it has to come there where it comes on Linux.
// Needs the kernel: it is one of the two arms.
#include <weir/testing/two_arms.hpp>

#include <weir/core.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/file.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace weir::two_arms_files_test {
namespace {

// A new folder in the world that the test runs in.
task<std::string> new_folder() {
  static std::atomic<int> made = 0;
  const std::string at =
      "/tmp/weir_both_" + std::to_string(::getpid()) + "_" + std::to_string(++made);
  co_await make_dir(at);
  co_return at;
}

template <class Awaitable>
task<std::string> how(Awaitable done) {
  const auto outcome = co_await as_result(std::move(done));
  if (outcome) co_return "ok";
  co_return std::string(name(outcome.error().code())) + " " +
      std::to_string(outcome.error().os_code());
}
std::string with(errc code, int number) {
  return std::string(name(code)) + " " + std::to_string(number);
}

task<listener> listen_at(std::string path) { co_return co_await listen({.path = path}); }

WEIR_TEST_ON_BOTH("a path whose listener is gone can be listened at again") {
  const std::string folder = co_await new_folder();
  const std::string path = folder + "/s";
  listener first = co_await listen_at(path);
  EXPECT_EQ(co_await how(listen_at(path)), with(errc::busy, EADDRINUSE));
  first.close();
  EXPECT_TRUE(path_status(path)) << "its file stays";
  listener second = co_await listen_at(path);
  EXPECT_EQ(co_await how(listen_at(path)), with(errc::busy, EADDRINUSE));
  EXPECT_EQ(co_await how(connect(second.local())), "ok");
  second.close();
  co_await remove_path(path);
  co_await remove_dir(folder);
}

WEIR_TEST_ON_BOTH(
    "a file that is opened for reading can be emptied by that, and not by truncate()") {
  const std::string folder = co_await new_folder();
  const std::string path = folder + "/f";
  {
    file made = co_await open_file(path, {.write = true, .create = true});
    co_await made.write_at(0, "0123456789");
    file reader = co_await open_file(path);
    EXPECT_EQ(co_await how(reader.truncate(1)), with(errc::invalid_argument, EINVAL));
    EXPECT_EQ(reader.size(), 10u);
    const file emptied = co_await open_file(path, {.truncate = true});
    EXPECT_EQ(emptied.size(), 0u);
  }
  co_await remove_path(path);
  co_await remove_dir(folder);
}

WEIR_TEST_ON_BOTH("offsets beyond all files are no lack of space") {
  const std::string folder = co_await new_folder();
  const std::string path = folder + "/f";
  const std::string invalid = with(errc::invalid_argument, EINVAL);
  {
    file made = co_await open_file(path, {.write = true, .create = true});
    constexpr std::uint64_t last = INT64_MAX;
    char into[8];
    EXPECT_EQ(co_await how(made.write_at(last - 3, "0123456789")), invalid);
    // No driver is asked.
    EXPECT_EQ(co_await how(made.truncate(UINT64_MAX)), with(errc::invalid_argument, 0));
    EXPECT_EQ(co_await how(made.read_at(last - 3, std::span(into))), invalid);
    EXPECT_EQ(made.size(), 0u);
  }
  co_await remove_path(path);
  co_await remove_dir(folder);
}

// Some file systems, and some kinds of network disks, let direct transfers of any size through.
bool takes_parts_of_sectors(const std::string& folder) {
  if (dynamic_cast<virtual_driver*>(&loop::current()->io())) return false;
  const std::string path = folder + "/probe";
  const int probe = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_DIRECT, 0600);
  alignas(512) static const char odd[100] = {};
  const bool is_taken = probe < 0 || ::pwrite(probe, odd, sizeof odd, 0) >= 0;
  if (probe >= 0) ::close(probe);
  ::unlink(path.c_str());
  return is_taken;
}

task<> transfer_parts_of_sectors(std::string path) {
  constexpr std::size_t block = 4096;  // a sector is of 512 bytes or of so many
  alignas(block) static char memory[2 * block];
  const std::string invalid = with(errc::invalid_argument, EINVAL);
  file made = co_await open_file(path, {.write = true, .create = true, .direct = true});
  EXPECT_EQ(co_await how(made.write_at(0, std::string_view(memory, 100))), invalid);
  EXPECT_EQ(co_await how(made.write_at(100, std::string_view(memory, block))), invalid);
  EXPECT_EQ(made.size(), 0u);
  EXPECT_EQ(co_await how(made.write_at(0, std::string_view(memory, block))), "ok");
  EXPECT_EQ(co_await how(made.write_at(block, std::string_view(memory, block))), "ok");
  EXPECT_EQ(made.size(), 2 * block);
  EXPECT_EQ(co_await how(made.read_at(0, std::span(memory, 100))), invalid);
  EXPECT_EQ(co_await how(made.read_at(100, std::span(memory, block))), invalid);
  std::size_t read = 0;
  while (read < 2 * block) {
    const std::size_t piece = co_await made.read_at(read, std::span(memory).subspan(read));
    EXPECT_TRUE(piece != 0 && piece % 512 == 0) << piece;
    if (piece == 0) break;
    read += piece;
  }
  EXPECT_EQ(co_await made.read_at(2 * block, std::span(memory)), 0u);
  EXPECT_EQ(co_await how(made.read_at(2 * block + 1, std::span(memory, 100))), "ok")
      << "nothing is there to be read";
}

WEIR_TEST_ON_BOTH("a direct transfer is of whole sectors, from the beginning of one") {
  const std::string folder = co_await new_folder();
  if (takes_parts_of_sectors(folder)) {
    [] { GTEST_SKIP() << "the file system takes parts of sectors"; }();
  } else {
    co_await transfer_parts_of_sectors(folder + "/f");
    co_await remove_path(folder + "/f");
  }
  co_await remove_dir(folder);
}

WEIR_TEST_ON_BOTH("a folder is not removed or renamed by its dots") {
  const std::string folder = co_await new_folder();
  co_await make_dir(folder + "/d");
  EXPECT_EQ(co_await how(remove_dir(folder + "/d/.")), with(errc::invalid_argument, EINVAL));
  EXPECT_EQ(co_await how(remove_dir(folder + "/d/./")), with(errc::invalid_argument, EINVAL));
  EXPECT_NE(co_await how(remove_dir(folder + "/d/..")), "ok");
  EXPECT_NE(co_await how(remove_path(folder + "/d/.")), "ok");
  EXPECT_NE(co_await how(rename_path(folder + "/d/.", folder + "/e")), "ok");
  EXPECT_NE(co_await how(make_dir(folder + "/none/.")), "ok");
  EXPECT_TRUE(path_status(folder + "/d"));
  co_await remove_dir(folder + "/d");
  co_await remove_dir(folder);
}

WEIR_TEST_ON_BOTH("no datagram goes to port 0") {
  datagram_socket from = bind_datagrams({});
  EXPECT_EQ(co_await how(from.send_to(*address::parse("127.0.0.1:0"), "x")),
            with(errc::invalid_argument, EINVAL));
}

}  // namespace
}  // namespace weir::two_arms_files_test

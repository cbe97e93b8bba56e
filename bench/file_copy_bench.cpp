// What moving a file costs that is in the page cache, by MiB: to another file, beside cp(1) and
// beside reading and writing, and to a socket of the same machine or a pipe, beside reading and
// sending. The hard idea: cp is a program of its own, so the processor time of children counts, and
// its start is part of what it costs.
#include <weir/io/file.hpp>

#include <weir/core.hpp>
#include <weir/io/copy.hpp>
#include <weir/io/file_copy.hpp>
#include <weir/io/file_stream.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/socket.hpp>

#include "measure.hpp"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using weir::task;

namespace {

constexpr std::int64_t mebibyte = 1 << 20;

std::int64_t all_cpu_ns() {
  struct rusage children = {};
  ::getrusage(RUSAGE_CHILDREN, &children);
  const auto ns = [](const timeval& t) { return t.tv_sec * 1'000'000'000 + t.tv_usec * 1'000; };
  return bench::cpu_ns() + ns(children.ru_utime) + ns(children.ru_stime);
}

struct files {
  std::string folder;
  std::string from() const { return folder + "/from"; }
  std::string to() const { return folder + "/to"; }

  files() : folder((std::filesystem::temp_directory_path() / "file-copy-XXXXXX").string()) {
    if (!::mkdtemp(folder.data())) std::abort();
  }
  files(const files&) = delete;
  files& operator=(const files&) = delete;
  ~files() { std::filesystem::remove_all(folder); }
};

task<std::uint64_t> write_source(std::string path, std::int64_t size) {
  weir::file made = co_await weir::open_file(std::move(path), {.write = true, .create = true});
  std::string piece(mebibyte, 'x');
  for (std::int64_t at = 0; at < size; at += mebibyte) {
    for (std::size_t i = 0; i < piece.size(); i += 512)
      piece[i] = static_cast<char>(bench::scramble(static_cast<std::uint32_t>(at + i)) & 0xff);
    co_await made.write_at(static_cast<std::uint64_t>(at), piece);
  }
  co_await made.sync();
  co_return made.size();
}

task<weir::file> open_target(const files& in) {
  co_return co_await weir::open_file(in.to(), {.write = true, .create = true, .truncate = true});
}

task<std::uint64_t> by_kernel(const files& in, std::size_t piece_bytes) {
  weir::file from = co_await weir::open_file(in.from());
  weir::file to = co_await open_target(in);
  co_return co_await weir::copy_file(from, to, {.piece_bytes = piece_bytes});
}

task<std::uint64_t> by_reading(const files& in) {
  weir::file from = co_await weir::open_file(in.from());
  weir::file to = co_await open_target(in);
  weir::file_source source(from);
  weir::file_sink sink(to);
  co_return co_await weir::copy(source, sink);
}

std::uint64_t by_cp(const files& in) {
  std::string words[] = {"cp", in.from(), in.to()};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t child = 0;
  int status = 1;
  if (::posix_spawnp(&child, "cp", nullptr, nullptr, arguments, environ) != 0) std::abort();
  if (::waitpid(child, &status, 0) != child || status != 0) std::abort();
  return std::filesystem::file_size(in.to());
}

/// The other end: a thread that takes all bytes without copying them, so that the sender's share is
/// what counts.
class dropping_peer {
 public:
  explicit dropping_peer(std::uint16_t port) : thread_([this, port] { drop_all(port); }) {}
  std::uint64_t count() {
    thread_.join();
    return count_;
  }

 private:
  void drop_all(std::uint16_t port) {
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to{.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
                                .sin_zero = {}};
    if (::connect(made, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) std::abort();
    std::vector<char> memory(mebibyte);
    for (;;) {
      const ssize_t size = ::recv(made, memory.data(), memory.size(), MSG_TRUNC);
      if (size <= 0) break;
      count_ += static_cast<std::uint64_t>(size);
    }
    ::close(made);
  }

  std::uint64_t count_ = 0;
  std::thread thread_;
};

task<std::uint64_t> to_socket(const files& in, std::size_t piece_bytes) {
  weir::file from = co_await weir::open_file(in.from());
  weir::listener door = co_await weir::listen({});
  dropping_peer peer(door.local().port());
  weir::socket client = co_await door.accept();
  if (piece_bytes != 0) {
    co_await weir::send_file(from, client, {.piece_bytes = piece_bytes});
  } else {
    weir::file_source source(from);
    co_await weir::copy(source, client);
  }
  client.close();
  co_return peer.count();
}

task<> drop(weir::socket* from, std::uint64_t* count) {
  while (const weir::bytes piece = co_await from->receive()) *count += piece.size();
}

/// Whether the sender keeps to the pace that its machine's congestion control asks for: BBR paces
/// also where a machine talks to itself, by a timer for each few pieces.
enum class pace : std::uint8_t { of_machine, none };

/// For all connections of `door` that are made from now on: one that BBR has begun stays paced.
void set_pace(const weir::listener& door, pace as) {
  if (as == pace::of_machine) return;
  constexpr std::string_view plain = "reno";  // which every Linux has and everybody may ask for
  if (::setsockopt(door.handle(), IPPROTO_TCP, TCP_CONGESTION, plain.data(), plain.size()) != 0)
    std::abort();
}

/// Both ends are tasks of one loop, so what the peer takes counts as well.
task<std::uint64_t> on_one_loop(const files& in, bool is_by_kernel, pace as) {
  weir::file from = co_await weir::open_file(in.from());
  weir::listener door = co_await weir::listen({});
  set_pace(door, as);
  weir::socket peer = co_await weir::connect(door.local());
  weir::socket client = co_await door.accept();
  std::uint64_t count = 0;
  co_await weir::with_scope([&](weir::scope& s) -> task<> {
    s.spawn(drop, &peer, &count);
    if (is_by_kernel) {
      co_await weir::send_file(from, client);
    } else {
      weir::file_source source(from);
      co_await weir::copy(source, client);
    }
    client.close();
  });
  co_return count;
}

/// Its reader is a thread, which takes the bytes without copying them: splice to /dev/null.
class pipe_reading_thread {
 public:
  explicit pipe_reading_thread(int from) : thread_([this, from] { drop_all(from); }) {}
  std::uint64_t count() {
    thread_.join();
    return count_;
  }

 private:
  void drop_all(int from) {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (;;) {
      const ssize_t size = ::splice(from, nullptr, nowhere, nullptr, mebibyte, 0);
      if (size <= 0) break;
      count_ += static_cast<std::uint64_t>(size);
    }
    ::close(nowhere);
    ::close(from);
  }

  std::uint64_t count_ = 0;
  std::thread thread_;
};

task<std::uint64_t> to_pipe(const files& in, bool is_by_kernel) {
  weir::file from = co_await weir::open_file(in.from());
  auto [reader, writer] = weir::make_pipe();
  const int taken = ::fcntl(reader.handle(), F_DUPFD_CLOEXEC, 0);
  ::fcntl(taken, F_SETFL, 0);
  reader.close();
  pipe_reading_thread peer(taken);
  if (is_by_kernel) {
    co_await weir::send_file(from, writer);
  } else {
    weir::file_source source(from);
    co_await weir::copy(source, writer);
  }
  writer.close();
  co_return peer.count();
}

std::uint64_t run(task<std::uint64_t> what) {
  const std::unique_ptr<weir::driver> driver = weir::make_driver({});
  return weir::run_on(*driver, std::move(what));
}

/// The work is one file whatever the count is, which only divides its time.
template <class Work>
void measure_both(const char* cpu, const char* wall, std::int64_t mebibytes, Work work) {
  const auto whole = [&](std::int64_t) { return work(); };
  bench::measure<5>(cpu, mebibytes, whole, &all_cpu_ns);
  bench::measure<5>(wall, mebibytes, whole, &bench::wall_ns);
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t mebibytes = bench::is_small(argc, argv) ? 2 : 256;
  const files in;
  run(write_source(in.from(), mebibytes * mebibyte));
  constexpr std::size_t piece = weir::copy_file_options{}.piece_bytes;
  measure_both("copy_file/cpu", "copy_file/wall", mebibytes,
               [&] { return run(by_kernel(in, piece)); });
  measure_both("copy_file@cp/cpu", "copy_file@cp/wall", mebibytes, [&] { return by_cp(in); });
  measure_both("copy_file@read_write/cpu", "copy_file@read_write/wall", mebibytes,
               [&] { return run(by_reading(in)); });
  measure_both("copy_file@piece_4M/cpu", "copy_file@piece_4M/wall", mebibytes,
               [&] { return run(by_kernel(in, std::size_t{4} << 20)); });
  constexpr std::size_t sent = weir::send_file_options{}.piece_bytes;
  measure_both("send_file/cpu", "send_file/wall", mebibytes,
               [&] { return run(to_socket(in, sent)); });
  measure_both("send_file@read_send/cpu", "send_file@read_send/wall", mebibytes,
               [&] { return run(to_socket(in, 0)); });
  measure_both("send_file@piece_64K/cpu", "send_file@piece_64K/wall", mebibytes,
               [&] { return run(to_socket(in, std::size_t{64} << 10)); });
  measure_both("send_file_on_one_loop/cpu", "send_file_on_one_loop/wall", mebibytes,
               [&] { return run(on_one_loop(in, true, pace::of_machine)); });
  measure_both("send_file_on_one_loop@read_send/cpu", "send_file_on_one_loop@read_send/wall",
               mebibytes, [&] { return run(on_one_loop(in, false, pace::of_machine)); });
  measure_both("send_file_on_one_loop_unpaced/cpu", "send_file_on_one_loop_unpaced/wall", mebibytes,
               [&] { return run(on_one_loop(in, true, pace::none)); });
  measure_both("send_file_on_one_loop_unpaced@read_send/cpu",
               "send_file_on_one_loop_unpaced@read_send/wall", mebibytes,
               [&] { return run(on_one_loop(in, false, pace::none)); });
  measure_both("send_file_to_pipe/cpu", "send_file_to_pipe/wall", mebibytes,
               [&] { return run(to_pipe(in, true)); });
  measure_both("send_file_to_pipe@read_send/cpu", "send_file_to_pipe@read_send/wall", mebibytes,
               [&] { return run(to_pipe(in, false)); });
}

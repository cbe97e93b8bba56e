// A server of another program that a benchmark starts for itself: on core 0, with its data in a
// temporary folder, and gone when the benchmark is, whatever ended it.
#pragma once

#include "measure.hpp"
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace bench {

constexpr int server_core = 0;
constexpr int client_core = 1;

/// Ends the benchmark, with its servers and folders.
[[noreturn]] inline void die(const std::string& what) { throw std::runtime_error(what); }

/// The body of main().
template <class Work>
int run(Work work) {
  try {
    work();
    return 0;
  } catch (const std::exception& why) {
    std::fprintf(stderr, "benchmark: %s\n", why.what());
    return 1;
  }
}

inline void pin_to(int core) {
  if (sysconf(_SC_NPROCESSORS_ONLN) <= core) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

/// A port of loopback that is free now, for servers that can't choose one themselves.
inline int free_port() {
  const int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  if (bind(handle, reinterpret_cast<sockaddr*>(&at), size) != 0) die("no free port");
  getsockname(handle, reinterpret_cast<sockaddr*>(&at), &size);
  close(handle);
  return ntohs(at.sin_port);
}

/// A folder on the disk under test, removed at the end.
class temp_folder {
 public:
  explicit temp_folder(const char* what) {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base ? base : "/tmp") + "/weir-" + what + "-XXXXXX";
    if (!mkdtemp(path_.data())) die("no temporary folder " + path_);
  }
  temp_folder(const temp_folder&) = delete;
  temp_folder& operator=(const temp_folder&) = delete;
  ~temp_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A server of another program. It dies with us, whatever ends us.
class server_process {
 public:
  server_process(const std::vector<std::string>& command, const std::vector<std::string>& variables,
                 std::string log)
      : log_(std::move(log)) {
    pid_ = fork();
    if (pid_ < 0) die("fork");
    if (pid_ == 0) become(command, variables);
  }
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;
  ~server_process() { stop(); }

  /// Waits until the log has a line with `text`; gives what follows it there.
  std::string wait_for(const std::string& text) {
    for (int i = 0; i < 6'000; ++i) {
      std::ifstream log(log_);
      for (std::string line; std::getline(log, line);) {
        if (const auto at = line.find(text); at != line.npos) return line.substr(at + text.size());
      }
      if (waitpid(pid_, nullptr, WNOHANG) != 0) {
        pid_ = 0;
        ended_at_once();
      }
      pause(10);
    }
    die("the server is not ready after a minute");
  }
  /// What all its threads have used, also those that have ended, in microseconds.
  double cpu_us() const {
    clockid_t clock{};
    timespec used{};
    if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &used) != 0) {
      die("can't read the server's processor time");
    }
    return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) / 1e3;
  }
  /// "VmRSS", "VmHWM" ... in bytes.
  std::int64_t status(const std::string& what) const {
    std::ifstream from("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(from, line);) {
      if (line.starts_with(what + ":")) return std::atoll(line.c_str() + what.size() + 1) * 1'024;
    }
    return 0;
  }
  void stop(int with = SIGTERM) {
    if (pid_ <= 0) return;
    kill(pid_, with);
    for (int i = 0; i < 2'000; ++i) {
      if (waitpid(pid_, nullptr, WNOHANG) != 0) {
        pid_ = 0;
        return;
      }
      pause(10);
    }
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, 0), nullptr, 0);
  }
  static void pause(int ms) {
    const timespec length{ms / 1'000, ms % 1'000 * 1'000'000L};
    nanosleep(&length, nullptr);
  }

 private:
  [[noreturn]] void ended_at_once() const {
    std::ifstream log(log_);
    const std::string text((std::istreambuf_iterator<char>(log)), {});
    die("the server ended at once:\n" + text.substr(0, 2'000));
  }
  [[noreturn]] void become(const std::vector<std::string>& command,
                           const std::vector<std::string>& variables) const {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to(server_core);
    const int log = open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    for (const std::string& one : variables) putenv(const_cast<char*>(one.c_str()));
    std::vector<char*> words;
    for (const std::string& one : command) words.push_back(const_cast<char*>(one.c_str()));
    words.push_back(nullptr);
    execvp(words[0], words.data());
    _exit(127);
  }

  std::string log_;
  pid_t pid_ = 0;
};

}  // namespace bench

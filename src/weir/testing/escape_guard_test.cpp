// Each function that the guard knows is caught in a simulated run, and works outside of one.
#include <weir/testing/escape_guard.hpp>

#include <weir/base/log.hpp>
#include <weir/io/blocking.hpp>
#include <weir/testing/test.hpp>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>

namespace weir::testing::escape_guard_test {
namespace {

constexpr const char* need_the_guard = "the sanitizers stand before these functions themselves";

// One call; true when it did what it does.
struct guarded_call {
  const char* function;
  const char* instead;
  bool (*call)();
};

int wait_for(pid_t child) {
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}
bool is_closed(int descriptor) { return descriptor >= 0 && ::close(descriptor) == 0; }
bool connect_nowhere() {
  sockaddr_in nowhere{};
  nowhere.sin_family = AF_INET;
  return ::connect(-1, reinterpret_cast<sockaddr*>(&nowhere), sizeof nowhere) == -1;
}
bool spawn_true(decltype(&::posix_spawn) how) {
  char name[] = "/bin/true";
  char* const words[] = {name, nullptr};
  pid_t child = -1;
  return how(&child, name, nullptr, nullptr, words, nullptr) == 0 && wait_for(child) == 0;
}
bool fork_one() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  return wait_for(child) == 0;
}

bool are_closed(int made, const int (&ends)[2]) {
  return made == 0 && is_closed(ends[0]) && is_closed(ends[1]);
}
bool fails_with(int code, int outcome) { return outcome == -1 && errno == code; }
constexpr const char* no_path = "/nowhere/at/all";

const guarded_call calls[] = {
    {"clock_gettime", "now()",
     [] {
       timespec t{};
       return ::clock_gettime(CLOCK_REALTIME, &t) == 0 && t.tv_sec > 0;
     }},
    {"clock_gettime", "now()",
     [] { return std::chrono::steady_clock::now().time_since_epoch().count() > 0; }},
    {"clock_gettime", "now()",
     [] { return std::chrono::system_clock::now().time_since_epoch().count() > 0; }},
    {"gettimeofday", "now()",
     [] {
       timeval t{};
       return ::gettimeofday(&t, nullptr) == 0 && t.tv_sec > 0;
     }},
    {"time", "now()", [] { return ::time(nullptr) > 0; }},
    {"nanosleep", "sleep()",
     [] {
       const timespec t{.tv_sec = 0, .tv_nsec = 1};
       // tidy-allow(words): this is about those who do so
       return ::nanosleep(&t, nullptr) == 0;
     }},
    {"clock_nanosleep", "sleep()",
     [] {
       const timespec t{.tv_sec = 0, .tv_nsec = 1};
       return ::clock_nanosleep(CLOCK_MONOTONIC, 0, &t, nullptr) == 0;
     }},
    {"nanosleep", "sleep()",
     [] {
       // tidy-allow(words): this is about those who do so
       std::this_thread::sleep_for(std::chrono::nanoseconds(1));
       return true;
     }},
    // tidy-allow(words): this is about those who do so
    {"usleep", "sleep()", [] { return ::usleep(1) == 0; }},
    {"sleep", "sleep()", [] { return ::sleep(0) == 0; }},
    {"getrandom", "random()",
     [] {
       int bits = 0;
       return ::getrandom(&bits, sizeof bits, 0) == sizeof bits;
     }},
    {"getentropy", "random()",
     [] {
       int bits = 0;
       return ::getentropy(&bits, sizeof bits) == 0;
     }},
    {"std::random_device", "random()",
     [] {
       std::random_device bits;
       return bits() <= std::random_device::max();
     }},
    {"pthread_create", "tasks",
     [] {
       bool has_run = false;
       std::thread([&] { has_run = true; }).join();
       return has_run;
     }},
    {"fork", "run_process()", &fork_one},
    {"posix_spawn", "run_process()", [] { return spawn_true(&::posix_spawn); }},
    {"posix_spawnp", "run_process()", [] { return spawn_true(&::posix_spawnp); }},
    {"getaddrinfo", "resolve()",
     [] {
       addrinfo hints{};
       hints.ai_flags = AI_NUMERICHOST;
       addrinfo* found = nullptr;
       const bool is_found = ::getaddrinfo("127.0.0.1", nullptr, &hints, &found) == 0;
       if (is_found) ::freeaddrinfo(found);
       return is_found;
     }},
    {"socket", "connect()", [] { return is_closed(::socket(AF_INET, SOCK_STREAM, 0)); }},
    {"connect", "connect()", &connect_nowhere},
    {"open", "open_file()", [] { return is_closed(::open("/dev/null", O_RDONLY)); }},
    {"openat", "open_file()", [] { return is_closed(::openat(AT_FDCWD, "/dev/null", O_RDONLY)); }},
    {"fopen", "open_file()",
     [] {
       FILE* const file = std::fopen("/dev/null", "r");
       return file && std::fclose(file) == 0;
     }},
    {"fopen64", "open_file()",
     [] {
       FILE* const file = ::fopen64("/dev/null", "r");
       return file && std::fclose(file) == 0;
     }},
    {"fopen", "open_file()", [] { return std::ifstream("/dev/null").is_open(); }},
    {"timespec_get", "now()",
     [] {
       timespec t{};
       return std::timespec_get(&t, TIME_UTC) == TIME_UTC && t.tv_sec > 0;
     }},
    {"clock", "now()", [] { return std::clock() >= 0; }},
    {"poll", "co_await", [] { return ::poll(nullptr, 0, 0) == 0; }},
    {"ppoll", "co_await",
     [] {
       const timespec none{};
       return ::ppoll(nullptr, 0, &none, nullptr) == 0;
     }},
    {"select", "co_await",
     [] {
       timeval none{};
       return ::select(0, nullptr, nullptr, nullptr, &none) == 0;
     }},
    {"pselect", "co_await",
     [] {
       const timespec none{};
       return ::pselect(0, nullptr, nullptr, nullptr, &none, nullptr) == 0;
     }},
    {"epoll_create1", "co_await", [] { return is_closed(::epoll_create1(0)); }},
    {"epoll_wait", "co_await",
     [] {
       epoll_event one{};
       return fails_with(EBADF, ::epoll_wait(-1, &one, 1, 0));
     }},
    {"timerfd_create", "sleep()", [] { return is_closed(::timerfd_create(CLOCK_MONOTONIC, 0)); }},
    {"eventfd", "co_await", [] { return is_closed(::eventfd(0, 0)); }},
    {"rand", "random()", [] { return std::rand() >= 0; }},
    {"random", "random()", [] { return ::random() >= 0; }},
    {"drand48", "random()", [] { return ::drand48() < 1; }},
    {"lrand48", "random()", [] { return ::lrand48() >= 0; }},
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 36)
    {"arc4random", "random()", [] { return ::arc4random() <= UINT32_MAX; }},
    {"arc4random_uniform", "random()", [] { return ::arc4random_uniform(2) < 2; }},
    {"arc4random_buf", "random()",
     [] {
       int bits = 0;
       ::arc4random_buf(&bits, sizeof bits);
       return true;
     }},
#endif
    {"mkstemp", "open_file()",
     [] {
       char path[] = "/nowhere/XXXXXX";
       return ::mkstemp(path) == -1;
     }},
    {"mkdtemp", "make_dir()",
     [] {
       char path[] = "/nowhere/XXXXXX";
       return ::mkdtemp(path) == nullptr;
     }},
    {"tmpfile", "open_file()",
     [] {
       std::FILE* const made = std::tmpfile();
       return made && std::fclose(made) == 0;
     }},
    {"system", "run_process()", [] { return std::system("true") == 0; }},
    {"popen", "run_process()",
     [] {
       FILE* const child = ::popen("true", "r");
       return child && ::pclose(child) == 0;
     }},
    {"getenv", "a parameter", [] { return std::getenv("PATH") != nullptr; }},
    {"secure_getenv", "a parameter", [] { return ::secure_getenv("PATH") != nullptr; }},
    {"setenv", "a parameter", [] { return ::setenv("WEIR_NOBODY_ASKS", "1", 1) == 0; }},
    {"unsetenv", "a parameter", [] { return ::unsetenv("WEIR_NOBODY_ASKS") == 0; }},
    {"putenv", "a parameter",
     [] {
       static char text[] = "WEIR_NOBODY_ASKS=2";
       return ::putenv(text) == 0;
     }},
    {"sigaction", "wait_signal()",
     [] {
       struct sigaction now{};
       return ::sigaction(SIGUSR2, nullptr, &now) == 0;
     }},
    {"signal", "wait_signal()", [] { return ::signal(SIGURG, SIG_DFL) == SIG_DFL; }},
    {"kill", "raise_signal()", [] { return ::kill(::getpid(), 0) == 0; }},
    {"raise", "raise_signal()", [] { return ::raise(0) == 0; }},
    {"bind", "listen()",
     [] {
       sockaddr_in nowhere{};
       return fails_with(EBADF, ::bind(-1, reinterpret_cast<sockaddr*>(&nowhere), sizeof nowhere));
     }},
    {"listen", "listen()", [] { return fails_with(EBADF, ::listen(-1, 1)); }},
    {"socketpair", "connect()",
     [] {
       int ends[2] = {-1, -1};
       return are_closed(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ends);
     }},
    {"pipe", "make_pipe()",
     [] {
       int ends[2] = {-1, -1};
       return are_closed(::pipe(ends), ends);
     }},
    {"pipe2", "make_pipe()",
     [] {
       int ends[2] = {-1, -1};
       return are_closed(::pipe2(ends, O_CLOEXEC), ends);
     }},
    {"stat", "make_dir()",
     [] {
       struct stat found{};
       return ::stat("/", &found) == 0 && S_ISDIR(found.st_mode);
     }},
    {"stat", "make_dir()", [] { return std::filesystem::exists("/"); }},
    {"lstat", "make_dir()",
     [] {
       struct stat found{};
       return ::lstat("/", &found) == 0 && S_ISDIR(found.st_mode);
     }},
    {"access", "make_dir()", [] { return ::access("/", R_OK) == 0; }},
    {"mkdir", "make_dir()", [] { return fails_with(EEXIST, ::mkdir("/", 0700)); }},
    {"rmdir", "remove_path()", [] { return fails_with(ENOENT, ::rmdir(no_path)); }},
    {"unlink", "remove_path()", [] { return fails_with(ENOENT, ::unlink(no_path)); }},
    {"unlinkat", "remove_path()",
     [] { return fails_with(ENOENT, ::unlinkat(AT_FDCWD, no_path, 0)); }},
    {"remove", "remove_path()", [] { return fails_with(ENOENT, std::remove(no_path)); }},
    {"rename", "rename_path()", [] { return fails_with(ENOENT, std::rename(no_path, "/none")); }},
    {"alarm", "weir::sleep()", [] { return ::alarm(0) == 0; }},
    {"creat", "open_file()", [] { return fails_with(ENOENT, ::creat(no_path, 0600)); }},
    {"truncate", "open_file()", [] { return fails_with(ENOENT, ::truncate(no_path, 0)); }},
    {"link", "rename_path()", [] { return fails_with(ENOENT, ::link(no_path, "/none")); }},
    {"symlink", "rename_path()", [] { return fails_with(ENOENT, ::symlink("a", no_path)); }},
    {"readlink", "rename_path()",
     [] {
       char text[8];
       return fails_with(ENOENT, static_cast<int>(::readlink(no_path, text, sizeof text)));
     }},
    {"chmod", "rename_path()", [] { return fails_with(ENOENT, ::chmod(no_path, 0600)); }},
    {"chdir", "whole paths", [] { return fails_with(ENOENT, ::chdir(no_path)); }},
    {"getcwd", "whole paths",
     [] {
       char text[4096];
       return ::getcwd(text, sizeof text) != nullptr;
     }},
    {"opendir", "make_dir()",
     [] {
       DIR* const folder = ::opendir("/");
       return folder && ::closedir(folder) == 0;
     }},
};

task<> culprit(bool (*call)(), int* said) {
  *said = call() ? 1 : 0;
  co_return;
}

class EscapeGuard : public ::testing::TestWithParam<guarded_call> {
 protected:
  void SetUp() override {
    if (!are_escapes_caught()) GTEST_SKIP() << need_the_guard;
  }
};

TEST_P(EscapeGuard, fails_the_run_with_the_stack_of_who_called) {
  int said = -1;
  const virtual_outcome outcome = run_outcome(culprit(GetParam().call, &said));
  EXPECT_EQ(outcome.how, run_failure::escape);
  for (const char* part : {GetParam().function, GetParam().instead, "culprit", "simulated run"}) {
    EXPECT_NE(outcome.failure.find(part), std::string::npos) << part << " in " << outcome.failure;
  }
  EXPECT_EQ(said, 1) << "the call itself is made";
}

TEST_P(EscapeGuard, is_silent_outside_of_a_run_and_where_it_is_told_to_be) {
  EXPECT_TRUE(GetParam().call());
  const virtual_outcome outcome = run_outcome([](bool (*call)()) -> task<> {
    const escape_allowed here;
    EXPECT_TRUE(call());
    co_return;
  }(GetParam().call));
  EXPECT_FALSE(outcome.is_failed) << outcome.failure;
}

INSTANTIATE_TEST_SUITE_P(, EscapeGuard, ::testing::ValuesIn(calls), [](const auto& of) {
  std::string name = of.param.function;
  for (char& c : name) c = c == ':' ? '_' : c;
  return name + "_" + std::to_string(of.index);
});

// What a program asks of the world may have reasons of the world's; what it is called back for is
// its own again.
TEST(EscapeGuards, catch_what_a_completion_calls) {
  if (!are_escapes_caught()) GTEST_SKIP() << need_the_guard;
  const virtual_outcome outcome =
      run_outcome([]() -> task<> { co_await blocking([] { return ::time(nullptr); }); }());
  EXPECT_EQ(outcome.how, run_failure::escape);
}

TEST(EscapeGuards, leave_a_run_with_threads_alone) {
  const virtual_outcome outcome = run_outcome(
      []() -> task<> {
        EXPECT_GT(::time(nullptr), 0);
        co_return;
      }(),
      {.world = {.threads = true}});
  EXPECT_FALSE(outcome.is_failed) << outcome.failure;
}

// A log line reads WEIR_LOG once, and may be the first one.
TEST(EscapeGuards, leave_the_times_of_the_log_alone) {
  const virtual_outcome outcome = run_outcome([]() -> task<> {
    log::write(log::level::error, "at a time of its own", {});
    co_return;
  }());
  EXPECT_FALSE(outcome.is_failed) << outcome.failure;
}

}  // namespace
}  // namespace weir::testing::escape_guard_test

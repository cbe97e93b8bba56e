#include <weir/testing/escape_guard.hpp>

#include <weir/sim/virtual_run.hpp>
#include <weir/testing/internal/death_note.hpp>

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define WEIR_CALLS_ARE_TAKEN 1
#endif
#endif
#ifndef __GLIBC__
#define WEIR_CALLS_ARE_TAKEN 1
#endif

// A program may be compiled with a sanitizer where this library was not. Its runtime makes calls of
// its own from the program: UBSan looks at an object by way of a pipe.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): theirs
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __tsan_init();
[[gnu::weak]] void __ubsan_handle_type_mismatch_v1();
// NOLINTEND(bugprone-reserved-identifier)
}

namespace weir::testing {

bool are_escapes_caught() noexcept {
#ifdef WEIR_CALLS_ARE_TAKEN
  return false;
#else
  return !__asan_init && !__tsan_init && !__ubsan_handle_type_mismatch_v1;
#endif
}

}  // namespace weir::testing

#ifndef WEIR_CALLS_ARE_TAKEN

namespace {

constexpr const char* a_clock = "loop::current()->now(), or wall_now() of its driver";
constexpr const char* a_sleep = "co_await weir::sleep()";
constexpr const char* some_bits = "random() of the loop's driver";
constexpr const char* a_thread = "tasks: scope::spawn(), or blocking()";
constexpr const char* a_name = "weir::resolve()";
constexpr const char* a_socket = "weir::connect() and weir::listen()";
constexpr const char* a_file = "weir::open_file()";
constexpr const char* a_path = "weir::make_dir(), rename_path(), remove_path() and their like";
constexpr const char* a_folder = "whole paths: the test decides where it works";
constexpr const char* a_child = "run_process(), with programs that world().processes() knows";
constexpr const char* a_pipe = "weir::make_pipe()";
constexpr const char* a_wait = "co_await, with weir::sleep(), select() or with_timeout()";
constexpr const char* a_signal = "weir::wait_signal(), and raise_signal() of the world to send one";
constexpr const char* a_variable = "a parameter: the test decides what is set";

// The program and libstdc++, which works for it. Others (OpenSSL, c-ares, spdlog) have their own
// reasons.
bool is_by_program(void* caller) noexcept {
  Dl_info here{};
  Dl_info there{};
  if (::dladdr(reinterpret_cast<void*>(&is_by_program), &here) == 0 ||
      ::dladdr(caller, &there) == 0) {
    return true;
  }
  return there.dli_fbase == here.dli_fbase || std::strstr(there.dli_fname, "/libstdc++.so");
}

void check(const char* function, const char* instead, void* caller) noexcept {
  const auto* program = weir::detail::program_here;
  if (!program || program->may_have_threads || !weir::testing::are_escapes_caught()) return;
  const weir::detail::world_runs looking;
  if (is_by_program(caller)) {
    const weir::detail::program_runs again(program);
    weir::detail::note_escape(function, instead);
  }
}

// The function of that name behind ours.
template <class F>
F* behind(const char* name) noexcept {
  void* const found = ::dlsym(RTLD_NEXT, name);
  if (!found) {
    std::fprintf(stderr, "weir: the escape guard needs %s() in a shared library\n", name);
    std::abort();
  }
  return reinterpret_cast<F*>(found);
}

// O_TMPFILE has the bit of O_DIRECTORY in it.
bool takes_mode(int flags) noexcept {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

}  // namespace

// Our definition of a function: a check, and then the one behind it.
#define WEIR_GUARD(name, instead)                           \
  static const auto real = behind<decltype(::name)>(#name); \
  check(#name, instead, __builtin_return_address(0))

extern "C" {

int clock_gettime(clockid_t clock, timespec* into) noexcept {
  WEIR_GUARD(clock_gettime, a_clock);
  return real(clock, into);
}
int gettimeofday(timeval* into, void* zone) noexcept {
  WEIR_GUARD(gettimeofday, a_clock);
  return real(into, zone);
}
time_t time(time_t* into) noexcept {
  WEIR_GUARD(time, a_clock);
  return real(into);
}
int timespec_get(timespec* into, int base) noexcept {
  WEIR_GUARD(timespec_get, a_clock);
  return real(into, base);
}
clock_t clock() noexcept {
  WEIR_GUARD(clock, a_clock);
  return real();
}

int nanosleep(const timespec* length, timespec* rest) {
  WEIR_GUARD(nanosleep, a_sleep);
  return real(length, rest);
}
int clock_nanosleep(clockid_t clock, int flags, const timespec* length, timespec* rest) {
  WEIR_GUARD(clock_nanosleep, a_sleep);
  return real(clock, flags, length, rest);
}
int usleep(useconds_t length) {
  WEIR_GUARD(usleep, a_sleep);
  return real(length);
}
unsigned sleep(unsigned seconds) {
  WEIR_GUARD(sleep, a_sleep);
  return real(seconds);
}

int poll(pollfd* all, nfds_t count, int wait_ms) {
  WEIR_GUARD(poll, a_wait);
  return real(all, count, wait_ms);
}
int ppoll(pollfd* all, nfds_t count, const timespec* wait, const sigset_t* mask) {
  WEIR_GUARD(ppoll, a_wait);
  return real(all, count, wait, mask);
}
int select(int end, fd_set* in, fd_set* out, fd_set* other, timeval* wait) {
  WEIR_GUARD(select, a_wait);
  return real(end, in, out, other, wait);
}
int pselect(int end, fd_set* in, fd_set* out, fd_set* other, const timespec* wait,
            const sigset_t* mask) {
  WEIR_GUARD(pselect, a_wait);
  return real(end, in, out, other, wait, mask);
}
int epoll_create1(int flags) noexcept {
  WEIR_GUARD(epoll_create1, a_wait);
  return real(flags);
}
int epoll_wait(int set, epoll_event* events, int count, int wait_ms) {
  WEIR_GUARD(epoll_wait, a_wait);
  return real(set, events, count, wait_ms);
}
unsigned alarm(unsigned seconds) noexcept {
  WEIR_GUARD(alarm, a_sleep);
  return real(seconds);
}
int timerfd_create(clockid_t clock, int flags) noexcept {
  WEIR_GUARD(timerfd_create, a_sleep);
  return real(clock, flags);
}
int eventfd(unsigned begin, int flags) noexcept {
  WEIR_GUARD(eventfd, a_wait);
  return real(begin, flags);
}

ssize_t getrandom(void* into, size_t size, unsigned flags) {
  WEIR_GUARD(getrandom, some_bits);
  return real(into, size, flags);
}
int getentropy(void* into, size_t size) {
  WEIR_GUARD(getentropy, some_bits);
  return real(into, size);
}

int rand() noexcept {
  WEIR_GUARD(rand, some_bits);
  return real();
}
long random() noexcept {
  WEIR_GUARD(random, some_bits);
  return real();
}
double drand48() noexcept {
  WEIR_GUARD(drand48, some_bits);
  return real();
}
long lrand48() noexcept {
  WEIR_GUARD(lrand48, some_bits);
  return real();
}
#if __GLIBC_PREREQ(2, 36)
std::uint32_t arc4random() noexcept {
  WEIR_GUARD(arc4random, some_bits);
  return real();
}
std::uint32_t arc4random_uniform(std::uint32_t end) noexcept {
  WEIR_GUARD(arc4random_uniform, some_bits);
  return real(end);
}
void arc4random_buf(void* into, size_t size) noexcept {
  WEIR_GUARD(arc4random_buf, some_bits);
  real(into, size);
}
#endif

int pthread_create(pthread_t* made, const pthread_attr_t* how, void* (*body)(void*),
                   void* argument) noexcept {
  WEIR_GUARD(pthread_create, a_thread);
  return real(made, how, body, argument);
}
pid_t fork() noexcept {
  WEIR_GUARD(fork, a_child);
  return real();
}
int posix_spawn(pid_t* made, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* how, char* const* words, char* const* environment) {
  WEIR_GUARD(posix_spawn, a_child);
  return real(made, path, actions, how, words, environment);
}
int posix_spawnp(pid_t* made, const char* file, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* how, char* const* words, char* const* environment) {
  WEIR_GUARD(posix_spawnp, a_child);
  return real(made, file, actions, how, words, environment);
}

int system(const char* line) {
  WEIR_GUARD(system, a_child);
  return real(line);
}
FILE* popen(const char* line, const char* how) {
  WEIR_GUARD(popen, a_child);
  return real(line, how);
}

char* getenv(const char* name) noexcept {
  WEIR_GUARD(getenv, a_variable);
  return real(name);
}
char* secure_getenv(const char* name) noexcept {
  WEIR_GUARD(secure_getenv, a_variable);
  return real(name);
}
int setenv(const char* name, const char* value, int replaces) noexcept {
  WEIR_GUARD(setenv, a_variable);
  return real(name, value, replaces);
}
int unsetenv(const char* name) noexcept {
  WEIR_GUARD(unsetenv, a_variable);
  return real(name);
}
int putenv(char* text) noexcept {
  WEIR_GUARD(putenv, a_variable);
  return real(text);
}

int sigaction(int number, const struct sigaction* action, struct sigaction* before) noexcept {
  WEIR_GUARD(sigaction, a_signal);
  return real(number, action, before);
}
sighandler_t signal(int number, sighandler_t handler) noexcept {
  WEIR_GUARD(signal, a_signal);
  return real(number, handler);
}
int kill(pid_t whom, int number) noexcept {
  WEIR_GUARD(kill, a_signal);
  return real(whom, number);
}
int raise(int number) noexcept {
  WEIR_GUARD(raise, a_signal);
  return real(number);
}

int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) {
  WEIR_GUARD(getaddrinfo, a_name);
  return real(host, service, hints, found);
}
int socket(int family, int type, int protocol) noexcept {
  WEIR_GUARD(socket, a_socket);
  return real(family, type, protocol);
}
int connect(int descriptor, const sockaddr* to, socklen_t size) {
  WEIR_GUARD(connect, a_socket);
  return real(descriptor, to, size);
}

int bind(int descriptor, const sockaddr* at, socklen_t size) noexcept {
  WEIR_GUARD(bind, a_socket);
  return real(descriptor, at, size);
}
int listen(int descriptor, int backlog) noexcept {
  WEIR_GUARD(listen, a_socket);
  return real(descriptor, backlog);
}
int socketpair(int family, int type, int protocol, int ends[2]) noexcept {
  WEIR_GUARD(socketpair, a_socket);
  return real(family, type, protocol, ends);
}
int pipe(int ends[2]) noexcept {
  WEIR_GUARD(pipe, a_pipe);
  return real(ends);
}
int pipe2(int ends[2], int flags) noexcept {
  WEIR_GUARD(pipe2, a_pipe);
  return real(ends, flags);
}

int open(const char* path, int flags, ...) {
  WEIR_GUARD(open, a_file);
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = takes_mode(flags) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return real(path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  WEIR_GUARD(openat, a_file);
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = takes_mode(flags) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return real(folder, path, flags, mode);
}
int creat(const char* path, mode_t mode) {
  WEIR_GUARD(creat, a_file);
  return real(path, mode);
}
FILE* fopen(const char* path, const char* how) {
  WEIR_GUARD(fopen, a_file);
  return real(path, how);
}
FILE* fopen64(const char* path, const char* how) {
  WEIR_GUARD(fopen64, a_file);
  return real(path, how);
}
int mkstemp(char* path) {
  WEIR_GUARD(mkstemp, a_file);
  return real(path);
}
char* mkdtemp(char* path) noexcept {
  WEIR_GUARD(mkdtemp, a_path);
  return real(path);
}
FILE* tmpfile() {
  WEIR_GUARD(tmpfile, a_file);
  return real();
}
int stat(const char* path, struct stat* into) noexcept {
  WEIR_GUARD(stat, a_path);
  return real(path, into);
}
int lstat(const char* path, struct stat* into) noexcept {
  WEIR_GUARD(lstat, a_path);
  return real(path, into);
}
int access(const char* path, int mode) noexcept {
  WEIR_GUARD(access, a_path);
  return real(path, mode);
}
int mkdir(const char* path, mode_t mode) noexcept {
  WEIR_GUARD(mkdir, a_path);
  return real(path, mode);
}
int rmdir(const char* path) noexcept {
  WEIR_GUARD(rmdir, a_path);
  return real(path);
}
int unlink(const char* path) noexcept {
  WEIR_GUARD(unlink, a_path);
  return real(path);
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  WEIR_GUARD(unlinkat, a_path);
  return real(folder, path, flags);
}
int remove(const char* path) noexcept {
  WEIR_GUARD(remove, a_path);
  return real(path);
}
int rename(const char* from, const char* to) noexcept {
  WEIR_GUARD(rename, a_path);
  return real(from, to);
}
int link(const char* from, const char* to) noexcept {
  WEIR_GUARD(link, a_path);
  return real(from, to);
}
int symlink(const char* to, const char* path) noexcept {
  WEIR_GUARD(symlink, a_path);
  return real(to, path);
}
ssize_t readlink(const char* path, char* into, size_t size) noexcept {
  WEIR_GUARD(readlink, a_path);
  return real(path, into, size);
}
int truncate(const char* path, off_t size) noexcept {
  WEIR_GUARD(truncate, a_file);
  return real(path, size);
}
int chmod(const char* path, mode_t mode) noexcept {
  WEIR_GUARD(chmod, a_path);
  return real(path, mode);
}
int chdir(const char* path) noexcept {
  WEIR_GUARD(chdir, a_folder);
  return real(path);
}
char* getcwd(char* into, size_t size) noexcept {
  WEIR_GUARD(getcwd, a_folder);
  return real(into, size);
}
DIR* opendir(const char* path) {
  WEIR_GUARD(opendir, a_path);
  return real(path);
}

}  // extern "C"

// std::random_device asks the processor where it can, which calls nobody: its constructor's helper
// in libstdc++ is caught instead.
#define WEIR_RANDOM_DEVICE_INIT \
  "_ZNSt13random_device7_M_initERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
extern "C" void weir_random_device_init(void* self,
                                        const std::string& token) asm(WEIR_RANDOM_DEVICE_INIT);
extern "C" void weir_random_device_init(void* self, const std::string& token) {
  static const auto real = behind<void(void*, const std::string&)>(WEIR_RANDOM_DEVICE_INIT);
  check("std::random_device", some_bits, __builtin_return_address(0));
  real(self, token);
}

#endif

// No handler hears of these, and sanitizers let others stand before their own.
#ifdef __GLIBC__
extern "C" {

[[noreturn]] void weir_exit_of_sanitizer(int code) asm("__interceptor__exit") __attribute__((weak));

void _exit(int code) {
  weir::testing::detail::death_note::hear_exit();
  if (&weir_exit_of_sanitizer) weir_exit_of_sanitizer(code);
  ::syscall(SYS_exit_group, code);
  __builtin_unreachable();
}
void _Exit(int code) noexcept { ::_exit(code); }

}  // extern "C"
#endif

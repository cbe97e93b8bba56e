#include <weir/testing/escape_guard.hpp>

#include <weir/sim/virtual_run.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdarg>
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

namespace weir::testing {

bool are_escapes_caught() noexcept {
#ifdef WEIR_CALLS_ARE_TAKEN
  return false;
#else
  return true;
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
constexpr const char* a_child = "run_process(), with programs that world().processes() knows";

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
  if (!program || program->may_have_threads) return;
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

ssize_t getrandom(void* into, size_t size, unsigned flags) {
  WEIR_GUARD(getrandom, some_bits);
  return real(into, size, flags);
}
int getentropy(void* into, size_t size) {
  WEIR_GUARD(getentropy, some_bits);
  return real(into, size);
}

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
FILE* fopen(const char* path, const char* how) {
  WEIR_GUARD(fopen, a_file);
  return real(path, how);
}
FILE* fopen64(const char* path, const char* how) {
  WEIR_GUARD(fopen64, a_file);
  return real(path, how);
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

#include <weir/io/crash_dump.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/standard_error.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/loop.hpp>

#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>

namespace weir::detail {

namespace {

constexpr int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr int fatal_count = sizeof fatal_signals / sizeof fatal_signals[0];

struct seat {
  std::atomic<loop*> on{nullptr};
  std::atomic<pid_t> thread{0};
  std::atomic<std::uint32_t> printed{0};  // how often it has printed
};

// Signal handlers have no other place to look at than the process's.
constinit seat seats[crash_dump::loops_max];
constinit std::atomic<bool> is_dumping{false};
constinit std::atomic<bool> is_dying{false};
constinit std::mutex install_lock;
constinit int installed = 0;
constinit struct sigaction former_quit = {};
constinit struct sigaction former_fatal[fatal_count] = {};
constinit assertion_hook former_hook = nullptr;

// Where a fault while reading a tree goes on; null while none is read.
constinit thread_local sigjmp_buf* way_back = nullptr;

pid_t this_thread() noexcept { return static_cast<pid_t>(::syscall(SYS_gettid)); }

void print_one(seat& from) noexcept {
  stderr_sink out;
  sigjmp_buf back;
  if (sigsetjmp(back, 1) == 0) {
    way_back = &back;
    if (loop* on = from.on.load()) print_task_tree(*on, out);
  } else {
    out.put("\n  ... the rest was being changed and can't be read\n");
  }
  way_back = nullptr;
  out.flush();
  from.printed.fetch_add(1);
}

void nap() noexcept {
  const struct timespec millisecond{.tv_sec = 0, .tv_nsec = 1'000'000};
  ::nanosleep(&millisecond, nullptr);
}

// Asks the thread of another loop for its tree and waits until it is printed.
void ask(seat& from, pid_t thread) noexcept {
  constexpr int patience_ms = 500;
  const std::uint32_t before = from.printed.load();
  siginfo_t request = {};
  request.si_signo = SIGQUIT;
  request.si_code = SI_QUEUE;
  request.si_pid = ::getpid();
  request.si_uid = ::getuid();
  request.si_value.sival_ptr = &from;
  if (::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread, SIGQUIT, &request) == 0) {
    for (int i = 0; i < patience_ms; ++i) {
      if (from.printed.load() != before || from.on.load() == nullptr) return;
      nap();
    }
  }
  stderr_sink out;
  out.put("loop of thread ");
  out.put_number(static_cast<std::uint64_t>(thread));
  out.put(" does not answer\n");
}

void print_all() noexcept {
  if (is_dumping.exchange(true)) return;
  const pid_t self = this_thread();
  for (seat& one : seats) {
    if (one.thread.load() == self) print_one(one);
  }
  for (seat& one : seats) {
    const pid_t thread = one.thread.load();
    if (thread != 0 && thread != self) ask(one, thread);
  }
  is_dumping = false;
}

// The thread's own stack, as addresses in files: below a coroutine's frame it tells which plain
// function was at work. Names would need debug information, which is for other programs to read.
void print_native_stack() noexcept {
  constexpr int frames_max = 64;
  void* frames[frames_max];
  const int count = ::backtrace(frames, frames_max);
  constexpr const char* head =
      "weir: the thread's stack (names: addr2line -Cfe FILE +OFFSET for each FILE(+OFFSET)):\n";
  write_standard_error(head, __builtin_strlen(head));
  ::backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

bool is_seat(const void* pointer) noexcept {
  return pointer >= static_cast<const void*>(&seats[0]) &&
         pointer <= static_cast<const void*>(&seats[crash_dump::loops_max - 1]);
}

void on_quit(int, siginfo_t* info, void*) noexcept {
  const int kept = errno;
  if (info->si_code == SI_QUEUE && info->si_pid == ::getpid() &&
      is_seat(info->si_value.sival_ptr)) {
    print_one(*static_cast<seat*>(info->si_value.sival_ptr));
  } else {
    print_all();
  }
  errno = kept;
}

void on_fatal(int number, siginfo_t*, void*) noexcept {
  if (way_back) siglongjmp(*way_back, 1);
  if (!is_dying.exchange(true)) {
    stderr_sink out;
    out.put("weir: died of signal ");
    out.put_number(static_cast<std::uint64_t>(number));
    out.put("; its tasks:\n");
    out.flush();
    print_all();
    print_native_stack();
  }
  ::signal(number, SIG_DFL);
  ::syscall(SYS_tgkill, ::getpid(), this_thread(), number);  // takes effect when we return
}

void on_assertion() noexcept {
  if (is_dying.exchange(true)) return;
  print_all();
  print_native_stack();
}

void catch_signal(int number, void (*handler)(int, siginfo_t*, void*) noexcept,
                  struct sigaction& before) noexcept {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigaction(number, &action, &before);
}

}  // namespace

crash_dump::crash_dump(bool wanted) : is_wanted_(wanted) {
  if (!is_wanted_) return;
  const std::lock_guard guard(install_lock);
  if (installed++ != 0) return;
  void* first_frame = nullptr;
  ::backtrace(&first_frame, 1);  // the first call loads a library, which no handler may do
  catch_signal(SIGQUIT, &on_quit, former_quit);
  for (int i = 0; i < fatal_count; ++i) catch_signal(fatal_signals[i], &on_fatal, former_fatal[i]);
  former_hook = set_assertion_hook(&on_assertion);
}

crash_dump::~crash_dump() {
  if (!is_wanted_) return;
  const std::lock_guard guard(install_lock);
  if (--installed != 0) return;
  ::sigaction(SIGQUIT, &former_quit, nullptr);
  for (int i = 0; i < fatal_count; ++i) ::sigaction(fatal_signals[i], &former_fatal[i], nullptr);
  set_assertion_hook(former_hook);
}

dumped_loop::dumped_loop(loop& on) noexcept {
  const std::lock_guard guard(install_lock);
  for (int i = 0; i < crash_dump::loops_max && slot_ < 0; ++i) {
    if (seats[i].on.load() == nullptr) slot_ = i;
  }
  if (slot_ < 0) return;
  seats[slot_].on = &on;
  seats[slot_].thread = this_thread();
  stack_t now = {};
  if (::sigaltstack(nullptr, &now) != 0) return;
  if ((now.ss_flags & SS_DISABLE) == 0) {
    if (now.ss_size >= handler_stack_bytes) return;
    former_stack_ = now.ss_sp;
    former_stack_bytes_ = now.ss_size;
  }
  void* memory = ::mmap(nullptr, handler_stack_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;  // handlers then run on the thread's own stack
  stack_ = memory;
  const stack_t own{.ss_sp = memory, .ss_flags = 0, .ss_size = handler_stack_bytes};
  ::sigaltstack(&own, nullptr);
}

dumped_loop::~dumped_loop() {
  if (slot_ < 0) return;
  const std::lock_guard guard(install_lock);
  seats[slot_].thread = 0;
  seats[slot_].on = nullptr;
  if (!stack_) return;
  const stack_t restored{.ss_sp = former_stack_,
                         .ss_flags = former_stack_ ? 0 : SS_DISABLE,
                         .ss_size = former_stack_bytes_};
  ::sigaltstack(&restored, nullptr);
  ::munmap(stack_, handler_stack_bytes);
}

}  // namespace weir::detail

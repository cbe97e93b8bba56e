#include <weir/io/raw_mode.hpp>

#include <weir/base/error.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <mutex>

namespace weir {

namespace {

// Those whose usual effect is the end. Of these, handlers of others are left alone, as they may go
// on; but not of the second row, after which nobody does: there ours comes first.
constexpr int ending_signals[] = {SIGHUP,  SIGINT,  SIGQUIT,   SIGTERM, SIGPIPE, SIGALRM,
                                  SIGUSR1, SIGUSR2, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ,
                                  SIGSEGV, SIGBUS,  SIGFPE,    SIGILL,  SIGABRT, SIGSYS};
constexpr int fatal_from = 12;  // the second row
constexpr int signals_count = static_cast<int>(std::size(ending_signals));

struct slot {
  std::atomic<int> descriptor{-1};      // our own; -1: free, or being filled
  std::atomic<std::uint64_t> order{0};  // the newest has the largest
  struct termios before = {};
  dev_t terminal = {};
  bool is_taken = false;
};

// Signal handlers have no other place to look at than the process's.
constinit slot slots[raw_mode::modes_max];
constinit struct sigaction former_ends[signals_count] = {};
constinit std::mutex change_lock;
constinit int active = 0;
constinit std::uint64_t last_order = 0;
constinit bool is_at_exit = false;

// From the background a change of a terminal stops the process, unless that signal is held back;
// one that is about to end must not stop. It is claimed last: a signal that ends the process midway
// must find it still to be done, and twice does no harm.
void put_back(slot& of) noexcept {
  const int descriptor = of.descriptor.load();
  if (descriptor < 0) return;
  sigset_t stop;
  sigset_t before;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTTOU);
  ::pthread_sigmask(SIG_BLOCK, &stop, &before);
  ::tcsetattr(descriptor, TCSANOW, &of.before);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (of.descriptor.exchange(-1) == descriptor) ::close(descriptor);
}

// One that ends before a newer one of its terminal leaves that as it is; what was before it is then
// what the next newer one goes back to. Until the copy is made both are in their places.
bool leave_to_newer(slot& of) noexcept {
  slot* next = nullptr;
  for (slot& one : slots) {
    if (one.descriptor < 0 || one.terminal != of.terminal || one.order <= of.order) continue;
    if (!next || one.order < next->order) next = &one;
  }
  if (!next) return false;
  next->before = of.before;
  if (const int descriptor = of.descriptor.exchange(-1); descriptor >= 0) ::close(descriptor);
  return true;
}

void put_all_back() noexcept {  // the newest first
  std::uint64_t below = ~std::uint64_t{0};
  for (;;) {
    slot* newest = nullptr;
    for (slot& one : slots) {
      if (one.descriptor < 0 || one.order >= below) continue;
      if (!newest || one.order > newest->order) newest = &one;
    }
    if (!newest) return;
    below = newest->order;
    put_back(*newest);
  }
}

int index_of(int number) noexcept {
  for (int i = 0; i < signals_count; ++i) {
    if (ending_signals[i] == number) return i;
  }
  return -1;
}

// Whoever handled the signal before handles it when we return, by its usual effect or otherwise.
void on_signal(int number) noexcept {
  const int kept = errno;
  put_all_back();
  ::sigaction(number, &former_ends[index_of(number)], nullptr);
  ::syscall(SYS_tgkill, ::getpid(), static_cast<pid_t>(::syscall(SYS_gettid)), number);
  errno = kept;
}

bool is_ours(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == &on_signal;
}
bool is_default(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL;
}

void listen() noexcept {
  for (int i = 0; i < signals_count; ++i) {
    struct sigaction now = {};
    ::sigaction(ending_signals[i], nullptr, &now);
    if (is_ours(now) || (i < fatal_from && !is_default(now))) continue;
    struct sigaction action = {};
    action.sa_handler = &on_signal;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    former_ends[i] = now;
    ::sigaction(ending_signals[i], &action, nullptr);
  }
}

void stop_listening() noexcept {
  for (int i = 0; i < signals_count; ++i) {
    struct sigaction now = {};
    ::sigaction(ending_signals[i], nullptr, &now);
    if (is_ours(now)) ::sigaction(ending_signals[i], &former_ends[i], nullptr);
  }
}

// As cfmakeraw(3), but output is left alone.
void make_raw(struct termios& mode, const raw_options& options) noexcept {
  mode.c_iflag &=
      ~static_cast<tcflag_t>(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  mode.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | IEXTEN);
  if (!options.keeps_signals) mode.c_lflag &= ~static_cast<tcflag_t>(ISIG);
  mode.c_cflag &= ~static_cast<tcflag_t>(CSIZE | PARENB);
  mode.c_cflag |= CS8;
  mode.c_cc[VMIN] = 1;
  mode.c_cc[VTIME] = 0;
}

int take_slot() {
  for (int i = 0; i < raw_mode::modes_max; ++i) {
    if (!slots[i].is_taken) return i;
  }
  raise(error(errc::full, "raw mode: the process has modes_max of them"));
}

}  // namespace

raw_mode::raw_mode(const terminal& of, raw_options options) {
  if (!of) raise(error(errc::closed, "raw mode of a terminal that is closed"));
  if (!of.io_->has_descriptors()) return;
  const std::lock_guard guard(change_lock);
  slot_ = take_slot();
  const int own = ::fcntl(of.handle(), F_DUPFD_CLOEXEC, 0);
  if (own < 0) raise(error::from_os(errno, "raw mode"));
  slot& one = slots[slot_];
  struct termios raw = {};
  struct stat about = {};
  int failure = ::tcgetattr(own, &one.before) == 0 && ::fstat(own, &about) == 0 ? 0 : errno;
  if (failure == 0) {
    if (!is_at_exit) is_at_exit = std::atexit(&put_all_back) == 0;
    if (active == 0) listen();
    one.terminal = about.st_rdev;
    raw = one.before;
    make_raw(raw, options);
    one.order = ++last_order;
    one.descriptor = own;  // from here on a signal puts it back
    failure = ::tcsetattr(own, TCSANOW, &raw) == 0 ? 0 : errno;
  }
  if (failure != 0) {
    one.descriptor = -1;
    ::close(own);
    if (active == 0) stop_listening();
    raise(error::from_os(failure, "raw mode"));
  }
  one.is_taken = true;
  ++active;
}

raw_mode::~raw_mode() {
  if (slot_ < 0) return;
  const std::lock_guard guard(change_lock);
  if (!leave_to_newer(slots[slot_])) put_back(slots[slot_]);
  slots[slot_].is_taken = false;
  if (--active == 0) stop_listening();
}

}  // namespace weir

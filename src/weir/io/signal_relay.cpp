#include <weir/io/signal_relay.hpp>

#include <weir/io/detail/signal_ear.hpp>
#include <weir/io/signals.hpp>

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <thread>

namespace weir::detail {

namespace {

constexpr int signals_end = 64;

struct ear : signal_ear<> {
  // Written while nothing is wanted, so that no handler reads them meanwhile.
  int wake_fd = -1;  // -1: free
  wake_flag<>* is_woken = nullptr;
};

// A signal belongs to the process, so what its handler reads is the process's.
constinit ear ears[signal_listeners_max];
constinit int listeners_of[signals_end] = {};
constinit struct sigaction former_actions[signals_end] = {};
constinit std::mutex table_lock;

// Those that kill once one of them has been heard, and how many wish that.
constinit std::atomic<std::uint64_t> killing_next{0};
constinit std::atomic<int> wishes_to_kill{0};

std::uint64_t bit(int number) noexcept { return std::uint64_t{1} << number; }

// In the handler: a loop that a task holds would do it too late.
void let_the_next_kill(int number) noexcept {
  if ((killing_next.load(std::memory_order_relaxed) & bit(number)) == 0) return;
  const std::uint64_t all = killing_next.exchange(0, std::memory_order_relaxed);
  for (int each = 1; each < signals_end; ++each) {
    if ((all & bit(each)) != 0) ::signal(each, SIG_DFL);
  }
}

void hear(int number) noexcept {
  const int kept = errno;
  let_the_next_kill(number);
  for (ear& one : ears) {
    one.hear(bit(number), [&one] {
      if (!one.is_woken->raise()) return;
      const std::uint64_t one_more = 1;
      [[maybe_unused]] const ssize_t written = ::write(one.wake_fd, &one_more, sizeof one_more);
    });
  }
  errno = kept;
}

}  // namespace

signal_listener::~signal_listener() {
  if (slot_ < 0) return;
  const std::lock_guard guard(table_lock);
  // A handler on this thread has ended, so what is waited for goes on elsewhere.
  const std::uint64_t wanted = ears[slot_].end([] { std::this_thread::yield(); });
  for (int number = 1; number < signals_end; ++number) {
    if ((wanted & bit(number)) != 0 && --listeners_of[number] == 0)
      ::sigaction(number, &former_actions[number], nullptr);
  }
  ears[slot_].wake_fd = -1;
}

int signal_listener::listen(int number) noexcept {
  if (number < 1 || number >= signals_end) return -EINVAL;
  const std::lock_guard guard(table_lock);
  for (int i = 0; slot_ < 0 && i < signal_listeners_max; ++i) {
    if (ears[i].wake_fd != -1) continue;
    ears[i].wake_fd = wake_fd_;
    ears[i].is_woken = is_woken_;
    slot_ = i;
  }
  if (slot_ < 0) return -ENOSPC;
  if ((ears[slot_].wanted() & bit(number)) != 0) return 0;
  if (listeners_of[number] == 0) {
    struct sigaction action = {};
    action.sa_handler = [](int n) { hear(n); };
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    if (::sigaction(number, &action, &former_actions[number]) != 0) return -errno;
  }
  ++listeners_of[number];
  ears[slot_].want(bit(number));
  return 0;
}

bool signal_listener::take(int number) noexcept {
  return slot_ >= 0 && ears[slot_].take(bit(number));
}

bool signal_listener::has_any() const noexcept { return slot_ >= 0 && ears[slot_].has_any(); }

}  // namespace weir::detail

namespace weir {

bool is_signal_ignored(int number) noexcept {
  struct sigaction now = {};
  return ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

second_signal_kills::second_signal_kills() noexcept {
  detail::wishes_to_kill.fetch_add(1, std::memory_order_relaxed);
  detail::killing_next.store(detail::bit(SIGTERM) | detail::bit(SIGINT), std::memory_order_relaxed);
}

second_signal_kills::~second_signal_kills() {
  if (detail::wishes_to_kill.fetch_sub(1, std::memory_order_relaxed) == 1)
    detail::killing_next.store(0, std::memory_order_relaxed);
}

}  // namespace weir

#include <weir/io/signal_relay.hpp>

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>

namespace weir::detail {

namespace {

constexpr int signals_end = 64;

struct ear {
  std::atomic<int> wake_fd{-1};  // -1: free
  std::atomic<std::uint64_t> wanted{0};
  std::atomic<std::uint64_t> arrived{0};
};

// A signal belongs to the process, so what its handler reads is the process's.
constinit ear ears[signal_listeners_max];
constinit int listeners_of[signals_end] = {};
constinit struct sigaction former[signals_end] = {};
constinit std::mutex table_lock;

std::uint64_t bit(int number) noexcept { return std::uint64_t{1} << number; }

void hear(int number) noexcept {
  const int kept = errno;
  for (ear& one : ears) {
    if ((one.wanted.load(std::memory_order_acquire) & bit(number)) == 0) continue;
    one.arrived.fetch_or(bit(number), std::memory_order_release);
    const std::uint64_t one_more = 1;
    [[maybe_unused]] const ssize_t written =
        ::write(one.wake_fd.load(std::memory_order_relaxed), &one_more, sizeof one_more);
  }
  errno = kept;
}

}  // namespace

signal_listener::~signal_listener() {
  if (slot_ < 0) return;
  const std::lock_guard guard(table_lock);
  const std::uint64_t wanted = ears[slot_].wanted.exchange(0);
  for (int number = 1; number < signals_end; ++number) {
    if ((wanted & bit(number)) != 0 && --listeners_of[number] == 0)
      ::sigaction(number, &former[number], nullptr);
  }
  ears[slot_].arrived = 0;
  ears[slot_].wake_fd = -1;
}

int signal_listener::listen(int number) noexcept {
  if (number < 1 || number >= signals_end) return -EINVAL;
  const std::lock_guard guard(table_lock);
  for (int i = 0; slot_ < 0 && i < signal_listeners_max; ++i) {
    if (ears[i].wake_fd != -1) continue;
    ears[i].wake_fd = wake_fd_;
    slot_ = i;
  }
  if (slot_ < 0) return -ENOSPC;
  if ((ears[slot_].wanted & bit(number)) != 0) return 0;
  if (listeners_of[number] == 0) {
    struct sigaction action = {};
    action.sa_handler = [](int n) { hear(n); };
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    if (::sigaction(number, &action, &former[number]) != 0) return -errno;
  }
  ++listeners_of[number];
  ears[slot_].wanted.fetch_or(bit(number));
  return 0;
}

bool signal_listener::take(int number) noexcept {
  if (slot_ < 0) return false;
  return (ears[slot_].arrived.fetch_and(~bit(number)) & bit(number)) != 0;
}

bool signal_listener::has_any() const noexcept {
  return slot_ >= 0 && ears[slot_].arrived.load(std::memory_order_acquire) != 0;
}

}  // namespace weir::detail

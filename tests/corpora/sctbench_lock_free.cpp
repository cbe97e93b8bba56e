// SCTBench's lock-free programs as tasks: each access to an atomic is one step between checkpoints,
// which is what a thread can do under sequential consistency. What weaker memory orders allow
// besides is not seen here.
#include "corpus.hpp"

#include <array>
#include <cstddef>
#include <utility>

namespace weir::corpora {

namespace in_sctbench_lock_free {
namespace {

// SafeStack (D. Vyukov): a stack of indices whose pops mark the next link of what they take, so
// that no ABA should be possible. It takes three threads and five preemptions to see one element
// in the hands of two.
class safe_stack {
 public:
  task<int> pop() {
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
      co_await checkpoint();
      if (count_ <= 1) co_return none;
      co_await checkpoint();
      const int first = head_;
      co_await checkpoint();
      const int next = std::exchange(next_of(first), none);
      if (next < 0) continue;
      co_await checkpoint();
      if (head_ == first) {
        head_ = next;
        co_await checkpoint();
        --count_;
        co_return first;
      }
      co_await checkpoint();
      next_of(first) = next;
    }
    co_return none;
  }
  task<> push(int index) {
    co_await checkpoint();
    int first = head_;
    for (;;) {
      co_await checkpoint();
      next_of(index) = first;
      co_await checkpoint();
      if (head_ == first) break;
      first = head_;
    }
    head_ = index;
    co_await checkpoint();
    ++count_;
  }

  static constexpr int none = -1;

 private:
  static constexpr int attempts_max = 8;  // the original tries for ever

  int& next_of(int index) noexcept { return next_[static_cast<std::size_t>(index)]; }

  int head_ = 0;
  int count_ = 3;
  std::array<int, 3> next_{1, 2, none};
};

task<> safestack() {
  safe_stack stack;
  std::array<int, 3> owners{};  // of the elements
  co_await with_scope([&](scope& s) -> task<> {
    for (int thread = 1; thread <= 3; ++thread) {
      s.spawn(
          [&](int me) -> task<> {
            for (int i = 0; i < 2; ++i) {
              const int mine = co_await stack.pop();
              if (mine < 0) continue;
              int& owner = owners[static_cast<std::size_t>(mine)];
              owner = me;
              co_await checkpoint();
              if (owner != me) wrong("an element has two owners");
              co_await stack.push(mine);
            }
          },
          thread);
    }
    co_await s.join();
  });
}

// The work-stealing queues of CHESS: the owner takes from the tail without the lock, thieves from
// the head with it. Each variant has one of the faults that are known of such queues.
enum class fault : std::uint8_t {
  looks_first,     // the owner looks at the head before it has moved the tail
  thief_unlocked,  // thieves don't lock
  keeps_tail,      // the owner that comes too late leaves the tail where it moved it
  looks_once,      // the owner does not look again when it has the lock
};

class stealing_queue {
 public:
  explicit stealing_queue(fault with) noexcept : fault_(with) {}

  task<> push(int item) {
    co_await checkpoint();
    items_[tail_] = item;
    co_await checkpoint();
    ++tail_;
  }
  task<int> pop() {
    co_await checkpoint();
    if (fault_ == fault::looks_first) {
      if (head_ >= tail_) co_return 0;
      co_await checkpoint();
      co_return items_[--tail_];
    }
    if (head_ >= tail_) co_return 0;
    --tail_;
    co_await checkpoint();
    if (head_ < tail_) co_return items_[tail_];
    ++tail_;
    const auto held = co_await lock_.lock();
    if (head_ >= tail_ && fault_ != fault::looks_once) {
      if (fault_ == fault::keeps_tail) --tail_;
      co_return 0;
    }
    co_return items_[--tail_];
  }
  task<int> steal() {
    if (fault_ == fault::thief_unlocked) {
      co_await checkpoint();
      co_return co_await steal_locked();
    }
    const auto held = co_await lock_.lock();
    co_return co_await steal_locked();
  }

 private:
  task<int> steal_locked() {
    co_await checkpoint();
    const std::size_t at = head_;
    co_await checkpoint();
    head_ = at + 1;
    co_await checkpoint();
    if (at < tail_) co_return items_[at];
    head_ = at;
    co_return 0;
  }

  fault fault_;
  mutex lock_{"queue"};
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
  std::array<int, 8> items_{};
};

task<> stealing(fault with) {
  stealing_queue queue(with);
  std::array<int, 5> taken{};
  const auto note = [&](int item) {
    if (item != 0 && ++taken[static_cast<std::size_t>(item)] == 2) wrong("an item was taken twice");
  };
  const auto thief = [&]() -> task<> {
    for (int i = 0; i < 2; ++i) note(co_await queue.steal());
  };
  co_await together({[&]() -> task<> {
                       co_await queue.push(1);
                       co_await queue.push(2);
                       note(co_await queue.pop());
                       co_await queue.push(3);
                       note(co_await queue.pop());
                       note(co_await queue.pop());
                       co_await queue.push(4);
                     },
                     thief, thief});
  while (const int left = co_await queue.steal()) note(left);
  for (std::size_t item = 1; item < taken.size(); ++item)
    if (taken[item] == 0) wrong("an item is lost");
}
WEIR_CORO_WRAPPER task<> wsq() { return stealing(fault::looks_first); }
WEIR_CORO_WRAPPER task<> swsq() { return stealing(fault::thief_unlocked); }
WEIR_CORO_WRAPPER task<> iwsq() { return stealing(fault::looks_once); }
WEIR_CORO_WRAPPER task<> iwsqws() { return stealing(fault::keeps_tail); }

constexpr kernel kernels[] = {
    {"WSQ", "atomicity", &wsq},
    {"SWSQ", "atomicity", &swsq},
    {"IWSQ", "atomicity", &iwsq},
    {"IWSQWS", "lost item", &iwsqws},
    {.name = "SafeStack",
     .kind = "ABA",
     .body = &safestack,
     .verdict = expected::rare,
     .switches_least = 5,
     .shrunk_most = 10},
};

}  // namespace
}  // namespace in_sctbench_lock_free

std::span<const kernel> sctbench_lock_free() { return in_sctbench_lock_free::kernels; }

}  // namespace weir::corpora

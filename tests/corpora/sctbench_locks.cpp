// SCTBench (Thomson, Donaldson and Betts, PPoPP 2014): its small programs with locks and flags, as
// tasks. Where a thread could be interrupted between two accesses, a task has a checkpoint.
#include "corpus.hpp"

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

namespace weir::corpora {

namespace in_sctbench_locks {
namespace {

constexpr const char* by_guard = "a guard unlocks on every way out of its block";

// reorder: somebody sees the second of two writes but not the first.
task<> reorder(int setters) {
  int a = 0;
  int b = 0;
  co_await with_scope([&](scope& s) -> task<> {
    const auto set = [](int* first, int* second) -> task<> {
      *first = 1;
      co_await checkpoint();
      *second = -1;
    };
    for (int i = 0; i < setters; ++i) s.spawn(set, &a, &b);
    s.spawn(
        [](int* first, int* second) -> task<> {
          const int seen = *first;
          co_await checkpoint();
          if (seen == 0 && *second == -1) wrong("the second write without the first");
        },
        &a, &b);
    co_await s.join();
  });
}
WEIR_CORO_WRAPPER task<> reorder_3() { return reorder(2); }
WEIR_CORO_WRAPPER task<> reorder_4() { return reorder(3); }
WEIR_CORO_WRAPPER task<> reorder_5() { return reorder(4); }
WEIR_CORO_WRAPPER task<> reorder_10() { return reorder(9); }
WEIR_CORO_WRAPPER task<> reorder_20() { return reorder(19); }

// twostage: the second stage is read between the two critical sections of a writer. With 99 more
// readers, who come and go.
task<> twostage_of(int readers) {
  mutex one("stage one");
  mutex two("stage two");
  int data = 0;
  int sum = 0;
  const auto writer = [&]() -> task<> {
    {
      const auto held = co_await one.lock();
      data = 1;
    }
    co_await checkpoint();  // without an await in between nothing could come in between
    const auto held = co_await two.lock();
    sum = data + 1;
  };
  const auto reader = [&]() -> task<> {
    int seen = 0;
    {
      const auto held = co_await one.lock();
      if (data == 0) co_return;
      seen = data;
    }
    const auto held = co_await two.lock();
    if (sum != seen + 1) wrong("one stage without the other");
  };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(writer);
    for (int i = 0; i < readers; ++i) s.spawn(reader);
    co_await s.join();
  });
}
WEIR_CORO_WRAPPER task<> twostage() { return twostage_of(1); }
WEIR_CORO_WRAPPER task<> twostage_100() { return twostage_of(99); }

// stack: pops check before they wait for the lock.
task<> stack_underflow() {
  mutex lock("stack");
  std::vector<int> stack{1};
  const auto pop = [&]() -> task<> {
    if (stack.empty()) co_return;
    const auto held = co_await lock.lock();
    if (stack.empty()) wrong("popped from an empty stack");
    stack.pop_back();
  };
  co_await together({pop, pop});
}

// carter: who skips a resource that is in use must not give it back.
task<> carter() {
  mutex m("m");
  mutex l("l");
  int a = 0;
  int b = 0;
  const auto use = [&](int* mine) -> task<> {
    {
      const auto held = co_await m.lock();
      if (++*mine == 1) co_await checkpoint();
    }
    const auto outer = co_await (mine == &a ? m : l).lock();
    const auto inner = co_await (mine == &a ? l : m).lock();
    --*mine;
  };
  co_await together({[&]() -> task<> { co_await use(&a); }, [&]() -> task<> { co_await use(&b); }});
}

// lazy01: an order of three critical sections that nobody forbids.
task<> lazy() {
  mutex lock("lazy");
  int data = 0;
  const auto add = [&](int amount) -> task<> {
    const auto held = co_await lock.lock();
    data += amount;
  };
  co_await together({[&]() -> task<> { co_await add(1); }, [&]() -> task<> { co_await add(2); },
                     [&]() -> task<> {
                       const auto held = co_await lock.lock();
                       if (data == 2) wrong("the second came first");
                     }});
}

// account: an audit between a deposit and a withdrawal, which are one transfer but two sections.
task<> account() {
  mutex lock("account");
  int balance = 10;
  const auto change = [&](int by) -> task<> {
    const auto held = co_await lock.lock();
    balance += by;
  };
  co_await together({[&]() -> task<> {
                       co_await change(-5);
                       co_await checkpoint();
                       co_await change(5);
                     },
                     [&]() -> task<> {
                       const auto held = co_await lock.lock();
                       if (balance != 10) wrong("the audit saw half a transfer");
                     }});
}

// bluetooth_driver: a request passes the check for a stop, and the driver stops before it counts.
task<> bluetooth_driver() {
  bool is_stopping = false;
  bool is_stopped = false;
  int pending = 1;
  event drained("drained");
  const auto finish = [&]() -> task<> {
    co_await checkpoint();
    if (--pending == 0) drained.set();
  };
  co_await together({[&]() -> task<> {
                       if (is_stopping) co_return;
                       co_await checkpoint();
                       ++pending;
                       co_await checkpoint();
                       if (is_stopped) wrong("a request runs on a driver that has stopped");
                       co_await finish();
                     },
                     [&]() -> task<> {
                       is_stopping = true;
                       co_await finish();
                       co_await drained.wait();
                       is_stopped = true;
                     }});
}

// circular_buffer: the receiver is told of an item before the item is there.
task<> circular_buffer() {
  std::array<int, 4> places{};
  std::size_t written = 0;
  const auto sender = [&]() -> task<> {
    for (int i = 1; i <= 4; ++i) {
      const std::size_t at = written++;
      co_await checkpoint();
      places[at] = i;
    }
  };
  const auto receiver = [&]() -> task<> {
    for (std::size_t read = 0; read < written; ++read) {
      if (places[read] != static_cast<int>(read) + 1) wrong("an empty place was read");
      co_await checkpoint();
    }
  };
  co_await together({receiver, sender, receiver});
}

task<> lock_in_order(mutex* first, mutex* second) {
  const auto outer = co_await first->lock();
  const auto inner = co_await second->lock();
}
task<> deadlock01() {
  mutex a("a");
  mutex b("b");
  co_await together({[&]() -> task<> { co_await lock_in_order(&a, &b); },
                     [&]() -> task<> { co_await lock_in_order(&b, &a); }});
}

// din_phil: everybody takes the left fork first.
template <std::size_t Count>
task<> dining() {
  std::array<mutex, Count> forks;
  co_await with_scope([&](scope& s) -> task<> {
    for (std::size_t i = 0; i < Count; ++i)
      s.spawn(lock_in_order, &forks[i], &forks[(i + 1) % Count]);
    co_await s.join();
  });
}

// fsbench: 14 files get a block each of 13, and one looks past the end of the table.
task<> fsbench() {
  constexpr std::size_t block_count = 13;
  std::array<bool, block_count> is_busy{};
  mutex lock("blocks");
  co_await with_scope([&](scope& s) -> task<> {
    for (int file = 0; file < 14; ++file) {
      s.spawn([&]() -> task<> {
        const auto held = co_await lock.lock();
        std::size_t at = 0;
        while (at < block_count && is_busy[at]) ++at;
        if (at == block_count) wrong("no block is left");
        is_busy[at] = true;
      });
    }
    co_await s.join();
  });
}

// phase01: the first phase leaves without an unlock, the second waits for ever.
task<> phase01() {
  mutex x("x");
  const auto phase = [&]() -> task<> {
    const auto held = co_await x.lock();
    co_await checkpoint();
  };
  co_await together({[&]() -> task<> {
                       co_await phase();
                       co_await phase();
                     },
                     phase});
}

// queue: one flag tells "something is in it", set before the second of two items.
task<> queue() {
  mutex lock("queue");
  std::vector<int> items;
  bool is_filled = false;
  co_await together({[&]() -> task<> {
                       for (int i = 0; i < 2; ++i) {
                         const auto held = co_await lock.lock();
                         items.push_back(i);
                         is_filled = true;
                       }
                     },
                     [&]() -> task<> {
                       const auto held = co_await lock.lock();
                       if (is_filled && items.size() != 2) wrong("half filled");
                     }});
}

// sync01, sync02: the condition is notified before anybody waits for it.
task<> sync01() {
  mutex lock("sync");
  condition changed("sync");
  co_await together({[&]() -> task<> {
                       auto held = co_await lock.lock();
                       held.unlock();
                       co_await changed.wait();  // without a look at the state
                     },
                     [&]() -> task<> {
                       const auto held = co_await lock.lock();
                       changed.notify_one();
                     }});
}
task<> sync02() {
  mutex lock("sync");
  condition full("full");
  condition empty("empty");
  int items = 0;
  co_await together({[&]() -> task<> {
                       for (int i = 0; i < 2; ++i) {
                         {
                           const auto held = co_await lock.lock();
                           ++items;
                           full.notify_one();
                         }
                         co_await empty.wait();
                       }
                     },
                     [&]() -> task<> {
                       for (int i = 0; i < 2; ++i) {
                         {
                           const auto held = co_await lock.lock();
                           if (items > 0) --items;
                           empty.notify_one();
                         }
                         co_await full.wait();
                       }
                     }});
}

// token_ring: each of four derives its value from its neighbour's, in no order at all.
task<> token_ring() {
  std::array<int, 4> x{1, 1, 1, 1};
  int passed = 0;
  mutex lock("ring");
  co_await with_scope([&](scope& s) -> task<> {
    for (std::size_t i = 0; i < 4; ++i) {
      s.spawn(
          [&](std::size_t me) -> task<> {
            const auto held = co_await lock.lock();
            x[me] = (x[(me + 3) % 4] + 1) % 4;
            if (++passed < 4) co_return;
            const bool is_ring =
                x[0] == (x[3] + 1) % 4 || x[1] == (x[0] + 1) % 4 || x[2] == (x[1] + 1) % 4;
            if (!is_ring) wrong("no two neighbours follow each other");
          },
          i);
    }
    co_await s.join();
  });
}

// wronglock: readers and writers agree on a lock, but not on which.
task<> wronglock_of(int writers) {
  mutex data_lock("data");
  mutex thread_lock("thread");
  int data = 0;
  const auto writer = [&]() -> task<> {
    const auto held = co_await data_lock.lock();
    const int seen = data;
    co_await checkpoint();
    if (data != seen) wrong("changed under the lock");
    data = seen + 1;
  };
  const auto other = [&]() -> task<> {
    const auto held = co_await thread_lock.lock();
    ++data;
  };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < writers; ++i) s.spawn(other);
    s.spawn(writer);
    co_await s.join();
  });
}
WEIR_CORO_WRAPPER task<> wronglock() { return wronglock_of(7); }
WEIR_CORO_WRAPPER task<> wronglock_3() { return wronglock_of(3); }

// arithmetic_prog: the sum is taken when the adder has ended, or so the reader thinks.
task<> arithmetic_prog() {
  mutex lock("progression");
  condition changed("progression");
  int last = 0;
  int total = 0;
  const auto adder = [&]() -> task<> {
    for (int i = 1; i <= 3; ++i) {
      const auto held = co_await lock.lock();
      last = i;
      changed.notify_one();
    }
  };
  const auto summer = [&]() -> task<> {
    for (int seen = 0; seen < 3;) {
      auto held = co_await lock.lock();
      if (last == seen) {
        held.unlock();
        co_await changed.wait();
        held = co_await lock.lock();
      }
      total += last;  // but it may have gone on by two
      seen = last;
    }
  };
  co_await together({adder, summer});
  if (total != 1 + 2 + 3) wrong("a term was passed over");
}

// ctrace: a table of tracers is walked while one of them is taken out.
task<> ctrace() {
  std::vector<int> tracers{1, 2};
  int seen = 0;
  co_await together({[&]() -> task<> {
                       const std::size_t count = tracers.size();
                       for (std::size_t i = 0; i < count; ++i) {
                         if (i >= tracers.size()) wrong("walked past the end");
                         seen += tracers[i];
                         co_await checkpoint();
                       }
                     },
                     [&]() -> task<> {
                       co_await checkpoint();
                       tracers.pop_back();
                     }});
}

constexpr kernel kernels[] = {
    {"account", "atomicity", &account},
    {"arithmetic_prog", "lost wake-up", &arithmetic_prog},
    {"bluetooth_driver", "atomicity", &bluetooth_driver},
    {"carter01", "AB-BA", &carter},
    {"circular_buffer", "order", &circular_buffer},
    {"ctrace", "atomicity", &ctrace},
    {"deadlock01", "AB-BA", &deadlock01},
    {"din_phil2", "AB-BA", &dining<2>},
    {"din_phil3", "AB-BA", &dining<3>},
    {"din_phil4", "AB-BA", &dining<4>},
    {"din_phil5", "AB-BA", &dining<5>},
    {"din_phil6", "AB-BA", &dining<6>},
    {"din_phil7", "AB-BA", &dining<7>},
    {"fsbench", "bound", &fsbench},
    {"lazy01", "order", &lazy},
    {"phase01", "missing unlock", &phase01, expected::impossible, by_guard},
    {"queue", "order", &queue},
    {"reorder_3", "order", &reorder_3},
    {"reorder_4", "order", &reorder_4},
    {"reorder_5", "order", &reorder_5},
    {"reorder_10", "order", &reorder_10},
    {"reorder_20", "order", &reorder_20},
    {"stack", "atomicity", &stack_underflow},
    {"sync01", "lost wake-up", &sync01},
    {"sync02", "lost wake-up", &sync02},
    {"token_ring", "order", &token_ring},
    {"twostage", "atomicity", &twostage},
    {"twostage_100", "atomicity", &twostage_100},
    {"wronglock", "atomicity", &wronglock},
    {"wronglock_3", "atomicity", &wronglock_3},
};

}  // namespace
}  // namespace in_sctbench_locks

std::span<const kernel> sctbench_locks() { return in_sctbench_locks::kernels; }

}  // namespace weir::corpora

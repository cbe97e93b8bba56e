// The demonstration bugs of Coyote and shuttle, and small kernels of SCTBench (Thomson and others,
// PPoPP 2014), as tasks.
#include "corpus.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weir::corpora {

namespace {

// Cargill's puzzle: one condition for "not full" and "not empty", and notify_one, which may wake
// one of the wrong kind. Two readers, one writer, one place.
struct bounded_buffer {
  mutex lock{"buffer"};
  condition changed{"buffer changed"};
  int queued = 0;

  task<> put() {
    auto held = co_await lock.lock();
    while (queued == 1) co_await wait(held);
    ++queued;
    changed.notify_one();
  }
  task<> take() {
    auto held = co_await lock.lock();
    while (queued == 0) co_await wait(held);
    --queued;
    changed.notify_one();
  }

 private:
  task<> wait(mutex::guard& held) {
    held.unlock();
    co_await changed.wait();
    held = co_await lock.lock();
  }
};

task<> cargill() {
  bounded_buffer buffer;
  const auto reader = [&]() -> task<> {
    for (int i = 0; i < 2; ++i) co_await buffer.take();
  };
  co_await together({reader, reader, [&]() -> task<> {
                       for (int i = 0; i < 4; ++i) co_await buffer.put();
                     }});
}

// Accounts are created unless they exist: the second creation overwrites the first one's money.
task<> account_manager() {
  std::map<std::string, int> accounts;
  int created = 0;
  const auto create = [&](int money) -> task<> {
    const bool exists = accounts.contains("ada");
    co_await checkpoint();
    if (exists) co_return;
    accounts["ada"] = money;
    ++created;
  };
  co_await together(
      {[&]() -> task<> { co_await create(10); }, [&]() -> task<> { co_await create(20); }});
  if (created != 1) wrong("an account was created twice");
}

// An image is stored before its account; deleting the account in between leaves the image behind.
task<> image_gallery() {
  bool has_account = true;
  bool has_image = false;
  co_await together({[&]() -> task<> {
                       const bool may_store = has_account;
                       co_await checkpoint();
                       if (may_store) has_image = true;
                     },
                     [&]() -> task<> {
                       has_image = false;
                       co_await checkpoint();
                       has_account = false;
                     }});
  if (has_image && !has_account) wrong("an image without an account");
}

// The machine fails over while coffee is being made: the order is neither done nor put back.
task<> coffee_machine() {
  auto [orders, queue] = channel<int>(1);
  event failed("fail-over");
  int served = 0;
  co_await orders.send(1);
  orders.close();
  const auto machine = [&]() -> task<> {
    auto [order, over] = co_await select(queue.receive(), failed.wait());
    if (over || !*order) co_return;
    auto [heated, broken] = co_await select(yield(), failed.wait());
    if (broken) co_return;  // forgets the order that it has taken
    ++served;
  };
  co_await together({machine, [&]() -> task<> {
                       failed.set();
                       co_return;
                     }});
  co_await machine();
  failed.reset();
  co_await machine();
  if (served != 1) wrong("an order is lost");
}

// A guard in the head of a match lives until its end, and the arm locks again.
task<> match_guard() {
  mutex config("config");
  mutex state("state");
  const auto look = [&](mutex* matched, mutex* used) -> task<> {
    const auto head = co_await matched->lock();
    co_await checkpoint();
    const auto arm = co_await used->lock();
  };
  co_await together({[&]() -> task<> { co_await look(&config, &state); },
                     [&]() -> task<> { co_await look(&state, &config); }});
}

// shuttle's uneven workload: one step must come before 25 of another task.
task<> uneven() {
  int steps = 0;
  co_await together({[&]() -> task<> {
                       co_await checkpoint();
                       if (steps == 25) wrong("the short task came last");
                     },
                     [&]() -> task<> {
                       for (; steps < 25; ++steps) co_await checkpoint();
                     }});
}

// SCTBench's reorder: somebody sees the second of two writes but not the first.
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
WEIR_CORO_WRAPPER task<> reorder_5() { return reorder(4); }

// SCTBench's twostage: the second stage is read between the two critical sections of a writer.
task<> twostage() {
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
  co_await together({writer, reader});
}

// SCTBench's stack: pops check before they wait for the lock.
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

// SCTBench's carter: who skips a resource that is in use must not give it back.
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

// SCTBench's lazy01: an order of three critical sections that nobody forbids.
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

constexpr kernel kernels[] = {
    {"Cargill's bounded buffer", "condition", &cargill},
    {"account manager", "atomicity", &account_manager},
    {"image gallery", "atomicity", &image_gallery},
    {"coffee machine", "lost order", &coffee_machine},
    {"match guard", "AB-BA", &match_guard},
    {"uneven 25", "order", &uneven},
    {"reorder 3", "order", &reorder_3},
    {"reorder 5", "order", &reorder_5},
    {"twostage", "atomicity", &twostage},
    {"stack", "atomicity", &stack_underflow},
    {"carter", "AB-BA", &carter},
    {"lazy", "order", &lazy},
};

}  // namespace

std::span<const kernel> demos() { return kernels; }

}  // namespace weir::corpora

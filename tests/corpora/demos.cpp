// The demonstration bugs of Coyote and shuttle, as tasks.
#include "corpus.hpp"

#include <map>
#include <optional>
#include <string>

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

constexpr kernel kernels[] = {
    {"Cargill's bounded buffer", "condition", &cargill},
    {"account manager", "atomicity", &account_manager},
    {"image gallery", "atomicity", &image_gallery},
    {"coffee machine", "lost order", &coffee_machine},
    {"match guard", "AB-BA", &match_guard},
    {"uneven 25", "order", &uneven},
};

}  // namespace

std::span<const kernel> demos() { return kernels; }

}  // namespace weir::corpora

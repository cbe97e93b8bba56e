// The demonstration bugs of Coyote and shuttle, as tasks.
#include "corpus.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace weir::corpora {

namespace in_demos {
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

// A robot serves drinks with the help of a navigator, which keeps an order until the way to its
// client is known, so that another one can go on with it. The robot takes the order for pending
// until its first move. A navigator that takes over just before has nothing to go on with, and the
// robot asks for nothing: both wait.
enum class wish : std::uint8_t { order, way };
enum class word : std::uint8_t { hello, order, way, moves };

task<> begin_to_move(const sender<word>* tell) {
  co_await yield();
  co_await tell->send(word::moves);
}

task<> serve_one(sender<wish> ask, const receiver<word>& hear, const sender<word>& tell) {
  bool is_pending = false;
  bool has_way = false;
  co_await with_scope([&](scope& s) -> task<> {
    while (const std::optional<word> heard = co_await hear.receive()) {
      switch (*heard) {
        case word::hello:
          has_way = false;
          if (!std::exchange(is_pending, true)) co_await ask.send(wish::order);
          break;
        case word::order:
          co_await ask.send(wish::way);
          break;
        case word::way:
          has_way = true;
          s.spawn(begin_to_move, &tell);
          break;
        case word::moves:
          if (!has_way) break;
          co_return;  // now nothing is pending, and the client will be served
      }
    }
  });
}

task<> navigate(const receiver<wish>& asked, const sender<word>& tell, bool* keeps_order,
                event* fails) {
  co_await tell.send(word::hello);
  if (*keeps_order) co_await tell.send(word::order);
  for (;;) {
    auto [next, over] = co_await select(asked.receive(), fails->wait());
    if (over || !*next) co_return;
    *keeps_order = *next == wish::order;
    co_await tell.send(*keeps_order ? word::order : word::way);
  }
}

task<> drinks_serving_robot() {
  constexpr std::size_t room = 8;  // more than is ever said
  auto [ask, asked] = channel<wish>(room);
  auto [tell, told] = channel<word>(room);
  bool keeps_order = false;
  event fails("fail-over");
  co_await together({[&]() -> task<> { co_await serve_one(std::move(ask), told, tell); },
                     [&]() -> task<> {
                       co_await navigate(asked, tell, &keeps_order, &fails);
                       fails.reset();
                       co_await navigate(asked, tell, &keeps_order, &fails);
                     },
                     [&]() -> task<> {
                       fails.set();
                       co_return;
                     }});
}

// A term of Raft: two of five servers stand for election. A candidate asks again while it waits,
// and who has voted for it says so again. Votes are counted where voters should be: both may lead.
class election {
 public:
  task<> stand(std::size_t number) {
    candidate self{.number = number};
    co_await with_scope([&](scope& s) -> task<> {
      for (int round = 0; round < 2 && self.votes < majority; ++round) {
        for (std::size_t& vote : votes_) s.spawn(&election::ask, this, &self, &vote);
        co_await yield();
      }
      co_await s.join();
    });
  }

 private:
  static constexpr std::size_t majority = 3;
  static constexpr std::size_t nobody = 0;
  struct candidate {
    std::size_t number;
    std::size_t votes = 1;  // its own
  };

  task<> ask(candidate* who, std::size_t* vote) {
    co_await checkpoint();  // the question is on its way
    if (*vote == nobody) *vote = who->number;
    if (*vote != who->number) co_return;
    co_await checkpoint();  // so is the answer
    if (++who->votes == majority && ++leaders_ == 2) wrong("a term has two leaders");
  }

  std::array<std::size_t, 3> votes_{};  // of the others
  int leaders_ = 0;
};

task<> raft() {
  election term;
  co_await together(
      {[&]() -> task<> { co_await term.stand(1); }, [&]() -> task<> { co_await term.stand(2); }});
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
    {"drinks serving robot", "lost order", &drinks_serving_robot},
    {"Raft with two leaders", "counting", &raft},
    {"match guard", "AB-BA", &match_guard},
    {"uneven 25", "order", &uneven},
};

}  // namespace
}  // namespace in_demos

std::span<const kernel> demos() { return in_demos::kernels; }

}  // namespace weir::corpora

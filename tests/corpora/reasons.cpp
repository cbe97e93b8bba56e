// Why a bug of another language can't happen here: the rules of weir that the non-blocking kernels
// of GoKer name, and the same programs without them. The hard idea: that no schedule fails shows a
// rule only when the same checks do fail where the rule is left out, so each is here twice.
#include "corpus.hpp"

#include <cstddef>
#include <vector>

namespace weir::corpora {

namespace in_reasons {
namespace {

// Tasks of one loop meet at awaits only.
enum class step : std::uint8_t { whole, divided };
task<> count(step how) {
  int calls = 0;
  const auto call = [&]() -> task<> {
    co_await checkpoint();
    const int before = calls;
    if (how == step::divided) co_await checkpoint();
    calls = before + 1;
  };
  co_await together({call, call, call});
  if (calls != 3) wrong("a call is not counted");
}
WEIR_CORO_WRAPPER task<> count_in_one_step() { return count(step::whole); }
WEIR_CORO_WRAPPER task<> count_across_an_await() { return count(step::divided); }

// A scope ends after its tasks.
enum class owner : std::uint8_t { own_scope, longer_scope };
task<> work(owner who) {
  bool has_ended = false;
  co_await with_scope([&](scope& longer) -> task<> {
    co_await with_scope([&](scope& own) -> task<> {
      (who == owner::own_scope ? own : longer).spawn([&]() -> task<> {
        co_await checkpoint();
        if (has_ended) wrong("it works after the end");
      });
      co_await checkpoint();
    });
    has_ended = true;
  });
}
WEIR_CORO_WRAPPER task<> work_in_its_scope() { return work(owner::own_scope); }
WEIR_CORO_WRAPPER task<> work_in_a_longer_scope() { return work(owner::longer_scope); }

// A scope counts what is spawned into it until it has ended, also what its own tasks spawn.
struct tally {
  int started = 0;
  int done = 0;
};
task<> work_and_spawn(scope* into, int generations, tally* of) {
  ++of->started;
  co_await checkpoint();
  if (generations > 1) into->spawn(&work_and_spawn, into, generations - 1, of);
  co_await checkpoint();
  ++of->done;
}
task<> workers_counted_by_a_scope() {
  tally all;
  co_await with_scope([&](scope& workers) -> task<> {
    for (int i = 0; i < 2; ++i) workers.spawn(&work_and_spawn, &workers, 3, &all);
    co_await checkpoint();
  });
  if (all.started != 6 || all.done != 6) wrong("the scope has ended before its workers");
}
task<> workers_counted_by_hand() {
  condition changed("workers");
  int workers = 0;
  bool is_stopped = false;
  const auto request = [&]() -> task<> {
    co_await checkpoint();
    ++workers;
    co_await checkpoint();
    if (is_stopped) wrong("a worker outlives the stopper");
    --workers;
    changed.notify_all();
  };
  const auto stopper = [&]() -> task<> {
    co_await checkpoint();
    while (workers != 0) co_await changed.wait();
    is_stopped = true;
  };
  co_await together({request, stopper});
}

// A send to what is closed is an error for its sender, whether it waits already or comes later, and
// a second close is nothing. What was taken before is still received.
task<> closed_by_its_half() {
  auto [to, from] = channel<int>(1);
  co_await to.send(1);
  const auto send = [&]() -> task<> {
    const auto sent = co_await as_result(to.send(2));
    if (sent || sent.error().code() != errc::closed) wrong("it was not told `closed`");
  };
  const auto close = [&]() -> task<> {
    co_await checkpoint();
    to.close();
    to.close();
  };
  co_await together({send, close, send});
  if (co_await from.receive() != 1) wrong("an item is lost");
  if (co_await from.receive()) wrong("there is more than was taken");
}
task<> closed_by_a_flag() {
  std::vector<int> queue;
  bool is_closed = false;
  const auto send = [&]() -> task<> {
    if (is_closed) co_return;
    co_await checkpoint();  // waits for room
    if (is_closed) wrong("sent to a closed queue");
    queue.push_back(1);
  };
  const auto close = [&]() -> task<> {
    co_await checkpoint();
    is_closed = true;
  };
  co_await together({send, close, send});
}

// An event stays set: who comes later passes as well, and so does who asks again.
task<> told_by_an_event() {
  event stopping("stop");
  const auto watch = [&]() -> task<> {
    co_await checkpoint();
    co_await stopping.wait();
    co_await stopping.wait();
  };
  const auto stop = [&]() -> task<> {
    co_await checkpoint();
    stopping.set();
  };
  co_await together({watch, stop, watch});
}
task<> told_by_a_condition() {
  condition stopping("stop");
  const auto watch = [&]() -> task<> {
    co_await checkpoint();
    co_await stopping.wait();
  };
  const auto stop = [&]() -> task<> {
    co_await yield();
    stopping.notify_all();
  };
  co_await together({watch, stop, watch});
}

constexpr kernel kernels[] = {
    {"count in one step", "one loop", &count_in_one_step, expected::impossible,
     "tasks of one loop meet at awaits only"},
    {"count across an await", "one loop", &count_across_an_await},
    {"work in its scope", "scope", &work_in_its_scope, expected::impossible,
     "a scope ends after its tasks"},
    {"work in a longer scope", "scope", &work_in_a_longer_scope},
    {"workers counted by a scope", "scope", &workers_counted_by_a_scope, expected::impossible,
     "a scope counts what is spawned into it until it has ended"},
    {"workers counted by hand", "scope", &workers_counted_by_hand},
    {"closed by its half", "channel", &closed_by_its_half, expected::impossible,
     "a send to what was closed is an error, a value with as_result(); a second close is nothing"},
    {"closed by a flag", "channel", &closed_by_a_flag},
    {"told by an event", "event", &told_by_an_event, expected::impossible, "an event stays set"},
    {"told by a condition", "event", &told_by_a_condition},
};

}  // namespace
}  // namespace in_reasons

std::span<const kernel> reasons() { return in_reasons::kernels; }

}  // namespace weir::corpora

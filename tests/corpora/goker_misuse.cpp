// GoKer (Yuan and others, CGO 2021): what Go makes easy to misuse, that is channels, closures, wait
// groups and the library of tests. From its reports and from what the fixes say; no code of theirs.
#include "corpus.hpp"

#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace weir::corpora {

namespace in_goker_misuse {
namespace {

constexpr const char* by_error =
    "a send to what was closed or left is an error for its sender, a value with as_result()";
constexpr const char* by_event =
    "there is no nil channel: an event is there as long as its owner, and stays set";
constexpr const char* by_scope = "a scope ends after its tasks: what follows it meets none of them";
constexpr const char* by_count = "a scope counts what is spawned into it until it has ended";
constexpr const char* by_latch = "a latch knows its count: below zero it ends the process";

// A send that may be refused; how, the kernel knows.
task<bool> is_taken(const sender<int>* to, int item, errc refusal) {
  const auto sent = co_await as_result(to->send(item));
  if (!sent && sent.error().code() != refusal) wrong("refused for another reason");
  co_return sent.has_value();
}

// A service config switches the balancer of a connection that is being closed.
task<> grpc_2371() {
  auto [config, configs] = channel<int>(1);
  std::optional<int> balancer = 1;
  const auto watcher = [&]() -> task<> {
    while (auto one = co_await configs.receive()) {
      if (!balancer) wrong("a balancer that is gone gets addresses");
      *balancer = *one;
    }
  };
  const auto resolver = [&]() -> task<> {
    const auto mine = std::move(config);
    co_await mine.send(2);
  };
  const auto close = [&]() -> task<> {
    co_await yield();
    balancer.reset();
  };
  co_await together({watcher, resolver, close});
}

// The status of a stream closes the channel of its writes, while another call writes.
task<> grpc_1687() {
  auto [writes, to_run] = channel<int>(1);
  int taken = 0;
  int run = 0;
  const auto write = [&]() -> task<> {
    for (int i = 0; i < 3; ++i) {
      if (co_await is_taken(&writes, i, errc::closed)) ++taken;
    }
  };
  const auto write_status = [&]() -> task<> {
    co_await checkpoint();
    writes.close();
  };
  const auto handle = [&]() -> task<> {
    while (co_await to_run.receive()) ++run;
  };
  co_await together({write, write_status, handle});
  if (taken != run) wrong("a write that was taken did not run");
}

// Work is given to a pool that has closed its channel to wait for its workers.
task<> serving_3068() {
  auto [to_workers, work] = channel<int>(1);
  int taken = 0;
  int done = 0;
  const auto go = [&]() -> task<> {
    if (co_await is_taken(&to_workers, 1, errc::closed)) ++taken;
  };
  const auto worker = [&]() -> task<> {
    while (co_await work.receive()) ++done;
  };
  const auto wait = [&]() -> task<> {
    co_await checkpoint();
    to_workers.close();
    to_workers.close();
  };
  co_await together({go, worker, wait, go});
  if (taken != done) wrong("work that was taken is not done");
}

// Endpoints are sent to the watcher of a revision, which is deleted.
task<> serving_5865() {
  auto [to_watcher, endpoints] = channel<int>(0);
  std::map<int, sender<int>> watchers;
  watchers.emplace(1, std::move(to_watcher));
  const auto updated = [&]() -> task<> {
    const auto found = watchers.find(1);
    if (found == watchers.end()) co_return;
    const sender<int> mine = found->second;  // what was found may be erased while this waits
    static_cast<void>(co_await is_taken(&mine, 1, errc::broken));
  };
  const auto deleted = [&]() -> task<> {
    co_await checkpoint();
    watchers.erase(1);
    endpoints.close();
  };
  co_await together({updated, deleted});
}

// The server's stop uses a channel that its raft node makes only when it runs.
task<> etcd_3077() {
  event stopping("r.stopped");
  event done("r.done");
  const auto raft = [&]() -> task<> {
    co_await checkpoint();
    co_await stopping.wait();
    done.set();
  };
  const auto server = [&]() -> task<> {
    stopping.set();
    co_await done.wait();
  };
  co_await together({server, raft});
}

// A stop closes a channel and forgets it, while its watcher is about to ask for it again.
task<> istio_8967() {
  auto [change, changes] = channel<int>(2);
  event done("donec");
  const auto watch = [&]() -> task<> {
    for (;;) {
      auto [one, is_done] = co_await select(changes.receive(), done.wait());
      if (is_done) co_return;
    }
  };
  const auto files = [&]() -> task<> {
    for (int i = 0; i < 2; ++i) co_await change.send(i);
  };
  const auto stop = [&]() -> task<> {
    co_await checkpoint();
    done.set();
  };
  co_await together({watch, files, stop});
}

// Tasks are started in a loop and share its variable, which has gone on when they read it.
template <class Start>
task<> share_the_variable(Start between) {
  std::array<int, 3> seen{};
  std::size_t shared = 0;
  co_await with_scope([&](scope& tasks) -> task<> {
    for (std::size_t i = 0; i < seen.size(); ++i) {
      shared = i;
      tasks.spawn([&]() -> task<> {
        ++seen.at(shared);
        co_return;
      });
      co_await between();
    }
  });
  if (seen != std::array{1, 1, 1}) wrong("one item is seen twice and another not at all");
}
// Each check constraint has a task that validates it.
WEIR_CORO_WRAPPER task<> cockroach_35501() {
  return share_the_variable([] { return checkpoint(); });
}
// Each version of the interface has a task that asks it for statistics.
WEIR_CORO_WRAPPER task<> moby_27037() { return cockroach_35501(); }
// Each pair of headers has a task that writes it; the loop gives it a turn.
WEIR_CORO_WRAPPER task<> moby_22941() {
  return share_the_variable([] { return yield(); });
}

// The task of each node makes a list of scores where none is, and drops what others have put there.
task<> kubernetes_70892() {
  std::vector<int> scores;
  const auto score = [&](std::size_t node) -> task<> {
    if (scores.empty()) {
      std::vector<int> made(2);
      co_await checkpoint();  // asks the priority's function
      scores = std::move(made);
    }
    scores.at(node) = 1;
  };
  co_await together(
      {[&]() -> task<> { co_await score(0); }, [&]() -> task<> { co_await score(1); }});
  if (scores != std::vector<int>(2, 1)) wrong("the score of a node is lost");
}

// A probe that has failed says so in the log of its test, which may have ended.
task<> serving_4908() {
  bool has_ended = false;
  co_await with_scope([&](scope& test) -> task<> {
    test.spawn([&]() -> task<> {
      co_await sleep(duration(1));  // the probe
      if (has_ended) wrong("logged after the test has ended");
    });
    co_await checkpoint();
  });
  has_ended = true;
}
// The same function again, months later.
WEIR_CORO_WRAPPER task<> serving_6171() { return serving_4908(); }

// A request that comes in during the shutdown starts a worker, beside the wait for all workers.
task<> cockroach_4407() {
  bool is_stopped = false;
  co_await with_scope([&](scope& stopper) -> task<> {
    const auto request = [&is_stopped](scope* workers) -> task<> {
      co_await checkpoint();
      workers->spawn([&is_stopped]() -> task<> {
        co_await checkpoint();
        if (is_stopped) wrong("a worker outlives the stopper");
      });
    };
    stopper.spawn(request, &stopper);
    co_await checkpoint();
  });
  is_stopped = true;
}

// A deletion is told twice, by the watch and by a list made anew; each counts the group down.
task<> kubernetes_13058() {
  latch deleted(1);
  bool is_known = true;
  const auto tell = [&]() -> task<> {
    if (!is_known) co_return;
    co_await checkpoint();  // the queue of changes
    is_known = false;
    deleted.count_down();
  };
  co_await together({tell, tell});
}

constexpr kernel kernels[] = {
    {"cockroach#35501", "closure", &cockroach_35501},
    {"cockroach#4407", "wait group", &cockroach_4407, expected::impossible, by_count},
    {"etcd#3077", "channel", &etcd_3077, expected::impossible, by_event},
    {"grpc#1687", "channel", &grpc_1687, expected::impossible, by_error},
    {"grpc#2371", "channel", &grpc_2371},
    {"istio#8967", "channel", &istio_8967, expected::impossible, by_event},
    {"kubernetes#13058", "wait group", &kubernetes_13058, expected::assertion, by_latch,
     "a latch was counted below zero"},
    {"kubernetes#70892", "closure", &kubernetes_70892},
    {"moby#22941", "closure", &moby_22941},
    {"moby#27037", "closure", &moby_27037},
    {"serving#3068", "channel", &serving_3068, expected::impossible, by_error},
    {"serving#4908", "test library", &serving_4908, expected::impossible, by_scope},
    {"serving#5865", "channel", &serving_5865, expected::impossible, by_error},
    {"serving#6171", "test library", &serving_6171, expected::impossible, by_scope},
};

}  // namespace
}  // namespace in_goker_misuse

std::span<const kernel> goker_misuse() { return in_goker_misuse::kernels; }

}  // namespace weir::corpora

// GoKer (Yuan and others, CGO 2021): data races and violated orders. From its race reports and from
// what the fixes say; no code of theirs. The hard idea: a data race takes two threads, and tasks of
// one loop are one. What is left of it shows in its fix. Where that held a lock over a wait, made a
// copy or changed an order, the bug exists here as well, and the await stands where the original
// waits. Where it only made single accesses atomic, nothing is left to find.
#include "corpus.hpp"

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace weir::corpora {

namespace in_goker_races {
namespace {

constexpr const char* by_loop =
    "tasks of one loop meet at awaits only, and between these accesses there is none";
constexpr const char* by_scope = "a scope ends after its tasks: what follows it meets none of them";

// The time-out decides what is returned; who waits for the killed command overwrites it.
task<> moby_18412() {
  event killed("cmd.Process.Kill()");
  bool is_timed_out = false;
  co_await together({[&]() -> task<> {
                       co_await killed.wait();
                       is_timed_out = false;  // "it has exited"
                     },
                     [&]() -> task<> {
                       co_await sleep(duration(1));
                       is_timed_out = true;
                       killed.set();
                       co_await checkpoint();  // collects the output
                       if (!is_timed_out) wrong("a time-out is told as an exit");
                     }});
}

// A resolver reports an error while it is being built. The poll that this starts asks the resolver,
// which is there only when its build has returned.
task<> grpc_3090() {
  event reported("ReportError()");
  bool has_resolver = false;
  const auto build = [&]() -> task<> {
    reported.set();
    co_await checkpoint();  // looks names up
    has_resolver = true;
  };
  const auto poll = [&]() -> task<> {
    co_await reported.wait();
    if (!has_resolver) wrong("a resolver that is not there is asked");
  };
  co_await together({build, poll});
}

// A test restores a global time-out at its end, while connections that it has made still read it.
task<> grpc_1748() {
  int connect_timeout = 1;
  co_await with_scope([&](scope& connections) -> task<> {
    for (int i = 0; i < 2; ++i) {
      connections.spawn([&]() -> task<> {
        co_await checkpoint();
        if (connect_timeout != 1) wrong("a connection reads what belongs to the next test");
      });
    }
    co_await checkpoint();
  });
  connect_timeout = 20;
}

// A read joins what is in the buffer with what is on the disk. A defragmentation resets the buffer
// without the readers' lock.
task<> etcd_9446() {
  std::map<int, int> buffer{{1, 10}, {2, 20}};
  const auto range = [&]() -> task<> {
    const std::size_t count = buffer.size();
    co_await checkpoint();  // reads the disk
    if (buffer.size() != count) wrong("the buffer is reset under a reader");
  };
  const auto defragment = [&]() -> task<> {
    co_await checkpoint();  // writes the file anew
    buffer.clear();
  };
  co_await together({range, defragment});
}

// One test leaves a lessor running, whose loop reads the rate that the next test sets.
task<> etcd_8194() {
  int revoke_rate = 1000;
  co_await with_scope([&](scope& first_test) -> task<> {
    first_test.spawn([&]() -> task<> {
      for (;;) {
        co_await sleep(duration(500));
        if (revoke_rate != 1000) wrong("a lessor outlives its test");
      }
    });
    co_await sleep(duration(700));
    first_test.cancel();
  });
  revoke_rate = 10;
  co_await sleep(duration(700));
}

// A test shortens the interval of reports and restores it, while streams read it.
task<> etcd_4876() {
  int interval = 600;
  const auto test = [&]() -> task<> {
    const int before = std::exchange(interval, 3);
    co_await checkpoint();
    interval = before;
  };
  const auto stream = [&]() -> task<> {
    co_await checkpoint();
    const int period = interval;
    if (period != 3 && period != 600) wrong("an interval that nobody has set");
  };
  co_await together({stream, test, stream});
  if (interval != 600) wrong("the interval is not restored");
}

// The labels of a proxy change while its configuration is pushed, piece by piece.
task<> istio_16742() {
  int labels = 1;
  const auto push = [&]() -> task<> {
    const int of_listeners = labels;
    co_await checkpoint();  // the stream takes the listeners
    if (labels != of_listeners) wrong("routes and listeners are of different labels");
  };
  const auto update = [&]() -> task<> {
    co_await checkpoint();  // the workload's event
    labels = 2;
  };
  co_await together({push, update});
}

// Set() adds an entry and to the count of writes; Stats() reads both without the lock.
task<> istio_8214() {
  int writes = 0;
  int entries = 0;
  const auto set = [&]() -> task<> {
    co_await checkpoint();
    ++writes;
    ++entries;
  };
  const auto stats = [&]() -> task<> {
    for (int i = 0; i < 2; ++i) {
      co_await checkpoint();
      if (writes != entries) wrong("the statistics are half of before and half of after");
    }
  };
  co_await together({set, stats, set});
}

// The evicter takes an entry out and calls back, which counts. A test that finds the entry gone
// reads the count.
task<> istio_8144() {
  bool has_entry = true;
  int calls = 0;
  const auto evict = [&]() -> task<> {
    co_await checkpoint();
    has_entry = false;
    ++calls;
  };
  const auto test = [&]() -> task<> {
    for (int i = 0; i < 3; ++i) {
      co_await checkpoint();
      if (!has_entry && calls != 1) wrong("evicted, and not called back");
    }
  };
  co_await together({test, evict});
}

// Probes are queued before their number is noted. A quick one counts down what is not there yet.
task<> serving_6472() {
  auto [queue, probes] = channel<int>(2);
  int pending = 0;
  bool is_ready = false;
  const auto ask = [&]() -> task<> {
    const auto mine = std::move(queue);
    for (int i = 0; i < 2; ++i) co_await mine.send(i);
    pending = 2;
  };
  const auto prober = [&]() -> task<> {
    while (co_await probes.receive()) {
      if (--pending == 0) is_ready = true;
    }
  };
  co_await together({ask, prober});
  if (!is_ready) wrong("all probes have passed, and it is not ready");
}

// A test adds a hook to a client when the controller that uses the client runs already.
task<> serving_3148() {
  bool has_hook = false;
  bool is_seen = false;
  const auto test = [&]() -> task<> {
    co_await checkpoint();  // the answer to its own creation
    has_hook = true;
  };
  const auto controller = [&]() -> task<> {
    co_await checkpoint();  // takes the item from its queue
    is_seen = has_hook;
  };
  co_await together({test, controller});
  if (!is_seen) wrong("a creation went past the hook");
}

// Events are dispatched from the cacher's list of watchers to serve, which is made for one event
// at a time. A test dispatches beside the cacher's own loop.
task<> kubernetes_77796() {
  const std::vector<int> watchers{1, 2};
  std::vector<int> to_serve;
  std::size_t served = 0;
  const auto dispatch = [&]() -> task<> {
    to_serve = watchers;
    for (std::size_t i = 0; i < to_serve.size(); ++i) {
      co_await checkpoint();  // the watcher takes the event
      ++served;
    }
    to_serve.clear();
  };
  co_await together({dispatch, dispatch});
  if (served != 2 * watchers.size()) wrong("a watcher has missed an event");
}
// The same list again, months later.
WEIR_CORO_WRAPPER task<> kubernetes_89164() { return kubernetes_77796(); }

// A provider drops its client, makes a new one and asks it; two calls at once drop each other's.
task<> kubernetes_82550() {
  std::optional<int> getter;
  const auto provide = [&]() -> task<> {
    getter.reset();
    co_await checkpoint();  // opens a session
    getter = 1;
    co_await checkpoint();  // asks for credentials
    if (!getter) wrong("the client is gone when its answer is there");
  };
  co_await together({provide, provide});
}

// A fake client hands out its own object instead of a copy. The test changes it under the
// controller.
task<> kubernetes_82239() {
  std::map<int, int> annotations;
  const auto controller = [&]() -> task<> {
    const bool is_bound = annotations.contains(1);
    co_await checkpoint();  // writes the status
    if (annotations.contains(1) != is_bound) wrong("the volume changed under the controller");
  };
  const auto test = [&]() -> task<> {
    co_await checkpoint();  // waits for the controller's first event
    annotations[1] = 1;
  };
  co_await together({controller, test});
}

// A heap is a list and an index of it. A task moves pods out of it; the test asks without its lock.
struct pod_heap {
  std::vector<int> pods{};
  std::map<int, std::size_t> places{};

  void add(int pod) {
    places[pod] = pods.size();
    pods.push_back(pod);
  }
  void pop() {
    places.erase(pods.back());
    pods.pop_back();
  }
};

template <class Ask>
task<> asked_while_flushed(Ask ask) {
  pod_heap heap;
  for (int pod = 1; pod <= 3; ++pod) heap.add(pod);
  const auto flush = [&]() -> task<> {
    while (!heap.pods.empty()) {
      co_await checkpoint();
      heap.pop();
    }
  };
  const auto test = [&]() -> task<> {
    for (int pod = 1; pod <= 3; ++pod) {
      co_await checkpoint();
      if (!ask(heap, pod)) wrong("the heap is asked while it is changed");
    }
  };
  co_await together({flush, test});
}
// Len()
WEIR_CORO_WRAPPER task<> kubernetes_88331() {
  return asked_while_flushed(
      [](const pod_heap& heap, int) { return heap.pods.size() == heap.places.size(); });
}
// Get()
WEIR_CORO_WRAPPER task<> kubernetes_79631() {
  return asked_while_flushed([](const pod_heap& heap, int pod) {
    const auto found = heap.places.find(pod);
    return found == heap.places.end() || heap.pods.at(found->second) == pod;
  });
}

// A task walks the pods that could not be placed; the test adds one without the lock.
task<> kubernetes_81148() {
  std::map<int, int> waiting{{1, 0}, {2, 0}};
  int moved = 0;
  const auto flush = [&]() -> task<> {
    for (int round = 0; round < 3; ++round) {
      co_await checkpoint();
      moved += static_cast<int>(waiting.size());
      for (auto pod = waiting.begin(); pod != waiting.end();) pod = waiting.erase(pod);
    }
  };
  const auto test = [&]() -> task<> {
    co_await checkpoint();
    waiting[3] = 0;
  };
  co_await together({flush, test});
  if (moved + static_cast<int>(waiting.size()) != 3) wrong("a pod is lost");
}

// Nodes are filtered side by side, and a fake filter counts its calls.
task<> kubernetes_81091() {
  int calls = 0;
  const auto filter = [&]() -> task<> {
    co_await checkpoint();
    const int before = calls;
    calls = before + 1;
  };
  co_await together({filter, filter, filter});
  if (calls != 3) wrong("a call is not counted");
}

// Each use of a configuration sets the authenticator's dialer and what closes its connections.
task<> kubernetes_80284() {
  int dialer = 0;
  int closes = 0;
  const auto update = [&](int mine) -> task<> {
    co_await checkpoint();
    dialer = mine;
    closes = mine;
  };
  co_await together(
      {[&]() -> task<> { co_await update(1); }, [&]() -> task<> { co_await update(2); }});
  if (dialer != closes) wrong("the connections of another dialer are closed");
}

// A handler notes that it was called when the client has the answer already.
task<> kubernetes_49404() {
  auto [answer, answers] = channel<int>(1);
  bool is_called = false;
  const auto handler = [&]() -> task<> {
    co_await answer.send(101);
    is_called = true;
  };
  const auto client = [&]() -> task<> {
    static_cast<void>(co_await answers.receive());
    if (!is_called) wrong("expected called=true, got false");
  };
  co_await together({handler, client});
}

constexpr kernel kernels[] = {
    {"etcd#4876", "data race", &etcd_4876, expected::impossible, by_loop},
    {"etcd#8194", "data race", &etcd_8194, expected::impossible, by_scope},
    {"etcd#9446", "data race", &etcd_9446},
    {"grpc#1748", "data race", &grpc_1748, expected::impossible, by_scope},
    {"grpc#3090", "data race", &grpc_3090},
    {"istio#16742", "data race", &istio_16742},
    {"istio#8144", "data race", &istio_8144, expected::impossible, by_loop},
    {"istio#8214", "data race", &istio_8214, expected::impossible, by_loop},
    {"kubernetes#49404", "data race", &kubernetes_49404},
    {"kubernetes#77796", "data race", &kubernetes_77796},
    {"kubernetes#79631", "data race", &kubernetes_79631, expected::impossible, by_loop},
    {"kubernetes#80284", "data race", &kubernetes_80284, expected::impossible, by_loop},
    {"kubernetes#81091", "data race", &kubernetes_81091, expected::impossible, by_loop},
    {"kubernetes#81148", "data race", &kubernetes_81148, expected::impossible, by_loop},
    {"kubernetes#82239", "data race", &kubernetes_82239},
    {"kubernetes#82550", "data race", &kubernetes_82550},
    {"kubernetes#88331", "data race", &kubernetes_88331, expected::impossible, by_loop},
    {"kubernetes#89164", "data race", &kubernetes_89164},
    {"moby#18412", "order", &moby_18412},
    {"serving#3148", "data race", &serving_3148},
    {"serving#6472", "data race", &serving_6472},
};

}  // namespace
}  // namespace in_goker_races

std::span<const kernel> goker_races() { return in_goker_races::kernels; }

}  // namespace weir::corpora

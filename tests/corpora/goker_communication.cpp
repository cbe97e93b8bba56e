// GoKer (Yuan and others, CGO 2021): bugs of channels, conditions and contexts. From the
// descriptions; no code of theirs.
#include "corpus.hpp"

#include <utility>

namespace weir::corpora {

namespace in_goker_communication {
namespace {

constexpr const char* by_broken =
    "the receiving half goes with its task, and the sender is told `broken`";
constexpr const char* by_end = "the sending half goes with its task, and the receiver sees the end";

// The sender of a result whose reader may have gone: it takes "nobody wants it" for an answer.
task<> offer(sender<int> to, int count) {
  for (int i = 0; i < count; ++i) {
    if (!co_await as_result(to.send(i))) co_return;
  }
}

// A reader that gives up when `stop` is set, with its half: what `return` is in the Go kernels.
task<> read_until(receiver<int> from, event* stop) {
  for (;;) {
    auto [item, stopped] = co_await select(from.receive(), stop->wait());
    if (stopped || !*item) co_return;
  }
}

task<> abandoned_sender(int count, std::size_t capacity) {
  auto [to, from] = channel<int>(capacity);
  event stop("ctx.Done()");
  co_await together({[&]() -> task<> { co_await offer(std::move(to), count); },
                     [&]() -> task<> { co_await read_until(std::move(from), &stop); },
                     [&]() -> task<> {
                       co_await yield();
                       stop.set();
                     }});
}
WEIR_CORO_WRAPPER task<> cockroach_10790() { return abandoned_sender(3, 1); }
WEIR_CORO_WRAPPER task<> cockroach_18101() { return abandoned_sender(4, 0); }
WEIR_CORO_WRAPPER task<> etcd_6857() { return abandoned_sender(1, 0); }
WEIR_CORO_WRAPPER task<> grpc_660() { return abandoned_sender(1, 0); }
WEIR_CORO_WRAPPER task<> kubernetes_25331() { return abandoned_sender(2, 1); }
WEIR_CORO_WRAPPER task<> kubernetes_70277() { return abandoned_sender(5, 0); }

// A request with a time-out: the reader goes, the handler still sends its answer.
task<> kubernetes_5316() {
  auto [to, from] = channel<int>(0);
  co_await together({[&]() -> task<> {
                       auto mine = std::move(to);
                       co_await sleep(duration(2));
                       static_cast<void>(co_await as_result(mine.send(1)));
                     },
                     [&]() -> task<> {
                       auto mine = std::move(from);
                       static_cast<void>(co_await select(mine.receive(), sleep(duration(1))));
                     }});
}
WEIR_CORO_WRAPPER task<> moby_33781() { return kubernetes_5316(); }

// An agent's status channel is read by nobody any more.
task<> istio_17860() {
  auto [to, from] = channel<int>(1);
  co_await together({[&]() -> task<> { co_await offer(std::move(to), 3); },
                     [&]() -> task<> {
                       auto mine = std::move(from);
                       static_cast<void>(co_await mine.receive());
                     }});
}
// The result of a function is sent to somebody who has never come for it.
task<> moby_4395() {
  auto [to, from] = channel<int>(0);
  co_await together({[&]() -> task<> { co_await offer(std::move(to), 1); },
                     [&]() -> task<> {
                       const auto unread = std::move(from);
                       co_return;
                     }});
}
// An outbox fails at its start, while rows are pushed to it.
task<> cockroach_35073() {
  auto [to, from] = channel<int>(2);
  co_await together({[&]() -> task<> { co_await offer(std::move(to), 10); },
                     [&]() -> task<> {
                       auto outbox = std::move(from);
                       co_await yield();
                     }});
}

// A watcher that returns without draining: here its half goes, which is the signal.
task<> grpc_1424() {
  auto [to, done] = channel<int>(0);
  co_await together({[&]() -> task<> {
                       auto watcher = std::move(to);
                       co_await yield();
                     },
                     [&]() -> task<> {
                       auto mine = std::move(done);
                       while (co_await mine.receive()) {
                       }
                     }});
}
WEIR_CORO_WRAPPER task<> kubernetes_38669() { return grpc_1424(); }

// A task waits for a context that nobody cancels.
task<> never_cancelled(const char* name) {
  event done(name);
  co_await together({[&]() -> task<> { co_await done.wait(); }});
}
WEIR_CORO_WRAPPER task<> cockroach_13197() { return never_cancelled("tx.ctx.Done()"); }
WEIR_CORO_WRAPPER task<> cockroach_13755() { return never_cancelled("rows.ctx.Done()"); }
WEIR_CORO_WRAPPER task<> cockroach_25456() { return never_cancelled("ShouldQuiesce()"); }
WEIR_CORO_WRAPPER task<> grpc_862() { return never_cancelled("ac.ctx.Done()"); }

// The event loop sends events and takes callbacks; the store takes events and sends callbacks.
task<> cockroach_2448() {
  auto [to_store, events] = channel<int>(0);
  auto [to_raft, callbacks] = channel<int>(0);
  const auto raft = [&]() -> task<> {
    for (int i = 0; i < 2; ++i) {
      co_await to_store.send(i);
      if (i == 0) {
        auto [callback, turn] = co_await select(callbacks.receive(), yield());
        if (callback) co_return;
      }
    }
    static_cast<void>(co_await callbacks.receive());
  };
  const auto store = [&]() -> task<> {
    static_cast<void>(co_await events.receive());
    co_await to_raft.send(1);  // the callback of the membership change
  };
  co_await together({raft, store});
}

// A suggestion is in the channel already when the compactor starts.
task<> cockroach_24808() {
  auto [to, suggestions] = channel<int>(1);
  co_await to.send(1);
  co_await to.send(2);
  co_await together({[&]() -> task<> { static_cast<void>(co_await suggestions.receive()); }});
}

// Cancellation is written to streams one by one; the first is full, the second is read.
task<> cockroach_35931() {
  auto [to_left, left] = channel<int>(1);
  auto [to_right, right] = channel<int>(1);
  const auto reader = [&]() -> task<> {
    static_cast<void>(co_await right.receive());
    static_cast<void>(co_await left.receive());
    static_cast<void>(co_await left.receive());
  };
  const auto source = [&]() -> task<> { co_await to_left.send(1); };
  const auto canceller = [&]() -> task<> {
    co_await to_left.send(-1);
    co_await to_right.send(-1);
  };
  co_await together({reader, source, canceller});
}

// An error is sent to a reader who is given the channel only afterwards.
task<> moby_33293() {
  auto [error_sent, errors] = channel<int>(0);
  co_await error_sent.send(1);
  static_cast<void>(co_await errors.receive());
}

// The stream is closed, but its reader is not told, and the closer waits for the reader.
task<> grpc_1275() {
  auto [to, from] = channel<int>(0);
  event done("donec");
  co_await together({[&]() -> task<> {
                       static_cast<void>(co_await from.receive());
                       done.set();
                     },
                     [&]() -> task<> { co_await done.wait(); }});
}

// Stopping a timer says whether it has fired; two tasks that both drain it wait for one tick.
task<> istio_18454() {
  auto [tick, ticks] = channel<int>(1);
  bool has_fired = false;
  const auto stop = [&]() -> task<> {
    const bool must_drain = has_fired;
    co_await checkpoint();
    if (must_drain) static_cast<void>(co_await ticks.receive());
    has_fired = false;
  };
  has_fired = true;
  co_await tick.send(1);
  co_await together({stop, stop});
}

// The service loop holds the lock that notify() needs to signal it.
task<> kubernetes_11298() {
  mutex lock("n.lock");
  condition changed("n.cond");
  co_await together({[&]() -> task<> {
                       const auto held = co_await lock.lock();
                       co_await changed.wait();
                     },
                     [&]() -> task<> {
                       const auto held = co_await lock.lock();
                       changed.notify_one();
                     }});
}

// A consumer counts on every progress update; a newer one replaces an older one.
task<> moby_21233() {
  auto [progress, updates] = channel<int>({.capacity = 1, .when_full = overflow::latest});
  int seen = 0;
  co_await together({[&]() -> task<> {
                       auto mine = std::move(progress);
                       for (int i = 0; i < 3; ++i) {
                         co_await mine.send(i);
                         co_await yield();
                       }
                     },
                     [&]() -> task<> {
                       while (co_await updates.receive()) ++seen;
                     }});
  if (seen != 3) wrong("an update was not seen");
}

// A watcher waits until its events are read; their reader has seen the close and waits for it.
task<> moby_27782() {
  auto [to, events] = channel<int>(0);
  condition ended("w.cv");
  event closed("closeNotifier");
  bool has_ended = false;
  co_await together({[&]() -> task<> {  // follows the log
                       auto [one, close] = co_await select(events.receive(), closed.wait());
                       if (!close) co_return;
                       while (!has_ended) co_await ended.wait();
                     },
                     [&]() -> task<> {  // reads events of the kernel
                       co_await to.send(1);
                       has_ended = true;
                       ended.notify_all();
                     },
                     [&]() -> task<> {
                       co_await yield();
                       closed.set();
                     }});
}

// Waits for a condition that nobody notifies.
task<> unnotified(const char* name) {
  condition active(name);
  co_await together({[&]() -> task<> { co_await active.wait(); }});
}
WEIR_CORO_WRAPPER task<> moby_29733() { return unnotified("activateWait"); }
WEIR_CORO_WRAPPER task<> moby_30408() { return unnotified("p.activateWait"); }

// The dispatcher loop closes the connection, which waits for the dispatcher loop.
task<> syncthing_5795() {
  event stopped("dispatcherLoopStopped");
  auto [to, inbox] = channel<int>(0);
  co_await together({[&]() -> task<> {
                       static_cast<void>(co_await inbox.receive());
                       co_await stopped.wait();  // close(), called from the loop itself
                       stopped.set();
                     },
                     [&]() -> task<> { co_await to.send(1); }});
}

constexpr kernel kernels[] = {
    {"cockroach#10790", "channel, context", &cockroach_10790, expected::impossible, by_broken},
    {"cockroach#13197", "channel, context", &cockroach_13197},
    {"cockroach#13755", "channel, context", &cockroach_13755},
    {"cockroach#18101", "channel, context", &cockroach_18101, expected::impossible, by_broken},
    {"cockroach#2448", "channel", &cockroach_2448},
    {"cockroach#24808", "channel", &cockroach_24808},
    {"cockroach#25456", "channel", &cockroach_25456},
    {"cockroach#35073", "channel", &cockroach_35073, expected::impossible, by_broken},
    {"cockroach#35931", "channel", &cockroach_35931},
    {"etcd#6857", "channel", &etcd_6857, expected::impossible, by_broken},
    {"grpc#1275", "channel", &grpc_1275},
    {"grpc#1424", "channel", &grpc_1424, expected::impossible, by_end},
    {"grpc#660", "channel", &grpc_660, expected::impossible, by_broken},
    {"grpc#862", "channel, context", &grpc_862},
    {"istio#17860", "channel", &istio_17860, expected::impossible, by_broken},
    {"istio#18454", "channel, timer", &istio_18454},
    {"kubernetes#11298", "condition", &kubernetes_11298},
    {"kubernetes#25331", "channel, context", &kubernetes_25331, expected::impossible, by_broken},
    {"kubernetes#38669", "channel", &kubernetes_38669, expected::impossible, by_end},
    {"kubernetes#5316", "channel", &kubernetes_5316, expected::impossible, by_broken},
    {"kubernetes#70277", "channel", &kubernetes_70277, expected::impossible, by_broken},
    {"moby#21233", "channel", &moby_21233},
    {"moby#27782", "channel, condition", &moby_27782},
    {"moby#29733", "condition", &moby_29733},
    {"moby#30408", "condition", &moby_30408},
    {"moby#33293", "channel", &moby_33293},
    {"moby#33781", "channel, context", &moby_33781, expected::impossible, by_broken},
    {"moby#4395", "channel", &moby_4395, expected::impossible, by_broken},
    {"syncthing#5795", "channel", &syncthing_5795},
};

}  // namespace
}  // namespace in_goker_communication

std::span<const kernel> goker_communication() { return in_goker_communication::kernels; }

}  // namespace weir::corpora

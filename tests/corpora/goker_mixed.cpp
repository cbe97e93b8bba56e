// GoKer (Yuan and others, CGO 2021): bugs of channels and locks together. From the descriptions; no
// code of theirs.
#include "corpus.hpp"

#include <optional>
#include <utility>

namespace weir::corpora {

namespace in_goker_mixed {
namespace {

// stop() holds the lock and waits for tasks to drain; a task wants the lock to begin.
task<> cockroach_1055() {
  mutex lock("stopper.mu");
  event stopped("stopper");
  latch drained(2);
  const auto worker = [&]() -> task<> {
    {
      const auto held = co_await lock.lock();
    }
    drained.count_down();
  };
  const auto stop = [&]() -> task<> {
    const auto held = co_await lock.lock();
    co_await drained.wait();
  };
  co_await together({worker, worker, stop});
}

// Workers send events; the reader of events leaves at the stop, with its half.
task<> cockroach_1462() {
  auto [to, events] = channel<int>(0);
  event should_stop("ShouldStop()");
  co_await together({[&]() -> task<> {
                       const auto mine = std::move(to);
                       for (int i = 0; i < 3; ++i) {
                         if (!co_await as_result(mine.send(i))) co_return;
                       }
                     },
                     [&]() -> task<> {
                       const auto mine = std::move(events);
                       for (;;) {
                         auto [one, stopped] = co_await select(mine.receive(), should_stop.wait());
                         if (stopped || !*one) co_return;
                       }
                     },
                     [&]() -> task<> {
                       co_await yield();
                       should_stop.set();
                     }});
}

// stop() holds the lock until the updates are done; the updates want it.
task<> etcd_6873() {
  mutex lock("wbs.mu");
  event done("wbs.donec");
  auto [to, updates] = channel<int>(1);
  co_await together({[&]() -> task<> {
                       while (auto one = co_await updates.receive()) {
                         const auto held = co_await lock.lock();  // coalesce()
                       }
                       done.set();
                     },
                     [&]() -> task<> {
                       auto mine = std::move(to);
                       co_await mine.send(1);
                       const auto held = co_await lock.lock();
                       mine.close();
                       co_await done.wait();
                     }});
}

// A token is announced with the lock held; the announcer's reader deletes old ones under it.
task<> etcd_7492() {
  mutex tokens("simpleTokensMu");
  auto [add, added] = channel<int>(0);
  const auto keeper = [&]() -> task<> {
    for (int i = 0; i < 2; ++i) {
      auto [one, tick] = co_await select(added.receive(), sleep(duration(10)));
      if (tick) const auto held = co_await tokens.lock();
    }
  };
  const auto assign = [&]() -> task<> {
    const auto held = co_await tokens.lock();
    co_await sleep(duration(10));
    co_await add.send(1);
  };
  co_await together({keeper, assign});
}

// A follower releases with the lock held and waits for the leader, who needs it to release.
task<> etcd_7902() {
  mutex lock("mu");
  event next("rcNextc");
  const auto leader = [&]() -> task<> {
    {
      const auto held = co_await lock.lock();
    }
    {
      const auto held = co_await lock.lock();
      next.set();
    }
  };
  const auto follower = [&]() -> task<> {
    {
      const auto held = co_await lock.lock();
    }
    const auto held = co_await lock.lock();
    co_await next.wait();
  };
  co_await together({leader, follower});
}

// keepalive() sleeps with the lock held until a stream wakes it; making the stream takes the lock.
task<> grpc_1460() {
  mutex lock("t.mu");
  event awaken("awakenKeepalive");
  int streams = 0;
  co_await together({[&]() -> task<> {
                       co_await checkpoint();
                       if (streams == 0) {
                         const auto held = co_await lock.lock();
                         if (streams == 0) co_await awaken.wait();
                       }
                     },
                     [&]() -> task<> {
                       const auto held = co_await lock.lock();
                       ++streams;
                       awaken.set();
                     }});
}

// Sends with the lock held; who drains the channel takes the lock first.
task<> send_under_lock(mutex* lock, const sender<int>* to, int count) {
  for (int i = 0; i < count; ++i) {
    const auto held = co_await lock->lock();
    co_await to->send(i);
  }
}
task<> receive_under_lock(mutex* lock, const receiver<int>* from) {
  const auto held = co_await lock->lock();
  static_cast<void>(co_await from->receive());
}

// An update of addresses is sent with the lock held, which the reader of updates takes to forget
// the addresses of the last one.
task<> grpc_1353() {
  mutex lock("rr.mu");
  auto [to, updates] = channel<int>(0);
  co_await together({[&]() -> task<> { co_await send_under_lock(&lock, &to, 2); },
                     [&]() -> task<> {
                       static_cast<void>(co_await updates.receive());
                       {
                         const auto held = co_await lock.lock();
                       }
                       static_cast<void>(co_await updates.receive());
                     }});
}

// The only reader of addresses tears a connection down, for which it sends addresses itself, with
// the lock held. Another connection has filled the channel's one place.
task<> etcd_7443() {
  mutex lock("b.mu");
  auto [notify, addresses] = channel<int>(1);
  const auto up = [&]() -> task<> { co_await send_under_lock(&lock, &notify, 1); };
  const auto watcher = [&]() -> task<> {
    static_cast<void>(co_await addresses.receive());
    co_await send_under_lock(&lock, &notify, 1);  // down()
    for (int i = 0; i < 2; ++i) static_cast<void>(co_await addresses.receive());
  };
  co_await together({up, watcher, up});
}

task<> istio_16224() {
  mutex lock("store.mutex");
  auto [to, from] = channel<int>(1);
  co_await together({[&]() -> task<> { co_await send_under_lock(&lock, &to, 2); },
                     [&]() -> task<> { co_await receive_under_lock(&lock, &from); }});
}

// syncBatch() takes a status, then locks to delete it; setting one sends under the lock.
task<> kubernetes_10182() {
  mutex statuses("podStatusesLock");
  auto [to, channel_of_status] = channel<int>(0);
  const auto sync = [&]() -> task<> {
    for (int i = 0; i < 2; ++i) {
      static_cast<void>(co_await channel_of_status.receive());
      const auto held = co_await statuses.lock();
    }
  };
  const auto set = [&]() -> task<> { co_await send_under_lock(&statuses, &to, 1); };
  co_await together({sync, set, set});
}

// distribute() sends to watchers under the lock; stopping a watcher takes it.
task<> kubernetes_1321() {
  mutex lock("m.lock");
  auto [result, watched] = channel<int>(0);
  co_await together({[&]() -> task<> { co_await send_under_lock(&lock, &result, 1); },
                     [&]() -> task<> {
                       auto mine = std::move(watched);
                       const auto held = co_await lock.lock();
                       mine.close();
                     }});
}

// A pop waits for a notification with the lock held that the add needs.
task<> kubernetes_26980() {
  mutex lock("p.lock");
  auto [to, next] = channel<int>(0);
  const auto pop = [&]() -> task<> {
    const auto held = co_await lock.lock();
    static_cast<void>(co_await next.receive());
  };
  const auto add = [&]() -> task<> {
    {
      const auto held = co_await lock.lock();
    }
    co_await to.send(1);
  };
  co_await together({add, pop});
}

// A frame is written under the lock while the reset channel is full; the monitor needs the lock.
task<> kubernetes_6632() {
  mutex write("writeLock");
  auto [reset, resets] = channel<int>(0);
  event closed("closeChan");
  const auto monitor = [&]() -> task<> {
    auto [one, close] = co_await select(resets.receive(), closed.wait());
    if (!close) co_return;
    const auto held = co_await write.lock();
    resets.close();
  };
  const auto frame = [&]() -> task<> {
    const auto held = co_await write.lock();
    static_cast<void>(co_await as_result(reset.send(1)));
  };
  co_await together({monitor, frame, [&]() -> task<> {
                       closed.set();
                       co_return;
                     }});
}

// Each round waits for all plugins, though it has started one.
task<> moby_25384() {
  latch group(2);
  co_await with_scope([&](scope& plugins) -> task<> {
    for (int i = 0; i < 2; ++i) {
      plugins.spawn(
          [](latch* of) -> task<> {
            of->count_down();
            co_return;
          },
          &group);
      co_await group.wait();
    }
  });
}

// A health monitor is stopped under the container's lock, which its last result wants.
task<> moby_28462() {
  mutex container("container");
  auto [stop, stops] = channel<int>(0);
  const auto monitor = [&]() -> task<> {
    auto [stopped, probe] = co_await select(stops.receive(), yield());
    if (stopped) co_return;
    {
      const auto held = co_await container.lock();
    }
    static_cast<void>(co_await stops.receive());
  };
  co_await together({monitor, [&]() -> task<> {
                       const auto held = co_await container.lock();
                       co_await stop.send(1);
                     }});
}

// Requests are let in by a channel of one place, which each holds until its lock is opened; the
// test opens the locks in the order of its requests and waits for each to be let in.
task<> serving_2137() {
  auto [enter, leave] = channel<int>(1);
  mutex first("r1.lock");
  mutex second("r2.lock");
  event first_in("r1.accepted");
  event second_in("r2.accepted");
  const auto request = [&](mutex* gate, event* accepted) -> task<> {
    co_await enter.send(1);
    {
      const auto held = co_await gate->lock();
    }
    static_cast<void>(co_await leave.receive());
    accepted->set();
  };
  std::optional<mutex::guard> first_held = co_await first.lock();
  std::optional<mutex::guard> second_held = co_await second.lock();
  co_await together({[&]() -> task<> { co_await request(&first, &first_in); },
                     [&]() -> task<> { co_await request(&second, &second_in); },
                     [&]() -> task<> {
                       first_held.reset();
                       co_await first_in.wait();
                       second_held.reset();
                       co_await second_in.wait();
                     }});
}

constexpr kernel kernels[] = {
    {"cockroach#1055", "channel, latch", &cockroach_1055},
    {"cockroach#1462", "channel, latch", &cockroach_1462, expected::impossible,
     "the receiving half goes with its task, and the sender is told `broken`"},
    {"etcd#6873", "channel, lock", &etcd_6873},
    {"etcd#7443", "channel, lock", &etcd_7443},
    {"etcd#7492", "channel, lock", &etcd_7492},
    {"etcd#7902", "channel, lock", &etcd_7902},
    {"grpc#1353", "channel, lock", &grpc_1353},
    {"grpc#1460", "channel, lock", &grpc_1460},
    {"istio#16224", "channel, lock", &istio_16224},
    {"kubernetes#10182", "channel, lock", &kubernetes_10182},
    {"kubernetes#1321", "channel, lock", &kubernetes_1321},
    {"kubernetes#26980", "channel, lock", &kubernetes_26980},
    {"kubernetes#6632", "channel, lock", &kubernetes_6632},
    {"moby#25384", "latch", &moby_25384},
    {"moby#28462", "channel, lock", &moby_28462},
    {"serving#2137", "channel, lock", &serving_2137},
};

}  // namespace
}  // namespace in_goker_mixed

std::span<const kernel> goker_mixed() { return in_goker_mixed::kernels; }

}  // namespace weir::corpora

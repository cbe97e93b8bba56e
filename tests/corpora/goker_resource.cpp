// GoKer (Yuan and others, CGO 2021): bugs of locks. From the descriptions; no code of theirs.
#include "corpus.hpp"

#include <optional>

namespace weir::corpora {

namespace in_goker_resource {
namespace {

constexpr const char* by_guard = "a guard unlocks on every way out of its block";
constexpr const char* by_owner = "a mutex knows its holder: a second lock by it ends the process";
constexpr const char* says_held = "holds the mutex already";

// Two tasks that take two locks in opposite orders: the heart of every AB-BA kernel.
task<> lock_two(mutex* first, mutex* second) {
  const auto outer = co_await first->lock();
  const auto inner = co_await second->lock();
}

// Heartbeats hold coalescedMu and ask for raftMu; a tick goes raftMu, mu, coalescedMu.
task<> cockroach_10214() {
  mutex coalesced("coalescedMu");
  mutex raft("raftMu");
  mutex replica("replica.mu");
  co_await together({[&]() -> task<> {
                       const auto a = co_await coalesced.lock();
                       const auto b = co_await raft.lock();
                     },
                     [&]() -> task<> {
                       const auto a = co_await raft.lock();
                       const auto b = co_await replica.lock();
                       const auto c = co_await coalesced.lock();
                     }});
}

// A reader takes the read lock again while a writer has come to stand in line. Go's locks know no
// holder, so it is forgotten here: weir would end the process with the name of the misuse, in those
// schedules in which the writer comes in between.
task<> read_twice(shared_mutex* lock) {
  const auto outer = (co_await lock->lock_shared()).hand_over();
  const auto inner = co_await lock->lock_shared();
}
task<> write_once(shared_mutex* lock) { const auto held = co_await lock->lock(); }

task<> cockroach_16167() {
  shared_mutex config("systemConfigMu");
  co_await together({[&]() -> task<> { co_await read_twice(&config); },
                     [&]() -> task<> { co_await write_once(&config); }});
}

// ForceRaftLogScanAndProcess reads, and four calls deeper RaftStatus reads again.
task<> raft_status(shared_mutex* lock) { const auto held = co_await lock->lock_shared(); }
task<> should_queue(shared_mutex* lock) { co_await raft_status(lock); }
task<> cockroach_3710() {
  shared_mutex store("store.mu");
  co_await together({[&]() -> task<> {
                       const auto held = (co_await store.lock_shared()).hand_over();
                       co_await should_queue(&store);
                     },
                     [&]() -> task<> { co_await write_once(&store); }});
}

// The unlock is forgotten before a break.
task<> cockroach_584() {
  mutex gossip("gossip.mu");
  for (int round = 0; round < 2; ++round) {
    const auto held = co_await gossip.lock();
    if (round == 0) continue;
  }
}

// Two lookups read twice; the second of them writes in between.
task<> cockroach_6181() {
  shared_mutex cache("rangeCacheMu");
  co_await together({[&]() -> task<> { co_await read_twice(&cache); },
                     [&]() -> task<> {
                       {
                         const auto seen = co_await cache.lock_shared();
                       }
                       co_await write_once(&cache);
                     }});
}

task<> cockroach_7504() {
  mutex lease("leaseState");
  mutex names("tableNameCache");
  co_await together({[&]() -> task<> { co_await lock_two(&names, &lease); },
                     [&]() -> task<> { co_await lock_two(&lease, &names); }});
}

task<> locks_twice(const char* name) {
  mutex lock(name);
  co_await lock_two(&lock, &lock);
}
WEIR_CORO_WRAPPER task<> cockroach_9935() { return locks_twice("l.mu"); }
WEIR_CORO_WRAPPER task<> etcd_10492() { return locks_twice("lessor.mu"); }
WEIR_CORO_WRAPPER task<> etcd_6708() { return locks_twice("httpClusterClient"); }
WEIR_CORO_WRAPPER task<> hugo_5379() { return locks_twice("contentInitMu"); }
WEIR_CORO_WRAPPER task<> moby_36114() { return locks_twice("svm"); }

// acquire() returns on a failure path and keeps the read lock; close() then waits for ever.
task<bool> acquires(shared_mutex* client) {
  const auto held = co_await client->lock_shared();
  co_return false;
}
task<> etcd_5509() {
  shared_mutex client("client.mu");
  co_await together({[&]() -> task<> { static_cast<void>(co_await acquires(&client)); },
                     [&]() -> task<> { co_await write_once(&client); }});
}

// A timer finds the entry to be kept and returns without an unlock.
task<> grpc_3017() {
  mutex cache("ccc.mu");
  bool is_kept = true;
  co_await together({[&]() -> task<> {
                       co_await sleep(duration(1));
                       const auto held = co_await cache.lock();
                       if (is_kept) co_return;
                     },
                     [&]() -> task<> {
                       co_await sleep(duration(2));
                       const auto held = co_await cache.lock();
                     }});
}

task<> grpc_795() {
  mutex server("server.mu");
  bool is_stopped = true;
  for (int call = 0; call < 2; ++call) {
    const auto held = co_await server.lock();
    if (is_stopped) continue;
  }
}

// Unlocking a URL needs the table's lock, which another holds while it waits for that URL.
task<> hugo_3251() {
  shared_mutex table("remoteURLLock");
  mutex url("l.m[url]");
  const auto get_remote = [&]() -> task<> {
    std::optional<mutex::guard> mine;
    {
      const auto held = co_await table.lock();
      mine = co_await url.lock();
    }
    const auto held = co_await table.lock_shared();
    mine->unlock();
  };
  co_await together({get_remote, get_remote});
}

task<> kubernetes_13135() {
  mutex cacher("cacher");
  mutex watch("watchCache");
  co_await together({[&]() -> task<> { co_await lock_two(&cacher, &watch); },
                     [&]() -> task<> { co_await lock_two(&watch, &cacher); }});
}

// deliver() of a cluster holds the informer's lock; a stop holds the cluster's.
task<> kubernetes_30872() {
  mutex informer("federatedInformer");
  mutex cluster("clusterInformer");
  const auto deliver = [&]() -> task<> {
    const auto held = co_await informer.lock();
    co_await yield();
    const auto inner = co_await cluster.lock();
  };
  co_await together({deliver, [&]() -> task<> { co_await lock_two(&cluster, &informer); }});
}

// Workers of an empty queue wait for work with the read lock held; a writer waits for them, and
// the worker that would bring the work stands behind the writer.
task<> kubernetes_58107() {
  shared_mutex workers("workerLock");
  condition has_work("queue 1");
  bool is_filled = false;
  co_await together({[&]() -> task<> {
                       const auto held = co_await workers.lock_shared();
                       while (!is_filled) co_await has_work.wait();
                     },
                     [&]() -> task<> { co_await write_once(&workers); },
                     [&]() -> task<> {
                       const auto held = co_await workers.lock_shared();
                       is_filled = true;
                       has_work.notify_all();
                     }});
}

task<> kubernetes_62464() {
  shared_mutex state("stateMemory");
  const auto reconcile = [&]() -> task<> {
    const auto outer = (co_await state.lock_shared()).hand_over();
    co_await raft_status(&state);  // GetCPUSet reads again
  };
  const auto remove = [&]() -> task<> {
    {
      const auto seen = co_await state.lock_shared();
    }
    co_await write_once(&state);
  };
  co_await together({reconcile, remove});
}

task<> moby_17176() {
  mutex devices("devices");
  const auto clean_up = [&](int deleted) -> task<> {
    const auto held = co_await devices.lock();
    if (deleted == 0) co_return;
  };
  co_await clean_up(0);
  co_await clean_up(1);
}

// A device's lock and the lock of all devices, taken in either order.
task<> moby_4951() {
  mutex devices("devices");
  mutex info("baseInfo.lock");
  co_await together({[&]() -> task<> {
                       const auto a = co_await info.lock();
                       co_await sleep(duration(1));
                       const auto b = co_await devices.lock();
                     },
                     [&]() -> task<> {
                       const auto a = co_await devices.lock();
                       const auto b = co_await info.lock();
                     }});
}

task<> moby_7559() {
  mutex connections("connTrackLock");
  for (const bool fails : {true, false}) {
    const auto held = co_await connections.lock();
    if (fails) continue;
  }
}

// clearAddresses() writes, and the listener that it tells reads.
task<> syncthing_4829() {
  shared_mutex mapping("mapping.mut");
  const auto held = co_await mapping.lock();
  co_await raft_status(&mapping);
}

constexpr kernel kernels[] = {
    {"cockroach#10214", "AB-BA", &cockroach_10214},
    {"cockroach#16167", "read, write, read", &cockroach_16167},
    {"cockroach#3710", "read, write, read", &cockroach_3710},
    {"cockroach#584", "missing unlock", &cockroach_584, expected::impossible, by_guard},
    {"cockroach#6181", "read, write, read", &cockroach_6181},
    {"cockroach#7504", "AB-BA", &cockroach_7504},
    {"cockroach#9935", "double lock", &cockroach_9935, expected::assertion, by_owner, says_held},
    {"etcd#10492", "double lock", &etcd_10492, expected::assertion, by_owner, says_held},
    {"etcd#5509", "missing unlock", &etcd_5509, expected::impossible, by_guard},
    {"etcd#6708", "double lock", &etcd_6708, expected::assertion, by_owner, says_held},
    {"grpc#3017", "missing unlock", &grpc_3017, expected::impossible, by_guard},
    {"grpc#795", "missing unlock", &grpc_795, expected::impossible, by_guard},
    {"hugo#3251", "read, write, read", &hugo_3251},
    {"hugo#5379", "double lock", &hugo_5379, expected::assertion, by_owner, says_held},
    {"kubernetes#13135", "AB-BA", &kubernetes_13135},
    {"kubernetes#30872", "AB-BA", &kubernetes_30872},
    {"kubernetes#58107", "read, write, read", &kubernetes_58107},
    {"kubernetes#62464", "read, write, read", &kubernetes_62464},
    {"moby#17176", "missing unlock", &moby_17176, expected::impossible, by_guard},
    {"moby#36114", "double lock", &moby_36114, expected::assertion, by_owner, says_held},
    {"moby#4951", "AB-BA", &moby_4951},
    {"moby#7559", "missing unlock", &moby_7559, expected::impossible, by_guard},
    {"syncthing#4829", "double lock", &syncthing_4829, expected::assertion, by_owner, says_held},
};

}  // namespace
}  // namespace in_goker_resource

std::span<const kernel> goker_resource() { return in_goker_resource::kernels; }

}  // namespace weir::corpora

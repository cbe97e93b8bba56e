// What two cores share to wait for each other: the twins in weir::cross of events, meetings and
// locks that wait_tour.cpp shows on one loop, one function for each. It runs to its end by itself.
#include <weir/core/core_group.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/semaphore.hpp>
#include <weir/flow/shared_mutex.hpp>
#include <weir/io.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>

using namespace weir::literals;

namespace {

/// Two programs, each on a core of its own. What both use outlives them: it stands around this.
template <class F, class G>
void on_two_cores(F first, G second) {
  const int code = weir::run_on_all_cores({.cores = 2}, [&]() -> weir::task<> {
    if (weir::this_core() == 0) {
      co_await first();
    } else {
      co_await second();
    }
  });
  if (code != 0) std::exit(code);
}

// [latch_and_event]
void open_the_shop() {
  weir::cross::latch filled(2);
  weir::cross::event open;
  int shelves[2] = {0, 0};  // each core fills its own
  on_two_cores(
      [&]() -> weir::task<> {
        shelves[0] = 10;
        co_await filled.arrive_and_wait();  // from here on it may look at the other one
        std::printf("shelves: %d\n", shelves[0] + shelves[1]);
        open.set();
      },
      [&]() -> weir::task<> {
        shelves[1] = 20;
        filled.count_down();
        co_await open.wait();
        co_await open.wait();  // stays set
        std::printf("open\n");
      });
}
// [/latch_and_event]

// [auto_event]
void redraw() {
  std::atomic<int> version = 0;
  weir::cross::auto_event dirty;
  on_two_cores(
      [&]() -> weir::task<> {
        for (int i = 1; i <= 100; ++i) {
          version = i;
          dirty.set();  // several before it is drawn are one
        }
        dirty.close();  // what was set passes all the same
        co_return;
      },
      [&]() -> weir::task<> {
        int drawn = 0;
        while (co_await weir::as_result(dirty.wait())) drawn = version;
        std::printf("drawn at last: %d\n", drawn);
      });
}
// [/auto_event]

// [semaphore]
void few_connections() {
  weir::cross::semaphore connections(2);  // for both cores together
  std::atomic<int> open = 0;
  std::atomic<int> too_many = 0;
  std::atomic<int> queries = 0;
  const auto query = [&]() -> weir::task<> {
    const auto connection = co_await connections.acquire();
    too_many += ++open > 2;
    co_await weir::sleep(1_ms);
    --open;
    ++queries;
  };
  const auto core_main = [&]() -> weir::task<> {
    co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
      for (int i = 0; i < 4; ++i) s.spawn(query);
      co_return;
    });
  };
  on_two_cores(core_main, core_main);
  std::printf("queries: %d, too many at once: %d\n", queries.load(), too_many.load());
}
// [/semaphore]

// [shared_mutex]
struct price {
  int net = 100;
  int gross = 119;
};
void change_under_readers() {
  weir::cross::shared_mutex door;
  price bread;
  on_two_cores(
      [&]() -> weir::task<> {
        auto writing = co_await door.lock();  // alone
        bread.net = 200;
        co_await weir::sleep(1_ms);  // readers of both cores wait meanwhile
        bread.gross = 238;
      },
      [&]() -> weir::task<> {
        for (int net = 0, torn = 0; net != 200;) {
          const auto reading = co_await door.lock_shared();  // beside other readers
          net = bread.net;
          torn += bread.gross * 100 != net * 119;
          if (net == 200) std::printf("price: %d, torn: %d\n", bread.gross, torn);
        }
      });
}
// [/shared_mutex]

}  // namespace

int main() {
  open_the_shop();
  redraw();
  few_connections();
  change_under_readers();
}

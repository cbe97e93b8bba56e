// Programs about tasks that wait for each other: locks, permits, events, meetings.
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/drill/internal/program_kit.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/once.hpp>
#include <weir/flow/semaphore.hpp>
#include <weir/flow/shared_mutex.hpp>

#include <vector>

namespace weir::drill {

namespace {

using namespace weir::literals;

task<> account_has_one_holder() {
  mutex account("account");
  int arrived = 0;
  int served = 0;
  bool is_busy = false;
  const auto customer = [&]() -> task<> {
    for (int i = 0; i < 2; ++i) {
      const int mine = arrived++;
      const auto held = co_await account.lock();
      expect(!is_busy, "a mutex has one holder");
      expect(mine == served++, "who came first is served first");
      is_busy = true;
      co_await yield();
      is_busy = false;
    }
  };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) s.spawn(customer);
    co_return;
  });
}

// Hand over hand, as through a list whose nodes have a lock each.
task<> walk_lets_go_behind_itself() {
  mutex nodes[3];
  int inside[3] = {};
  const auto walker = [&]() -> task<> {
    mutex::guard held = co_await nodes[0].lock();
    for (int i = 0; i < 3; ++i) {
      if (i != 0) held = co_await nodes[i].lock();
      expect(++inside[i] == 1, "a node has one walker");
      co_await yield();
      --inside[i];
    }
  };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) s.spawn(walker);
    co_return;
  });
}

task<> freed_places_are_taken() {
  semaphore places(2, "places");
  latch both_inside(2);
  co_await with_scope([&](scope& s) -> task<> {
    auto all = co_await places.acquire(2);
    for (int i = 0; i < 2; ++i) {
      s.spawn([&]() -> task<> {
        const auto mine = co_await places.acquire();
        co_await both_inside.arrive_and_wait();
      });
    }
    co_await sleep(1_ms);
    all.release();
  });
}

task<> small_passes_where_large_gave_up() {
  semaphore places(2, "places");
  event small_is_done;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      const auto one = co_await places.acquire();
      co_await small_is_done.wait();
    });
    co_await sleep(1_ms);
    s.spawn([&]() -> task<> { co_await as_result(with_timeout(5_ms, places.acquire(2))); });
    s.spawn([&]() -> task<> {
      const auto one = co_await places.acquire();
      small_is_done.set();
    });
  });
}

task<> writer_gets_its_turn() {
  shared_mutex table("table");
  bool writer_waits = false;
  bool is_written = false;
  const auto reader = [&]() -> task<> {
    for (int i = 0; i < 4; ++i) {
      const bool comes_later = writer_waits;
      const auto held = co_await table.lock_shared();
      expect(is_written || !comes_later, "a reader that comes later lets the writer go first");
      co_await yield();
    }
  };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) s.spawn(reader);
    s.spawn([&]() -> task<> {
      co_await yield();
      writer_waits = true;
      const auto held = co_await table.lock();
      expect(table.readers() == 0, "a writer holds alone");
      is_written = true;
    });
    co_return;
  });
}

task<> start_signal_reaches_all() {
  event started;
  latch running(3);
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn([&]() -> task<> {
        co_await started.wait();
        running.count_down();
      });
    }
    co_await yield();
    started.set();
    co_await running.wait();
  });
}

task<> no_work_is_left_lying() {
  auto_event has_work("has work");
  std::vector<int> work;
  int done = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      while (done < 3) {
        co_await has_work.wait();
        done += static_cast<int>(work.size());
        work.clear();
        co_await yield();  // meanwhile more may come
      }
    });
    for (int i = 0; i < 3; ++i) {
      work.push_back(i);
      has_work.set();
      co_await yield();
    }
  });
  expect(done == 3, "all work is done");
}

task<> meeting_needs_everybody() {
  barrier table(3);
  int present = 0;
  const auto guest = [&](duration patience) -> task<> {
    for (;;) {
      ++present;
      if (co_await as_result(with_timeout(patience, table.arrive_and_wait()))) {
        expect(present == 3, "a meeting begins when all are there");
        co_return;
      }
      --present;
      co_await sleep(2_ms);
    }
  };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(guest, 1_h);
    s.spawn(guest, 1_ms);
    co_await sleep(4500_us);
    s.spawn(guest, 1_h);
  });
}

task<> connection_is_made_in_the_end() {
  once<int> connection;
  int attempts = 0;
  const auto connect = [&]() -> task<int> {
    co_await yield();
    if (++attempts == 1) raise(error(errc::refused, "not yet"));
    co_return 7;
  };
  const auto user = [&]() -> task<> {
    for (int i = 0; i < 2; ++i) {
      if (const auto got = co_await as_result(connection.get(connect))) {
        expect(**got == 7 && attempts == 2, "it is made once");
        co_return;
      }
    }
    expect(false, "a failure is told to one of them only");
  };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) s.spawn(user);
    co_return;
  });
}

}  // namespace

namespace programs {

constinit const mutant_program account{"a mutex has one holder at a time, first come, first served",
                                       &account_has_one_holder};
constinit const mutant_program walk{"who takes the next lock and lets the last one go leaves none",
                                    &walk_lets_go_behind_itself};
constinit const mutant_program freed_places{"all permits that come back are given on",
                                            &freed_places_are_taken};
constinit const mutant_program small_passes{"who gives up in line lets those behind it pass",
                                            &small_passes_where_large_gave_up};
constinit const mutant_program writer_turn{"readers let a writer in that came before them",
                                           &writer_gets_its_turn};
constinit const mutant_program start_signal{"an event reaches all that wait for it",
                                            &start_signal_reaches_all};
constinit const mutant_program no_work_left{"work that comes while the worker is busy is seen",
                                            &no_work_is_left_lying};
constinit const mutant_program meeting{"a meeting waits for whoever left in between",
                                       &meeting_needs_everybody};
constinit const mutant_program making_connection{"when making a value fails, the next one makes it",
                                                 &connection_is_made_in_the_end};

}  // namespace programs
}  // namespace weir::drill

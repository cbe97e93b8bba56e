// State divided among cores, in the virtual world: the test's own loop is core 0.
#include <weir/flow/sharded.hpp>

#include <weir/core.hpp>
#include <weir/core/core_loops_test.hpp>
#include <weir/flow/thread_loop_test.hpp>
#include <weir/testing/allocation_points.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weir::sharded_test {
namespace {

using namespace weir::literals;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::size_t core_count = 3;

/// What all shards of a test write down; its loops are of one thread.
struct book {
  int alive = 0;
  int bodies = 0;
};
struct shard {
  explicit shard(book* in) noexcept : notes(in) { ++notes->alive; }
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;
  ~shard() {
    EXPECT_EQ(loop::current(), home);
    EXPECT_EQ(notes->bodies, 0) << "no body is left that could call it";
    --notes->alive;
  }
  book* notes;
  loop* home = loop::current();
  int calls = 0;
};
struct body_mark {
  explicit body_mark(book* in) noexcept : notes(in) {
    EXPECT_EQ(notes->alive, static_cast<int>(core_count)) << "it begins when all are there";
    ++notes->bodies;
  }
  body_mark(const body_mark&) = delete;
  body_mark& operator=(const body_mark&) = delete;
  ~body_mark() {
    EXPECT_EQ(notes->alive, static_cast<int>(core_count));
    --notes->bodies;
  }
  book* notes;
};

/// Runs a program on each core to its end. `told` is what each raised; "" stands for a
/// cancellation.
class programs {
 public:
  using program = task<> (*)(programs* all);

  explicit programs(std::vector<program> of)
      : group(of.size()), beside(of.size() - 1), told(of.size()), of_(std::move(of)) {
    for (std::size_t i = 1; i < of_.size(); ++i) {
      beside[i - 1].root().spawn(
          [](programs* all, std::size_t index) -> task<> { co_await all->run_core(index); }, this,
          i);
    }
  }
  task<> run() { co_await beside.run(run_core(0)); }
  task<> run_core(std::size_t index) {
    told[index] = {""};
    told[index] = co_await testing::errors_of(group.run(index, of_[index](this)));
  }

  core_group group;
  core_loops beside;
  std::vector<std::vector<std::string>> told;
  book notes;
  sharded<shard> all{"sessions"};

 private:
  std::vector<program> of_;
};

/// Some time that the schedule chooses.
task<> a_while() { co_await sleep(duration::microseconds(loop::current()->lot(4))); }

task<> take_part(programs* p, task<> (*body)(programs*)) {
  co_await a_while();
  co_await with_shard(
      p->all, [p] { return shard(&p->notes); },
      [&](shard&) -> task<> {
        const body_mark mark(&p->notes);
        co_await body(p);
      });
}
task<> good(programs* p) {
  co_await take_part(p, [](programs*) -> task<> { co_await a_while(); });
}
task<> stay(programs* p) {
  co_await take_part(p, [](programs*) -> task<> { co_await sleep(1_h); });
}
task<> come_late(programs* p) {
  co_await sleep(50_us);
  co_await good(p);
}
/// Calls all cores until it is cut off, from a child of its scope as well.
task<> call_on(programs* p) {
  co_await take_part(p, [](programs* p) -> task<> {
    const auto visit = [](shard& one) -> task<> {
      EXPECT_EQ(one.home, loop::current());
      ++one.calls;
      co_await sleep(1_us);
      --one.calls;
    };
    scope::current()->spawn(
        [](programs* p) -> task<> {
          while (true) {
            co_await p->all.call(loop::current()->lot(core_count), [](shard&) {});
            co_await sleep(1_us);
          }
        },
        p);
    while (true) {
      for (std::size_t to = 0; to < core_count; ++to) co_await p->all.call(to, visit);
    }
  });
}

WEIR_TEST("each core has a shard of its own, which the others call") {
  programs run({
      [](programs* p) -> task<> {
        co_await take_part(p, [](programs* p) -> task<> {
          EXPECT_EQ(p->all.local().home, loop::current());
          for (std::size_t to = 0; to < core_count; ++to) {
            loop* const on = co_await p->all.call(
                to,
                [](shard& one, int by) -> task<loop*> {
                  EXPECT_EQ(one.home, loop::current());
                  co_await a_while();
                  one.calls += by;
                  co_return loop::current();
                },
                2);
            EXPECT_EQ(on, to == 0 ? loop::current() : &p->beside[to - 1]);
          }
          co_await p->all.call_all([](shard& one) { ++one.calls; });
          const int sum = co_await p->all.map_reduce([](shard& one) { return one.calls; }, 1,
                                                     [](int a, int b) { return a + b; });
          EXPECT_EQ(sum, 10);
          EXPECT_EQ(p->all.core_of(7), cores().core_of(7));
          EXPECT_EQ(p->all.stats().made, core_count);
        });
      },
      good,
      good,
  });
  co_await run.run();
  EXPECT_THAT(run.told, Each(IsEmpty()));
  EXPECT_EQ(run.notes.alive, 0);
}

WEIR_TEST("a shard is what the constructor, a function or a task makes, and need not be moved") {
  struct parts {
    core_group group{1};
    sharded<int> zero;
    sharded<std::string> text;
    sharded<std::string> late;
  } p;
  co_await p.group.run(0, [](parts* p) -> task<> {
    co_await with_shard(p->zero, [](int& mine) -> task<> {
      EXPECT_EQ(mine, 0);
      co_return;
    });
    co_await with_shard(
        p->text, [] { return "text"; },
        [](std::string& mine) -> task<> {
          EXPECT_EQ(mine, "text");
          co_return;
        });
    co_await with_shard(
        p->late,
        []() -> task<std::string> {
          co_await sleep(1_us);
          co_return "late";
        },
        [&](std::string& mine) -> task<> {
          EXPECT_EQ(&mine, &p->late.local());
          EXPECT_EQ(mine, "late");
          co_return;
        });
    co_await testing::expect_raises<errc::closed>(
        with_shard(p->zero, [](int&) -> task<> { co_return; }));
  }(&p));
}

WEIR_TEST("a core whose body fails cuts the others off, who hear of it when it has ended") {
  programs run({call_on, stay, [](programs* p) -> task<> {
                  co_await take_part(p, [](programs*) -> task<> {
                    co_await a_while();
                    raise(error(errc::corrupt, "the flux is broken"));
                  });
                }});
  co_await run.run();
  const auto cut_off = ElementsAre(AllOf(HasSubstr("broken: sessions: cut off: core 2 failed"),
                                         HasSubstr("the flux is broken")));
  EXPECT_THAT(run.told[0], cut_off);
  EXPECT_THAT(run.told[1], cut_off);
  EXPECT_THAT(run.told[2], ElementsAre(HasSubstr("corrupt: the flux is broken")));
  EXPECT_EQ(run.notes.alive, 0);
}

WEIR_TEST(
    "a core whose shard can't be made keeps every body from beginning, also of who comes late") {
  programs run({come_late, stay, [](programs* p) -> task<> {
                  co_await a_while();
                  co_await with_shard(
                      p->all, []() -> shard { throw std::runtime_error("no shard"); },
                      [](shard&) -> task<> { co_return; });
                }});
  co_await run.run();
  EXPECT_THAT(run.told[0], ElementsAre(HasSubstr("core 2 failed: ")));
  EXPECT_THAT(run.told[1], ElementsAre(HasSubstr("core 2 failed: ")));
  EXPECT_THAT(run.told[2], ElementsAre(HasSubstr("no shard")));
  EXPECT_LE(run.all.stats().made, 1u) << "who comes late makes none";
  EXPECT_EQ(run.notes.alive, 0);
}

WEIR_TEST("nobody waits for a core whose program ends, fails or is never run without a shard") {
  const std::vector<programs::program> ends = {
      [](programs*) -> task<> { co_await a_while(); },
      [](programs*) -> task<> {
        co_await a_while();
        throw std::runtime_error("before its shard");
      },
  };
  for (const programs::program end : ends) {
    programs run({come_late, stay, end});
    co_await run.run();
    const auto cut_off = ElementsAre(HasSubstr("the program of core 2 ended without a shard"));
    EXPECT_THAT(run.told[0], cut_off);
    EXPECT_THAT(run.told[1], cut_off);
    EXPECT_EQ(run.notes.alive, 0);
  }
  core_group group(2);
  sharded<int> all;
  group.close(1);
  const auto texts = co_await testing::errors_of(group.run(0, [](sharded<int>* all) -> task<> {
    co_await with_shard(*all, [](int&) -> task<> { co_return; });
  }(&all)));
  EXPECT_THAT(texts, ElementsAre(HasSubstr("cut off: the program of core 1 ended")));
}

WEIR_TEST(
    "a core that is cancelled ends the bodies of all; who is stopped with it raises nothing") {
  programs run({
      call_on,
      [](programs* p) -> task<> {
        const scope_end end =
            co_await with_scope({.timeout = duration::microseconds(6 + loop::current()->lot(8))},
                                [&](scope&) -> task<> { co_await stay(p); });
        EXPECT_TRUE(end.was_cut_short());
      },
      good,
  });
  co_await run.run();
  const auto cut_off =
      ElementsAre(AllOf(HasSubstr("core 1 was cancelled"), HasSubstr("deadline passed")));
  EXPECT_THAT(run.told[0], cut_off);
  EXPECT_THAT(run.told[1], IsEmpty());
  EXPECT_THAT(run.told[2], cut_off) << "its body had ended well, and waited for the others";
  EXPECT_EQ(run.notes.alive, 0);
  // One whose own body had ended.
  programs waiting({
      [](programs* p) -> task<> {
        std::ignore =
            co_await with_scope({.timeout = 20_us}, [&](scope&) -> task<> { co_await good(p); });
      },
      stay,
      stay,
  });
  co_await waiting.run();
  EXPECT_THAT(waiting.told[0], IsEmpty());
  EXPECT_THAT(waiting.told[1], ElementsAre(HasSubstr("core 0 was cancelled")));
  EXPECT_THAT(waiting.told[2], ElementsAre(HasSubstr("core 0 was cancelled")));
  // All at once, as run_on_all_cores stops them.
  programs stopped({call_on, stay, come_late});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await stopped.run(); });
    co_await sleep(duration::microseconds(loop::current()->lot(20)));
    for (std::size_t i = 0; i < 2; ++i) {
      loop* const other = &stopped.beside[i];
      other->post([other] { other->root().cancel("the end"); });
    }
    s.cancel("the end");
  });
  EXPECT_THAT(stopped.told, Each(ElementsAre("")));
  EXPECT_EQ(stopped.notes.alive, 0);
}

TEST(sharded, a_core_that_is_cancelled_at_any_point_leaves_no_shard_and_nobody_waiting) {
  static testing::victim* cancelled;
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    cancelled = &v;
    programs run({[](programs* p) -> task<> {
                    co_await cancelled->run(take_part(p, [](programs* p) -> task<> {
                      co_await p->all.call(1, [](shard&) -> task<> { co_await sleep(1_us); });
                    }));
                    EXPECT_TRUE(p->notes.bodies == 0) << "it has awaited the others";
                  },
                  good, good});
    co_await run.run();
    const auto& told = run.told;
    EXPECT_THAT(told[0], IsEmpty());
    EXPECT_EQ(told[1].size(), told[2].size());
    if (!told[1].empty()) {
      EXPECT_TRUE(v.was_cancelled());
      EXPECT_THAT(told[1], ElementsAre(HasSubstr("broken: sessions: cut off: ")));
    }
    EXPECT_EQ(run.notes.alive, 0);
    EXPECT_EQ(run.all.stats().inside, 0u);
  });
}

// Three cores on one loop: what they do together is the same. None ends before all have been told.
TEST(WithoutMemory, a_core_cuts_the_others_off_and_leaves_no_shard) {
  struct step {
    core_group group{core_count};
    book notes;
    sharded<shard> all;
    std::size_t told = 0;
    std::size_t cut_off = 0;
    std::exception_ptr failed;
  };
  const auto runs = testing::for_each_allocation([]() -> task<> {
    static constexpr auto take_part = [](step* of) -> task<> {
      try {
        co_await with_shard(
            of->all, [of] { return shard(&of->notes); },
            [&](shard&) -> task<> {
              const body_mark mark(&of->notes);
              co_await sleep(1_us);
            });
      } catch (const exception& cut_off) {
        EXPECT_EQ(cut_off.reason().code(), errc::broken);
        ++of->cut_off;
      } catch (...) {
        of->failed = std::current_exception();
      }
      ++of->told;
      while (of->told != core_count) co_await sleep(1_us);
    };
    static constexpr auto program = [](step* of, std::size_t index) -> task<> {
      try {
        co_await of->group.run(index, take_part(of));
      } catch (...) {
        of->failed = std::current_exception();
        of->group.close(index);  // it may never have begun
        ++of->told;
      }
    };
    step all;
    co_await with_scope([&](scope& s) -> task<> {
      for (std::size_t i = 0; i < core_count; ++i) s.spawn(program, &all, i);
      co_return;
    });
    EXPECT_EQ(all.notes.alive, 0);
    EXPECT_EQ(all.all.stats().inside, 0u);
    if (all.failed) std::rethrow_exception(all.failed);
    EXPECT_EQ(all.cut_off, 0u);
  });
  if (!::testing::Test::IsSkipped()) EXPECT_GT(runs, 30u);
}

// Nothing here has a lock: a sanitizer would see a race.
TEST(sharded, cores_on_threads_of_their_own_share_nothing_but_calls) {
  struct counter {
    std::int64_t value = 0;
    std::vector<int> keys;
  };
  for (const bool fails : {false, true}) {
    core_group group(core_count);
    sharded<counter> all;
    std::vector<std::string> told[core_count];
    const auto program = [&](std::size_t core) -> task<> {
      co_await with_shard(all, [&](counter& mine) -> task<> {
        for (int key = 0; key < 60; ++key) {
          co_await all.call(
              all.core_of(key), [](counter& one, int k) { one.keys.push_back(k); }, key);
          ++mine.value;
        }
        if (fails && core == 1) raise(error(errc::corrupt, "there"));
        co_await all.call_all([](counter& one) { ++one.value; });
      });
    };
    std::vector<std::thread> threads;
    for (std::size_t core = 0; core < core_count; ++core) {
      threads.push_back(run_on_thread([&, core]() -> task<> {
        told[core] = co_await testing::errors_of(group.run(core, program(core)));
      }));
    }
    for (std::thread& one : threads) one.join();
    for (const auto& texts : told) {
      EXPECT_THAT(texts, fails ? ::testing::Matcher<std::vector<std::string>>(
                                     Contains(HasSubstr("corrupt: there")))
                               : ::testing::Matcher<std::vector<std::string>>(IsEmpty()));
    }
    EXPECT_EQ(all.stats().made, core_count);
    EXPECT_EQ(all.stats().inside, 0u);
  }
}

}  // namespace
}  // namespace weir::sharded_test

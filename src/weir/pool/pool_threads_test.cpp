// The pool on real threads.
// Needs the kernel: that is what these tests are about.
#include <weir/pool/pool.hpp>

#include <weir/core.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/local.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/flow/thread_loop_test.hpp>
#include <weir/io/busy_thread_test.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/pool/fork.hpp>
#include <weir/pool/parallel_for.hpp>
#include <weir/pool/parallel_sort.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>

#include <atomic>
#include <barrier>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace weir::pool_threads_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

job<int> fib(int n) {
  if (n < 2) co_return n;
  auto [a, b] = co_await fork(fib(n - 1), fib(n - 2));
  co_return a + b;
}

void run_here(task<> body) {
  const auto io = make_driver();
  run_on(*io, std::move(body));
}

TEST(pool_threads, compute_on_threads_of_their_own_and_come_back) {
  run_here([]() -> task<> {
    pool cpu({.threads = 4});
    const auto here = std::this_thread::get_id();
    const auto there = co_await cpu.run([] { return std::this_thread::get_id(); });
    EXPECT_NE(here, there);
    EXPECT_EQ(here, std::this_thread::get_id());
    EXPECT_EQ(co_await cpu.run(fib(20)), 6765);
    EXPECT_EQ(cpu.stats().threads, 4u);
    EXPECT_EQ(cpu.stats().begun, 0u);
  }());
}

constinit const local<int> tenant{"tenant"};

job<int> sum_of_tenants(int n) {
  if (n < 2) co_return tenant.get() ? *tenant.get() : -1'000'000;
  auto [a, b] = co_await fork(sum_of_tenants(n - 1), sum_of_tenants(n - 2));
  co_return a + b;
}

TEST(pool_threads, have_the_values_of_scopes_of_who_waits_for_them_also_where_jobs_are_stolen) {
  run_here([]() -> task<> {
    pool cpu({.threads = 4});
    EXPECT_EQ(co_await cpu.run([] { return tenant.get(); }), nullptr);
    auto [ones, twos] = co_await when_all(with_local(tenant, 1, cpu.run(sum_of_tenants(18))),
                                          with_local(tenant, 2, cpu.run(sum_of_tenants(18))));
    EXPECT_EQ(ones, 4181) << "leaves of the tree";
    EXPECT_EQ(twos, 8362);
    EXPECT_EQ(co_await cpu.run([] { return tenant.get(); }), nullptr);
  }());
}

// The law of cats-effect (docs/reference/laws.md): on a pool, "here" is the pool.
TEST(pool_threads, code_finds_itself_there_and_its_caller_at_home_evalOnLocalPure) {
  run_here([]() -> task<> {
    pool cpu({.threads = 1});
    loop* const home = loop::current();
    const auto its_thread = co_await cpu.run([] { return std::this_thread::get_id(); });
    for (int i = 0; i < 10; ++i) {
      co_await cpu.run([&] {
        EXPECT_EQ(std::this_thread::get_id(), its_thread);
        EXPECT_EQ(loop::current(), nullptr);
      });
      EXPECT_EQ(loop::current(), home);
      EXPECT_NE(std::this_thread::get_id(), its_thread);
    }
  }());
}

// Each call finds the threads asleep, or about to be: a lost wake-up hangs this test.
TEST(pool_threads, no_wake_up_is_lost_between_work_and_sleep) {
  run_here([]() -> task<> {
    pool cpu({.threads = 3});
    int sum = 0;
    for (int i = 0; i < 2'000; ++i) sum += co_await cpu.run(fib(i % 8));
    EXPECT_EQ(sum, 250 * (0 + 1 + 1 + 2 + 3 + 5 + 8 + 13));
  }());
}

TEST(pool_threads, fall_asleep_when_there_is_nothing_to_do) {
  run_here([]() -> task<> {
    pool cpu({.threads = 2});
    co_await cpu.run([] {});
    while (cpu.stats().asleep != 2) co_await yield();
    EXPECT_EQ(co_await cpu.run(fib(10)), 55);
    while (cpu.stats().asleep != 2) co_await yield();
  }());
}

TEST(pool_threads, serve_many_loops_at_once) {
  pool cpu({.threads = 2});
  std::atomic<int> sum = 0;
  std::vector<std::thread> loops;
  for (int i = 0; i < 3; ++i) {
    loops.push_back(run_on_thread([&]() -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        for (int j = 0; j < 100; ++j) s.spawn([&]() -> task<> { sum += co_await cpu.run(fib(8)); });
        co_await s.join();
      });
    }));
  }
  for (std::thread& one : loops) one.join();
  EXPECT_EQ(sum, 3 * 100 * 21);
  EXPECT_EQ(cpu.stats().ended, 300u);
}

// In small pieces, of which there are many for each thread.
TEST(pool_threads, share_the_pieces_of_a_loop_a_sum_a_sort_and_of_several_calls) {
  run_here([]() -> task<> {
    pool cpu({.threads = 4});
    constexpr int count = 20'000;
    const parallel_options fine{.grain = 16};
    std::vector<int> all(count);
    co_await cpu.run(parallel_for(
        0, count, [&](int i) { all[static_cast<std::size_t>(i)] = i * 7919 % count; }, fine));
    co_await cpu.run(parallel_for_each(all, [](int& one) { ++one; }, fine));
    const std::int64_t sum = co_await cpu.run(parallel_reduce(
        0, count, std::int64_t{0},
        [&](int i) { return std::int64_t{all[static_cast<std::size_t>(i)]}; }, std::plus<>(),
        fine));
    EXPECT_EQ(sum, std::int64_t{count} * (count + 1) / 2);
    co_await cpu.run(parallel_sort(all.begin(), all.end(), std::less<>(), fine));
    for (int i = 0; i < count; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], i + 1);
    int one = 0;
    int other = 0;
    co_await cpu.run(parallel_invoke([&] { one = 1; }, [&] { other = 2; }));
    EXPECT_EQ(one + other, 3);
    const auto errors = co_await testing::errors_of(cpu.run(parallel_for(
        0, count,
        [](int i) {
          if (i == count / 2) throw std::runtime_error("one piece");
        },
        fine)));
    EXPECT_THAT(errors, UnorderedElementsAre("one piece"));
    EXPECT_EQ(cpu.stats().begun + cpu.stats().waiting, 0u);
  }());
}

struct live {
  std::atomic<int>& count;
  explicit live(std::atomic<int>& of) : count(of) { ++count; }
  live(const live&) = delete;
  live& operator=(const live&) = delete;
  ~live() { --count; }
};
job<int> tree(int depth, int failing, std::atomic<int>& living) {
  const live here(living);
  if (depth == 0) {
    if (failing >= 0) throw std::runtime_error("leaf " + std::to_string(failing));
    co_return 1;
  }
  fork_list<int> children;
  for (int i = 0; i < 3; ++i)
    children.fork(tree(depth - 1, failing % 3 == i ? failing / 3 : -1, living));
  co_await children.join();
  int sum = 0;
  children.each([&](int one) { sum += one; });
  co_return sum;
}

TEST(pool_threads, keep_errors_and_cancellations_under_fire) {
  run_here([]() -> task<> {
    pool cpu({.threads = 4});
    std::atomic<int> living = 0;
    int values = 0;
    int errors = 0;
    constexpr int rounds = 300;
    for (int i = 0; i < rounds; ++i) {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {  // every third fails somewhere
          try {
            values += co_await cpu.run(tree(5, i % 3 == 0 ? i : -1, living)) == 243;
          } catch (const error_group&) {
            ++errors;
          }
        });
        s.spawn([&]() -> task<> { co_await cpu.run(tree(6, -1, living), priority::background); });
        for (int j = 0; j < i % 50; ++j) co_await yield();
        if (i % 2 == 0) s.cancel("enough");
      });
      EXPECT_EQ(living, 0) << "round " << i;
    }
    EXPECT_GE(values, rounds / 3) << "those of odd rounds that were not to fail";
    EXPECT_GE(errors, rounds / 6) << "and those that were";
    EXPECT_LE(cpu.stats().ended, 2u * rounds);
    EXPECT_EQ(cpu.stats().begun + cpu.stats().waiting, 0u);
  }());
}

job<> meets_and_fails(std::barrier<>& all, const char* text) {
  all.arrive_and_wait();
  throw std::runtime_error(text);
  co_return;
}
job<> both_fail(std::barrier<>& all) {
  co_await fork(meets_and_fails(all, "one"), meets_and_fails(all, "other"));
}
TEST(pool_threads, errors_at_the_same_time_are_one_group) {
  run_here([]() -> task<> {
    pool cpu({.threads = 2});
    std::barrier<> all(2);
    const auto errors = co_await testing::errors_of(cpu.run(both_fail(all)));
    EXPECT_THAT(errors, UnorderedElementsAre("one", "other"));
  }());
}

TEST(pool_threads, show_in_the_task_tree_what_they_are_at_work_on) {
  run_here([]() -> task<> {
    pool cpu({.name = "cpu", .threads = 2});
    busy_thread one;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await cpu.run(std::ref(one)); });
      co_await yield();
      one.begun.acquire();
      detail::string_sink out;
      detail::print_task_tree(*loop::current(), out);
      EXPECT_THAT(out.text, HasSubstr("waiting for pool \"cpu\": "));
      EXPECT_THAT(out.text, HasSubstr(" on 1 thread since "));
      EXPECT_EQ(cpu.stats().begun, 1u);
      one.gate.release();
      co_await s.join();
    });
  }());
}

TEST(pool_threads, a_cancelled_call_that_runs_is_awaited_and_can_ask_K8) {
  run_here([]() -> task<> {
    pool cpu({.threads = 1});
    std::binary_semaphore begun(0);
    bool was_told = false;
    bool was_delivered = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        was_told = co_await cpu.run([&] {
          begun.release();
          while (!is_work_cancelled()) std::this_thread::yield();
          return true;
        });
        was_delivered = true;
        co_await checkpoint();
        ADD_FAILURE() << "the next wait ends the task";
      });
      co_await yield();
      begun.acquire();
      s.cancel("test");
    });
    EXPECT_TRUE(was_told);
    EXPECT_TRUE(was_delivered);
  }());
}

// Order and theft, with threads that are kept busy by hand: nobody's speed decides.

/// Both threads are busy; then six calls come, those of the background first. One thread serves.
TEST(pool_threads, that_become_free_take_what_is_normal_before_the_background_that_came_earlier) {
  run_here([]() -> task<> {
    pool cpu({.threads = 2});
    busy_thread first;
    busy_thread second;
    std::vector<std::string> began;  // written by the one thread that is free
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await cpu.run(std::ref(first)); });
      s.spawn([&]() -> task<> { co_await cpu.run(std::ref(second)); });
      co_await yield();
      first.begun.acquire();
      second.begun.acquire();
      co_await with_scope([&](scope& calls) -> task<> {
        for (const auto of : {priority::background, priority::normal}) {
          for (int i = 0; i < 3; ++i) {
            calls.spawn(
                [&](priority mine, int me) -> task<> {
                  const char* const name = mine == priority::normal ? "normal " : "background ";
                  co_await cpu.run([&] { began.push_back(name + std::to_string(me)); }, mine);
                },
                of, i);
          }
          co_await yield();
        }
        EXPECT_EQ(cpu.stats().waiting, 6u);
        second.gate.release();
        co_await calls.join();
      });
      first.gate.release();
      co_await s.join();
    });
    EXPECT_THAT(began, ElementsAre("normal 0", "normal 1", "normal 2", "background 0",
                                   "background 1", "background 2"));
  }());
}

job<> note(std::string& into, char what) {
  into += what;
  co_return;
}
job<> forks_once_it_may(busy_thread& until, std::string& log) {
  until();
  co_await fork(note(log, 'b'), note(log, 'b'));
  log += 'e';
}
TEST(pool_threads, at_work_on_the_background_take_a_normal_call_at_its_next_fork) {
  run_here([]() -> task<> {
    pool cpu({.threads = 1});
    busy_thread until;
    std::string log;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await cpu.run(forks_once_it_may(until, log), priority::background);
      });
      co_await yield();
      until.begun.acquire();
      s.spawn([&]() -> task<> { co_await cpu.run(note(log, 'n')); });
      co_await yield();
      EXPECT_EQ(cpu.stats().waiting, 1u);
      until.gate.release();
      co_await s.join();
    });
    EXPECT_EQ(log, "nbbe");
  }());
}

struct ran_on {
  std::thread::id forked;
  std::thread::id kept;
  std::thread::id offered;
};
job<> kept_until(std::latch& other_ran, std::thread::id& here) {
  here = std::this_thread::get_id();
  other_ran.wait();  // its thread can't come to what it has offered
  co_return;
}
job<> offered_to_thieves(std::latch& ran, std::thread::id& here) {
  here = std::this_thread::get_id();
  ran.count_down();
  co_return;
}
job<> forks_and_stays_busy(ran_on& where) {
  where.forked = std::this_thread::get_id();
  std::latch other_ran(1);
  co_await fork(kept_until(other_ran, where.kept), offered_to_thieves(other_ran, where.offered));
}
// Without a thief this test hangs.
TEST(pool_threads, take_a_job_from_the_thread_that_forked_it_and_is_busy) {
  run_here([]() -> task<> {
    for (const auto of : {priority::normal, priority::background}) {
      pool cpu({.threads = 2});
      ran_on where;
      co_await cpu.run(forks_and_stays_busy(where), of);
      EXPECT_EQ(where.kept, where.forked) << "the first job of a fork stays where it is";
      EXPECT_NE(where.offered, where.forked);
      EXPECT_EQ(cpu.stats().stolen, 1u);
    }
  }());
}

job<> waits_for(std::latch& others) {
  others.wait();
  co_return;
}
job<> counts_down(std::latch& one) {
  one.count_down();
  co_return;
}
// As the one before: hangs while anything that is forked is kept from the thread that is free.
TEST(pool_threads, take_all_jobs_of_a_list_from_the_thread_that_forked_it_and_is_busy) {
  run_here([]() -> task<> {
    constexpr int others = 9;
    pool cpu({.threads = 2});
    co_await cpu.run([]() -> job<> {
      std::latch ran(others);
      fork_list<> list;
      list.fork(waits_for(ran));
      for (int i = 0; i < others; ++i) list.fork(counts_down(ran));
      co_await list.join();
    }());
    EXPECT_EQ(cpu.stats().stolen, unsigned{others});
  }());
}

struct theft {
  busy_thread thief;
  std::latch older_ran{1};
  std::latch newest_ran{1};
};
job<> frees_the_thief(theft& of) {
  of.thief.gate.release();
  of.older_ran.wait();
  co_return;
}
job<> keeps_its_jobs(theft& of) {
  fork_list<> list;
  list.fork(frees_the_thief(of));
  list.fork(waits_for(of.newest_ran));
  list.fork(counts_down(of.newest_ran));
  co_await list.join();
}
job<> offers_an_older_one(theft& of) {
  co_await fork(keeps_its_jobs(of), counts_down(of.older_ran));
}
// A list is kept while thieves find an older job. Once that is gone, the next job that ends shows
// what is left.
TEST(pool_threads, take_what_was_kept_when_a_job_ends) {
  run_here([]() -> task<> {
    pool cpu({.threads = 2});
    theft of;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await cpu.run(std::ref(of.thief)); });
      co_await yield();
      of.thief.begun.acquire();
      s.spawn([&]() -> task<> { co_await cpu.run(offers_an_older_one(of)); });
      co_await s.join();
    });
    EXPECT_EQ(cpu.stats().stolen, 2u);
  }());
}

job<> forks_two_once_it_may(busy_thread& until, std::latch& ran) {
  until();
  co_await fork(counts_down(ran), counts_down(ran));
}
TEST(pool_threads, take_the_jobs_of_the_background_that_another_has_left_for_what_is_normal) {
  run_here([]() -> task<> {
    pool cpu({.threads = 2});
    busy_thread until;
    busy_thread other;
    std::latch ran(2);
    std::binary_semaphore normal_begun(0);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await cpu.run(forks_two_once_it_may(until, ran), priority::background);
      });
      co_await yield();
      until.begun.acquire();
      s.spawn([&]() -> task<> { co_await cpu.run(std::ref(other)); });
      co_await yield();
      other.begun.acquire();
      s.spawn([&]() -> task<> {
        co_await cpu.run([&] {
          normal_begun.release();
          ran.wait();
        });
      });
      co_await yield();
      until.gate.release();
      normal_begun.acquire();  // by the thread that was in the background
      other.gate.release();
      co_await s.join();
    });
    EXPECT_EQ(cpu.stats().stolen, 2u);
  }());
}

TEST(pool_threads_death, a_pool_that_ends_before_its_work_is_a_named_misuse) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run_here([]() -> task<> {
                 auto cpu = std::make_unique<pool>(pool_options{.threads = 1});
                 std::binary_semaphore begun(0);
                 co_await with_scope([&](scope& s) -> task<> {
                   s.spawn([&]() -> task<> {
                     co_await cpu->run([&] {
                       begun.release();
                       for (;;) std::this_thread::yield();
                     });
                   });
                   co_await yield();
                   begun.acquire();
                   cpu.reset();
                 });
               }()),
               "a pool outlives the work on it");
}

}  // namespace
}  // namespace weir::pool_threads_test

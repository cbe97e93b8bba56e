// What only a mistake in the program can cause stops the process with a text that names the
// mistake: docs/reference/misuse.md has the whole list.
#include <weir/core.hpp>
#include <weir/flow/bulkhead.hpp>
#include <weir/flow/call_cache.hpp>
#include <weir/flow/callback.hpp>
#include <weir/flow/circuit_breaker.hpp>
#include <weir/flow/condition.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/fallback.hpp>
#include <weir/flow/hedge.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/load_shed.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/once.hpp>
#include <weir/flow/rate_limiter.hpp>
#include <weir/flow/retry.hpp>
#include <weir/flow/semaphore.hpp>
#include <weir/flow/sharded.hpp>
#include <weir/flow/shared_mutex.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>

namespace weir::misuse_test {
namespace {

using namespace weir::literals;

struct misuse {
  const char* name;
  const char* said;
  task<> (*body)();
};
void PrintTo(const misuse& one, std::ostream* out) { *out << one.name; }

/// A task waits for an object that ends under it.
template <class T, class Wait>
task<> destroy_under_a_wait(std::optional<T>* object, Wait wait) {
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await wait(**object); });
    co_await yield();
    object->reset();
  });
}

/// A task locks what it holds already, in each mode.
template <class Mutex, auto First, auto Again>
task<> lock_twice() {
  Mutex door;
  auto held = co_await (door.*First)();
  std::ignore = co_await (door.*Again)();
}
template <class Mutex>
constexpr auto write_twice = &lock_twice<Mutex, &Mutex::lock, &Mutex::lock>;
template <class Mutex>
constexpr auto read_while_writing = &lock_twice<Mutex, &Mutex::lock, &Mutex::lock_shared>;
template <class Mutex>
constexpr auto write_while_reading = &lock_twice<Mutex, &Mutex::lock_shared, &Mutex::lock>;

/// With as many readers inside before as are known but one, and some that have left again.
template <class Mutex>
task<> read_behind_a_writer() {
  Mutex door;
  std::vector<typename Mutex::guard> others;
  for (std::size_t i = 0; i < Mutex::known_readers_max; ++i)
    others.push_back((co_await door.lock_shared()).hand_over());
  others.pop_back();
  auto held = co_await door.lock_shared();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { std::ignore = co_await door.lock(); });
    co_await yield();
    std::ignore = co_await door.lock_shared();
  });
}

/// Whoever makes a value asks for it.
template <class Once>
task<> make_of_itself() {
  Once number;
  std::ignore = co_await number.get(
      [&]() -> task<int> { co_return *co_await number.get([]() -> task<int> { co_return 1; }); });
}
template <class Cache>
task<> cache_of_itself() {
  Cache numbers;
  std::ignore = co_await numbers.get(1, [&](int key) -> task<int> {
    co_return co_await numbers.get(key, [](int) -> task<int> { co_return 1; });
  });
}

generator<int> numbers() {
  co_yield 1;
  co_await sleep(1_h);
  co_yield 2;
}

/// A breaker, or a policy, that ends while it lets a call through.
template <class Policy, class... Options>
task<> destroy_under_a_call(Options... options) {
  std::optional<Policy> policy;
  policy.emplace(options...);
  const auto call = []() -> task<> { co_await sleep(1_h); };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await policy->run(call); });
    co_await yield();
    policy.reset();
  });
}

task<> destroy_under_a_shed_call() {
  bulkhead inside({});
  co_await destroy_under_a_call<load_shed<bulkhead>>(std::ref(inside));
}

constexpr misuse all_misuses[] = {
    {"a_once_that_ends_under_its_maker", "destroyed while its value is being made",
     []() -> task<> {
       std::optional<once<int>> number;
       number.emplace();
       co_await with_scope([&](scope& s) -> task<> {
         s.spawn([&]() -> task<> {
           std::ignore = co_await number->get([]() -> task<int> {
             co_await sleep(1_h);
             co_return 1;
           });
         });
         co_await yield();
         number.reset();
       });
     }},
    {"a_circuit_breaker_that_ends_under_a_call", "destroyed under a call",
     []() -> task<> { co_await destroy_under_a_call<circuit_breaker>(breaker_options{}); }},
    {"a_cross_circuit_breaker_that_ends_under_a_call", "destroyed under a call",
     []() -> task<> { co_await destroy_under_a_call<cross::circuit_breaker>(breaker_options{}); }},
    {"a_retry_policy_that_ends_under_a_call", "destroyed under a call",
     []() -> task<> { co_await destroy_under_a_call<retry_policy>(fixed(1_s)); }},
    {"a_hedge_policy_that_ends_under_a_call", "destroyed under a call",
     []() -> task<> { co_await destroy_under_a_call<hedge_policy>(hedge_options{.delay = 2_h}); }},
    {"a_fallback_policy_that_ends_under_a_call", "destroyed under a call",
     []() -> task<> {
       const auto nothing = [] {};
       co_await destroy_under_a_call<fallback_policy<decltype(nothing)>>(nothing);
     }},
    {"a_load_shed_that_ends_under_a_call", "destroyed under a call", &destroy_under_a_shed_call},
    {"a_semaphore_with_too_many_permits", "a semaphore has more permits than can be counted",
     []() -> task<> {
       semaphore all(1);
       all.add(SIZE_MAX);
       co_return;
     }},
    {"a_scope_without_room_for_a_task", "a scope lets one task live at least: tasks_max",
     []() -> task<> {
       co_await with_scope({.tasks_max = 0}, [](scope&) -> task<> { co_return; });
     }},
    {"a_task_awaited_by_two", "a spawned task's handle has one awaiter at a time",
     []() -> task<> {
       co_await with_scope([](scope& s) -> task<> {
         auto child = s.spawn([]() -> task<> { co_await sleep(1_h); });
         for (int i = 0; i < 2; ++i) s.spawn([&]() -> task<> { co_await child; });
         co_await sleep(1_ms);
       });
     }},
    {"a_handle_awaited_again_after_its_error", "the error of a task is raised once",
     []() -> task<> {
       co_await with_scope({.failures = report}, [](scope& s) -> task<> {
         auto child = s.spawn([]() -> task<> {
           raise(error(errc::busy));
           co_return;
         });
         for (int i = 0; i < 2; ++i) {
           try {
             co_await child;
           } catch (const exception&) {
             continue;  // the first time
           }
         }
       });
     }},
    {"a_generator_asked_by_two", "one next\\(\\) of a generator at a time",
     []() -> task<> {
       auto source = numbers();
       std::ignore = co_await source.next();
       co_await with_scope([&](scope& s) -> task<> {
         for (int i = 0; i < 2; ++i) {
           s.spawn([&]() -> task<> { std::ignore = co_await source.next(); });
         }
         co_return;
       });
     }},
    {"a_generator_that_ends_while_it_is_asked", "a generator outlives its next\\(\\)",
     []() -> task<> {
       auto source = std::make_unique<generator<int>>(numbers());
       std::ignore = co_await source->next();
       co_await with_scope([&](scope& s) -> task<> {
         s.spawn([&]() -> task<> { std::ignore = co_await source->next(); });
         co_await sleep(1_ms);
         source.reset();
       });
     }},
    {"an_event_destroyed_under_a_wait", "destroyed while tasks wait for it",
     []() -> task<> {
       std::optional<event> object(std::in_place);
       co_await destroy_under_a_wait(&object, [](event& of) { return of.wait(); });
     }},
    {"a_latch_destroyed_under_a_wait", "destroyed while tasks wait for it",
     []() -> task<> {
       std::optional<latch> object(std::in_place, 1u);
       co_await destroy_under_a_wait(&object, [](latch& of) { return of.wait(); });
     }},
    {"a_barrier_destroyed_under_a_wait", "destroyed while tasks wait for it",
     []() -> task<> {
       std::optional<barrier> object(std::in_place, 2u);
       co_await destroy_under_a_wait(&object, [](barrier& of) { return of.arrive_and_wait(); });
     }},
    {"a_mutex_destroyed_while_it_is_held", "destroyed while it is held",
     []() -> task<> {
       std::optional<mutex> object(std::in_place);
       auto held = co_await object->lock();
       object.reset();
     }},
    {"a_shared_mutex_destroyed_while_it_is_held", "destroyed while it is held",
     []() -> task<> {
       std::optional<shared_mutex> object(std::in_place);
       auto held = co_await object->lock_shared();
       object.reset();
     }},
    {"a_shared_mutex_locked_again_by_its_writer", "this task holds the mutex already",
     write_twice<shared_mutex>},
    {"a_shared_mutex_read_by_its_writer", "this task holds the mutex already",
     read_while_writing<shared_mutex>},
    {"a_shared_mutex_between_loops_locked_again_by_its_writer", "this task holds the mutex already",
     write_twice<cross::shared_mutex>},
    {"a_shared_mutex_between_loops_read_by_its_writer", "this task holds the mutex already",
     read_while_writing<cross::shared_mutex>},
    {"a_shared_mutex_locked_by_its_reader", "this task reads under the mutex already",
     write_while_reading<shared_mutex>},
    {"a_shared_mutex_read_again_behind_a_writer", "this task reads under the mutex already",
     &read_behind_a_writer<shared_mutex>},
    {"a_shared_mutex_between_loops_locked_by_its_reader", "this task reads under the mutex already",
     write_while_reading<cross::shared_mutex>},
    {"a_shared_mutex_between_loops_read_again_behind_a_writer",
     "this task reads under the mutex already", &read_behind_a_writer<cross::shared_mutex>},
    {"a_mutex_between_loops_locked_again", "this task holds the mutex already",
     write_twice<cross::mutex>},
    {"a_once_that_is_made_of_itself", "this task makes the value already",
     &make_of_itself<once<int>>},
    {"a_once_between_loops_that_is_made_of_itself", "this task makes the value already",
     &make_of_itself<cross::once<int>>},
    {"a_cached_value_that_is_made_of_itself", "this task makes the value already",
     &cache_of_itself<call_cache<int, int>>},
    {"a_cached_value_between_loops_that_is_made_of_itself", "this task makes the value already",
     &cache_of_itself<cross::call_cache<int, int>>},
    {"a_callback_that_was_moved_from", "an empty callback is called",
     []() -> task<> {
       co_await from_callback<>([](callback<> done) {
         const callback<> other = std::move(done);
         done();  // NOLINT(bugprone-use-after-move)
       });
     }},
    {"a_semaphore_destroyed_while_permits_are_out", "destroyed while permits are out",
     []() -> task<> {
       std::optional<semaphore> object(std::in_place, 1u);
       auto held = co_await object->acquire();
       object.reset();
     }},
    {"a_latch_counted_below_zero", "a latch was counted below zero",
     []() -> task<> {
       latch all(1);
       all.count_down(2);
       co_return;
     }},
    {"a_barrier_of_nobody", "a meeting needs somebody",
     []() -> task<> {
       const barrier none(0);
       co_return;
     }},
    {"a_barrier_that_is_left_by_one_who_is_not_counted", "more parties dropped than there were",
     []() -> task<> {
       barrier met(1);
       met.drop();
       met.drop();
       co_return;
     }},
    {"a_condition_without_its_mutex", "a condition is waited for with the mutex held",
     []() -> task<> {
       condition changed;
       mutex door;
       auto held = co_await door.lock();
       held.unlock();
       co_await changed.wait(held);
     }},
    {"a_condition_between_loops_without_its_mutex", "a condition is waited for with the mutex held",
     []() -> task<> {
       cross::condition changed;
       cross::mutex door;
       auto held = co_await door.lock();
       held.unlock();
       co_await changed.wait(held);
     }},
    {"a_shard_used_outside_of_with_shard", "shards are for the bodies of with_shard\\(\\)",
     []() -> task<> {
       sharded<int> all;
       core_group group(1);
       co_await group.run(0, [](sharded<int>* of) -> task<> {
         co_await of->call(0, [](int& one) { ++one; });
       }(&all));
     }},
    {"a_branch_of_a_select_that_has_not_ended", "this branch has not ended: ask it before",
     []() -> task<> {
       auto [early, late] = co_await select(sleep(1_ms), sleep(1_h));
       std::ignore = *late;
     }},
};

class MisuseDeathTest : public ::testing::TestWithParam<misuse> {};
INSTANTIATE_TEST_SUITE_P(all, MisuseDeathTest, ::testing::ValuesIn(all_misuses),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_P(MisuseDeathTest, stops_the_process_with_its_name) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(testing::run_virtual(GetParam().body()), GetParam().said);
}

TEST(NoLoopDeathTest, what_looks_at_the_clock_of_a_loop_says_so) {
  const char* const said = "this looks at the clock of a loop: call it while one runs";
  EXPECT_DEATH((call_cache<int, int>().put(1, 2)), said);
  EXPECT_DEATH(std::ignore = rate_limiter({.tokens = 1}).try_acquire(), said);
}

}  // namespace
}  // namespace weir::misuse_test

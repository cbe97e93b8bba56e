// The checker finds races, lost wake-ups, deadlocks and what needs so many preemptions, says how,
// and passes what is right.
#include <weir/testing/model_checker.hpp>

#include <weir/testing/model_atomic.hpp>
#include <weir/testing/model_locks.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>

namespace weir::model_checker_test {
namespace {

using ::testing::HasSubstr;

constexpr std::memory_order relaxed = std::memory_order_relaxed;
constexpr std::memory_order acquire = std::memory_order_acquire;
constexpr std::memory_order release = std::memory_order_release;

model::verdict pass_a_message(std::memory_order store, std::memory_order load) {
  return model::check({}, [=] {
    model::cell<int> data{0};
    model::atomic<bool> is_there{false};
    model::parallel(
        [&] {
          data = 1;
          is_there.store(true, store);
        },
        [&] {
          if (is_there.load(load)) model::require(data == 1);
        });
  });
}

// [message]
TEST(ModelChecker, a_message_is_there_when_its_flag_is_raised) {
  const model::verdict found = model::check({}, [] {
    model::cell<int> data{0};  // plain memory
    model::atomic<bool> is_there{false};
    model::parallel(
        [&] {
          data = 1;
          is_there.store(true, std::memory_order_release);
        },
        [&] {
          if (is_there.load(std::memory_order_acquire)) model::require(data == 1);
        });
  });
  EXPECT_TRUE(found.has_passed()) << found.text();
}
// [/message]

TEST(ModelChecker, finds_a_data_race_and_passes_what_is_ordered) {
  EXPECT_TRUE(pass_a_message(release, acquire).has_passed());
  EXPECT_THAT(pass_a_message(relaxed, acquire).failure, HasSubstr("data race: thread 2 reads"));
  EXPECT_THAT(pass_a_message(release, relaxed).failure, HasSubstr("data race: thread 2 reads"));
}

// Whoever makes an atomic tells nobody by that: only what is stored in it can.
TEST(ModelChecker, the_first_value_of_an_atomic_tells_nothing) {
  struct box {
    model::cell<int> data{0};
    model::atomic<bool> flag{false};
  };
  const model::verdict found = model::check({}, [] {
    std::optional<box> made;
    model::atomic<box*> where{nullptr};
    model::parallel([&] { where.store(&made.emplace(), relaxed); },
                    [&] {
                      box* const seen = where.load(relaxed);
                      if (seen && !seen->flag.load(acquire)) model::require(seen->data == 0);
                    });
  });
  EXPECT_THAT(found.failure, HasSubstr("data race: thread 2 reads"));
}

TEST(ModelChecker, finds_a_race_of_two_writers_even_without_preemptions) {
  const model::verdict found = model::check({.preemptions_max = 0}, [] {
    model::cell<int> data{0};
    model::parallel([&] { data = 1; }, [&] { data = 2; });
  });
  EXPECT_THAT(found.failure, HasSubstr("data race: thread 2 writes"));
  EXPECT_EQ(found.runs, 1u);
}

TEST(ModelChecker, says_who_has_written_what_is_read_too_early) {
  EXPECT_THAT(pass_a_message(relaxed, acquire).failure,
              HasSubstr("data race: thread 2 reads after step 2 what thread 1 has written"));
}

TEST(ModelChecker, a_reader_that_comes_before_the_writer_races_too) {
  const model::verdict found = model::check({}, [] {
    model::cell<int> data{0};
    model::parallel([&] { model::require(data.get() == 0); }, [&] { data = 2; });
  });
  EXPECT_THAT(found.failure, HasSubstr("data race: thread 2 writes"));
}

TEST(ModelChecker, says_what_happened_step_by_step) {
  const model::verdict found = pass_a_message(relaxed, acquire);
  EXPECT_THAT(found.steps, HasSubstr("1  thread 1  model_checker_test.cpp:"));
  EXPECT_THAT(found.steps, HasSubstr("store #0 relaxed: wrote 1\n"));
  EXPECT_THAT(found.steps, HasSubstr("load #0 acquire: read 1 (of step 1)\n"));
  EXPECT_EQ(pass_a_message(relaxed, acquire).text(), found.text()) << "no seed is needed";
}

TEST(ModelChecker, finds_what_needs_n_preemptions_with_n_and_not_with_fewer) {
  // The second thread has to see 1, 2 ... in turn, so the first is left between its stores.
  const auto check = [](std::uint32_t preemptions) {
    return model::check({.preemptions_max = preemptions}, [] {
      model::atomic<int> x{0};
      model::atomic<int> answered{0};
      model::parallel(
          [&] {
            x.store(1);
            if (answered.load() == 1) x.store(2);
          },
          [&] {
            if (x.load() != 1) return;
            answered.store(1);
            model::require(x.load() != 2, "the second is not seen");
          });
    });
  };
  EXPECT_TRUE(check(0).has_passed());
  EXPECT_TRUE(check(1).has_passed());
  EXPECT_THAT(check(2).failure, HasSubstr("the second is not seen"));
}

model::verdict wait_for_a_change(bool locks_to_notify) {
  return model::check({}, [=] {
    model::mutex lock;
    model::condition_variable changed;
    model::atomic<bool> is_there{false};
    model::parallel(
        [&] {
          std::unique_lock held(lock);
          changed.wait(held, [&] { return is_there.load(relaxed); });
        },
        [&] {
          if (locks_to_notify) {
            const std::lock_guard held(lock);
            is_there.store(true, relaxed);
          } else {
            is_there.store(true, relaxed);
          }
          changed.notify_one();
        });
  });
}

TEST(ModelChecker, finds_a_wake_up_that_is_lost) {
  EXPECT_TRUE(wait_for_a_change(true).has_passed());
  const model::verdict found = wait_for_a_change(false);
  EXPECT_THAT(found.failure, HasSubstr("deadlock: thread 1 waits at model_checker_test.cpp:"));
}

TEST(ModelChecker, an_event_stays_signalled_until_it_is_cleared) {
  const auto check = [](bool clears_late) {
    return model::check({}, [=] {
      model::event bell;
      model::atomic<bool> is_there{false};
      model::parallel(
          [&] {
            if (!clears_late) bell.clear();
            while (!is_there.load()) {
              if (clears_late) bell.clear();
              bell.wait();
            }
          },
          [&] {
            is_there.store(true);
            bell.signal();
          });
    });
  };
  EXPECT_TRUE(check(false).has_passed());
  EXPECT_THAT(check(true).failure, HasSubstr("deadlock: thread 1 waits")) << "looks, clears, waits";
}

TEST(ModelChecker, finds_two_locks_that_are_taken_in_two_orders) {
  const model::verdict found = model::check({}, [] {
    model::mutex a;
    model::mutex b;
    const auto take = [](model::mutex& first, model::mutex& second) {
      const std::lock_guard one(first);
      const std::lock_guard two(second);
    };
    model::parallel([&] { take(a, b); }, [&] { take(b, a); });
  });
  EXPECT_THAT(found.failure, HasSubstr("deadlock: thread 1 waits at"));
  EXPECT_THAT(found.failure, HasSubstr("thread 2 waits at"));
}

TEST(ModelChecker, a_mutex_orders_plain_memory) {
  const model::verdict found = model::check({}, [] {
    model::mutex lock;
    model::cell<int> count{0};
    const auto add = [&] {
      const std::lock_guard held(lock);
      count = count + 1;
    };
    model::parallel(add, add, add);
    model::require(count == 3);
  });
  EXPECT_TRUE(found.has_passed()) << found.text();
}

TEST(ModelChecker, a_thread_that_yields_goes_on_when_there_is_something_to_see) {
  const model::verdict found = model::check({}, [] {
    model::cell<int> data{0};
    model::atomic<int> turn{0};
    model::parallel(
        [&] {
          data = 1;
          turn.store(1, release);
        },
        [&] {
          while (turn.load(acquire) != 1) model::yield();
          data = data + 1;
          turn.store(2, release);
        },
        [&] {
          while (turn.load(acquire) != 2) model::yield();
          model::require(data == 2);
        });
  });
  EXPECT_TRUE(found.has_passed()) << found.text();
}

TEST(ModelChecker, a_thread_that_yields_for_ever_is_a_deadlock) {
  const model::verdict found = model::check({}, [] {
    model::atomic<int> turn{0};
    model::parallel(
        [&] {
          while (turn.load(acquire) != 2) model::yield();
        },
        [&] { turn.store(1, release); });
  });
  EXPECT_THAT(found.failure, HasSubstr("deadlock: thread 1 waits"));
}

// A thread that waits for a flag by `look`, and one that sets it.
model::verdict wait_for_flag(bool (*look)(model::atomic<int>& flag, model::atomic<int>& other)) {
  return model::check({}, [look] {
    model::cell<int> data{0};
    model::atomic<int> flag{0};
    model::atomic<int> other{7};
    model::parallel(
        [&] {
          data = 1;
          flag.store(1, release);
        },
        [&] {
          while (!look(flag, other)) model::yield();
          model::require(data == 1);
        });
  });
}

TEST(ModelChecker, a_thread_may_read_and_count_elsewhere_between_its_look_and_its_yield) {
  for (auto* look : {+[](model::atomic<int>& flag, model::atomic<int>& other) {
                       const bool is_set = flag.load(acquire) != 0;
                       static_cast<void>(other.load(acquire));
                       return is_set;
                     },
                     +[](model::atomic<int>& flag, model::atomic<int>& other) {
                       static_cast<void>(other.load(acquire));
                       return flag.load(acquire) != 0;
                     },
                     +[](model::atomic<int>& flag, model::atomic<int>& other) {
                       const bool is_set = flag.load(acquire) != 0;
                       if (!is_set) other.fetch_add(1);
                       return is_set;
                     },
                     +[](model::atomic<int>& flag, model::atomic<int>&) {
                       int expected = 1;
                       return flag.compare_exchange_weak(expected, 2, acquire, relaxed);
                     }}) {
    const model::verdict found = wait_for_flag(look);
    EXPECT_TRUE(found.has_passed()) << found.text();
    EXPECT_LT(found.runs, 100u);
  }
}

TEST(ModelChecker, what_was_not_looked_at_before_a_yield_may_still_be_old_after_it) {
  const model::verdict found = model::check({}, [] {
    model::atomic<int> data{0};
    model::atomic<int> flag{0};
    model::parallel(
        [&] {
          data.store(1, relaxed);
          flag.store(1, relaxed);
        },
        [&] {
          while (flag.load(relaxed) == 0) model::yield();
          model::require(data.load(relaxed) == 1);
        });
  });
  EXPECT_THAT(found.failure, HasSubstr("does not hold"));
}

TEST(ModelChecker, threads_that_take_turns_at_a_lock_by_exchange_do_not_wake_each_other_for_ever) {
  const model::verdict found = model::check({}, [] {
    model::atomic<int> lock{0};
    model::cell<int> count{0};
    const auto add = [&] {
      while (lock.exchange(1, acquire) != 0) model::yield();
      count = count + 1;
      lock.store(0, release);
    };
    model::parallel(add, add, add);
    model::require(count == 3);
  });
  EXPECT_TRUE(found.has_passed()) << found.text();
}

TEST(ModelChecker, a_mutex_is_unlocked_by_who_holds_it) {
  const model::verdict found = model::check({}, [] {
    model::mutex lock;
    model::parallel([&] { lock.lock(); }, [&] { lock.unlock(); });
  });
  EXPECT_THAT(found.failure, HasSubstr("thread 2 unlocks a mutex that it does not hold, at model"));
}

TEST(ModelChecker, more_atomics_than_it_can_keep_are_named) {
  const model::verdict found = model::check({}, [] {
    std::deque<model::atomic<int>> many;
    for (std::size_t i = 0; i <= model::locations_max; ++i) many.emplace_back();
  });
  EXPECT_EQ(found.failure, "a run makes more than 64 atomics");
}

TEST(ModelChecker, a_run_without_an_end_is_a_failure) {
  const model::verdict found = model::check({.steps_max = 50}, [] {
    model::atomic<int> turn{0};
    model::parallel([&] {
      while (turn.load(relaxed) == 0) {
      }
    });
  });
  EXPECT_EQ(found.failure, "a run has more than 50 steps");
}

TEST(ModelChecker, an_exception_must_not_leave_a_thread) {
  const model::verdict found = model::check({}, [] { model::parallel([] { throw 1; }); });
  EXPECT_EQ(found.failure, "an exception has left a thread");
}

TEST(ModelChecker, says_when_it_has_not_tried_everything) {
  const model::verdict found = model::check({.runs_max = 3}, [] {
    model::atomic<int> x{0};
    const auto add = [&] {
      for (int i = 0; i < 3; ++i) x.fetch_add(1);
    };
    model::parallel(add, add);
  });
  EXPECT_FALSE(found.has_passed());
  EXPECT_EQ(found.text(), "not finished after 3 runs");
}

TEST(ModelChecker, a_weakening_strikes_one_operation_of_one_function_and_must_meet_it) {
  struct box {
    void put() { is_there.store(true, release); }
    model::atomic<bool> is_there{false};
  };
  const auto check = [](const model::weakening& one) {
    return model::check({.weakened = {one}}, [] {
      box made;
      model::cell<int> data{0};
      model::parallel(
          [&] {
            data = 1;
            made.put();
          },
          [&] {
            if (made.is_there.load(acquire)) model::require(data == 1);
          });
    });
  };
  EXPECT_THAT(check({"put", model::operation::store, release, relaxed}).failure,
              HasSubstr("data race"));
  EXPECT_EQ(check({"pu", model::operation::store, release, relaxed}).failure,
            "there is no store release in pu to be weakened");
  EXPECT_EQ(check({"put", model::operation::store, acquire, relaxed}).failure,
            "there is no store acquire in put to be weakened");
}

}  // namespace
}  // namespace weir::model_checker_test

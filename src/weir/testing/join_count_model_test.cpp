// The join of a fork, the source that ships, together with the deque from which its jobs are taken:
// one goes on behind the fork, when all jobs have ended, and sees what they did. Then the same with
// weaker orders, each of which must be found.
#include <weir/pool/detail/join_count.hpp>

#include <weir/pool/detail/offer_deque.hpp>
#include <weir/testing/model_atomic.hpp>
#include <weir/testing/weaken_orders.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weir::join_count_model_test {
namespace {

using model::operation;
using model::require;

constexpr std::memory_order acquire = std::memory_order_acquire;
constexpr std::memory_order release = std::memory_order_release;
constexpr std::memory_order acq_rel = std::memory_order_acq_rel;

struct job {
  model::cell<int> result{0};
};

/// A fork of three jobs: the strand runs the last and takes back what nobody has taken.
struct fork_of_three {
  static constexpr std::int32_t count = 3;
  detail::offer_deque<job, model::memory, 4> deque;
  detail::join_count<model::memory> left;
  job jobs[count];
  model::cell<bool> is_there{true};  // what the fork lives in
  model::cell<int> times_joined{0};

  fork_of_three() { deque.want_shown(2); }

  void run(job& one) {
    require(is_there, "a fork outlives its jobs");
    one.result = 1;
  }
  void go_on() {
    times_joined = times_joined + 1;
    is_there = false;
    for (const job& one : jobs) require(one.result == 1, "each job has ended");
  }
  void strand() {
    deque.offer(&jobs[0]);
    deque.offer(&jobs[1]);
    deque.show_all();
    std::int32_t done = 0;
    for (job* next = &jobs[2]; next; next = deque.take()) {
      run(*next);
      ++done;
    }
    if (done == count || left.arrive(count - done)) go_on();
  }
  void thief() {
    job* const taken = deque.steal();
    if (!taken) return;
    run(*taken);
    if (left.end_taken()) go_on();
  }
};

void one_thief_takes_up_to_two() {
  fork_of_three on;
  model::parallel([&] { on.strand(); },
                  [&] {
                    on.thief();
                    on.thief();
                  });
  require(on.times_joined == 1, "one goes on");
}

void two_thieves_take_one_each() {
  fork_of_three on;
  model::parallel([&] { on.strand(); }, [&] { on.thief(); }, [&] { on.thief(); });
  require(on.times_joined == 1, "one goes on");
}

TEST(JoinCountModel, one_goes_on_when_all_jobs_have_ended) {
  for (const auto body : {&one_thief_takes_up_to_two, &two_thieves_take_one_each}) {
    const model::verdict found = model::check({}, body);
    EXPECT_TRUE(found.has_passed()) << found.text();
  }
}

TEST(JoinCountModel, a_weaker_order_shows_a_job_that_has_not_ended) {
  const model::weakening all[] = {
      {"end_taken", operation::add, acq_rel, acquire},
      {"end_taken", operation::add, acq_rel, release},
      {"arrive", operation::add, acq_rel, acquire},
      {"arrive", operation::add, acq_rel, release},
  };
  for (const model::weakening& one : all) {
    const model::verdict found = model::check({.weakened = {one}}, &one_thief_takes_up_to_two);
    EXPECT_TRUE(found.failure.starts_with("data race")) << one.function << ": " << found.text();
  }
}

TEST(JoinCountModel, each_order_is_needed) {
  constexpr void (*bodies[])() = {&one_thief_takes_up_to_two};
  EXPECT_EQ(model::unnoticed_orders("join_count.hpp", bodies, {.least = 4}),
            (std::vector<std::string>{}));
}

}  // namespace
}  // namespace weir::join_count_model_test

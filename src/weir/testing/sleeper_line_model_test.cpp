// Where the pool's threads sleep, the source that ships, under every interleaving (of three
// preemptions at most) with those who offer work: no thread sleeps over work, alone or together
// with the deque that the work is in. Then the same with weaker fences, each of which must be
// found.
#include <weir/pool/detail/sleeper_line.hpp>

#include <weir/pool/detail/offer_deque.hpp>
#include <weir/testing/model_atomic.hpp>
#include <weir/testing/model_locks.hpp>
#include <weir/testing/weaken_orders.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weir::sleeper_line_model_test {
namespace {

using model::operation;
using model::require;

constexpr std::memory_order relaxed = std::memory_order_relaxed;
constexpr std::memory_order acq_rel = std::memory_order_acq_rel;
constexpr std::memory_order seq_cst = std::memory_order_seq_cst;

/// Work that is a number of pieces.
struct counted_pool {
  detail::sleeper_line<model::threads> line;
  model::atomic<int> pieces{0};

  void offer() {
    pieces.fetch_add(1, relaxed);
    line.wake_one();
  }
  bool take() {
    int count = pieces.load(relaxed);
    while (count > 0) {
      if (pieces.compare_exchange_strong(count, count - 1, relaxed, relaxed)) return true;
    }
    return false;
  }
  bool sleep() {
    return line.sleep([this] { return pieces.load(relaxed) > 0; });
  }
  /// False: the line has ended.
  bool take_one() {
    while (!take()) {
      if (!sleep()) return false;
    }
    return true;
  }
};

void one_sleeps_while_work_is_offered() {
  counted_pool on;
  model::parallel([&] { on.offer(); }, [&] { require(on.take_one()); });
  require(on.pieces.load() == 0);
}

void two_sleep_while_work_is_offered() {
  counted_pool on;
  model::parallel(
      [&] {
        on.pieces.fetch_add(2, relaxed);
        on.line.wake_one();
        on.line.wake_one();
      },
      [&] { require(on.take_one()); }, [&] { require(on.take_one()); });
  require(on.pieces.load() == 0);
}

void all_wake_at_the_end() {
  counted_pool on;
  model::parallel([&] { on.line.end(); }, [&] { require(!on.sleep()); },
                  [&] { require(!on.sleep()); });
}

/// Work in a deque: what a thread of the pool does when it finds none, and what
/// show_offers() does.
void a_thief_sleeps_while_an_item_is_shown() {
  struct item {
    model::cell<int> value{0};
  };
  detail::sleeper_line<model::threads> line;
  detail::offer_deque<item, model::memory, 2> deque;
  item one;
  model::parallel(
      [&] {
        one.value = 1;
        deque.offer(&one);
        deque.show_all();
        line.wake_one();
      },
      [&] {
        item* had = nullptr;
        while (!(had = deque.steal())) {
          require(line.sleep([&] { return deque.shows_any(); }));
        }
        require(had->value == 1, "what it points at is seen");
      });
}

struct scenario {
  const char* name;
  void (*body)();
  std::uint32_t spurious_failures_max = 1;
};
constexpr scenario scenarios[] = {
    {"one sleeps while work is offered", &one_sleeps_while_work_is_offered},
    {"two sleep while work is offered", &two_sleep_while_work_is_offered,
     0},  // 4 million runs with 1
    {"all wake at the end", &all_wake_at_the_end},
    {"a thief sleeps while an item is shown", &a_thief_sleeps_while_an_item_is_shown},
};

TEST(SleeperLineModel, no_thread_sleeps_over_work) {
  for (const scenario& one : scenarios) {
    const model::verdict found =
        model::check({.spurious_failures_max = one.spurious_failures_max}, one.body);
    EXPECT_TRUE(found.has_passed()) << one.name << ": " << found.text();
  }
}

TEST(SleeperLineModel, each_fence_that_is_made_weaker_is_found) {
  const model::weakening all[] = {
      {"sleep", operation::fence, seq_cst, acq_rel},
      {"wake_one", operation::fence, seq_cst, acq_rel},
  };
  for (const model::weakening& one : all) {
    for (const auto body :
         {&one_sleeps_while_work_is_offered, &a_thief_sleeps_while_an_item_is_shown}) {
      const model::verdict found = model::check({.weakened = {one}}, body);
      EXPECT_TRUE(found.failure.starts_with("deadlock")) << one.function << ": " << found.text();
    }
  }
}

TEST(SleeperLineModel, each_order_is_needed) {
  constexpr void (*bodies[])() = {&one_sleeps_while_work_is_offered, &all_wake_at_the_end,
                                  &a_thief_sleeps_while_an_item_is_shown};
  EXPECT_EQ(model::unnoticed_orders("sleeper_line.hpp", bodies, {.least = 2}),
            (std::vector<std::string>{}));
}

}  // namespace
}  // namespace weir::sleeper_line_model_test

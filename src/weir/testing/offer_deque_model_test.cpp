// The pool's work-stealing deque, the source that ships, under every interleaving (of three
// preemptions at most) of its owner with thieves: nothing is lost, nothing is had twice, what an
// item points at is seen. Then the same with weaker orders, each of which must be found.
#include <weir/pool/detail/offer_deque.hpp>

#include <weir/testing/model_atomic.hpp>
#include <weir/testing/weaken_orders.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weir::offer_deque_model_test {
namespace {

using model::operation;
using model::require;

constexpr std::memory_order relaxed = std::memory_order_relaxed;
constexpr std::memory_order acquire = std::memory_order_acquire;
constexpr std::memory_order release = std::memory_order_release;
constexpr std::memory_order seq_cst = std::memory_order_seq_cst;

/// Plain memory: whoever has it must see what the owner wrote, and be alone with it.
struct item {
  model::cell<int> value{0};
};

/// A deque and those who use it as a pool does; with two places its ends go round.
template <std::int64_t Places = 2>
struct arena {
  detail::offer_deque<item, model::memory, Places> deque;
  item items[3];
  int offered = 0;

  explicit arena(std::int64_t wanted) { deque.want_shown(wanted); }

  bool offer() {
    items[offered].value = 1;
    const detail::offered outcome = deque.offer(&items[offered]);
    if (outcome == detail::offered::no) return false;
    ++offered;
    if (outcome == detail::offered::wanted) deque.show_all();
    return true;
  }
  /// 1 is offered, 2 is had: a second one who has it would see 2, or race.
  static bool have(item* one) {
    if (!one) return false;
    require(one->value == 1, "an item is had once");
    one->value = 2;
    return true;
  }
  bool take() {
    item* const one = deque.take();
    if (deque.keeps_too_much()) deque.show_all();
    return have(one);
  }
  bool steal() { return have(deque.steal()); }

  /// All threads have ended: what is left is the owner's, and then everybody has had everything.
  void settle() {
    while (take()) {
    }
    for (int i = 0; i < offered; ++i) require(items[i].value == 2, "every item is had");
  }
};

void the_last_one_is_fought_for() {
  arena<> on(1);
  model::parallel(
      [&] {
        on.offer();
        on.offer();
        on.take();
        on.take();
      },
      [&] { on.steal(); }, [&] { on.steal(); });
  on.settle();
}

void two_are_shown_and_taken_back() {
  arena<> on(2);
  model::parallel(
      [&] {
        on.offer();
        on.offer();
        on.take();
        on.take();
      },
      [&] {
        on.steal();
        on.steal();
      });
  on.settle();
}

void two_thieves_meet_the_owner() {
  arena<> on(2);
  on.offer();
  on.offer();
  model::parallel([&] { on.take(); }, [&] { on.steal(); }, [&] { on.steal(); });
  on.settle();
}

void the_ring_goes_round() {
  arena<> on(1);
  on.offer();
  on.offer();
  model::parallel(
      [&] {
        on.offer();
        on.take();
      },
      [&] {
        on.steal();
        on.steal();
      });
  on.settle();
}

void what_was_kept_is_shown_by_a_take() {
  arena<3> on(1);
  for (int i = 0; i < 3; ++i) on.offer();  // the first is shown
  model::parallel(
      [&] {
        on.take();
        on.take();
      },
      [&] {
        on.steal();
        on.steal();
      });
  on.settle();
}

void what_a_thief_sees_it_may_steal() {
  arena<> on(1);
  bool has_stolen = false;
  bool has_seen = false;
  model::parallel([&] { on.offer(); },
                  [&] {
                    has_seen = on.deque.shows_any();
                    has_stolen = on.steal();
                  });
  require(has_stolen || !has_seen, "what is shown to one thief alone is there");
  on.settle();
}

constexpr void (*bodies[])() = {&the_last_one_is_fought_for,       &two_are_shown_and_taken_back,
                                &two_thieves_meet_the_owner,       &the_ring_goes_round,
                                &what_was_kept_is_shown_by_a_take, &what_a_thief_sees_it_may_steal};

TEST(OfferDequeModel, loses_nothing_and_gives_nothing_twice) {
  for (const auto body : bodies) {
    const model::verdict found = model::check({}, body);
    EXPECT_TRUE(found.has_passed()) << found.text();
  }
}

TEST(OfferDequeModel, a_weaker_order_loses_an_item_or_gives_it_twice) {
  struct mutant {
    model::weakening what;
    void (*body)();
    const char* failure;
  };
  const mutant all[] = {
      {{"show_all", operation::store, release, relaxed}, &the_last_one_is_fought_for, "data race"},
      {{"steal", operation::load, acquire, relaxed}, &the_last_one_is_fought_for, "data race"},
      {{"steal", operation::fence, seq_cst, acquire}, &two_thieves_meet_the_owner, "data race"},
      {{"take_shown", operation::fence, seq_cst, release},
       &two_are_shown_and_taken_back,
       "data race"},
      {{"take_shown", operation::store, release, relaxed},
       &two_are_shown_and_taken_back,
       "data race"},
  };
  for (const mutant& one : all) {
    const model::verdict found = model::check({.weakened = {one.what}}, one.body);
    EXPECT_TRUE(found.failure.starts_with(one.failure))
        << one.what.function << ": " << found.text();
  }
}

// Why each of these passes when it is weaker; they cost nothing on x86.
TEST(OfferDequeModel, each_order_is_needed_but_these) {
  EXPECT_EQ(model::unnoticed_orders("offer_deque.hpp", bodies, {.least = 5}),
            (std::vector<std::string>{
                // Guards against load buffering, which is beyond the model: the thief's load of the
                // slot reads what the owner writes because that thief has moved top_ later.
                "offer: load acquire as relaxed",
                // The fence behind it acquires what it read.
                "steal: load acquire as relaxed, number 1 of 2",
                // The fences before both do what the orders of the exchanges did in 2013.
                "steal: compare_exchange seq_cst as acq_rel",
                // A hint: steal() looks again.
                "shows_any: load acquire as relaxed",
                "take_shown: compare_exchange seq_cst as acq_rel",
                // Whoever reads this end finds that top_ is there, too, or fails to move it.
                "take_shown: store release as relaxed, number 2 of 2",
            }));
}

}  // namespace
}  // namespace weir::offer_deque_model_test

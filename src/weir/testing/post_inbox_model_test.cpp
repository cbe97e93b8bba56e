// A loop's inbox, the source that ships, under every interleaving (of three preemptions at most) of
// posters with the loop: each post is had once and in order, the loop never sleeps over one, and a
// loop may end as soon as the last post has been seen. Then the same with weaker orders, each of
// which must be found.
#include <weir/core/detail/post_inbox.hpp>

#include <weir/testing/model_atomic.hpp>
#include <weir/testing/model_locks.hpp>
#include <weir/testing/weaken_orders.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::post_inbox_model_test {
namespace {

using model::operation;
using model::require;

constexpr std::memory_order relaxed = std::memory_order_relaxed;
constexpr std::memory_order acquire = std::memory_order_acquire;
constexpr std::memory_order release = std::memory_order_release;
constexpr std::memory_order seq_cst = std::memory_order_seq_cst;

struct node {
  model::cell<node*> next{nullptr};
  model::cell<int> content{0};
};

/// A loop with nothing but posts, over a driver that can be woken.
struct post_loop {
  detail::basic_post_inbox<node, model::memory> inbox;
  model::event driver;
  model::cell<bool> is_there{true};  // false: the loop has ended, and its driver with it

  void wake() {
    require(is_there, "the driver is there when it is woken");
    driver.signal();
  }
  void post(node& one, int content) {
    one.content = content;
    inbox.post(one, [this] { wake(); });
  }
  /// What loop::turn() does where nothing else is to be waited for; gives the oldest post.
  node* turn() {
    if (inbox.fall_asleep()) driver.wait();
    inbox.stay_awake();
    if (driver.is_signalled()) driver.clear();
    return inbox.is_empty(relaxed) ? nullptr : inbox.take_all();
  }
};

void one_poster_meets_the_loop() {
  post_loop on;
  node nodes[2];
  model::parallel(
      [&] {
        on.post(nodes[0], 1);
        on.post(nodes[1], 2);
      },
      [&] {
        for (int heard = 0; heard != 2;) {
          for (node* one = on.turn(); one; one = one->next) {
            require(one->content == ++heard, "posts of one poster come in their order");
          }
        }
      });
}

void two_posters_meet_the_loop() {
  post_loop on;
  node nodes[2];
  bool has[2] = {};
  model::parallel([&] { on.post(nodes[0], 0); }, [&] { on.post(nodes[1], 1); },
                  [&] {
                    for (int heard = 0; heard != 2;) {
                      for (node* one = on.turn(); one; one = one->next) {
                        require(!has[one->content], "a post is had once");
                        has[one->content] = true;
                        ++heard;
                      }
                    }
                  });
  require(has[0] && has[1]);
}

void a_post_ends_the_loop() {
  post_loop on;
  node last;
  model::parallel([&] { on.post(last, 1); },
                  [&] {
                    while (!on.turn()) {
                    }
                    on.inbox.close([] { model::yield(); });
                    on.is_there = false;
                  });
}

constexpr void (*bodies[])() = {&one_poster_meets_the_loop, &two_posters_meet_the_loop,
                                &a_post_ends_the_loop};

TEST(PostInboxModel, no_post_is_lost_or_slept_over) {
  for (const auto body : bodies) {
    const model::verdict found = model::check({}, body);
    EXPECT_TRUE(found.has_passed()) << found.text();
  }
}

TEST(PostInboxModel, refuses_beyond_its_bound_whoever_comes_first) {
  const model::verdict found = model::check({}, [] {
    detail::basic_post_inbox<node, model::memory> inbox;
    int reserved[3] = {};
    const auto reserve = [&](int who) { reserved[who] = inbox.reserve(2) ? 1 : 0; };
    model::parallel([&] { reserve(0); }, [&] { reserve(1); }, [&] { reserve(2); });
    require(reserved[0] + reserved[1] + reserved[2] == 2, "two of three");
    inbox.give_up(2);
    require(inbox.reserve(1), "what was refused or given up takes no room");
  });
  EXPECT_TRUE(found.has_passed()) << found.text();
}

struct mutant {
  model::weakening what;
  void (*body)();
  const char* failure;
};

TEST(PostInboxModel, each_order_that_is_made_weaker_is_found) {
  const mutant all[] = {
      {{"fall_asleep", operation::store, seq_cst, release}, &one_poster_meets_the_loop, "deadlock"},
      {{"is_empty", operation::load, seq_cst, acquire}, &one_poster_meets_the_loop, "deadlock"},
      {{"push", operation::compare_exchange, seq_cst, release},
       &one_poster_meets_the_loop,
       "deadlock"},
      {{"post", operation::load, seq_cst, acquire}, &one_poster_meets_the_loop, "deadlock"},
      {{"push", operation::compare_exchange, seq_cst, relaxed},
       &one_poster_meets_the_loop,
       "data race"},
      {{"take_all", operation::exchange, acquire, relaxed},
       &one_poster_meets_the_loop,
       "data race"},
      {{"post", operation::add, release, relaxed}, &a_post_ends_the_loop, "data race"},
      {{"close", operation::load, acquire, relaxed}, &a_post_ends_the_loop, "data race"},
  };
  for (const mutant& one : all) {
    const model::verdict found = model::check({.weakened = {one.what}}, one.body);
    EXPECT_TRUE(found.failure.starts_with(one.failure))
        << one.what.function << ": " << found.text();
  }
}

TEST(PostInboxModel, each_order_is_needed) {
  constexpr void (*quick[])() = {&one_poster_meets_the_loop, &a_post_ends_the_loop};
  EXPECT_EQ(model::unnoticed_orders("post_inbox.hpp", quick, {.least = 4}),
            (std::vector<std::string>{}));
  EXPECT_EQ(model::unnoticed_orders("treiber_stack.hpp", quick, {.least = 3}),
            (std::vector<std::string>{}));
}

// A loop that looks first and says then that it is asleep.
TEST(PostInboxModel, a_loop_that_looks_before_it_says_that_it_sleeps_is_found) {
  const model::verdict found = model::check({}, [] {
    post_loop on;
    node one;
    model::parallel([&] { on.post(one, 1); },
                    [&] {
                      const bool was_empty = on.inbox.is_empty(seq_cst);
                      on.inbox.fall_asleep();
                      if (was_empty) on.driver.wait();
                    });
  });
  EXPECT_TRUE(found.failure.starts_with("deadlock")) << found.text();
}

}  // namespace
}  // namespace weir::post_inbox_model_test

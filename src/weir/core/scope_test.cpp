#include <weir/core/scope.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace weir::scope_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using ::testing::ElementsAre;
using testing::errors_of;
using ::testing::HasSubstr;

/// Says when it is destroyed.
struct mark {
  std::string* log;
  char name;
  mark(std::string& to, char c) : log(&to), name(c) {}
  mark(const mark&) = delete;
  mark& operator=(const mark&) = delete;
  ~mark() { log->push_back(name); }
};

task<> sleep_forever() { co_await sleep_until(time_point::never()); }
task<> nap(duration length) { co_await sleep(length); }
task<> fail_after(duration length, const char* text) {
  co_await sleep(length);
  raise(error(errc::broken, text));
}
task<int> value_after(duration length, int value) {
  co_await sleep(length);
  co_return value;
}

WEIR_TEST("a scope ends only after all of its children (T11)") {
  int ended = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 1; i <= 3; ++i) {
      s.spawn(
          [](int* count, int ms) -> task<> {
            co_await sleep(duration::milliseconds(ms));
            ++*count;
          },
          &ended, i);
    }
    co_return;
  });
  EXPECT_EQ(ended, 3);
  EXPECT_EQ(elapsed(), 3_ms);
}

WEIR_TEST("a scope without children gives the value of its body") {
  const int value = co_await with_scope([](scope&) -> task<int> { co_return 7; });
  EXPECT_EQ(value, 7);
}

WEIR_TEST("a spawned task's handle gives its value, before and after it has ended") {
  co_await with_scope([](scope& s) -> task<> {
    auto early = s.spawn(&value_after, 1_ms, 1);
    EXPECT_EQ(co_await early, 1);
    auto late = s.spawn(&value_after, 1_ms, 2);
    co_await sleep(5_ms);
    EXPECT_TRUE(late.is_done());
    EXPECT_TRUE(late.has_value());
    EXPECT_EQ(co_await late, 2);
  });
}

WEIR_TEST("a dropped handle leaves the task to its scope (T18)") {
  int ended = 0;
  co_await with_scope([&](scope& s) -> task<> {
    {
      const auto dropped = s.spawn([&]() -> task<> { ended += co_await value_after(1_ms, 1); });
    }
    co_return;
  });
  EXPECT_EQ(ended, 1);
}

struct keeper {
  std::shared_ptr<int> held;
  task<> operator()(std::shared_ptr<int> argument) {
    co_await sleep(1_ms);
    EXPECT_EQ(*held + *argument, 10);
  }
};
WEIR_TEST("a child keeps its function and arguments as long as it runs") {
  auto owned = std::make_shared<int>(5);
  const std::weak_ptr<int> seen = owned;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(keeper{owned}, owned);
    owned.reset();
    co_return;
  });
  EXPECT_TRUE(seen.expired());
}

// A crash of one child.

WEIR_TEST("a child that fails ends its scope with a group of one") {
  EXPECT_THAT(co_await errors_of([]() -> task<> {
                co_await with_scope([](scope& s) -> task<> {
                  s.spawn(&fail_after, 1_ms, "the only one");
                  co_return;
                });
              }()),
              ElementsAre(HasSubstr("the only one")));
}

WEIR_TEST("a child that fails cancels the body, which waits for something else") {
  std::string log;
  const auto errors = co_await errors_of([](std::string* out) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(&fail_after, 1_ms, "child");
      const mark local(*out, 'b');
      co_await sleep_forever();
      ADD_FAILURE() << "the body went on";
    });
  }(&log));
  EXPECT_THAT(errors, ElementsAre(HasSubstr("child")));
  EXPECT_EQ(log, "b");
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("a child that fails cancels its siblings and the scope waits for them") {
  std::string log;
  const auto errors = co_await errors_of([](std::string* out) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(&fail_after, 1_ms, "first");
      s.spawn(
          [](std::string* to) -> task<> {
            const mark local(*to, 's');
            co_await shield(nap(3_ms));
            co_await sleep_forever();
          },
          out);
      co_return;
    });
    out->push_back('!');
  }(&log));
  EXPECT_THAT(errors, ElementsAre(HasSubstr("first")));
  EXPECT_EQ(log, "s");
  EXPECT_EQ(elapsed(), 3_ms);
}

WEIR_TEST("two children that fail arrive in one group, in the order of their failures (T12)") {
  const auto errors = co_await errors_of([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      s.spawn([]() -> task<> {
        co_await shield(nap(5_ms));
        raise(error(errc::busy, "second"));
      });
      s.spawn(&fail_after, 1_ms, "first");
      co_return;
    });
  }());
  EXPECT_THAT(errors, ElementsAre(HasSubstr("first"), HasSubstr("second")));
}

WEIR_TEST("body and child that fail arrive in one group") {
  const auto errors = co_await errors_of([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      s.spawn([]() -> task<> {
        co_await shield(nap(2_ms));
        raise(error(errc::busy, "child"));
      });
      co_await sleep(1_ms);
      raise(error(errc::broken, "body"));
    });
  }());
  EXPECT_THAT(errors, ElementsAre(HasSubstr("body"), HasSubstr("child")));
}

WEIR_TEST("a group is raised even for a single error of the body (T12)") {
  bool is_group = false;
  try {
    co_await with_scope([](scope&) -> task<> {
      co_await yield();
      raise(error(errc::broken));
    });
  } catch (const error_group& group) {
    is_group = true;
    EXPECT_EQ(group.size(), 1u);
  }
  EXPECT_TRUE(is_group);
}

WEIR_TEST("groups of inner scopes stay groups in the outer one") {
  const auto errors = co_await errors_of([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      for (const char* name : {"a", "b"}) {
        s.spawn(
            [](const char* text) -> task<> {
              co_await with_scope([&](scope& inner) -> task<> {
                inner.spawn(&fail_after, 0_ms, text);
                co_return;
              });
            },
            name);
      }
      co_return;
    });
  }());
  EXPECT_THAT(errors, ::testing::Contains(::testing::AnyOf(HasSubstr("a"), HasSubstr("b"))));
}

WEIR_TEST("a body that throws before its first wait ends like any other") {
  const auto errors = co_await errors_of([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      s.spawn(&sleep_forever);
      raise(error(errc::broken, "at once"));
      co_return;
    });
  }());
  EXPECT_THAT(errors, ElementsAre(HasSubstr("at once")));
}

WEIR_CORO_WRAPPER task<> body_without_task(scope&) { raise(error(errc::broken, "no task")); }
WEIR_CORO_WRAPPER task<> child_without_task() { raise(error(errc::broken, "no child")); }
WEIR_TEST("a plain function that throws instead of giving a task fails as its task would") {
  EXPECT_THAT(co_await errors_of(
                  [](auto body) -> task<> { co_await with_scope(body); }(&body_without_task)),
              ElementsAre(HasSubstr("no task")));
  EXPECT_THAT(co_await errors_of([]() -> task<> {
                co_await with_scope([](scope& s) -> task<> {
                  s.spawn(&child_without_task);
                  co_return;
                });
              }()),
              ElementsAre(HasSubstr("no child")));
}

WEIR_TEST("after a scope has failed its program goes on") {
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(co_await errors_of([]() -> task<> {
                  co_await with_scope([](scope& s) -> task<> {
                    s.spawn(&fail_after, 1_ms, "again");
                    co_return;
                  });
                }()),
                ElementsAre(HasSubstr("again")));
  }
  co_await sleep(1_ms);
}

// Scopes that report.

TEST(Scope, a_reporting_scope_tells_the_handler_and_goes_on) {
  const auto outcome = testing::run_outcome([]() -> task<> {
    co_await with_scope({.name = "peers", .failures = weir::report}, [](scope& s) -> task<> {
      s.spawn(&fail_after, 1_ms, "one of many");
      co_await sleep(2_ms);
      EXPECT_FALSE(s.is_cancelled());
      EXPECT_EQ(s.stats().failed, 1u);
      s.spawn(&fail_after, 1_ms, "another");
    });
  }());
  EXPECT_FALSE(outcome.is_failed) << outcome.failure;
  EXPECT_THAT(outcome.reports, ElementsAre(AllOf(HasSubstr("one of many"), HasSubstr("\"peers\"")),
                                           HasSubstr("another")));
}

TEST(Scope, the_body_of_a_reporting_scope_that_fails_ends_the_scope) {
  const auto outcome = testing::run_outcome([]() -> task<> {
    co_await with_scope({.failures = weir::report}, [](scope& s) -> task<> {
      s.spawn(&sleep_forever);
      co_await sleep(1_ms);
      raise(error(errc::broken, "the body"));
    });
  }());
  EXPECT_TRUE(outcome.is_failed);
  EXPECT_THAT(outcome.failure, HasSubstr("the body"));
}

// Bounds.

WEIR_TEST("spawning beyond tasks_max raises full and starts nothing") {
  bool has_started = false;
  co_await with_scope({.tasks_max = 2}, [&](scope& s) -> task<> {
    s.spawn(&nap, 1_ms);
    s.spawn(&nap, 1_ms);
    bool is_full = false;
    try {
      s.spawn([&]() -> task<> {
        has_started = true;
        co_return;
      });
    } catch (const exception& e) {
      is_full = e.reason() == errc::full;
    }
    EXPECT_TRUE(is_full);
    co_await s.join();
    EXPECT_EQ(s.stats().spawned, 2u);
    s.spawn(&nap, 1_ms);
  });
  EXPECT_FALSE(has_started);
}

WEIR_TEST("spawn_when_room waits for a place and never exceeds the bound") {
  std::uint32_t most = 0;
  int ended = 0;
  co_await with_scope({.tasks_max = 3}, [&](scope& s) -> task<> {
    for (int i = 0; i < 20; ++i) {
      co_await s.spawn_when_room(
          [&](int ms) -> task<> {
            most = std::max(most, s.stats().live);
            co_await sleep(duration::milliseconds(ms));
            ++ended;
          },
          i % 4);
    }
  });
  EXPECT_EQ(most, 3u);
  EXPECT_EQ(ended, 20);
}

// Under every schedule: the turn of a waiter is its arrival.
task<> places_by_arrival(std::uint32_t room) {
  std::vector<int> started;
  co_await with_scope([&](scope& arrivals) -> task<> {
    co_await with_scope({.tasks_max = room}, [&](scope& s) -> task<> {
      for (std::uint32_t i = 0; i < room; ++i) s.spawn(&nap, duration::milliseconds(100 + i));
      for (int i = 0; i < 6; ++i) {
        arrivals.spawn(
            [](scope* to, std::vector<int>* log, int number) -> task<> {
              co_await sleep(duration::milliseconds(number));
              co_await to->spawn_when_room(
                  [](std::vector<int>* to_log, int mine) -> task<> {
                    to_log->push_back(mine);
                    co_await sleep(1_ms);
                  },
                  log, number);
            },
            &s, &started, i);
      }
      co_await arrivals.join();
    });
  });
  EXPECT_THAT(started, ElementsAre(0, 1, 2, 3, 4, 5));
}
WEIR_TEST("places in a scope for one task are given in the order of arrival") {
  co_await places_by_arrival(1);
}

WEIR_TEST("a place that was given is not taken by one who came later") {
  std::vector<char> started;
  co_await with_scope([&](scope& others) -> task<> {
    co_await with_scope({.tasks_max = 1}, [&](scope& s) -> task<> {
      const auto enter = [](scope* to, std::vector<char>* log, char name) -> task<> {
        co_await to->spawn_when_room(
            [](std::vector<char>* to_log, char mine) -> task<> {
              to_log->push_back(mine);
              co_await sleep(1_ms);
            },
            log, name);
      };
      s.spawn(&nap, 10_ms);
      others.spawn(enter, &s, &started, 'a');
      co_await sleep(10_ms);  // the place is given now; `a` may not have run yet
      others.spawn(enter, &s, &started, 'b');
      co_await others.join();
    });
  });
  EXPECT_THAT(started, ElementsAre('a', 'b'));
}

WEIR_TEST("a cancelled wait for room leaves the queue and its place to the next") {
  std::string log;
  co_await with_scope([&](scope& others) -> task<> {
    co_await with_scope({.tasks_max = 1}, [&](scope& s) -> task<> {
      s.spawn(&nap, 10_ms);
      others.spawn([&]() -> task<> {
        co_await testing::expect_raises<errc::timed_out>(
            with_timeout(5_ms, s.spawn_when_room(&nap, 1_ms)));
        log += 't';
      });
      others.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        co_await s.spawn_when_room(&nap, 1_ms);
        log += 'r';
      });
      co_await others.join();
    });
  });
  EXPECT_EQ(log, "tr");
}

WEIR_TEST("join waits for the present children and the scope can be used again") {
  int ended = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int round = 1; round <= 3; ++round) {
      for (int i = 0; i < 4; ++i) {
        s.spawn([&]() -> task<> {
          co_await sleep(1_ms);
          ++ended;
        });
      }
      co_await s.join();
      EXPECT_EQ(ended, 4 * round);
      EXPECT_EQ(s.stats().live, 0u);
    }
  });
}

// Nurseries in other hands.

WEIR_TEST("a scope passed to a child takes siblings from it (T14)") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](scope* to, std::string* out) -> task<> {
          to->spawn(
              [](std::string* inner) -> task<> {
                co_await sleep(1_ms);
                *inner += 'g';
              },
              out);
          *out += 'c';
          co_return;
        },
        &s, &log);
    co_return;
  });
  EXPECT_EQ(log, "cg");
}

WEIR_TEST("a child is under the scopes of its nursery, not under those of the spawner (T13)") {
  bool has_ended_well = false;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await testing::expect_raises<errc::timed_out>(
        with_timeout(1_ms, [](scope* to, bool* out) -> task<> {
          to->spawn(
              [](bool* well) -> task<> {
                co_await sleep(10_ms);
                *well = true;
              },
              out);
          co_await sleep_forever();
        }(&outer, &has_ended_well)));
    EXPECT_EQ(elapsed(), 1_ms);
  });
  EXPECT_TRUE(has_ended_well);
}

WEIR_TEST("a task spawned into a cancelled scope runs to its first wait and ends there (T8)") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel();
    s.spawn(
        [](std::string* out) -> task<> {
          const mark local(*out, 'd');
          *out += 's';
          co_await sleep(0_ms);
          *out += '!';
        },
        &log);
    co_return;
  });
  EXPECT_EQ(log, "sd");
}

TEST(Scope, spawning_into_a_scope_that_has_just_ended_raises_closed_T14) {
  virtual_driver driver;
  loop on(driver);
  scope* inner = nullptr;
  bool has_child_ended = false;
  errc code = errc{};
  on.root().spawn([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      inner = &s;
      s.spawn(
          [](bool* ended) -> task<> {
            co_await yield();
            *ended = true;
          },
          &has_child_ended);
      co_return;
    });
  });
  on.root().spawn([&]() -> task<> {
    while (!has_child_ended) co_await yield();
    try {
      inner->spawn([]() -> task<> { co_return; });
    } catch (const exception& e) {
      code = e.reason().code();
    }
  });
  on.run();
  EXPECT_EQ(code, errc::closed);
}

TEST(Scope, lives_in_the_frame_that_awaits_it_so_scopes_end_inside_out_T17) {
  static_assert(!std::is_copy_constructible_v<scope> && !std::is_move_constructible_v<scope>);
  static_assert(!std::is_constructible_v<scope, loop&, scope*, scope_options>);
  using block = decltype(with_scope([](scope&) -> task<> { co_return; }));
  static_assert(!std::is_copy_constructible_v<block> && !std::is_move_constructible_v<block>);
  const auto outcome = testing::run_outcome([]() -> task<> {
    scope* const before = scope::current();
    co_await with_scope([&](scope& outer) -> task<> {
      EXPECT_EQ(outer.parent(), before);
      co_await with_scope([&](scope& inner) -> task<> {
        EXPECT_EQ(inner.parent(), &outer);
        co_return;
      });
      EXPECT_EQ(scope::current(), &outer);
    });
    EXPECT_EQ(scope::current(), before);
  }());
  EXPECT_FALSE(outcome.is_failed) << outcome.failure;
}

TEST(Scope, children_start_in_the_order_of_their_spawns_when_nothing_is_shuffled) {
  std::string log;
  const auto outcome = testing::run_outcome([](std::string* out) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (const char c : {'a', 'b', 'c', 'd'}) {
        s.spawn(
            [](std::string* to, char what) -> task<> {
              to->push_back(what);
              co_return;
            },
            out, c);
      }
      co_return;
    });
  }(&log));
  EXPECT_FALSE(outcome.is_failed);
  EXPECT_EQ(log, "abcd");
}

WEIR_TEST("a group keeps 64 errors and counts the others") {
  std::size_t kept = 0, dropped = 0;
  try {
    co_await with_scope([](scope& s) -> task<> {
      for (int i = 0; i < 100; ++i) {
        s.spawn([]() -> task<> {
          raise(error(errc::broken, "all at once"));
          co_return;
        });
      }
      co_return;
    });
  } catch (const error_group& group) {
    kept = group.size();
    dropped = group.dropped();
  }
  EXPECT_EQ(kept, error_group::size_max);
  EXPECT_EQ(dropped, 36u);
}

WEIR_TEST("current() is the innermost scope, and null outside of tasks") {
  co_await with_scope({.name = "outer"}, [](scope& outer) -> task<> {
    EXPECT_EQ(scope::current(), &outer);
    co_await with_scope({.name = "inner"}, [&](scope& inner) -> task<> {
      EXPECT_EQ(scope::current(), &inner);
      EXPECT_EQ(inner.parent(), &outer);
      EXPECT_STREQ(inner.name(), "inner");
      co_return;
    });
    EXPECT_EQ(scope::current(), &outer);
  });
}
TEST(Scope, current_is_null_outside_of_tasks) { EXPECT_EQ(scope::current(), nullptr); }

WEIR_TEST("ten thousand children come and go") {
  int ended = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 10'000; ++i) {
      s.spawn([&]() -> task<> {
        co_await yield();
        ++ended;
      });
    }
    co_return;
  });
  EXPECT_EQ(ended, 10'000);
}

}  // namespace
}  // namespace weir::scope_test

// Calls between loops, in the virtual world: the test's own loop is core 0.
#include <weir/core/core_group.hpp>

#include <weir/core.hpp>
#include <weir/core/core_loops_test.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::core_group_test {
namespace {

using namespace weir::literals;
using ::testing::HasSubstr;

constinit const local<std::string> trace_id{"trace_id"};

/// Core 0 is the loop of the test; the programs of the others run until they are told.
class virtual_cores {
 public:
  explicit virtual_cores(std::size_t others, core_group_options options = {})
      : group(others + 1, options), beside(others) {
    for (std::size_t i = 0; i < others; ++i) {
      beside[i].root().spawn(
          [](virtual_cores* all, std::size_t index) -> task<> {
            co_await all->group.run(index, all->serve());
          },
          this, i + 1);
    }
  }
  task<> run(task<> body) {
    co_await beside.run([](virtual_cores* all, task<> program) -> task<> {
      struct finally {
        bool& is_over;
        ~finally() { is_over = true; }
      } const at_the_end{all->is_over};
      co_await all->group.run(0, std::move(program));
    }(this, std::move(body)));
  }

  core_group group;
  core_loops beside;
  bool is_over = false;

 private:
  task<> serve() {
    while (!is_over) co_await sleep(1_us);
  }
};

struct counted {
  explicit counted(int* in) noexcept : inside(in) { ++*inside; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { --*inside; }
  int* inside;
};
task<> rest(duration length) { co_await sleep(length); }
task<> stay(int* inside) {
  const counted here(inside);
  co_await sleep(1_h);
}

WEIR_TEST("a call runs on the other core's loop, and its value and its error come home") {
  virtual_cores all(2);
  co_await all.run([](virtual_cores* all) -> task<> {
    loop* const home = loop::current();
    EXPECT_EQ(this_core(), 0u);
    for (int to = 0; to < 3; ++to) {
      const std::size_t there = co_await cores().call(to, [] { return this_core(); });
      EXPECT_EQ(static_cast<int>(there), to);
      EXPECT_EQ(loop::current(), home);
    }
    loop* const on = co_await cores().call(1, []() -> task<loop*> {
      co_await sleep(1_us);
      co_return loop::current();
    });
    EXPECT_EQ(on, &all->beside[0]);
    auto moved = co_await cores().call(
        2, [](std::unique_ptr<int> one) { return one; }, std::make_unique<int>(7));
    EXPECT_EQ(*moved, 7);
    co_await testing::expect_raises<errc::corrupt>(
        cores().call(1, [] { raise(error(errc::corrupt, "there")); }));
    const auto texts = co_await testing::errors_of(cores().call(2, []() -> task<int> {
      co_await yield();
      throw std::out_of_range("far away");
    }));
    EXPECT_THAT(texts, ::testing::ElementsAre("far away"));
  }(&all));
}

WEIR_TEST("calls of one loop to a core begin in their order, and go there and back at once") {
  virtual_cores all(2);
  struct orders {
    std::vector<int> made;
    std::map<std::uint64_t, int> begun;  // by the task there, since that loop shuffles steps
  } calls;
  co_await all.run([](orders* of) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 5; ++i) {
        s.spawn(
            [](int n, orders* to) -> task<> {
              to->made.push_back(n);  // in the step in which the call is made
              co_await cores().call(1,
                                    [&] { to->begun.emplace(loop::current()->running()->id, n); });
            },
            i, of);
      }
      co_return;
    });
    // To and fro: a call that calls home, where its caller waits for it.
    const auto sum = co_await cores().call(
        1,
        [](int a) -> task<int> {
          const int b = co_await cores().call(0, [a]() { return a + 1; });
          co_return co_await cores().call(2, [b]() { return 2 * b; });
        },
        20);
    EXPECT_EQ(sum, 42);
  }(&calls));
  EXPECT_EQ(calls.made.size(), 5u);
  std::vector<int> begun;
  for (const auto& [task, n] : calls.begun) begun.push_back(n);
  EXPECT_EQ(begun, calls.made);
}

WEIR_TEST("a program that has ended, or never was, is told to its callers as closed") {
  core_group group(3);
  core_loops beside(1);
  group.close(2);
  int ran = 0;
  beside[0].root().spawn([&]() -> task<> { co_await group.run(1, rest(5_us)); });
  co_await beside.run([](core_group* of, int* count) -> task<> {
    co_await testing::expect_raises<errc::closed>(of->call(2, [] {}));
    while (true) {
      const auto got = co_await as_result(of->call(1, [&] { ++*count; }));
      if (!got) {
        EXPECT_EQ(got.error().code(), errc::closed);
        break;
      }
      co_await sleep(1_us);
    }
  }(&group, &ran));
  EXPECT_EQ(group.stats(1).ended - static_cast<std::uint64_t>(ran) <= 1, true);
  EXPECT_GT(ran, 0);
}

WEIR_TEST("a program that is cancelled cuts off the calls that run there, and hears them end") {
  core_group group(2);
  core_loops beside(1);
  int inside = 0;
  beside[0].root().spawn([&]() -> task<> { co_await group.run(1, rest(1_h)); });
  co_await beside.run([](core_group* of, loop* other, int* in) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        const auto got = co_await as_result(of->call(1, stay, in));
        EXPECT_FALSE(got);
        EXPECT_EQ(got.error().code(), errc::broken);
        EXPECT_EQ(*in, 0) << "it is told when all of it has ended";
      });
      while (*in == 0) co_await sleep(1_us);
      other->post([other] { other->root().cancel("the end"); });
      co_await s.join();
      co_await testing::expect_raises<errc::closed>(of->call(1, [] {}));
    });
  }(&group, &beside[0], &inside));
}

WEIR_TEST("a program that ends in order awaits the calls that it has begun") {
  core_group group(2);
  core_loops beside(1);
  bool has_begun = false;
  beside[0].root().spawn([&]() -> task<> {
    co_await group.run(1, [](bool* begun) -> task<> {
      while (!*begun) co_await sleep(1_us);
    }(&has_begun));
  });
  co_await beside.run([](core_group* of, bool* begun) -> task<> {
    const int got = co_await of->call(
        1,
        [](bool* b) -> task<int> {
          *b = true;
          co_await sleep(20_us);
          co_return 3;
        },
        begun);
    EXPECT_EQ(got, 3);
  }(&group, &has_begun));
}

TEST(core_group, a_call_that_is_cancelled_at_any_point_leaves_nothing_there) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    virtual_cores all(1);
    int inside = 0;
    int begun = 0;
    int value = 0;
    co_await all.run([](testing::victim* v, int* in, int* ran, int* into) -> task<> {
      co_await v->run([](int* in, int* ran, int* into) -> task<> {
        *into = co_await cores().call(
            1,
            [](int* i, int* b) -> task<int> {
              const counted here(i);
              ++*b;
              co_await sleep(1_us);
              co_await with_scope([&](scope& s) -> task<> {
                s.spawn(
                    [](int* i) -> task<> {
                      const counted child(i);
                      co_await sleep(1_us);
                    },
                    i);
                co_return;
              });
              co_return 8;
            },
            in, ran);
      }(in, ran, into));
      EXPECT_EQ(*in, 0) << "it was awaited";
      EXPECT_EQ(cores().stats(1).waiting + cores().stats(1).begun, 0u);
      EXPECT_TRUE(*into == 0 || *ran == 1) << *into;
      if (!v->was_cancelled()) EXPECT_EQ(*into, 8);
      EXPECT_EQ(co_await cores().call(1, [] { return 5; }), 5) << "the core serves on";
    }(&v, &inside, &begun, &value));
  });
}

WEIR_TEST("a call that was taken back before it began did not happen") {
  core_group group(2);  // core 1 has not begun
  core_loops beside(1);
  bool is_over = false;
  beside[0].root().spawn([&]() -> task<> {
    co_await sleep(10_us);
    co_await group.run(1, [](bool* over) -> task<> {
      while (!*over) co_await sleep(1_us);
    }(&is_over));
  });
  int ran = 0;
  co_await beside.run([](core_group* of, int* count, bool* over) -> task<> {
    co_await testing::expect_raises<errc::timed_out>(
        with_timeout(5_us, of->call(1, [&] { ++*count; })));
    EXPECT_EQ(of->stats(1).waiting, 0u);
    EXPECT_EQ(co_await of->call(1, [] { return 1; }), 1) << "one that waits for it to begin does";
    EXPECT_EQ(*count, 0);
    *over = true;
  }(&group, &ran, &is_over));
}

WEIR_TEST("calls that wait for a core are bounded, too, and hear that it never begins") {
  core_group group(1, {.calls_max = 2});
  int closed = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) {
      s.spawn([&]() -> task<> {
        co_await testing::expect_raises<errc::closed>(group.call(0, [] {}));
        ++closed;
      });
    }
    while (group.stats(0).waiting != 2) co_await yield();
    co_await testing::expect_raises<errc::full>(group.call(0, [] {}));
    group.close(0);
    co_await s.join();
  });
  EXPECT_EQ(closed, 2);
}

WEIR_TEST("more calls than calls_max to one core are refused as full, until some have ended") {
  virtual_cores all(2, {.calls_max = 3});
  int inside = 0;
  co_await all.run([](int* in) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) s.spawn([&]() -> task<> { co_await cores().call(1, stay, in); });
      while (cores().stats(1).begun != 3) co_await sleep(1_us);
      co_await testing::expect_raises<errc::full>(cores().call(1, [] {}));
      EXPECT_EQ(cores().stats(1).refused, 1u);
      co_await cores().call(2, [] {});
      s.cancel("enough");
    });
    EXPECT_EQ(*in, 0);
    co_await cores().call(1, [] {});
  }(&inside));
}

WEIR_TEST(
    "locals and the deadline of the caller hold in the call, its shields and its core don't") {
  virtual_cores all(1);
  co_await all.run([]() -> task<> {
    const auto seen = co_await with_local(trace_id, "a", []() -> task<std::string> {
      co_return co_await cores().call(1,
                                      [] { return *trace_id.get() + std::to_string(this_core()); });
    }());
    EXPECT_EQ(seen, "a1");
    EXPECT_FALSE(co_await cores().call(1, [] { return trace_id.get() != nullptr; }));
    const time_point until = loop::current()->now() + 20_us;
    EXPECT_EQ(co_await with_deadline(
                  until, cores().call(1, [] { return scope::current()->effective_deadline(); })),
              until);
    int inside = 0;
    const scope_end end = co_await with_scope(
        {.timeout = 20_us}, [&](scope&) -> task<> { co_await cores().call(1, stay, &inside); });
    EXPECT_EQ(end.reason.kind, cancel_kind::deadline) << "it is cut short, and does not fail";
    EXPECT_TRUE(end.was_cut_short());
    EXPECT_EQ(inside, 0);
  }());
}

WEIR_TEST("call_all is on each core once, and its errors arrive in one group") {
  virtual_cores all(2);
  co_await all.run([]() -> task<> {
    std::vector<int> seen(3);
    co_await cores().call_all([](std::vector<int>* at) { ++(*at)[this_core()]; }, &seen);
    EXPECT_THAT(seen, ::testing::ElementsAre(1, 1, 1));
    const auto texts = co_await testing::errors_of(cores().call_all([] {
      if (this_core() != 1) throw std::runtime_error("core " + std::to_string(this_core()));
    }));
    EXPECT_THAT(texts, ::testing::Contains(HasSubstr("core ")));
    const std::string in_order =
        co_await cores().map_reduce([] { return std::to_string(this_core()); }, std::string("-"),
                                    [](std::string a, std::string b) { return std::move(a) + b; });
    EXPECT_EQ(in_order, "-012");
    EXPECT_EQ(cores().core_of(std::string("ada")), cores().core_of(std::string("ada")));
    EXPECT_LT(cores().core_of(7), 3u);
  }());
}

WEIR_TEST("a call is seen at both ends: what is waited for, and where it came from") {
  virtual_cores all(1);
  co_await all.run([](virtual_cores* all) -> task<> {
    int inside = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await cores().call(1, stay, &inside); });
      while (inside == 0) co_await sleep(1_us);
      detail::string_sink here;
      detail::print_task_tree(*loop::current(), here);
      EXPECT_THAT(here.text, HasSubstr("call to a core 1, at work"));
      detail::string_sink there;
      detail::print_task_tree(all->beside[0], there);
      EXPECT_THAT(there.text, HasSubstr("call from core 0"));
      EXPECT_THAT(there.text, HasSubstr("core_group_test.cpp"));
      s.cancel("seen");
    });
  }(&all));
}

WEIR_TEST("calls to all cores are told as spawned where they are awaited, at both ends") {
  virtual_cores all(1);
  co_await all.run([](virtual_cores* all) -> task<> {
    int inside = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await cores().call_all(stay, &inside); });
      while (inside != 2) co_await sleep(1_us);
      for (loop* const on : {loop::current(), &all->beside[0]}) {
        detail::string_sink tree;
        detail::print_task_tree(*on, tree);
        EXPECT_THAT(tree.text, HasSubstr("stay"));
        EXPECT_THAT(tree.text,
                    ::testing::Not(::testing::ContainsRegex("spawned at [^\n]*core_group\\.hpp")));
      }
      s.cancel("seen");
    });
  }(&all));
}

task<int> stay_on_core_1() {
  if (this_core() == 1) co_await sleep(1_h);
  co_return 1'000;
}

WEIR_TEST("a time-out around calls to all cores is told, and no part that is missing is added") {
  virtual_cores all(1);
  co_await all.run([]() -> task<> {
    auto sum = co_await as_result(
        with_timeout(1_ms, cores().map_reduce(stay_on_core_1, 0, std::plus<>())));
    EXPECT_EQ(sum.error().code(), errc::timed_out);
    auto done = co_await as_result(with_timeout(
        1_ms, cores().call_all([]() -> task<> { std::ignore = co_await stay_on_core_1(); })));
    EXPECT_EQ(done.error().code(), errc::timed_out);
  }());
}

TEST(core_group, calls_to_all_cores_that_are_cancelled_at_any_point_leave_nothing_there) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    virtual_cores all(1);
    int inside = 0;
    int sum = 0;
    int told = 0;
    co_await all.run([](testing::victim* v, int* in, int* into, int* done) -> task<> {
      co_await v->run([](int* in, int* into, int* done) -> task<> {
        const auto nap = [in]() -> task<int> {
          const counted here(in);
          co_await sleep(this_core() == 0 ? 1_us : 2_us);
          co_return 4;
        };
        *into = co_await cores().map_reduce(nap, 1, std::plus<>());
        co_await cores().call_all([nap]() -> task<> { std::ignore = co_await nap(); });
        *done = 1;
      }(in, into, done));
      EXPECT_EQ(*in, 0) << "all were awaited";
      for (std::size_t i = 0; i < 2; ++i)
        EXPECT_EQ(cores().stats(i).waiting + cores().stats(i).begun, 0u);
      EXPECT_TRUE(*into == 0 || *into == 9) << *into;
      if (!v->was_cancelled()) EXPECT_EQ(*done, 1);
      EXPECT_EQ(co_await cores().call(1, [] { return 5; }), 5) << "the core serves on";
    }(&v, &inside, &sum, &told));
  });
}

struct core_misuse {
  const char* said;
  task<> (*body)();
};
constexpr core_misuse core_misuses[] = {
    {"a core_group has one core at least",
     []() -> task<> {
       const core_group group(0);
       co_return;
     }},
    {"a core_group lets one call wait at least: calls_max",
     []() -> task<> {
       const core_group group(1, {.calls_max = 0});
       co_return;
     }},
    {"cores\\(\\) and this_core\\(\\) are for tasks inside of core_group::run",
     []() -> task<> {
       EXPECT_FALSE(is_on_core());
       co_await cores().call(0, [] {});
     }},
    {"cores\\(\\) and this_core\\(\\) are for tasks inside of core_group::run",
     []() -> task<> {
       EXPECT_EQ(this_core(), 0u);
       co_return;
     }},
    {"there is no such core",
     []() -> task<> {
       core_group group(2);
       co_await group.call(2, [] {});
     }},
    {"there is no such core",
     []() -> task<> {
       core_group group(2);
       co_await group.run(2, rest(1_us));
     }},
    {"a core has one program",
     []() -> task<> {
       core_group group(1);
       co_await group.run(0, rest(1_us));
       co_await group.run(0, rest(1_us));
     }},
    {"a core_group outlives the programs of its cores",
     []() -> task<> {
       auto group = std::make_unique<core_group>(1u);
       co_await with_scope([&](scope& s) -> task<> {
         s.spawn([&]() -> task<> { co_await group->run(0, rest(1_h)); });
         co_await sleep(1_us);
         group.reset();
       });
     }},
    {"a core_group outlives the calls to its cores",
     []() -> task<> {
       auto group = std::make_unique<core_group>(1u);
       co_await with_scope([&](scope& s) -> task<> {
         s.spawn([&]() -> task<> { co_await group->call(0, [] {}); });
         co_await sleep(1_us);
         group.reset();
       });
     }},
};

TEST(CoreGroupDeathTest, misuse_stops_with_a_named_assertion) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const core_misuse& one : core_misuses)
    EXPECT_DEATH(testing::run_virtual(one.body()), one.said);
}

}  // namespace
}  // namespace weir::core_group_test

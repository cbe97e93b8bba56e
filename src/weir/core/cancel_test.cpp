// Cancellation as a level that scopes own: what each wait and scope does with it.
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace weir::cancel_test {
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
task<> note(std::string* log, char c) {
  log->push_back(c);
  co_return;
}

// Checkpoints.

template <class Wait>
task<> ends_at(Wait (*wait)(), char name, std::string* log) {
  const mark reached(*log, name);
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel();
    co_await wait();
    log->push_back('!');
  });
}

WEIR_TEST("every kind of wait ends in a cancelled scope, even when it could finish at once (T1)") {
  std::string log;
  co_await ends_at(+[] { return sleep(0_ms); }, 's', &log);
  co_await ends_at(+[] { return yield(); }, 'y', &log);
  co_await ends_at(+[] { return checkpoint(); }, 'c', &log);
  co_await ends_at(+[] { return scope::current()->join(); }, 'j', &log);
  EXPECT_EQ(log, "sycj");
}

WEIR_TEST("code without a wait is never interrupted (T1)") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel();
    log += 'a';
    co_await note(&log, 'b');
    log += 'c';
    co_return;
  });
  EXPECT_EQ(log, "abc");
}

WEIR_TEST("cancelling a waiting task ends it at once and its timer is gone") {
  co_await with_scope([](scope& s) -> task<> {
    s.spawn(&nap, 1_h);
    co_await yield();
    s.cancel();
    co_return;
  });
  EXPECT_EQ(elapsed(), 0_ms);
  EXPECT_EQ(loop::current()->stats().timers_live, 0u);
}

WEIR_TEST("a result that was there first is delivered, and the next wait ends the task (T9)") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      // Both timers are due in the same instant, so both tasks are ready when the first one runs.
      co_await sleep(1_ms);
      const bool is_late = s.is_cancelled();
      log += 'r';
      co_await checkpoint();
      EXPECT_FALSE(is_late);
    });
    s.spawn([&]() -> task<> {
      co_await sleep(1_ms);
      s.cancel();
    });
    co_return;
  });
  EXPECT_EQ(log, "r");
}

// Frames.

task<> level(std::string* log, char name, char last) {
  const mark local(*log, name);
  if (name == last) {
    co_await sleep_forever();
  } else {
    co_await level(log, static_cast<char>(name + 1), last);
  }
  log->push_back('!');
}

WEIR_TEST("locals are destroyed innermost first, before the canceller's scope ends") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(&level, &log, 'a', 'e');
    co_await yield();
    co_await yield();
    s.cancel();
    co_return;
  });
  EXPECT_EQ(log, "edcba");
}

WEIR_TEST("destructors of ending frames run one after the other without other tasks between") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    for (const char first : {'a', 'k'}) s.spawn(&level, &log, first, static_cast<char>(first + 2));
    co_await sleep(1_ms);
    s.cancel();
    co_return;
  });
  EXPECT_TRUE(log == "cbamlk" || log == "mlkcba") << log;
}

WEIR_TEST("catch (...) does not see a cancellation") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      try {
        co_await sleep_forever();
      } catch (...) {
        log += '!';
      }
      log += '!';
    });
    co_await sleep(1_ms);
    s.cancel();
    co_return;
  });
  EXPECT_EQ(log, "");
}

WEIR_TEST("a destructor may use caught exceptions and spawn while its frame is cancelled") {
  std::string log;
  struct busy_end {
    std::string* out;
    scope* to;
    ~busy_end() {
      try {
        raise(error(errc::busy));
      } catch (const exception&) {
        out->push_back('x');
      }
      to->spawn(&note, out, 's');
    }
  };
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](scope* to, std::string* out) -> task<> {
            const busy_end end{.out = out, .to = to};
            co_await sleep_forever();
          },
          &outer, &log);
      co_await sleep(1_ms);
      s.cancel();
      co_return;
    });
    co_return;
  });
  EXPECT_EQ(log, "xs");
}

// The level.

WEIR_TEST("a cancellation that was turned into a value comes back at the next wait (T3)") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int i = 0; i < 3; ++i) {
        const auto outcome = co_await as_result(nap(1_h));
        EXPECT_FALSE(outcome);
        EXPECT_TRUE(outcome.error() == errc::cancelled);
        log += 'v';
      }
      co_await sleep(0_ms);
      log += '!';
    });
    co_await sleep(1_ms);
    s.cancel();
    co_return;
  });
  EXPECT_EQ(log, "vvv");
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("a scope entered after the cancellation is cancelled at its first wait (T8)") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel();
    co_await with_scope([&](scope& inner) -> task<> {
      log += 'i';
      EXPECT_TRUE(inner.is_cancelled());
      EXPECT_FALSE(inner.is_cancel_called());
      co_await checkpoint();
      log += '!';
    });
    log += '!';
  });
  EXPECT_EQ(log, "i");
}

WEIR_TEST("cancelling an inner scope leaves the outer one alone") {
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    outer.spawn([&]() -> task<> {
      co_await sleep(5_ms);
      log += 's';
    });
    co_await with_scope([&](scope& inner) -> task<> {
      inner.spawn(&nap, 1_h);
      inner.cancel();
      co_await sleep_forever();
    });
    EXPECT_FALSE(outer.is_cancelled());
    co_await sleep(1_ms);
    log += 'o';
  });
  EXPECT_EQ(log, "os");
}

WEIR_TEST("cancelling an outer scope passes through inner ones and ends at its own (T4)") {
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope([&](scope& middle) -> task<> {
      middle.spawn([&]() -> task<> {
        co_await with_scope([&](scope&) -> task<> {
          co_await sleep(1_ms);
          outer.cancel("enough");
          co_await sleep_forever();
        });
        log += '!';
      });
      co_await sleep_forever();
    });
    log += '!';
  });
  log += 'e';
  EXPECT_EQ(log, "e");
}

WEIR_TEST("cancelling twice keeps the first reason (T2, T22)") {
  co_await with_scope([](scope& s) -> task<> {
    EXPECT_EQ(s.reason().kind, cancel_kind::none);
    s.cancel("first");
    s.cancel("second");
    EXPECT_STREQ(s.reason().text, "first");
    EXPECT_EQ(s.reason().kind, cancel_kind::user);
    EXPECT_NE(s.reason().task, 0u);
    EXPECT_THAT(s.reason().place.file_name(), HasSubstr("cancel_test.cpp"));
    co_return;
  });
}

WEIR_TEST("the reason of an inner scope is that of the scope that was cancelled") {
  co_await with_scope([](scope& outer) -> task<> {
    co_await with_scope([&](scope& inner) -> task<> {
      outer.cancel("from above");
      EXPECT_STREQ(inner.reason().text, "from above");
      co_return;
    });
  });
}

WEIR_TEST("a failed sibling is named as the reason") {
  cancel_reason seen{.kind = cancel_kind::none};
  std::uint64_t failed = 0;
  const auto errors = co_await errors_of([](cancel_reason* out, std::uint64_t* id) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      *id = s.spawn([]() -> task<> {
               co_await sleep(1_ms);
               raise(error(errc::broken));
             }).id();
      const auto ended = co_await as_result(sleep_forever());
      EXPECT_FALSE(ended);
      *out = s.reason();
    });
  }(&seen, &failed));
  EXPECT_EQ(errors.size(), 1u);
  EXPECT_EQ(seen.kind, cancel_kind::sibling);
  EXPECT_EQ(seen.task, failed);
}

WEIR_TEST("a cancelled body with a value raises cancelled with the reason's text (T2)") {
  EXPECT_THAT(co_await errors_of([]() -> task<> {
                co_await with_scope([](scope& s) -> task<int> {
                  s.cancel("no more");
                  co_await checkpoint();
                  co_return 1;
                });
              }()),
              ElementsAre(HasSubstr("no more")));
}

WEIR_TEST("the error of a cancelled scope names the reason and the task behind it (T22)") {
  std::uint64_t behind = 0;
  const auto errors = co_await errors_of([](std::uint64_t* task_id) -> task<> {
    co_await with_scope({.name = "uploads"}, [&](scope& s) -> task<int> {
      *task_id = s.spawn(
                      [](scope* around) -> task<> {
                        co_await yield();
                        around->cancel("first reason");
                        around->cancel("second reason");
                      },
                      &s)
                     .id();
      co_await sleep(1_h);
      co_return 1;
    });
  }(&behind));
  EXPECT_THAT(errors, ElementsAre(HasSubstr("the scope was cancelled by task " +
                                            std::to_string(behind) + ": first reason")));
}

WEIR_TEST("a scope without a value tells whether its own cancellation cut it short, and why (T2)") {
  const scope_end whole = co_await with_scope([](scope&) -> task<> { co_await yield(); });
  EXPECT_FALSE(whole.is_cancel_called());
  EXPECT_FALSE(whole.was_cut_short());
  const scope_end in_time = co_await with_scope([](scope& s) -> task<> {
    s.cancel("after the last wait");
    co_return;
  });
  EXPECT_TRUE(in_time.is_cancel_called());
  EXPECT_FALSE(in_time.was_cut_short());
  const scope_end late =
      co_await with_scope({.timeout = 1_ms}, [](scope&) -> task<> { co_await sleep(1_h); });
  EXPECT_TRUE(late.was_cut_short());
  EXPECT_EQ(late.reason.kind, cancel_kind::deadline);
  bool has_inner_told = false;
  const scope_end outer = co_await with_scope([&](scope& s) -> task<> {
    s.cancel("outside");
    co_await with_scope([](scope&) -> task<> { co_await checkpoint(); });
    has_inner_told = true;
  });
  EXPECT_FALSE(has_inner_told) << "an outer cancellation passes through";
  EXPECT_TRUE(outer.was_cut_short());
  EXPECT_EQ(outer.reason.kind, cancel_kind::user);
  EXPECT_STREQ(outer.reason.text, "outside");
}

WEIR_TEST("the deadline of a scope that cut its tasks short is told when its body had ended") {
  const auto run_for = [](duration length) -> task<scope_end> {
    co_return co_await with_scope({.timeout = 10_ms}, [&](scope& s) -> task<> {
      s.spawn([](duration of) -> task<> { co_await sleep(of); }, length);
      co_return;
    });
  };
  const scope_end done = co_await run_for(5_ms);
  EXPECT_FALSE(done.is_cancel_called());
  const scope_end cut = co_await run_for(15_ms);
  EXPECT_TRUE(cut.was_cut_short());
  EXPECT_EQ(cut.reason.kind, cancel_kind::deadline);
}

WEIR_TEST(
    "a scope whose tasks an outer cancellation cut passes it on though its body had ended (T4)") {
  const auto leave_one_behind = [](int* reached) -> task<int> {
    const int value = co_await with_scope([](scope& s) -> task<int> {
      s.spawn([]() -> task<> { co_await sleep(1_h); });
      co_return 3;
    });
    ++*reached;
    co_return value;
  };
  int reached = 0;
  const scope_end from_outside = co_await with_scope([&](scope& outer) -> task<> {
    outer.spawn(
        [](scope* to_cancel) -> task<> {
          co_await sleep(1_ms);
          to_cancel->cancel("outside");
        },
        &outer);
    co_await leave_one_behind(&reached);
  });
  EXPECT_TRUE(from_outside.was_cut_short());
  const result<int> late = co_await as_result(with_timeout(1_ms, leave_one_behind(&reached)));
  EXPECT_EQ(late.error().code(), errc::timed_out);
  EXPECT_EQ(reached, 0);
}

WEIR_TEST("a body with a value whose tasks its scope's deadline cut raises timed_out (T2)") {
  const auto run_for = [](duration length) -> task<int> {
    co_return co_await with_scope({.timeout = 10_ms}, [&](scope& s) -> task<int> {
      s.spawn(nap, length);
      co_return 3;
    });
  };
  EXPECT_EQ(co_await run_for(5_ms), 3);
  const result<int> late = co_await as_result(run_for(15_ms));
  EXPECT_EQ(late.error().code(), errc::timed_out);
}

WEIR_TEST("a body with a value that cancels the tasks it needs no longer gives its value") {
  EXPECT_EQ(co_await with_scope([](scope& s) -> task<int> {
              s.spawn(sleep_forever);
              s.cancel("enough");
              co_return 3;
            }),
            3);
}

WEIR_TEST("a body that returns although its scope was cancelled gives its value") {
  EXPECT_EQ(co_await with_scope([](scope& s) -> task<int> {
              s.cancel();
              co_return 3;
            }),
            3);
}

WEIR_TEST("errors that happen while cancelling are kept") {
  const auto errors = co_await errors_of([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      for (const char* text : {"first cleanup", "second cleanup"}) {
        s.spawn(
            [](const char* why) -> task<> {
              co_await as_result(sleep_forever());
              raise(error(errc::io, why));
            },
            text);
      }
      co_await sleep(1_ms);
      s.cancel();
      co_return;
    });
  }());
  EXPECT_THAT(errors, ::testing::UnorderedElementsAre(HasSubstr("first cleanup"),
                                                      HasSubstr("second cleanup")));
}

WEIR_TEST("an error of an inner scope passes an outer cancellation") {
  const auto errors = co_await errors_of([]() -> task<> {
    co_await with_scope([](scope& outer) -> task<> {
      co_await with_scope([&](scope& inner) -> task<> {
        inner.spawn([]() -> task<> {
          co_await as_result(sleep_forever());
          raise(error(errc::io, "while leaving"));
        });
        co_await sleep(1_ms);
        outer.cancel();
        co_await sleep_forever();
      });
    });
  }());
  EXPECT_THAT(errors, ElementsAre(HasSubstr("while leaving")));
}

WEIR_TEST("leaving a scope waits for children that take their time, whatever is cancelled (T16)") {
  bool has_ended = false;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await shield(nap(10_ms));
        has_ended = true;
      });
      co_await sleep(1_ms);
      s.cancel();
      outer.cancel();
      outer.cancel();
    });
    co_await checkpoint();
    ADD_FAILURE() << "the outer scope was cancelled";
  });
  EXPECT_TRUE(has_ended);
  EXPECT_EQ(elapsed(), 10_ms);
}

// Depth.

task<> nested_scopes(int depth, int* reached) {
  *reached = *reached + 1;
  if (depth == 0) {
    co_await sleep_forever();
  } else {
    co_await with_scope([&](scope&) -> task<> { co_await nested_scopes(depth - 1, reached); });
  }
}

WEIR_TEST("a thousand nested scopes are cancelled from outside") {
  int reached = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(&nested_scopes, 1000, &reached);
    co_await sleep(1_ms);
    s.cancel();
    co_return;
  });
  EXPECT_EQ(reached, 1001);
}

task<> nested_frames(int depth, int* destroyed) {
  struct counted {
    int* count;
    ~counted() { ++*count; }
  } const one{destroyed};
  if (depth == 0) {
    co_await sleep_forever();
  } else {
    co_await nested_frames(depth - 1, destroyed);
  }
}

TEST(Cancel, ten_thousand_awaiting_frames_end_innermost_first) {
  int destroyed = 0;
  testing::run_virtual([](int* count) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(&nested_frames, 10'000, count);
      co_await sleep(1_ms);
      s.cancel();
      co_return;
    });
  }(&destroyed));
  EXPECT_EQ(destroyed, 10'001);
}

TEST(Cancel, cancelling_the_root_ends_the_program_in_order) {
  std::string log;
  virtual_driver driver;
  loop on(driver);
  on.root().spawn(&level, &log, 'a', 'c');
  on.root().spawn([&]() -> task<> {
    co_await sleep(1_ms);
    on.root().cancel({.kind = cancel_kind::shutdown, .text = "SIGTERM"});
    co_await checkpoint();
    log += '!';
  });
  on.run();
  EXPECT_EQ(log, "cba");
  EXPECT_EQ(on.stats().tasks_live, 0u);
}

}  // namespace
}  // namespace weir::cancel_test

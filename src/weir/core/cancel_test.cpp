// Cancellation as a level that scopes own: what each wait, scope, shield and deadline does with it.
#include <weir/core/as_result.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;
using testing::elapsed;
using ::testing::ElementsAre;
using testing::errors_of;
using testing::expect_raises;
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

WEIR_TEST("every kind of wait ends in a cancelled scope, even when it could finish at once") {
  std::string log;
  co_await with_scope([&](scope& all) -> task<> {
    const auto after_cancel = [&](auto wait, char name) {
      return [wait, name, out = &log]() -> task<> {
        const mark reached(*out, name);
        co_await with_scope([&](scope& s) -> task<> {
          s.cancel();
          co_await wait();
          *out += '!';
        });
      };
    };
    all.spawn(after_cancel([] { return sleep(0_ms); }, 's'));
    co_await all.join();
    all.spawn(after_cancel([] { return yield(); }, 'y'));
    co_await all.join();
    all.spawn(after_cancel([] { return checkpoint(); }, 'c'));
    co_await all.join();
    all.spawn(after_cancel([] { return scope::current()->join(); }, 'j'));
    co_await all.join();
  });
  EXPECT_EQ(log, "sycj");
}

WEIR_TEST("code without a wait is never interrupted") {
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

WEIR_TEST("a result that was there first is delivered, and the next wait ends the task") {
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

WEIR_TEST("a cancellation that was turned into a value comes back at the next wait") {
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

WEIR_TEST("a scope entered after the cancellation is cancelled at its first wait") {
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

WEIR_TEST("cancelling an outer scope passes through inner ones and ends at its own") {
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

WEIR_TEST("cancelling twice keeps the first reason") {
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

WEIR_TEST("a cancelled body with a value raises cancelled with the reason's text") {
  EXPECT_THAT(co_await errors_of([]() -> task<> {
                co_await with_scope([](scope& s) -> task<int> {
                  s.cancel("no more");
                  co_await checkpoint();
                  co_return 1;
                });
              }()),
              ElementsAre(HasSubstr("no more")));
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

WEIR_TEST("leaving a scope waits for children that take their time, whatever is cancelled") {
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

// Shields.

WEIR_TEST("a shield keeps outer cancellations out until its end") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await shield(nap(5_ms));
      log += 's';
      co_await checkpoint();
      log += '!';
    });
    co_await sleep(1_ms);
    s.cancel();
    co_return;
  });
  EXPECT_EQ(log, "s");
  EXPECT_EQ(elapsed(), 5_ms);
}

WEIR_TEST("a shield entered in a cancelled scope is not cancelled") {
  bool is_done = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel();
    co_await shield(nap(1_ms));
    is_done = true;
  });
  EXPECT_TRUE(is_done);
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("a shield has a deadline of its own") {
  co_await expect_raises<errc::timed_out>(shield(sleep_forever(), 5_ms));
  EXPECT_EQ(elapsed(), 5_ms);
}

WEIR_TEST("cancelling the shielded scope itself ends it") {
  co_await with_scope({.shield = true}, [](scope& s) -> task<> {
    s.cancel();
    co_await sleep_forever();
  });
  EXPECT_EQ(elapsed(), 0_ms);
}

WEIR_TEST("children in a shielded scope are shielded too") {
  int ended = 0;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope({.shield = true}, [&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) {
        s.spawn([&]() -> task<> {
          co_await sleep(2_ms);
          ++ended;
        });
      }
      outer.cancel();
      co_return;
    });
  });
  EXPECT_EQ(ended, 3);
}

WEIR_TEST("a scope inside a shield is reached by cancelling the shield, not from outside") {
  co_await with_scope([](scope& outer) -> task<> {
    co_await with_scope({.shield = true}, [&](scope& kept) -> task<> {
      co_await with_scope([&](scope& inner) -> task<> {
        outer.cancel();
        EXPECT_FALSE(inner.is_cancelled());
        kept.cancel();
        EXPECT_TRUE(inner.is_cancelled());
        co_return;
      });
    });
  });
}

WEIR_TEST("lowering a shield while a cancellation is pending delivers it") {
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope({.shield = true}, [&](scope& s) -> task<> {
      outer.spawn([&]() -> task<> {
        co_await shield(nap(3_ms));
        log += 'u';
        s.set_shield(false);
      });
      co_await sleep(1_ms);
      outer.cancel();
      co_await sleep_forever();
    });
    log += '!';
  });
  EXPECT_EQ(log, "u");
  EXPECT_EQ(elapsed(), 3_ms);
}

WEIR_TEST("an error inside a shield is thrown as it is") {
  co_await expect_raises<errc::not_found>(shield([]() -> task<> {
    co_await yield();
    raise(error(errc::not_found));
  }()));
}

// Deadlines.

WEIR_TEST("a time-out raises timed_out once the task has ended") {
  std::string log;
  co_await expect_raises<errc::timed_out>(with_timeout(5_ms, [](std::string* out) -> task<> {
    const mark local(*out, 'd');
    co_await shield(nap(8_ms));
    co_await sleep_forever();
  }(&log)));
  EXPECT_EQ(log, "d");
  EXPECT_EQ(elapsed(), 8_ms);
}

WEIR_TEST("a task that is in time gives its value and leaves no timer") {
  EXPECT_EQ(co_await with_timeout(5_ms,
                                  []() -> task<int> {
                                    co_await sleep(1_ms);
                                    co_return 4;
                                  }()),
            4);
  EXPECT_EQ(loop::current()->stats().timers_live, 0u);
}

WEIR_TEST("a single wait can be given a time-out") {
  co_await expect_raises<errc::timed_out>(with_timeout(1_ms, sleep(1_h)));
  co_await with_timeout(1_h, sleep(1_ms));
  EXPECT_EQ(elapsed(), 2_ms);
}

WEIR_TEST("a time-out of zero or less lets the task run to its first wait") {
  for (const duration length : {0_ms, -5_ms}) {
    std::string log;
    co_await expect_raises<errc::timed_out>(with_timeout(length, [](std::string* out) -> task<> {
      out->push_back('s');
      co_await checkpoint();
      out->push_back('!');
    }(&log)));
    EXPECT_EQ(log, "s");
  }
}

WEIR_TEST("the earliest deadline around a wait ends it, and belongs to its own scope") {
  co_await with_timeout(1_h, []() -> task<> {
    co_await expect_raises<errc::timed_out>(
        with_timeout(5_ms, []() -> task<> { co_await with_timeout(10_ms, sleep_forever()); }()));
    EXPECT_EQ(elapsed(), 5_ms);
    co_await expect_raises<errc::timed_out>(with_timeout(10_ms, []() -> task<> {
      co_await expect_raises<errc::timed_out>(with_timeout(5_ms, sleep_forever()));
      co_await sleep(1_h);
    }()));
    EXPECT_EQ(elapsed(), 15_ms);
  }());
}

WEIR_TEST("effective_deadline is the earliest up to the nearest shield") {
  const time_point start = loop::current()->now();
  co_await with_scope({.timeout = 10_ms}, [&](scope& outer) -> task<> {
    EXPECT_EQ(outer.effective_deadline(), start + 10_ms);
    co_await with_scope({.timeout = 20_ms}, [&](scope& inner) -> task<> {
      EXPECT_EQ(inner.deadline(), start + 20_ms);
      EXPECT_EQ(inner.effective_deadline(), start + 10_ms);
      inner.set_deadline(start + 5_ms);
      EXPECT_EQ(inner.effective_deadline(), start + 5_ms);
      co_return;
    });
    co_await with_scope({.timeout = 20_ms, .shield = true}, [&](scope& kept) -> task<> {
      EXPECT_EQ(kept.effective_deadline(), start + 20_ms);
      co_return;
    });
    co_await with_scope([&](scope& open) -> task<> {
      EXPECT_EQ(open.deadline(), time_point::never());
      EXPECT_EQ(open.effective_deadline(), start + 10_ms);
      co_return;
    });
  });
}

WEIR_TEST("a deadline can be moved later, earlier, into the past and away") {
  const time_point start = loop::current()->now();
  co_await with_scope({.timeout = 5_ms}, [&](scope& s) -> task<> {
    s.set_deadline(start + 20_ms);
    co_await sleep(10_ms);
    s.set_deadline(time_point::never());
    co_await sleep(20_ms);
    s.set_deadline(loop::current()->now() + 1_ms);
    co_await sleep_forever();
  });
  EXPECT_EQ(elapsed(), 31_ms);
  co_await with_scope([&](scope& s) -> task<> {
    s.set_deadline(start);
    EXPECT_TRUE(s.is_cancelled());
    EXPECT_EQ(s.reason().kind, cancel_kind::deadline);
    co_await sleep_forever();
  });
  EXPECT_EQ(elapsed(), 31_ms);
}

WEIR_TEST("with_deadline counts from the moment that it names, not from when it is awaited") {
  const time_point start = loop::current()->now();
  auto late = with_deadline(start + 10_ms, sleep_forever());
  co_await sleep(8_ms);
  co_await expect_raises<errc::timed_out>(std::move(late));
  EXPECT_EQ(elapsed(), 10_ms);
  EXPECT_EQ(co_await with_deadline(time_point::never(), []() -> task<int> { co_return 1; }()), 1);
  co_await expect_raises<errc::timed_out>(with_deadline(start, sleep_forever()));
}

WEIR_TEST("many scopes with one deadline all end") {
  int ended = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 100; ++i) {
      s.spawn([&]() -> task<> {
        co_await with_scope({.timeout = 5_ms}, [](scope&) -> task<> { co_await sleep_forever(); });
        ++ended;
      });
    }
    co_return;
  });
  EXPECT_EQ(ended, 100);
  EXPECT_EQ(elapsed(), 5_ms);
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
}  // namespace weir

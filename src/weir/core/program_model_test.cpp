// Random programs: trees of scopes, shields, time-outs, races, failures and cancellations, under
// random schedules. Whatever they do, every task and frame ends, no error is lost, and no wait
// begun in a cancelled scope succeeds.
#include <weir/base/random.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/start.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace weir::program_model_test {
namespace {

struct program {
  explicit program(std::uint64_t seed) : random(seed) {}

  random_source random;
  int nodes_left = 400;
  int frames_live = 0;
  int frames_made = 0;
  int raised_count = 0;
  std::set<std::string> raised;
  std::set<std::string> taken;

  std::uint64_t below(std::uint64_t n) { return random.below(n); }
  duration length() { return duration::microseconds(static_cast<std::int64_t>(below(2000))); }
  [[noreturn]] void fail() {
    const std::string id = "error-" + std::to_string(++raised_count) + ";";
    raised.insert(id);
    raise(error(errc::broken, id));
  }
  void take(const std::string& text) {
    for (std::size_t at = text.find("error-"); at != std::string::npos;
         at = text.find("error-", at + 1)) {
      taken.insert(text.substr(at, text.find(';', at) - at + 1));
    }
  }
  void take(std::exception_ptr failure) {
    for (const std::string& text : testing::texts_of(failure)) take(text);
  }
};

struct frame_count {
  program* of;
  explicit frame_count(program* p) : of(p) {
    ++of->frames_live;
    ++of->frames_made;
  }
  frame_count(const frame_count&) = delete;
  frame_count& operator=(const frame_count&) = delete;
  ~frame_count() { --of->frames_live; }
};

task<> node(program* p, int depth);

/// True when a scope around the running task was cancelled, with no shield between.
bool must_be_cancelled() {
  for (const scope* s = scope::current(); s; s = s->parent()) {
    if (s->is_cancel_called()) return true;
    if (std::string_view(s->name()) == "shield") return false;
  }
  return false;
}

/// One wait, which must not succeed when the scope was cancelled before it began.
task<> wait_once(program* p) {
  const bool is_cancelled = scope::current()->is_cancelled();
  EXPECT_TRUE(is_cancelled || !must_be_cancelled()) << "a cancellation did not get here";
  switch (p->below(3)) {
    case 0:
      co_await sleep(p->length());
      break;
    case 1:
      co_await yield();
      break;
    default:
      co_await checkpoint();
  }
  EXPECT_FALSE(is_cancelled) << "a wait succeeded in a cancelled scope";
}

task<> in_scope(program* p, int depth) {
  scope_options options;
  if (p->below(4) == 0) options.timeout = p->length();
  if (p->below(5) == 0) {
    options.name = "shield";
    options.shield = true;
  }
  options.tasks_max = 1 + static_cast<std::uint32_t>(p->below(6));
  co_await with_scope(options, [&](scope& s) -> task<> {
    const frame_count counted(p);
    const std::uint64_t children = p->below(4);
    for (std::uint64_t i = 0; i < children; ++i) {
      if (p->below(2) == 0) {
        co_await s.spawn_when_room(&node, p, depth - 1);
      } else if (s.stats().live < options.tasks_max - 1) {
        const auto handle = s.spawn(&node, p, depth - 1);
        if (p->below(4) == 0) co_await handle;
      }
      if (p->below(8) == 0) s.cancel("by lot");
      if (p->below(8) == 0) s.set_deadline(loop::current()->now() + p->length());
      if (options.shield && p->below(4) == 0) s.set_shield(false);
      if (options.shield && p->below(4) == 0) s.set_shield(true);
    }
    if (p->below(4) == 0) co_await s.join();
    if (p->below(10) == 0) p->fail();
    co_await node(p, depth - 1);
  });
}

task<> started(program* p, int depth) {
  co_await with_scope([&](scope& s) -> task<> {
    co_await start<int>(
        s,
        [](readiness<int>& ready, program* of, int left) -> task<> {
          co_await with_scope([&](scope& inner) -> task<> {
            inner.spawn(&node, of, left);
            co_await wait_once(of);
            ready(1);
            co_await node(of, left);
          });
        },
        p, depth - 1);
    if (p->below(3) == 0) s.cancel();
  });
}

task<> step(program* p, int depth) {
  if (depth == 0 || p->nodes_left <= 0) {
    co_await wait_once(p);
    co_return;
  }
  switch (p->below(12)) {
    case 0:
    case 1:
    case 2:
      co_await in_scope(p, depth);
      break;
    case 3:
      co_await when_all(node(p, depth - 1), node(p, depth - 1));
      break;
    case 4:
      co_await when_any(node(p, depth - 1), node(p, depth - 1), wait_once(p));
      break;
    case 5:
      co_await with_timeout(p->length(), node(p, depth - 1));
      break;
    case 6:
      co_await shield(node(p, depth - 1));
      break;
    case 7:
      if (const auto outcome = co_await as_result(node(p, depth - 1)); !outcome) {
        p->take(exception(outcome.error()).what());
      }
      break;
    case 8:
      co_await started(p, depth);
      break;
    case 9:
      if (p->below(3) == 0) p->fail();
      co_await wait_once(p);
      break;
    default:
      co_await wait_once(p);
  }
}

task<> node(program* p, int depth) {
  const frame_count counted(p);
  --p->nodes_left;
  const std::uint64_t steps = 1 + p->below(3);
  for (std::uint64_t i = 0; i < steps; ++i) {
    if (p->below(3) != 0) {
      co_await step(p, depth);
      continue;
    }
    try {
      co_await step(p, depth);
    } catch (...) {
      p->take(std::current_exception());
    }
  }
}

class RandomPrograms : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Hundreds, RandomPrograms, ::testing::Range<std::uint64_t>(0, 10));

TEST_P(RandomPrograms, end_with_every_frame_and_lose_no_error) {
  int failures = 0;
  int frames = 0;
  for (std::uint64_t seed = GetParam() * 100; seed < GetParam() * 100 + 100; ++seed) {
    SCOPED_TRACE("program " + std::to_string(seed));
    program p(seed);
    testing::run_virtual(
        [](program* of) -> task<> {
          try {
            co_await with_scope([&](scope& s) -> task<> {
              for (int i = 0; i < 3; ++i) s.spawn(&node, of, 5);
              co_await node(of, 5);
            });
          } catch (...) {
            of->take(std::current_exception());
          }
        }(&p),
        {.world = seed % 4 == 0 ? virtual_options{} : virtual_options::explored(seed),
         .loop = {.turn_steps_max = 1 + static_cast<std::uint32_t>(seed % 9),
                  .step_waits_max = 1 + static_cast<std::uint32_t>(seed % 5)}});
    EXPECT_EQ(p.frames_live, 0);
    EXPECT_EQ(p.taken, p.raised);
    failures += p.raised_count;
    frames += p.frames_made;
    if (HasFailure()) return;
  }
  EXPECT_GT(failures, 100) << "too tame";
  EXPECT_GT(frames, 3000);
}

}  // namespace
}  // namespace weir::program_model_test

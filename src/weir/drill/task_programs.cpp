// Programs about tasks: timers, scopes, cancellation, select, cleanups.
#include <weir/core/as_result.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/drill/internal/program_kit.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/event.hpp>

namespace weir::drill {

namespace {

using namespace weir::literals;

task<> wakes_at(time_point due) {
  co_await sleep_until(due);
  expect(now() == due, "a timer fires when it is due");
}

task<> timers_are_punctual() {
  const time_point begun = now();
  co_await with_scope([&](scope& s) -> task<> {
    for (const duration delay : {40_us, 10_us, 25_us, 7_ms, 5_ms, 20_s, 5_s, 3_h, 2_h}) {
      s.spawn(&wakes_at, begun + delay);
    }
    co_return;
  });
}

task<> crowd_wakes_together() {
  constexpr int crowd_size = 300;  // more than one turn of a loop wakes
  const time_point due = now() + 1_ms;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < crowd_size; ++i) s.spawn(&wakes_at, due);
    s.spawn(&wakes_at, due + 1_s);
    co_return;
  });
}

task<> time_out_ends_everything_in_it() {
  const time_point begun = now();
  const scope_end end = co_await with_scope({.timeout = 10_ms}, [](scope& s) -> task<> {
    s.spawn([]() -> task<> { co_await sleep(1_h); });
    s.spawn([]() -> task<> {
      co_await with_scope([](scope& inner) -> task<> {
        for (int i = 0; i < 3; ++i) inner.spawn([]() -> task<> { co_await sleep(1_h); });
        co_await inner.join();
      });
    });
    co_await sleep(2_h);
  });
  expect(end.reason.kind == cancel_kind::deadline, "a scope tells that its time was over");
  expect(now() - begun == 10_ms, "a time-out ends whatever waits in its scope");
}

task<> commit_is_shielded() {
  int steps = 0;
  co_await with_scope({.timeout = 5_ms}, [&](scope&) -> task<> {
    const auto commit = [&]() -> task<> {
      for (; steps < 3; ++steps) co_await sleep(3_ms);
    };
    co_await shield(commit());
    co_await sleep(1_h);
  });
  expect(steps == 3, "what is shielded runs to its end");
}

task<> good_bye_has_a_bound() {
  const time_point begun = now();
  const auto say = []() -> task<> { co_await sleep(1_h); };
  const auto said = co_await as_result(shield(say(), 20_ms));
  expect(!said, "a peer that takes an hour has not answered");
  expect(now() - begun == 20_ms, "a shield ends at its own time-out");
}

task<> answers_are_gathered() {
  int answers = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 1; i <= 3; ++i) {
      s.spawn(
          [&](int length) -> task<> {
            co_await sleep(1_ms * length);
            ++answers;
          },
          i);
    }
    co_await s.join();
    expect(answers == 3, "join() waits for every task of the scope");
  });
}

task<> every_error_is_heard() {
  std::size_t heard = 0;
  try {
    co_await with_scope([](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) {
        s.spawn([]() -> task<> {
          raise(error(errc::refused, "this mirror is down"));
          co_return;
        });
      }
      co_await s.join();
    });
  } catch (const error_group& all) {
    heard = all.size();
  }
  expect(heard == 3, "the errors of all tasks arrive");
}

task<> job_comes_when_there_is_room() {
  event third_done;
  co_await with_scope({.tasks_max = 2}, [&](scope& jobs) -> task<> {
    jobs.spawn([&]() -> task<> { co_await third_done.wait(); });
    jobs.spawn([]() -> task<> { co_await sleep(1_ms); });
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await jobs.join(); });
      s.spawn([&]() -> task<> {
        co_await jobs.spawn_when_room([&]() -> task<> {
          third_done.set();
          co_return;
        });
      });
      co_return;
    });
  });
  expect(third_done.is_set(), "all jobs have run");
}

task<> select_ends_with_the_first() {
  auto [sender, receiver] = channel<int>(1);
  int sum = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int i = 1; i <= 4; ++i) {
        co_await sleep(1_ms);
        co_await sender.send(i);
      }
      sender.close();
    });
    for (;;) {
      auto [item, late] = co_await select(receiver.receive(), sleep(1_min));
      expect(!late, "a select ends with its first branch");
      if (!*item) break;
      sum += **item;
    }
  });
  expect(sum == 10, "a select loses nothing");
}

task<> release(int& count, bool fails) {
  co_await sleep(1_ms);
  ++count;
  if (fails) raise(error(errc::not_found, "the lock file is gone"));
}

task<> all_is_released() {
  int released = 0;
  try {
    co_await with_cleanups([&](cleanups& after) -> task<> {
      const auto works = [&]() -> task<> { co_await release(released, false); };
      const auto fails = [&]() -> task<> { co_await release(released, true); };
      after.defer_async(works);
      after.defer_async(fails);
      after.defer_async(works);
      co_await sleep(1_ms);
    });
  } catch (const error_group&) {
    expect(released == 3, "every cleanup runs, whatever the others come to");
    co_return;
  }
  expect(false, "a cleanup's error is heard");
}

}  // namespace

namespace programs {

constinit const mutant_program timers{"timers fire when they are due", &timers_are_punctual};
constinit const mutant_program crowd{"many timers of one moment fire at it", &crowd_wakes_together};
constinit const mutant_program time_out{"a time-out ends all that waits in its scope",
                                        &time_out_ends_everything_in_it};
constinit const mutant_program commit{"a shielded commit is not cut short", &commit_is_shielded};
constinit const mutant_program good_bye{"a shielded good-bye to a slow peer ends in time",
                                        &good_bye_has_a_bound};
constinit const mutant_program gathered{"join() waits for all workers", &answers_are_gathered};
constinit const mutant_program heard{"every mirror's error is heard", &every_error_is_heard};
constinit const mutant_program room{"a job that waits for room gets the next place",
                                    &job_comes_when_there_is_room};
constinit const mutant_program selected_first{"a select waits for its first branch and no longer",
                                              &select_ends_with_the_first};
constinit const mutant_program released{"every cleanup runs", &all_is_released};

}  // namespace programs
}  // namespace weir::drill

// What a program asks of single tasks: a moment by which they end or at which they go on, shelter
// from a cancellation, and a look at what they do; docs/guide/tasks.md shows it. It runs
// to its end by itself.
#include <weir/base/log.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/core/select.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/io.hpp>

#include <cstdint>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

using namespace weir::literals;

namespace {

// [with_deadline]
weir::task<int> count_up_to(int last) {
  int sum = 0;
  for (int i = 1; i <= last; ++i) {
    co_await weir::sleep(1_ms);
    sum += i;
  }
  co_return sum;
}
// Both have one moment, however long the first takes.
weir::task<> answer_in_time() {
  const weir::time_point by = weir::loop::current()->now() + 100_ms;
  const int first = co_await weir::with_deadline(by, count_up_to(3));
  const auto second = co_await weir::as_result(weir::with_deadline(by, count_up_to(1'000'000)));
  std::printf("in time: %d, then %s\n", first,
              second ? "more" : std::string(weir::name(second.error().code())).c_str());
}
// [/with_deadline]

// [sleep_until]
// Each round has its moment, so what a round takes does not put off the next.
weir::task<> beat(int rounds) {
  weir::time_point next = weir::loop::current()->now();
  for (int i = 0; i < rounds; ++i) {
    next = next + 2_ms;
    co_await weir::sleep_until(next);
  }
  std::printf("beats: %d, none too early: %d\n", rounds, weir::loop::current()->now() >= next);
}
// [/sleep_until]

// [shield]
weir::task<> pay() {
  co_await weir::sleep(1_ms);  // taken, and not yet booked: no place to stop
  std::printf("shield: paid and booked\n");
}
weir::task<> check_out() {
  co_await weir::shield(pay(), 5_s);  // the cancellation is met behind it
  co_await weir::sleep(0_s);
  std::printf("shield: nobody comes here\n");
}
weir::task<> cancelled_check_out() {
  co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
    s.spawn(check_out);
    co_await weir::yield();
    s.cancel("the shop closes");
  });
}
// [/shield]

// [selected]
// A branch that has ended is true, and its value behind a star.
std::string text_of(weir::selected<int>& branch) {
  return branch ? std::to_string(*branch) : "cut off";
}
weir::task<> which_came_first() {
  auto [slow, fast] = co_await weir::race(count_up_to(1'000'000), count_up_to(2));
  std::printf("race: %s, %s\n", text_of(slow).c_str(), text_of(fast).c_str());
}
// [/selected]

// [unhandled]
// Of a scope whose failures are reports: nobody awaits them, and yet none is lost.
void note_unhandled(const weir::unhandled_error& lost) noexcept {
  std::printf("unhandled, %s: %s\n", lost.is_report ? "of a background task" : "of the program",
              weir::describe(lost.what).c_str());
}
weir::task<> fail_in_the_background() {
  const auto before = weir::set_unhandled_handler(&note_unhandled);
  co_await weir::with_scope({.failures = weir::report}, [](weir::scope& s) -> weir::task<> {
    s.spawn([]() -> weir::task<> {
      co_await weir::yield();
      throw std::runtime_error("the picture is broken");
    });
    co_return;
  });
  weir::set_unhandled_handler(before);
}
// [/unhandled]

// [print_task_tree]
// What SIGQUIT prints, too: each task of this loop, what it waits for, since when and where.
weir::task<> wait_long() { co_await weir::sleep(1_h); }
weir::task<> look_at_tasks() {
  co_await weir::with_scope({.name = "sleepers"}, [](weir::scope& s) -> weir::task<> {
    for (int i = 0; i < 2; ++i) s.spawn(wait_long);
    co_await weir::yield();
    weir::print_task_tree();  // on standard error
    s.cancel();
  });
}
// [/print_task_tree]

// [loop_observer]
struct step_counter final : weir::loop_observer {
  std::uint64_t spawned = 0;
  std::uint64_t steps = 0;
  void task_spawned(std::uint64_t) noexcept override { ++spawned; }
  void before_step(std::uint64_t) noexcept override { ++steps; }
};
weir::task<> count_steps() {
  step_counter counter;
  weir::loop::current()->observe(&counter);
  co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
    for (int i = 0; i < 3; ++i) s.spawn([]() -> weir::task<> { co_await weir::yield(); });
    co_return;
  });
  weir::loop::current()->observe(nullptr);
  std::printf("observer: %d tasks, more steps than tasks: %d\n", static_cast<int>(counter.spawned),
              counter.steps > counter.spawned);
}
// [/loop_observer]

// [memory_pause]
// Work that nobody waits for: without memory it pauses, without needing any for that, and goes on.
weir::task<> tidy_up(int times_without) {
  weir::memory_pause pause("tidying up");
  for (bool is_done = false; !is_done;) {
    try {
      if (times_without-- > 0) throw std::bad_alloc();
      is_done = true;
    } catch (...) {
      const bool is_its = weir::is_want_of_memory(std::current_exception());
      pause.found_none();  // raises again what is no want of memory
      std::printf("memory: a pause, %s\n", is_its ? "as there is none" : "for no reason");
    }
    co_await weir::sleep_until(pause.until());
  }
  std::printf("memory: tidied up\n");
}
// A value for those who tell somebody.
weir::error why_not() {
  try {
    throw std::bad_alloc();
  } catch (...) {
    return weir::caught_want_of_memory();
  }
}
// [/memory_pause]

weir::task<> tour() {
  co_await answer_in_time();
  co_await beat(3);
  co_await cancelled_check_out();
  co_await which_came_first();
  co_await fail_in_the_background();
  co_await look_at_tasks();
  co_await count_steps();
  co_await tidy_up(1);
  std::printf("memory: %s\n", std::string(weir::name(why_not().code())).c_str());
}

}  // namespace

int main() { return weir::run(tour()); }

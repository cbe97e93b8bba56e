#include <weir/sim/virtual_run.hpp>

#include <weir/base/left_behind.hpp>
#include <weir/base/program_here.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/core/wait_graph.hpp>
#include <weir/sim/ended_worlds.hpp>
#include <weir/sim/internal/no_end.hpp>
#include <weir/sim/virtual_processes.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace weir {

namespace {

// Where the handlers below find the run: handlers are plain functions, and one run happens at a
// time on a thread.
thread_local virtual_outcome* heard_by = nullptr;

void hear(const unhandled_error& what) noexcept {
  const detail::world_runs listening;
  if (!heard_by) {
    std::fprintf(stderr, "an error outside of a virtual run: %s\n", what.text);
    std::abort();
  }
  if (what.is_report) {
    heard_by->reports.emplace_back(what.text);
  } else {
    heard_by->fail(run_failure::error, what.text);
  }
}

// Writes down who waits for whom and cancels what waits, so that the run ends as any other. A
// second time means that something waits under a shield: nothing ends that.
bool end_deadlock(void* context, loop& on) noexcept {
  auto& outcome = *static_cast<virtual_outcome*>(context);
  if (on.root().is_cancelled()) return false;
  detail::string_sink out;
  out.put("deadlock: every task waits and nothing can wake one\n");
  detail::print_wait_graph(on, out);
  detail::print_task_tree(on, out);
  if (auto* const driver = dynamic_cast<virtual_driver*>(&on.io());
      driver && driver->world().has_processes()) {
    driver->world().processes().print(out);
  }
  outcome.fail(run_failure::deadlock, std::move(out.text));
  on.root().cancel("deadlock");
  return true;
}

// In a machine that has crashed nobody could have answered.
void hear_left_behind(std::string_view what) noexcept {
  const detail::world_runs listening;
  loop* const on = loop::current();
  auto* const driver = on ? dynamic_cast<virtual_driver*>(&on->io()) : nullptr;
  if (!heard_by || !driver || driver->is_dead()) return;
  if (!heard_by->left.empty()) heard_by->left += '\n';
  heard_by->left += what;
}

// What runs in the world is the test: nobody is there to start it again.
void end_by_signal(void* context, int number) noexcept {
  const detail::world_runs noting;
  auto& outcome = *static_cast<virtual_outcome*>(context);
  detail::string_sink out;
  out.put("the program has died of signal ");
  out.put_number(number);
  out.put(", which nobody had waited for before it came\n");
  loop* const on = loop::current();
  if (on) detail::print_running_task(*on, out);
  outcome.fail(run_failure::error, std::move(out.text));
  const bool is_of_child = heard_by != &outcome;  // it goes on, and hears nothing of this
  if (on && !is_of_child) on->root().cancel("it has died of a signal");
}

}  // namespace

const char* name(run_failure how) noexcept {
  switch (how) {
    case run_failure::none:
      return "none";
    case run_failure::error:
      return "error";
    case run_failure::deadlock:
      return "deadlock";
    case run_failure::no_end:
      return "no end";
    case run_failure::left_behind:
      return "left behind";
    case run_failure::expectation:
      return "expectation";
    case run_failure::escape:
      return "escape";
  }
  return "?";
}

void virtual_outcome::clear() {
  if (is_failed || !failure.empty() || !reports.empty() || !left.empty() || !sizes.empty()) {
    *this = {};
    return;
  }
  may_leave_messages = false;
  stats = {};
  passed = {};
}

// The first failure is the one that counts: what follows may be its consequence.
void virtual_outcome::fail(run_failure in, std::string text) {
  if (is_failed && how != run_failure::left_behind) return;
  if (is_failed) text = failure + "\n" + text;
  is_failed = true;
  how = in;
  failure = std::move(text);
}

detail::outcome_listener::outcome_listener() noexcept
    : outer_(heard_by),
      before_(set_unhandled_handler(&hear)),
      told_before_(std::exchange(tell_left_behind, nullptr)) {}

detail::outcome_listener::~outcome_listener() {
  tell_left_behind = told_before_;
  set_unhandled_handler(before_);
  heard_by = outer_;
}

void detail::outcome_listener::listen(virtual_outcome& into, virtual_world& world) noexcept {
  heard_by = &into;
  // Those who take messages from a machine's program are on others, and live on.
  const bool is_asked = !world.options().is_led || world.options().asks_what_is_left;
  tell_left_behind = is_asked ? &hear_left_behind : nullptr;
  world.on_deadlock = &end_deadlock;
  world.on_death = &end_by_signal;
  world.on_deadlock_context = &into;
}

void detail::outcome_listener::listen(virtual_outcome& into) noexcept { heard_by = &into; }

void detail::outcome_listener::fail_outer(const virtual_outcome& inner) {
  if (outer_) outer_->fail(inner.how, inner.failure);
}

void detail::note_escape(const char* function, const char* instead) noexcept {
  const world_runs noting;
  loop* const on = loop::current();
  if (!heard_by || !on || on->root().is_cancelled()) return;
  string_sink out;
  out.put(function);
  out.put("() was called in a simulated run, which it leaves: use ");
  out.put(instead);
  out.put("\n");
  print_running_task(*on, out);
  heard_by->fail(run_failure::escape, std::move(out.text));
  on->root().cancel("a call out of the simulation");
}

namespace {
void put_no_end(detail::text_sink& out, const char* words, detail::work_done after,
                const char* rest) {
  out.put(words);
  out.put_number(after.count);
  out.put(" ");
  out.put(after.of);
  out.put(rest);
  detail::print_task_tree(*loop::current(), out);
}
}  // namespace

void detail::note_no_end(work_done after) noexcept {
  const world_runs noting;
  if (heard_by) {
    string_sink out;
    put_no_end(out, "the run has no end: after ", after,
               " these tasks still have something to do\n");
    string_sink graph;
    print_wait_graph(*loop::current(), graph);
    if (graph.text.find("\n  in a circle: ") != std::string::npos) {
      out.put("some of them wait for each other, and nothing can end that\n");
      out.text += graph.text;
    }
    heard_by->fail(run_failure::no_end, std::move(out.text));
  }
  loop::current()->root().cancel("the run has no end");
}

void detail::die_without_end(work_done after) noexcept {
  const world_runs dying;
  {
    stderr_sink out;
    put_no_end(out, "weir: the run has no end: it was cancelled, and goes on after ", after, "\n");
  }
  std::abort();
}

void detail::end_long_run(loop& on, std::uint64_t operations) noexcept {
  constexpr std::uint64_t steps_max = explored_schedule::steps_max_default;
  const std::uint64_t operations_max = run_operations_max;
  const std::uint64_t steps = on.stats().steps;
  if ((steps <= steps_max && operations <= operations_max) || !heard_by) return;
  const work_done after =
      steps > steps_max ? work_done{steps} : work_done{operations, "operations"};
  if (!on.root().is_cancelled()) return note_no_end(after);
  if (is_beyond(steps, steps_max) || is_beyond(operations, operations_max)) die_without_end(after);
}

void detail::let_messages_stay() noexcept {
  if (heard_by) heard_by->may_leave_messages = true;
}

void detail::note_left_behind(virtual_outcome& outcome, virtual_world& world,
                              bool may_leave_handles) {
  if (outcome.stats.tasks_live != 0 || outcome.stats.timers_live != 0) {
    outcome.fail(run_failure::left_behind,
                 fmt::format("left behind: {} tasks, {} timers", outcome.stats.tasks_live,
                             outcome.stats.timers_live));
  }
  if (!outcome.left.empty() && !outcome.may_leave_messages)
    outcome.fail(run_failure::left_behind, outcome.left);
  if (world.has_processes()) {
    if (const std::string left = world.processes().left(); !left.empty()) {
      outcome.fail(run_failure::left_behind, "left behind: " + left);
    }
    world.processes().end_all();
  }
  if (!may_leave_handles && world.open_handles() != 0) {
    constexpr std::size_t named_max = 10;
    std::string text = fmt::format("left open: {} sockets or files", world.open_handles());
    const std::vector<std::string> names = world.open_names();
    for (std::size_t i = 0; i < std::min(names.size(), named_max); ++i) text += "\n  " + names[i];
    if (names.size() > named_max) text += "\n  ...";
    outcome.fail(run_failure::left_behind, std::move(text));
  }
}

namespace {

virtual_outcome run_over(virtual_world& world, virtual_driver& driver, task<> body,
                         const virtual_run_options& options) {
  virtual_outcome outcome;
  const time_point began = world.clock().now();
  {
    detail::outcome_listener listener;
    listener.listen(outcome, world);
    loop on(driver, options.loop);
    on.observe(options.observer);
    on.root().spawn(detail::given_task<void>{std::move(body)});
    {
      const detail::program_runs running(&world.program());
      on.run();
    }
    outcome.stats = on.stats();
    world.on_deadlock = nullptr;
    world.on_death = nullptr;
  }
  outcome.passed = world.clock().now() - began;
  outcome.sizes = world.drawn_sizes();
  detail::note_left_behind(outcome, world, options.may_leave_handles);
  return outcome;
}

}  // namespace

virtual_outcome detail::run_outcome_on(machine& on, task<> body,
                                       const virtual_run_options& options) {
  return run_over(on.world, on.driver, std::move(body), options);
}

virtual_outcome run_outcome(task<> body, virtual_run_options options) {
  const auto own = std::make_shared<detail::machine>(options.world);
  virtual_outcome outcome = detail::run_outcome_on(*own, std::move(body), options);
  detail::end_machine(own);
  return outcome;
}

virtual_outcome run_outcome_in(virtual_world& world, task<> body, virtual_run_options options) {
  virtual_driver driver(world);
  return run_over(world, driver, std::move(body), options);
}

}  // namespace weir

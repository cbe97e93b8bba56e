#include <weir/sim/virtual_processes.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/probe.hpp>
#include <weir/base/program_here.hpp>
#include <weir/core/detail/other_loop_runs.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/scope.hpp>
#include <weir/sim/internal/killed_steps.hpp>
#include <weir/sim/internal/virtual_child.hpp>

#include <errno.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <new>
#include <optional>

namespace weir {

namespace {

std::uint64_t bit(int number) noexcept { return std::uint64_t{1} << number; }

// As Linux has it: MAX_ARG_STRLEN, and a quarter of a stack of 8 MiB.
bool is_too_large(const child_plan& plan) noexcept {
  constexpr std::size_t piece_max = 128 * 1024;
  constexpr std::size_t all_max = 2 * 1024 * 1024;
  std::size_t all = 0;
  for (const auto* pieces : {&plan.arguments, &plan.environment}) {
    for (const std::string& one : *pieces) {
      if (one.size() >= piece_max) return true;
      all += one.size() + 1 + sizeof(char*);
    }
  }
  return all > all_max;
}

void set_in(std::vector<std::string>& environment, const std::string& name,
            const std::string* value) {
  std::erase_if(environment, [&](const std::string& one) { return one.starts_with(name + "="); });
  if (value) environment.push_back(name + "=" + *value);
}

}  // namespace

virtual_processes::virtual_processes(virtual_world& world)
    : world_(world), environment_{"PATH=/usr/bin:/bin"} {}

virtual_processes::~virtual_processes() { end_all(); }

void virtual_processes::set_variable(const std::string& name, const std::string& value) {
  set_in(environment_, name, &value);
}
void virtual_processes::unset_variable(const std::string& name) {
  set_in(environment_, name, nullptr);
}

void virtual_processes::set_stream(int number, io_handle to) noexcept {
  WEIR_ASSERT(number >= 0 && number < 3);
  streams_[number] = to;
}
io_handle virtual_processes::own_stream(int number) const noexcept {
  const io_handle handle = streams_[number];
  const bool is_open = world_.network().has(handle) || world_.disk().has(handle);
  return is_open ? handle : -1;
}

virtual_processes::child* virtual_processes::find(int pid) const {
  const auto found = children_.find(pid);
  return found == children_.end() ? nullptr : found->second.get();
}

std::size_t virtual_processes::count() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(children_, [](const auto& one) { return !one.second->is_reaped; }));
}

std::uint64_t virtual_processes::steps() const {
  std::uint64_t all = steps_of_gone_;
  for (const auto& [pid, one] : children_) {
    if (one->on) all += one->on->stats().steps;
  }
  return all;
}

std::string virtual_processes::left() const {
  std::string text;
  for (const auto& [pid, one] : children_) {
    if (one->has_ended && one->is_reaped) continue;
    text += fmt::format("{}child process {} '{}' {}", text.empty() ? "" : "\n", pid, one->name,
                        one->has_ended ? "has ended and nobody waited for it" : "still runs");
  }
  return text;
}

void virtual_processes::print(detail::text_sink& out) const {
  for (const auto& [pid, one] : children_) {
    if (one->on && !one->has_ended) detail::print_task_tree(*one->on, out);
  }
}

std::vector<std::string> virtual_processes::environment_of(int pid) const {
  const child* one = find(pid);
  return one ? one->self.environment() : environment_;
}

std::string virtual_processes::absolute(int pid, const std::string& path) const {
  if (path.starts_with('/')) return path;
  const child* one = find(pid);
  const std::string folder = one ? one->self.folder() : "/";
  return folder.ends_with('/') ? folder + path : folder + "/" + path;
}

// As execvp does: a name is looked for in our own PATH, a path from the child's folder. 0 or errno.
int virtual_processes::find_program(const child_plan& plan, int parent, std::string& path) const {
  const auto try_path = [&](const std::string& tried) {
    if (programs_.contains(tried)) {
      path = tried;
      return 0;
    }
    file_status found;
    const int error = world_.disk().status_of(tried.c_str(), found);
    return error == 0 ? EACCES : -error;
  };
  if (plan.program.find('/') != plan.program.npos) {
    if (plan.program.starts_with('/') || plan.folder.empty())
      return try_path(absolute(parent, plan.program));
    return try_path(absolute(parent, plan.folder) + "/" + plan.program);
  }
  std::string folders = "/usr/bin:/bin";
  for (const std::string& one : environment_of(parent)) {
    if (one.starts_with("PATH=")) folders = one.substr(5);
  }
  int worst = ENOENT;
  for (std::size_t from = 0; from <= folders.size();) {
    const std::size_t to = std::min(folders.find(':', from), folders.size());
    const int error = try_path(folders.substr(from, to - from) + "/" + plan.program);
    if (error == 0) return 0;
    if (error == EACCES) worst = EACCES;
    from = to + 1;
  }
  return worst;
}

started_child virtual_processes::start(int parent, const child_plan& plan) {
  started_child made;
  file_status folder;
  if (!plan.folder.empty()) {
    made.failure = -world_.disk().status_of(absolute(parent, plan.folder).c_str(), folder);
    if (made.failure == 0 && !folder.is_directory) made.failure = ENOTDIR;
  }
  std::string path;
  if (made.failure == 0) made.failure = find_program(plan, parent, path);
  if (made.failure == 0 && is_too_large(plan)) made.failure = E2BIG;
  if (made.failure == 0 && count() >= processes_max_) made.failure = EAGAIN;
  if (made.failure != 0) return made;

  child& one = make_child(parent, plan, path);
  try {
    io_handle ends[2];
    if (plan.wants_end && world_.network().make_pipe(ends) == 0) {
      made.end = ends[0];
      one.end = ends[1];
    }
    connect(one, find(parent), plan);
    begin(one);
  } catch (...) {  // no memory: nothing is left of it
    if (made.end != -1) world_.close(made.end, *one.driver);
    close_all(one);
    one.is_reaped = true;
    take_down(one);
    throw;
  }
  made.pid = one.part.pid;
  ++starts_;
  return made;
}

virtual_processes::child& virtual_processes::make_child(int parent, const child_plan& plan,
                                                        const std::string& path) {
  const int pid = next_pid_++;
  auto one = std::make_unique<child>(*this, world_.host(), pid);
  const child* const by = find(parent);
  one->program = programs_.at(path);
  one->name = plan.program;
  one->parent = parent;
  one->group = plan.has_own_group ? pid : by ? by->group : first_pid;
  one->self.arguments_ = plan.arguments;
  one->self.environment_ = plan.environment;
  one->self.folder_ =
      plan.folder.empty() ? (by ? by->self.folder() : "/") : absolute(parent, plan.folder);
  if (world_.is_explored()) {
    one->schedule = std::make_unique<explored_schedule>(world_.decisions());
    one->schedule->restart(strategy::random);
    one->part.policy = one->schedule.get();
  }
  one->driver.reset(new virtual_driver(world_, one->part));
  return *(children_[pid] = std::move(one));
}

void virtual_processes::begin(child& one) {
  const detail::other_loop_runs aside;
  one.on = std::make_unique<loop>(
      *one.driver,
      loop_options{.name = one.name.c_str(), .step_waits_max = world_.is_explored() ? 0U : 128U});
  const detail::program_runs its_own(&world_.program());
  one.on->root().spawn(
      [](child* self) -> task<> {
        const int code = co_await self->program->main(self->self);
        if (!self->has_exited) self->code = code;
      },
      &one);
}

// Its streams: what it is given is held for it, so that it stays open when its parent closes it.
void virtual_processes::connect(child& to, const child* parent, const child_plan& plan) {
  const std::shared_ptr<detail::process_stream> theirs[3] = {
      parent ? parent->self.input_.from_ : nullptr, parent ? parent->self.output_.to_ : nullptr,
      parent ? parent->self.errors_.to_ : nullptr};
  std::shared_ptr<detail::process_stream> ours[3];
  for (int i = 0; i < 3; ++i) {
    const io_handle from = plan.streams[i] >= 0 ? plan.streams[i] : i;
    io_handle handle = from;
    if (from < 3 && parent) handle = theirs[from] ? theirs[from]->handle : -1;
    if (from < 3 && !parent) handle = own_stream(static_cast<int>(from));
    if (plan.is_null[i] || handle < 0) continue;
    for (int before = 0; before < i; ++before) {
      if (ours[before] && ours[before]->handle == handle) ours[i] = ours[before];
    }
    if (ours[i]) continue;
    world_.share(handle);
    to.part.handles.insert(handle);
    ours[i] =
        std::make_shared<detail::process_stream>(*to.driver, handle, world_.disk().has(handle));
  }
  to.self.input_.from_ = ours[0];
  to.self.output_.to_ = ours[1];
  to.self.errors_.to_ = ours[2];
}

child_state virtual_processes::look(int parent, int pid, bool reaps, exit_status& out) {
  child* const one = find(pid);
  if (!one || one->is_reaped || one->parent != parent) return child_state::lost;
  if (!one->has_ended) return child_state::running;
  out = one->status;
  one->is_reaped = reaps;
  forget_gone();
  return child_state::ended;
}

void virtual_processes::reap(int parent, int pid) {
  child* const one = find(pid);
  if (!one || one->parent != parent) return;
  if (!one->has_ended) end(*one, {.code = -1, .signal = SIGKILL});
  one->is_reaped = true;
  forget_gone();
}

bool virtual_processes::send_signal(int pid, int number) {
  child* const to = find(pid);
  if (!to || to->is_reaped) return false;
  if (!to->has_ended) deliver(*to, number);  // a zombie is there, and hears nothing
  return true;
}

bool virtual_processes::send_to_group(int group, int number) {
  bool is_heard = false;
  for (const auto& [pid, one] : children_) {
    if (one->group != group || one->is_reaped) continue;
    if (!one->has_ended) deliver(*one, number);
    is_heard = true;
  }
  return is_heard;
}

virtual_processes::effect virtual_processes::send_to_self(int pid, int number) {
  if (!send_signal(pid, number)) return effect::ends;
  child& self = *find(pid);
  if (self.death == 0 && !self.has_ended) return self.is_stopped ? effect::stops : effect::none;
  if (!self.has_exited && !self.has_ended) {  // none of its tasks goes on
    const detail::world_runs ending;
    say_last_words(self);
    self.part.is_killed = self.dies_at_once = true;
    self.dies_at = world_.clock().now();
  }
  return effect::ends;
}

void virtual_processes::hear(int pid, int number) {
  WEIR_ASSERT(number > 0 && number < virtual_signals::signals_max);
  child* const one = find(pid);
  if (!one) return;
  one->self.ignored_ &= ~bit(number);
  one->part.signals.hear(number);
}

void virtual_processes::ignore(int pid, int number) {
  WEIR_ASSERT(number > 0 && number < virtual_signals::signals_max);
  child* const one = find(pid);
  if (!one) return;
  one->self.ignored_ |= bit(number);
  one->part.signals.ignore(number);
}

void virtual_processes::exit(int pid, int code) {
  child* const one = find(pid);
  if (!one || one->has_exited || one->has_ended) return;
  const detail::world_runs ending;
  say_last_words(*one);
  one->has_exited = true;
  one->code = code;
  one->part.is_killed = true;  // its other tasks may go on to the end of this turn
}

// What scopes have reported and nobody took, and the error that ends it.
void virtual_processes::say_last_words(child& one) {
  std::string words;
  for (const std::string& told : std::exchange(one.outcome.reports, {})) words += told + "\n";
  if (one.outcome.is_failed) words += one.outcome.failure + "\n";
  if (!words.empty() && one.self.errors_.to_) world_.write_now(one.self.errors_.to_->handle, words);
}

void virtual_processes::deliver(child& to, int number) {
  if (number <= 0 || number >= virtual_signals::signals_max) return;
  if (number == SIGKILL) return doom(to, number);
  if (to.is_stopped && virtual_signals::stops_by_default(number))
    return;  // SIGCONT would take it back
  if (number == SIGCONT && to.is_stopped) {
    to.is_stopped = false;
    const std::uint64_t held = std::exchange(to.held_signals, 0);
    for (int one = 1; one < virtual_signals::signals_max; ++one) {
      if ((held & bit(one)) != 0) deliver(to, one);
    }
    if (to.death != 0) {  // it had no turn in between
      to.dies_at_once = true;
      to.dies_at = world_.clock().now();
    }
  }
  if (number == SIGSTOP) {
    to.is_stopped = true;
  } else if (to.is_stopped) {
    to.held_signals |= bit(number);
  } else if (to.part.signals.is_heard(number)) {
    to.part.signals.raise(number);
  } else if ((to.self.ignored_ & bit(number)) != 0 ||
             virtual_signals::is_ignored_by_default(number)) {
    return;
  } else if (virtual_signals::stops_by_default(number)) {
    to.is_stopped = true;
  } else {
    doom(to, number);
  }
}

void virtual_processes::doom(child& one, int number) {
  if (one.death != 0) return;  // the first one counts
  one.death = number;
  one.dies_at = world_.clock().now() + world_.draw_latency();
}

time_point virtual_processes::turn_of(const child& one) const {
  if (one.has_ended) return one.on ? world_.clock().now() : time_point::never();
  return one.is_stopped ? one.dies_at : std::min(one.dies_at, one.driver->next_turn());
}

time_point virtual_processes::next_turn() const {
  time_point next = time_point::never();
  for (const auto& [pid, one] : children_) next = std::min(next, turn_of(*one));
  return next;
}

bool virtual_processes::run_due() {
  std::vector<int> due;
  for (const auto& [pid, one] : children_) {
    if (turn_of(*one) <= world_.clock().now()) due.push_back(pid);
  }
  const bool was_due = !due.empty();
  while (!due.empty()) {
    std::size_t next = 0;
    if (world_.is_explored()) next = world_.decisions().below(choice_kind::node, due.size() + 1);
    if (next == due.size()) break;
    child* const one = find(due[next]);
    due.erase(due.begin() + static_cast<std::ptrdiff_t>(next));
    if (one) turn(*one);
  }
  return was_due;
}

void virtual_processes::turn(child& one) {
  const time_point now = world_.clock().now();
  if (one.has_ended) return take_down(one);
  if (one.dies_at <= now) {
    const bool lives_a_little = !one.is_stopped && !one.dies_at_once &&
                                one.last_turns++ < last_turns_max && world_.draws_queued();
    if (!lives_a_little) {
      end(one, {.code = -1, .signal = one.death});
      return take_down(one);
    }
  }
  if (one.is_stopped || one.driver->next_turn() > now) return;
  bool goes_on = false;
  {
    const detail::other_loop_runs aside;
    detail::outcome_listener listener;
    listener.listen(one.outcome);
    const detail::program_runs its_own(&world_.program());
    goes_on = one.on->run_turn();
    if (one.outcome.is_failed && one.outcome.how != run_failure::error)
      listener.fail_outer(one.outcome);
  }
  if (one.has_ended) return take_down(one);   // the machine has stopped meanwhile
  if (one.dies_at_once && !one.has_exited) {  // of a signal that it has sent itself
    end(one, {.code = -1, .signal = one.death});
    return take_down(one);
  }
  if (!one.has_exited) say_last_words(one);
  if (goes_on && !one.outcome.is_failed && !one.has_exited) return;
  if (one.outcome.is_failed && !one.has_exited) {
    end(one, {.code = -1, .signal = SIGABRT});
  } else {
    end(one, {.code = one.code & 0xff, .signal = 0});
  }
  take_down(one);
}

// From here on it reaches nobody.
void virtual_processes::close_all(child& one) {
  one.has_ended = true;
  one.part.is_killed = true;
  one.self.input_.close();
  one.self.output_.close();
  one.self.errors_.close();
  for (const io_handle handle : std::exchange(one.part.handles, {}))  // (3)
    world_.close(handle, *one.driver);
  one.part.signals.end_all(EIO);
  if (one.end != -1) world_.close(std::exchange(one.end, -1), *one.driver);
}

void virtual_processes::end(child& one, exit_status how) {
  one.status = how;
  close_all(one);
  for (const auto& [pid, other] : children_) {
    if (other->parent != one.part.pid) continue;
    other->parent = init;
    other->is_reaped = other->has_ended;
  }
  if (one.parent == init) one.is_reaped = true;
  child* const by = find(one.parent);
  virtual_signals* const hears = by                        ? &by->part.signals
                                 : one.parent == first_pid ? &world_.signals_
                                                           : nullptr;
  if (hears && hears->is_heard(SIGCHLD)) hears->raise(SIGCHLD);
  forget_gone();
}

// Ends the frames of a process that has ended, as those of a killed program of virtual_node are.
void virtual_processes::take_down(child& one) {
  if (one.on) {
    const detail::other_loop_runs aside;
    probe_listener* const outer = set_probe_listener(nullptr);
    virtual_outcome of_nobody;
    detail::outcome_listener listener;
    listener.listen(of_nobody);
    const detail::program_runs its_last(&world_.program());
    std::optional<detail::killed_steps> steps(std::in_place, *one.on);
    one.on->cancel_between_turns("the process has ended");
    std::uint64_t turns = 0;
    while (one.on->run_turn()) {
      const bool is_stuck = one.driver->is_stuck() || ++turns == afterlife_turns_max;
      if (is_stuck) {
        detail::stderr_sink out;
        detail::print_task_tree(*one.on, out);
        out.flush();
      }
      WEIR_ASSERT(!is_stuck && "a killed process's cleanup waits for what never comes");
    }
    steps_of_gone_ += one.on->stats().steps;
    steps.reset();
    one.on.reset();
    one.driver.reset();
    set_probe_listener(outer);
  }
  forget_gone();
}

void virtual_processes::forget_gone() {
  std::erase_if(children_, [](const auto& entry) {
    const child& one = *entry.second;
    return one.has_ended && one.is_reaped && !one.on;  // (4)
  });
}

void virtual_processes::crash() {
  for (const auto& [pid, one] : children_) {
    if (!one->has_ended) end(*one, {.code = -1, .signal = SIGKILL});
    one->is_reaped = true;
  }
  forget_gone();
}

void virtual_processes::end_all() {
  crash();
  std::vector<int> all;
  for (const auto& [pid, one] : children_) all.push_back(pid);
  for (const int pid : all) {
    if (child* const one = find(pid)) take_down(*one);
  }
}

}  // namespace weir

#include <weir/core/scope.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/detail/awaited_at.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/error_trace.hpp>
#include <weir/core/log_field.hpp>
#include <weir/core/start.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/core/with_scope.hpp>

#include <new>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

const char* name(cancel_kind kind) noexcept {
  switch (kind) {
    case cancel_kind::none:
      return "none";
    case cancel_kind::user:
      return "user";
    case cancel_kind::deadline:
      return "deadline";
    case cancel_kind::sibling:
      return "sibling failed";
    case cancel_kind::shutdown:
      return "shutdown";
  }
  return "unknown";
}

namespace {
void make_sure_of_thread(const scope& of) noexcept {
  WEIR_ASSERT(of.on().is_on_this_thread() &&
              "a scope is used on its loop's thread; on others use loop::post()");
}
}  // namespace

scope::scope(loop& on, scope* parent, detail::task_header* host, scope_options& options) noexcept
    : loop_(&on), parent_(parent), host_(host), options_(options) {
  WEIR_ASSERT(options_.tasks_max != 0 && "a scope lets one task live at least: tasks_max");
  deadline_timer_.due = time_point::never();
  deadline_timer_.owner = this;
  deadline_timer_.on_fire = [](detail::timer& t) noexcept {
    static_cast<deadline_timer&>(t).owner->cancel(
        {.kind = cancel_kind::deadline, .text = "deadline passed"});
  };
  if (parent_) {
    parent_->link_scope(*this);
    cancelled_ = parent_->cancelled_ && !options_.shield;  // (2)
  }
  const bool is_timed = options_.timeout != duration::max();
  if (is_timed && !(options_.shield && is_planted("core: a shielded scope has no time-out"))) {
    const time_point now = on.now();
    start_deadline(now + options_.timeout, now);
  }
}

scope::~scope() {
  WEIR_ASSERT(stats_.live == 0);  // (1)
  WEIR_ASSERT(!first_child_ && "scopes end inside out");
  WEIR_ASSERT(!errors_);
  loop_->remove_timer(deadline_timer_);
  if (parent_) parent_->unlink_scope(*this);
}

void scope::link_scope(scope& inner) noexcept {
  inner.prev_sibling_ = nullptr;
  inner.next_sibling_ = first_child_;
  if (first_child_) first_child_->prev_sibling_ = &inner;
  first_child_ = &inner;
}

void scope::unlink_scope(scope& inner) noexcept {
  (inner.prev_sibling_ ? inner.prev_sibling_->next_sibling_ : first_child_) = inner.next_sibling_;
  if (inner.next_sibling_) inner.next_sibling_->prev_sibling_ = inner.prev_sibling_;
}

scope* scope::current() noexcept {
  loop* on = loop::current();
  return on && on->running() ? on->running()->current : nullptr;
}

void scope::refuse() const {
  if (is_closed_) raise(error(errc::closed, "spawn: the scope has ended"));
  raise(
      error(errc::full, "spawn: the scope has tasks_max live tasks; use spawn_when_room to wait"));
}

void scope::add(detail::task_header& child, detail::frame_base& body) noexcept {
  child.current = this;
  child.leaf = reinterpret_cast<std::uintptr_t>(&body);
  body.parent = detail::as_parent(&child);
  link(child);
  ++stats_.spawned;
  loop_->note_spawned(child);
  loop_->make_ready(child);
}

scope& scope::home_of(const detail::task_header& task) noexcept {
  scope* home = task.current;
  while (home->host_ == &task) home = home->parent_;
  return *home;
}

void scope::link(detail::task_header& child) noexcept {
  child.prev_in_scope = last_task_;
  child.next_in_scope = nullptr;
  (last_task_ ? last_task_->next_in_scope : first_task_) = &child;
  last_task_ = &child;
  ++stats_.live;
}

void scope::unlink(detail::task_header& child) noexcept {
  (child.prev_in_scope ? child.prev_in_scope->next_in_scope : first_task_) = child.next_in_scope;
  (child.next_in_scope ? child.next_in_scope->prev_in_scope : last_task_) = child.prev_in_scope;
  --stats_.live;
}

void scope::remove(detail::task_header& child) noexcept {
  unlink(child);
  loop_->note_exited(child);
  if (!line_.is_empty() || owner_waits_) wake_waiters();
}

bool scope::is_join_over() const noexcept {
  if (is_planted("core: join() passes one task early")) return stats_.live <= 1;
  return stats_.live == 0;
}

// A freed place is given to the task that has waited longest for one: from then on it counts as
// taken, so nobody who comes later can have it. An empty scope wakes all that wait for its end.
void scope::wake_waiters() noexcept {
  const auto can_one_go_on = [this] {
    return (joins_in_line_ != 0 && is_join_over()) || (rooms_in_line_ != 0 && has_room());
  };
  for (auto at = line_.begin(); at != line_.end() && can_one_go_on();) {
    detail::room_wait& one = *at;
    ++at;
    if (one.can_go_on()) {
      one.leave();
      one.go_on();
      one.complete();
    } else if (is_planted("core: a task in join() holds up those who wait for room")) {
      break;
    }
  }
  if (owner_waits_ && !is_closed_ && stats_.live == 0 && places_given_ == 0) {
    is_closed_ = true;
    host_->waits_for()->complete();
  }
}

void scope::take_failure(detail::task_header& from, std::exception_ptr failure,
                         failure_policy policy) noexcept {
  ++stats_.failed;
  if (errors_ && is_planted("core: a scope keeps its first error only")) return;
  // The body may have awaited a child by its handle: the child's error is in the group already.
  if (policy == collect && &from == host_ && errors_ && errors_->has(failure)) return;
  detail::failure one = detail::failure_of(from, std::move(failure), options_.name);
  if (policy == failure_policy::report) {
    detail::report_failure(std::move(one));
    return;
  }
  detail::ensured(errors_).add(std::move(one));
  if (policy == failure_policy::collect) return;
  cancel({.kind = cancel_kind::sibling,
          .text = "a task of the scope failed",
          .place = from.here,
          .task = from.id});
}

void scope::cancel(const char* text, std::source_location place) noexcept {
  detail::task_header* caller = loop_->running();
  cancel(
      {.kind = cancel_kind::user, .text = text, .place = place, .task = caller ? caller->id : 0});
}

namespace {
// A deadline that passes has no task and no place.
void log_cancellation(const char* scope, const cancel_reason& of) noexcept {
  const log::field begin[] = {{"scope", scope}, {"kind", weir::name(of.kind)}, {"reason", of.text}};
  const log::field task("by_task", of.task);
  const log::field file("file", of.place.file_name());
  const log::field line("line", of.place.line());
  const bool has_place = of.place.line() != 0;
  if (of.task != 0 && has_place) {
    log::debug("scope cancelled", {begin[0], begin[1], begin[2], task, file, line});
  } else if (has_place) {
    log::debug("scope cancelled", {begin[0], begin[1], begin[2], file, line});
  } else if (of.task != 0) {
    log::debug("scope cancelled", {begin[0], begin[1], begin[2], task});
  } else {
    log::debug("scope cancelled", {begin[0], begin[1], begin[2]});
  }
}
}  // namespace

void scope::cancel(cancel_reason reason) noexcept {
  make_sure_of_thread(*this);
  if (cancel_called_) return;
  cancel_called_ = true;
  reason_ = reason;
  if (log::is_on(log::level::debug)) {
    detail::logged_scope = this;  // it matters which request was cut short, not which one did it
    log_cancellation(options_.name, reason);
    detail::logged_scope = nullptr;
  }
  if (!cancelled_) propagate();
}

// Marks this scope and what is inside as cancelled and ends the waits there. No user code runs in
// here: waits only leave their resources and make their tasks ready.
void scope::propagate() noexcept {
  cancelled_ = true;  // (2)
  if (host_) deliver(*host_);
  for (detail::task_header* t = first_task_; t; t = t->next_in_scope) deliver(*t);
  if (is_planted("core: a cancellation does not reach scopes in scopes")) return;
  for (scope* inner = first_child_; inner; inner = inner->next_sibling_) {
    const bool is_shielded =
        inner->options_.shield && !is_planted("core: a cancellation passes a shield");
    if (!is_shielded && !inner->cancelled_) inner->propagate();
  }
}

void scope::deliver(detail::task_header& task) noexcept {
  detail::wait* waiting = task.waits_for();
  if (waiting && task.current->cancelled_ && waiting->kind->cancel) waiting->kind->cancel(*waiting);
  const bool is_woken = task.state == detail::task_state::ready && task.resumes != 0;
  if (is_woken && is_planted("core: a cancellation ends a task that has its result already"))
    task.is_unwinding = task.current->cancelled_;
}

void scope::set_deadline(time_point at) noexcept {
  make_sure_of_thread(*this);
  loop_->remove_timer(deadline_timer_);
  start_deadline(at, loop_->now());
}

void scope::start_deadline(time_point at, time_point now) noexcept {
  deadline_timer_.due = at;
  if (at == time_point::never()) return;
  if (at <= now) {
    cancel({.kind = cancel_kind::deadline, .text = "deadline passed"});
  } else {
    loop_->add_timer(deadline_timer_);
  }
}

void scope::set_shield(bool shield) noexcept {
  make_sure_of_thread(*this);
  options_.shield = shield;
  if (!parent_ || !parent_->cancelled_ || cancel_called_) return;
  if (!shield && !cancelled_) propagate();
  if (!shield || !cancelled_) return;
  // (2): what came from outside is kept out from here on, as if it had not come yet. Waits that it
  // has ended stay ended: their frames are on their way out.
  const auto retract = [](const auto& self, scope& from) noexcept -> void {
    from.cancelled_ = false;
    for (scope* inner = from.first_child_; inner; inner = inner->next_sibling_) {
      if (inner->cancelled_ && !inner->cancel_called_) self(self, *inner);
    }
  };
  retract(retract, *this);
}

cancel_reason scope::reason() const noexcept {
  if (!cancelled_) return {.kind = cancel_kind::none};
  const scope* from = this;
  while (!from->cancel_called_ && from->parent_) from = from->parent_;
  return from->reason_;
}

time_point scope::effective_deadline() const noexcept {
  time_point earliest = deadline();
  if (is_planted("core: the deadlines of outer scopes are not looked at")) return earliest;
  for (const scope* s = this; !s->options_.shield && s->parent_; s = s->parent_) {
    if (s->parent_->deadline() < earliest) earliest = s->parent_->deadline();
  }
  return earliest;
}

namespace detail {

void move_to_scope(task_header& task, scope& target) noexcept {
  scope& source = scope::home_of(task);
  WEIR_ASSERT(source.loop_ == target.loop_ && "a task stays on its loop");
  source.unlink(task);
  target.link(task);
  ++target.stats_.spawned;
  if (task.current == &source) task.current = &target;
  for (scope* inner = source.first_child_; inner;) {
    scope* following = inner->next_sibling_;
    if (inner->host_ == &task) {
      source.unlink_scope(*inner);
      target.link_scope(*inner);
      inner->parent_ = &target;
      if (target.cancelled_ && !inner->options_.shield && !inner->cancelled_) inner->propagate();
    }
    inner = following;
  }
  source.wake_waiters();
}

start_place::start_place(scope& in) : in_(&in) {
  make_sure_of_thread(in);
  in.make_sure_of_room();
  ++in.places_given_;
}

start_place::~start_place() {
  if (!in_) return;
  --in_->places_given_;
  in_->wake_waiters();
}

void start_place::give_to(task_header& child) noexcept {
  move_to_scope(child, *in_);
  --std::exchange(in_, nullptr)->places_given_;  // of the child's own it has one now
}

// A plain task: nothing but its frame is kept.
class plain_task final : public task_header {
 public:
  using task_header::task_header;
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }
  void destroy() noexcept override { delete this; }
};

task_header& start_task(scope& in, std::source_location place, frame_base* body) {
  make_sure_of_thread(in);
  try {
    in.make_sure_of_room();
    auto* made = new plain_task(place);
    in.add(*made, *body);
    return *made;
  } catch (...) {
    handle_of(body).destroy();
    throw;
  }
}

void start_task(scope& in, task_header& made, frame_base* body) {
  make_sure_of_thread(in);
  try {
    in.make_sure_of_room();
  } catch (...) {
    handle_of(body).destroy();
    throw;
  }
  in.add(made, *body);
}

std::coroutine_handle<> task_header::child_done(frame_base& body) noexcept {
  leaf = reinterpret_cast<std::uintptr_t>(&body);
  end = body.has_failed() ? task_end::failed : task_end::value;
  return finish();
}

std::coroutine_handle<> task_header::child_stopped(frame_base* body) noexcept {
  handle_of(body).destroy();
  leaf = 0;
  end = task_end::stopped;
  return finish();
}

// The task's last act: it leaves its scope, then whoever waits for it goes on.
std::coroutine_handle<> task_header::finish() noexcept {
  std::exception_ptr failure;
  if (end == task_end::failed) [[unlikely]]
    failure = body()->failure;
  if (references == 1) drop_body();  // nobody keeps a handle: the frame goes now
  state = task_state::done;
  scope& home = *current;
  WEIR_ASSERT(home.host_ != this);  // scopes opened by the task are closed
  home.stats_.cancelled += end == task_end::stopped;
  if (end == task_end::failed) [[unlikely]]
    home.take_failure(*this, std::move(failure), home.options_.failures);
  if (trace) free_error_trace(std::exchange(trace, nullptr));
  loop& on = *home.loop_;
  home.remove(*this);
  if (awaiter) awaiter->complete();
  release();
  return on.next_step();
}

namespace {

void leave_room_queue(wait& w) noexcept;
constexpr wait_kind room_kind{"room in a scope", &leave_room_queue};
constexpr wait_kind join_kind{"end of a scope's tasks", &leave_room_queue};
constexpr wait_kind exit_kind{"end of a scope",
                              nullptr};  // T16: leaving a scope can't be cancelled

}  // namespace

room_wait::room_wait(scope& s, bool for_end) noexcept
    : leaf_wait(for_end ? join_kind : room_kind), of(&s), is_for_end(for_end) {}

bool room_wait::can_go_on() const noexcept {
  return is_for_end ? of->is_join_over() : of->has_room();
}

void room_wait::go_on() noexcept {
  if (!is_for_end) ++of->places_given_;
}

bool room_wait::try_now() noexcept {
  if (!can_go_on() || (!is_for_end && of->rooms_in_line_ != 0)) return false;
  go_on();
  return true;
}

void room_wait::enlist() noexcept {
  of->line_.push_back(*this);
  ++(is_for_end ? of->joins_in_line_ : of->rooms_in_line_);
}

void room_wait::leave() noexcept {
  unlink();
  --(is_for_end ? of->joins_in_line_ : of->rooms_in_line_);
}

namespace {
void leave_room_queue(wait& w) noexcept {
  auto& self = static_cast<room_wait&>(w);
  self.leave();
  self.complete_cancelled();
}
}  // namespace

scope_frame::exit_wait::exit_wait() noexcept : wait(exit_kind) {}

scope& scope_frame::enter() noexcept {
  scope* outer = owner_->current;
  ::new (static_cast<void*>(&scope_)) scope(outer->on(), outer, owner_, options_);
  owner_->current = &scope_;
  return scope_;
}

std::coroutine_handle<> scope_frame::fail_at_start(std::exception_ptr failure) noexcept {
  scope_.take_failure(*owner_, std::move(failure), scope_.policy_of_body());
  return after_body();
}

std::coroutine_handle<> scope_frame::child_done(frame_base& body) noexcept {
  if (body.has_failed()) [[unlikely]] {
    std::exception_ptr failure = body.failure;
    scope_.take_failure(*owner_, std::move(failure), scope_.policy_of_body());
  }
  return after_body();
}

std::coroutine_handle<> scope_frame::child_stopped(frame_base*) noexcept {
  destroy_body();
  is_stopped_ = true;
  return after_body();
}

std::coroutine_handle<> scope_frame::after_body() noexcept {
  if (scope_.stats_.live == 0 && scope_.places_given_ == 0) return finish();
  scope_.owner_waits_ = true;
  exit_.task = owner_;
  owner_->leaf = as_parent(this);
  exit_.begin();
  return next_step();
}

std::coroutine_handle<> scope_frame::finish() noexcept {
  owner_->current = scope_.parent_;
  if (scope_.cancel_called_) {
    end_ = {.reason = scope_.reason_,
            .has_ended_work = is_stopped_ || scope_.stats_.cancelled != 0};
  }
  if (scope_.errors_) {
    failure_ = std::make_exception_ptr(error_group(std::exchange(scope_.errors_, nullptr)));
  }
  // A body that had its value before an outer cancellation ended its children is cut short, too:
  // whoever goes on with that value would take their work for done.
  const bool are_children_cut = scope_.cancelled_ && scope_.stats_.cancelled != 0;
  const bool passes_on = (is_stopped_ || are_children_cut) && !end_.is_cancel_called() && !failure_;
  scope_.is_closed_ =
      true;  // for a reference that was kept: as long as the memory is not another's
  scope_.~scope();
  if (passes_on) return unwind_above(*this);
  return resume_above();
}

bool scope_frame::is_body_cut() {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  return is_stopped_ || (end_.reason.kind == cancel_kind::deadline && end_.has_ended_work);
}

namespace {

const frame_base* awaiting(const frame_base& frame) noexcept {
  if (!frame.parent_is_boundary()) return frame.parent_frame();
  boundary* const above = frame.parent_boundary();
  return above == running_task ? nullptr : static_cast<inner_boundary*>(above)->above;
}

// The first place of the program from a frame on outwards: with_timeout() and the like have frames
// of their own, whose place says nothing.
std::source_location place_from(const frame_base* at, std::source_location otherwise) noexcept {
  for (; at; at = awaiting(*at)) {
    if (!std::string_view(at->here.file_name()).ends_with("core/detail/with_scope_impl.hpp"))
      return at->here;
  }
  return otherwise;
}

// It runs, so it is a frame.
const frame_base* running_frame() noexcept {
  return reinterpret_cast<const frame_base*>(running_leaf);
}

// Where the program awaits what was cut short.
std::source_location place_of_await() noexcept {
  return place_from(running_frame(), std::source_location::current());
}

}  // namespace

std::source_location awaited_at() noexcept {
  return place_from(awaiting(*running_frame()), running_task->here);
}

namespace {
// A scope's deadline may have been moved; that of with_timeout() is its length. Without memory the
// code is enough, as in error.
std::string lateness(const scope_options& of) noexcept {
  try {
    if (of.name != timeout_name) return "the scope's deadline passed";
    return "not done within " + format_duration(of.timeout);
  } catch (const std::bad_alloc&) {
    return {};
  }
}
}  // namespace

void raise_cut_short(const cancel_reason& reason, const scope_options& of) {
  if (reason.kind == cancel_kind::deadline)
    raise(error(errc::timed_out, lateness(of), place_of_await()));
  std::string text = "the scope was cancelled";
  if (reason.task != 0) (text += " by task ") += std::to_string(reason.task);
  if (reason.text && *reason.text) (text += ": ") += reason.text;
  raise(error(errc::cancelled, text, reason.place));
}

}  // namespace detail
}  // namespace weir

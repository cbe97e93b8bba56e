#include <weir/core/scope.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/error_trace.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/core/with_scope.hpp>

#include <string>
#include <utility>

namespace weir {

scope::scope(loop& on, scope* parent, detail::task_header* host, scope_options options) noexcept
    : loop_(&on), parent_(parent), host_(host), options_(options) {
  deadline_timer_.due = time_point::never();
  deadline_timer_.owner = this;
  deadline_timer_.fire = [](detail::timer& t) noexcept {
    static_cast<deadline_timer&>(t).owner->cancel(
        {.kind = cancel_kind::deadline, .text = "deadline passed"});
  };
  if (parent_) {
    parent_->link_scope(*this);
    cancelled_ = parent_->cancelled_ && !options_.shield;  // (2)
  }
  if (options_.timeout != duration::max()) set_deadline(on.now() + options_.timeout);
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

void scope::add(detail::task_header& child, std::source_location place) {
  if (!has_room()) {
    raise(error(errc::full,
                "spawn: the scope has tasks_max live tasks; use spawn_when_room to wait"));
  }
  if (is_closed_) raise(error(errc::closed, "spawn: the scope has ended"));
  child.home = this;
  child.current = this;
  child.owner = &child;
  child.here = place;
  link(child);
  ++stats_.spawned;
  loop_->note_spawned(child);
  loop_->make_ready(child);
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
  wake_waiters();
}

// A freed place is given to the task that has waited longest for one: from then on it counts as
// taken, so nobody who comes later can have it. An empty scope wakes all that wait for its end.
void scope::wake_waiters() noexcept {
  for (detail::room_wait** at = &waiters_; *at;) {
    detail::room_wait* one = *at;
    if (!one->can_go_on()) {
      at = &one->next;
      continue;
    }
    *at = one->next;
    one->go_on();
    one->complete();
  }
  if (owner_waits_ && !is_closed_ && stats_.live == 0 && places_given_ == 0) {
    is_closed_ = true;
    host_->waiting->complete();
  }
}

void scope::take_failure(detail::task_header& from, std::exception_ptr failure,
                         failure_policy policy) noexcept {
  ++stats_.failed;
  detail::failure one{.what = std::move(failure),
                      .trace = std::exchange(from.trace, nullptr),
                      .task = from.id,
                      .spawned_at = from.here,
                      .scope = options_.name};
  if (policy == failure_policy::report) {
    detail::error_list* list = detail::make_error_list();
    if (!list) std::terminate();  // an error that can't even be reported must not pass unheard
    std::exception_ptr what = one.what;
    list->add(std::move(one));
    const error_group group(list);
    detail::report_unhandled({.text = group.what(), .what = what, .is_report = true});
    return;
  }
  if (!errors_) errors_ = detail::make_error_list();
  if (!errors_) std::terminate();
  errors_->add(std::move(one));
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

void scope::cancel(cancel_reason reason) noexcept {
  if (cancel_called_) return;
  cancel_called_ = true;
  reason_ = reason;
  if (!cancelled_) propagate();
}

// Marks this scope and what is inside as cancelled and ends the waits there. No user code runs in
// here: waits only leave their resources and make their tasks ready.
void scope::propagate() noexcept {
  cancelled_ = true;  // (2)
  if (host_) deliver(*host_);
  for (detail::task_header* t = first_task_; t; t = t->next_in_scope) deliver(*t);
  for (scope* inner = first_child_; inner; inner = inner->next_sibling_) {
    if (!inner->options_.shield && !inner->cancelled_) inner->propagate();
  }
}

void scope::deliver(detail::task_header& task) noexcept {
  if (task.waiting && task.current->cancelled_ && task.waiting->kind->cancel) {
    task.waiting->kind->cancel(*task.waiting);
  }
}

void scope::set_deadline(time_point at) noexcept {
  loop_->remove_timer(deadline_timer_);
  deadline_timer_.due = at;
  if (at == time_point::never()) return;
  if (at <= loop_->now()) {
    cancel({.kind = cancel_kind::deadline, .text = "deadline passed"});
  } else {
    loop_->add_timer(deadline_timer_);
  }
}

void scope::set_shield(bool shield) noexcept {
  options_.shield = shield;
  if (!shield && parent_ && parent_->cancelled_ && !cancelled_) propagate();
}

cancel_reason scope::reason() const noexcept {
  if (!cancelled_) return {.kind = cancel_kind::none};
  const scope* from = this;
  while (!from->cancel_called_ && from->parent_) from = from->parent_;
  return from->reason_;
}

time_point scope::effective_deadline() const noexcept {
  time_point earliest = deadline();
  for (const scope* s = this; !s->options_.shield && s->parent_; s = s->parent_) {
    if (s->parent_->deadline() < earliest) earliest = s->parent_->deadline();
  }
  return earliest;
}

namespace detail {

void move_to_scope(task_header& task, scope& target) noexcept {
  scope& source = *task.home;
  WEIR_ASSERT(source.loop_ == target.loop_ && "a task stays on its loop");
  source.unlink(task);
  target.link(task);
  ++target.stats_.spawned;
  task.home = &target;
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

void leave_scope(task_header& ended, std::exception_ptr failure) noexcept {
  ended.state = task_state::done;
  WEIR_ASSERT(ended.current == ended.home);  // scopes opened by the task are closed
  if (failure) ended.home->take_failure(ended, std::move(failure), ended.home->options_.failures);
  if (ended.trace) free_error_trace(std::exchange(ended.trace, nullptr));
  ended.home->remove(ended);
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
  return is_for_end ? of->stats_.live == 0 : of->has_room();
}

void room_wait::go_on() noexcept {
  if (!is_for_end) ++of->places_given_;
}

bool room_wait::try_now() noexcept {
  bool is_first = true;
  for (const room_wait* one = of->waiters_; one; one = one->next) {
    is_first = is_first && one->is_for_end;
  }
  if (!can_go_on() || (!is_for_end && !is_first)) return false;
  go_on();
  return true;
}

void room_wait::enlist() noexcept {
  room_wait** last = &of->waiters_;
  while (*last) last = &(*last)->next;
  *last = this;
}

namespace {
void leave_room_queue(wait& w) noexcept {
  auto& self = static_cast<room_wait&>(w);
  room_wait** at = room_wait::queue_of(*self.of);
  while (*at != &self) at = &(*at)->next;
  *at = self.next;
  self.complete_cancelled();
}
}  // namespace

room_wait** room_wait::queue_of(scope& s) noexcept { return &s.waiters_; }

scope_frame::exit_wait::exit_wait() noexcept : wait(exit_kind) {}

scope& scope_frame::enter() noexcept {
  scope* outer = owner->current;
  ::new (static_cast<void*>(&scope_)) scope(outer->on(), outer, owner, options_);
  owner->current = &scope_;
  return scope_;
}

std::coroutine_handle<> scope_frame::fail_at_start(std::exception_ptr failure) noexcept {
  scope_.take_failure(*owner, std::move(failure), failure_policy::fail_fast);
  return after_body();
}

std::coroutine_handle<> scope_frame::child_done() noexcept {
  if (std::exception_ptr failure = body_failure())
    scope_.take_failure(*owner, std::move(failure), failure_policy::fail_fast);
  return after_body();
}

std::coroutine_handle<> scope_frame::child_stopped() noexcept {
  destroy_body();
  is_stopped_ = true;
  return after_body();
}

std::coroutine_handle<> scope_frame::after_body() noexcept {
  if (scope_.stats_.live == 0 && scope_.places_given_ == 0) return finish();
  scope_.owner_waits_ = true;
  exit_.task = owner;
  owner->leaf = as_parent(this);
  exit_.begin();
  return std::noop_coroutine();
}

std::coroutine_handle<> scope_frame::finish() noexcept {
  owner->current = scope_.parent_;
  reason_ = scope_.cancel_called_ ? scope_.reason_ : cancel_reason{.kind = cancel_kind::none};
  if (scope_.errors_) {
    failure_ = std::make_exception_ptr(error_group(std::exchange(scope_.errors_, nullptr)));
  }
  const bool passes_on = is_stopped_ && reason_.kind == cancel_kind::none && !failure_;
  scope_.~scope();
  if (passes_on) return unwind_above(*this);
  return handle_of(parent_frame());
}

bool scope_frame::was_cut_short() {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  return is_stopped_;
}

void raise_cut_short(const cancel_reason& reason) {
  if (reason.kind == cancel_kind::deadline)
    raise(error(errc::timed_out, "the scope's deadline passed"));
  std::string text = "the scope was cancelled";
  if (reason.task != 0) (text += " by task ") += std::to_string(reason.task);
  if (reason.text && *reason.text) (text += ": ") += reason.text;
  raise(error(errc::cancelled, text, reason.place));
}

void rethrow_single(const std::exception& group) {
  if (const auto* errors = dynamic_cast<const error_group*>(&group);
      errors && errors->size() == 1) {
    std::rethrow_exception(errors->first());
  }
  throw;  // NOLINT: called while the exception is handled
}

}  // namespace detail
}  // namespace weir

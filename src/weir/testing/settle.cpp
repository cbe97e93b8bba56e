#include <weir/testing/settle.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/sim/explored_schedule.hpp>

namespace weir::testing::detail {

static_assert(settle_steps_max > explored_schedule::fair_after, "a starved task has its turn");

constinit const weir::detail::wait_kind settle_wait::kind_{
    "quiet", &settle_wait::leave, &settle_wait::describe,
    [](weir::detail::timer& t) noexcept { static_cast<settle_wait&>(t).is_due = true; }};

settle_wait::settle_wait(duration by, std::source_location place) noexcept
    : base(kind_), by_(by), place_(place) {
  WEIR_ASSERT(by.ns >= 0 && "advance() goes forward: time does not go back");
  loop* const on = loop::current();
  io_ = on ? dynamic_cast<virtual_driver*>(&on->io()) : nullptr;
  WEIR_ASSERT(io_ && "settle() and advance() are for tasks in a virtual run");
}

void settle_wait::enlist() noexcept {
  loop& on = task->current->on();
  io_->listen_for_quiet(*this);
  moment_ = on.now();
  steps_ = on.stats().steps;
  due = moment_ + by_;
  on.add_timer(*this);  // also for no time at all: it fires in the next turn
}

result<void> settle_wait::take() noexcept {
  if (failure_) return fail(*std::move(failure_));
  return {};
}

bool settle_wait::heard_turn() noexcept {
  loop& on = task->current->on();
  const std::uint64_t steps = on.stats().steps;
  if (const time_point now = on.now(); now != moment_) {
    moment_ = now;
    steps_ = steps;
  }
  if (steps - steps_ <= settle_steps_max) return false;
  weir::detail::string_sink text;
  text.put("not quiet: after ");
  text.put_number(settle_steps_max);
  text.put(" steps at one moment there is still something to do, and no time passes\n");
  weir::detail::print_task_tree(on, text);
  failure_.emplace(errc::full, text.text, place_);
  unlink();
  on.remove_timer(*this);
  complete();
  return true;
}

void settle_wait::leave(weir::detail::wait& w) noexcept {
  auto& self = static_cast<settle_wait&>(w);
  self.unlink();
  self.task->current->on().remove_timer(self);
  self.complete_cancelled();
}

void settle_wait::describe(const weir::detail::wait& w, weir::detail::text_sink& out) noexcept {
  const auto& self = static_cast<const settle_wait&>(w);
  if (self.is_due) return out.put("at this moment");
  out.put("with ");
  out.put_duration(self.due - self.task->current->on().now());
  out.put(" left");
}

}  // namespace weir::testing::detail

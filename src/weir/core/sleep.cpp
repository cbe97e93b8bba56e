#include <weir/core/sleep.hpp>

#include <weir/base/defect.hpp>

namespace weir::detail {

constinit const wait_kind sleep_wait::kind_{"sleep", &sleep_wait::leave, &sleep_wait::describe,
                                            [](timer& t) noexcept { t.complete(); }};

bool sleep_wait::try_now() noexcept {
  const time_point now = loop::current()->now();
  if (due.ns < 0) due = now + duration(-due.ns);
  return due <= now;
}

void sleep_wait::enlist() noexcept { loop::current()->add_timer(*this); }

void sleep_wait::leave(wait& w) noexcept {
  if (is_planted("core: a cancelled sleep sleeps on")) return;
  auto& self = static_cast<sleep_wait&>(w);
  self.task->current->on().remove_timer(self);
  self.complete_cancelled();
}

void sleep_wait::describe(const wait& w, text_sink& out) noexcept {
  const auto& self = static_cast<const sleep_wait&>(w);
  out.put("with ");
  out.put_duration(self.due - self.task->current->on().now());
  out.put(" left");
}

}  // namespace weir::detail

#include <weir/core/sleep.hpp>

namespace weir::detail {

constinit const wait_kind sleep_wait::kind_{"sleep", &sleep_wait::leave, &sleep_wait::describe};

bool sleep_wait::try_now() noexcept {
  const time_point now = task->current->on().now();
  if (length_.ns >= 0) due = now + length_;
  fire = [](timer& t) noexcept { static_cast<sleep_wait&>(t).complete(); };
  return due <= now;
}

void sleep_wait::enlist() noexcept { task->current->on().add_timer(*this); }

void sleep_wait::leave(wait& w) noexcept {
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

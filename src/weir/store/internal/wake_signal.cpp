#include <weir/store/internal/wake_signal.hpp>

namespace weir::detail {

constinit const wait_kind wake_wait::kind_{"work of the journal", &wake_wait::leave, nullptr,
                                           &wake_wait::time_is_over};

void wake_wait::time_is_over(timer& t) noexcept {
  auto& self = static_cast<wake_wait&>(t);
  self.of_->waiter_ = nullptr;
  self.complete();
}

bool wake_wait::try_now() noexcept {
  if (std::exchange(of_->is_set_, false)) return true;
  return due <= task->current->on().now();
}

void wake_wait::enlist() noexcept {
  of_->waiter_ = this;
  if (due != time_point::never()) task->current->on().add_timer(*this);
}

void wake_wait::withdraw() noexcept {
  if (due != time_point::never()) task->current->on().remove_timer(*this);
}

void wake_wait::end() noexcept {
  of_->is_set_ = false;
  withdraw();
  complete();
}

void wake_wait::leave(wait& w) noexcept {
  auto& self = static_cast<wake_wait&>(w);
  self.of_->waiter_ = nullptr;
  self.withdraw();
  self.complete_cancelled();
}

}  // namespace weir::detail

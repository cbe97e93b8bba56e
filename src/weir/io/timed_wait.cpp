#include <weir/io/timed_wait.hpp>

#include <weir/io/internal/file_sends.hpp>

#include <utility>

namespace weir::detail {

void wait_timer::set() noexcept {
  due = on->now() + limit;
  on_fire = [](timer& t) noexcept {
    auto& self = static_cast<wait_timer&>(t);
    if (self.waiting->is_cancel_asked) return;  // the scope was faster
    self.has_fired = true;
    self.on->io().cancel(*self.waiting);
  };
  on->add_timer(*this);
}

constinit const wait_kind timed_receive::kind_{"receive", &timed_receive::leave,
                                               &timed_receive::describe};
constinit const wait_kind timed_send::kind_{"send", &timed_send::leave, &timed_send::describe};

timed_receive::timed_receive(io_handle from, duration limit) noexcept : timed_wait(kind_, limit) {
  op = io_op::receive;
  handle = from;
}

result<received_outcome> timed_receive::take() noexcept {
  return received_outcome{.data = std::move(received), .failure = failure()};
}

timed_send::timed_send(io_handle to, std::span<const io_slice> pieces, duration limit,
                       std::size_t* sent) noexcept
    : timed_wait(kind_, limit), left_(pieces.data(), pieces.size()), sent_(sent) {
  op = io_op::send;
  handle = to;
}

bool timed_send::try_now() noexcept {
  if (left_.is_empty()) return true;
  look_for_file_sends(task->current->on().io(), handle);
  left_.load(*this);
  return timed_wait::try_now();
}

bool timed_send::goes_on() noexcept {
  if (outcome < 0) return false;
  left_.advance(static_cast<std::size_t>(outcome));
  if (sent_) *sent_ += static_cast<std::size_t>(outcome);
  if (left_.is_empty()) return false;
  left_.load(*this);
  return true;
}

result<sent_outcome> timed_send::take() noexcept { return sent_outcome{failure()}; }

}  // namespace weir::detail

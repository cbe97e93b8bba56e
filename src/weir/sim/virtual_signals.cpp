#include <weir/sim/virtual_signals.hpp>

#include <weir/base/assert.hpp>

#include <errno.h>
#include <signal.h>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

// The C library keeps two for itself.
bool can_be_caught(int number) noexcept {
  return number > 0 && number < virtual_signals::signals_max && number != SIGKILL &&
         number != SIGSTOP && (number < 32 || number > 33);
}

}  // namespace

bool virtual_signals::is_ignored_by_default(int number) noexcept {
  return number == SIGCHLD || number == SIGURG || number == SIGWINCH || number == SIGCONT;
}

bool virtual_signals::stops_by_default(int number) noexcept {
  return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

bool virtual_signals::wait(io_request& request) {
  const auto number = static_cast<int>(request.flags);
  if (!can_be_caught(number)) {
    request.outcome = -EINVAL;
    return true;
  }
  hear(number);
  if ((pending_ & bit(number)) != 0) {
    take(number);  // it is for those who have waited all along, too
    request.outcome = number;
    return true;
  }
  waits_.push_back(&request);
  return false;
}

bool virtual_signals::forget(io_request& request) { return std::erase(waits_, &request) != 0; }

void virtual_signals::raise(int number) {
  WEIR_ASSERT(number > 0 && number < signals_max);
  if ((pending_ & bit(number)) != 0) return;  // the two are one
  pending_ |= bit(number);
  for (io_request* request : waits_) {
    if (static_cast<int>(request->flags) == number) host_.finished(*request);  // (1)
  }
}

void virtual_signals::deliver(const io_request& request) {
  if (std::ranges::find(waits_, &request) != waits_.end()) take(static_cast<int>(request.flags));
}

void virtual_signals::take(int number) noexcept {
  pending_ &= ~bit(number);
  std::erase_if(waits_, [number](io_request* request) {
    const bool is_heard = static_cast<int>(request->flags) == number;
    if (is_heard) request->outcome = number;
    return is_heard;
  });
}

void virtual_signals::ignore(int number) noexcept {
  heard_ &= ~bit(number);
  if ((pending_ & bit(number)) != 0) take(number);
}

void virtual_signals::end_all(int code) {
  for (io_request* request : std::exchange(waits_, {})) {
    request->outcome = -code;
    host_.finished(*request);
  }
  pending_ = heard_ = 0;
}

}  // namespace weir

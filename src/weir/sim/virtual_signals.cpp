#include <weir/sim/virtual_signals.hpp>

#include <weir/base/assert.hpp>

#include <errno.h>

#include <cstddef>
#include <utility>

namespace weir {

bool virtual_signals::wait(io_request& request) {
  const auto number = static_cast<int>(request.flags);
  if (number <= 0 || number >= signals_max) {
    request.outcome = -EINVAL;
    return true;
  }
  hear(number);
  if ((pending_ & bit(number)) != 0) {
    pending_ &= ~bit(number);
    request.outcome = number;
    return true;
  }
  waits_.push_back(&request);
  return false;
}

bool virtual_signals::forget(io_request& request) { return std::erase(waits_, &request) != 0; }

void virtual_signals::raise(int number) {
  WEIR_ASSERT(number > 0 && number < signals_max);
  bool is_taken = false;
  for (std::size_t i = 0; i < waits_.size();) {
    io_request* request = waits_[i];
    if (static_cast<int>(request->flags) != number) {
      ++i;
      continue;
    }
    is_taken = true;
    waits_.erase(waits_.begin() + static_cast<std::ptrdiff_t>(i));
    request->outcome = number;
    host_.finished(*request);
  }
  if (!is_taken) pending_ |= bit(number);
}

void virtual_signals::end_all(int code) {
  for (io_request* request : std::exchange(waits_, {})) {
    request->outcome = -code;
    host_.finished(*request);
  }
  pending_ = heard_ = 0;
}

}  // namespace weir

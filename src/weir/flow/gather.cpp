#include <weir/flow/gather.hpp>

#include <weir/core/error_group.hpp>

#include <exception>
#include <vector>

namespace weir::detail {

void gather_part::source_settled() noexcept { whole->note_settled(*this); }

void gather_core::begin(gather_part* parts, std::size_t count) noexcept {
  parts_ = parts;
  count_ = count;
  keep();
  left_.store(count + 1, std::memory_order_relaxed);  // one more, so that none is the last yet
  for (std::size_t i = 0; i < count; ++i) {
    parts[i].whole = this;
    if (is_claimed()) {
      parts[i].source->note_heard();
      note_part();
    } else if (!parts[i].source->listen(parts[i])) {
      note_settled(parts[i]);
    }
  }
  if (is_claimed()) leave_pending();  // by another thread meanwhile: it saw those before
  note_part();
}

void gather_core::note_settled(gather_part& which) noexcept {
  const bool was_decided = is_claimed();
  one_settled(which);
  if (!was_decided && is_claimed()) leave_pending();
  note_part();
}

// Each is counted once: it leaves the line of its source, or hears of its end. The sources stay
// until the last has been counted, so whoever looks finds them; the caller's own is still owed.
void gather_core::leave_pending() noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    if (!parts_[i].source->leave(parts_[i])) continue;
    parts_[i].source->note_heard();
    note_part();
  }
}

void gather_core::note_part() noexcept {
  if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  all_were_settled();
  for (std::size_t i = 0; i < count_; ++i) std::exchange(parts_[i].source, nullptr)->drop();
  drop();
}

std::exception_ptr group_of(gather_part* parts, std::size_t count) noexcept {
  try {
    std::vector<std::exception_ptr> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(parts[i].source->hear_failure());
    throw error_group::of(all.data(), all.size(), "any");
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace weir::detail

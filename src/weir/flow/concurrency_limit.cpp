#include <weir/flow/concurrency_limit.hpp>

#include <weir/base/error.hpp>
#include <weir/core/loop.hpp>
#include <weir/flow/detail/clock_here.hpp>

#include <utility>

namespace weir::detail {

namespace {

bool is_overload(const call_failure& what) noexcept {
  switch (what.code()) {
    case errc::timed_out:
    case errc::refused:
    case errc::full:
    case errc::busy:
      return true;
    default:
      return false;
  }
}

}  // namespace

slots_options slots_of(const limit_options& options, std::uint32_t limit) {
  return checked("concurrency_limit", {.name = options.name,
                                       .limit = limit,
                                       .queue_max = options.queue_max,
                                       .wait_max = options.wait_max});
}

template <class Reach>
auto basic_concurrency_limit<Reach>::begin(call_place admitted) noexcept -> ticket {
  return {this, std::move(admitted), now_here()};
}

// The limit is set under the lock of what is learned, so that an older one does not come last.
template <class Reach>
void basic_concurrency_limit<Reach>::note(time_point begun, const call_failure* failure) noexcept {
  if (!learned_) return;
  const time_point now = now_here();
  typename Reach::wakes woken;
  const typename Reach::guard held(learning_);
  const std::uint32_t before = learned_->limit();
  if (!failure) {
    learned_->succeeded(now - begun, slots_.running());
  } else if (is_overload(*failure)) {
    learned_->overloaded(now);
  }
  if (learned_->limit() != before) slots_.set_limit(learned_->limit(), woken);
}

template class basic_concurrency_limit<one_loop>;
template class basic_concurrency_limit<many_loops>;

}  // namespace weir::detail

#include <weir/flow/concurrency_limit.hpp>

#include <weir/base/error.hpp>
#include <weir/core/loop.hpp>

namespace weir {

namespace {

detail::slots_options slots_of(const limit_options& options, std::uint32_t limit) {
  return detail::checked("concurrency_limit", {.name = options.name,
                                               .limit = limit,
                                               .queue_max = options.queue_max,
                                               .wait_max = options.wait_max});
}

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

concurrency_limit::concurrency_limit(limit_options options)
    : slots_(slots_of(options, options.calls_max)) {}

concurrency_limit::concurrency_limit(limit_options options, gradient_options adaptive)
    : slots_(slots_of(options, adaptive.limit_initial)), learned_(adaptive) {}

concurrency_limit::ticket concurrency_limit::begin(detail::call_slots::slot admitted) noexcept {
  return {this, std::move(admitted), loop::current()->now()};
}

void concurrency_limit::note(time_point begun, const call_failure* failure) noexcept {
  if (!learned_) return;
  const time_point now = loop::current()->now();
  if (!failure) {
    learned_->succeeded(now - begun, slots_.running());
  } else if (is_overload(*failure)) {
    learned_->overloaded(now);
  }
  slots_.set_limit(learned_->limit());
}

}  // namespace weir

#include <weir/flow/bulkhead.hpp>

#include <weir/base/error.hpp>

namespace weir {

namespace {

detail::slots_options slots_of(const bulkhead_options& options) {
  if (options.calls_max == 0 || options.wait_max < duration())
    raise(error(errc::invalid_argument,
                "bulkhead: calls_max must be above 0, and wait_max not negative"));
  return {.name = options.name,
          .limit = options.calls_max,
          .queue_max = options.queue_max,
          .wait_max = options.wait_max};
}

}  // namespace

bulkhead::bulkhead(bulkhead_options options) : slots_(slots_of(options)) {}

}  // namespace weir

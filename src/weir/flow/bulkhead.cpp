#include <weir/flow/bulkhead.hpp>

namespace weir::detail {

slots_options slots_of(const bulkhead_options& options) {
  return checked("bulkhead", {.name = options.name,
                              .limit = options.calls_max,
                              .queue_max = options.queue_max,
                              .wait_max = options.wait_max});
}

}  // namespace weir::detail

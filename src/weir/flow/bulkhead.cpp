#include <weir/flow/bulkhead.hpp>

namespace weir {

bulkhead::bulkhead(bulkhead_options options)
    : slots_(detail::checked("bulkhead", {.name = options.name,
                                          .limit = options.calls_max,
                                          .queue_max = options.queue_max,
                                          .wait_max = options.wait_max})) {}

}  // namespace weir

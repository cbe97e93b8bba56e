#include <weir/io/readiness.hpp>

namespace weir::detail {

constinit const wait_kind ready_wait::kind_{"readiness", &ready_wait::leave, &ready_wait::describe};

}  // namespace weir::detail

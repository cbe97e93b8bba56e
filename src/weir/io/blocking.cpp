#include <weir/io/blocking.hpp>

namespace weir::detail {

constinit const wait_kind blocking_wait::kind_{"blocking call", &blocking_wait::leave};

}  // namespace weir::detail

#include <weir/io/signals.hpp>

namespace weir::detail {

constinit const wait_kind signal_wait::kind_{"signal", &signal_wait::leave, &signal_wait::describe};

}  // namespace weir::detail

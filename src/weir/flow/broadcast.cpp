#include <weir/flow/broadcast.hpp>

namespace weir::detail {

void check_broadcast_capacity(std::size_t capacity) {
  if (capacity == 0)
    raise(
        error(errc::invalid_argument, "broadcast: a capacity of 0 would let nobody hear anything"));
}

}  // namespace weir::detail

#include <weir/flow/event_bus.hpp>

namespace weir {

void event_bus::check_room(std::size_t count, std::size_t count_max) {
  if (count >= count_max)
    raise(error(errc::full, "subscribe: the bus has topics_max topics; are they named by data?"));
}

}  // namespace weir

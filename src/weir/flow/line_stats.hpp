// What stands in line for an object of flow, as its stats() tell.
#pragma once

#include <cstddef>

namespace weir {

/// How many tasks wait for an object, for consoles and tests.
struct line_stats {
  std::size_t waiting = 0;
};

}  // namespace weir

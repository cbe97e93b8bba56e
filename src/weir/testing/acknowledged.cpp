#include <weir/testing/acknowledged.hpp>

#include <weir/testing/detail/fail_at.hpp>

#include <fmt/format.h>

#include <string>

namespace weir::testing {

void expect_acknowledged(const broker& of, std::source_location place) {
  for (const queue_view& queue : of.queues()) {
    if (queue.leased == 0) continue;
    const std::string text =
        fmt::format("queue {}: {} message{} taken and neither acknowledged nor given back",
                    queue.name, queue.leased, queue.leased == 1 ? " was" : "s were");
    detail::fail_at(place, text);
  }
}

}  // namespace weir::testing

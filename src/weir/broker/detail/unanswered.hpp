// What tests say of messages that were taken and have no answer.
#pragma once

#include <weir/broker/broker.hpp>

#include <fmt/format.h>

#include <string>

namespace weir::detail {

/// A line for each queue with messages on lease; empty: there is none.
inline std::string unanswered_text(const broker& of) {
  std::string text;
  for (const queue_view& queue : of.queues()) {
    if (queue.leased == 0) continue;
    text += fmt::format("{}queue {}: {} message{} taken and neither acknowledged nor given back",
                        text.empty() ? "" : "\n", queue.name, queue.leased,
                        queue.leased == 1 ? " was" : "s were");
  }
  return text;
}

}  // namespace weir::detail

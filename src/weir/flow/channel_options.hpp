// How a channel is made, and what it tells of itself.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir {

/// What a send does when the channel is full.
enum class overflow : std::uint8_t {
  wait,         // until there is room
  fail,         // raises `full`
  drop_newest,  // drops its own item
  drop_oldest,  // drops the item that was queued first
  latest,       // keeps the newest item only, whatever the capacity
};

/// What a channel holds and who waits on it, for consoles and tests.
struct channel_stats {
  std::size_t capacity = 0;
  std::size_t queued = 0;
  std::size_t senders = 0;
  std::size_t receivers = 0;
  std::size_t sends_waiting = 0;
  std::size_t receives_waiting = 0;
  std::uint64_t dropped = 0;  // by the overflow policy
};

struct channel_options {
  std::size_t capacity = 0;
  overflow when_full = overflow::wait;
  const char* name = "channel";  // a literal: it is not copied
};

}  // namespace weir

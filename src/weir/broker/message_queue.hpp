// One queue as the broker's state holds it: its settings, the orders of its messages by state, and
// counts that must equal a full scan at any time (the audit does that scan).
#pragma once

#include <weir/base/time.hpp>
#include <weir/broker/broker_command.hpp>
#include <weir/broker/message.hpp>
#include <weir/broker/queue_settings.hpp>
#include <weir/broker/spare_nodes.hpp>

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

namespace weir::detail {

/// When queues have work, by time.
using wake_set = std::set<std::pair<std::int64_t, std::uint32_t>>;

struct message_queue {
  std::uint32_t number = 0;
  std::string name;
  queue_settings settings;
  time_point created;
  bool is_deleted = false;  // its name is free again; its messages are freed step by step

  std::array<due_order, priority_max + 1> ready;  // by sequence: a returned one gets its old place
  std::uint32_t ready_priorities = 0;             // bit p: ready[p] has messages
  due_order delayed;
  due_order leased;
  due_order ended;
  expiry_order expiring;  // ready and delayed messages with an end of life

  std::array<std::uint64_t, message_states> counts{};
  std::uint64_t held_dead_letters = 0;  // dead letters of any queue that lie here
  std::uint64_t bytes = 0;
  queue_totals totals;
  std::int64_t wake = INT64_MAX;  // not later than the next moment with work to do
  wake_set::node_type idle_wake = made_node<wake_set>();  // while there is no wake

  std::uint64_t& count(message_state state) noexcept {
    return counts[static_cast<std::size_t>(state)];
  }
  std::uint64_t count(message_state state) const noexcept {
    return counts[static_cast<std::size_t>(state)];
  }
  /// Messages on their way: what the capacity bounds.
  std::uint64_t messages() const noexcept {
    return count(message_state::ready) + count(message_state::delayed) +
           count(message_state::leased);
  }
  due_order& order_of(const message& of) noexcept {
    switch (of.state()) {
      case message_state::ready:
        return ready[of.priority()];
      case message_state::delayed:
        return delayed;
      case message_state::leased:
        return leased;
      default:
        return ended;
    }
  }
};

}  // namespace weir::detail

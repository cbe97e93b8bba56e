// The broker's index entry of a message: 72 bytes, whatever the size of its body, which stays on
// disk. Ten million queued messages so take 720 MB, and 67 MB more for finding them by id.
#pragma once

#include <weir/base/time.hpp>
#include <weir/broker/ordered_slots.hpp>
#include <weir/broker/slab.hpp>
#include <weir/broker/slot_table.hpp>
#include <weir/store/location.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

/// Where a message stands. The first three are on their way; the others have ended and are kept
/// until their retention is over. A dead letter that lies in a dead-letter queue is on its way
/// there, and users see it as dead.
enum class message_state : std::uint8_t { ready, delayed, leased, done, expired, dead };
constexpr std::size_t message_states = 6;

std::string_view name(message_state state) noexcept;
constexpr bool has_ended(message_state state) noexcept { return state >= message_state::done; }

constexpr unsigned priority_max = 9;

namespace detail {

constexpr std::int64_t ns_per_ms = 1'000'000;

/// One message. Times of which milliseconds are enough share words with small numbers.
struct message {
  std::uint64_t sequence = 0;  // 0 in a free slot
  std::int64_t due = 0;        // delayed: when ready; leased: its end; ended: until when kept
  std::uint64_t word_a = 0;    // 0-47 submitted, ms; 48-51 priority; 52-55 state; 56-63 flags
  std::uint64_t word_b = 0;    // 0-47 expires, ms, 0 for never; 48-63 attempts
  location where;              // of the body while on its way, of the result when ended
  std::uint32_t body_bytes = 0;
  slot_links order;   // in its queue's order by state
  slot_links expiry;  // in its queue's order by end of life
  std::uint32_t queue = 0;
  std::uint32_t leases = 0;  // leases so far; never goes back, unlike the attempts

  /// was_moved: the compactor wrote it again, so it was on disk before its new place is.
  enum flag : unsigned { order_straggler = 56, expiry_straggler, has_note, wants_reply, was_moved };

  std::uint64_t table_key() const noexcept { return sequence; }
  std::uint32_t& free_link() noexcept { return order.left; }

  message_state state() const noexcept { return static_cast<message_state>(word_a >> 52 & 15); }
  unsigned priority() const noexcept { return static_cast<unsigned>(word_a >> 48 & 15); }
  std::uint16_t attempts() const noexcept { return static_cast<std::uint16_t>(word_b >> 48); }
  bool is(flag which) const noexcept { return (word_a >> which & 1) != 0; }
  time_point submitted() const noexcept {
    return time_point(static_cast<std::int64_t>(word_a & time_mask) * ns_per_ms);
  }
  /// never() when the message has no end of life.
  time_point expires() const noexcept {
    const std::uint64_t ms = word_b & time_mask;
    return ms == 0 ? time_point::never() : time_point(static_cast<std::int64_t>(ms) * ns_per_ms);
  }
  bool has_expiry() const noexcept { return (word_b & time_mask) != 0; }
  /// False when one of the times is beyond what a time_point holds.
  bool has_possible_times() const noexcept {
    return (word_a & time_mask) <= time_ms_max && (word_b & time_mask) <= time_ms_max;
  }

  void set_state(message_state state) noexcept {
    word_a = (word_a & ~(std::uint64_t(15) << 52)) | static_cast<std::uint64_t>(state) << 52;
  }
  void set_priority(unsigned priority) noexcept {
    word_a = (word_a & ~(std::uint64_t(15) << 48)) | std::uint64_t(priority & 15) << 48;
  }
  void set_attempts(std::uint32_t attempts) noexcept {
    const std::uint64_t kept = attempts < 65'535 ? attempts : 65'535;
    word_b = (word_b & time_mask) | kept << 48;
  }
  void set(flag which, bool value) noexcept {
    word_a = (word_a & ~(std::uint64_t(1) << which)) | std::uint64_t(value) << which;
  }
  /// Rounds down: a message is never younger than it says. What a clock before 1970 says is 1970.
  void set_submitted(time_point at) noexcept {
    const std::int64_t ns = std::max<std::int64_t>(at.ns, 0);
    word_a = (word_a & ~time_mask) | static_cast<std::uint64_t>(ns / ns_per_ms);
  }
  /// Rounds up: a message never ends early. never() is no end.
  void set_expires(time_point at) noexcept {
    const std::int64_t ns = std::max<std::int64_t>(at.ns, 1);
    const std::uint64_t ms =
        at == time_point::never() ? 0 : static_cast<std::uint64_t>((ns - 1) / ns_per_ms + 1);
    word_b = (word_b & ~time_mask) | (std::min(ms, time_ms_max) & time_mask);
  }

 private:
  static constexpr std::uint64_t time_mask = (std::uint64_t(1) << 48) - 1;
  static constexpr std::uint64_t time_ms_max = INT64_MAX / ns_per_ms;  // in the year 2262
};
static_assert(sizeof(message) == 72, "ten million messages must fit into 1 GiB");

using message_slab = slab<message>;
using message_table = slot_table<message_slab>;

/// Ready messages by sequence (their due is 0), all others by due time.
struct by_due {
  static slot_key key(const message& of) noexcept { return {of.due, of.sequence}; }
  static slot_links& links(message& of) noexcept { return of.order; }
  static const slot_links& links(const message& of) noexcept { return of.order; }
  static bool is_straggler(const message& of) noexcept { return of.is(message::order_straggler); }
  static void set_straggler(message& of, bool value) noexcept {
    of.set(message::order_straggler, value);
  }
};

/// Messages on their way that have an end of life, by that.
struct by_expiry {
  static slot_key key(const message& of) noexcept { return {of.expires().ns, of.sequence}; }
  static slot_links& links(message& of) noexcept { return of.expiry; }
  static const slot_links& links(const message& of) noexcept { return of.expiry; }
  static bool is_straggler(const message& of) noexcept { return of.is(message::expiry_straggler); }
  static void set_straggler(message& of, bool value) noexcept {
    of.set(message::expiry_straggler, value);
  }
};

using due_order = ordered_slots<message_slab, by_due>;
using expiry_order = ordered_slots<message_slab, by_expiry>;

}  // namespace detail
}  // namespace weir

// Idempotency keys: a key that was used on a queue within its window names the message it made.
// The hard idea: keys come from outside and may be long, so only a keyed 128-bit digest is kept,
// in 48 bytes; two keys with one digest would need 2^64 keys.
#pragma once

#include <weir/base/hash.hpp>
#include <weir/base/time.hpp>
#include <weir/broker/ordered_slots.hpp>
#include <weir/broker/slab.hpp>
#include <weir/broker/slot_table.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::detail {

struct key_digest {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  auto operator<=>(const key_digest&) const = default;
};

/// The digest of a key used on a queue.
key_digest digest_of(hash_key secret, std::uint32_t queue, std::string_view key);

struct used_key {
  std::uint64_t sequence = 0;  // of the message that the key made; 0 in a free slot
  key_digest digest;
  std::int64_t until = 0;
  slot_links order;
  bool is_straggler = false;

  std::uint64_t table_key() const noexcept { return digest.first; }
  std::uint32_t& free_link() noexcept { return order.left; }
};

/// The keys within their windows.
///
/// Cancel:  plain data structure, no waits.
/// Order:   keys are forgotten in the order of their ends.
/// Bound:   the caller refuses new keys beyond broker_limits::keys_max.
/// Errors:  std::bad_alloc from remember().
/// Threads: one loop.
class key_book {
 public:
  /// The message made by the key, when its window is not over at `now`.
  std::optional<std::uint64_t> find(key_digest digest, time_point now) const noexcept;
  /// Memory for `count` keys more, so that as many calls of remember() don't fail.
  void make_room(std::size_t count) {
    slab_.make_room(count);
    table_.make_room(count);
  }
  /// The key names this message from now on.
  void remember(key_digest digest, std::uint64_t sequence, time_point until);
  /// Frees keys whose window is over: at most `max` of them.
  void forget_until(time_point now, std::size_t max) noexcept;

  std::size_t size() const noexcept { return slab_.size(); }
  std::size_t memory_bytes() const noexcept { return slab_.memory_bytes() + table_.memory_bytes(); }
  const slab<used_key>& items() const noexcept { return slab_; }

 private:
  struct by_until {
    static slot_key key(const used_key& of) noexcept { return {of.until, of.sequence}; }
    static slot_links& links(used_key& of) noexcept { return of.order; }
    static const slot_links& links(const used_key& of) noexcept { return of.order; }
    static bool is_straggler(const used_key& of) noexcept { return of.is_straggler; }
    static void set_straggler(used_key& of, bool value) noexcept { of.is_straggler = value; }
  };

  slab<used_key> slab_;
  slot_table<slab<used_key>> table_;
  ordered_slots<slab<used_key>, by_until> order_;
};

}  // namespace weir::detail

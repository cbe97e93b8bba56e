// Memory for received bytes: blocks of 16 KiB and a bit, filled piece by piece and handed out as
// counted views. The hard idea: the next piece goes behind the last one in the same block, so that
// a thousand small messages that are kept pin a few blocks, not a thousand; and when all views of
// the block in use are gone, it is filled from its start again, while it is still in the cache.
#pragma once

#include <weir/base/buffer.hpp>

#include <cstddef>
#include <cstdint>

namespace weir::detail {

/// The received bytes of one loop.
///
/// Cancel:  no waits; a receive that finds no room waits in its driver.
/// Order:   none.
/// Bound:   blocks_max blocks; beyond it room() is empty until views are dropped.
/// Errors:  lack of memory looks like a reached bound.
/// Threads: one loop. Views may outlive the arena, on its thread.
class receive_arena {
 public:
  // Powers of two are what people send, and a receive that fills its room says nothing of what is
  // left: a message of 16 KiB and one cache line of room need no second look at the socket.
  static constexpr std::size_t block_bytes = 16 * 1024 + 64;
  static constexpr std::size_t piece_bytes_min = 4 * 1024;  // less room than this is left unused

  struct space {
    char* data = nullptr;
    std::size_t size = 0;
  };

  struct loan {
    char* data = nullptr;
    buffer_block* block = nullptr;
    explicit operator bool() const noexcept { return data != nullptr; }
  };

  explicit receive_arena(std::size_t blocks_max);
  receive_arena(const receive_arena&) = delete;
  receive_arena& operator=(const receive_arena&) = delete;
  ~receive_arena();

  /// Room for at least `size_min` bytes (at most block_bytes); empty at the bound.
  space room(std::size_t size_min = piece_bytes_min) noexcept;
  /// A view of the first `size` bytes of the last room().
  bytes take(std::size_t size) noexcept;
  /// A whole block for somebody who fills it later (a kernel's buffer ring); no data at the bound.
  loan lend() noexcept;
  /// A view of a lent block, which is then no longer lent: it comes back with its last view.
  static bytes take_lent(loan lent, std::size_t size) noexcept;
  static void give_back(loan lent) noexcept;
  /// True while room() would give some.
  bool has_room() const noexcept;
  std::size_t blocks_live() const noexcept;

 private:
  struct shared;
  struct block;
  static void release(buffer_block* freed) noexcept;
  block* new_block() noexcept;

  shared* shared_;
  block* filling_ = nullptr;
  std::size_t filled_ = 0;
};

}  // namespace weir::detail

// What a reader has received and nobody has taken yet. The hard idea: what lies in one received
// block is handed out as a view of it, without a copy; only an item that spans blocks is gathered,
// in a block of our own. Nothing is taken before an item is whole, so a cancelled read loses none.
#pragma once

#include <weir/base/buffer.hpp>

#include <cstddef>
#include <string_view>

namespace weir::detail {

/// A block on the heap, filled from its beginning.
struct heap_block : buffer_block {
  std::size_t capacity = 0;
  std::size_t used = 0;

  /// Raises std::bad_alloc.
  static heap_block* make(std::size_t capacity);
  char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
};

/// Bytes in a row.
///
/// Cancel:  plain value, no waits.
/// Order:   first in, first out.
/// Bound:   by its owner, who looks at size() before it adds.
/// Errors:  std::bad_alloc, which leaves it as it was; a piece that append() had no room for is
///          kept beside it until add_late().
/// Threads: one loop.
class read_buffer {
 public:
  std::string_view text() const noexcept { return have_.text(); }
  std::size_t size() const noexcept { return have_.size(); }

  /// Adds `piece` behind what is there. After an error it is late: add_late() before the next one.
  void append(bytes piece);
  /// Adds the piece that is late. False: none is.
  bool add_late();
  /// Puts `piece` before what is there.
  void put_back(bytes piece);
  /// Takes the first `count` bytes out; there are as many.
  bytes take(std::size_t count) noexcept;
  /// Lets a driver's block go that a few bytes would keep during a wait; they are copied.
  void settle();

 private:
  void move_to_own_block(std::size_t capacity);
  void add(const bytes& piece);

  bytes have_;
  bytes late_;
  heap_block* own_ = nullptr;  // under have_, when it is one of ours
};

}  // namespace weir::detail

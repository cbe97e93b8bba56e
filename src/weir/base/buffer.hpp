// Bytes in memory that somebody else may own. `bytes` is a counted view: it keeps the block under
// it alive and gives the block back to its maker (a driver's buffer ring, the heap) when the last
// view is dropped. The hard idea: received data is handed to the user without a copy, so the
// block's owner, not the view, decides what "free" means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

/// The head of a block of memory under counted views. Makers derive from it and set `release`.
struct buffer_block {
  std::uint32_t views = 0;
  void (*release)(buffer_block*) noexcept = nullptr;  // called when the last view is gone
};

/// A counted view of bytes.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   its size is fixed; the block under it is bounded by whoever made it.
/// Errors:  none; copying never allocates.
/// Threads: one loop (the count is not atomic); copy the bytes to take them elsewhere.
class [[nodiscard]] bytes {
 public:
  bytes() = default;
  /// A view of [data, data + size) inside the block (or of memory that outlives all views, when
  /// block is null).
  bytes(const char* data, std::size_t size, buffer_block* block) noexcept
      : data_(data), size_(size), block_(block) {
    if (block_) ++block_->views;
  }
  /// An owned copy of text on the heap.
  static bytes copy_of(std::string_view text);

  bytes(const bytes& other) noexcept : bytes(other.data_, other.size_, other.block_) {}
  bytes(bytes&& other) noexcept : data_(other.data_), size_(other.size_), block_(other.block_) {
    other.forget();
  }
  bytes& operator=(bytes other) noexcept {
    swap(other);
    return *this;
  }
  ~bytes() { drop(); }

  const char* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  /// True when there is at least one byte: `while (auto piece = co_await socket.receive())`.
  explicit operator bool() const noexcept { return size_ != 0; }
  std::string_view text() const noexcept { return {data_, size_}; }
  operator std::string_view() const noexcept { return text(); }
  char operator[](std::size_t at) const noexcept { return data_[at]; }

  /// A narrower view of the same block; both arguments are cut to what is there.
  bytes slice(std::size_t from, std::size_t count = std::size_t(-1)) const noexcept {
    if (from > size_) from = size_;
    if (count > size_ - from) count = size_ - from;
    return bytes(data_ + from, count, block_);
  }

 private:
  void swap(bytes& other) noexcept {
    bytes kept;
    kept.data_ = data_, kept.size_ = size_, kept.block_ = block_;
    data_ = other.data_, size_ = other.size_, block_ = other.block_;
    other.data_ = kept.data_, other.size_ = kept.size_, other.block_ = kept.block_;
    kept.forget();
  }
  void forget() noexcept { data_ = nullptr, size_ = 0, block_ = nullptr; }
  void drop() noexcept {
    if (block_ && --block_->views == 0) block_->release(block_);
  }

  const char* data_ = nullptr;
  std::size_t size_ = 0;
  buffer_block* block_ = nullptr;
};

}  // namespace weir

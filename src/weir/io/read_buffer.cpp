#include <weir/io/read_buffer.hpp>

#include <weir/base/assert.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace weir::detail {

heap_block* heap_block::make(std::size_t capacity) {
  auto* made = new (::operator new(sizeof(heap_block) + capacity)) heap_block;
  made->capacity = capacity;
  made->release = [](buffer_block* block) noexcept {
    auto* mine = static_cast<heap_block*>(block);
    mine->~heap_block();
    ::operator delete(mine);
  };
  return made;
}

void read_buffer::move_to_own_block(std::size_t capacity) {
  heap_block* made = heap_block::make(capacity);
  std::memcpy(made->data(), have_.data(), have_.size());
  made->used = have_.size();
  have_ = bytes(made->data(), made->used, made);
  own_ = made;
}

void read_buffer::settle() {
  constexpr std::size_t capacity_least = 256;
  if (!own_ && !have_.empty()) move_to_own_block(std::max(capacity_least, have_.size() * 2));
}

void read_buffer::append(bytes piece) {
  WEIR_ASSERT(late_.empty() && "its bytes come first");
  late_ = std::move(piece);
  add_late();
}

bool read_buffer::add_late() {
  if (late_.empty()) return false;
  add(late_);
  late_ = {};
  return true;
}

void read_buffer::add(const bytes& piece) {
  if (piece.empty()) return;
  if (have_.empty()) {
    have_ = piece;
    own_ = nullptr;
    return;
  }
  const std::size_t whole = have_.size() + piece.size();
  // Items that were handed out of our block lie before what is used, so it may grow behind them.
  if (!own_ || own_->capacity - own_->used < piece.size()) move_to_own_block(whole * 2);
  WEIR_ASSERT(have_.data() + have_.size() == own_->data() + own_->used);
  std::memcpy(own_->data() + own_->used, piece.data(), piece.size());
  own_->used += piece.size();
  have_ = bytes(have_.data(), whole, own_);
}

void read_buffer::put_back(bytes piece) {
  if (piece.empty()) return;
  bytes rest = have_;
  heap_block* own = own_;
  have_ = std::move(piece);
  own_ = nullptr;
  try {
    add(rest);
  } catch (...) {
    have_ = std::move(rest);
    own_ = own;
    throw;
  }
}

bytes read_buffer::take(std::size_t count) noexcept {
  WEIR_ASSERT(count <= have_.size() &&
              "a codec has found a frame that is longer than what is there");
  if (count == have_.size()) {
    own_ = nullptr;
    return std::exchange(have_, bytes());
  }
  bytes taken = have_.slice(0, count);
  have_ = have_.slice(count);
  return taken;
}

}  // namespace weir::detail

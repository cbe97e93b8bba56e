#include <weir/io/receive_arena.hpp>

#include <weir/base/assert.hpp>

#include <new>
#include <tuple>

namespace weir::detail {

struct receive_arena::block : buffer_block {
  shared* home = nullptr;
  block* next_free = nullptr;
  alignas(64) char data[block_bytes];
};

// Outlives the arena while views do.
struct receive_arena::shared {
  std::size_t blocks_max;
  std::size_t made = 0;
  block* free = nullptr;
  bool is_orphaned = false;
};

receive_arena::receive_arena(std::size_t blocks_max)
    : shared_(new shared{.blocks_max = blocks_max}) {
  WEIR_ASSERT(blocks_max > 0);
}

receive_arena::~receive_arena() {
  shared* home = shared_;
  if (filling_) {
    const bytes last_view(nullptr, 0, filling_);
    --filling_->views;  // the arena's own
  }
  while (block* one = home->free) {
    home->free = one->next_free;
    delete one;
    --home->made;
  }
  home->is_orphaned = true;
  if (home->made == 0) delete home;
}

void receive_arena::release(buffer_block* freed) noexcept {
  auto* one = static_cast<block*>(freed);
  shared* home = one->home;
  if (home->is_orphaned) {
    delete one;
    if (--home->made == 0) delete home;
    return;
  }
  one->next_free = home->free;
  home->free = one;
}

receive_arena::block* receive_arena::new_block() noexcept {
  if (block* one = shared_->free) {
    shared_->free = one->next_free;
    return one;
  }
  if (shared_->made >= shared_->blocks_max) return nullptr;
  auto* one = new (std::nothrow) block;
  if (!one) return nullptr;
  one->home = shared_;
  one->buffer_block::release = &receive_arena::release;
  ++shared_->made;
  return one;
}

receive_arena::space receive_arena::room(std::size_t size_min) noexcept {
  if (filling_ && filling_->views == 1) filled_ = 0;
  if (!filling_ || block_bytes - filled_ < size_min) {
    block* fresh = new_block();
    if (!fresh) return {};
    if (filling_) {
      const bytes last_view(nullptr, 0, filling_);  // gives it back if there is no other
      --filling_->views;
    }
    filling_ = fresh;
    filling_->views = 1;
    filled_ = 0;
  }
  return {filling_->data + filled_, block_bytes - filled_};
}

bytes receive_arena::take(std::size_t size) noexcept {
  bytes view(filling_->data + filled_, size, filling_);
  filled_ += (size + 63) & ~std::size_t{63};  // the next piece begins on a cache line of its own
  if (filled_ > block_bytes) filled_ = block_bytes;
  return view;
}

receive_arena::loan receive_arena::lend() noexcept {
  block* fresh = new_block();
  if (!fresh) return {};
  fresh->views = 1;
  return {fresh->data, fresh};
}

bytes receive_arena::take_lent(loan lent, std::size_t size) noexcept {
  bytes view(lent.data, size, lent.block);
  --lent.block->views;  // the borrower's
  return view;
}

void receive_arena::give_back(loan lent) noexcept { std::ignore = take_lent(lent, 0); }

bool receive_arena::has_room() const noexcept {
  return shared_->free || shared_->made < shared_->blocks_max ||
         (filling_ && (filling_->views == 1 || block_bytes - filled_ >= piece_bytes_min));
}

std::size_t receive_arena::blocks_live() const noexcept { return shared_->made; }

}  // namespace weir::detail

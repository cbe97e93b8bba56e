#include <weir/testing/internal/run_tape.hpp>

#include <weir/base/assert.hpp>

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace weir::testing::detail {

struct run_tape::head {
  run_end how = run_end::unknown;
  bool is_full = false;
  int number = 0;
  std::size_t size = 0;

  char* text() noexcept { return reinterpret_cast<char*>(this + 1); }
};

run_tape::run_tape() noexcept {
  // Pages that nobody writes to take no memory.
  void* const made = ::mmap(nullptr, sizeof(head) + bytes_max, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made != MAP_FAILED) head_ = new (made) head;
}
run_tape::~run_tape() {
  if (head_) ::munmap(head_, sizeof(head) + bytes_max);
}

void run_tape::rewind() noexcept {
  if (head_) *head_ = {};
  read_ = 0;
}

void run_tape::write(const void* from, std::size_t size) noexcept {
  if (!head_ || size == 0) return;
  if (head_->is_full || size > bytes_max - head_->size) {
    head_->is_full = true;
    return;
  }
  std::memcpy(head_->text() + head_->size, from, size);
  head_->size += size;
}

void run_tape::end(run_end how, int number) noexcept {
  if (!head_ || head_->is_full) return;
  head_->number = number;
  head_->how = how;
}

run_end run_tape::how() const noexcept { return head_ ? head_->how : run_end::unknown; }
int run_tape::number() const noexcept { return head_ ? head_->number : 0; }

std::size_t run_tape::room_for(std::size_t count, std::size_t bytes) const noexcept {
  WEIR_ASSERT(head_ && count <= (head_->size - read_) / bytes);
  return count;
}

void run_tape::read(void* to, std::size_t size) noexcept {
  if (size == 0) return;
  WEIR_ASSERT(head_ && size <= head_->size - read_);
  std::memcpy(to, head_->text() + read_, size);
  read_ += size;
}

}  // namespace weir::testing::detail

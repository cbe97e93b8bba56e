#include <weir/io/internal/file_sends.hpp>

#include <weir/base/assert.hpp>

namespace weir::detail {

namespace {
constinit thread_local file_send_mark* under_way = nullptr;
}  // namespace

file_send_mark::file_send_mark(const driver& io, const descriptor_sink& to) noexcept
    : io_(&io), to_(&to) {
  for (const file_send_mark* one = under_way; one; one = one->next_) {
    WEIR_ASSERT((to.handle() < 0 || one->io_ != &io || one->to_->handle() != to.handle()) &&
                "a socket has one receive and one send at a time");
  }
  next_ = under_way;
  under_way = this;
}

file_send_mark::~file_send_mark() {
  file_send_mark** one = &under_way;
  while (*one != this) one = &(*one)->next_;
  *one = next_;
}

void look_for_file_sends(const driver& io, io_handle to) noexcept {
  if (to < 0) return;  // closed
  for (const file_send_mark* one = under_way; one; one = one->next_) {
    WEIR_ASSERT((one->is_paused_ || one->io_ != &io || one->to_->handle() != to) &&
                "a socket has one receive and one send at a time");
  }
}

}  // namespace weir::detail

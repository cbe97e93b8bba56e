#include <weir/io/internal/file_sends.hpp>

#include <weir/base/assert.hpp>
#include <weir/io/kernel_driver.hpp>

namespace weir::detail {

namespace {
constinit thread_local file_send_mark* under_way = nullptr;
}  // namespace

file_send_mark::file_send_mark(const driver& io, const descriptor_sink& to) noexcept
    : io_(&io), to_(&to), next_(under_way) {
  if (to.handle() >= 0) {
    const auto* const kernel = dynamic_cast<const kernel_driver*>(&io);
    bool is_alone = !kernel || !kernel->has_send(to.handle());
    for (const file_send_mark* one = under_way; one; one = one->next_)
      is_alone = is_alone && !one->is_to(io, to.handle());
    WEIR_ASSERT(is_alone && "a socket has one receive and one send at a time");
  }
  under_way = this;
}

file_send_mark::file_send_mark(sink_ref to) noexcept : sink_(to.of()), next_(under_way) {
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
    WEIR_ASSERT((one->is_paused_ || !one->is_to(io, to)) &&
                "a socket has one receive and one send at a time");
  }
}

void look_for_file_sends(const void* to) noexcept {
  for (const file_send_mark* one = under_way; one; one = one->next_) {
    WEIR_ASSERT((one->is_paused_ || one->sink_ != to) &&
                "a socket has one receive and one send at a time");
  }
}

}  // namespace weir::detail

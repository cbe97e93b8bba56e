#include <weir/io/file_stream.hpp>

#include <weir/core/sleep.hpp>
#include <weir/io/read_buffer.hpp>

#include <algorithm>

namespace weir {

task<bytes> file_source::receive() {
  const std::size_t size = std::max<std::size_t>(options_.piece_bytes, 1);
  detail::heap_block* block = detail::heap_block::make(size);
  const bytes whole(block->data(), size, block);
  const std::size_t got = co_await file_->read_at(options_.offset, {block->data(), size});
  options_.offset += got;
  co_return whole.slice(0, got);
}

namespace {

/// Tells what an append has written, also when it is cancelled: appended twice it would be there
/// twice.
struct counted_append {
  std::uint64_t& offset;
  std::size_t* sent;
  std::size_t appended = 0;

  counted_append(std::uint64_t& moves, std::size_t* told) noexcept : offset(moves), sent(told) {}
  counted_append(const counted_append&) = delete;
  counted_append& operator=(const counted_append&) = delete;
  ~counted_append() {
    offset += appended;
    if (sent) *sent = appended;
  }
};

}  // namespace

task<> file_sink::send(std::string_view data, std::size_t* sent) {
  const io_slice one{data.data(), data.size()};
  co_await send(std::span(&one, 1), sent);
}

task<> file_sink::send(std::span<const io_slice> pieces, std::size_t* sent) {
  if (sent) *sent = 0;
  co_await checkpoint();
  if (file_->is_for_append()) {
    counted_append counted(options_.offset, sent);
    co_await file_->append(pieces, &counted.appended);
    co_return;
  }
  for (const io_slice& piece : pieces) {
    std::string_view rest(static_cast<const char*>(piece.data), piece.size);
    while (!rest.empty()) {
      const std::string_view part = rest.substr(0, std::max<std::size_t>(options_.piece_bytes, 1));
      rest.remove_prefix(part.size());
      co_await file_->write_at(options_.offset, part);
      options_.offset += part.size();
      if (sent) *sent += part.size();
    }
  }
}

}  // namespace weir

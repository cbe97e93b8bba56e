// Bodies of reader.hpp's templates.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/reader.hpp>

namespace weir {

class reader::turn {
 public:
  explicit turn(reader& of) noexcept : of_(of) {
    WEIR_ASSERT(!of.is_reading_ && "one read of a reader at a time");
    of.is_reading_ = true;
  }
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;
  ~turn() { of_.is_reading_ = false; }

 private:
  reader& of_;
};

namespace detail {

template <class Read>
task<typename Read::value_type> gather(Read self) {
  reader& from = *self.from;
  const reader::turn mine(from);
  if (from.buffer_.add_late()) {  // of a read that found no memory
    co_await checkpoint();
    if (self.try_now()) co_return self.take();
  }
  while (!from.has_ended_) {
    from.buffer_.settle();
    bytes piece = co_await from.from_.receive();
    from.has_ended_ = piece.empty();
    from.buffer_.append(std::move(piece));
    if (!from.has_ended_ && self.try_now()) co_return self.take();
  }
  co_await checkpoint();
  self.at_end();
  co_return self.take();
}

template <class Codec>
bool frame_read<Codec>::try_now() {
  const std::string_view have = from->buffered();
  if (have.empty()) return false;
  const frame_place found = value_or_raise(codec->find(have, seen));
  seen = have.size();
  if (found.is_whole) got.emplace(from->take(found.offset, found.size, found.total));
  return found.is_whole;
}

template <class Codec>
void frame_read<Codec>::at_end() {
  const std::string_view have = from->buffered();
  if (have.empty()) return;
  const frame_place found = value_or_raise(codec->find_last(have));
  if (!found.is_whole) from->raise_ended("frame");
  got.emplace(from->take(found.offset, found.size, found.total));
}

template <class Codec>
WEIR_CORO_WRAPPER task<std::optional<bytes>> frame_read<Codec>::run(frame_read self) {
  return gather(std::move(self));
}

}  // namespace detail
}  // namespace weir

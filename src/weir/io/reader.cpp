#include <weir/io/reader.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/base/line_place.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <tuple>

namespace weir {

namespace detail {

bool some_read::try_now() {
  if (from->buffer_.size() == 0) return false;
  got = from->buffer_.take(from->buffer_.size());
  return true;
}

bool line_read::try_now() {
  const std::string_view have = from->buffered();
  const line_place found = find_line(have, seen, from->options_.item_bytes_max);
  if (found.state == line_state::too_long) from->raise_too_large("line");
  seen = have.size();
  if (found.state == line_state::whole) got.emplace(from->take(0, found.size, found.total));
  return found.state == line_state::whole;
}

void line_read::at_end() {
  const std::size_t size = from->buffer_.size();
  if (size > from->options_.item_bytes_max) from->raise_too_large("line");
  if (size != 0) got.emplace(from->buffer_.take(size));
}

bool until_read::try_now() {
  WEIR_ASSERT(!delimiter.empty() && "read_until needs a delimiter");
  const std::string_view have = from->buffered();
  const std::size_t limit = from->options_.item_bytes_max;
  const std::size_t end = have.find(delimiter, seen);
  if (end == std::string_view::npos) {
    // The last bytes may be the beginning of the delimiter.
    const std::size_t open = is_planted("io: a delimiter across two pieces is overlooked")
                                 ? 0
                                 : std::min(have.size(), delimiter.size() - 1);
    seen = have.size() - open;
    if (seen > limit) from->raise_too_large("item");
    return false;
  }
  if (end > limit) from->raise_too_large("item");
  got = from->take(0, end, end + delimiter.size());
  return true;
}

void until_read::at_end() { from->raise_ended("item"); }

bool exact_read::try_now() {
  if (count > from->options_.item_bytes_max) {
    raise(error(errc::too_large,
                fmt::format("read_exactly of {} bytes is over the reader's item_bytes_max of {}: "
                            "raise it, or read into memory of your own",
                            count, from->options_.item_bytes_max)));
  }
  if (from->buffer_.size() < count) return false;
  if (count != 0) got = from->buffer_.take(count);
  return true;
}

void exact_read::at_end() {
  raise(error(errc::end_of_stream,
              fmt::format("the stream ended after {} of {} bytes", from->buffer_.size(), count)));
}

bool into_read::try_now() noexcept {
  const std::size_t now = std::min(memory.size() - done, from->buffer_.size());
  if (now != 0) {
    const bytes taken = from->buffer_.take(now);
    std::memcpy(memory.data() + done, taken.data(), now);
    done += now;
  }
  if (told) *told = done;
  return done == memory.size();
}

void into_read::at_end() {
  raise(error(errc::end_of_stream,
              fmt::format("the stream ended after {} of {} bytes", done, memory.size())));
}

WEIR_CORO_WRAPPER task<bytes> some_read::run(some_read self) { return gather(std::move(self)); }
WEIR_CORO_WRAPPER task<std::optional<bytes>> line_read::run(line_read self) {
  return gather(std::move(self));
}
WEIR_CORO_WRAPPER task<bytes> until_read::run(until_read self) { return gather(std::move(self)); }
WEIR_CORO_WRAPPER task<bytes> exact_read::run(exact_read self) { return gather(std::move(self)); }
WEIR_CORO_WRAPPER task<> into_read::run(into_read self) { return gather(self); }

}  // namespace detail

reader::~reader() { WEIR_ASSERT(!is_reading_ && "a reader outlives its reads"); }

task<std::string> reader::read_all(std::size_t bytes_max) {
  const turn mine(*this);
  buffer_.add_late();
  while (!has_ended_) {
    if (buffer_.size() > bytes_max) break;
    buffer_.settle();
    bytes piece = co_await from_.receive();
    has_ended_ = piece.empty();
    buffer_.append(std::move(piece));
  }
  if (buffer_.size() > bytes_max) {
    raise(error(
        errc::too_large,
        fmt::format("the stream has more than the {} bytes that read_all was given", bytes_max)));
  }
  co_await checkpoint();
  std::string all(buffered());
  std::ignore = buffer_.take(all.size());
  co_return all;
}

bool reader::put_back(bytes rest) noexcept {
  try {
    buffer_.put_back(std::move(rest));
    return true;
  } catch (const std::exception&) {  // no memory
    return false;
  }
}

void reader::raise_too_large(const char* what) const {
  raise(error(errc::too_large,
              fmt::format("a {} is longer than the reader's item_bytes_max of {} bytes", what,
                          options_.item_bytes_max)));
}

void reader::raise_ended(const char* what) const {
  if (buffer_.size() == 0) raise(error(errc::end_of_stream, "the stream has ended"));
  raise(error(
      errc::end_of_stream,
      fmt::format("the stream ended after {} bytes of an unfinished {}", buffer_.size(), what)));
}

}  // namespace weir

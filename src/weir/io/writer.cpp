#include <weir/io/writer.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/base/log.hpp>
#include <weir/core/sleep.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>

namespace weir {

/// One send of what is buffered, and of the texts of a write behind it. Keeps the books when it
/// goes, whatever ended the send: what was sent leaves the buffer, and of a frame that was cut the
/// rest goes into it.
class writer::flight {
 public:
  flight(writer& of, detail::text_write* with) : of_(of), with_(with) {
    of.make_sure_it_is_whole();
    WEIR_ASSERT(!of.is_sending_ && "one write or flush of a writer at a time");
    of.is_sending_ = true;
    buffered_ = of.buffered().size();
    add(of.buffered());
    if (with) {
      for (const std::string_view part : with->parts) add(part);
    }
  }
  flight(const flight&) = delete;
  flight& operator=(const flight&) = delete;
  ~flight() {
    of_.is_sending_ = false;
    of_.sent_ += sent;
    const std::size_t of_buffer = std::min(sent, buffered_);
    const bool is_cut = of_buffer < buffered_;
    if (!(is_cut && is_planted("io: what a cancelled flush has sent is sent again")))
      of_.front_ = std::min(of_.front_ + of_buffer, of_.back_);  // it may have been discarded
    if (of_.front_ == of_.back_) of_.discard();
    if (with_) settle(sent - of_buffer);
  }

  std::span<const io_slice> pieces() const noexcept { return {pieces_.data(), count_}; }

  std::size_t sent = 0;

 private:
  void add(std::string_view text) noexcept {
    if (!text.empty()) pieces_[count_++] = {text.data(), text.size()};
  }
  void settle(std::size_t taken) noexcept {
    if (with_->told) *with_->told = taken;
    if (with_->rest != detail::unsent_rest::kept || taken == 0 || taken == with_->size()) return;
    for (std::string_view& part : with_->parts) {
      const std::size_t gone = std::min(taken, part.size());
      part.remove_prefix(gone);
      taken -= gone;
    }
    if (is_planted("io: the rest of a frame that was cut is forgotten")) return;
    try {
      of_.keep(with_->parts);
    } catch (const std::exception&) {
      // What would follow would be taken for the rest of the frame: better nothing follows.
      of_.is_cut_ = true;
      of_.discard();
    }
  }

  writer& of_;
  detail::text_write* with_;
  std::array<io_slice, 1 + detail::text_write::parts_max> pieces_;
  std::size_t count_ = 0;
  std::size_t buffered_ = 0;
};

writer::~writer() {
  if (buffered().empty() || std::uncaught_exceptions() != 0) return;
  if (detail::running_task && detail::running_task->is_cancelled()) return;
  log::warn("a writer was destroyed with bytes that were never flushed",
            {{"bytes", buffered().size()}});
}

void writer::make_sure_it_is_whole() const {
  if (is_cut_) raise(error(errc::broken, "a frame was cut off, for want of memory for its rest"));
}

void writer::make_sure_of(std::size_t more) {
  if (capacity_ - back_ >= more) return;
  const std::size_t size = back_ - front_;
  const std::size_t capacity = std::max(options_.buffer_bytes, size + more);
  if (capacity > capacity_) {
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (size != 0) std::memcpy(larger.get(), data_.get() + front_, size);
    data_ = std::move(larger);
    capacity_ = capacity;
  } else if (size != 0) {
    std::memmove(data_.get(), data_.get() + front_, size);
  }
  front_ = 0;
  back_ = size;
}

void writer::keep(std::span<const std::string_view> texts) {
  std::size_t size = 0;
  for (const std::string_view text : texts) size += text.size();
  make_sure_of(size);
  for (const std::string_view text : texts) {
    if (text.empty()) continue;
    std::memcpy(data_.get() + back_, text.data(), text.size());
    back_ += text.size();
  }
}

bool detail::text_write::try_now() {
  WEIR_ASSERT(!to->is_sending_ && "one write or flush of a writer at a time");
  const std::size_t all = size();
  if (to->buffered().size() + all > to->options_.buffer_bytes) return false;
  to->make_sure_it_is_whole();
  to->keep(parts);
  if (told) *told = all;
  return true;
}

task<> detail::text_write::run(text_write self) {
  writer& to = *self.to;
  if (self.size() <= to.options_.buffer_bytes) {
    co_await to.flush();
    to.keep(self.parts);
    if (self.told) *self.told = self.size();
    co_return;
  }
  writer::flight flight(to, &self);
  co_await to.to_.send(flight.pieces(), &flight.sent);
}

task<> writer::flush() {
  make_sure_it_is_whole();
  if (buffered().empty()) {
    co_await checkpoint();
    co_return;
  }
  flight flight(*this, nullptr);
  co_await to_.send(flight.pieces(), &flight.sent);
}

task<> writer::end() {
  co_await flush();
  co_await to_.end();
}

task<> writer::abort(error why) {
  discard();
  co_await to_.abort(std::move(why));
}

namespace {
/// Adds what a part of a send has taken to what is told, whatever ends that part.
struct sum_on_exit {
  std::size_t* told;
  std::size_t before;
  std::size_t one = 0;
  ~sum_on_exit() {
    if (told) *told = before + one;
  }
};
}  // namespace

task<> writer::send(std::span<const io_slice> pieces, std::size_t* sent) {
  if (sent) *sent = 0;
  if (pieces.empty()) co_await checkpoint();
  std::size_t before = 0;
  for (const io_slice& piece : pieces) {
    sum_on_exit sum{sent, before};
    co_await write({static_cast<const char*>(piece.data), piece.size}, &sum.one);
    before += sum.one;
  }
}

}  // namespace weir

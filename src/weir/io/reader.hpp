// reader: lines, pieces and whole blocks out of a stream of bytes: a socket, a TLS socket, a file.
//
//   weir::reader in(peer);
//   while (auto line = co_await in.read_line()) handle(line->text());   // nothing at the end
//
// The hard idea: a read takes what it asks for or nothing. What has arrived waits in the reader
// until a whole item is there, so a read that was cancelled, timed out or met its limit has lost
// nothing, and the next one sees the same bytes.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/core/task.hpp>
#include <weir/io/byte_stream.hpp>
#include <weir/io/frame_codec.hpp>
#include <weir/io/quick_call.hpp>
#include <weir/io/read_buffer.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

class reader;

struct reader_options {
  std::size_t item_bytes_max = 64 * 1024;  // the longest line or piece that a read gathers
};

namespace detail {

/// Each read is an operation of quick_call: try_now() looks at what has arrived, at_end() decides
/// what the end of the stream means for it.
struct some_read {
  using value_type = bytes;
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  reader* from;
  bytes got{};

  bool try_now();
  void at_end() noexcept {}
  bytes take() noexcept { return std::move(got); }
  static task<bytes> run(some_read self);
};

struct line_read {
  using value_type = std::optional<bytes>;
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  reader* from;
  std::size_t seen = 0;  // of what has arrived, known to hold no end of a line
  std::optional<bytes> got{};

  bool try_now();
  void at_end();
  std::optional<bytes> take() noexcept { return std::move(got); }
  static task<std::optional<bytes>> run(line_read self);
};

struct until_read {
  using value_type = bytes;
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  reader* from;
  std::string_view delimiter;
  std::size_t seen = 0;
  bytes got{};

  bool try_now();
  void at_end();
  bytes take() noexcept { return std::move(got); }
  static task<bytes> run(until_read self);
};

struct exact_read {
  using value_type = bytes;
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  reader* from;
  std::size_t count;
  bytes got{};

  bool try_now();
  void at_end();
  bytes take() noexcept { return std::move(got); }
  static task<bytes> run(exact_read self);
};

struct into_read {
  using value_type = void;
  static constexpr auto when_cancelled = cancel_safety::partial;
  reader* from;
  std::span<char> memory;
  std::size_t* told;
  std::size_t done = 0;

  bool try_now() noexcept;
  void at_end();
  void take() noexcept {}
  static task<> run(into_read self);
};

template <class Codec>
struct frame_read {
  using value_type = std::optional<bytes>;
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  reader* from;
  const Codec* codec;
  std::size_t seen = 0;
  std::optional<bytes> got{};

  bool try_now();
  void at_end();
  std::optional<bytes> take() noexcept { return std::move(got); }
  static task<std::optional<bytes>> run(frame_read self);
};

/// Goes on with a read that has to wait: `try, receive, try, ...`.
template <class Read>
task<typename Read::value_type> gather(Read self);

}  // namespace detail

/// Reads from a source, which outlives it and which nobody else reads meanwhile.
///
/// Cancel:  a cancelled read has taken nothing: what has arrived stays for the next one; of
///          read_exactly into memory, `got` says how much is there.
/// Order:   reads take the bytes in their order; one read at a time.
/// Bound:   item_bytes_max and one received piece; what is handed out keeps its block, so copy what
///          you keep for long.
/// Errors:  those of the source; std::bad_alloc, `too_large` for an item over its limit and
///          `end_of_stream` inside of one: what has arrived stays.
/// Threads: one loop.
class reader {
 public:
  template <byte_source S>
  explicit reader(S& from, reader_options options = {}) noexcept : from_(from), options_(options) {}
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;
  ~reader();  // outlives its reads

  /// What has arrived, at least one byte; empty at the end of the stream.
  auto read_some() noexcept { return detail::quick_call(detail::some_read{this}); }
  /// The next line without its end ("\n" or "\r\n"); nothing at the end of the stream. The last
  /// line need not have an end.
  auto read_line() noexcept { return detail::quick_call(detail::line_read{this}); }
  /// Up to `delimiter`, which is taken and left out; it must live until the wait ends and have at
  /// least one byte. Raises `end_of_stream` when it does not come.
  auto read_until(std::string_view delimiter) noexcept {
    return detail::quick_call(detail::until_read{this, delimiter});
  }
  /// Exactly `count` bytes, or `end_of_stream`.
  auto read_exactly(std::size_t count) noexcept {
    return detail::quick_call(detail::exact_read{this, count});
  }
  /// Fills the caller's memory, of any size; `got` is kept up to date, so that it is right after an
  /// error and a cancellation as well: those bytes are in the memory and no longer here.
  auto read_exactly(std::span<char> memory, std::size_t* got = nullptr) noexcept {
    if (got) *got = 0;  // also when it is cancelled before it begins
    return detail::quick_call(detail::into_read{this, memory, got});
  }
  /// All until the end of the stream, or `too_large`, which leaves what has arrived.
  task<std::string> read_all(std::size_t bytes_max);
  /// The next frame; nothing at the end of the stream. The codec must live until the wait ends.
  template <frame_codec Codec>
  auto read_frame(const Codec& codec) noexcept {
    return detail::quick_call(detail::frame_read<Codec>{this, &codec});
  }

  /// A reader is a source, too: read_some() under its other name, for copy() and pipe_to().
  auto receive() noexcept { return read_some(); }
  /// Puts bytes back before what is there. False: no memory.
  bool put_back(bytes rest) noexcept;
  /// Ends the source, as pipe_to() does when its sink fails.
  WEIR_CORO_WRAPPER task<> cancel(error why) { return from_.cancel(std::move(why)); }

  /// What has arrived and was not taken.
  std::string_view buffered() const noexcept { return buffer_.text(); }
  /// True once the end of the stream has arrived and all before it was taken.
  bool is_at_end() const noexcept { return has_ended_ && buffer_.size() == 0; }
  const reader_options& options() const noexcept { return options_; }
  /// False when the source was closed.
  explicit operator bool() const noexcept { return from_.is_open(); }

 private:
  friend struct detail::some_read;
  friend struct detail::line_read;
  friend struct detail::until_read;
  friend struct detail::exact_read;
  friend struct detail::into_read;
  template <class Codec>
  friend struct detail::frame_read;
  template <class Read>
  friend task<typename Read::value_type> detail::gather(Read self);

  /// Marks that a read waits: a second one at the same time would take turns with it in bytes.
  class turn;

  /// Takes `count` bytes and leaves out what is around [offset, offset + size).
  bytes take(std::size_t offset, std::size_t size, std::size_t count) noexcept {
    return buffer_.take(count).slice(offset, size);
  }
  /// The item `what` would be longer than its limit.
  [[noreturn]] void raise_too_large(const char* what) const;
  /// The stream ended inside the item `what`.
  [[noreturn]] void raise_ended(const char* what) const;

  detail::source_ref from_;
  reader_options options_;
  detail::read_buffer buffer_;
  bool has_ended_ = false;
  bool is_reading_ = false;
};

}  // namespace weir

#include <weir/io/detail/reader_impl.hpp>

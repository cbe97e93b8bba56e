// writer: gathers small writes into large sends to a socket, a TLS socket or a file.
//
//   co_await out.write("HELLO ")   // still in memory
//   co_await out.write(name)
//   co_await out.flush()           // sent
//
// The hard idea: what was taken is in the buffer or sent, never in between. A send that was
// cancelled in the middle tells how much left, and the rest stays at the front of the buffer.
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/byte_stream.hpp>
#include <weir/io/frame_codec.hpp>
#include <weir/io/quick_call.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace weir {

class writer;

struct writer_options {
  std::size_t buffer_bytes = 16 * 1024;  // what is gathered before it is sent
};

namespace detail {

/// What is to be done with the rest of a text of which a part was sent.
enum class unsent_rest : std::uint8_t { left_to_caller, kept };

/// Up to three texts in a row: a frame and what is around it.
struct text_write {
  using value_type = void;
  static constexpr auto when_cancelled = cancel_safety::partial;
  static constexpr std::size_t parts_max = 3;

  writer* to;
  unsent_rest rest = unsent_rest::left_to_caller;
  std::size_t* told = nullptr;
  std::string_view parts[parts_max]{};

  bool try_now();
  void take() noexcept {}
  std::size_t size() const noexcept { return parts[0].size() + parts[1].size() + parts[2].size(); }
  static task<> run(text_write self);
};

/// A frame with what its codec puts around it.
template <class Codec>
struct frame_write {
  using value_type = void;
  static constexpr auto when_cancelled = cancel_safety::partial;
  text_write whole;
  const Codec* codec;
  frame_edges edges{};

  bool try_now();
  void take() noexcept {}
  static task<> run(frame_write self);
};

}  // namespace detail

/// Writes to a sink, which outlives it and which nobody else sends to meanwhile.
///
/// Cancel:  a cancelled write has taken its text or not; of one over buffer_bytes it may be a
///          prefix, which `taken` tells. A frame is never cut. What was taken stays until it is
///          sent.
/// Order:   as written; one write or flush at a time.
/// Bound:   buffer_bytes; a write waits while the sink takes no more.
/// Errors:  those of the sink, which leave what was not sent in the buffer. Bytes that were never
///          flushed are told in the log when it goes; discard() says that it is meant.
/// Threads: one loop.
class writer {
 public:
  template <byte_sink S>
  explicit writer(S& to, writer_options options = {}) noexcept : to_(to), options_(options) {}
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;
  ~writer();

  /// Takes all of `text`, which must live until the wait ends. A text over buffer_bytes is sent at
  /// once, with what was buffered, and is not copied.
  auto write(std::string_view text, std::size_t* taken = nullptr) noexcept {
    if (taken) *taken = 0;  // also when it is cancelled before it begins
    return detail::quick_call(
        detail::text_write{this, detail::unsent_rest::left_to_caller, taken, {text}});
  }
  /// One frame: all of it or nothing. It and the codec must live until the wait ends.
  template <frame_codec Codec>
  auto write_frame(const Codec& codec, std::string_view frame) noexcept {
    return detail::quick_call(detail::frame_write<Codec>{
        {this, detail::unsent_rest::kept, nullptr, {{}, frame, {}}}, &codec});
  }
  /// Sends what is buffered.
  task<> flush();
  /// Sends what is buffered and ends the stream to the peer, in order.
  task<> end();
  /// Drops what is buffered.
  void discard() noexcept {
    if (!is_sending_) back_ = 0;  // else what is on its way lies there
    front_ = back_;
  }

  /// A writer is a sink, too. What it takes in this way may stay in the buffer.
  task<> send(std::span<const io_slice> pieces, std::size_t* sent = nullptr);
  WEIR_CORO_WRAPPER task<> shutdown_send() { return end(); }
  /// Drops what is buffered and ends the sink as broken.
  task<> abort(error why);

  std::string_view buffered() const noexcept { return {data_.get() + front_, back_ - front_}; }
  /// Bytes that the sink has taken so far.
  std::uint64_t sent() const noexcept { return sent_; }
  /// False when the sink was closed.
  explicit operator bool() const noexcept { return to_.is_open(); }

 private:
  friend struct detail::text_write;
  class flight;

  /// Adds texts behind what is buffered, with as much memory as that needs.
  void keep(std::span<const std::string_view> texts);
  void make_sure_of(std::size_t more);
  void make_sure_it_is_whole() const;

  detail::sink_ref to_;
  writer_options options_;
  std::unique_ptr<char[]> data_;  // made with the first byte
  std::size_t capacity_ = 0;
  std::size_t front_ = 0;
  std::size_t back_ = 0;
  std::uint64_t sent_ = 0;
  bool is_sending_ = false;
  bool is_cut_ = false;  // a frame was sent in part, and there was no memory for the rest
};

namespace detail {

template <class Codec>
bool frame_write<Codec>::try_now() {
  edges = value_or_raise(codec->around(whole.parts[1]));
  whole.parts[0] = edges.head();
  whole.parts[2] = edges.tail();
  return whole.try_now();
}

template <class Codec>
task<> frame_write<Codec>::run(frame_write self) {
  self.whole.parts[0] = self.edges.head();  // it has moved
  self.whole.parts[2] = self.edges.tail();
  co_await quick_call(self.whole);
}

}  // namespace detail
}  // namespace weir

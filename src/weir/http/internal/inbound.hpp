// What a connection has received and not used yet, cut into heads and bodies; for both sides. The
// hard idea: body bytes are handed on as views of the driver's memory, but a head is copied into
// memory of the connection: it is small and is needed as long as its exchange lives, and a driver's
// block must not be held by somebody who waits for half a minute.
//
// Invariant (1): the bytes of `head` and then those of `rest` are the stream in its order, without
// gap or overlap.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/buffer.hpp>
#include <weir/io/timed_wait.hpp>
#include <weir/io/tls_channel.hpp>
#include <weir/wire/http1_body.hpp>
#include <weir/wire/http1_parser.hpp>

#include <cstddef>
#include <string>

namespace weir::http::detail {

using weir::detail::received_outcome;
using weir::detail::sent_outcome;
using weir::detail::timed_receive;
using weir::detail::timed_send;
using weir::detail::tls_channel;

class inbound {
 public:
  /// Bytes from the socket; what came before has been used.
  void put(bytes received) noexcept {
    WEIR_ASSERT(rest_.empty());
    rest_ = static_cast<bytes&&>(received);
    is_rest_owned_ = false;
  }
  bool is_empty() const noexcept { return rest_.empty(); }
  bool has_head_bytes() const noexcept { return !head_.empty(); }
  std::string_view head() const noexcept { return head_; }

  /// Forgets the last head, and memory that was needed only for a large one.
  void begin_head() {
    head_.clear();
    if (head_.capacity() > head_kept_max) head_ = std::string();
  }
  /// Moves bytes into the head until parse(head) says that it is whole or broken, or none is left.
  template <class Parser, class Parse>
  parse_state take_head(const Parser& parser, Parse parse) {
    if (head_.capacity() < head_step) head_.reserve(head_step);
    while (!rest_.empty()) {
      const std::size_t step = rest_.size() < head_step ? rest_.size() : head_step;
      head_.append(rest_.data(), step);
      const parse_state state = parse(head_);
      if (state == parse_state::incomplete) {
        drop(step);
        continue;
      }
      if (state == parse_state::complete) {  // what lies behind the head goes back (1)
        const std::size_t surplus = head_.size() - parser.consumed();
        WEIR_ASSERT(surplus < step);
        drop(step - surplus);
      }
      return state;
    }
    return parse_state::incomplete;
  }

  /// The next piece of a body; empty when more must be received, or at the end or a fault.
  bytes take_body(http1_body_decoder& decoder) {
    while (!rest_.empty() && !decoder.is_done() && !decoder.is_failed()) {
      const http1_body_decoder::piece next = decoder.next(rest_.text());
      bytes data;
      if (!next.data.empty()) {
        const auto from = static_cast<std::size_t>(next.data.data() - rest_.data());
        data = rest_.slice(from, next.data.size());
      }
      drop(next.consumed);
      if (!data.empty()) return data;
    }
    return {};
  }

  /// Copies what is left out of the driver's memory, once: before a wait that may be long.
  void own_rest() {
    if (rest_.empty() || is_rest_owned_) return;
    rest_ = bytes::copy_of(rest_.text());
    is_rest_owned_ = true;
  }

 private:
  static constexpr std::size_t head_step = 1024;  // most heads are smaller
  static constexpr std::size_t head_kept_max = 8 * 1024;

  void drop(std::size_t count) noexcept {
    rest_ = count == rest_.size() ? bytes() : rest_.slice(count);  // an empty view holds no block
  }

  std::string head_;
  bytes rest_;
  bool is_rest_owned_ = false;
};

}  // namespace weir::http::detail

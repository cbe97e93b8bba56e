// Finds the end of a message's body (RFC 9112, 6.3 and 7.1) while it passes through. The hard idea:
// data is never copied; each call hands out the next piece as a view into the caller's input, so a
// body of any length needs the memory of one receive. Chunk sizes, extensions and line ends between
// the pieces are read byte by byte by a state machine that keeps numbers only; trailer lines are
// the one thing that is collected, under a limit.
//
//   size -> [extension] -> LF -> data -> CR -> LF -> size ...
//                           \-> (size 0) trailer lines -> empty line -> done
#pragma once

#include <weir/wire/http_head.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

/// Decodes one body.
///
/// Cancel:  no waits; a decoder may be left in the middle, its connection then can't be reused.
/// Order:   pieces come out in the order of the bytes.
/// Bound:   http_limits: body, chunk extensions and trailers; keeps nothing but the trailers.
/// Errors:  a fault with the status to answer; the connection can't be used after it.
/// Threads: one at a time.
class http1_body_decoder {
 public:
  /// A body that is over at once.
  http1_body_decoder() noexcept : http1_body_decoder(body_framing::none, 0) {}
  http1_body_decoder(body_framing framing, std::uint64_t content_length,
                     http_limits limits = {}) noexcept;

  struct piece {
    std::string_view data;     // the next bytes of the body, inside the input; may be empty
    std::size_t consumed = 0;  // how much of the input is done with, data included
  };
  /// Reads from the front of `input`. Consumes all of it unless the body ends or breaks in it, or a
  /// piece of data is ready: go on with the rest until is_done(), is_failed() or nothing is left.
  /// Bytes behind the end of the body are not touched: they belong to the next message.
  piece next(std::string_view input);
  /// Tells that the peer ended its stream: the end of the body under `until_close`, else a fault.
  void end_of_input() noexcept;

  bool is_done() const noexcept { return state_ == state::done; }
  bool is_failed() const noexcept { return state_ == state::failed; }
  const http_fault& fault() const noexcept { return fault_; }
  /// Body bytes handed out so far.
  std::uint64_t received() const noexcept { return received_; }
  /// Body bytes that are still to come when the length is known; else those of the current chunk.
  std::uint64_t remaining() const noexcept { return remaining_; }
  /// The fields after the last chunk, complete when is_done(). They are kept apart on purpose:
  /// merged into the head they could change its framing or routing (9110, 6.5.1).
  const http_fields& trailers() const noexcept { return trailers_; }

 private:
  enum class state : std::uint8_t {
    data,           // of known length
    data_to_close,  // until the peer closes
    size_first,     // at the first digit of a chunk's size
    size,           // in its digits
    space,          // in white space that only an extension may follow
    extension,      // in the extensions, which are skipped
    size_lf,
    chunk_data,
    data_cr,
    data_lf,
    trailer,  // in trailer lines, at the first byte of one
    trailer_line,
    trailer_lf,
    last_lf,  // of the empty line
    done,
    failed,
  };

  void fail(http_fault fault) noexcept;
  piece take_data(std::string_view input) noexcept;
  void step(char c);
  void step_size(char c) noexcept;
  void step_trailer(char c);
  bool is_over_extension_limit() noexcept;
  void end_size_line() noexcept;
  void read_trailer_lines();

  http_limits limits_;
  http_fault fault_;
  std::uint64_t remaining_ = 0;
  std::uint64_t received_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t size_digits_ = 0;
  std::string trailer_text_;  // whole lines, as received
  http_fields trailers_;
  state state_ = state::done;
};

}  // namespace weir

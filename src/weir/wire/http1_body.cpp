#include <weir/wire/http1_body.hpp>

#include <weir/wire/internal/hex_value.hpp>
#include <weir/wire/internal/http1_scan.hpp>

#include <algorithm>

namespace weir {

namespace {
constexpr http_fault bad_chunk_size{400, "bad_chunk_size",
                                    "a chunk's size must be a hexadecimal number"};
constexpr http_fault bad_chunk_end{400, "bad_chunk_end", "a chunk's lines must end in CR LF"};
constexpr http_fault bad_trailer{400, "bad_trailer",
                                 "a trailer must be lines of a name, a colon and a value"};
constexpr http_fault body_too_large{413, "body_too_large", "the body is over its size limit"};
constexpr std::size_t size_digits_max = 16;  // 64 bits; also bounds leading zeros
}  // namespace

http1_body_decoder::http1_body_decoder(body_framing framing, std::uint64_t content_length,
                                       http_limits limits) noexcept
    : limits_(limits) {
  switch (framing) {
    case body_framing::none:
      state_ = state::done;
      break;
    case body_framing::length:
      remaining_ = content_length;
      state_ = content_length == 0 ? state::done : state::data;
      if (content_length > limits_.body_bytes_max) fail(body_too_large);
      break;
    case body_framing::chunked:
      state_ = state::size_first;
      break;
    case body_framing::until_close:
      state_ = state::data_to_close;
      break;
  }
}

void http1_body_decoder::fail(http_fault fault) noexcept {
  fault_ = fault;
  state_ = state::failed;
}

void http1_body_decoder::end_of_input() noexcept {
  if (state_ == state::data_to_close) {
    state_ = state::done;
  } else if (state_ != state::done && state_ != state::failed) {
    fail({400, "truncated_body", "the connection ended before the body did"});
  }
}

http1_body_decoder::piece http1_body_decoder::next(std::string_view input) {
  std::size_t at = 0;
  while (at < input.size()) {
    switch (state_) {
      case state::done:
      case state::failed:
        return {{}, at};
      case state::data:
      case state::data_to_close:
      case state::chunk_data: {
        piece found = take_data(input.substr(at));
        found.consumed += at;
        return found;
      }
      default:
        step(input[at++]);
    }
  }
  return {{}, at};
}

http1_body_decoder::piece http1_body_decoder::take_data(std::string_view input) noexcept {
  if (state_ == state::data_to_close) {
    const std::size_t room =
        std::min<std::uint64_t>(limits_.body_bytes_max - received_, input.size());
    if (room == 0) fail(body_too_large);
    received_ += room;
    return {input.substr(0, room), room};
  }
  const std::size_t size = std::min<std::uint64_t>(remaining_, input.size());
  remaining_ -= size;
  received_ += size;
  if (remaining_ == 0) state_ = state_ == state::data ? state::done : state::data_cr;
  return {input.substr(0, size), size};
}

// One byte of what stands between the data of chunks.
void http1_body_decoder::step(char c) {
  switch (state_) {
    case state::size_first:
    case state::size:
      return step_size(c);
    case state::space:
      // 9112, 7.1.1 with 9110, 5.6.3: white space is legal before an extension, and only there.
      if (is_over_extension_limit()) return;
      if (c == ';') state_ = state::extension;
      if (c != ';' && c != ' ' && c != '\t') fail(bad_chunk_size);
      return;
    case state::extension:
      if (c == '\r') {
        state_ = state::size_lf;
      } else if (!detail::is_in(detail::in_value, c)) {
        fail(bad_chunk_end);
      } else {
        (void)is_over_extension_limit();
      }
      return;
    case state::size_lf:
      return c == '\n' ? end_size_line() : fail(bad_chunk_end);
    case state::data_cr:
      if (c != '\r') return fail(bad_chunk_end);
      state_ = state::data_lf;
      return;
    case state::data_lf:
      if (c != '\n') return fail(bad_chunk_end);
      state_ = state::size_first;
      return;
    default:
      return step_trailer(c);
  }
}

void http1_body_decoder::step_size(char c) noexcept {
  const int digit = detail::hex_value(c);
  if (digit >= 0) {
    if (state_ == state::size_first) remaining_ = 0, size_digits_ = 0;
    state_ = state::size;
    if (++size_digits_ > size_digits_max) return fail(bad_chunk_size);
    remaining_ = remaining_ * 16 + static_cast<unsigned>(digit);
    return;
  }
  if (state_ == state::size_first) return fail(bad_chunk_size);
  switch (c) {
    case '\r':
      state_ = state::size_lf;
      return;
    case ';':
      state_ = state::extension;
      (void)is_over_extension_limit();
      return;
    case ' ':
    case '\t':
      state_ = state::space;
      (void)is_over_extension_limit();
      return;
    default:
      fail(bad_chunk_size);
  }
}

// Counts one byte of extensions. Over all chunks, since a body of chunks of one byte with long
// extensions makes the receiver work a thousand times for each byte of data.
bool http1_body_decoder::is_over_extension_limit() noexcept {
  if (++extension_bytes_ <= limits_.chunk_extension_bytes_max) return false;
  fail({400, "chunk_extensions_too_large", "the chunk extensions are over their size limit"});
  return true;
}

void http1_body_decoder::end_size_line() noexcept {
  if (remaining_ == 0) {
    state_ = state::trailer;
  } else if (remaining_ > limits_.body_bytes_max - received_) {
    fail(body_too_large);
  } else {
    state_ = state::chunk_data;
  }
}

void http1_body_decoder::step_trailer(char c) {
  if (state_ == state::last_lf) {
    if (c != '\n') return fail(bad_chunk_end);
    return read_trailer_lines();
  }
  if (state_ == state::trailer && c == '\r') {
    state_ = state::last_lf;
    return;
  }
  if (trailer_text_.size() == limits_.trailer_bytes_max) {
    return fail({431, "trailer_too_large", "the trailer is over its size limit"});
  }
  trailer_text_ += c;
  if (state_ == state::trailer_lf) {
    if (c != '\n') return fail(bad_chunk_end);
    state_ = state::trailer;
  } else if (c == '\r') {
    state_ = state::trailer_lf;
  } else if (!detail::is_in(detail::in_value, c)) {
    fail(c == '\n' ? bad_chunk_end : bad_trailer);
  } else if (state_ == state::trailer && !detail::is_in(detail::in_token, c)) {
    fail(bad_trailer);
  } else {
    state_ = state::trailer_line;
  }
}

// All lines are here and end in CR LF: cut them into fields.
void http1_body_decoder::read_trailer_lines() {
  state_ = state::done;
  std::string_view rest = trailer_text_;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\r'));
    rest.remove_prefix(line.size() + 2);
    const char* end = line.data() + line.size();
    const char* colon = detail::skip_class(detail::in_token, line.data(), end);
    if (colon == end || *colon != ':' || colon == line.data()) return fail(bad_trailer);
    if (trailers_.size() == limits_.fields_max) {
      return fail({431, "too_many_fields", "there are more trailer fields than the limit"});
    }
    trailers_.add({line.substr(0, static_cast<std::size_t>(colon - line.data())),
                   detail::trim_ows(colon + 1, end)});
  }
}

}  // namespace weir

#include <weir/wire/http1_parser.hpp>

#include <weir/base/text.hpp>
#include <weir/wire/internal/http1_scan.hpp>
#include <weir/wire/internal/http_host.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace weir {

using detail::in_target;
using detail::in_token;
using detail::skip_class;

namespace {
constexpr http_fault bare_line_end{400, "bare_line_end", "a line must end in CR LF"};
constexpr http_fault bad_request_line{400, "bad_request_line",
                                      "the first line must be METHOD SP target SP HTTP/1.1"};
constexpr http_fault bad_target{400, "bad_target", "the request target has none of its four forms"};
constexpr http_fault bad_status_line{400, "bad_status_line",
                                     "the first line must be HTTP/1.1 SP status SP reason"};
constexpr http_fault bad_transfer_encoding{
    400, "bad_transfer_encoding", "Transfer-Encoding must be chunked, once, and nothing after it"};

// Is the token `name`, of the same length, `lower` in any case? For literals of small letters and
// hyphens: setting bit 0x20 maps no other token character onto one of these.
template <std::size_t Size>
bool is_named(std::string_view name, const char (&lower)[Size]) {
  static_assert(Size - 1 >= 4);
  const auto differ = [&](std::size_t at) {
    std::uint32_t ours;
    std::uint32_t theirs;
    std::memcpy(&ours, lower + at, 4);
    std::memcpy(&theirs, name.data() + at, 4);
    return ours ^ (theirs | 0x20202020);
  };
  std::uint32_t difference = differ(Size - 5);  // the last four, overlapping those before
  for (std::size_t at = 0; at + 4 < Size - 1; at += 4) difference |= differ(at);
  return difference == 0;
}

std::size_t length_of(const char* from, const char* to) {
  return static_cast<std::size_t>(to - from);
}

// Is this "HTTP/1.1", another version of that form, or the beginning of one?
bool may_be_version(std::string_view seen) {
  constexpr std::string_view form = "HTTP/d.d";
  for (std::size_t at = 0; at < seen.size(); ++at) {
    const bool fits = form[at] == 'd' ? seen[at] >= '0' && seen[at] <= '9' : seen[at] == form[at];
    if (!fits) return false;
  }
  return true;
}
}  // namespace

namespace detail {

void http1_fields_parser::restart() noexcept {
  fault_ = {};
  base_ = at_ = nullptr;
  notes_ = {};
  is_first_line_read_ = false;
  state_ = parse_state::incomplete;
}

http1_fields_parser::step http1_fields_parser::fail(http_fault fault) noexcept {
  fault_ = fault;
  state_ = parse_state::failed;
  return step::failed;
}

// Reads lines up to the empty one. `next` means that the head is whole and at_ behind it.
http1_fields_parser::step http1_fields_parser::read_field_lines(http_fields& fields,
                                                                const char* end) {
  while (true) {
    if (at_ == end) return step::more_input;
    if (*at_ == '\r') {
      if (at_ + 1 == end) return step::more_input;
      if (at_[1] != '\n') return fail(bare_line_end);
      at_ += 2;
      return step::next;
    }
    const step outcome = read_field_line(fields, end);
    if (outcome != step::next) return outcome;
  }
}

http1_fields_parser::step http1_fields_parser::read_field_line(http_fields& fields,
                                                               const char* end) {
  constexpr http_fault too_long{431, "field_too_large", "a header field is over its size limit"};
  const char* line = at_;
  const bool is_cut = length_of(line, end) > limits_.field_line_bytes_max;
  if (is_cut) end = line + limits_.field_line_bytes_max;
  const auto out_of_bytes = [&] { return is_cut ? fail(too_long) : step::more_input; };

  const char* colon = skip_class(in_token, line, end);
  if (colon == end) return out_of_bytes();
  if (*colon != ':' || colon == line) {
    if (colon == line && (*line == ' ' || *line == '\t')) {
      return fail({400, "folded_field", "a header field must not be continued on a new line"});
    }
    if (*colon == ' ' || *colon == '\t') {
      return fail({400, "space_before_colon", "no white space may follow a header field's name"});
    }
    if (*colon == '\r' || *colon == '\n') {
      return fail(
          {400, "field_without_colon", "a header field must be a name, a colon and a value"});
    }
    return fail(
        {400, "bad_field_name", "a header field's name must be one or more token characters"});
  }
  const char* value_end = skip_value(colon + 1, end);
  if (value_end == end) return out_of_bytes();
  if (*value_end == '\n') return fail(bare_line_end);
  if (*value_end != '\r') {
    return fail({400, "bad_field_value", "a header field's value must not hold control bytes"});
  }
  if (value_end + 1 == end) return out_of_bytes();
  if (value_end[1] != '\n') return fail(bare_line_end);
  if (fields.size() == limits_.fields_max) {
    return fail({431, "too_many_fields", "there are more header fields than the limit"});
  }
  const http_field field{{line, length_of(line, colon)}, trim_ows(colon + 1, value_end)};
  fields.add(field);
  note(field.name, field.value);
  at_ = value_end + 2;
  return step::next;
}

// Keeps what the framing needs; the lengths of the names tell most fields apart at once.
void http1_fields_parser::note(std::string_view name, std::string_view value) noexcept {
  switch (name.size()) {
    case 4:
      if (!is_named(name, "host")) return;
      ++notes_.hosts;
      notes_.host = value;
      return;
    case 6:
      if (is_named(name, "expect")) notes_.expectation = value;
      return;
    case 10: {
      if (!is_named(name, "connection")) return;
      while (!value.empty()) {
        const std::size_t comma = value.find(',');
        const std::string_view option = trim(value.substr(0, comma));
        notes_.says_close |= equal_ignoring_case(option, "close");
        notes_.says_keep_alive |= equal_ignoring_case(option, "keep-alive");
        value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
      }
      return;
    }
    case 14: {
      if (!is_named(name, "content-length")) return;
      ++notes_.content_lengths;
      notes_.has_bad_length |= value.empty();
      notes_.content_length = 0;
      bool is_over = false;
      for (char c : value) {
        if (c < '0' || c > '9') {
          notes_.has_bad_length = true;
          return;
        }
        is_over |= __builtin_mul_overflow(notes_.content_length, std::uint64_t(10),
                                          &notes_.content_length) ||
                   __builtin_add_overflow(notes_.content_length, std::uint64_t(c - '0'),
                                          &notes_.content_length);
      }
      if (is_over) notes_.content_length = UINT64_MAX;
      return;
    }
    case 17:
      if (is_named(name, "transfer-encoding")) ++notes_.transfer_encodings;
      return;
    default:
      return;
  }
}

// 9112, 6.1 to 6.3, for what the two kinds of message have in common.
http_fault http1_fields_parser::judge_framing(const http_fields& fields,
                                              http_version version) const noexcept {
  if (notes_.content_lengths > 1) {
    return {400, "duplicate_content_length", "Content-Length must be given once"};
  }
  if (notes_.has_bad_length) {
    return {400, "bad_content_length", "Content-Length must be one whole decimal number"};
  }
  if (notes_.transfer_encodings == 0) return {};
  if (notes_.content_lengths != 0) {
    return {400, "conflicting_lengths",
            "Content-Length and Transfer-Encoding must not be given together"};
  }
  if (version == http_version::v1_0) {
    return {400, "transfer_encoding_in_1_0", "HTTP/1.0 has no Transfer-Encoding"};
  }
  bool is_last_chunked = false;
  bool is_unknown = false;
  for (const http_field& field : fields) {
    if (!equal_ignoring_case(field.name, "transfer-encoding")) continue;
    std::string_view rest = field.value;
    while (true) {
      const std::size_t comma = rest.find(',');
      const std::string_view coding = trim(rest.substr(0, comma));
      if (is_last_chunked || coding.empty()) return bad_transfer_encoding;
      is_last_chunked = equal_ignoring_case(coding, "chunked");
      is_unknown |= !is_last_chunked;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  if (!is_last_chunked) return bad_transfer_encoding;
  if (is_unknown) {
    return {501, "unknown_transfer_coding", "the only transfer coding known here is chunked"};
  }
  return {};
}

bool http1_fields_parser::keeps_alive(http_version version) const noexcept {
  return !notes_.says_close && (version == http_version::v1_1 || notes_.says_keep_alive);
}

}  // namespace detail

// ---- requests ----

void http1_request_parser::reset() noexcept {
  restart();
  empty_lines_ = 0;
  http_fields kept = std::move(head_.fields);  // its memory serves the next head
  kept.clear();
  head_ = http_request_head();
  head_.fields = std::move(kept);
}

parse_state http1_request_parser::parse(std::string_view received) {
  if (state_ != parse_state::incomplete || received.empty()) return state_;
  if (base_ != received.data()) {  // the first call, or the bytes have moved: views would dangle
    reset();
    base_ = at_ = received.data();
  }
  const bool is_cut = received.size() > limits_.head_bytes_max;
  const char* end = base_ + std::min(received.size(), limits_.head_bytes_max);
  step outcome = step::next;
  if (!is_first_line_read_) outcome = read_request_line(end);
  if (outcome == step::next) outcome = read_field_lines(head_.fields, end);
  if (outcome == step::more_input && is_cut) {
    fail(is_first_line_read_
             ? http_fault{431, "head_too_large", "the header is over its size limit"}
             : http_fault{414, "target_too_long", "the request line is over its size limit"});
  }
  if (outcome == step::next) {
    state_ = parse_state::complete;
    if (const http_fault fault = judge_head()) fail(fault);
  }
  return state_;
}

http1_request_parser::step http1_request_parser::read_request_line(const char* end) {
  while (at_ != end && (*at_ == '\r' || *at_ == '\n')) {
    if (*at_ == '\n') return fail(bare_line_end);
    if (at_ + 1 == end) return step::more_input;
    if (at_[1] != '\n') return fail(bare_line_end);
    if (++empty_lines_ > limits_.empty_lines_max) {
      return fail({400, "empty_lines", "too many empty lines before the request line"});
    }
    at_ += 2;
  }
  const char* method_end = skip_class(in_token, at_, end);
  if (length_of(at_, method_end) > limits_.method_bytes_max) {
    return fail({501, "method_too_long", "no method of that length is implemented"});
  }
  if (method_end == end) return step::more_input;
  if (method_end == at_ || *method_end != ' ') return fail(bad_request_line);

  const char* target = method_end + 1;
  const char* target_end = skip_class(in_target, target, end);
  if (length_of(target, target_end) > limits_.target_bytes_max) {
    return fail({414, "target_too_long", "the request target is over its size limit"});
  }
  if (target_end == end) return step::more_input;
  if (target_end == target || *target_end != ' ') return fail(bad_request_line);

  const char* line = at_;
  const step outcome = read_version(target_end + 1, end);
  if (outcome != step::next) return outcome;
  head_.method = {line, length_of(line, method_end)};
  head_.target = {target, length_of(target, target_end)};
  is_first_line_read_ = true;
  if (const http_fault fault = judge_target()) return fail(fault);
  return step::next;
}

http1_request_parser::step http1_request_parser::read_version(const char* at, const char* end) {
  constexpr std::size_t size = 10;  // with CR LF
  if (length_of(at, end) >= size && std::memcmp(at, "HTTP/1.1\r\n", size) == 0) {
    at_ = at + size;
    return step::next;
  }
  const std::string_view seen(at, std::min(length_of(at, end), size));
  if (!may_be_version(seen.substr(0, 8))) return fail(bad_request_line);
  if (seen.size() > 8 && seen[8] != '\r') {
    return fail(seen[8] == '\n' ? bare_line_end : bad_request_line);
  }
  if (seen.size() < size) return step::more_input;
  if (seen[9] != '\n') return fail(bare_line_end);
  // A higher minor version is answered as the highest known one (9110, 2.5).
  if (seen[5] != '1') {
    return fail({505, "unknown_version", "only HTTP/1.1 and HTTP/1.0 are spoken here"});
  }
  head_.version = seen[7] == '0' ? http_version::v1_0 : http_version::v1_1;
  at_ = at + size;
  return step::next;
}

http_fault http1_request_parser::judge_target() noexcept {
  std::string_view rest = head_.target;
  if (head_.method == "CONNECT") {
    head_.form = target_form::authority;
    head_.host = rest;
    return detail::is_host(rest, detail::port_rule::required) ? http_fault() : bad_target;
  }
  if (rest == "*") {
    head_.form = target_form::asterisk;
    head_.path = rest;
    return head_.method == "OPTIONS" ? http_fault() : bad_target;
  }
  if (rest[0] != '/') {
    head_.form = target_form::absolute;
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    const std::string_view scheme = rest.substr(0, colon);
    if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https")) {
      return bad_target;
    }
    rest.remove_prefix(colon);
    if (!rest.starts_with("://")) return bad_target;
    rest.remove_prefix(3);
    const std::size_t host_size = std::min(rest.find_first_of("/?"), rest.size());
    head_.host = rest.substr(0, host_size);
    if (head_.host.empty() || !detail::is_host(head_.host, detail::port_rule::optional)) {
      return bad_target;
    }
    rest.remove_prefix(host_size);
  }
  const std::size_t mark = std::min(rest.find('?'), rest.size());
  head_.path = mark == 0 ? std::string_view("/") : rest.substr(0, mark);
  if (mark != rest.size()) head_.query = rest.substr(mark + 1);
  return {};
}

http_fault http1_request_parser::judge_head() noexcept {
  // 9112, 3.2: exactly one Host in HTTP/1.1, and its value must be one.
  if (notes_.hosts > 1 || (notes_.hosts == 0 && head_.version == http_version::v1_1)) {
    return {400, "bad_host", "there must be one Host field"};
  }
  if (notes_.hosts != 0 && !detail::is_host(notes_.host, detail::port_rule::optional)) {
    return {400, "bad_host", "the Host field must be a name or address and an optional port"};
  }
  // 9112, 3.2.2: a host in the target overrides the field.
  if (head_.form == target_form::origin || head_.form == target_form::asterisk)
    head_.host = notes_.host;

  if (const http_fault fault = judge_framing(head_.fields, head_.version)) return fault;
  if (notes_.transfer_encodings != 0) {
    head_.framing = body_framing::chunked;
  } else if (notes_.content_length != 0) {
    head_.framing = body_framing::length;
    head_.content_length = notes_.content_length;
    if (notes_.content_length > limits_.body_bytes_max) {
      return {413, "body_too_large", "the body is over its size limit"};
    }
  }
  head_.keep_alive = keeps_alive(head_.version);
  // 9110, 10.1.1: in HTTP/1.0 the field has no meaning.
  if (!notes_.expectation.empty() && head_.version == http_version::v1_1) {
    if (!equal_ignoring_case(notes_.expectation, "100-continue")) {
      return {417, "unknown_expectation", "the only expectation known is 100-continue"};
    }
    head_.expects_continue = head_.framing != body_framing::none;
  }
  return {};
}

// ---- responses ----

void http1_response_parser::reset() noexcept {
  restart();
  http_fields kept = std::move(head_.fields);
  kept.clear();
  head_ = http_response_head();
  head_.fields = std::move(kept);
}

parse_state http1_response_parser::parse(std::string_view received, response_to request) {
  if (state_ != parse_state::incomplete || received.empty()) return state_;
  if (base_ != received.data()) {
    reset();
    base_ = at_ = received.data();
  }
  const bool is_cut = received.size() > limits_.head_bytes_max;
  const char* end = base_ + std::min(received.size(), limits_.head_bytes_max);
  step outcome = step::next;
  if (!is_first_line_read_) outcome = read_status_line(end);
  if (outcome == step::next) outcome = read_field_lines(head_.fields, end);
  if (outcome == step::more_input && is_cut) {
    fail({431, "head_too_large", "the header is over its size limit"});
  }
  if (outcome == step::next) {
    state_ = parse_state::complete;
    if (const http_fault fault = judge_head(request)) fail(fault);
  }
  return state_;
}

// HTTP/1.1 SP 3DIGIT [SP reason] CR LF; many servers leave the second space out (9112, 4 has it).
http1_response_parser::step http1_response_parser::read_status_line(const char* end) {
  constexpr std::size_t status_end = 12;
  const char* line = at_;
  const std::string_view seen(line, std::min(length_of(line, end), status_end));
  if (!may_be_version(seen.substr(0, 8)) || (seen.size() > 8 && seen[8] != ' ')) {
    return fail(bad_status_line);
  }
  for (std::size_t at = 9; at < seen.size(); ++at) {
    const char lowest = at == 9 ? '1' : '0';
    const char highest = at == 9 ? '5' : '9';  // 9110, 15: valid are 100 to 599
    if (seen[at] < lowest || seen[at] > highest) return fail(bad_status_line);
  }
  if (seen.size() < status_end) return step::more_input;
  const char* reason = line + status_end;
  if (reason == end) return step::more_input;
  if (*reason != ' ' && *reason != '\r') return fail(bad_status_line);
  const char* reason_end = detail::skip_value(reason, end);
  if (reason_end == end) return step::more_input;
  if (*reason_end != '\r') return fail(*reason_end == '\n' ? bare_line_end : bad_status_line);
  if (reason_end + 1 == end) return step::more_input;
  if (reason_end[1] != '\n') return fail(bare_line_end);
  if (line[5] != '1') {
    return fail({505, "unknown_version", "only HTTP/1.1 and HTTP/1.0 are spoken here"});
  }
  head_.version = line[7] == '0' ? http_version::v1_0 : http_version::v1_1;
  head_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  head_.reason = detail::trim_ows(reason, reason_end);
  at_ = reason_end + 2;
  is_first_line_read_ = true;
  return step::next;
}

http_fault http1_response_parser::judge_head(response_to request) noexcept {
  if (const http_fault fault = judge_framing(head_.fields, head_.version)) return fault;
  head_.keep_alive = keeps_alive(head_.version);
  const int status = head_.status;
  const bool has_no_body = request == response_to::head || status < 200 || status == 204 ||
                           status == 304 || (request == response_to::connect && status / 100 == 2);
  head_.content_length = notes_.content_lengths != 0 ? notes_.content_length : 0;
  if (has_no_body) return {};
  if (notes_.transfer_encodings != 0) {
    head_.framing = body_framing::chunked;
  } else if (notes_.content_lengths == 0) {
    head_.framing = body_framing::until_close;
    head_.keep_alive = false;
  } else if (notes_.content_length != 0) {
    head_.framing = body_framing::length;
    if (notes_.content_length > limits_.body_bytes_max) {
      return {413, "body_too_large", "the body is over its size limit"};
    }
  }
  return {};
}

}  // namespace weir

#include <weir/wire/http1_writer.hpp>

#include <weir/base/assert.hpp>
#include <weir/wire/internal/http1_scan.hpp>

#include <algorithm>
#include <charconv>

namespace weir {

namespace {
bool is_all(std::uint8_t classes, std::string_view text) {
  return detail::skip_class(classes, text.data(), text.data() + text.size()) ==
         text.data() + text.size();
}

bool is_value(std::string_view text) {
  return detail::skip_value(text.data(), text.data() + text.size()) == text.data() + text.size();
}

void append_number(std::string& out, std::uint64_t number, int base = 10) {
  char digits[20];
  const auto [end, problem] = std::to_chars(digits, digits + sizeof digits, number, base);
  out.append(digits, end);
}

void append_two(std::string& out, std::int64_t number) {
  out += static_cast<char>('0' + number / 10);
  out += static_cast<char>('0' + number % 10);
}
}  // namespace

http1_head_writer http1_head_writer::response(std::string& out, int status, http_version version) {
  WEIR_ASSERT(status >= 100 && status <= 999);
  http1_head_writer head(out);
  out += version == http_version::v1_1 ? "HTTP/1.1 " : "HTTP/1.0 ";
  append_number(out, static_cast<std::uint64_t>(status));
  out += ' ';
  out += reason_phrase(status);
  out += "\r\n";
  return head;
}

http1_head_writer http1_head_writer::request(std::string& out, std::string_view method,
                                             std::string_view target) {
  http1_head_writer head(out);
  if (method.empty() || !is_all(detail::in_token, method)) head.refuse("a method is one token");
  if (target.empty() || !is_all(detail::in_target, target)) {
    head.refuse("a request target has no spaces, control bytes or fragment: encode it");
  }
  ((out += method) += ' ') += target;
  out += " HTTP/1.1\r\n";
  return head;
}

void http1_head_writer::refuse(std::string_view what) {
  out_.resize(start_);
  raise(error(errc::invalid_argument, what));
}

http1_head_writer& http1_head_writer::field(std::string_view name, std::string_view value) {
  if (name.empty() || !is_all(detail::in_token, name)) refuse("a header name is one token");
  if (!is_value(value)) refuse("a header value has no control bytes or line ends");
  ((out_ += name) += ": ") += value;
  out_ += "\r\n";
  return *this;
}

http1_head_writer& http1_head_writer::field(std::string_view name, std::uint64_t value) {
  char digits[20];
  const auto [end, problem] = std::to_chars(digits, digits + sizeof digits, value);
  return field(name, std::string_view(digits, end));
}

http1_head_writer& http1_head_writer::framing(body_framing kind, std::uint64_t content_length) {
  switch (kind) {
    case body_framing::none:
      return *this;
    case body_framing::length:
      return field("Content-Length", content_length);
    case body_framing::chunked:
      return field("Transfer-Encoding", "chunked");
    case body_framing::until_close:
      return field("Connection", "close");
  }
  return *this;
}

void http1_head_writer::finish() { out_ += "\r\n"; }

void append_chunk_head(std::string& out, std::uint64_t size) {
  WEIR_ASSERT(size != 0);
  append_number(out, size, 16);
  out += "\r\n";
}

void append_http_date(std::string& out, std::int64_t unix_seconds) {
  constexpr std::int64_t last = 253'402'300'799;  // the end of year 9999
  constexpr std::string_view weekdays = "SunMonTueWedThuFriSat";
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::int64_t seconds = std::clamp<std::int64_t>(unix_seconds, 0, last);
  const std::int64_t days = seconds / 86'400;
  const std::int64_t second_of_day = seconds % 86'400;
  // The civil date by counting from 1 March of year 0, as leap days then end their years (Hinnant,
  // "chrono-compatible low-level date algorithms").
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = shifted / 146'097;
  const std::int64_t day_of_era = shifted % 146'097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t march_month = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
  const std::int64_t month = march_month < 10 ? march_month + 2 : march_month - 10;  // from 0
  const std::int64_t year = year_of_era + era * 400 + (month < 2 ? 1 : 0);

  out += weekdays.substr(static_cast<std::size_t>((days + 4) % 7) * 3, 3);
  out += ", ";
  append_two(out, day);
  out += ' ';
  out += months.substr(static_cast<std::size_t>(month) * 3, 3);
  out += ' ';
  append_two(out, year / 100);
  append_two(out, year % 100);
  out += ' ';
  append_two(out, second_of_day / 3'600);
  out += ':';
  append_two(out, second_of_day / 60 % 60);
  out += ':';
  append_two(out, second_of_day % 60);
  out += " GMT";
}

}  // namespace weir

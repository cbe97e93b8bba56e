#include <weir/wire/http_head.hpp>

#include <weir/base/text.hpp>

#include <algorithm>
#include <iterator>

namespace weir {

namespace {
struct phrase {
  int status;
  std::string_view text;
};
// The registry of status codes (9110, 15), in their order.
constexpr phrase phrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};
static_assert(std::ranges::is_sorted(phrases, {}, &phrase::status));
}  // namespace

const http_field* http_fields::find(std::string_view name) const noexcept {
  for (const http_field& field : list_) {
    if (equal_ignoring_case(field.name, name)) return &field;
  }
  return nullptr;
}

std::string_view http_fields::value_of(std::string_view name) const noexcept {
  const http_field* found = find(name);
  return found ? found->value : std::string_view();
}

std::size_t http_fields::count_of(std::string_view name) const noexcept {
  std::size_t count = 0;
  for (const http_field& field : list_) count += equal_ignoring_case(field.name, name);
  return count;
}

bool http_fields::has_token(std::string_view name, std::string_view token) const noexcept {
  for (const http_field& field : list_) {
    if (!equal_ignoring_case(field.name, name)) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const std::size_t comma = rest.find(',');
      if (equal_ignoring_case(trim(rest.substr(0, comma)), token)) return true;
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  return false;
}

error as_error(const http_fault& fault, std::source_location place) noexcept {
  if (fault.status == 503) return error(errc::busy, fault.detail, place);
  const bool is_limit = fault.status == 413 || fault.status == 414 || fault.status == 431;
  return error(is_limit ? errc::too_large : errc::malformed, fault.detail, place);
}

std::string_view reason_phrase(int status) noexcept {
  const auto* found = std::ranges::lower_bound(phrases, status, {}, &phrase::status);
  return found != std::end(phrases) && found->status == status ? found->text : "Unknown";
}

}  // namespace weir

// Fuzzes the readers of texts: what they accept must read back equal when it is written again. The
// first byte of the input chooses the reader.
#include <weir/wire/url.hpp>

#include <weir/base/assert.hpp>
#include <weir/wire/base64.hpp>
#include <weir/wire/percent.hpp>
#include <weir/wire/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {
namespace {

void check_url(std::string_view text) {
  const auto parsed = parse_url(text);
  if (!parsed) return;
  WEIR_ASSERT(parsed->port != 0 && !parsed->host.empty() && parsed->target.starts_with('/'));
  const auto again = parse_url(parsed->text());
  WEIR_ASSERT(again && *again == *parsed);
}

void check_base64(std::string_view text) {
  const auto decoded = decode_base64(text, 1'000);
  // Strict means one text per meaning.
  if (decoded) WEIR_ASSERT(decoded->size() <= 1'000 && encode_base64(*decoded) == text);
}

void check_percent(std::string_view text) {
  const auto decoded = percent_decode(text);
  if (!decoded) return;
  std::string encoded;
  append_percent_encoded(encoded, *decoded);
  WEIR_ASSERT(percent_decode(encoded).value() == *decoded);
}

void check_lists(std::string_view text) {
  if (const auto segments = split_path(text)) WEIR_ASSERT(segments->size() <= path_segments_max);
  if (const auto query = parse_query(text)) {
    WEIR_ASSERT(query->size() <= query_parameters_max);
    std::string written;
    for (const auto& [name, value] : *query) {
      append_percent_encoded(written, name);
      written += '=';
      append_percent_encoded(written, value);
      written += '&';
    }
    const auto again = parse_query(written);
    WEIR_ASSERT(again && again->size() == query->size());
  }
}

void check_utf8(std::string_view text) {
  const std::string repaired = repair_utf8(text);
  WEIR_ASSERT(is_utf8(repaired));
  WEIR_ASSERT((repaired == text) == is_utf8(text));
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // A copy of exactly that size, so that the address sanitizer sees each read beyond it.
  const std::string input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      weir::check_url(input);
      break;
    case 1:
      weir::check_base64(input);
      break;
    case 2:
      weir::check_percent(input);
      break;
    case 3:
      weir::check_lists(input);
      break;
    default:
      weir::check_utf8(input);
      break;
  }
  return 0;
}

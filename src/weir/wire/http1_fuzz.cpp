// Fuzzes the HTTP/1.1 parsers: whatever the bytes, a connection that gets them whole and one that
// gets them cut anywhere must see the same messages, and no read may leave the received bytes. The
// first byte of the input chooses the kind of message and how the rest is cut.
#include <weir/base/assert.hpp>
#include <weir/base/random.hpp>
#include <weir/wire/http1_body.hpp>
#include <weir/wire/http1_parser.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace weir {
namespace {

// Small, so that short inputs reach them.
http_limits fuzz_limits() {
  http_limits limits;
  limits.method_bytes_max = 8;
  limits.target_bytes_max = 40;
  limits.field_line_bytes_max = 60;
  limits.fields_max = 6;
  limits.head_bytes_max = 200;
  limits.body_bytes_max = 64;
  limits.chunk_extension_bytes_max = 12;
  limits.trailer_bytes_max = 40;
  return limits;
}

void tell(std::string& log, const http_fields& fields) {
  for (const auto& f : fields) ((((log += f.name) += '=') += f.value) += '\n');
}

void tell(std::string& log, const http_request_head& head) {
  WEIR_ASSERT(head.fields.count_of("content-length") <= 1);
  WEIR_ASSERT(head.framing != body_framing::until_close);
  log += "head ";
  for (auto part : {head.method, head.target, head.path, head.query, head.host}) {
    (log += part) += ' ';
  }
  log += std::to_string(static_cast<int>(head.framing)) + std::to_string(head.content_length);
  log += std::to_string(head.keep_alive) + std::to_string(head.expects_continue) + '\n';
  tell(log, head.fields);
}

void tell(std::string& log, const http_response_head& head) {
  log += "head " + std::to_string(head.status) + ' ' + std::string(head.reason);
  log += std::to_string(static_cast<int>(head.framing)) + std::to_string(head.content_length);
  log += std::to_string(head.keep_alive) + '\n';
  tell(log, head.fields);
}

// One connection: all messages of `input`, received in pieces that `cuts` draws (whole when null).
// Each call sees an allocation of exactly the bytes received so far.
template <class Parser>
std::string read_all(std::string_view input, random_source* cuts) {
  std::string log;
  Parser parser(fuzz_limits());
  http1_body_decoder decoder;
  bool is_in_body = false;
  std::size_t start = 0;  // of the bytes that are not consumed yet
  std::size_t known = 0;
  const auto receive = [&] {
    if (known == input.size()) return false;
    known += cuts ? 1 + cuts->below(std::min<std::size_t>(input.size() - known, 20))
                  : input.size() - known;
    return true;
  };
  while (true) {
    const std::size_t size = known - start;
    const auto exact = std::make_unique<char[]>(size);
    input.copy(exact.get(), size, start);
    const std::string_view bytes(exact.get(), size);
    if (!is_in_body) {
      const parse_state state = parser.parse(bytes);
      if (state == parse_state::failed) return (log += "failed ") += parser.fault().code;
      if (state == parse_state::incomplete) {
        if (!receive()) return log += "incomplete";
        continue;
      }
      tell(log, parser.head());
      WEIR_ASSERT(parser.consumed() <= size);
      start += parser.consumed();
      decoder =
          http1_body_decoder(parser.head().framing, parser.head().content_length, fuzz_limits());
      parser.reset();
      is_in_body = true;
      continue;
    }
    const auto piece = decoder.next(bytes);
    WEIR_ASSERT(piece.consumed <= size && piece.data.size() <= piece.consumed);
    WEIR_ASSERT(decoder.received() <= fuzz_limits().body_bytes_max);
    log += piece.data;
    start += piece.consumed;
    if (decoder.is_failed()) return (log += "failed ") += decoder.fault().code;
    if (decoder.is_done()) {
      log += "\nend\n";
      tell(log, decoder.trailers());
      is_in_body = false;
    } else if (start == known && !receive()) {
      decoder.end_of_input();
      return (log += "end ") += decoder.fault().code;
    }
  }
}

template <class Parser>
void check(std::string_view input, std::uint64_t seed) {
  random_source cuts(seed);
  WEIR_ASSERT(read_all<Parser>(input, nullptr) == read_all<Parser>(input, &cuts));
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    weir::check<weir::http1_request_parser>(input, data[0]);
  } else {
    weir::check<weir::http1_response_parser>(input, data[0]);
  }
  return 0;
}

// The time to read one request head: weir's parser, as a connection uses it (reset after each).
#include <weir/wire/http1_parser.hpp>

#include "http_parser_input.hpp"

int main(int count, char** arguments) {
  weir::http1_request_parser parser;
  return bench::run(count, arguments, [&parser](std::string_view request) -> std::uint64_t {
    parser.reset();
    if (parser.parse(request) != weir::parse_state::complete) return 0;
    std::uint64_t bytes = parser.head().target.size();
    for (const auto& field : parser.head().fields) bytes += field.name.size() + field.value.size();
    return bytes;
  });
}

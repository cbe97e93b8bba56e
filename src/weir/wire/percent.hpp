// Percent-encoding of URL parts (RFC 3986, 2.1) and what is built of it: path segments and query
// parameters. The hard idea: split first, decode then; a %2F inside a segment is no separator, and
// whoever decodes first can be made to see another path than its neighbour.
#pragma once

#include <weir/base/result.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

inline constexpr std::size_t path_segments_max = 16;
inline constexpr std::size_t query_parameters_max = 32;

/// What a plus sign means: itself in paths, a space in queries (as HTML forms write it).
enum class plus_rule : unsigned char { plus, space };

/// Decodes one part. Refuses `%` without two hexadecimal digits, and a zero byte, encoded or not,
/// which ends strings for some readers and not for others (`malformed`).
result<std::string> percent_decode(std::string_view text, plus_rule plus = plus_rule::plus);

/// Writes `text` so that it is one path segment or one query name or value.
void append_percent_encoded(std::string& out, std::string_view text);

/// "/v1/queues/a%20b" as {"v1", "queues", "a b"}. The path starts with a slash; segments are not
/// normalised: ".." is a segment like any other. Over path_segments_max: `too_large`.
result<std::vector<std::string>> split_path(std::string_view path);

struct query_parameter {
  std::string name;
  std::string value;  // empty without '='
};
/// "wait=5s&max=10" as a list in its order; empty parts are skipped. A name given twice is refused,
/// since two readers could take different ones. Over query_parameters_max: `too_large`.
result<std::vector<query_parameter>> parse_query(std::string_view query);

}  // namespace weir

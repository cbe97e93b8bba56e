// Problem documents (RFC 9457): how an HTTP interface says what went wrong, for programs by `code`
// and for people by `detail`.
#pragma once

#include <string>
#include <string_view>

namespace weir {

inline constexpr std::string_view problem_content_type = "application/problem+json";

/// {"type":"about:blank","title":"Not Found","status":404,"code":"no_queue","detail":"..."}
/// The title is the status's phrase. `detail` may hold anything: what is no UTF-8 is replaced.
std::string problem_json(int status, std::string_view code, std::string_view detail);

}  // namespace weir

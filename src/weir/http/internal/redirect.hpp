// Where a redirect leads, and what is sent there (RFC 9110, 15.4).
#pragma once

#include <weir/base/result.hpp>
#include <weir/http/client.hpp>
#include <weir/wire/url.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace weir::http::detail {

bool is_redirect(int status) noexcept;
/// The URL that a Location field means: absolute, or relative to the one that was asked (RFC 3986,
/// 5.2). `malformed` for what is none.
result<url> resolve_location(const url& asked, std::string_view location);
/// Changes the request as the status wants it. Credentials don't go to another host; `kept` holds
/// the fields that stay.
void prepare_redirected(client_request& what, std::vector<http_field>& kept, int status,
                        const url& from, const url& to);

}  // namespace weir::http::detail

#include <weir/http/internal/redirect.hpp>

#include <weir/base/text.hpp>

namespace weir::http::detail {

namespace {

bool is_credential(std::string_view name) noexcept {
  for (const std::string_view one : {"authorization", "cookie", "proxy-authorization"}) {
    if (equal_ignoring_case(name, one)) return true;
  }
  return false;
}

bool is_about_body(std::string_view name) noexcept {
  constexpr std::string_view prefix = "content-";
  return name.size() > prefix.size() && equal_ignoring_case(name.substr(0, prefix.size()), prefix);
}

}  // namespace

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

result<std::string> resolve_location(const url& asked, std::string_view location) {
  location = location.substr(0, location.find('#'));
  const std::string scheme = asked.is_tls() ? "https:" : "http:";
  const std::string origin = scheme + "//" + asked.authority();
  if (location.empty()) return fail(errc::malformed, "a redirect to nowhere");
  if (location.starts_with("//")) return scheme + std::string(location);
  if (location.starts_with('/')) return origin + std::string(location);
  const std::size_t colon = location.find(':');
  if (colon != std::string_view::npos && colon < location.find('/')) return std::string(location);
  const std::string path = asked.target.substr(0, asked.target.find('?'));
  if (location.starts_with('?')) return origin + path + std::string(location);
  return origin + path.substr(0, path.rfind('/') + 1) + std::string(location);
}

void prepare_redirected(client_request& what, std::vector<http_field>& kept, int status,
                        const url& from, const url& to) {
  const bool is_elsewhere =
      from.scheme != to.scheme || from.host != to.host || from.port != to.port;
  const bool becomes_get = (status == 303 && what.method != "HEAD") ||
                           ((status == 301 || status == 302) && what.method == "POST");
  std::vector<http_field> stay;
  for (const http_field& one : what.headers) {
    if (is_elsewhere && is_credential(one.name)) continue;
    if (becomes_get && is_about_body(one.name)) continue;
    stay.push_back(one);
  }
  kept = std::move(stay);
  what.headers = kept;
  if (!becomes_get) return;
  what.method = "GET";
  what.body = {};
}

}  // namespace weir::http::detail

#include <weir/http/internal/redirect.hpp>

#include <weir/base/text.hpp>

#include <algorithm>

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

// 3986, 5.2.4: of a path that begins with a slash.
std::string without_dots(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(1, end - 1);
    path.remove_prefix(end);
    if (segment == "..") out.resize(out.empty() ? 0 : out.rfind('/'));
    if (segment != "." && segment != "..") {
      (out += '/') += segment;
    } else if (path.empty()) {
      out += '/';
    }
  }
  return out;
}

// The target that a location means from the path `base`: its path may be relative or empty.
std::string target_of(std::string_view base, std::string_view location) {
  const std::string_view given = location.substr(0, location.find('?'));
  if (given.empty()) return std::string(base).append(location);
  std::string path;
  if (!given.starts_with('/')) path = base.substr(0, base.rfind('/') + 1);
  path += given;
  return without_dots(path).append(location.substr(given.size()));
}

result<url> parse_location(std::string_view text) {
  result<url> to = parse_url(text);
  if (to) return to;
  return fail(error(errc::malformed, "a redirect to what is no URL").caused_by(to.error()));
}

}  // namespace

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

result<url> resolve_location(const url& asked, std::string_view location) {
  location = location.substr(0, location.find('#'));
  const std::string scheme = asked.is_tls() ? "https:" : "http:";
  if (location.empty()) return fail(errc::malformed, "a redirect to nowhere");
  if (location.starts_with("//")) return parse_location(scheme + std::string(location));
  const std::size_t colon = location.find(':');
  if (colon < location.find_first_of("/?")) return parse_location(location);
  const std::string_view base = std::string_view(asked.target).substr(0, asked.target.find('?'));
  return parse_location(scheme + "//" + asked.authority() + target_of(base, location));
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

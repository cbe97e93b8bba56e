#include <weir/serve/routes.hpp>

#include <fmt/format.h>

#include <array>

namespace weir {

namespace {

struct row {
  std::string_view method;
  std::string_view pattern;  // "*" stands for one segment that is not empty
  std::string_view name;
};

// The order is that of `endpoint`.
constexpr std::array<row, endpoints> table{{
    {"GET", "/v1/queues", "list_queues"},
    {"GET", "/v1/queues/*", "get_queue"},
    {"PUT", "/v1/queues/*", "put_queue"},
    {"DELETE", "/v1/queues/*", "delete_queue"},
    {"POST", "/v1/queues/*/messages", "submit"},
    {"POST", "/v1/queues/*/messages:batch", "submit_batch"},
    {"GET", "/v1/queues/*/events", "queue_events"},
    {"POST", "/v1/queues/*/leases", "lease"},
    {"POST", "/v1/queues/*/redrive", "redrive"},
    {"GET", "/v1/messages/*", "get_message"},
    {"GET", "/v1/messages/*/events", "message_events"},
    {"POST", "/v1/leases/*/ack", "ack"},
    {"POST", "/v1/leases:ack", "ack_batch"},
    {"POST", "/v1/leases/*/nack", "nack"},
    {"POST", "/v1/leases/*/extend", "extend"},
    {"GET", "/healthz", "healthz"},
    {"GET", "/readyz", "readyz"},
    {"GET", "/metrics", "metrics"},
}};

/// The segment for "*" (empty when the pattern has none) or nothing.
bool matches(std::string_view pattern, std::string_view path, std::string_view& argument) {
  argument = {};
  const std::size_t star = pattern.find('*');
  if (star == pattern.npos) return pattern == path;
  const std::string_view before = pattern.substr(0, star);
  const std::string_view after = pattern.substr(star + 1);
  if (!path.starts_with(before)) return false;
  path.remove_prefix(before.size());
  if (!path.ends_with(after) || path.size() == after.size()) return false;
  argument = path.substr(0, path.size() - after.size());
  return argument.find('/') == argument.npos;
}

/// Paths are quoted in problems; a stranger's may be long.
constexpr std::size_t quoted_path_bytes_max = 200;

}  // namespace

std::string_view name(endpoint of) noexcept { return table[static_cast<std::size_t>(of)].name; }

answer<route> find_route(std::string_view method, std::string_view path) {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  std::string allow;
  for (std::size_t at = 0; at < table.size(); ++at) {
    std::string_view argument;
    if (!matches(table[at].pattern, path, argument)) continue;
    if (table[at].method == wanted) return route{static_cast<endpoint>(at), argument};
    if (!allow.empty()) allow += ", ";
    allow += table[at].method;
    if (table[at].method == "GET") allow += ", HEAD";
  }
  const std::string_view quoted = path.substr(0, quoted_path_bytes_max);
  if (allow.empty()) return refused(404, "no_such_path", fmt::format("nothing is at {}", quoted));
  api_problem problem{.status = 405,
                      .code = "method_not_allowed",
                      .detail = fmt::format("{} takes {}", quoted, allow),
                      .allow = allow};
  return std::unexpected(std::move(problem));
}

}  // namespace weir

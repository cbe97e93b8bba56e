#include <weir/serve/query_params.hpp>

#include <weir/base/text.hpp>
#include <weir/wire/percent.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weir {

answer<query_params> query_params::parse(std::string_view query,
                                         std::initializer_list<std::string_view> known) {
  const auto parsed = parse_query(query);
  if (!parsed) {
    return refused(400, "invalid_parameter",
                   fmt::format("the query is refused: {}", parsed.error().message()));
  }
  query_params out;
  for (const query_parameter& one : *parsed) {
    if (std::ranges::find(known, one.name) == known.end()) {
      const std::string list = known.size() == 0
                                   ? "this path takes none"
                                   : fmt::format("known are: {}", fmt::join(known, ", "));
      return refused(400, "unknown_parameter",
                     fmt::format("unknown parameter '{}'; {}", one.name.substr(0, 100), list));
    }
    out.params_.push_back(one);
  }
  return out;
}

std::optional<std::string_view> query_params::text(std::string_view name) const {
  const auto found = std::ranges::find(params_, name, &query_parameter::name);
  return found == params_.end() ? std::nullopt : std::optional<std::string_view>(found->value);
}

answer<duration> query_params::length(std::string_view name, duration otherwise,
                                      duration max) const {
  const std::optional<std::string_view> given = text(name);
  if (!given) return otherwise;
  const result<duration> parsed = parse_duration(*given);
  if (!parsed) {
    return refused(
        400, "invalid_parameter",
        fmt::format("parameter '{}' is no duration: {}", name, parsed.error().message()));
  }
  return std::min(*parsed, max);
}

answer<std::uint64_t> query_params::whole(std::string_view name, std::uint64_t otherwise,
                                          std::uint64_t min, std::uint64_t max) const {
  const std::optional<std::string_view> given = text(name);
  if (!given) return otherwise;
  const result<std::uint64_t> parsed = parse_number(*given, max);
  if (!parsed || *parsed < min) {
    return refused(
        400, "invalid_parameter",
        fmt::format("parameter '{}' must be a whole number from {} to {}", name, min, max));
  }
  return *parsed;
}

}  // namespace weir

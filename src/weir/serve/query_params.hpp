// The parameters after the '?' of a target. Like settings, those that an endpoint doesn't know are
// refused by name: a misspelt `wiat=30s` that answers at once costs its author an afternoon.
#pragma once

#include <weir/base/time.hpp>
#include <weir/serve/api_problem.hpp>
#include <weir/wire/percent.hpp>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// The parameters of one request, decoded.
///
/// Cancel:  plain value, no waits.
/// Order:   none; a name may be given once.
/// Bound:   query_parameters_max parameters.
/// Errors:  problems with the codes invalid_parameter and unknown_parameter.
/// Threads: one at a time.
class query_params {
 public:
  /// Splits and decodes; every name must be one of `known`.
  static answer<query_params> parse(std::string_view query,
                                    std::initializer_list<std::string_view> known);

  /// The duration of a name, cut to `max`; `otherwise` when it is not there.
  answer<duration> length(std::string_view name, duration otherwise, duration max) const;
  /// The whole number of a name in [min, max].
  answer<std::uint64_t> whole(std::string_view name, std::uint64_t otherwise, std::uint64_t min,
                              std::uint64_t max) const;
  std::optional<std::string_view> text(std::string_view name) const;

 private:
  std::vector<query_parameter> params_;
};

}  // namespace weir

// Why the HTTP interface says no: a status, a code that programs may rely on, and a sentence that
// names the culprit; written as application/problem+json (RFC 9457). The hard idea: this is the one
// place that knows which status a reason has, so that no two endpoints disagree.
#pragma once

#include <weir/base/error.hpp>
#include <weir/base/time.hpp>
#include <weir/broker/broker_errc.hpp>

#include <expected>
#include <string>
#include <string_view>

namespace weir {

/// One refusal as HTTP says it. `retry_after` of 0 sends no Retry-After, an empty `allow` no Allow.
struct api_problem {
  int status = 500;
  std::string code;
  std::string detail;
  duration retry_after = {};
  std::string allow = {};

  bool operator==(const api_problem&) const = default;
};

/// What an endpoint's helper gives, or the problem to answer with.
template <class T>
using answer = std::expected<T, api_problem>;

/// `return refused(400, "invalid_json", "the body ends in the middle of a string");`
[[nodiscard]] std::unexpected<api_problem> refused(int status, std::string_view code,
                                                   std::string detail);

/// The broker's refusal. What frees itself with time (a full queue) tells when to come back.
api_problem problem_of(const refusal& why);
/// An error that ended a request. Texts of our own bugs stay inside: the detail of `internal` and
/// `io` says only that it was logged.
api_problem problem_of(const error& why);

/// Whole seconds, rounded up, at least 1: the form that Retry-After wants.
std::string retry_after_seconds(duration wait);

}  // namespace weir

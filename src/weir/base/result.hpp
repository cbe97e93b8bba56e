// A value or an error, for places where failure is an ordinary outcome. result<T> is
// std::expected<T, error>, so all of its verbs (and_then, transform, value_or ...) work; `fail`
// makes the unexpected half short to write.
#pragma once

#include <weir/base/error.hpp>

#include <expected>
#include <type_traits>
#include <utility>

namespace weir {

template <class T = void>
using result = std::expected<T, error>;

/// `return fail(errc::not_found, "no queue named x");`
[[nodiscard]] inline std::unexpected<error> fail(
    errc code, std::source_location place = std::source_location::current()) {
  return std::unexpected<error>(error(code, place));
}
[[nodiscard]] inline std::unexpected<error> fail(
    errc code, std::string_view message,
    std::source_location place = std::source_location::current()) {
  return std::unexpected<error>(error(code, message, place));
}
[[nodiscard]] inline std::unexpected<error> fail(error what) {
  return std::unexpected<error>(std::move(what));
}

/// The value, or its error thrown as weir::exception: the step from results to exceptions.
template <class T>
T value_or_raise(result<T>&& outcome) {
  if (!outcome) raise(std::move(outcome.error()));
  if constexpr (!std::is_void_v<T>) return std::move(*outcome);
}

}  // namespace weir

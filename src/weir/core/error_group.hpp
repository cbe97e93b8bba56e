// Several errors as one: what a scope raises when its children failed. Always a group at a scope's
// border, even for a single error, so that a handler has one shape to deal with.
#pragma once

#include <weir/core/frame.hpp>

#include <cstddef>
#include <exception>

namespace weir {

namespace detail {
struct error_list;
}

/// The errors of a scope's tasks, in the order in which they happened.
///
/// Cancel:  plain value, no waits.
/// Order:   first() is the error that cancelled the others.
/// Bound:   error_group::size_max errors are kept; the rest is counted in dropped().
/// Errors:  when memory for the list is missing, errors are counted in dropped().
/// Threads: copies share an immutable list; any thread.
class error_group : public std::exception {
 public:
  static constexpr std::size_t size_max = 64;

  explicit error_group(detail::error_list* taken) noexcept : list_(taken) {}  // takes the list over
  error_group(const error_group& other) noexcept;
  error_group& operator=(const error_group&) = delete;
  ~error_group() override;

  std::size_t size() const noexcept;
  std::size_t dropped() const noexcept;
  const std::exception_ptr& operator[](std::size_t at) const noexcept;
  const std::exception_ptr& first() const noexcept { return (*this)[0]; }
  /// "2 errors: [1] not_found: ...; [2] ...", with the async stack of each on lines of its own.
  const char* what() const noexcept override;

 private:
  detail::error_list* list_;
};

/// "not_found: queue 'x'" for weir's exceptions, what() for std's, "unknown exception" for others;
/// written to `out`.
void describe_exception(const std::exception_ptr& failure, detail::text_sink& out) noexcept;

}  // namespace weir

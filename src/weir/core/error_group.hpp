// Several errors as one: what a scope raises when its children failed. Always a group at a scope's
// border, even for a single error, so that a handler has one shape to deal with.
#pragma once

#include <weir/core/frame.hpp>

#include <cstddef>
#include <exception>
#include <iosfwd>  // std::string; its own header weighs 6,000 lines

namespace weir {

struct error_split;

namespace detail {
struct error_list;
error_list* make_error_list() noexcept;
/// Of a group with one error that error, else the exception itself. Called while it is handled.
std::exception_ptr single_error(const std::exception& group) noexcept;
/// Throws it, with the trace that the group knows.
[[noreturn]] void rethrow_single(const std::exception& group);
/// Adds an error of one list to another, with all that is known about it.
void add_failure(error_list& to, const error_list& from, std::size_t at) noexcept;
}  // namespace detail

/// The errors of a scope's tasks, in the order in which they happened.
///
/// Cancel:  plain value, no waits.
/// Order:   first() is the error that cancelled the others, or, of a collecting scope, came first.
/// Bound:   error_group::size_max errors are kept; the rest is counted in dropped().
/// Errors:  without memory for more, errors are counted in dropped(); without memory for the first,
///          the group is a std::bad_alloc, and dropped() says 1 whatever their number.
/// Threads: copies share an immutable list; any thread.
class error_group : public std::exception {
 public:
  static constexpr std::size_t size_max = 64;

  explicit error_group(detail::error_list* taken) noexcept : list_(taken) {}  // takes the list over
  error_group(const error_group& other) noexcept;
  /// Of errors that no scope has gathered; `name` stands for it in the text.
  static error_group of(const std::exception_ptr* errors, std::size_t count, const char* name);
  error_group& operator=(const error_group&) = delete;
  ~error_group() override;

  std::size_t size() const noexcept;
  std::size_t dropped() const noexcept;
  const std::exception_ptr& operator[](std::size_t at) const noexcept;
  const std::exception_ptr& first() const noexcept { return (*this)[0]; }
  bool is_empty() const noexcept { return size() == 0; }

  /// Two groups: the errors that `wanted` says true to, and the rest. The order stays, and so do
  /// traces; either may be empty. `auto [late, others] = group.split(is_timed_out);` A group that
  /// is one of the errors and is not wanted is looked into: what of it is wanted stands among the
  /// wanted, and all others of it among the rest.
  template <class Test>
  error_split split(Test wanted) const;
  /// The same by type: `group.split_by<std::bad_alloc>()`.
  template <class E>
  error_split split_by() const;
  /// Throws the group, or its only error as it is; does nothing when it is empty.
  void raise_if_any() const;

  /// "2 errors: [1] not_found: ...; [2] ...", with the async stack of each on lines of its own.
  const char* what() const noexcept override;

  // For those who know what is known of each error.
  const detail::error_list& list() const noexcept { return *list_; }

 private:
  template <class Test>
  void split_to(error_split& parts, Test& wanted) const;

  detail::error_list* list_;
};

/// What error_group::split() gives.
struct error_split {
  error_group wanted;
  error_group rest;
};

/// What an exception says of itself, and where, if it is one of weir's:
/// "not_found: queue 'x' [mails.cpp:12:3]".
std::string describe(const std::exception_ptr& failure);  // tidy-allow(std-includes): declared

namespace detail {
/// The same without memory.
void describe_exception(const std::exception_ptr& failure, text_sink& out) noexcept;
/// The group that this error is, as long as the pointer refers to it; null when it is none.
const error_group* group_in(const std::exception_ptr& failure) noexcept;
}  // namespace detail

template <class Test>
void error_group::split_to(error_split& parts, Test& wanted) const {
  const auto add_to = [](const error_group& to, const error_group& from, std::size_t at) {
    detail::add_failure(*to.list_, from.list(), at);
  };
  for (std::size_t i = 0; i < size(); ++i) {
    const bool is_wanted = wanted((*this)[i]);
    const error_group* const group = is_wanted ? nullptr : detail::group_in((*this)[i]);
    if (!group) {
      add_to(is_wanted ? parts.wanted : parts.rest, *this, i);
      continue;
    }
    error_split inside{of(nullptr, 0, ""), of(nullptr, 0, "")};
    group->split_to(inside, wanted);
    if (inside.wanted.is_empty()) {
      add_to(parts.rest, *this, i);  // whole
      continue;
    }
    for (std::size_t j = 0; j < inside.wanted.size(); ++j) add_to(parts.wanted, inside.wanted, j);
    for (std::size_t j = 0; j < inside.rest.size(); ++j) add_to(parts.rest, inside.rest, j);
  }
}

template <class Test>
error_split error_group::split(Test wanted) const {
  error_split parts{of(nullptr, 0, ""), of(nullptr, 0, "")};
  split_to(parts, wanted);
  return parts;
}

template <class E>
error_split error_group::split_by() const {
  return split([](const std::exception_ptr& one) {
    try {
      std::rethrow_exception(one);
    } catch (const E&) {
      return true;
    } catch (...) {
      return false;
    }
  });
}

}  // namespace weir

// What a call failed with, in one shape for all policies: an exception that it threw, or the error
// in the result that it returned. The hard idea: a policy decides by the kind of a failure, and a
// failure that says nothing about its kind is taken for a bug, which no repetition mends.
#pragma once

#include <weir/base/error.hpp>
#include <weir/base/time.hpp>

#include <exception>
#include <optional>
#include <string>

namespace weir {

/// Raised where a policy did not let a call begin: a breaker that is open, a limit that is reached.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   one error.
/// Errors:  none; copying never throws.
/// Threads: copies may be used from different threads; by() as long as the policy lives.
class call_refused : public exception {
 public:
  call_refused(error what, const char* by, duration retry_after = {}) noexcept
      : exception(static_cast<error&&>(what)), by_(by), retry_after_(retry_after) {}
  /// The name of the policy that refused.
  const char* by() const noexcept { return by_; }
  /// How long to wait before it makes sense to ask again; 0 when nobody can tell.
  duration retry_after() const noexcept { return retry_after_; }

 private:
  const char* by_;
  duration retry_after_;
};

/// The failure of one call.
///
/// Cancel:  plain value, no waits; a cancelled call has not failed.
/// Order:   none.
/// Bound:   one exception, shared with whoever else holds it.
/// Errors:  none.
/// Threads: copies may be used from different threads.
class call_failure {
 public:
  /// Of a call that threw.
  explicit call_failure(std::exception_ptr what);
  /// Of a call that returned a result without a value.
  explicit call_failure(const error& what);

  /// The kind of weir's errors; of an error_group the first one's; `internal` for all others.
  errc code() const noexcept { return reason_ ? reason_->code() : errc::internal; }
  /// Null when it is none of weir's errors.
  const error* reason() const noexcept { return reason_ ? &*reason_ : nullptr; }
  /// The exception as a type that it may have: `failure.as<http_failure>()`, or null.
  template <class E>
  const E* as() const noexcept {
    try {
      std::rethrow_exception(exception_);
    } catch (const E& e) {
      return &e;  // it lives as long as exception_ does
    } catch (...) {
      return nullptr;
    }
  }
  const std::exception_ptr& exception() const noexcept { return exception_; }
  /// True when a policy refused the call, so that nothing has happened.
  bool is_refusal() const noexcept { return is_refusal_; }
  /// What a refusal says about when to come again; 0 for all other failures.
  duration retry_after() const noexcept { return retry_after_; }
  /// The error of weir, or one that describes the exception; without memory its code alone.
  error to_error() const noexcept;
  std::string text() const;

 private:
  void look_at_exception() noexcept;

  std::exception_ptr exception_;
  std::optional<error> reason_;
  duration retry_after_;
  bool is_refusal_ = false;
};

/// A question about a failure. A lambda without captures is one.
using failure_test = bool (*)(const call_failure&);

/// True when the same call may succeed later: timed_out, refused, full, busy, broken,
/// end_of_stream. An error_group is transient when each of its errors is. All others are answers
/// (not_found), mistakes (invalid_argument) or bugs.
bool is_transient(const call_failure& what);
/// True for every failure.
bool is_any_failure(const call_failure& what);

}  // namespace weir

// Errors: a code from one short list, the place where the error began, what was being done, and
// what caused it. The hard idea: an error must be cheap where failure is ordinary (end of stream,
// time-out), so without a text or a cause nothing is allocated; with one, copies share an immutable
// block by an atomic count.
#pragma once

#include <cstdint>
#include <exception>
#include <source_location>
#include <string_view>

namespace weir {

/// What went wrong, in kinds a program can act on. The name of each (see name()) is stable.
enum class errc : std::uint16_t {
  cancelled = 1,     // a scope around the operation was cancelled
  timed_out,         // a deadline passed
  closed,            // this side closed the object, or its other half is gone
  end_of_stream,     // the peer ended its stream in order
  broken,            // the other half vanished without closing: reset, broken pipe, broken promise
  refused,           // nobody accepts there: connection refused, unreachable
  full,              // a bound was reached and the policy is to fail
  too_large,         // one item is over its size limit
  invalid_argument,  // the caller's input is wrong; the message says which and why
  malformed,         // bytes from outside don't follow their format
  not_found,
  already_exists,
  permission_denied,
  no_space,     // the disk or a quota is full
  busy,         // held by someone else: a lock, an address in use
  corrupt,      // stored data fails its checksum or its invariants
  unsupported,  // not offered by this driver, platform or build
  io,           // any other failure of the operating system; os_code() says which
  internal,     // our own bug, met where an assertion could not stop it
};

/// The stable name of a code, for logs and protocols: "timed_out".
std::string_view name(errc code) noexcept;

/// An error as a value: what, where it began, what the system said, and why.
///
/// Cancel:  plain value, no waits.
/// Order:   the chain of causes runs from the newest to the oldest.
/// Bound:   message texts are cut at 4096 bytes.
/// Errors:  none; when memory for the text is missing, the code stays and the text is dropped.
/// Threads: copies may be used from different threads.
class [[nodiscard]] error {
 public:
  /// A code at a place, with no text: allocates nothing.
  error(errc code, std::source_location place = std::source_location::current()) noexcept
      : code_(code), place_(place) {}
  /// A code with a text that says what was wrong, where and what to do.
  error(errc code, std::string_view message,
        std::source_location place = std::source_location::current()) noexcept;
  /// From errno (or a negative completion's value, negated), doing what: `from_os(ENOENT, "open
  /// data/lock")`.
  static error from_os(int number, std::string_view doing = {},
                       std::source_location place = std::source_location::current()) noexcept;

  error(const error& other) noexcept;
  error(error&& other) noexcept;
  error& operator=(const error& other) noexcept;
  error& operator=(error&& other) noexcept;
  ~error();

  /// The same error with the reason behind it attached: `error(errc::io, "save").caused_by(e)`.
  [[nodiscard]] error caused_by(error cause) && noexcept;

  errc code() const noexcept { return code_; }
  /// The errno value behind it, 0 when the system was not involved.
  int os_code() const noexcept { return os_; }
  /// The text given at construction; empty when none was.
  std::string_view message() const noexcept;
  /// The error that led to this one, or null.
  const error* cause() const noexcept;
  std::source_location place() const noexcept { return place_; }

  /// Equal codes are equal errors: texts are for people.
  friend bool operator==(const error& a, errc code) noexcept { return a.code_ == code; }

 private:
  friend class exception;  // keeps its text with ours
  struct detail;
  void drop() noexcept;
  detail* own() noexcept;

  detail* detail_ = nullptr;
  errc code_;
  int os_ = 0;
  std::source_location place_;
};

/// Throws as an exception what a result would have returned.
///
/// Cancel:  plain value, no waits; cancellation itself is never an exception.
/// Order:   none.
/// Bound:   one error.
/// Errors:  none; copying never throws.
/// Threads: copies may be used from different threads.
class exception : public std::exception {
 public:
  explicit exception(error what) noexcept : error_(static_cast<error&&>(what)) {}
  /// "not_found: queue 'x'". Lives as long as the exception or a copy of it.
  const char* what() const noexcept override;
  const error& reason() const noexcept { return error_; }

 private:
  error error_;
};

/// Throws `what` as a weir::exception.
[[noreturn]] void raise(error what);

}  // namespace weir

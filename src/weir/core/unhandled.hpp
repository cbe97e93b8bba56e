// The last one to hear: where an error goes that no awaiter and no scope took. The default handler
// prints it with its async stack and ends the process.
#pragma once

#include <weir/core/frame.hpp>

#include <exception>

namespace weir {

/// An error that nobody took.
struct unhandled_error {
  const char* text;  // the whole description with the async stack; valid during the call
  std::exception_ptr what;
  bool is_report;  // true: of a scope with failures = report, which goes on; false: the program's
                   // root failed
};

/// Hears unhandled errors. May be called on any thread that runs a loop. Must not throw.
using unhandled_handler = void (*)(const unhandled_error&) noexcept;

/// Replaces the process's handler and returns the one before; null restores the default, which
/// prints to standard error and, unless the error is a report, aborts.
unhandled_handler set_unhandled_handler(unhandled_handler handler) noexcept;

namespace detail {
void report_unhandled(const unhandled_error& what) noexcept;
}

}  // namespace weir

#include <weir/flow/to_callback.hpp>

#include <weir/core/unhandled.hpp>

#include <exception>

namespace weir::detail {

void report_callback_failure() noexcept {
  const std::exception_ptr failure = std::current_exception();
  const error about = error_of(failure);
  report_unhandled({.text = exception(about).what(), .what = failure, .is_report = false});
}

}  // namespace weir::detail

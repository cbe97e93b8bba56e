#include <weir/flow/call_failure.hpp>

#include <weir/base/text.hpp>
#include <weir/core/error_group.hpp>

#include <new>
#include <utility>

namespace weir {

call_failure::call_failure(std::exception_ptr what) : exception_(std::move(what)) {
  look_at_exception();
}

call_failure::call_failure(const error& what)
    : exception_(std::make_exception_ptr(weir::exception(what))), reason_(what) {}

void call_failure::look_at_exception() noexcept {
  try {
    std::rethrow_exception(exception_);
  } catch (const call_refused& e) {
    reason_.emplace(e.reason());
    retry_after_ = e.retry_after();
    is_refusal_ = true;
  } catch (const weir::exception& e) {
    reason_.emplace(e.reason());
  } catch (const error_group& e) {
    // A scope's errors are a group even when there is one: then it is that one.
    const call_failure first(e.first());
    reason_ = first.reason_;
    if (e.size() == 1) {
      retry_after_ = first.retry_after_;
      is_refusal_ = first.is_refusal_;
    }
  } catch (...) {
    reason_.reset();  // not one of weir's: it stays as it is
  }
}

error call_failure::to_error() const noexcept {
  if (reason_) return *reason_;
  try {
    return {errc::internal, text()};
  } catch (const std::bad_alloc&) {
    return errc::internal;
  }
}

std::string call_failure::text() const {
  try {
    std::rethrow_exception(exception_);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

bool is_transient(const call_failure& what) {
  if (const auto* group = what.as<error_group>(); group && group->size() > 1) {
    for (std::size_t i = 0; i < group->size(); ++i) {
      if (!is_transient(call_failure((*group)[i]))) return false;
    }
    return true;
  }
  switch (what.code()) {
    case errc::timed_out:
    case errc::refused:
    case errc::full:
    case errc::busy:
    case errc::broken:
    case errc::end_of_stream:
      return true;
    default:
      return false;
  }
}

bool is_any_failure(const call_failure&) { return true; }

}  // namespace weir

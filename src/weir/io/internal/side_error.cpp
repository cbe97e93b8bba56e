#include <weir/io/internal/side_error.hpp>

#include <fmt/format.h>

#include <string>
#include <utility>

namespace weir::detail {

namespace {

error plain(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const exception& e) {
    return e.reason();
  } catch (const std::exception& e) {
    return {errc::internal, e.what()};
  } catch (...) {
    return {errc::internal, "something that is no std::exception was thrown"};
  }
}

}  // namespace

error side_error(const char* verb, const char* side, std::uint64_t after,
                 const std::exception_ptr& failure) noexcept {
  error cause = plain(failure);
  const errc code = cause.code();
  try {
    const std::string text = fmt::format("{}: the {} failed after {} bytes", verb, side, after);
    return error(code, text).caused_by(std::move(cause));
  } catch (const std::exception&) {  // no memory for the text
    return cause;
  }
}

}  // namespace weir::detail

#include <weir/flow/fallback.hpp>

namespace weir::detail {

void check_fallback(const fallback_options& options) {
  if (!options.when) raise(error(errc::invalid_argument, "fallback: `when` must be a function"));
}

error both_failed(const char* name, const call_failure& first, const call_failure& second) {
  // The first failure goes to the end of the chain: it is what the fallback was called for.
  return error(second.code(), std::string(name) + ": failed, too: " + second.text())
      .caused_by(first.to_error());
}

}  // namespace weir::detail

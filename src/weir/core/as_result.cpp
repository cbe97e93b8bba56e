#include <weir/core/as_result.hpp>

namespace weir::detail {

error caught_error() {
  try {
    throw;
  } catch (const exception& e) {
    return e.reason();
  }
}

}  // namespace weir::detail

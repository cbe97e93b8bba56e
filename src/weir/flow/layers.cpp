#include <weir/flow/layers.hpp>

#include <weir/base/text.hpp>

#include <string>

namespace weir::detail {

void check_delay(const char* name, duration delay, duration wait_max) {
  if (delay <= wait_max) return;
  throw call_refused(
      error(errc::full, std::string(name) + ": the next token comes in " + format_duration(delay)),
      name, delay);
}

}  // namespace weir::detail

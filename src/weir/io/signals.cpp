#include <weir/io/signals.hpp>

#include <fmt/format.h>

#include <exception>

namespace weir::detail {

constinit const wait_kind signal_wait::kind_{"signal", &signal_wait::leave, &signal_wait::describe};

result<void> signal_wait::take() noexcept {
  if (outcome >= 0) return {};
  try {
    return fail(failed(fmt::format("wait for signal {}", static_cast<int>(flags)).c_str()));
  } catch (const std::exception&) {  // no memory for the text
    return fail(failed("wait for a signal"));
  }
}

}  // namespace weir::detail

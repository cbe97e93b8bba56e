#include <weir/io/readiness.hpp>

#include <fmt/format.h>

#include <exception>

namespace weir::detail {

constinit const wait_kind ready_wait::kind_{"readiness", &ready_wait::leave, &ready_wait::describe};

result<int> ready_wait::take() noexcept {
  if (outcome >= 0) return static_cast<int>(outcome);
  try {
    return fail(failed(fmt::format("wait for descriptor {}", handle).c_str()));
  } catch (const std::exception&) {  // no memory for the text
    return fail(failed("wait for a descriptor"));
  }
}

}  // namespace weir::detail

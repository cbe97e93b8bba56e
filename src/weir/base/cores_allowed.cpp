#include <weir/base/cores_allowed.hpp>

#include <sched.h>

#include <algorithm>

namespace weir::detail {

unsigned cores_allowed() noexcept {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  return std::max(1u, static_cast<unsigned>(CPU_COUNT(&allowed)));
}

}  // namespace weir::detail

#include <weir/base/cores_allowed.hpp>

#include <sched.h>
#include <unistd.h>

#include <algorithm>

namespace weir::detail {

unsigned cores_allowed() noexcept {
  cpu_set_t allowed;
  // Fails where the kernel knows more processors than the set has room for.
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    return static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  }
  return std::max(1u, static_cast<unsigned>(CPU_COUNT(&allowed)));
}

}  // namespace weir::detail

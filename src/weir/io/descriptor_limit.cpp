#include <weir/io/descriptor_limit.hpp>

#include <sys/resource.h>

namespace weir {

std::uint64_t raise_descriptor_limit() noexcept {
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1'024;
  const struct rlimit most{limit.rlim_max, limit.rlim_max};
  return ::setrlimit(RLIMIT_NOFILE, &most) == 0 ? most.rlim_cur : limit.rlim_cur;
}

}  // namespace weir

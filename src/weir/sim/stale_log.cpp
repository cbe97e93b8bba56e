#include <weir/sim/stale_log.hpp>

#include <algorithm>

namespace weir {

choice_log not_reached(const choice_log& log, const choice_log& done) {
  choice_log left;
  for (const choice& one : log.exceptions) {
    const bool is_plain = one.value == 0;
    if (!is_plain && std::ranges::find(done.exceptions, one) == done.exceptions.end())
      left.exceptions.push_back(one);
  }
  return left;
}

}  // namespace weir

#include <weir/core/local.hpp>

namespace weir::detail {

const void* find_local(const void* key) noexcept {
  for (const scope* s = scope::current(); s; s = s->parent()) {
    if (s->local() && s->local()->key == key) return s->local()->value;
  }
  return nullptr;
}

}  // namespace weir::detail

#include <weir/core/local.hpp>

namespace weir::detail {

const void* find_local(const void* key) noexcept {
  for (const scope* s = scope::current(); s; s = s->parent()) {
    for (const local_binding* one = s->local(); one; one = one->next) {
      if (one->key == key) return one->value;
    }
  }
  return nullptr;
}

}  // namespace weir::detail

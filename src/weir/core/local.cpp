#include <weir/core/local.hpp>

#include <weir/core/detail/works_for.hpp>

namespace weir::detail {

constinit thread_local const scope* worked_for = nullptr;

const scope* scope_asking() noexcept {
  const scope* const own = scope::current();
  return own ? own : worked_for;
}

const void* find_local(const void* key) noexcept {
  for (const scope* s = scope_asking(); s; s = s->parent()) {
    for (const local_binding* one = s->local(); one; one = one->next) {
      if (one->key == key) return one->value;
    }
  }
  return nullptr;
}

}  // namespace weir::detail

#include <weir/core/log_field.hpp>

#include <weir/base/log.hpp>
#include <weir/core/detail/works_for.hpp>
#include <weir/core/scope.hpp>

#include <algorithm>
#include <string_view>

namespace weir::detail {

constinit const local<log_field> log_field_of_scope{"log field"};
constinit thread_local const scope* logged_scope = nullptr;

namespace {

// From the innermost scope outwards; a key that was met is hidden from there on.
void give_log_fields(log::detail::field_taker& to) {
  std::string_view met[log_fields_max];
  std::size_t count = 0;
  const scope* from = logged_scope ? logged_scope : scope_asking();
  for (const scope* s = from; s; s = s->parent()) {
    for (const local_binding* one = s->local(); one && count < log_fields_max; one = one->next) {
      if (one->key != &log_field_of_scope) continue;
      const auto& field = *static_cast<const log_field*>(one->value);
      if (std::find(met, met + count, std::string_view(field.key)) != met + count) continue;
      met[count++] = field.key;
      to.take({field.key, std::string_view(field.value)});
    }
  }
}

}  // namespace

void tell_log_fields() noexcept { log::detail::set_speaker_fields(&give_log_fields); }

}  // namespace weir::detail

#include <weir/core/combine.hpp>

#include <weir/core/error_trace.hpp>

#include <new>

namespace weir::detail {

namespace {
error_list& new_list() {
  error_list* made = make_error_list();
  if (!made) throw std::bad_alloc();
  return *made;
}
}  // namespace

failed_branches::failed_branches() : list_(&new_list()), group_(list_) {}

void failed_branches::add(const std::exception_ptr& failure) noexcept {
  if (!failure) return;
  list_->add({.what = failure, .spawned_at = {}, .scope = "first_success"});
}

void failed_branches::raise() { throw error_group(group_); }

void raise_first_of_none() { raise(error(errc::invalid_argument, "the first of no tasks")); }

}  // namespace weir::detail

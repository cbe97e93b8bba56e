#include <weir/core/combine.hpp>

#include <weir/core/error_group.hpp>
#include <weir/core/error_trace.hpp>

#include <utility>

namespace weir::detail {

failed_branches::~failed_branches() {
  if (list_) const error_group taken(list_);
}

void failed_branches::add_current() noexcept {
  ensured(list_).add(failure_of(*running_task, std::current_exception(), "first_success"));
}

void failed_branches::raise() {
  list_->sort_by_task();
  throw error_group(std::exchange(list_, nullptr));
}

void raise_first_of_none() { raise(error(errc::invalid_argument, "the first of no tasks")); }

}  // namespace weir::detail

// Fields of the log that go down the tree of scopes: everything that is logged for a request says
// which request it was, without its id being passed to whoever may want to log. The hard idea: they
// are values of scopes, as weir::local, so a task that is spawned into the request's scope has
// them, too, and a task that outlives the request (in a scope outside) does not.
#pragma once

#include <weir/core/local.hpp>
#include <weir/core/task.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace weir {

inline constexpr std::size_t log_fields_max = 16;  // of one event; the outermost are left out

namespace detail {

struct log_field {
  const char* key;
  std::string value;
};
extern constinit const local<log_field> log_field_of_scope;

/// The log asks for the fields of the running task from now on.
void tell_log_fields() noexcept;

/// Whose fields stand in what this thread logs, instead of the running task's; null: that task's.
extern constinit thread_local const scope* logged_scope;

}  // namespace detail

/// Runs the task in a scope in which each event of the log has this field, behind its own:
/// `co_await with_log_field("request", id, handle(std::move(peer)))`. The key is a literal. Of
/// several with one key the innermost counts. Errors and cancellations pass through as they are.
template <class R>
[[nodiscard]] WEIR_CORO_WRAPPER task<R> with_log_field(const char* key, std::string value,
                                                       task<R> body) {
  detail::tell_log_fields();
  return with_local(detail::log_field_of_scope, {.key = key, .value = std::move(value)},
                    std::move(body));
}

}  // namespace weir

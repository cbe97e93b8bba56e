// Values that go down the tree of scopes without being passed: a trace id, a tenant, the user on
// whose behalf something runs. The hard idea: a value belongs to a scope, and who asks walks up
// from the scope in which it runs. So a child has the values of the scope that it was spawned into,
// not those of whoever spawned it, and a value can't outlive what it was set for.
#pragma once

#include <weir/core/scope.hpp>
#include <weir/core/with_scope.hpp>

#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

/// What one scope binds: in the frame of with_local, or of whoever calls another loop.
struct local_binding {
  const void* key = nullptr;
  const void* value = nullptr;
  const local_binding* next = nullptr;  // of the same scope, as if it stood around it
};

/// The nearest value of `key` around the running task; null without one.
const void* find_local(const void* key) noexcept;

}  // namespace detail

/// The name of a value that scopes can have: `constinit const weir::local<std::string>
/// trace_id{"trace_id"};`
///
/// Cancel:  no waits.
/// Order:   of several values the innermost counts.
/// Bound:   nothing is kept here; asking costs a step for each scope up to the one that has it.
/// Errors:  none; outside of tasks, and of what a pool or blocking() runs for one, there is no
///          value.
/// Threads: any; each task sees its own scopes.
template <class T>
class local {
 public:
  constexpr explicit local(const char* name) noexcept : name_(name) {}
  local(const local&) = delete;
  local& operator=(const local&) = delete;

  /// The value around the running task, or around the one that waits for this call, as long as that
  /// scope lives; null when there is none.
  const T* get() const noexcept { return static_cast<const T*>(detail::find_local(this)); }
  const char* name() const noexcept { return name_; }

 private:
  const char* name_;
};

/// Runs the task in a scope that has this value: `co_await with_local(trace_id, id,
/// handle(request))`. Errors and cancellations pass through as they are.
template <class T, class R>
task<R> with_local(const local<T>& which, std::type_identity_t<T> value, task<R> body) {
  const detail::local_binding binding{.key = &which, .value = &value};
  co_return co_await detail::run_bounded(
      [&] { return scope_options{.name = which.name(), .local = &binding}; }, std::move(body));
}

}  // namespace weir

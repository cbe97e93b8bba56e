// Starting a child and waiting until it says that it is ready. The hard idea: until then the child
// belongs to the starter (its errors are thrown there, and cancelling the starter ends it); with
// its word it moves, running as it is, into the scope in which it shall live.
#pragma once

#include <weir/core/scope.hpp>
#include <weir/core/with_scope.hpp>

#include <optional>
#include <utility>

namespace weir {

namespace detail {
/// Moves a task, with the scopes that it has open, from its scope to another of the same loop.
void move_to_scope(task_header& task, scope& target) noexcept;

/// The place in a scope that is kept for a child which has not said its word: with it the scope
/// stays, though all its tasks have ended.
class start_place {
 public:
  explicit start_place(scope& in);
  start_place(const start_place&) = delete;
  start_place& operator=(const start_place&) = delete;
  ~start_place();
  void give_to(task_header& child) noexcept;

 private:
  scope* in_;  // null once the child has it
};
}  // namespace detail

/// A child's way to say "ready", once, with a value: `ready(port)`.
///
/// Cancel:  no waits.
/// Order:   the starter goes on after the child's present step.
/// Bound:   one value.
/// Errors:  a second call, or one in another task than the child, stops the process.
/// Threads: one loop.
template <class T>
class readiness {
 public:
  readiness(std::optional<T>& value, detail::start_place& place) noexcept
      : value_(&value), place_(&place) {}

  void operator()(T value = T()) {
    WEIR_ASSERT(value_ && "readiness is said once, by the child itself");
    WEIR_ASSERT(child_ == detail::running_task &&
                "readiness is said by the child itself, not by a task of its own");
    std::exchange(value_, nullptr)->emplace(std::move(value));
    place_->give_to(*child_);
  }

 private:
  std::optional<T>* value_;
  detail::start_place* place_;
  detail::task_header* child_ = detail::running_task;  // it is made in the child's first step
};

/// Starts f(readiness<T>&, args...) and waits until it has called its readiness; then the child
/// lives in `in`, which stays open for it meanwhile. Gives the value. An error before that is
/// thrown here; a child that ends without a word raises `closed`, and so does a scope that has
/// ended; one without room raises `full`. `auto port = co_await start<int>(services,
/// [](readiness<int>& ready) -> task<> { ...; ready(port); ... });`
template <class T, class F, class... A>
task<T> start(scope& in, F f, A... args);

}  // namespace weir

#include <weir/core/detail/start_impl.hpp>

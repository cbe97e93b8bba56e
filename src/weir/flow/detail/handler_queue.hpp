// Who runs the handlers of futures: one task of the scope in which they were registered, for all of
// them. The hard idea: a handler is work like any other, so it has an owner. The scope waits for
// its handlers, its cancellation ends those that are not due yet, and the task tree shows them;
// while the handlers themselves run in the order in which they became due, one after another.
//
//   then(f) --> standing --- source settled (here, or by a post) ---> due --> run
//                  \------- scope cancelled --> its future is rejected as `cancelled`
//
// Invariants: (1) a reaction is in exactly one of standing_, due_, or running; (2) one that stands
//             and is no longer in its source's line is on its way here, so the task stays until it
//             has come; (3) handlers of one source become due in the order of their registration
//             (A6): one that is registered while an earlier one is on its way stands behind it.
#pragma once

#include <weir/core/task.hpp>
#include <weir/flow/detail/promise_core.hpp>

#include <cstddef>
#include <source_location>

namespace weir {
class scope;
}

namespace weir::detail {

class handler_queue;

/// A promise that is resolved by a handler, which runs once its source is settled.
class reaction : public promise_core, public list_hook<handler_queue>, public post_node {
 protected:
  reaction(void* value, std::source_location place) noexcept;
  /// Runs the handler, or passes the source's outcome through it. Must settle, and hear a failure.
  virtual void react(promise_core& from) noexcept = 0;
  /// The handler will not run: what it holds goes.
  virtual void forget() noexcept = 0;
  void source_settled() noexcept final;

 private:
  friend class handler_queue;
  void begin(handler_queue& at, core_handle from) noexcept;
  void run() noexcept;
  void cancel() noexcept;

  handler_queue* home_ = nullptr;  // while the handler has not run
  bool is_behind_ = false;         // (3)
};

class handler_queue {
 public:
  handler_queue(scope& of, loop& on) noexcept;
  handler_queue(const handler_queue&) = delete;
  handler_queue& operator=(const handler_queue&) = delete;
  ~handler_queue();
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

  /// Registers a reaction with the running task's scope, or with the root of the loop when no task
  /// runs. Raises `invalid_argument` on a thread without a loop, and what spawn() raises: then
  /// nothing has been taken.
  static handler_queue& here(std::source_location place);
  void add(reaction& one, core_handle from) noexcept { one.begin(*this, std::move(from)); }

 private:
  friend class reaction;
  class more;
  static task<> serve(handler_queue* taken);
  bool is_idle() const noexcept { return standing_.is_empty() && due_.is_empty(); }
  void make_due(reaction& one) noexcept;
  void arrive(reaction& one) noexcept;
  bool has_earlier(const reaction& one) noexcept;
  void cancel_standing() noexcept;
  void wake() noexcept;

  scope& scope_;
  loop& loop_;
  more* waiting_ = nullptr;
  handler_queue* next_of_thread_ = nullptr;
  intrusive_list<reaction, handler_queue> standing_;  // (1)
  intrusive_list<reaction, handler_queue> due_;
  std::size_t behind_ = 0;  // of those that stand (3)
};

/// The scope for what is started on behalf of a promise: that of the running task, else the loop's
/// root; raises `invalid_argument` without a loop.
scope& scope_here(const char* what);

/// A handler that is not there lets the value pass only when the types are the same.
[[noreturn]] void raise_no_handler(std::source_location place);

}  // namespace weir::detail

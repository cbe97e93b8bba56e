// as_result: failure as a value, for places where it is an ordinary outcome. The hard idea: it is a
// boundary, so a cancellation below it becomes the value `cancelled` and the code can react; the
// next wait ends it, because cancellation is a level.
#pragma once

#include <weir/base/result.hpp>
#include <weir/core/task.hpp>
#include <weir/core/wait.hpp>

#include <utility>

namespace weir {

template <class T>
class spawned;

namespace detail {

/// Turns the exception in flight into an error when it is weir's own; rethrows all others, which
/// are bugs.
error caught_error();

template <class T>
class task_result_awaiter final : public inner_boundary {
 public:
  static constexpr auto when_cancelled = cancel_safety::as_its_waits;
  explicit task_result_awaiter(weir::task<T> body) noexcept : child_(std::move(body)) {}
  task_result_awaiter(const task_result_awaiter&) = delete;
  task_result_awaiter& operator=(const task_result_awaiter&) = delete;

  void bind(frame_base& from) noexcept { above = &from; }
  bool await_ready() const noexcept { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P>) noexcept {
    return child_.begin_under(*this);
  }
  result<T> await_resume() {
    if (is_stopped_) return fail(errc::cancelled);
    try {
      if constexpr (std::is_void_v<T>) {
        child_.promise().take();
        return {};
      } else {
        return child_.promise().take();
      }
    } catch (const exception&) {
      return std::unexpected<error>(caught_error());
    }
  }

  std::coroutine_handle<> child_done(frame_base&) noexcept override { return resume_above(); }
  std::coroutine_handle<> child_stopped(frame_base*) noexcept override {
    child_.reset();
    is_stopped_ = true;
    return resume_above();
  }
  const char* label() const noexcept override { return "as_result"; }

 private:
  weir::task<T> child_;
  bool is_stopped_ = false;
};

template <class Leaf>
class leaf_result_awaiter final : public inner_boundary {
 public:
  using value_type = typename Leaf::value_type;
  static constexpr auto when_cancelled = Leaf::when_cancelled;

  explicit leaf_result_awaiter(Leaf&& leaf) noexcept : leaf_(std::move(leaf)) {}
  template <class Make>
  leaf_result_awaiter(std::in_place_t, Make make) noexcept : leaf_(make()) {}
  leaf_result_awaiter(const leaf_result_awaiter&) = delete;
  leaf_result_awaiter& operator=(const leaf_result_awaiter&) = delete;

  void bind(frame_base& from) noexcept {
    above = &from;
    leaf_.bind(from);
  }
  bool await_ready() noexcept { return leaf_.await_ready(); }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P>) noexcept {
    return leaf_.suspend(as_parent(this));
  }
  result<value_type> await_resume() {  // to copy a value may throw
    if (is_stopped_) return fail(errc::cancelled);
    return leaf_.take();
  }

  std::coroutine_handle<> child_done(frame_base&) noexcept override { return resume_above(); }
  std::coroutine_handle<> child_stopped(frame_base*) noexcept override {
    is_stopped_ = true;
    return resume_above();
  }
  std::coroutine_handle<> resumed() noexcept override { return resume_above(); }
  const char* label() const noexcept override { return "as_result"; }

 private:
  Leaf leaf_;
  bool is_stopped_ = false;
};

template <class T>
task<T> ended(const spawned<T>& handle) {
  co_return co_await handle;
}

}  // namespace detail

/// `auto line = co_await as_result(reader.read_line());` gives result<T>: no throw, and `cancelled`
/// as a value. What is none of weir's errors, an error_group among them, is thrown.
template <class T>
[[nodiscard]] auto as_result(task<T> body) noexcept {
  return detail::task_result_awaiter<T>(std::move(body));
}
/// The same for a single wait, such as a socket's receive(): nothing is thrown inside either.
template <class Leaf>
  requires std::is_base_of_v<detail::wait, Leaf>
[[nodiscard]] auto as_result(Leaf&& leaf) noexcept {
  return detail::leaf_result_awaiter<std::remove_cvref_t<Leaf>>(std::forward<Leaf>(leaf));
}
/// The same for a task that was spawned, whose scope hears of its error all the same.
template <class T>
[[nodiscard]] auto as_result(const spawned<T>& handle) {
  return as_result(detail::ended(handle));
}

}  // namespace weir

// One call of core_group::call() without its type. It lives in the frame that awaits it, so neither
// the way there nor the way back needs memory; the task that runs it is the other loop's.
//
//   submit -> waiting -> begun ---------> ended: posted to the caller's loop
//                |  cancel: taken back      ^
//                +--- cancel: the scope of the call is cancelled, over there
//
// Invariants: (1) state_, and the list in which a call stands, are changed under its core's lock;
//             (2) while it is begun, what the other loop writes here is read by that loop only; the
//                 post that brings the answer hands it to the caller's.
#pragma once

#include <weir/base/error.hpp>
#include <weir/base/intrusive.hpp>
#include <weir/core/local.hpp>
#include <weir/core/task.hpp>
#include <weir/core/wait.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace weir::detail {

class core_state;

class [[nodiscard]] core_call : public leaf_wait<core_call, void>,
                                public list_hook<>,
                                private post_node {
 public:
  static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
  core_call(core_state& on, std::source_location place);
  core_call(const core_call&) = delete;
  core_call& operator=(const core_call&) = delete;

  /// The core is the caller's own: start() is awaited, not this.
  bool is_at_home() const noexcept;
  /// Calls the function and keeps its value.
  virtual weir::task<> start() = 0;

  bool try_now() noexcept;
  void enlist() noexcept {}  // try_now has
  result<void> take() noexcept;

 protected:
  ~core_call() = default;
  void rethrow_failure();

 private:
  friend class core_state;
  enum class call_state : std::uint8_t { waiting, begun, ended };

  void answered() noexcept;
  void end_what_is_late() noexcept;
  static void leave(wait& w) noexcept;
  static void describe(const wait& w, text_sink& out) noexcept;
  static const wait_kind kind_;

  core_state& core_;
  const std::source_location place_;
  std::vector<local_binding> locals_;  // the caller's: it stands still meanwhile, so they stay
  time_point deadline_;
  loop* const home_;
  const char* label_;
  std::atomic<call_state> state_{call_state::waiting};  // (1); dumps look without it
  std::optional<errc> refusal_;
  bool is_given_up_ = false;  // by the caller, whose loop alone knows

  // (2)
  std::exception_ptr failure_;
  bool lacks_memory_ = false;
  scope* inside_ = nullptr;
  bool is_unwanted_ = false;
  bool has_begun_ = false;
  bool has_value_ = false;
  bool is_late_ = false;
};

template <class R>
struct core_value {
  using type = std::decay_t<R>;
};
template <class T>
struct core_value<task<T>> {
  using type = T;
};
/// The value of f(args...), plain function or task.
template <class F, class... A>
using core_value_t =
    typename core_value<decltype(invoke_body(std::declval<F&>(), std::declval<A>()...))>::type;

template <class F, class... A>
class typed_core_call final : public core_call {
  using value = core_value_t<F, A...>;

 public:
  typed_core_call(core_state& on, std::source_location place, F f, A... args)
      : core_call(on, place), function_(std::move(f)), arguments_(std::move(args)...) {}

  weir::task<> start() override {
    using given = decltype(invoke(std::index_sequence_for<A...>{}));
    if constexpr (is_task<given> && std::is_void_v<value>) {
      co_await invoke(std::index_sequence_for<A...>{});
    } else if constexpr (is_task<given>) {
      value_.emplace(co_await invoke(std::index_sequence_for<A...>{}));
    } else if constexpr (std::is_void_v<value>) {
      invoke(std::index_sequence_for<A...>{});
    } else {
      value_.emplace(invoke(std::index_sequence_for<A...>{}));
    }
    co_return;
  }
  value take_value() {
    rethrow_failure();
    if constexpr (!std::is_void_v<value>) return std::move(*value_);
  }

 private:
  template <std::size_t... Index>
  WEIR_CORO_WRAPPER auto invoke(std::index_sequence<Index...>) {
    return invoke_body(function_, std::move(std::get<Index>(arguments_))...);
  }

  [[no_unique_address]] F function_;
  [[no_unique_address]] std::tuple<A...> arguments_;
  std::conditional_t<std::is_void_v<value>, bool, std::optional<value>> value_{};
};

}  // namespace weir::detail

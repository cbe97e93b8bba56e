// select: waits for the first of several waits and takes back the others. The hard idea: a wait
// that is part of a select reports its end to the select instead of its task, and in that very
// moment the others leave what they wait for, before anything else runs. So of two channels only
// one gives an item. An operation of the kernel can't be taken back at once: the select asks, waits
// for the answer, and hands out what it had achieved beside the first. Nothing is lost either way.
//
// Invariants: (1) a branch is pending from its enlisting to its end, and the select ends when none
//             is; (2) after the first end every other branch has been asked to leave.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/wait.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

enum class branch_state : std::uint8_t { idle, pending, done, left };

class wait_group;

/// What a select notes of one of its waits; the wait's `kind` points here meanwhile.
struct wait_branch {
  wait_group* group = nullptr;
  wait* waiting = nullptr;
  const wait_kind* kind = nullptr;  // the wait's own
  branch_state state = branch_state::idle;

  static wait_branch& of(const wait& w) noexcept {
    return *reinterpret_cast<wait_branch*>(reinterpret_cast<std::uintptr_t>(w.kind) &
                                           ~std::uintptr_t{1});
  }
  /// The wait is over: with its result (done) or without anything having happened (left).
  void end(branch_state how) noexcept;
};

/// The part of a select that does not depend on its waits.
class wait_group {
 public:
  wait_group(wait& whole, wait_branch* branches, std::uint32_t count) noexcept
      : whole_(&whole), branches_(branches), count_(count) {}

  bool is_ending() const noexcept { return is_ending_; }
  bool has_pending() const noexcept { return pending_ != 0; }
  void attach(std::uint32_t which, wait& one) noexcept;
  void note_done(std::uint32_t which) noexcept {
    branches_[which].state = branch_state::done;
    first_ = which;
    is_ending_ = true;
  }
  /// Between the two no end is decided: while branches are enlisted or asked to leave.
  void hold() noexcept { ++holds_; }
  void let_go() noexcept;
  void end_others() noexcept;
  std::uint32_t first() const noexcept { return first_; }
  void describe(text_sink& out) const noexcept;

 private:
  friend struct wait_branch;

  wait* whole_;
  wait_branch* branches_;
  std::uint32_t count_;
  std::uint32_t pending_ = 0;  // (1)
  std::uint32_t holds_ = 0;
  std::uint32_t first_ = ~std::uint32_t{0};  // the branch that ended first with a result
  bool is_ending_ = false;                   // (2)
};

template <class L>
concept leaf = std::is_base_of_v<wait, std::remove_cvref_t<L>>;

/// What is no leaf is refused before, by another sentence.
template <class L>
concept taken_back_whole = !leaf<L> || L::when_cancelled == cancel_safety::nothing_happened ||
                           L::when_cancelled == cancel_safety::point_of_no_return;

}  // namespace detail

/// What one branch of a select or a race came to: nothing yet, a value, or an error.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   one value.
/// Errors:  `*branch` raises the error of a branch that failed.
/// Threads: as T.
template <class T>
class selected {
 public:
  using value_type = std::conditional_t<std::is_void_v<T>, unit, T>;

  /// True when the branch has ended, with a value or an error.
  explicit operator bool() const noexcept { return value_.has_value() || failure_; }
  value_type& operator*() {
    if (failure_) std::rethrow_exception(failure_);
    WEIR_ASSERT(value_.has_value() && "this branch has not ended: ask it before");
    return *value_;
  }
  value_type* operator->() { return &**this; }
  /// Null when the branch has a value or has not ended.
  const std::exception_ptr& failure() const noexcept { return failure_; }

  template <class... A>
  void emplace(A&&... from) {
    value_.emplace(static_cast<A&&>(from)...);
  }
  void fail(std::exception_ptr with) noexcept { failure_ = std::move(with); }

 private:
  std::optional<value_type> value_;
  std::exception_ptr failure_;
};

namespace detail {

enum class select_order : std::uint8_t { by_lot, as_given };

template <select_order Order, class... Leaf>
class [[nodiscard]] select_wait final
    : public leaf_wait<select_wait<Order, Leaf...>,
                       std::tuple<selected<typename Leaf::value_type>...>> {
  static constexpr std::uint32_t count = sizeof...(Leaf);
  static_assert(count > 0, "select needs something to wait for");
  static_assert((taken_back_whole<Leaf> && ...),
                "weir: a select takes back all but one of its waits, and would leave this one half "
                "done; put it into a task, and await tasks with when_any()");

 public:
  /// As the waits in it: what is past its point of no return is awaited, and its result given.
  static constexpr auto when_cancelled =
      ((Leaf::when_cancelled == cancel_safety::point_of_no_return) || ...)
          ? cancel_safety::point_of_no_return
          : cancel_safety::nothing_happened;
  using value_type = std::tuple<selected<typename Leaf::value_type>...>;
  using base = leaf_wait<select_wait, value_type>;

  explicit select_wait(Leaf&&... leaves) noexcept
      : base(kind_), leaves_(std::move(leaves)...), group_(*this, branches_, count) {}
  select_wait(select_wait&& other) noexcept
      : base(static_cast<base&&>(other)),
        leaves_(std::move(other.leaves_)),
        group_(*this, branches_, count) {}

  void bind(frame_base& frame) noexcept {
    base::bind(frame);
    std::apply([&frame](auto&... one) { (one.bind(frame), ...); }, leaves_);
  }
  bool try_now() noexcept {
    start_ = Order == select_order::by_lot ? this->task->current->on().lot(count) : 0;
    each([this]<class L>(std::uint32_t which, L& one) {
      if (group_.is_ending()) return;
      if (one.try_now()) return group_.note_done(which);
      if constexpr (requires { L::starts_in_try_now; }) group_.attach(which, one);
    });
    return group_.is_ending() && !group_.has_pending();
  }
  void enlist() noexcept {
    group_.hold();
    if (group_.is_ending()) {
      group_.end_others();
    } else {
      each([this]<class L>(std::uint32_t which, L& one) {
        if (group_.is_ending()) return;
        if constexpr (!requires { L::starts_in_try_now; }) group_.attach(which, one);
        one.enlist();
      });
    }
    group_.let_go();
  }
  result<value_type> take() noexcept {
    value_type all = collect();
    if (std::exception_ptr failure = only_failure(all)) {
      try {
        std::rethrow_exception(failure);
      } catch (const exception& e) {
        return std::unexpected<error>(e.reason());
      } catch (...) {
        return all;  // not one of weir's: it stays in its branch
      }
    }
    return all;
  }
  value_type await_resume() {
    value_type all = collect();
    if (std::exception_ptr failure = only_failure(all)) std::rethrow_exception(failure);
    return all;
  }

 private:
  template <class F>
  void each(F visit) {
    each(visit, std::make_index_sequence<count>());
  }
  // Once round, from the one at `start_`.
  template <class F, std::size_t... I>
  void each(F& visit, std::index_sequence<I...>) {
    ((I >= start_ ? visit(I, std::get<I>(leaves_)) : void()), ...);
    ((I < start_ ? visit(I, std::get<I>(leaves_)) : void()), ...);
  }
  value_type collect() noexcept {
    return [this]<std::size_t... I>(std::index_sequence<I...>) {
      value_type all;
      (collect_one(branches_[I], std::get<I>(leaves_), std::get<I>(all)), ...);
      return all;
    }(std::make_index_sequence<count>());
  }
  template <class L>
  static void collect_one(const wait_branch& branch, L& one,
                          selected<typename L::value_type>& into) noexcept {
    if (branch.state != branch_state::done) return;
    try {
      if constexpr (std::is_void_v<typename L::value_type>) {
        one.await_resume();
        into.emplace();
      } else {
        into.emplace(one.await_resume());
      }
    } catch (...) {
      into.fail(std::current_exception());
    }
  }
  /// The error of the first branch when no branch has a value: then it is the select's.
  std::exception_ptr only_failure(value_type& all) const noexcept {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      std::exception_ptr failure;
      bool has_value = false;
      ((has_value = has_value || (std::get<I>(all) && !std::get<I>(all).failure()),
        failure = I == group_.first() ? std::get<I>(all).failure() : failure),
       ...);
      return has_value ? nullptr : failure;
    }(std::make_index_sequence<count>());
  }

  static void leave(wait& w) noexcept {
    auto& self = static_cast<select_wait&>(w);
    if (!self.group_.is_ending()) self.group_.end_others();
  }
  static void describe(const wait& w, text_sink& out) noexcept {
    static_cast<const select_wait&>(w).group_.describe(out);
  }
  static constexpr wait_kind kind_{"the first of", &leave, &describe};

  std::tuple<Leaf...> leaves_;
  wait_branch branches_[count];
  wait_group group_;
  std::uint32_t start_ = 0;
};

/// A wait as it is, or the wait that an object gives for itself (the handle of a spawned task).
template <class L>
auto as_leaf(L&& one) noexcept {
  if constexpr (leaf<L>) {
    return std::remove_cvref_t<L>(std::forward<L>(one));
  } else {
    static_assert(
        requires {
          { std::forward<L>(one).operator co_await() } -> leaf;
        }, "weir: select takes single waits, such as receive() or sleep(); use when_any for tasks");
    return std::forward<L>(one).operator co_await();
  }
}

template <select_order Order, class... Leaf>
auto make_select(Leaf&&... leaves) noexcept {
  return select_wait<Order, Leaf...>(std::move(leaves)...);
}

}  // namespace detail

/// Waits for the first of several single waits and takes back the others:
/// `auto [line, late] = co_await select(lines.receive(), sleep(1s)); if (line) use(*line);`
/// Where several are ready the lot decides, so none starves. At least one branch has ended, and
/// more can only be those that the kernel had finished before they could be taken back: so look at
/// each with `if`, not with `else`. The first branch's error is raised, unless another has a value.
/// A wait that may have happened in part (`cancel_safety::partial`) does not compile here.
template <class... L>
[[nodiscard]] auto select(L&&... waits) noexcept {
  return detail::make_select<detail::select_order::by_lot>(
      detail::as_leaf(std::forward<L>(waits))...);
}
/// The same, where those given first win when several are ready: they can starve the others.
template <class... L>
[[nodiscard]] auto select_in_order(L&&... waits) noexcept {
  return detail::make_select<detail::select_order::as_given>(
      detail::as_leaf(std::forward<L>(waits))...);
}

}  // namespace weir

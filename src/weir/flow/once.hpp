// once<T>: a value that is made when it is first asked for, by a task that may wait. The hard idea:
// whoever asks first makes it and the others wait; if the maker fails or is cancelled, the next of
// those who wait makes it, in its own scope, so nobody waits for a task that has gone.
//
// Invariants: (1) the value is written by the only maker and read after is_made_ only.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/core/task.hpp>
#include <weir/flow/detail/reach.hpp>

#include <optional>
#include <utility>

namespace weir {

namespace detail {

template <class T, class Reach>
class basic_once {
 public:
  basic_once() = default;
  basic_once(const basic_once&) = delete;
  basic_once& operator=(const basic_once&) = delete;
  ~basic_once() {
    WEIR_ASSERT(line_.is_empty() && "destroyed while tasks wait for it");
    WEIR_ASSERT(!is_being_made_ && "destroyed while its value is being made");
  }

  /// The value, made by `co_await make()` if there is none: `settings* s = co_await
  /// config.get(load_settings);`
  template <class F>
  task<T*> get(F make) {
    if (co_await turn(*this)) {
      const maker_end end(*this);
      value_.emplace(co_await make());
    }
    co_return &*value_;
  }
  /// Null when it has not been made yet.
  T* value() noexcept {
    const typename Reach::guard held(lock_);
    return is_made_ ? &*value_ : nullptr;  // (1)
  }
  bool is_being_made() const noexcept {
    const typename Reach::guard held(lock_);
    return is_being_made_;
  }

 private:
  /// Waits for the value, or for one's turn to make it: true.
  class turn final : public line_wait<turn, bool, basic_once, Reach> {
    using base = line_wait<turn, bool, basic_once, Reach>;

   public:
    explicit turn(basic_once& of) noexcept : base(kind_, &of) {}
    bool admit(typename Reach::wakes&) noexcept {
      if (this->of_->is_made_) return true;
      if (this->of_->is_being_made_) {
        WEIR_ASSERT(this->of_->maker_ != this->task && "this task makes the value already");
        return false;
      }
      this->of_->is_being_made_ = makes_it_ = true;
      this->of_->maker_ = this->task;
      return true;
    }
    auto& line() noexcept { return this->of_->line_; }
    result<bool> take() noexcept { return makes_it_; }

   private:
    friend class basic_once;
    static constexpr wait_kind kind_{"once", &base::leave};
    bool makes_it_ = false;
  };
  friend class turn;
  template <class, class, class, class>
  friend class line_wait;

  struct maker_end {
    basic_once& of;
    explicit maker_end(basic_once& what) noexcept : of(what) {}
    maker_end(const maker_end&) = delete;
    maker_end& operator=(const maker_end&) = delete;
    ~maker_end() { of.end_making(); }
  };
  void end_making() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    is_made_ = value_.has_value();
    is_being_made_ = !is_made_ && !line_.is_empty();
    if (is_being_made_ && !is_planted("flow: a maker that failed leaves the others in line")) {
      turn& next = line_.pop_front();
      next.makes_it_ = true;
      maker_ = next.task;
      woken.add(next);
    }
    while (is_made_ && !line_.is_empty()) woken.add(line_.pop_front());
  }

  [[no_unique_address]] mutable typename Reach::lock lock_;
  bool is_made_ = false;
  bool is_being_made_ = false;
  task_header* maker_ = nullptr;  // only compared, while it is being made
  std::optional<T> value_;        // (1)
  intrusive_list<turn> line_;
};

}  // namespace detail

/// A value made on first demand, once.
///
/// Cancel:  a cancelled get() has made nothing; the next that waits makes it instead.
/// Order:   who has waited longest makes it next.
/// Bound:   one value, one maker at a time.
/// Errors:  an error of the maker is raised in the get() that ran it; others try again. A maker
///          that asks for the value itself stops the process, for that would wait for ever; one
///          whose child asks, and which waits for that child, does wait for ever.
/// Threads: one loop; cross::once is for several.
template <class T>
class once final : public detail::basic_once<T, detail::one_loop> {};

namespace cross {

/// weir::once for tasks of several loops; the value is made on the loop of its maker.
///
/// Cancel:  a cancelled get() has made nothing; the next that waits makes it instead.
/// Order:   who has waited longest makes it next.
/// Bound:   one value, one maker at a time.
/// Errors:  an error of the maker is raised in the get() that ran it; others try again. A maker
///          that asks for the value itself stops the process, for that would wait for ever; one
///          whose child asks, and which waits for that child, does wait for ever.
/// Threads: any; it outlives every get().
template <class T>
class once final : public detail::basic_once<T, detail::many_loops> {};

}  // namespace cross
}  // namespace weir

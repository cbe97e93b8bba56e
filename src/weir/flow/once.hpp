// once<T>: a value that is made when it is first asked for, by a task that may wait. The hard idea:
// whoever asks first makes it and the others wait; if the maker fails or is cancelled, the next of
// those who wait makes it, in its own scope, so nobody waits for a task that has gone.
#pragma once

#include <weir/core/task.hpp>
#include <weir/flow/event.hpp>

#include <optional>
#include <utility>

namespace weir {

/// A value made on first demand, once.
///
/// Cancel:  a cancelled get() has made nothing; the next that waits makes it instead.
/// Order:   who has waited longest makes it next.
/// Bound:   one value, one maker at a time.
/// Errors:  an error of the maker is raised in the get() that ran it; others try again.
/// Threads: one loop.
template <class T>
class once {
 public:
  once() = default;
  once(const once&) = delete;
  once& operator=(const once&) = delete;

  /// The value, made by `co_await make()` if there is none: `settings* s = co_await
  /// config.get(load_settings);`
  template <class F>
  task<T*> get(F make) {
    while (!value_) {
      if (is_being_made_) {
        co_await changed_.wait();
        continue;
      }
      const maker_end end(*this);
      value_.emplace(co_await make());
    }
    co_return &*value_;
  }
  /// Null when it has not been made yet.
  T* value() noexcept { return value_ ? &*value_ : nullptr; }
  bool is_being_made() const noexcept { return is_being_made_; }

 private:
  struct maker_end {
    once& of;
    explicit maker_end(once& what) noexcept : of(what) { of.is_being_made_ = true; }
    maker_end(const maker_end&) = delete;
    maker_end& operator=(const maker_end&) = delete;
    ~maker_end() {
      of.is_being_made_ = false;
      if (of.value_) {
        of.changed_.notify_all();
      } else {
        of.changed_.notify_one();
      }
    }
  };

  std::optional<T> value_;
  bool is_being_made_ = false;
  condition changed_{"once"};
};

}  // namespace weir

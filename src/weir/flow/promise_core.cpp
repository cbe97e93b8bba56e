#include <weir/flow/detail/promise_core.hpp>

#include <weir/base/defect.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/core/unhandled.hpp>

#include <condition_variable>
#include <mutex>
#include <string>

namespace weir::detail {

namespace {

constinit short_lock following_lock;  // (4)

/// Nobody who never asks misses anything: whoever could have answered has gone.
class broken_promise final : public exception {
 public:
  using exception::exception;
};

/// Whether the failure of a promise may pass unheard: it is no failure of anything that was done.
bool may_pass_unheard(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const broken_promise&) {
    return true;
  } catch (...) {
    return is_cancellation(failure);
  }
}

// Listeners that are to be told on this thread. One that settles another promise adds to the list
// instead of telling by itself, so that a long chain needs no deep stack.
void tell(intrusive_list<settle_listener>& listeners) noexcept {
  struct pending_list {
    intrusive_list<settle_listener> line;
    bool is_telling = false;
  };
  thread_local pending_list pending;
  pending.line.append(listeners);
  if (pending.is_telling) return;
  pending.is_telling = true;
  while (!pending.line.is_empty()) pending.line.pop_front().source_settled();
  pending.is_telling = false;
}

}  // namespace

void promise_core::settle(settled_as how) noexcept {
  keep();  // whoever is told may drop the last other owner
  intrusive_list<settle_listener> told;
  {
    many_loops::wakes woken;
    const many_loops::guard held(lock_);
    note_settled(how);  // (2)
    while (!waits_.is_empty()) woken.add(waits_.pop_front());
    told.append(listeners_);  // (3)
  }
  if (!told.is_empty()) tell(told);
  drop();
}

void promise_core::settle_rejected(std::exception_ptr failure) noexcept {
  failure_ = std::move(failure);
  settle(settled_as::rejected);
}

void promise_core::break_promise() noexcept {
  if (!claim()) return;
  settle_rejected(std::make_exception_ptr(
      broken_promise(error(errc::broken, "the promise was destroyed without a result", place_))));
}

bool promise_core::listen(settle_listener& one) noexcept {
  const many_loops::guard held(lock_);
  if (is_settled() && !is_planted("flow: a handler that comes after the result waits for it"))
    return false;
  listeners_.push_back(one);
  return true;
}

bool promise_core::leave(settle_listener& one) noexcept {
  const many_loops::guard held(lock_);
  if (is_settled() || !one.is_linked()) return false;
  one.unlink();
  return true;
}

// Under following_lock: whether what this one follows, and what that follows, is `one` in the end.
bool promise_core::leads_to(const promise_core& one) const noexcept {
  const promise_core* at = this;
  while (at && at != &one) at = at->following_;
  return at == &one;
}

void promise_core::follow(promise_core* other, reading how) noexcept {
  core_handle kept(other);
  bool is_circle = false;
  bool must_wait = false;
  {
    const many_loops::guard held(following_lock);
    // Only what is followed can close a circle, so the usual chain is not walked.
    is_circle = other == this || (is_followed_ && other->leads_to(*this));
    if (!is_circle) {
      following_ = other;
      other->is_followed_ = true;
      source = other;
      source_reading_ = how;
      keep();  // (3)
      must_wait = other->listen(*this);
      if (!must_wait) following_ = nullptr;
    }
  }
  if (must_wait) {
    kept.release();  // `source` owns it
    return;
  }
  if (is_circle) {
    return settle_rejected(std::make_exception_ptr(exception(
        error(errc::invalid_argument, "a promise can't be resolved with its own future", place_))));
  }
  source = nullptr;
  take_outcome(*other, how);
  drop();
}

void promise_core::source_settled() noexcept {
  core_handle from(std::exchange(source, nullptr));
  {
    const many_loops::guard held(following_lock);
    following_ = nullptr;
  }
  take_outcome(*from, source_reading_);
  drop();  // (3)
}

void promise_core::take_outcome(promise_core& from, reading how) noexcept {
  if (from.phase() == settled_as::rejected) return settle_rejected(from.hear_failure());
  try {
    adopt_value(from, how);
  } catch (...) {
    return settle_rejected(std::current_exception());
  }
  settle_fulfilled();
}

void promise_core::block() noexcept {
  struct blocked final : settle_listener {
    std::mutex lock;
    std::condition_variable changed;
    bool is_over = false;
    void source_settled() noexcept override {
      const std::lock_guard held(lock);  // so that the waiter can't be gone before notify ends
      is_over = true;
      changed.notify_one();
    }
  } here;
  if (!listen(here)) return;
  std::unique_lock held(here.lock);
  here.changed.wait(held, [&] { return here.is_over; });
}

void promise_core::end() noexcept {
  if (phase() == settled_as::rejected && !is_heard_.load(std::memory_order_relaxed) &&
      !may_pass_unheard(failure_)) {
    string_sink out;
    describe_exception(failure_, out);
    out.put("\n    of a promise whose future nobody asked; made at ");
    out.put_place(place_);
    report_unhandled({.text = out.text.c_str(),
                      .what = failure_,
                      .is_report = is_given_up_.load(std::memory_order_relaxed)});
  }
  delete this;
}

void raise_finally(promise_core& source, const std::exception_ptr& why) {
  if (source.phase() != settled_as::rejected) std::rethrow_exception(why);
  const std::exception_ptr both[] = {source.hear_failure(), why};
  throw error_group::of(both, 2, "finally");
}
void raise_finally(promise_core& source) { raise_finally(source, std::current_exception()); }

bool is_cancellation(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const exception& e) {
    return e.reason().code() == errc::cancelled;
  } catch (...) {
    return false;
  }
}

error error_of(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const exception& e) {
    return e.reason();
  } catch (...) {
    string_sink out;
    describe_exception(failure, out);
    return {errc::internal, out.text};
  }
}

}  // namespace weir::detail

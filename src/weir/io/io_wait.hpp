// io_wait: what every awaitable over a driver has in common: one io_request, submitted by the fast
// path of the wait and heard of once. The hard idea: a cancellation is a question to the driver,
// not an answer to the waiter. Only the completion decides: -ECANCELED after our question ends the
// task's frames; a result that was already there is delivered, so nothing that happened is lost.
//
//   try_now -> submit -+-> complete: go on at once
//                      +-> pending -- completion -------------> go on
//                             |  cancel -> driver.cancel -> -ECANCELED -> end the frames
//                             +-- the handle was closed ----> -ECANCELED -> error `closed`
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/core/driver.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/wait.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>

namespace weir::detail {

/// The error behind a negative outcome: `what` and, in quotes, `about` (a path) make its text. A
/// cancellation that nobody here asked for means that the handle was closed meanwhile.
error io_error(std::int64_t outcome, const char* what, const char* about,
               std::source_location place) noexcept;

/// "fd 7", "'data/lock'": what a request is about, for the task tree.
void describe_request(const io_request& request, text_sink& out) noexcept;

[[noreturn]] void stop_for_other_loop(const driver* made_by, io_handle handle,
                                      const driver& here) noexcept;

/// The handle of a socket or file for a wait that begins here: with the driver that made it, or the
/// number would name something else, or be closed under the wait.
inline io_handle handle_here(const driver* made_by, io_handle handle) noexcept {
  loop* const on = loop::current();
  if (handle >= 0 && on && &on->io() != made_by) [[unlikely]]
    stop_for_other_loop(made_by, handle, on->io());
  return handle;
}

/// The parts of an io_wait that don't depend on its type.
struct io_part : io_request {
  std::source_location place;  // of the await, for errors
  bool is_cancel_asked = false;
};

/// A wait for one request, or for several in a row when the derived class says that it goes on.
/// Derived offers: result<T> take() noexcept; and may offer: bool goes_on() noexcept, called after
/// each completion: true when it has prepared the request for the next part. One request has
/// happened or has not; one of several in a row is `partial`.
template <class Derived, class T>
class io_wait : public leaf_wait<Derived, T>, protected io_part {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  explicit io_wait(const wait_kind& of) noexcept : leaf_wait<Derived, T>(of) {}

  void bind(frame_base& frame) noexcept {
    leaf_wait<Derived, T>::bind(frame);
    place = frame.here;
  }
  bool try_now() noexcept {
    on_complete = &heard;
    driver& io = this->task->current->on().io();
    while (io.submit(*this)) {
      if (!self().goes_on()) return true;
    }
    return false;
  }
  void enlist() noexcept {}  // try_now has submitted
  bool goes_on() noexcept { return false; }
  static constexpr bool starts_in_try_now = true;  // a select must undo it when another was first

  /// The two halves of a wait_kind.
  static void leave(wait& w) noexcept {
    auto& self = static_cast<Derived&>(w);
    if (self.is_cancel_asked) return;
    self.is_cancel_asked = true;
    self.task->current->on().io().cancel(self);
  }
  static void describe(const wait& w, text_sink& out) noexcept {
    describe_request(static_cast<const Derived&>(w), out);
  }

 protected:
  error failed(const char* what) const noexcept { return io_error(outcome, what, path, place); }

 private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }
  // True: Derived has a goes_on() of its own.
  static consteval bool may_go_on() {
    return !std::is_same_v<decltype(&Derived::goes_on), bool (io_wait::*)() noexcept>;
  }

  static void heard(io_request& request) noexcept {
    static_assert(may_go_on() == (Derived::when_cancelled == cancel_safety::partial),
                  "a wait that goes on after a part leaves a part");
    auto& wait = static_cast<io_wait&>(static_cast<io_part&>(request));
    const bool is_undone = wait.outcome == -ECANCELED ||
                           is_planted("io: what was done when it was cancelled counts as undone");
    if (wait.is_cancel_asked && is_undone) return wait.complete_cancelled();
    if (wait.self().goes_on()) {
      if (wait.is_cancel_asked) return wait.complete_cancelled();  // a part has been done, not all
      if (!wait.self().try_now()) return;
    }
    wait.complete();
  }
};

/// Walks over pieces of memory while a driver takes them in parts; copies no piece but a cut one.
class slice_cursor {
 public:
  explicit slice_cursor(const io_slice& one) noexcept : cut_(one) { skip_empty(); }
  slice_cursor(const io_slice* slices, std::size_t count) noexcept : rest_(slices), count_(count) {
    skip_empty();
  }

  bool is_empty() const noexcept { return cut_.size == 0 && count_ == 0; }
  /// Points the request at the next pieces.
  void load(io_request& request) const noexcept {
    request.slices = cut_.size != 0 ? &cut_ : rest_;
    request.slice_count = cut_.size != 0 ? 1 : count_;
  }
  /// `done` bytes of what load() gave were taken.
  void advance(std::size_t done) noexcept;

 private:
  void skip_empty() noexcept {
    while (cut_.size == 0 && count_ != 0 && rest_->size == 0) ++rest_, --count_;
  }

  io_slice cut_;  // the rest of a piece that was taken in part
  const io_slice* rest_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace weir::detail

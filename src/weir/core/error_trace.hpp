// The error return trace: the awaits that an error crossed on its way up, noted while it climbs, so
// that success pays nothing. The hard idea: a trace belongs to one climb of one exception; another
// exception, or a frame that the last one did not await, starts anew.
#pragma once

#include <weir/base/kept_text.hpp>
#include <weir/core/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <source_location>

namespace weir::detail {

struct error_trace {
  static constexpr std::uint32_t places_max =
      16;  // the first 16, nearest to the throw; the rest is counted
  std::source_location places[places_max];
  std::uint32_t count = 0;
  const frame_base* expected = nullptr;  // who will be crossed next if this climb goes on
  std::exception_ptr climbing;  // kept, since a new exception may have the address of an old one

  void note(const frame_base& frame, std::exception_ptr failure) noexcept {
    if (expected != &frame || climbing != failure) count = 0;
    climbing = static_cast<std::exception_ptr&&>(failure);
    if (count < places_max) places[count] = frame.here;
    ++count;
    expected = awaiting(frame);
  }

 private:
  // Behind a task's root there is nobody.
  static const frame_base* awaiting(const frame_base& frame) noexcept {
    if (!frame.parent_is_boundary()) return frame.parent_frame();
    boundary* above = frame.parent_boundary();
    return above == running_task ? nullptr : static_cast<inner_boundary*>(above)->above;
  }
};

/// Null when there is no memory: the error then travels without a trace.
error_trace* make_error_trace() noexcept;
void free_error_trace(error_trace* trace) noexcept;
void print_trace(const error_trace& trace, text_sink& out) noexcept;

/// One failed task in a scope's list.
struct failure {
  std::exception_ptr what;
  error_trace* trace = nullptr;
  std::uint64_t task = 0;
  std::source_location spawned_at;
  const char* scope = "";
};

/// An error that a task has ended with or takes, for the list of `scope`. It takes the trace of the
/// task's last climb, if that was this error's.
failure failure_of(task_header& task, std::exception_ptr what, const char* scope) noexcept;
/// The error is about to be thrown once more, by the frame that runs: there its climb goes on.
void climb_on(const failure& one) noexcept;

/// Shared by the copies of an error_group. Nearly always there is one failure, which has its room
/// in here; a block for the others comes with the second.
struct error_list {
  static constexpr std::size_t size_max = 64;
  failure first;
  failure* others = nullptr;
  std::size_t count = 0;
  std::size_t dropped = 0;
  std::uint32_t owners = 1;  // changed with atomic builtins: exceptions may travel between threads
  bool is_fixed = false;     // error_list_without_memory(): neither changed nor freed
  kept_text text;            // of error_group::what()

  error_list() = default;
  error_list(const error_list&) = delete;
  error_list& operator=(const error_list&) = delete;
  ~error_list();
  const failure& operator[](std::size_t at) const noexcept {
    return at == 0 ? first : others[at - 1];
  }
  bool has(const std::exception_ptr& what) const noexcept;
  /// Beyond size_max, or when there is no memory, it is counted only.
  void add(failure one) noexcept;
  /// Into the order of the spawns.
  void sort_by_task() noexcept;

 private:
  failure& at(std::size_t index) noexcept { return index == 0 ? first : others[index - 1]; }
  bool has_room() noexcept;
};

/// Null when there is no memory.
error_list* make_error_list() noexcept;
/// The list of those who get none: it has std::bad_alloc, tells that others were dropped, and stays
/// so. The first call makes it, as each loop does when it begins.
error_list* error_list_without_memory() noexcept;
/// `list`, made now where there is none: that of those who get none, when there is no memory.
error_list& ensured(error_list*& list) noexcept;
/// Tells the unhandled-error handler, in a report.
void report_failure(failure one) noexcept;
void print_failure(const failure& one, text_sink& out) noexcept;

}  // namespace weir::detail

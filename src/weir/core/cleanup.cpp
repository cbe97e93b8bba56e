#include <weir/core/cleanup.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/error_trace.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/with_scope.hpp>

#include <memory>
#include <string>
#include <utility>

namespace weir {

namespace {
constexpr const char scope_name[] = "with_cleanups";
}

/// The scope around one cleanup: as with_scope(), without a frame of its own, which a cleanup must
/// not need memory for. Its deadline counts also where it was cut short in nothing, as under a
/// shield; its own cancellation, as of a task that it needs no more, only where it ended the body.
struct cleanups::step_call final : detail::scope_frame {
  step_call(step& one, duration deadline)
      : scope_frame({.name = one.options.name, .timeout = deadline}), one_(one) {}

  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P>) noexcept {
    enter();
    try {
      child_ = one_.run();
    } catch (...) {
      return fail_at_start(std::current_exception());
    }
    return child_.begin_under(*this);
  }
  void await_resume() {
    const bool is_cut = is_body_cut();
    if (!is_cut) child_.promise().take();
    if (is_cut || end_.reason.kind == cancel_kind::deadline) detail::raise_cut_short(end_.reason);
  }

 private:
  void destroy_body() noexcept override { child_.reset(); }

  step& one_;
  task<> child_;
};

cleanups::~cleanups() {
  while (last_) delete take_last();
  delete failures_;
}

void cleanups::make_sure_of_room() {
  if (size_ == cleanups_max)
    raise(error(errc::full, "defer_async: a body has cleanups_max cleanups already"));
  if (!failures_) failures_ = new detail::error_list;
}

void cleanups::add(step& last) noexcept {
  last.before = std::exchange(last_, &last);
  ++size_;
}

cleanups::step* cleanups::take_last() noexcept {
  step* const last = last_;
  last_ = last->before;
  --size_;
  return last;
}

void cleanups::note_failure_of_body(std::exception_ptr what) noexcept {
  if (!failures_) failures_ = detail::make_error_list();
  if (failures_)
    failures_->add(detail::failure_of(*detail::running_task, std::move(what), scope_name));
}

// What a cleanup's scope has raised and is handled.
void cleanups::note_failure_of(const step& one, time_point due) noexcept {
  const std::exception_ptr raised = std::current_exception();
  std::exception_ptr told = told_of(one, due);
  const error_group* const group = detail::group_in(raised);
  if (group && group->size() == 1 && group->first() == told) {
    detail::add_failure(*failures_, group->list(), 0);
  } else {
    failures_->add(detail::failure_of(*detail::running_task, std::move(told), scope_name));
  }
}

// Its own time-outs come before the deadline.
std::exception_ptr cleanups::told_of(const step& one, time_point due) noexcept {
  try {
    try {
      throw;
    } catch (const std::exception& e) {
      detail::rethrow_single(e);
    }
  } catch (const exception& e) {
    const duration late = loop::current()->now() - due;
    if (e.reason().code() != errc::timed_out || late < duration()) return std::current_exception();
    try {
      std::string text = std::string(one.options.name) + " did not end within " +
                         format_duration(one.options.deadline) + " and was cancelled";
      if (late > duration()) text += "; it took " + format_duration(one.options.deadline + late);
      raise(error(errc::timed_out, text, one.place));
    } catch (...) {
      return std::current_exception();
    }
  } catch (...) {
    return std::current_exception();
  }
}

namespace {
/// A cleanup that goes on as long again after its deadline may never end, as what waits under a
/// shield: it is told while it still runs.
struct overrun_alarm : detail::callback_timer {
  overrun_alarm(const cleanup_options& of, std::source_location added, time_point at) noexcept
      : cleanup(of), place(added) {
    due = at;
    on_fire = [](detail::timer& t) noexcept {
      const auto& self = static_cast<const overrun_alarm&>(t);
      log::warn("cleanup goes on beyond its deadline",
                {{"cleanup", self.cleanup.name},
                 {"deadline_ms", self.cleanup.deadline.ns / 1'000'000},
                 {"file", self.place.file_name()},
                 {"line", self.place.line()}});
    };
    loop::current()->add_timer(*this);
  }
  overrun_alarm(const overrun_alarm&) = delete;
  overrun_alarm& operator=(const overrun_alarm&) = delete;
  ~overrun_alarm() {
    if (is_set()) loop::current()->remove_timer(*this);
  }
  const cleanup_options& cleanup;
  std::source_location place;
};
}  // namespace

task<> cleanups::run() {
  while (last_) {
    const std::unique_ptr<step> last(take_last());
    const duration length = last->options.deadline;
    const time_point due = loop::current()->now() + length;
    const overrun_alarm alarm(last->options, last->place, due + length);
    try {
      co_await step_call(*last, length);
    } catch (...) {
      note_failure_of(*last, due);
      if (is_planted("core: a cleanup that fails is the last one")) co_return;
    }
  }
}

void cleanups::raise_failures(const std::exception_ptr& of_body) {
  if (of_body && (!failures_ || failures_->count + failures_->dropped == 1)) {
    if (failures_) detail::climb_on((*failures_)[0]);
    std::rethrow_exception(of_body);
  }
  if (failures_ && failures_->count != 0) throw error_group(std::exchange(failures_, nullptr));
}

}  // namespace weir

#include <weir/core/cleanup.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/base/text.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/loop.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir {

struct cleanups::failures {
  std::vector<std::exception_ptr> all;
};

cleanups::~cleanups() {
  while (last_) delete take_last();
  delete failures_;
}

void cleanups::make_sure_of_room() const {
  if (size_ < cleanups_max) return;
  raise(error(errc::full, "defer_async: a body has cleanups_max cleanups already"));
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

void cleanups::note_failure(const std::exception_ptr& what) {
  if (!failures_) failures_ = new failures;
  failures_->all.push_back(what);
}

task<> cleanups::run_one(step& one) {
  const time_point due = loop::current()->now() + one.options.deadline;
  try {
    co_await with_deadline(due, one.run());
  } catch (const exception& e) {
    // Its own time-outs come before the deadline.
    if (e.reason().code() != errc::timed_out || loop::current()->now() < due) throw;
    raise(error(errc::timed_out,
                std::string(one.options.name) + " did not end within " +
                    format_duration(one.options.deadline) + " and was cancelled",
                one.place));
  }
}

task<> cleanups::run() {
  while (last_) {
    const std::unique_ptr<step> last(take_last());
    try {
      co_await run_one(*last);
    } catch (...) {
      note_failure(std::current_exception());
      if (is_planted("core: a cleanup that fails is the last one")) co_return;
    }
  }
}

void cleanups::raise_failures(bool has_body_failed) const {
  if (!failures_) return;
  const std::vector<std::exception_ptr>& all = failures_->all;
  if (has_body_failed && all.size() == 1) std::rethrow_exception(all.front());
  throw error_group::of(all.data(), all.size(), "with_cleanups");
}

}  // namespace weir

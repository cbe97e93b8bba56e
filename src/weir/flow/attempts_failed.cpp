#include <weir/flow/attempts_failed.hpp>

#include <weir/base/text.hpp>
#include <weir/flow/call_failure.hpp>

#include <optional>
#include <string>
#include <utility>

namespace weir::detail {

// The first failure often explains the later ones ("the disk is full", and then "locked"), so it is
// kept whatever comes after it.
void failure_list::add(const std::exception_ptr& failure) {
  ++count_;
  if (kept_.size() == attempts_failed::failures_kept_max) kept_.erase(kept_.begin() + 1);
  kept_.push_back(failure);
}

error failure_list::chain(std::string_view text) const {
  std::optional<error> causes;
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const std::uint64_t number = i == 0 ? 1 : count_ - (kept_.size() - 1 - i);
    const call_failure one(kept_[i]);
    const error reason = one.to_error();
    std::string said = "attempt " + std::to_string(number) + " failed";
    if (!reason.message().empty()) (said += ": ") += reason.message();
    if (const error* cause = reason.cause()) (said += "; because ") += describe(*cause);
    error made(one.code(), said, reason.place());
    causes = causes ? std::move(made).caused_by(std::move(*causes)) : std::move(made);
  }
  return error(call_failure(last()).code(), text).caused_by(std::move(*causes));
}

void failure_list::raise(const char* name, std::string_view text) const {
  if (count_ == 1) std::rethrow_exception(last());
  throw attempts_failed(chain(text), error_group::of(kept_.data(), kept_.size(), name));
}

}  // namespace weir::detail

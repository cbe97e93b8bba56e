#include <weir/testing/acknowledged.hpp>

#include <weir/broker/detail/unanswered.hpp>
#include <weir/sim/virtual_run.hpp>
#include <weir/testing/detail/fail_at.hpp>

#include <string>

namespace weir::testing {

void may_leave_messages() noexcept { weir::detail::let_messages_stay(); }

void expect_acknowledged(const broker& of, std::source_location place) {
  const std::string text = weir::detail::unanswered_text(of);
  if (!text.empty()) detail::fail_at(place, text);
}

}  // namespace weir::testing

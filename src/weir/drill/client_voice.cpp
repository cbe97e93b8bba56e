#include <weir/drill/client_voice.hpp>

#include <weir/drill/drill.hpp>
#include <weir/sim/run_story.hpp>

namespace weir::drill {

void client_voice::pass(std::string_view message, const std::string& what) const {
  to_->heard(fmt::format("{} {} {}", clock_text(of_.all().elapsed()), of_.name(), what), message);
}

std::string status_text(int status) {
  return status == 0 ? std::string("no answer") : fmt::format("{}", status);
}

}  // namespace weir::drill

#include <weir/flow/load_shed.hpp>

#include <weir/base/text.hpp>
#include <weir/flow/detail/clock_here.hpp>

#include <string>

namespace weir::detail {

void shed_state::admit(bool is_ready) {
  const std::string name = options_.name;
  if (!is_ready) {
    ++stats_.refused_busy;
    throw call_refused(error(errc::full, name + ": the call would have to wait"), options_.name);
  }
  const time_point deadline = scope::current()->effective_deadline();
  if (options_.refuses_hopeless && running_ != 0 && deadline != time_point::never()) {
    const duration left = deadline - now_here();
    if (left < stats_.usual) {
      ++stats_.refused_hopeless;
      throw call_refused(
          error(errc::timed_out, name + ": " + format_duration(left) +
                                     " are left, and calls take " + format_duration(stats_.usual)),
          options_.name);
    }
  }
  ++stats_.admitted;
  ++running_;
}

void shed_state::ended(time_point begun, bool has_succeeded) noexcept {
  --running_;
  if (!has_succeeded) return;
  const duration took = now_here() - begun;
  // The first one counts fully, then an eighth, as for the time-outs of TCP (RFC 6298).
  stats_.usual = stats_.usual == duration() ? took : stats_.usual + (took - stats_.usual) / 8;
}

}  // namespace weir::detail

#include <weir/apps/advice.hpp>

#include <weir/apps/latency_list.hpp>
#include <weir/apps/table_text.hpp>
#include <weir/base/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace weir {

namespace {

// From so much on a difference of costs is worth a word.
constexpr double worth_a_word = 1.5;
constexpr std::uint64_t bytes_worth_a_word = 1u << 20;
constexpr double switches_worth_a_word = 0.5;
// A loop that is held for so long is felt by whoever else is on it.
constexpr duration long_hold = duration::milliseconds(1);
// A processor counts as full, and the pace as that of the waits, when so much of it is reached.
constexpr double full_from = 0.85;
constexpr double ideal_from = 0.7;

bool is_fast_enough(const shape_figures& one, double best) noexcept {
  return one.per_second >= best * (1 - advice::throughput_tolerance);
}

bool is_early_enough(const shape_figures& one, duration best) noexcept {
  const auto allowed =
      static_cast<std::int64_t>(static_cast<double>(best.ns) * (1 + advice::latency_tolerance));
  return one.p99.value <= std::max(duration(allowed), best + advice::latency_noise);
}

double best_throughput(std::span<const shape_figures> measured) noexcept {
  double best = 0;
  for (const shape_figures& one : measured) {
    if (one.is_whole()) best = std::max(best, one.per_second);
  }
  return best;
}

/// Of the shapes that are fast enough: who does next to nothing may do that at once.
duration best_latency(std::span<const shape_figures> measured, double best) noexcept {
  duration least = duration::max();
  for (const shape_figures& one : measured) {
    if (one.is_whole() && is_fast_enough(one, best)) least = std::min(least, one.p99.value);
  }
  return least;
}

std::string percent(double share) {
  if (share < 0.00095) return "less than 0.1 %";
  return share < 0.095 ? fmt::format("{:.1f} %", share * 100)
                       : fmt::format("{:.0f} %", share * 100);
}

std::string sentence(std::string text) {
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text + ".";
}

/// What keeps it from doing more: the processors, the waits, or neither.
std::string_view limit_of(const shape_figures& advised, const workload& load) noexcept {
  const bool is_on_one =
      advised.shape == program_shape::plain || advised.shape == program_shape::tasks;
  const double processors = is_on_one ? 1 : load.cores;
  if (advised.busy * load.cores >= processors * full_from) {
    return processors < load.cores
               ? "Its one processor is full, and to use more of them gained next to nothing."
               : "Computing sets the pace: only more processors, or less to compute, gain "
                 "anything.";
  }
  const double at_once = advised.shape == program_shape::plain ? 1 : load.concurrency;
  const double ideal = at_once * 1e9 / static_cast<double>((load.wait + load.cpu).ns);
  return advised.per_second >= ideal * ideal_from
             ? "The waits set the pace: more processors gain nothing."
             : "Neither the waits nor its own computing explain the pace.";
}

/// What the advised shape does, and what sets its pace.
std::string pace_of(const shape_figures& advised, const workload& load) {
  std::string text =
      sentence(fmt::format("{}: {:.0f} requests a second, 99 % of them within {}, with {:.2f} of "
                           "{} processor{} busy",
                           title_of(advised.shape), advised.per_second, format_latency(advised.p99),
                           advised.busy * load.cores, load.cores, load.cores == 1 ? "" : "s"));
  text += fmt::format(" {}", limit_of(advised, load));
  const bool is_held =
      advised.shape == program_shape::tasks || advised.shape == program_shape::loops;
  if (is_held && load.cpu >= long_hold && load.concurrency > 1) {
    text += fmt::format(" While one request computes, for {}, the others of its loop stand still.",
                        format_latency(load.cpu));
  }
  return text;
}

/// What `other` costs more than the shape that is advised, as ", 31 MiB instead of 1.2 MiB".
std::string extra_cost(const shape_figures& other, const shape_figures& advised) {
  std::string text;
  const auto more = [](double a, double b) { return a > b * worth_a_word; };
  if (other.memory_bytes >= advised.memory_bytes + bytes_worth_a_word &&
      more(static_cast<double>(other.memory_bytes), static_cast<double>(advised.memory_bytes))) {
    text += fmt::format(", with {} of memory instead of {}", format_bytes(other.memory_bytes),
                        format_bytes(advised.memory_bytes));
  }
  if (other.switches >= advised.switches + switches_worth_a_word &&
      more(other.switches, advised.switches)) {
    text += fmt::format(", with {:.1f} context switches a request instead of {:.1f}",
                        other.switches, advised.switches);
  }
  if (more(other.cpu_ns, advised.cpu_ns)) {
    text += fmt::format(", with {} of computing a request instead of {}",
                        format_latency(duration(static_cast<std::int64_t>(other.cpu_ns))),
                        format_latency(duration(static_cast<std::int64_t>(advised.cpu_ns))));
  }
  return text;
}

/// Why it is another one that is advised.
std::string reason_against(const shape_figures& other, shape_standing standing,
                           const shape_figures& advised, double best, const workload& load) {
  const std::string_view title = title_of(other.shape);
  if (standing == shape_standing::not_measured) {
    return sentence(fmt::format("{}: {}", title, gap_text(other, load)));
  }
  const std::string did =
      fmt::format("{}: {:.0f} requests a second, {} of the most", title, other.per_second,
                  percent(best > 0 ? other.per_second / best : 1));
  switch (standing) {
    case shape_standing::slow:
      return sentence(did);
    case shape_standing::late:
      return sentence(
          fmt::format("{}, but 99 % of them within {} only", did, format_latency(other.p99)));
    default:
      return sentence(
          fmt::format("{}{}; fits, but is less simple", did, extra_cost(other, advised)));
  }
}

shape_standing standing_of(const shape_figures& one, double best, duration earliest) noexcept {
  if (!one.is_whole()) return shape_standing::not_measured;
  if (!is_fast_enough(one, best)) return shape_standing::slow;
  return is_early_enough(one, earliest) ? shape_standing::fits : shape_standing::late;
}

}  // namespace

std::string_view title_of(program_shape shape) noexcept {
  switch (shape) {
    case program_shape::plain:
      return "plain code, one at a time";
    case program_shape::tasks:
      return "tasks on one loop";
    case program_shape::tasks_and_pool:
      return "tasks on one loop, computing on a pool";
    case program_shape::loops:
      return "tasks on a loop for each core";
    case program_shape::threads:
      return "a thread for each request";
  }
  return {};
}

std::string_view name_of(program_shape shape) noexcept {
  switch (shape) {
    case program_shape::plain:
      return "plain";
    case program_shape::tasks:
      return "tasks";
    case program_shape::tasks_and_pool:
      return "tasks_and_pool";
    case program_shape::loops:
      return "loop_per_core";
    case program_shape::threads:
      return "thread_per_request";
  }
  return {};
}

std::string_view name_of(shape_standing standing) noexcept {
  switch (standing) {
    case shape_standing::advised:
      return "advised";
    case shape_standing::fits:
      return "fits";
    case shape_standing::slow:
      return "slow";
    case shape_standing::late:
      return "late";
    case shape_standing::not_measured:
      return "not measured";
  }
  return {};
}

std::string format_latency(latency_figure latency) {
  return (latency.is_least ? "over " : "") + format_latency(latency.value);
}

std::string gap_text(const shape_figures& figures, const workload& load) {
  switch (figures.gap) {
    case shape_gap::none:
      return {};
    case shape_gap::nothing_to_compute:
      return "not measured: there is nothing to compute";
    case shape_gap::one_core:
      return "not measured: there is one core";
    case shape_gap::too_many_threads:
      return fmt::format("not measured with {}, but with {} threads at most", load.concurrency,
                         figures.concurrency);
    case shape_gap::no_driver:
      return "not measured: no loop runs here";
    case shape_gap::failed:
      return "not measured: it was ended, as a rule for want of memory";
  }
  return {};
}

advice advise(const workload& load, std::span<const shape_figures> measured) {
  const double best = best_throughput(measured);
  const duration earliest = best_latency(measured, best);
  advice out;
  const shape_figures* advised = nullptr;
  for (const shape_figures& one : measured) {
    out.standings.push_back(standing_of(one, best, earliest));
    const bool is_simpler = !advised || one.shape < advised->shape;
    if (out.standings.back() == shape_standing::fits && is_simpler) advised = &one;
  }
  if (!advised) raise(error(errc::invalid_argument, "no shape was measured with all of the work"));
  out.advised = advised->shape;
  out.standings[static_cast<std::size_t>(advised - measured.data())] = shape_standing::advised;
  out.reasons.push_back(pace_of(*advised, load));
  for (std::size_t i = 0; i < measured.size(); ++i) {
    if (&measured[i] == advised) continue;
    out.reasons.push_back(reason_against(measured[i], out.standings[i], *advised, best, load));
  }
  return out;
}

}  // namespace weir

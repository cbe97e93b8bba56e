// weir advise: which shape of a program fits a workload, measured here.
#include <weir/apps/advice.hpp>
#include <weir/apps/command.hpp>
#include <weir/apps/forked_call.hpp>
#include <weir/apps/latency_list.hpp>
#include <weir/apps/machine_use.hpp>
#include <weir/apps/shape_trial.hpp>
#include <weir/apps/table_text.hpp>
#include <weir/apps/terminal.hpp>
#include <weir/base/cores_allowed.hpp>
#include <weir/base/text.hpp>
#include <weir/serve/json_writer.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace weir {

namespace {

constexpr duration wait_max = duration::seconds(10);
constexpr duration cpu_max = duration::seconds(1);
constexpr duration phase_min = duration::milliseconds(10);
constexpr duration phase_max = duration::seconds(60);
constexpr std::uint32_t concurrency_max = 100'000;
constexpr std::uint32_t request_bytes_max = 1u << 20;
constexpr std::uint64_t held_bytes_max = 1u << 30;  // by all requests together

constexpr double others_told_from = 0.1;

struct advise_settings {
  shape_trial plan;
  bool json = false;
};

void refuse(std::string text) { throw command_failure{exit_code::usage, std::move(text)}; }

void check_length(std::string_view option, duration given, duration min, duration max) {
  if (given >= min && given <= max) return;
  refuse(fmt::format("{} {}: must be from {} to {}", option, format_duration(given),
                     format_duration(min), format_duration(max)));
}

void check(const shape_trial& plan) {
  const workload& load = plan.load;
  check_length("--wait", load.wait, {}, wait_max);
  check_length("--cpu", load.cpu, {}, cpu_max);
  check_length("--time", plan.phase, phase_min, phase_max);
  if (load.wait + load.cpu <= duration()) {
    refuse("--wait 0s --cpu 0s: a request must wait or compute");
  }
  const std::uint64_t held = std::uint64_t{load.bytes} * load.concurrency;
  if (held > held_bytes_max) {
    refuse(fmt::format("--bytes {}: {} requests would hold {}; at most {} are tried", load.bytes,
                       load.concurrency, format_bytes(held), format_bytes(held_bytes_max)));
  }
}

/// What is being done now, in place of what was said before; on terminals only.
void tell_progress(std::string_view text) {
  if (!is_terminal(STDERR_FILENO)) return;
  std::fputs(fmt::format("\r\x1b[K{}", text).c_str(), stderr);
}

struct measurement {
  std::vector<shape_figures> rows;
  double others_busy = 0;  // the processors, with other programs, 0 to 1
};

measurement measure(shape_trial plan) {
  const auto before = machine_use::now();
  plan.rounds_per_ns = calibrate_computing();
  measurement out;
  for (std::size_t i = 0; i < shape_count; ++i) {
    const auto shape = static_cast<program_shape>(i);
    tell_progress(fmt::format("measuring {} of {}: {} ", i + 1, shape_count, title_of(shape)));
    const auto figures = call_forked([&] { return run_shape_trial(shape, plan); });
    tell_progress("");
    out.rows.push_back(figures.value_or(shape_figures{.shape = shape, .gap = shape_gap::failed}));
    // The driver's complaint has been told.
    if (out.rows.back().gap == shape_gap::no_driver) throw command_failure{exit_code::usage, {}};
  }
  const auto after = machine_use::now();
  if (before && after) {
    out.others_busy = share_of_others(*before, *after, machine_ticks_per_second());
  }
  return out;
}

bool has_figures(const shape_figures& one) {
  return one.is_whole() || one.gap == shape_gap::too_many_threads;
}

std::string table_of(const std::vector<shape_figures>& rows, const advice& given) {
  using enum column_align;
  table_text table({{"SHAPE"},
                    {"PER SECOND", right},
                    {"P50", right},
                    {"P99", right},
                    {"CPU", right},
                    {"SWITCHES", right},
                    {"MEMORY", right},
                    {"BUSY", right},
                    {"VERDICT"}});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const shape_figures& one = rows[i];
    const std::string title(title_of(one.shape));
    const std::string verdict(name_of(given.standings[i]));
    if (!has_figures(one)) {
      table.add({title, "", "", "", "", "", "", "", verdict});
      continue;
    }
    table.add({title, fmt::format("{:.0f}", one.per_second), format_latency(one.p50),
               format_latency(one.p99),
               format_latency(duration(static_cast<std::int64_t>(one.cpu_ns))),
               fmt::format("{:.2f}", one.switches), format_bytes(one.memory_bytes),
               fmt::format("{:.0f} %", one.busy * 100), verdict});
  }
  return table.text();
}

std::string text_of(const shape_trial& plan, const measurement& measured, const advice& given) {
  const workload& load = plan.load;
  std::string out = fmt::format(
      "A request waits for {} and computes for {}; {} at once, on {} processor{}. Waits were "
      "timers and\ncomputing was arithmetic: your I/O costs more, in each shape. CPU and SWITCHES "
      "are those of one request.\n\n",
      format_duration(load.wait), format_duration(load.cpu), load.concurrency, load.cores,
      load.cores == 1 ? "" : "s");
  out += table_of(measured.rows, given);
  out += fmt::format("\nAdvice: {}\n",
                     styled(text_style::good, title_of(given.advised), STDOUT_FILENO));
  for (const std::string& reason : given.reasons) out += fmt::format("- {}\n", reason);
  if (measured.others_busy >= others_told_from) {
    out += styled(text_style::bad,
                  fmt::format("Other programs used {:.0f} % of the processors meanwhile: measure "
                              "again when the machine is quiet.",
                              measured.others_busy * 100),
                  STDOUT_FILENO) +
           "\n";
  }
  return out;
}

void append_latency(json_writer& out, std::string_view name, latency_figure latency) {
  out.field(fmt::format("{}_us", name), static_cast<double>(latency.value.ns) / 1e3);
  if (latency.is_least) out.field(fmt::format("{}_is_least", name), true);
}

std::string json_of(const shape_trial& plan, const measurement& measured, const advice& given) {
  const workload& load = plan.load;
  json_writer out;
  out.begin_object()
      .begin_object("workload")
      .field("wait_us", static_cast<double>(load.wait.ns) / 1e3)
      .field("cpu_us", static_cast<double>(load.cpu.ns) / 1e3)
      .field("concurrency", load.concurrency)
      .field("bytes", load.bytes)
      .field("cores", load.cores)
      .field("counted_us", static_cast<double>(counted_time(plan).ns) / 1e3)
      .end_object()
      .begin_array("shapes");
  for (std::size_t i = 0; i < measured.rows.size(); ++i) {
    const shape_figures& one = measured.rows[i];
    out.begin_object()
        .field("shape", name_of(one.shape))
        .field("verdict", name_of(given.standings[i]));
    if (!one.is_whole()) out.field("why", gap_text(one, load));
    if (has_figures(one)) {
      out.field("concurrency", one.concurrency).field("per_second", one.per_second);
      append_latency(out, "p50", one.p50);
      append_latency(out, "p99", one.p99);
      out.field("cpu_us", one.cpu_ns / 1e3)
          .field("switches", one.switches)
          .field("memory_bytes", one.memory_bytes)
          .field("memory_bytes_per_request",
                 static_cast<double>(one.memory_bytes) / one.concurrency)
          .field("busy", one.busy);
    }
    out.end_object();
  }
  std::string reasons;
  for (const std::string& reason : given.reasons) {
    reasons += reasons.empty() ? "[" : ",";
    append_json_string(reasons, reason);
  }
  out.end_array()
      .field("advice", name_of(given.advised))
      .raw_field("reasons", reasons + "]")
      .field("others_busy", measured.others_busy)
      .end_object();
  return out.take();
}

exit_code run_advise(const advise_settings& given) {
  check(given.plan);
  const measurement measured = measure(given.plan);
  if (!measured.rows.front().is_whole()) {
    throw command_failure{exit_code::failed, "not even plain code could be measured"};
  }
  const advice of_rows = advise(given.plan.load, measured.rows);
  print(given.json ? json_of(given.plan, measured, of_rows)
                   : text_of(given.plan, measured, of_rows));
  return exit_code::ok;
}

}  // namespace

void add_advise_command(command_syntax app, command_choice& choice) {
  const command_syntax command =
      app.subcommand("advise", "Measure which shape of a program fits a workload");
  command.footer(
      "Example:\n  weir advise --wait 5ms --cpu 200us --concurrency 1000\n"
      "Advised is the simplest shape whose throughput is within 10 % of the best and whose 99th "
      "percentile\nis within 25 % of the best of these. The order of simplicity: plain code, tasks "
      "on one loop, with a\npool, a loop for each core, a thread for each request.");
  const auto given = std::make_shared<advise_settings>();
  const unsigned cores = detail::cores_allowed();
  workload& load = given->plan.load;
  load.cores = cores;
  command.option("--wait", load.wait, "How long a request waits for others: 0s to 10s").required();
  command.option("--cpu", load.cpu, "How long it computes: 0s to 1s").required();
  command.option("--concurrency", load.concurrency, "Requests at once", {1u, concurrency_max})
      .required();
  command.option("--bytes", load.bytes, "Memory that a request holds (default 0)",
                 {0u, request_bytes_max});
  command.option("--cores", load.cores, "Processors (default: all that it may use)", {1u, cores});
  command.option("--time", given->plan.phase,
                 "Counted for each shape, or three waits if that is longer (default 600ms)");
  command.flag("--json", given->json, "For programs: one JSON object");
  command.when_chosen([&choice, given] { choice.run = [given] { return run_advise(*given); }; });
}

}  // namespace weir

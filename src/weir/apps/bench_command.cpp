// weir bench disk|server
#include <weir/apps/api_client.hpp>
#include <weir/apps/command.hpp>
#include <weir/apps/run_here.hpp>
#include <weir/apps/table_text.hpp>
#include <weir/apps/trial.hpp>
#include <weir/serve/json_writer.hpp>

#include <fmt/format.h>

#include <memory>

namespace weir {

namespace {

std::string table_of(const std::vector<trial_row>& rows) {
  using enum column_align;
  table_text table(
      {{"WHAT"}, {"PER SECOND", right}, {"P50", right}, {"P99", right}, {"P99.9", right}});
  for (const trial_row& row : rows) {
    table.add({row.name, fmt::format("{:.0f}", row.per_second()),
               format_latency(row.latencies.percentile(0.5)),
               format_latency(row.latencies.percentile(0.99)),
               format_latency(row.latencies.percentile(0.999))});
  }
  return table.text();
}

std::string json_of(const std::vector<trial_row>& rows) {
  json_writer out;
  out.begin_object().begin_array("rows");
  for (const trial_row& row : rows) {
    out.begin_object()
        .field("what", row.name)
        .field("count", row.count)
        .field("per_second", row.per_second())
        .field("p50_us", static_cast<double>(row.latencies.percentile(0.5).ns) / 1e3)
        .field("p99_us", static_cast<double>(row.latencies.percentile(0.99).ns) / 1e3)
        .field("p999_us", static_cast<double>(row.latencies.percentile(0.999).ns) / 1e3)
        .end_object();
  }
  return out.end_array().end_object().take();
}

void show(const std::vector<trial_row>& rows, bool as_json) {
  print(as_json ? json_of(rows) : table_of(rows));
}

// With less there is nothing to divide by.
constexpr duration row_time_min = duration::milliseconds(1);

void add_disk(command_syntax bench, command_choice& choice) {
  struct settings {
    disk_trial plan{.folder = ".", .phase = duration::seconds(3)};
    bool json = false;
  };
  const command_syntax command = bench.subcommand(
      "disk", "Write and sync in a folder: by hand, and through the journal; needs 256 MiB");
  const auto given = std::make_shared<settings>();
  command.option("folder", given->plan.folder, "Where to write (default: here)");
  command.option("--bytes", given->plan.message_bytes, "Size of a message (default 1024)",
                 {1u, 1u << 20});
  command.option("--writers", given->plan.writers, "Writers at once (default 64)", {1u, 10'000u});
  command.option("--time", given->plan.phase, "For each row (default 3s)", row_time_min);
  command.flag("--json", given->json, "For programs: one JSON object");
  command.when_chosen([&choice, given] {
    choice.run = [given] {
      refuse_no_folder(given->plan.folder);
      show(run_here(run_disk_trial(given->plan), at_interrupt::clean_up), given->json);
      return exit_code::ok;
    };
  });
}

void add_server(command_syntax bench, command_choice& choice) {
  struct settings {
    caller_options client;
    server_trial plan;
  };
  const command_syntax command = bench.subcommand(
      "server", "Submit to a running server, take and acknowledge; in a queue of its own");
  const auto given = std::make_shared<settings>();
  given->client.add_to(command);
  command.option("--bytes", given->plan.message_bytes, "Size of a message (default 1024)",
                 {1u, 1u << 20});
  command.option("--connections", given->plan.connections, "Clients at once (default 64)",
                 {1u, 10'000u});
  command.option("--time", given->plan.phase, "For each row (default 3s)", row_time_min);
  command.when_chosen([&choice, given] {
    choice.run = [given] {
      const auto measure = [](const settings* with) -> task<std::vector<trial_row>> {
        const server_caller caller(with->client, with->plan.connections);
        co_return co_await run_server_trial(caller, with->plan);
      };
      show(run_here(measure(given.get()), at_interrupt::clean_up), given->client.json);
      return exit_code::ok;
    };
  });
}

}  // namespace

void add_bench_command(command_syntax app, command_choice& choice) {
  const command_syntax command = app.subcommand("bench", "Measure this disk, or a running server");
  command.footer(
      "Examples:\n  weir bench disk /var/lib/weir\n  weir bench server --connections 64\n"
      "Latencies are those of one operation: until it is on disk, until the answer is there.\n"
      "Ctrl-C ends it, and what was made for it is removed.");
  command.needs_subcommand();
  add_disk(command, choice);
  add_server(command, choice);
}

}  // namespace weir

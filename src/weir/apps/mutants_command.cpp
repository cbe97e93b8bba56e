// weir sim mutants: defects that are planted one by one, and what it takes to notice each.
#include <weir/apps/command.hpp>
#include <weir/apps/table_text.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/drill/mutant_trials.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace weir {

namespace {

struct mutants_settings {
  std::vector<std::string> names;
  std::uint64_t first_seed = 1;
  std::uint64_t tries = 1'000;
  std::uint32_t seconds = 300;
  std::uint32_t control = 20;
  std::uint32_t jobs = 0;
  duration time = duration::seconds(600);
  bool markdown = false;
  bool list = false;
};

constexpr std::uint64_t tries_enough = 300;  // all that can be planted are noticed within so many

double in_seconds(duration length) { return static_cast<double>(length.ns) / 1e9; }

/// A line for each mutant as it ends; on a terminal one more says who is at work.
class mutant_printer final : public drill::mutant_listener {
 public:
  void controlled(std::uint64_t seeds) override {
    tell(fmt::format("control: {} seeds pass without a defect", seeds));
  }
  void tried(const drill::tried_mutant& one) override {
    const drill::mutant_verdict& verdict = one.verdict;
    tell(fmt::format("{} {} ({} tries, {:.1f} s){}", verdict.is_killed ? "killed" : "LIVES ",
                     one.what.name, verdict.tries, in_seconds(verdict.cpu),
                     verdict.is_killed ? ": " + printable(verdict.by) : ""));
  }
  void looked(std::size_t done, std::size_t all, std::string_view now) override {
    if (!is_terminal_) return;
    std::fprintf(stderr, "\r%zu of %zu, at %.*s\x1b[K", done, all, static_cast<int>(now.size()),
                 now.data());
    is_line_open_ = true;
  }
  ~mutant_printer() {
    if (is_line_open_) std::fputs("\r\x1b[K", stderr);
  }

 private:
  void tell(const std::string& line) {
    std::fprintf(stderr, "%s%s\n", is_line_open_ ? "\r\x1b[K" : "", line.c_str());
    is_line_open_ = false;
  }

  bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool is_line_open_ = false;
};

std::string markdown_cell(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

/// Ids and numbers of one run say nothing to a reader of the table.
std::string cause_of(const drill::tried_mutant& one) {
  constexpr std::size_t shown_max = 90;
  if (!one.verdict.is_killed) return "";
  const std::string& by = one.verdict.by;
  return by.size() <= shown_max ? by : by.substr(0, shown_max) + "...";
}

std::string text_of(const drill::mutant_report& report, bool is_markdown) {
  if (is_markdown) {
    std::string out =
        "| mutant | what it does | killed by | tries | CPU s |\n|---|---|---|---|---|\n";
    for (const drill::tried_mutant& one : report.tried) {
      out += fmt::format("| {} | {} | {} | {} | {:.1f} |\n", markdown_cell(one.what.name),
                         markdown_cell(one.what.what),
                         one.verdict.is_killed ? markdown_cell(cause_of(one)) : "**lives**",
                         one.verdict.tries, in_seconds(one.verdict.cpu));
    }
    return out;
  }
  table_text table({{"MUTANT"},
                    {"WHAT IT DOES"},
                    {"TRIES", column_align::right},
                    {"CPU S", column_align::right},
                    {"KILLED BY"}});
  for (const drill::tried_mutant& one : report.tried) {
    table.add({one.what.name, one.what.what, fmt::format("{}", one.verdict.tries),
               fmt::format("{:.1f}", in_seconds(one.verdict.cpu)),
               one.verdict.is_killed ? cause_of(one) : "LIVES"});
  }
  return table.text();
}

std::string sum_of(const drill::mutant_report& report) {
  duration cpu;
  for (const drill::tried_mutant& one : report.tried) cpu += one.verdict.cpu;
  return fmt::format(
      "{} of {} mutants killed, {:.0f} s of CPU time; {} seeds pass without a defect\n",
      report.killed(), report.tried.size(), in_seconds(cpu), report.control_seeds);
}

exit_code run_mutants(const mutants_settings& given) {
  const std::vector<drill::mutant> all = drill::all_mutants();
  const result<std::vector<drill::mutant>> which = drill::mutants_named(all, given.names);
  if (!which) throw command_failure{exit_code::usage, std::string(which.error().message())};
  if (given.list) {
    std::string out;
    for (const drill::mutant& one : *which) out += fmt::format("{}\n", one.name);
    print(out);
    return exit_code::ok;
  }
  if (!defects_can_be_planted) {
    throw command_failure{exit_code::failed,
                          "this build can't plant defects; use the dev preset: ./dev build, then "
                          "build/dev/weir sim mutants"};
  }
  log::set_level(log::level::off);
  drill::mutant_settings plan;
  plan.drill.time = given.time;
  plan.first_seed = given.first_seed;
  plan.budget = {.tries_max = given.tries, .cpu_max = duration::seconds(given.seconds)};
  plan.control_seeds = std::min<std::uint64_t>(given.control, given.tries);
  plan.workers = given.jobs != 0 ? given.jobs : std::max(1u, std::thread::hardware_concurrency());
  const drill::mutant_report report = [&] {
    mutant_printer progress;
    return drill::try_mutants(*which, plan, progress);
  }();
  if (!report.tried.empty()) print(text_of(report, given.markdown));
  if (!report.broken_control.empty()) {
    throw command_failure{exit_code::failed, "the control failed: " + report.broken_control};
  }
  if (!given.markdown) print(sum_of(report));
  if (report.killed() < report.tried.size() && given.tries < tries_enough) {
    print(fmt::format("too few seeds to judge what lives: some take {}\n", tries_enough));
  }
  return report.killed() == report.tried.size() ? exit_code::ok : exit_code::failed;
}

}  // namespace

void add_mutants_command(command_syntax sim, command_choice& choice) {
  const command_syntax command =
      sim.subcommand("mutants", "Plant defects one by one and see whether they are noticed");
  command.footer(
      "Examples:\n  weir sim mutants\n  weir sim mutants --list\n"
      "  weir sim mutants broker: \"journal: renames without a sync of the folder\"\n"
      "  weir sim mutants --markdown > table.md\n"
      "A NAME is that of a mutant or its beginning; without one all are tried. Each runs in a\n"
      "process of its own, one seed after the other, until a promise is broken. First the same\n"
      "seeds must pass without a defect. Needs a build that can plant defects: the dev preset.\n"
      "Exit code 0: all were noticed; 1: one lives.");
  const auto given = std::make_shared<mutants_settings>();
  command.option("name", given->names, "Which (default all)");
  command.option("--seed", given->first_seed, "The first one (default 1)");
  command.option("--seeds", given->tries, "Tries for each at most (default 1000)", {1});
  command.option("--seconds", given->seconds, "CPU time for each at most (default 300)",
                 {1u, 86'400u});
  command.option("--control", given->control,
                 "Seeds that must pass without a defect at first (default 20)");
  command.option("--time", given->time, "Simulated time with faults of each seed (default 10m)");
  command.option("--jobs", given->jobs, "So many at once (default: cores)", {1u, 1'024u});
  command.flag("--markdown", given->markdown, "Print the table for a document");
  command.flag("--list", given->list, "Only print the names");
  command.when_chosen([&choice, given] { choice.run = [given] { return run_mutants(*given); }; });
}

}  // namespace weir

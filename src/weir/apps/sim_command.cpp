// weir sim serve: the server of `weir serve` in a simulated world, with clients and faults.
#include <weir/apps/command.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/drill/campaign.hpp>
#include <weir/drill/drill_story.hpp>
#include <weir/drill/worker_process.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>

namespace weir {

namespace {

constexpr std::size_t case_bytes_max = 64u << 20;

constexpr duration not_given{-1};

struct sim_settings {
  std::optional<std::uint64_t> seed;
  std::optional<std::uint64_t> nodes;
  duration time = not_given;
  std::optional<std::string> faults;
  std::optional<std::string> tls;
  duration campaign = not_given;
  std::optional<std::uint64_t> jobs;
  std::optional<std::uint64_t> seeds;
  std::string replay;
  bool shrink = false;
  std::optional<std::uint64_t> shrink_runs;
  std::string save;
  bool events = false;
  bool twice = false;
  std::optional<std::uint64_t> twice_every;
};

/// Before hours of runs, not after them. Leaves nothing behind.
void check_can_save(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const bool is_there = ::access(path.c_str(), F_OK) == 0;
  const char* const at = is_there ? path.c_str() : folder.empty() ? "." : folder.c_str();
  if (::access(at, is_there ? W_OK : W_OK | X_OK) == 0 && !std::filesystem::is_directory(path))
    return;
  throw command_failure{exit_code::usage,
                        fmt::format("sim serve: --save {}: it can't be written", path)};
}

/// An option that would do nothing is a mistake of who gave it.
void refuse_what_does_not_go_together(const sim_settings& given) {
  const bool is_campaign = given.campaign != not_given;
  const bool is_replay = !given.replay.empty();
  const struct {
    bool is_given;
    const char* option;
    bool is_taken;
    const char* only;  // where it is taken
  } options[] = {
      {given.seed.has_value(), "--seed", !is_replay, "without --replay, whose file says it"},
      {given.nodes.has_value(), "--nodes", !is_replay, "without --replay, whose file says it"},
      {given.time != not_given, "--time", !is_replay, "without --replay, whose file says it"},
      {given.faults.has_value(), "--faults", !is_replay, "without --replay, whose file says them"},
      {given.tls.has_value(), "--tls", !is_replay, "without --replay, whose file says it"},
      {is_campaign, "--campaign", !is_replay, "without --replay"},
      {given.seeds.has_value(), "--seeds", is_campaign, "with --campaign"},
      {given.jobs.has_value(), "--jobs", is_campaign, "with --campaign"},
      {given.twice_every.has_value(), "--twice-every", is_campaign, "with --campaign"},
      {given.events, "--events", !is_campaign && !given.shrink, "for one run"},
      {given.twice, "--twice", !is_campaign && !given.shrink && !given.events, "for one run"},
      {given.shrink_runs.has_value(), "--shrink-runs", given.shrink, "with --shrink"},
      {!given.save.empty(), "--save", given.shrink, "with --shrink"},
  };
  for (const auto& one : options) {
    if (!one.is_given || one.is_taken) continue;
    throw command_failure{
        exit_code::usage,
        fmt::format("sim serve: {} is taken only {} (see `weir sim serve --help`)", one.option,
                    one.only)};
  }
  for (const auto& [option, length] :
       {std::pair("--time", given.time), std::pair("--campaign", given.campaign)}) {
    if (length.ns != 0) continue;
    throw command_failure{exit_code::usage,
                          fmt::format("sim serve: {} 0s would try nothing", option)};
  }
  for (const auto& [option, count] :
       {std::pair("--seeds", given.seeds), std::pair("--shrink-runs", given.shrink_runs)}) {
    if (count != std::uint64_t{0}) continue;
    throw command_failure{exit_code::usage,
                          fmt::format("sim serve: {} 0 would try nothing", option)};
  }
  if (!given.save.empty()) check_can_save(given.save);
}

class event_printer final : public drill::drill_listener {
 public:
  void event(const std::string& line) override { print(line + "\n"); }
};

std::string fault_names() {
  std::string out;
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    out += fmt::format("{}{}", i == 0 ? "" : ", ", name(static_cast<chaos_kind>(i)));
  }
  return out;
}

drill::drill_settings drill_settings_of(const sim_settings& given, duration time_default) {
  const std::string faults_text = given.faults.value_or("all");
  const auto faults = chaos_set::parse(faults_text);
  if (!faults) {
    throw command_failure{exit_code::usage,
                          fmt::format("--faults {}: all, none, or some of {}; -NAME leaves one out",
                                      faults_text, fault_names())};
  }
  const std::string tls_text = given.tls.value_or("drawn");
  const auto tls = drill::parse_tls_use(tls_text);
  if (!tls) {
    throw command_failure{exit_code::usage,
                          fmt::format("--tls {}: drawn, always or never", tls_text)};
  }
  return {.nodes = static_cast<std::uint32_t>(given.nodes.value_or(3)),
          .time = given.time != not_given ? given.time : time_default,
          .faults = *faults,
          .tls = *tls};
}

std::uint64_t fresh_seed() {
  std::random_device device;
  return device();  // 32 bits: short to type
}

std::string in_hours(duration length) {
  const std::int64_t s = length.ns / 1'000'000'000;
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

/// "kill 3, memory 2 (17 requests for memory failed)"
std::string strikes_of(const drill::drill_report& report) {
  std::string out;
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    if (report.strikes[i] == 0) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name(static_cast<chaos_kind>(i)),
                       report.strikes[i]);
  }
  if (report.memory_refused != 0) {
    out += fmt::format(" ({} requests for memory failed)", report.memory_refused);
  }
  return out.empty() ? "none" : out;
}

std::string text_of(const drill::drill_report& report) {
  const drill::ledger_counts& counts = report.counts;
  return fmt::format(
      "simulated {}: {} submitted, {} confirmed, {} given out ({} of them pushed), {} "
      "acknowledged, {} done, {} dead, {} replies; {} server starts, {} packets, {} turns\n"
      "at most {} bytes on the disk (bound {}) and {} in memory (bound {})\n"
      "faults of this seed: {}\n"
      "faults that struck: {}\n"
      "fingerprint {:016x}\n",
      in_hours(report.simulated), counts.tried, counts.confirmed, counts.delivered, counts.pushed,
      counts.acked, counts.done, counts.dead, counts.replied, report.server_starts, report.packets,
      report.turns, report.disk_bytes_max, report.disk_bytes_bound, report.memory_bytes_max,
      report.memory_bytes_bound, report.swarm, strikes_of(report), report.fingerprint);
}

void save_case(const std::string& path, const drill::drill_case& what) {
  std::ofstream out(path);
  out << what.text();
  if (!out.flush()) {
    throw command_failure{exit_code::failed, fmt::format("{} can't be written", path)};
  }
}

/// How to get a failure that can be told: a seed's own decisions are too many for that.
std::string why_line(const drill::drill_case& what) {
  return fmt::format("see why:    {} --shrink\n", what.command(""));
}

/// What was broken, what came before, and how to see it again.
exit_code tell_failure(const sim_settings& given, const drill::drill_case& what,
                       const drill::drill_report& report, const std::string& file) {
  std::string out;
  if (what.log) {
    out = drill::story_of(what, report.violation);
  } else {
    out = "the last events:\n";
    for (const std::string& line : report.events)
      out += "  " + line.substr(0, line.find('\n')) + "\n";
  }
  out += text_of(report);
  out += fmt::format("BROKEN: {}\nreplay it:  {}\n", report.violation, what.command(file));
  if (!what.log && !given.shrink) out += why_line(what);
  print(out);
  return exit_code::failed;
}

/// Says where a case is that is run more than once: a run of hours takes minutes.
class twice_progress final : public drill::drill_listener {
 public:
  void begins(const drill::drill_stage& /*stage*/) override { ++runs_; }
  void event(const std::string& line) override {
    const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
    const duration between = is_terminal ? duration::milliseconds(200) : duration::seconds(10);
    const time_point now = drill::real_now();
    if (now - told_ < between) return;
    told_ = now;
    constexpr std::size_t clock_size = 8;  // "00:03:12"
    std::fprintf(stderr, "%srun %d, %s simulated%s", is_terminal ? "\r" : "", runs_,
                 line.substr(0, clock_size).c_str(), is_terminal ? "   " : "\n");
    is_told_ = is_terminal;
  }
  void end() const {
    if (is_told_) std::fputc('\n', stderr);
  }

 private:
  int runs_ = 0;
  time_point told_ = drill::real_now();
  bool is_told_ = false;  // and the line is not ended
};

/// Of a run in which no promise is broken: that, and whether it shows anything.
exit_code tell_success(const drill::drill_report& report, const char* kept) {
  const std::vector<choice>& stale = report.not_reached.exceptions;
  std::string out = text_of(report);
  if (stale.empty()) {
    out += kept;
  } else {
    out += fmt::format(
        "STALE: the run does not come to {} of the decisions of its log, {} first: that no promise "
        "is broken shows nothing\n",
        stale.size(), choice_log{{stale.front()}}.text());
  }
  print(out);
  return stale.empty() ? exit_code::ok : exit_code::failed;
}

exit_code shrink_one(const sim_settings& given, const drill::drill_case& what,
                     std::uint64_t runs_max) {
  drill::shrunk_case made = drill::shrink_case(what, given.shrink_runs.value_or(runs_max));
  if (!made.report.is_failed()) {
    return tell_success(made.report, "nothing to shrink: no promise is broken\n");
  }
  std::string file = given.save.empty() ? fmt::format("weir-sim-{}.case", what.seed) : given.save;
  print(fmt::format(
      "shrunk in {} runs: faults {}, {} simulated, {} decisions{}\n", made.runs,
      made.made.settings.faults.text(), in_hours(made.report.simulated),
      made.made.log ? fmt::format("{}", made.made.log->exceptions.size()) : std::string("all"),
      made.made.log ? "" : " of the seed"));
  const exit_code told = tell_failure(given, made.made, made.report, file);
  // At last: what was found is printed, whatever becomes of the file.
  if (made.made.log || !given.save.empty()) save_case(file, made.made);
  return told;
}

exit_code run_one(const sim_settings& given, const drill::drill_case& what) {
  if (given.shrink) return shrink_one(given, what, 1'000);
  event_printer printer;
  drill::drill_report report;
  if (given.twice) {
    twice_progress progress;
    drill::doubled_case both = drill::run_twice(what, &progress);
    progress.end();
    if (!both.parting.text.empty()) {
      print(both.parting.text +
            "PARTED: something outside of the seed decides, too: a static "
            "variable, an address, the real clock\n" +
            fmt::format("see it again:  {} --twice\n", what.command(given.replay)));
      return exit_code::failed;
    }
    print(fmt::format("two runs are the same: {} steps{}\n", both.parting.steps,
                      both.parting.compared == packet_bytes::all
                          ? ""
                          : "; of packets their sizes (tickets of TLS hold the real time)"));
    report = std::move(both.report);
  } else {
    report = drill::run_case(what, given.events ? &printer : nullptr);
  }
  if (report.is_failed()) return tell_failure(given, what, report, given.replay);
  return tell_success(report, "all promises were kept\n");
}

class campaign_printer final : public drill::campaign_listener {
 public:
  void progress(const drill::campaign_totals& so_far) override {
    const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
    constexpr duration between = duration::seconds(10);
    if (!is_terminal && so_far.passed < next_) return;
    next_ = so_far.passed + between;
    std::fprintf(stderr, "%s%llu seeds, %s simulated, %llu failed%s", is_terminal ? "\r" : "",
                 static_cast<unsigned long long>(so_far.seeds), in_hours(so_far.simulated).c_str(),
                 static_cast<unsigned long long>(so_far.failed), is_terminal ? "   " : "\n");
  }

 private:
  duration next_ = duration::seconds(10);
};

exit_code run_campaign_of(const sim_settings& given) {
  constexpr std::uint64_t seeds_enough = 100;  // for each sometimes() to be met
  constexpr std::uint64_t shrink_runs_of_campaign = 100;
  drill::campaign_settings plan;
  plan.drill = drill_settings_of(given, duration::seconds(600));
  plan.first_seed = given.seed ? *given.seed : fresh_seed();
  plan.length = given.campaign;
  plan.seeds_max = given.seeds.value_or(UINT64_MAX);
  plan.workers = given.jobs ? static_cast<std::uint32_t>(*given.jobs)
                            : std::max(1u, std::thread::hardware_concurrency());
  plan.twice_every = given.twice_every.value_or(plan.twice_every);
  print(fmt::format("seeds from {}, {} workers\n", plan.first_seed, plan.workers));
  campaign_printer progress;
  const drill::campaign_totals totals = drill::run_campaign(plan, progress);
  if (::isatty(STDERR_FILENO) == 1) std::fputc('\n', stderr);
  std::string out = drill::summary_of(totals);
  const std::vector<std::string> never = drill::never_met(totals);
  const bool is_blind = !never.empty() && totals.seeds >= seeds_enough;
  std::optional<drill::drill_case> first;  // that can be told
  for (const drill::finding& one : totals.findings) {
    const drill::drill_case what{.settings = plan.drill, .seed = one.seed};
    if (one.kind == drill::finding_kind::parted) {
      out += fmt::format("PARTED: seed {}: {}see it again:  {} --twice\n", one.seed, one.violation,
                         what.command(""));
      continue;
    }
    out += fmt::format("BROKEN: seed {}: {}\nreplay it:  {}\n", one.seed, one.violation,
                       what.command(""));
    if (first || one.kind != drill::finding_kind::broken) continue;
    first = what;
    if (!given.shrink) out += why_line(what);
  }
  if (totals.failed > totals.findings.size()) {
    out += fmt::format("and {} seeds more\n", totals.failed - totals.findings.size());
  }
  if (is_blind) out += "the campaign failed: what should happen sometimes never did\n";
  if (totals.seeds == 0) out += "no seed came to its end in that time\n";
  const bool is_passed = totals.failed == 0 && !is_blind && totals.seeds != 0;
  if (is_passed) out += fmt::format("all promises were kept, in {} seeds\n", totals.seeds);
  if (is_passed && !never.empty()) {
    out += fmt::format("too few seeds to judge what never happened: that takes {}\n", seeds_enough);
  }
  print(out);
  // At last, and what was found is printed: a shorter run may end this process.
  std::fflush(stdout);
  if (first && given.shrink) shrink_one(given, *first, shrink_runs_of_campaign);
  return is_passed ? exit_code::ok : exit_code::failed;
}

exit_code simulate(const sim_settings& given) {
  log::set_level(log::level::off);  // the server's lines have the simulation's times: see --events
  refuse_what_does_not_go_together(given);
  if (given.campaign != not_given) return run_campaign_of(given);
  if (!given.replay.empty()) {
    result<drill::drill_case> read =
        drill::drill_case::parse(read_file(given.replay, case_bytes_max));
    if (!read) {
      throw command_failure{exit_code::usage,
                            fmt::format("{}: {}", given.replay, read.error().message())};
    }
    return run_one(given, *read);
  }
  constexpr duration hour = duration::seconds(3'600);
  const drill::drill_settings plan = drill_settings_of(given, hour);
  const std::uint64_t seed = given.seed ? *given.seed : fresh_seed();
  if (!given.seed) print(fmt::format("seed {}\n", seed));
  return run_one(given, {.settings = plan, .seed = seed});
}

void add_serve(command_syntax sim, command_choice& choice) {
  const command_syntax command =
      sim.subcommand("serve", "Run the server with clients and faults in a simulated world");
  command.footer(
      "Examples:\n  weir sim serve --seed 42 --nodes 3 --time 1h --faults all\n"
      "  weir sim serve --campaign 30m\n  weir sim serve --seed 42 --shrink\n"
      "Faults: kill, power, pause, clock, partition, clog, reset, loss, slow_network,\n"
      "short_transfers, disk_error, sync_error, disk_full, slow_disk, memory; all, none; -NAME "
      "leaves\n"
      "one out. Each seed draws some of them. Exit code 0: all promises were kept; 1: one was "
      "broken.");
  const auto given = std::make_shared<sim_settings>();
  command.option("--seed", given->seed, "Decides everything (default: a new one, printed)");
  command.option("--nodes", given->nodes,
                 "Machines: the server's and at least one of clients (default 3)", {2u, 100u});
  command.option("--time", given->time,
                 "Simulated time with faults (default 1h; 10m in a campaign)");
  command.option("--faults", given->faults, "Which may strike (default all)").called("LIST");
  command.option("--tls", given->tls, "Whether the server speaks TLS: drawn, always, never (drawn)")
      .called("WHEN");
  command.option("--campaign", given->campaign, "Run seeds on all cores for so long");
  command.option("--seeds", given->seeds, "Of a campaign: at most so many");
  command.option("--jobs", given->jobs, "Of a campaign: so many at once (default: cores)",
                 {1u, 1'024u});
  command.option("--replay", given->replay, "Run the case that this file describes").called("FILE");
  command.option("--twice-every", given->twice_every,
                 "Of a campaign: each so many-th seed is run twice (default 20; 0: none)");
  command.flag(
      "--shrink", given->shrink,
      "Look for a shorter run that breaks the same promise; of a campaign's first finding");
  command.option("--shrink-runs", given->shrink_runs, "Tries for that (default 1000; 100)");
  command.option("--save", given->save, "Where the shrunk case goes").called("FILE");
  command.flag("--twice", given->twice,
               "Run it twice: are both the same, step by step? Twice the time");
  command.flag("--events", given->events, "Print what happens, as it happens");
  command.when_chosen([&choice, given] { choice.run = [given] { return simulate(*given); }; });
}

}  // namespace

void add_sim_command(command_syntax app, command_choice& choice) {
  const command_syntax command = app.subcommand("sim", "Try the server in a simulated world");
  command.needs_subcommand();
  add_serve(command, choice);
  add_mutants_command(command, choice);
}

}  // namespace weir

#include <weir/drill/drill_case.hpp>

#include <weir/base/text.hpp>
#include <weir/sim/shrink.hpp>
#include <weir/sim/stale_log.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace weir::drill {

namespace {

constexpr std::string_view first_words = "weir sim serve, version ";
constexpr std::string_view first_line = "weir sim serve, version 2";
constexpr std::uint64_t nodes_max = 100;

result<void> take(drill_case& into, std::string_view name, std::string_view value) {
  const auto wrong = [&](std::string_view wanted) {
    return fail(errc::invalid_argument,
                fmt::format("'{} {}' is not {}", name, value.substr(0, 80), wanted));
  };
  if (name == "nodes") {
    const auto count = parse_number(value, nodes_max);
    if (!count || *count < 2) return wrong("a number of machines, 2 to 100");
    into.settings.nodes = static_cast<std::uint32_t>(*count);
  } else if (name == "time") {
    const auto time = parse_duration(value);
    if (!time || time->ns == 0) return wrong("a duration such as 10m");
    into.settings.time = *time;
  } else if (name == "faults") {
    const auto faults = chaos_set::parse(value);
    if (!faults) return wrong("a list of faults such as all or kill,power");
    into.settings.faults = *faults;
  } else if (name == "tls") {
    const auto use = parse_tls_use(value);
    if (!use) return wrong("one of always, never and drawn");
    into.settings.tls = *use;
  } else if (name == "seed") {
    const auto seed = parse_number(value);
    if (!seed) return wrong("a number");
    into.seed = *seed;
  } else if (name == "log") {
    into.log = choice_log::parse(value);
    if (!into.log) return wrong("a list of decisions such as f3=1,f9=2");
  } else {
    return fail(
        errc::invalid_argument,
        fmt::format("'{}' is no setting: nodes, time, faults, tls, seed and log are", name));
  }
  return {};
}

/// Runs logs for shrink().
class case_trial final : public shrink_trial {
 public:
  case_trial(const drill_case& base, std::string kind) : base_(base), kind_(std::move(kind)) {}
  bool fails(const choice_log& log, choice_log& used) override {
    choices decisions(0);
    decisions.record_next();
    decisions.replay(log);
    const drill_report report = run_drill(base_.settings, decisions);
    used = decisions.take_record();
    return kind_of_violation(report.violation) == kind_;
  }

 private:
  drill_case base_;
  std::string kind_;
};

}  // namespace

std::string drill_case::text() const {
  std::string out = fmt::format("{}\nnodes {}\ntime {}\nfaults {}\n", first_line, settings.nodes,
                                format_duration(settings.time), settings.faults.text());
  if (settings.tls != tls_use::drawn) out += fmt::format("tls {}\n", name(settings.tls));
  return out + (log ? fmt::format("log {}\n", log->text()) : fmt::format("seed {}\n", seed));
}

result<drill_case> drill_case::parse(std::string_view text) {
  drill_case made;
  const bool is_ended = text.empty() || text.back() == '\n';
  std::vector<std::string_view> names;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (++number == 1) {
      if (line == first_line) continue;
      if (line.starts_with(first_words))
        return fail(errc::invalid_argument,
                    fmt::format("line 1: it is a case of version {}, and this weir replays those "
                                "of version {}",
                                line.substr(first_words.size()).substr(0, 80),
                                first_line.substr(first_words.size())));
      return fail(errc::invalid_argument,
                  fmt::format("line 1 is not '{}': no case of weir sim", first_line));
    }
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view name = line.substr(0, space);
    result<void> taken = take(made, name, line.substr(std::min(space + 1, line.size())));
    if (taken && std::ranges::find(names, name) != names.end())
      taken = fail(errc::invalid_argument, fmt::format("'{}' is said twice", name));
    names.push_back(name);
    if (!taken) {
      return fail(errc::invalid_argument,
                  fmt::format("line {}: {}", number, taken.error().message()));
    }
  }
  if (number == 0) return fail(errc::invalid_argument, "it is empty: no case of weir sim");
  // What is left of a file would be another run, which shows nothing of the one that was saved.
  if (!is_ended)
    return fail(errc::invalid_argument,
                fmt::format("line {} has no end: was the file cut off?", number));
  const auto has = [&](std::string_view name) {
    return std::ranges::find(names, name) != names.end();
  };
  if (has("seed") == has("log"))
    return fail(errc::invalid_argument, has("seed")
                                            ? "it has a seed and a log: one of them decides"
                                            : "it has no seed and no log: was the file cut off?");
  return made;
}

std::string drill_case::command(std::string_view file) const {
  if (log) return fmt::format("weir sim serve --replay {}", file);
  std::string out =
      fmt::format("weir sim serve --seed {} --nodes {} --time {} --faults {}", seed, settings.nodes,
                  format_duration(settings.time), settings.faults.text());
  if (settings.tls != tls_use::drawn) out += fmt::format(" --tls {}", name(settings.tls));
  return out;
}

namespace {

constexpr struct {
  tls_use use;
  const char* name;
} tls_uses[] = {{tls_use::drawn, "drawn"}, {tls_use::always, "always"}, {tls_use::never, "never"}};

}  // namespace

const char* name(tls_use use) noexcept {
  for (const auto& one : tls_uses) {
    if (one.use == use) return one.name;
  }
  return "";
}

std::optional<tls_use> parse_tls_use(std::string_view text) noexcept {
  for (const auto& one : tls_uses) {
    if (text == one.name) return one.use;
  }
  return std::nullopt;
}

drill_report run_case(const drill_case& what, drill_listener* listener) {
  choices decisions(what.seed);
  if (!what.log) return run_drill(what.settings, decisions, listener);
  decisions.record_next();
  decisions.replay(*what.log);
  drill_report report = run_drill(what.settings, decisions, listener);
  report.not_reached = not_reached(*what.log, decisions.take_record());
  return report;
}

doubled_case run_twice(const drill_case& what, drill_listener* listener) {
  struct observed final : drill_listener {
    observed(drill_listener* also, node_trace& to) noexcept : outer(also), steps(to) {}
    void event(const std::string& line) override {
      if (outer) outer->event(line);
    }
    void begins(const drill_stage& stage) override {
      if (stage.speaks_tls) steps.count(packet_bytes::size);
      stage.machines.observe(steps);
      if (outer) outer->begins(stage);
    }
    drill_listener* outer;
    node_trace& steps;
  };
  struct one_case final : repeated_run {
    one_case(const drill_case& of, drill_listener* to) noexcept : what(of), listener(to) {}
    void run(node_trace& steps) override {
      observed hears(listener, steps);
      report = run_case(what, &hears);
    }
    const drill_case& what;
    drill_listener* listener;
    drill_report report;
  } once(what, listener);
  run_parting parting = part_of_two(once);
  return {.report = std::move(once.report), .parting = std::move(parting)};
}

std::string kind_of_violation(std::string_view violation) {
  if (violation.starts_with('(')) {
    return std::string(violation.substr(0, violation.find(')') + 1));
  }
  std::string words;
  int count = 0;
  for (const char c : violation) {
    if (c == ' ' && ++count == 4) break;
    if (c < '0' || c > '9') words += c;
  }
  return words;
}

shrunk_case shrink_case(const drill_case& what, std::uint64_t runs_max) {
  shrunk_case best{.made = what, .report = run_case(what)};
  if (!best.report.is_failed()) return best;
  const std::string kind = kind_of_violation(best.report.violation);
  const auto attempt = [&](const drill_case& shorter) {
    if (best.runs >= runs_max) return false;
    ++best.runs;
    drill_report report = run_case(shorter);
    if (kind_of_violation(report.violation) != kind) return false;
    best.made = shorter;
    best.report = std::move(report);
    return true;
  };
  // What happened after the violation does not matter; nor do faults that never struck.
  drill_case shorter = best.made;
  shorter.settings.time = std::min(shorter.settings.time, best.report.simulated);
  attempt(shorter);
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    shorter = best.made;
    if (!shorter.settings.faults.has(static_cast<chaos_kind>(i))) continue;
    shorter.settings.faults.set(static_cast<chaos_kind>(i), false);
    attempt(shorter);
  }
  shorter = best.made;
  shorter.settings.tls = tls_use::never;
  if (best.made.settings.tls != tls_use::never) attempt(shorter);
  // From here on its decisions are what is shortened.
  choices decisions(best.made.seed);
  decisions.record_next();
  if (best.made.log) {
    decisions.replay(*best.made.log);
  } else {
    decisions.restart(best.made.seed);
  }
  run_drill(best.made.settings, decisions);
  choice_log log = decisions.take_record();
  if (best.runs >= runs_max || log.exceptions.size() >= choices::recorded_max) return best;
  case_trial once(best.made, kind);
  std::uint64_t runs = 0;
  shorter = best.made;
  shorter.log = shrink(std::move(log), once, runs_max - best.runs, runs);
  best.runs += runs;
  drill_report report = run_case(shorter);
  if (kind_of_violation(report.violation) == kind) {
    best.made = std::move(shorter);
    best.report = std::move(report);
  }
  return best;
}

}  // namespace weir::drill

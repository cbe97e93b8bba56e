#include <weir/drill/mutant_trials.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/text.hpp>
#include <weir/drill/campaign.hpp>
#include <weir/drill/mutant_programs.hpp>
#include <weir/drill/server_mutants.hpp>
#include <weir/drill/worker_process.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <utility>

namespace weir::drill {

namespace {

constexpr std::size_t cause_bytes_max = 200;

/// What is said before the stack, in one line and not too long.
std::string in_a_line(std::string_view text) {
  std::string out;
  for (const auto part : std::views::split(text, '\n')) {
    std::string_view line = trim(std::string_view(part.begin(), part.end()));
    if (line.starts_with("in ") || line.starts_with("task ")) break;
    while (line.starts_with("[1] ")) line.remove_prefix(4);
    if (line.ends_with("1 error:")) line.remove_suffix(8);  // a scope's one task has failed
    line = trim(line.substr(0, line.find(" [..")));         // where in the source
    if (!out.empty() && !line.empty()) out += ' ';
    out += line;
  }
  return out.substr(0, cause_bytes_max);
}

/// Says which try of a program comes.
class try_teller final : public try_listener {
 public:
  explicit try_teller(const worker_voice& voice) noexcept : voice_(voice) {}
  void trying(std::uint64_t nth) override { voice_.say(fmt::format("try {}", nth)); }

 private:
  const worker_voice& voice_;
};

const runtime_mutant* runtime_mutant_of(std::string_view name) {
  const auto all = runtime_mutants();
  const auto found = std::ranges::find_if(
      all, [&](const runtime_mutant& one) { return std::string_view(one.defect) == name; });
  return found == all.end() ? nullptr : &*found;
}

/// Seeds or schedules with a defect, until one notices it. Says "try NUMBER" and "killed WHY".
class defect_job final : public worker_job {
 public:
  defect_job(const mutant& what, const mutant_settings& settings) noexcept
      : what_(what), settings_(settings) {}
  void work(const worker_voice& voice) override {
    voice.speak_errors();  // the words of an assertion
    limit_cpu(settings_.budget.cpu_max);
    if (what_.how == killer::program) {
      try_teller tells(voice);
      const runtime_mutant* const one = runtime_mutant_of(what_.name);
      const mutant_verdict verdict = try_runtime_mutant(*one, settings_.budget, &tells);
      return voice.say(verdict.is_killed ? "killed " + in_a_line(verdict.by) : "lives");
    }
    const planted_defect planted(what_.name);
    for (std::uint64_t i = 0; i < settings_.budget.tries_max; ++i) {
      if (cpu_taken() > settings_.budget.cpu_max) return;
      const std::uint64_t seed = settings_.first_seed + i;
      voice.say(fmt::format("try {}", seed));
      const drill_report report = run_case({.settings = settings_.drill, .seed = seed});
      if (!report.is_failed()) continue;
      return voice.say("killed " + in_a_line(report.violation));
    }
    voice.say("lives");
  }

 private:
  mutant what_;
  const mutant_settings& settings_;
};

/// The programs of some mutants without a defect. Says "broken WHY", or nothing.
class program_control_job final : public worker_job {
 public:
  explicit program_control_job(const std::vector<mutant>& which) noexcept : which_(which) {}
  void work(const worker_voice& voice) override {
    std::set<const mutant_program*> done;
    for (const mutant& one : which_) {
      const runtime_mutant* const of = runtime_mutant_of(one.name);
      if (!of || !done.insert(of->killed_by).second) continue;
      const mutant_verdict verdict = try_program(*of->killed_by, {.tries_max = schedules});
      if (!verdict.is_killed) continue;
      voice.say(fmt::format("broken '{}' fails without a defect: {}", of->killed_by->name,
                            in_a_line(verdict.by)));
    }
  }

 private:
  static constexpr std::uint64_t schedules = 1'000;
  const std::vector<mutant>& which_;
};

/// One mutant at work.
struct mutant_trial final : worker_listener {
  worker_process process;
  std::optional<std::size_t> which;  // of the list; nothing: idle
  mutant_verdict verdict;
  bool is_settled = false;  // it has said how it ended
  std::string error_words;  // the first line on its standard error

  void hear(std::string_view line) override {
    if (line.starts_with("try ")) {
      ++verdict.tries;
    } else if (line.starts_with("killed ")) {
      verdict.is_killed = is_settled = true;
      verdict.by = line.substr(7);
    } else if (line == "lives") {
      is_settled = true;
    } else if (line.starts_with("weir: ") && error_words.empty()) {
      error_words = line.substr(6);  // what else is there are dumps of tasks
    }
  }
  /// The process has ended: whatever ended it without a word is a kill, but for its own limit.
  void conclude(const mutant_settings& settings) {
    verdict.cpu = process.cpu();
    const std::string& death = process.death();
    if (is_settled || death.empty()) return;
    const bool is_late = verdict.cpu >= settings.budget.cpu_max;
    verdict.is_killed = !is_late;
    verdict.by = is_late ? "" : in_a_line(error_words.empty() ? "it " + death : error_words);
  }
};

class trier {
 public:
  trier(const std::vector<mutant>& which, const mutant_settings& settings,
        mutant_listener& listener)
      : which_(which), settings_(settings), listener_(listener), trials_(settings.workers) {}

  mutant_report run() {
    std::set<std::uint64_t> seeds;
    const bool has_drills =
        std::ranges::any_of(which_, [](const mutant& one) { return one.how == killer::drill; });
    for (std::uint64_t i = 0; i < settings_.control_seeds && has_drills; ++i) {
      seeds.insert(settings_.first_seed + i);
    }
    if (!control_programs() || !control(seeds)) return std::move(report_);
    report_.tried.resize(which_.size());
    for (std::size_t i = 0; i < which_.size(); ++i) report_.tried[i].what = which_[i];
    while (next_ < which_.size() || is_busy()) look();
    std::set<std::uint64_t> killing;
    for (const tried_mutant& one : report_.tried) {
      if (one.verdict.is_killed && one.what.how == killer::drill) {
        killing.insert(settings_.first_seed + one.verdict.tries - 1);
      }
    }
    for (const std::uint64_t seed : seeds) killing.erase(seed);
    control(killing);
    return std::move(report_);
  }

 private:
  struct silent final : campaign_listener {
    void progress(const campaign_totals& /*so_far*/) override {}
  };

  struct ear final : worker_listener {
    void hear(std::string_view line) override {
      constexpr std::string_view broken = "broken ";
      if (why.empty() && line.starts_with(broken)) why = line.substr(broken.size());
    }
    std::string why;
  };

  /// Programs without a defect; false: one of them has failed.
  bool control_programs() {
    program_control_job job(which_);
    worker_process one;
    ear heard;
    one.start(job);
    while (one.is_running()) {
      const int descriptors[] = {one.descriptor()};
      if (!wait_for_words(descriptors).empty()) one.read(heard);
    }
    report_.broken_control = heard.why.empty() ? one.death() : heard.why;
    return report_.broken_control.empty();
  }

  /// Seeds without a defect; false: one of them has failed.
  bool control(const std::set<std::uint64_t>& seeds) {
    const planted_defect none("");
    for (auto at = seeds.begin(); at != seeds.end() && report_.broken_control.empty();) {
      const std::uint64_t first = *at;
      std::uint64_t count = 0;
      while (at != seeds.end() && *at == first + count) ++at, ++count;
      silent nobody;
      const campaign_totals totals = run_campaign({.drill = settings_.drill,
                                                   .first_seed = first,
                                                   .seeds_max = count,
                                                   .length = duration::seconds(86'400),
                                                   .workers = settings_.workers},
                                                  nobody);
      report_.control_seeds += totals.seeds;
      for (const finding& one : totals.findings) {
        report_.broken_control =
            fmt::format("seed {} fails without a defect: {}", one.seed, in_a_line(one.violation));
      }
    }
    const bool has_told = seeds.empty() || !report_.broken_control.empty();
    if (!has_told) listener_.controlled(report_.control_seeds);
    return report_.broken_control.empty();
  }

  bool is_busy() const {
    return std::ranges::any_of(trials_,
                               [](const mutant_trial& one) { return one.which.has_value(); });
  }

  void look() {
    std::vector<int> descriptors;
    std::string_view now;
    for (mutant_trial& one : trials_) {
      if (!one.which && next_ < which_.size()) start(one, next_++);
      descriptors.push_back(one.process.descriptor());
      if (one.which && now.empty()) now = which_[*one.which].name;
    }
    listener_.looked(done_, which_.size(), now);
    for (const std::size_t i : wait_for_words(descriptors)) {
      mutant_trial& one = trials_[i];
      one.process.read(one);
      if (!one.process.is_running()) end(one);
    }
  }

  void start(mutant_trial& one, std::size_t which) {
    one.which = which;
    one.verdict = {};
    one.is_settled = false;
    one.error_words.clear();
    defect_job job(which_[which], settings_);
    one.process.start(job);
  }

  void end(mutant_trial& one) {
    one.conclude(settings_);
    tried_mutant& into = report_.tried[*std::exchange(one.which, std::nullopt)];
    into.verdict = std::move(one.verdict);
    ++done_;
    listener_.tried(into);
  }

  const std::vector<mutant>& which_;
  const mutant_settings& settings_;
  mutant_listener& listener_;
  std::vector<mutant_trial> trials_;
  mutant_report report_;
  std::size_t next_ = 0;
  std::size_t done_ = 0;
};

/// How many words of one are in the other.
std::size_t words_shared(std::string_view one, std::string_view other) {
  std::size_t count = 0;
  for (const auto word : std::views::split(one, ' ')) {
    const std::string_view text(word.begin(), word.end());
    count += text.size() > 3 && other.find(text) != other.npos ? 1 : 0;
  }
  return count;
}

error nothing_called(const std::vector<mutant>& all, const std::string& name) {
  constexpr std::size_t near_max = 5;
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (const mutant& one : all) near.emplace_back(words_shared(name, one.name), one.name);
  std::ranges::sort(near, std::ranges::greater());
  std::string text = fmt::format("no mutant is called '{}'", name.substr(0, cause_bytes_max));
  for (std::size_t i = 0; i < std::min(near.size(), near_max); ++i) {
    if (near[i].first == 0) break;
    text += fmt::format("{} '{}'", i == 0 ? "; near are" : ",", near[i].second);
  }
  return error(errc::invalid_argument, text + "; --list names all");
}

}  // namespace

std::size_t mutant_report::killed() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(tried, [](const tried_mutant& one) { return one.verdict.is_killed; }));
}

std::vector<mutant> all_mutants() {
  const std::span<const mutant> of_server = server_mutants();
  std::vector<mutant> all(of_server.begin(), of_server.end());
  for (const runtime_mutant& one : runtime_mutants()) {
    all.push_back({.name = one.defect, .what = one.what, .how = killer::program});
  }
  return all;
}

result<std::vector<mutant>> mutants_named(const std::vector<mutant>& all,
                                          const std::vector<std::string>& names) {
  if (names.empty()) return all;
  for (const std::string& name : names) {
    const bool is_known = std::ranges::any_of(all, [&](const mutant& one) {
      return std::string_view(one.name).starts_with(name) && !name.empty();
    });
    if (!is_known) return fail(nothing_called(all, name));
  }
  std::vector<mutant> out;
  for (const mutant& one : all) {
    const bool is_meant = std::ranges::any_of(names, [&](const std::string& name) {
      return std::string_view(one.name).starts_with(name);
    });
    if (is_meant) out.push_back(one);
  }
  return out;
}

mutant_report try_mutants(const std::vector<mutant>& which, const mutant_settings& settings,
                          mutant_listener& listener) {
  return trier(which, settings, listener).run();
}

}  // namespace weir::drill

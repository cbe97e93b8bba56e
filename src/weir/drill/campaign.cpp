#include <weir/drill/campaign.hpp>

#include <weir/base/text.hpp>
#include <weir/drill/worker_process.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace weir::drill {

namespace {

constexpr std::uint64_t ledger_counts::* counters[] = {
    &ledger_counts::tried,     &ledger_counts::confirmed, &ledger_counts::duplicates,
    &ledger_counts::delivered, &ledger_counts::acked,     &ledger_counts::stale,
    &ledger_counts::done,      &ledger_counts::dead,      &ledger_counts::replied,
    &ledger_counts::pushed};

// "begin SEED", then "end SEED numbers...", "probe REACHED MET NAME", "maybe ASKED TRUE NAME",
// "finding SEED TEXT", and of a seed that was run twice "doubled" or "parted SEED TEXT".
void tell(const worker_voice& voice, std::uint64_t seed, const drill_report& report) {
  for (const probe_book::entry& one : report.probes) {
    voice.say(fmt::format("probe {} {} {}", one.reached, one.met, one.name));
  }
  for (const probe_book::entry& one : report.maybes) {
    voice.say(fmt::format("maybe {} {} {}", one.reached, one.met, one.name));
  }
  if (report.is_failed()) voice.say(fmt::format("finding {} {}", seed, report.violation));
  std::string line = fmt::format("end {} {}", report.simulated.ns, report.server_starts);
  for (const auto counter : counters) line += fmt::format(" {}", report.counts.*counter);
  for (const std::uint64_t count : report.strikes) line += fmt::format(" {}", count);
  voice.say(std::move(line));
}

// Every sometimes() of the product, which `./dev tidy` compares, with the seeds that are enough to
// meet it (of 100, 3 tore a group, and 4 hit a planned sync).
struct expected_probe {
  const char* name;
  std::uint64_t seeds = 100;
};
constexpr expected_probe expected_probes[] = {
    {"a TLS handshake fails"},
    {"a TLS session is resumed"},
    {"a crash has torn the last group", 1'000},
    {"a group holds several records"},
    {"a key is known"},
    {"a lease has run out before its acknowledgement"},
    {"a message is pushed again"},
    {"a planned fault hits the sync of a durable write", 1'000},
    {"a program ends in the middle of a durable write"},
    {"a queue is full"},
    {"a request for memory fails", 1'000},
    {"a segment is compacted"},
    {"a segment is used again"},
    {"a worker that is called is too busy"},
    {"an acknowledgement whose answer was lost is sent again"},
    {"the journal opens from a snapshot"},
};

/// Every so many seeds from `first` on.
class seeds_job final : public worker_job {
 public:
  seeds_job(const campaign_settings& settings, std::uint64_t first, time_point until) noexcept
      : settings_(settings), first_(first), until_(until) {}
  void work(const worker_voice& voice) override {
    for (std::uint64_t seed = first_; seed - settings_.first_seed < settings_.seeds_max;
         seed += settings_.workers) {
      if (real_now() >= until_) break;
      voice.say(fmt::format("begin {}", seed));
      const drill_case what{.settings = settings_.drill, .seed = seed};
      if (is_doubled(seed)) {
        doubled_case both = run_twice(what, settings_.listener);
        voice.say(both.parting.text.empty() ? "doubled"
                                            : fmt::format("parted {} {}", seed, both.parting.text));
        tell(voice, seed, both.report);
      } else {
        tell(voice, seed, run_case(what, settings_.listener));
      }
    }
  }

 private:
  bool is_doubled(std::uint64_t seed) const noexcept {
    const std::uint64_t nth = seed - settings_.first_seed;
    return nth != 0 && settings_.twice_every != 0 && nth % settings_.twice_every == 0;
  }

  const campaign_settings& settings_;
  std::uint64_t first_;
  time_point until_;
};

struct campaign_worker {
  worker_process process;
  std::uint64_t seed = 0;  // the one it is at
  bool is_at_work = false;
};

/// Takes the next word of `text` as a number.
std::uint64_t take_number(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::uint64_t number = parse_number(text.substr(0, end)).value_or(0);
  text.remove_prefix(std::min(end + 1, text.size()));
  return number;
}

class conductor {
 public:
  conductor(const campaign_settings& settings, campaign_listener& listener)
      : settings_(settings), listener_(listener), workers_(settings.workers) {}

  campaign_totals run() {
    const time_point began = real_now();
    until_ = began + settings_.length;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      start(workers_[i], settings_.first_seed + i);
    }
    time_point told = began;
    while (std::ranges::any_of(workers_,
                               [](const campaign_worker& w) { return w.process.is_running(); })) {
      wait();
      totals_.passed = real_now() - began;
      if (real_now() - told < duration::seconds(1)) continue;
      told = real_now();
      listener_.progress(totals_);
    }
    expect_probes(totals_, settings_.drill);
    return std::move(totals_);
  }

 private:
  /// The lines of one worker.
  class ear final : public worker_listener {
   public:
    ear(conductor& all, campaign_worker& one) noexcept : all_(all), one_(one) {}
    void hear(std::string_view line) override { all_.hear(one_, line); }

   private:
    conductor& all_;
    campaign_worker& one_;
  };

  void start(campaign_worker& one, std::uint64_t first) {
    seeds_job job(settings_, first, until_);
    one.is_at_work = false;
    one.process.start(job);
  }

  void wait() {
    std::vector<int> all;
    for (const campaign_worker& one : workers_) all.push_back(one.process.descriptor());
    for (const std::size_t i : wait_for_words(all)) {
      ear to(*this, workers_[i]);
      workers_[i].process.read(to);
      if (!workers_[i].process.is_running()) end(workers_[i]);
    }
  }

  void hear(campaign_worker& one, std::string_view line) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view what = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
    if (what == "begin") {
      one.seed = take_number(line);
      one.is_at_work = true;
    } else if (what == "probe" || what == "maybe") {
      const std::uint64_t reached = take_number(line);
      const std::uint64_t met = take_number(line);
      auto& all = what == "probe" ? totals_.probes : totals_.maybes;
      campaign_totals::probe& into = all[std::string(line)];
      into.reached += reached;
      into.met += met;
    } else if (what == "finding") {
      const std::uint64_t seed = take_number(line);
      add({seed, std::string(line)});
    } else if (what == "doubled") {
      ++totals_.doubled;
    } else if (what == "parted") {
      ++totals_.doubled;
      const std::uint64_t seed = take_number(line);
      add({seed, std::string(line), finding_kind::parted});
    } else if (what == "end") {
      one.is_at_work = false;
      ++totals_.seeds;
      totals_.simulated += duration(static_cast<std::int64_t>(take_number(line)));
      totals_.server_starts += take_number(line);
      for (const auto counter : counters) totals_.counts.*counter += take_number(line);
      for (std::uint64_t& count : totals_.strikes) count += take_number(line);
    }
  }

  void end(campaign_worker& one) {
    if (!one.is_at_work) return;
    const std::string& death = one.process.death();
    add({one.seed, "the process " + (death.empty() ? std::string("ended") : death),
         finding_kind::died});
    ++totals_.seeds;
    if (real_now() < until_) start(one, one.seed + settings_.workers);
  }

  void add(finding one) {
    ++totals_.failed;
    if (totals_.findings.size() < campaign_totals::findings_max) {
      totals_.findings.push_back(std::move(one));
    }
  }

  campaign_settings settings_;
  campaign_listener& listener_;
  std::vector<campaign_worker> workers_;
  time_point until_;
  campaign_totals totals_;
};

}  // namespace

campaign_totals run_campaign(const campaign_settings& settings, campaign_listener& listener) {
  return conductor(settings, listener).run();
}

std::vector<std::string> never_met(const campaign_totals& totals) {
  std::vector<std::string> names;
  for (const auto& [name, one] : totals.probes) {
    if (one.met == 0) names.push_back(name);
  }
  return names;
}

void expect_probes(campaign_totals& totals, const drill_settings& settings) {
  const drill_settings usual;
  if (settings.time < usual.time || settings.faults != usual.faults || settings.tls != usual.tls)
    return;
  for (const expected_probe& one : expected_probes) {
    if (totals.seeds >= one.seeds) totals.probes.try_emplace(one.name);
  }
}

std::string summary_of(const campaign_totals& totals) {
  const double seconds = std::max(1e-3, static_cast<double>(totals.passed.ns) / 1e9);
  const double simulated = static_cast<double>(totals.simulated.ns) / 1e9;
  std::string out = fmt::format(
      "{} seeds in {:.1f} s ({:.2f} a second), {:.1f} simulated hours ({:.0f} times real time)\n",
      totals.seeds, seconds, static_cast<double>(totals.seeds) / seconds, simulated / 3600,
      simulated / seconds);
  if (totals.doubled != 0) out += fmt::format("{} of them were run twice\n", totals.doubled);
  const ledger_counts& counts = totals.counts;
  out += fmt::format(
      "messages: {} submitted, {} confirmed, {} given out ({} of them pushed), {} acknowledged, {} "
      "done, {} dead, {} replies; {} server starts\n",
      counts.tried, counts.confirmed, counts.delivered, counts.pushed, counts.acked, counts.done,
      counts.dead, counts.replied, totals.server_starts);
  out += "faults:";
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    out += fmt::format("{} {} {}", i == 0 ? "" : ",", name(static_cast<chaos_kind>(i)),
                       totals.strikes[i]);
  }
  out += '\n';
  for (const auto& [name, one] : totals.probes) {
    out += fmt::format("sometimes: {:>8} of {:>8} {}{}\n", one.met, one.reached, name,
                       one.met == 0 ? "  <- NEVER" : "");
  }
  for (const auto& [name, one] : totals.maybes) {
    out += fmt::format("maybe:     {:>8} of {:>8} {}\n", one.met, one.reached, name);
  }
  return out;
}

}  // namespace weir::drill

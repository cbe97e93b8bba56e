// Many drills on all cores. The hard idea: each core's drills run in a process of their own, so a
// drill that ends its process (an assertion, a crash) is a finding like others, and its seed is
// known.
#pragma once

#include <weir/drill/drill_case.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weir::drill {

struct campaign_settings {
  drill_settings drill = {};
  std::uint64_t first_seed = 1;
  std::uint64_t seeds_max = UINT64_MAX;
  duration length = duration::seconds(60);  // of real time; drills that have begun are ended
  std::uint32_t workers = 1;
  /// Each so many-th seed, but not the first one, is run twice and must do the same; 0: none.
  std::uint64_t twice_every = 20;
  drill_listener* listener = nullptr;  // hears the drills, in the workers' processes
};

/// What is wrong with a seed.
enum class finding_kind : std::uint8_t {
  broken,  // a promise
  died,    // the process
  parted,  // two runs of it: something else decides, too
};
struct finding {
  std::uint64_t seed = 0;
  std::string violation;
  finding_kind kind = finding_kind::broken;
};

struct campaign_totals {
  std::uint64_t seeds = 0;
  std::uint64_t doubled = 0;  // of them were run twice
  duration simulated = {};
  duration passed = {};
  std::uint64_t server_starts = 0;
  ledger_counts counts;
  std::array<std::uint64_t, chaos_kinds> strikes{};
  struct probe {
    std::uint64_t reached = 0;
    std::uint64_t met = 0;
  };
  std::map<std::string, probe> probes;  // sometimes()
  std::map<std::string, probe> maybes;  // maybe(): asked, and true
  std::vector<finding> findings;        // at most findings_max
  std::uint64_t failed = 0;
  static constexpr std::size_t findings_max = 10;
};

/// Hears how a campaign goes.
///
/// Cancel:  no waits.
/// Order:   about once a second.
/// Bound:   none.
/// Errors:  none.
/// Threads: the campaign's.
class campaign_listener {
 public:
  virtual void progress(const campaign_totals& so_far) = 0;

 protected:
  ~campaign_listener() = default;
};

/// Runs seeds from first_seed on until the time is over. Must be called while the process has one
/// thread. Raises `io` when it can't start a worker.
campaign_totals run_campaign(const campaign_settings& settings, campaign_listener& listener);

/// What it has found, in words, for people.
std::string summary_of(const campaign_totals& totals);
/// Names of sometimes() that were never met; those that should be, also where none was reached.
std::vector<std::string> never_met(const campaign_totals& totals);
/// Enters what so many drills with these settings should have met: a place that none comes to tells
/// nothing of itself. Nothing for drills that are shorter than usual or spared some faults.
void expect_probes(campaign_totals& totals, const drill_settings& settings);

}  // namespace weir::drill

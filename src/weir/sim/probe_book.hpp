// What maybe() and sometimes() of the program under test mean in a campaign.
#pragma once

#include <weir/base/probe.hpp>
#include <weir/sim/choice.hpp>
#include <weir/sim/schedule_trace.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// The probes of one campaign.
///
/// Cancel:  no waits.
/// Order:   a name's `maybe` is on in a quarter of the runs, and then true in a quarter of its
///          calls (as FoundationDB's buggify); both are decisions like all others.
/// Bound:   by the names in the program, which are literals.
/// Errors:  none.
/// Threads: one.
class probe_book final : public probe_listener {
 public:
  static constexpr double on_chance = 0.25;
  static constexpr double true_chance = 0.25;

  struct entry {
    std::string name;
    std::source_location place;
    std::uint64_t reached = 0;
    std::uint64_t met = 0;
  };

  explicit probe_book(choices& decisions) noexcept : choices_(decisions) {}
  /// From now on also those of weir itself, whose names begin with "weir: ". They are off unless
  /// asked for: a test of a service should not have to know what its library does now and then.
  void include_own() noexcept { includes_own_ = true; }
  /// A run begins.
  void restart() noexcept {
    for (auto& [name, one] : maybes_) one.is_on.reset();
    taken_.clear();
  }

  bool maybe(const char* name, std::source_location place) noexcept override;
  void sometimes(bool condition, const char* name, std::source_location place) noexcept override;

  static constexpr std::size_t taken_max = 1'000;
  /// The decisions of this run that took a maybe(), the first of them.
  const std::vector<named_choice>& taken() const noexcept { return taken_; }
  /// What sometimes() has told, by name.
  std::vector<entry> seen() const;
  /// How often each maybe() was asked (`reached`) and true (`met`), by name, in all runs.
  std::vector<entry> asked() const;

 private:
  bool decides(double chance, const char* what, const char* name, std::source_location place);

  struct maybe_entry {
    entry counts;
    std::optional<bool> is_on;  // in this run; nothing: it has not been asked yet
  };

  choices& choices_;
  bool includes_own_ = false;
  std::map<std::string, maybe_entry, std::less<>> maybes_;
  std::map<std::string, entry, std::less<>> sometimes_;
  std::vector<named_choice> taken_;
};

}  // namespace weir

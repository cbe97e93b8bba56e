// How much of the machine's processors other programs have used meanwhile: a measurement that had
// to share them says more of the others than of itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir {

/// Time of all processors together since the machine's start, in ticks of the kernel.
struct machine_use {
  std::uint64_t busy = 0;  // with anything, or taken away by the hypervisor
  std::uint64_t all = 0;
  double own_seconds = 0;  // of this process and the children that it has waited for

  /// Of /proc/stat; nothing where the kernel does not tell.
  static std::optional<machine_use> now();
};

/// The ticks of the first line of /proc/stat: "cpu  user nice system idle iowait irq softirq
/// steal".
std::optional<machine_use> parse_machine_use(std::string_view line);

/// Which share of the processors others have used between two looks, 0 to 1.
double share_of_others(const machine_use& before, const machine_use& after,
                       double ticks_per_second) noexcept;

/// The kernel's ticks in a second.
double machine_ticks_per_second() noexcept;

}  // namespace weir

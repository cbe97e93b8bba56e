// How far a long piece of work is, told to whoever wants to show it.
#pragma once

#include <cstdint>

namespace weir {

/// Hears how far a long piece of work is.
///
/// Cancel:  no waits.
/// Order:   `done` never falls.
/// Bound:   called often (for each megabyte, say): whoever shows it must slow it down.
/// Errors:  none; calls must not throw.
/// Threads: the loop of the work.
class progress_listener {
 public:
  virtual ~progress_listener() = default;
  /// `done` of `total` units (bytes, messages); `total` may grow while more work is found.
  virtual void progressed(std::uint64_t done, std::uint64_t total) noexcept = 0;
};

}  // namespace weir

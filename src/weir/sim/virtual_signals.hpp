// The signals of one program in a virtual world. The hard idea: a signal that has come is only
// pending, also where somebody waits for it; it is taken when the driver tells one who waits. So
// equal ones that come before are one, and one whose waits are cancelled is there for the next.
//
// Invariant (1): while a signal is pending, all waits for it are due at the driver.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/sim/virtual_network.hpp>

#include <cstdint>
#include <vector>

namespace weir {

/// Which signals have come and who waits for them.
///
/// Cancel:  forget() takes a waiting request out; one that had finished is left alone.
/// Order:   all waits for a signal end with it, in the order of their start.
/// Bound:   of each signal one stays pending.
/// Errors:  -EINVAL for what is no signal or can't be caught.
/// Threads: one at a time.
class virtual_signals {
 public:
  static constexpr int signals_max = 64;

  explicit virtual_signals(network_host& host) noexcept : host_(host) {}
  virtual_signals(const virtual_signals&) = delete;
  virtual_signals& operator=(const virtual_signals&) = delete;

  /// True: finished, the outcome is set.
  bool wait(io_request& request);
  /// True: it waited, and does no longer.
  bool forget(io_request& request);
  /// All waits for it are due; without one it stays pending.
  void raise(int number);
  /// A request that was due is about to be told: all waits for its signal have heard it.
  void deliver(const io_request& request);
  /// All waits end with an errno, and nothing is pending.
  void end_all(int code);
  /// From here on it no longer has its usual effect; a wait for it says so, too.
  void hear(int number) noexcept { heard_ |= bit(number); }
  /// From here on nobody hears it, nor, but by waits that are due, one that is pending.
  void ignore(int number) noexcept;
  bool is_heard(int number) const noexcept { return (heard_ & bit(number)) != 0; }
  /// What a signal that is neither heard nor ignored does: nothing, it stops the program, or, where
  /// both are false, it ends it.
  static bool is_ignored_by_default(int number) noexcept;
  static bool stops_by_default(int number) noexcept;

 private:
  void take(int number) noexcept;
  static std::uint64_t bit(int number) noexcept { return std::uint64_t{1} << number; }

  network_host& host_;
  std::vector<io_request*> waits_;
  std::uint64_t pending_ = 0;  // a bit per number
  std::uint64_t heard_ = 0;
};

}  // namespace weir

// The clock of a virtual machine: what it shows when another time is true. The hard idea: a drift
// is a row of straight pieces, so that both ways of asking (what does it show now, when will it
// show that) are one multiplication, and a moment beyond the present piece is asked for again at
// its end.
#pragma once

#include <weir/sim/choice.hpp>
#include <weir/sim/virtual_clock.hpp>

#include <cstdint>

namespace weir {

/// How a clock goes wrong.
enum class clock_drift : std::uint8_t {
  none,
  linear,    // always ppm too fast, or too slow when negative
  periodic,  // now too fast, now too slow, as the temperature of the room is
  walk,      // by lot
};

struct clock_model {
  clock_drift drift = clock_drift::none;
  std::int64_t ppm = 0;       // millionths; at most so many, for `periodic` and `walk`
  duration wall_offset = {};  // of the wall clock, from the beginning
};

/// Leads a machine's clock by the true time.
///
/// Cancel:  no waits.
/// Order:   follow() with growing times.
/// Bound:   ppm_max.
/// Errors:  none.
/// Threads: one.
class node_clock {
 public:
  static constexpr std::int64_t ppm_max = 500'000;
  static constexpr duration piece = duration::seconds(60);

  node_clock(virtual_clock& shown, choices& decisions, time_point true_now) noexcept
      : shown_(shown), choices_(decisions), piece_true_(true_now), piece_local_(shown.now()) {}

  void set(const clock_model& model, time_point true_now);
  void step_wall(duration by) noexcept { shown_.step_wall(by); }
  /// It is `true_now`; the machine's clock shows what it makes of that.
  void follow(time_point true_now);
  /// When to look again for this local time: then it is shown, or another piece begins.
  time_point true_time_of(time_point local) const noexcept;
  std::int64_t ppm_now() const noexcept { return ppm_; }

 private:
  time_point local_of(time_point true_time) const noexcept;
  void begin_piece(time_point true_now);

  virtual_clock& shown_;
  choices& choices_;
  clock_model model_;
  time_point piece_true_;
  time_point piece_local_;
  std::int64_t ppm_ = 0;
  std::uint64_t pieces_ = 0;
};

}  // namespace weir

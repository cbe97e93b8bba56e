#include <weir/sim/node_clock.hpp>

#include <weir/base/assert.hpp>

#include <algorithm>

namespace weir {

namespace {
constexpr std::int64_t whole_ppm = 1'000'000;
}  // namespace

void node_clock::set(const clock_model& model, time_point true_now) {
  WEIR_ASSERT(model.ppm >= -ppm_max && model.ppm <= ppm_max);
  follow(true_now);
  shown_.step_wall(model.wall_offset - model_.wall_offset);
  model_ = model;
  begin_piece(true_now);
}

void node_clock::begin_piece(time_point true_now) {
  piece_true_ = true_now;
  piece_local_ = shown_.now();
  ++pieces_;
  switch (model_.drift) {
    case clock_drift::none:
      ppm_ = 0;
      break;
    case clock_drift::linear:
      ppm_ = model_.ppm;
      break;
    case clock_drift::periodic: {
      // A triangle of eight pieces: 0, 1/2, 1, 1/2, 0, -1/2, -1, -1/2.
      constexpr std::int64_t halves[] = {0, 1, 2, 1, 0, -1, -2, -1};
      ppm_ = model_.ppm * halves[pieces_ % std::size(halves)] / 2;
      break;
    }
    case clock_drift::walk: {
      const std::int64_t most = std::max(model_.ppm, -model_.ppm);
      ppm_ = choices_.between(choice_kind::node, 0, 2 * most) - most;
      break;
    }
  }
}

time_point node_clock::local_of(time_point true_time) const noexcept {
  const __int128 passed = true_time.ns - piece_true_.ns;
  return time_point(piece_local_.ns +
                    static_cast<std::int64_t>(passed * (whole_ppm + ppm_) / whole_ppm));
}

void node_clock::follow(time_point true_now) {
  while (model_.drift >= clock_drift::periodic && true_now - piece_true_ >= piece) {
    const time_point end = piece_true_ + piece;
    shown_.advance_to(local_of(end));
    begin_piece(end);
  }
  shown_.advance_to(local_of(true_now));
}

time_point node_clock::true_time_of(time_point local) const noexcept {
  if (local == time_point::never()) return local;
  if (local <= piece_local_) return piece_true_;
  const __int128 wanted = local.ns - piece_local_.ns;
  const __int128 passed = (wanted * whole_ppm + (whole_ppm + ppm_) - 1) / (whole_ppm + ppm_);
  const __int128 at = passed + piece_true_.ns;
  if (at >= time_point::never().ns) return time_point::never();
  const time_point found(static_cast<std::int64_t>(at));
  if (model_.drift < clock_drift::periodic) return found;
  return std::min(found, piece_true_ + piece);
}

}  // namespace weir

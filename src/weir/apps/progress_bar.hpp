// A bar on standard error for work that takes long. Nothing is shown when standard error is no
// terminal, nor before a second has passed: short work stays silent.
#pragma once

#include <weir/base/progress.hpp>
#include <weir/base/time.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

enum class progress_unit : unsigned char { bytes, messages };

/// "checking  [=====>              ]  27 %  1.2 MiB of 4.4 MiB, 12 s left"
std::string progress_text(std::string_view label, progress_unit unit, std::uint64_t done,
                          std::uint64_t total, duration spent);

/// Draws itself as the work goes on.
///
/// Cancel:  no waits.
/// Order:   one bar at a time; the line is taken away by end() or the destructor.
/// Bound:   ten drawings a second.
/// Errors:  a terminal that is gone is ignored: the work goes on.
/// Threads: the loop of the work.
class progress_bar final : public progress_listener {
 public:
  /// Draws on `descriptor`, standard error by default.
  progress_bar(std::string label, progress_unit unit, int descriptor = 2);
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;
  ~progress_bar() override { end(); }

  void progressed(std::uint64_t done, std::uint64_t total) noexcept override;
  void end() noexcept;

 private:
  void draw(std::string_view text) const noexcept;

  std::string label_;
  progress_unit unit_;
  int descriptor_;  // -1: no terminal, nothing is drawn
  bool is_drawn_ = false;
  time_point began_;  // of the first call
  time_point next_drawing_;
};

}  // namespace weir

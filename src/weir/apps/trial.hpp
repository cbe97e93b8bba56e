// What `weir bench` measures. Each trial is a list of phases; each phase gives one row.
#pragma once

#include <weir/apps/latency_list.hpp>
#include <weir/base/time.hpp>
#include <weir/core/task.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace weir {

class server_caller;

/// One phase: how often something was done, and how long each took.
struct trial_row {
  std::string name;
  std::uint64_t count = 0;
  duration spent;
  latency_list latencies;

  double per_second() const noexcept {
    return spent.ns > 0 ? static_cast<double>(count) * 1e9 / static_cast<double>(spent.ns) : 0;
  }
};

/// By the clock of the loop that measures.
time_point trial_now() noexcept;

/// What a trial leaves behind is removed within this, or the trial fails.
inline constexpr duration cleanup_time = duration::seconds(60);

struct disk_trial {
  std::string folder;  // a folder of its own is made in here, and removed
  std::uint32_t message_bytes = 1024;
  std::uint32_t writers = 64;
  duration phase = duration::seconds(3);
};

/// Writes and syncs by hand, then the same through the journal: one at a time, and many at once.
task<std::vector<trial_row>> run_disk_trial(disk_trial plan);

struct server_trial {
  std::uint32_t message_bytes = 1024;
  std::uint32_t connections = 64;
  duration phase = duration::seconds(3);
};

/// Submits to a queue of its own, one at a time and many at once, then takes and acknowledges while
/// it submits. The queue is deleted at the end, and forgets its messages by itself when that can't
/// be done.
task<std::vector<trial_row>> run_server_trial(const server_caller& caller, server_trial plan);

}  // namespace weir

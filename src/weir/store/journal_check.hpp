// Looks through a journal without changing it: what is there, what is damaged, what opening it
// would say. `weir check DIR` prints this.
#pragma once

#include <weir/base/progress.hpp>
#include <weir/core/task.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace weir {

/// A place in a journal where something is not as it must be.
struct journal_damage {
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;       // 0: unknown, or the whole file
  std::uint64_t lsn_first = 0;  // records that can't be read any more; 0: none, or unknown ones
  std::uint64_t lsn_last = 0;
  bool loses_data = false;  // acknowledged records are lost: opening is refused
  std::string text;         // what is wrong, in a sentence

  std::uint64_t records_lost() const noexcept {
    return lsn_first == 0 ? 0 : lsn_last - lsn_first + 1;
  }
};

/// "journal-0000000003.seg, bytes 4096 to 8192: ...: records 17 to 25 are lost"
std::string describe(const journal_damage& damage);

struct journal_report {
  std::string folder;
  std::uint64_t segments = 0;
  std::uint64_t segments_prepared = 0;
  std::uint64_t segments_gone = 0;  // in front of the newest snapshot: given up, or lost. Only who
                                    // loads the snapshot knows whether something in them is needed
  std::uint64_t batches = 0;
  std::uint64_t records = 0;  // in all segments, alive or not
  std::uint64_t record_bytes = 0;
  std::uint64_t replayed = 0;      // records behind the newest whole snapshot
  std::uint64_t snapshots = 0;     // whole ones
  std::uint64_t snapshot_lsn = 0;  // of the newest whole one
  std::uint64_t lsn_last = 0;
  std::uint64_t torn_bytes = 0;  // an unacknowledged group at the end that a crash cut
  std::vector<journal_damage> damages;

  /// False: opening refuses unless it may accept a loss.
  bool is_sound() const noexcept {
    for (const journal_damage& one : damages) {
      if (one.loses_data) return false;
    }
    return true;
  }
};

/// Reads every byte of the journal in `folder`, and keeps others from opening it meanwhile. Raises
/// `not_found` when there is none and `busy` when somebody has it open. `progress` hears how many
/// bytes have been read.
task<journal_report> check_journal(std::string folder, progress_listener* progress = nullptr);

}  // namespace weir

// What the journal asks of the state whose changes it keeps. The hard idea: the journal knows
// records only as bytes; which of them still matter, and what the state looks like without
// replaying all of them, only their owner can say.
#pragma once

#include <weir/base/result.hpp>
#include <weir/store/journal_format.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// The state behind a journal: rebuilt from it, and asked by it what is still alive.
///
/// Cancel:  none of the calls waits.
/// Order:   to open: reset, load..., apply...; then snapshots and questions, in any order.
/// Bound:   a slice of a snapshot is about as large as its budget.
/// Errors:  an error from load() or apply() ends the opening with it; with accept_loss a record
///          that can't be applied is left out, unless `unsupported`: it must have changed nothing.
/// Threads: the journal's loop.
class journal_client {
 public:
  virtual ~journal_client() = default;

  // Opening.
  /// Forgets everything: a snapshot or the first record follows. Called again when a snapshot turns
  /// out to be damaged half-way.
  virtual void reset() = 0;
  /// One slice of a snapshot, with the borders and in the order in which next_slice() gave them.
  virtual result<> load(std::string_view slice) = 0;
  /// One record. Records that the snapshot already contains may come again; applying them must
  /// change nothing.
  virtual result<> apply(const record_view& what, location where, std::uint64_t lsn) = 0;

  // Snapshots. The state may change between slices; what happened since begin_snapshot() is
  // replayed after them.
  virtual void begin_snapshot() = 0;
  /// Puts the next slice of about `budget` bytes into `into`; false: there is none left.
  virtual bool next_slice(std::string& into, std::size_t budget) = 0;

  // Compaction.
  /// How many bytes of records in this segment are still needed there (sum of location sizes).
  virtual std::uint64_t live_bytes(std::uint32_t segment) const = 0;
  /// The segments with such bytes, by rising number.
  virtual std::vector<std::uint32_t> live_segments() const = 0;
  /// When the record at `where` is still needed: appends a record (as append_class::completion)
  /// that makes it unneeded there. Its error is that of try_append(); `full` is asked again later.
  virtual result<> relocate(const record_view& what, location where) = 0;
};

}  // namespace weir

// The journal: an append-only log of checksummed records in segments, with one writer that commits
// in groups. The hard idea: while one group is being written and synced, everything that is
// appended gathers in the next; so the slower the disk, the larger the group, and the cost of a
// sync is shared by all that wait for it.
//
//   try_append -> [ filling group ] -> [ group being written ] -> segments: 5 | 6 | 7 <- current
//                                                                               8 9   <- prepared
// Invariants: (1) at most one group is in flight, and the next is written only after its sync;
//             (2) places and record numbers (LSNs) are given in the order of appending;
//             (3) a record is durable exactly when its LSN is at most lsn_durable;
//             (4) a segment is given up only when nothing in it is alive, what made it so is
//             durable, and two snapshots contain all its records' effects.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/intrusive.hpp>
#include <weir/base/progress.hpp>
#include <weir/base/result.hpp>
#include <weir/core/task.hpp>
#include <weir/core/wait.hpp>
#include <weir/store/journal_client.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace weir {

struct journal_options {
  std::uint32_t segment_bytes = 64u << 20;
  std::uint32_t reserve_segments = 2;  // kept ready for completions when the disk is full
  std::size_t pending_bytes_max = std::size_t{16} << 20;  // appended and not yet durable
  std::size_t group_bytes_max = std::size_t{4} << 20;     // one group, and so one append; twice, at
                                                          // most, must fit into a segment
  std::size_t recent_bytes_max = std::size_t{4} << 20;    // just written, and read from memory
  std::uint64_t snapshot_bytes = std::uint64_t{256} << 20;  // appended between two snapshots
  std::size_t snapshot_slice_bytes = std::size_t{256} << 10;
  std::uint32_t open_files_max = 64;                 // of sealed segments
  duration retry_delay = duration::seconds(1);       // after a failure to get space
  duration mark_delay = duration::milliseconds(20);  // idle time before durability is noted
  bool accept_loss = false;                          // open although acknowledged data is damaged
  progress_listener* progress = nullptr;  // hears how much of the journal open() has read, in bytes
};

/// Who may use the reserve: completions free space in the end, intake never does.
enum class append_class : std::uint8_t { intake, completion };

struct journal_stats {
  std::uint64_t lsn_appended = 0;
  std::uint64_t lsn_durable = 0;
  std::uint64_t bytes_appended = 0;
  std::uint64_t groups = 0;
  std::uint64_t syncs = 0;  // of groups
  std::uint64_t pending_bytes = 0;
  std::uint64_t segments = 0;
  std::uint64_t segments_prepared = 0;
  std::uint64_t segments_released = 0;
  std::uint64_t segments_compacted = 0;
  std::uint64_t snapshots_written = 0;
  std::uint64_t snapshots_failed = 0;
  std::uint64_t disk_bytes = 0;  // segments, prepared ones included
  bool is_out_of_space = false;  // the disk is full: intake is refused
};

/// What opening found.
struct journal_recovery {
  std::uint64_t snapshot_lsn = 0;  // 0: none
  std::uint64_t records_replayed = 0;
  std::uint64_t torn_bytes = 0;    // an unacknowledged group at the end that a crash cut
  std::uint64_t losses = 0;        // places of damage that lost something; with accept_loss only
  std::uint64_t records_lost = 0;  // in them, as far as it is known: a lost file may hide its own
};

/// A record read back.
struct stored_record {
  std::uint8_t kind = 0;
  bytes payload;
};

class journal;

namespace detail {

struct journal_state;

/// A wait for a record to be durable.
class [[nodiscard]] durable_wait final : public leaf_wait<durable_wait, void>, public list_hook<> {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  durable_wait(journal_state& of, std::uint64_t number) noexcept;
  durable_wait(durable_wait&& other) noexcept
      : leaf_wait(static_cast<leaf_wait&&>(other)), list_hook(), of_(other.of_), lsn_(other.lsn_) {}
  bool try_now() noexcept;
  void enlist() noexcept;
  result<void> take() noexcept;
  std::uint64_t lsn() const noexcept { return lsn_; }

 private:
  static void leave(wait& w) noexcept;
  static void describe(const wait& w, text_sink& out) noexcept;
  static const wait_kind kind_;
  journal_state* of_;
  std::uint64_t lsn_;
};

/// A wait until an append would not be refused as `full`.
class [[nodiscard]] append_room_wait final : public leaf_wait<append_room_wait, void>,
                                             public list_hook<> {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  append_room_wait(journal_state& of, std::size_t size, append_class who) noexcept;
  append_room_wait(append_room_wait&& other) noexcept
      : leaf_wait(static_cast<leaf_wait&&>(other)),
        list_hook(),
        of_(other.of_),
        size_(other.size_),
        who_(other.who_) {}
  bool try_now() noexcept;
  void enlist() noexcept;
  result<void> take() noexcept { return {}; }
  bool is_over() const noexcept;
  append_class who() const noexcept { return who_; }

 private:
  static void leave(wait& w) noexcept;
  static const wait_kind kind_;
  journal_state* of_;
  std::size_t size_;
  append_class who_;
};

}  // namespace detail

/// A durable log of records.
///
/// Cancel:  a call has happened as a whole or not; a cancelled run() fails the journal: close().
/// Order:   records are numbered (LSN) and durable in the order of appending; one append is atomic.
/// Bound:   pending_bytes_max not yet durable; disk: twice the live bytes, two snapshots and a
///          constant.
/// Errors:  `full` (wait_room), `no_space` or `busy` (it can't grow), `too_large`, `closed`; a
///          failed write or sync is final: all fails with it until the journal is opened anew.
/// Threads: one loop.
class journal {
 public:
  /// Opens the folder, or makes it (mode 0700), and brings `client` to the state that the journal
  /// holds. Raises `busy` when another process has it, `corrupt` when acknowledged records are
  /// damaged: then nothing was changed. `client` must outlive the journal.
  static task<std::unique_ptr<journal>> open(std::string folder, journal_options options,
                                             journal_client& client);
  journal(const journal&) = delete;
  journal& operator=(const journal&) = delete;
  ~journal();

  /// Writes, prepares segments, snapshots and compacts until close(); raises what failed the
  /// journal. Spawn it once: nothing becomes durable without it.
  task<> run();
  /// Refuses appends from now on; run() ends when all that was appended is durable.
  void close() noexcept;

  /// Appends all records or none; `places` takes the place of each (as many as there are records).
  /// Gives the LSN of the last. Never waits.
  result<std::uint64_t> try_append(std::span<const record_view> records, append_class who,
                                   std::span<location> places);
  /// The same, but waits while the answer is `full`.
  task<std::uint64_t> append(std::span<const record_view> records, append_class who,
                             std::span<location> places);
  /// Until an append of `size` bytes (payloads and 8 for each record) would not be `full`.
  detail::append_room_wait wait_room(std::size_t size, append_class who) noexcept;
  /// Until all records up to `lsn` are durable; raises what failed the journal.
  detail::durable_wait wait_durable(std::uint64_t lsn) noexcept;

  /// Reads a record that was appended, durable or not. Raises `corrupt` when its checksum is wrong.
  task<stored_record> read(location where);
  /// A snapshot soon, whatever has been appended since the last one.
  void want_snapshot() noexcept;
  /// Takes a snapshot of what is durable now, and ends when it is written (true) or can't be.
  task<bool> write_snapshot();

  std::uint64_t lsn_durable() const noexcept;
  /// Records below it are durable; location::last() when all are.
  location durable_place() const noexcept;
  const journal_recovery& recovery() const noexcept;
  journal_stats stats() const noexcept;
  /// Why no segment can be made at the moment, so that new messages are refused; null: one can.
  const error* growth_failure() const noexcept;
  /// The folder.
  const std::string& name() const noexcept;
  /// Looks whether the folder is still the one that was opened, as each write does. False when it
  /// was moved, removed or replaced: the journal has failed then. One `stat`.
  bool check_place();

 private:
  explicit journal(std::unique_ptr<detail::journal_state> state) noexcept;
  std::unique_ptr<detail::journal_state> state_;
};

}  // namespace weir

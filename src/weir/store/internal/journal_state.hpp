// What the parts of an open journal share: the groups in memory, the segments on disk, who waits.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/flow/event.hpp>
#include <weir/io/file.hpp>
#include <weir/store/internal/pending_groups.hpp>
#include <weir/store/internal/snapshot_file.hpp>
#include <weir/store/internal/wake_signal.hpp>
#include <weir/store/journal.hpp>

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace weir::detail {

/// A segment that was begun.
struct segment_state {
  std::uint32_t number = 0;
  std::uint64_t capacity = 0;
  std::uint64_t epoch = 0;
  std::uint64_t lsn_last = 0;  // of its records, or a number beyond; 0: not known yet (current)
  std::shared_ptr<file> open;  // null: closed at the moment
  std::uint64_t used_at = 0;   // for closing the one that was not used for the longest time
  std::uint32_t readers = 0;   // while not 0, it is not given up
  std::uint32_t looks = 0;     // of compaction, which found nothing to move where something lives
  time_point look_again = {};  // not before
  bool is_left = false;        // compaction could not empty it, and tries no more
  bool has_bad_pages = false;  // the disk can't read all of it: it is not used again
  bool is_going = false;       // its file is being moved or removed: nobody may begin to read it
};

/// A segment that is ready to be begun.
struct prepared_segment {
  std::uint32_t number = 0;
  std::uint64_t capacity = 0;
  std::shared_ptr<file> open;
};

/// A place in the chain of batches whose checksum a snapshot needs.
struct boundary_watch {
  bool is_on = false;
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;
  std::uint32_t prev_crc = 0;
};

struct journal_state {
  journal_state(std::string where, journal_options chosen, journal_client& of);
  ~journal_state();
  journal_state(const journal_state&) = delete;
  journal_state& operator=(const journal_state&) = delete;

  // Appending.
  std::optional<errc> refusal(std::size_t size, append_class who) const noexcept;
  error refused(errc why, std::size_t size) const;
  /// In the current segment or the next one; what fails for want of memory has changed nothing.
  std::uint64_t add(std::span<const record_view> records, std::size_t size,
                    std::span<location> places);
  void begin_segment();
  void fail_with(error reason) noexcept;
  /// Ends the waits that are over.
  void wake_durable() noexcept;
  void wake_room() noexcept;

  // Files.
  task<std::shared_ptr<file>> file_of(segment_state& segment);
  std::uint64_t covered_lsn() const noexcept;
  bool is_sealed(const segment_state& segment) const noexcept;

  std::string folder;
  journal_options options;
  journal_client& client;
  driver& io;
  directory files;  // `folder` itself: whatever its path leads to, nobody else's is touched
  file lock;
  std::string lock_file;  // its path: each group asks for it, and needs no memory to
  file_status lock_status;

  pending_groups pending;
  std::uint64_t lsn_durable = 0;
  std::uint32_t last_crc = 0;
  std::uint32_t run = 0;
  std::shared_ptr<file> unsynced_mark;  // where the last batch is a mark that a crash may take
  bool is_mark_wanted = false;          // something became durable since the last mark
  bool is_closing = false;
  bool is_running = false;
  std::optional<error> failure;
  intrusive_list<durable_wait> durable_waits;  // by LSN
  intrusive_list<append_room_wait> room_waits;

  std::map<std::uint32_t, segment_state> segments;
  std::list<prepared_segment> prepared;
  std::uint32_t number_last = 0;       // of all files
  std::optional<error> prepare_error;  // why intake is refused
  bool is_giving_up_late = false;      // a segment could not be given up, and is tried again
  std::uint64_t use_clock = 0;

  std::vector<snapshot_info> snapshots;  // oldest first
  std::uint64_t appended_at_snapshot = 0;
  std::uint64_t next_review = 0;  // of what can be given up or compacted, by bytes appended
  bool is_snapshot_wanted = false;
  boundary_watch boundary;
  time_point snapshot_retry_at;

  wake_signal writer_wake;
  wake_signal preparer_wake;
  wake_signal keeper_wake;
  condition snapshot_over{"a snapshot"};  // written, failed, or not to come any more

  journal_recovery recovery;
  journal_stats stats;
};

/// Keeps a segment from being given up while it is read.
class segment_hold {
 public:
  explicit segment_hold(segment_state& segment) noexcept : segment_(segment) { ++segment_.readers; }
  segment_hold(const segment_hold&) = delete;
  segment_hold& operator=(const segment_hold&) = delete;
  ~segment_hold() { --segment_.readers; }

 private:
  segment_state& segment_;
};

// The three tasks of a running journal.
task<> write_groups(journal_state* journal);
task<> prepare_segments(journal_state* journal);
task<> keep_journal(journal_state* journal);

task<> recover_journal(journal_state& state);
/// Why the folder's path does not lead to the folder that is locked, any more: who starts there
/// again would not find what is confirmed. One `stat`.
std::optional<error> moved_away(const journal_state& state);
/// Ends the journal then, for good, and raises why.
void stay_in_place(journal_state& state);
/// Gives a synced file its name, durably; when that can't be known, the journal has failed.
task<> publish(journal_state& state, std::string from, std::string to);
/// Intake is refused from now on, because of this; the first time it is logged.
void note_failure(journal_state& state, const error& why);
/// One more segment, made or recycled; raises what prevents it.
task<> add_prepared(journal_state& state, bool writes_zeros);

}  // namespace weir::detail

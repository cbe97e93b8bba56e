// Walks over the batches of a journal in the order of their records and decides what every byte
// that is no batch means: the end, a torn tail, or damage. Opening and checking share it. The hard
// idea: a batch that can't be read is a torn tail unless something proves that it was durable: a
// later batch, a later segment or a snapshot that was written after its sync; or the disk can't
// read its place.
#pragma once

#include <weir/core/task.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/segment_reader.hpp>
#include <weir/store/journal_check.hpp>

#include <algorithm>
#include <optional>
#include <vector>

namespace weir::detail {

/// Hears each batch that belongs to the journal.
class batch_visitor {
 public:
  virtual ~batch_visitor() = default;
  /// False: the records inside are malformed.
  virtual bool visit(const parsed_batch& batch, std::uint32_t segment) = 0;
};

/// Where the walk begins, and what is known to be durable from elsewhere.
struct scan_start {
  std::uint64_t lsn = 0;  // of the last record before
  std::uint32_t segment = 1;
  std::uint32_t offset = segment_header::size;
  std::uint32_t prev_crc = 0;
  std::uint64_t lsn_durable = 0;
};

class journal_scan {
 public:
  /// `goes_past_damage`: false ends the walk at the first loss.
  journal_scan(const folder_contents& folder, batch_visitor& visitor, bool goes_past_damage);

  task<> run(scan_start start);

  // Answers, after run().
  const batch_chain& chain() const noexcept { return chain_; }
  /// Where the walk began.
  std::uint32_t start_segment() const noexcept { return start_segment_; }
  /// The segment of the last batch, and where the next would begin; 0: no segment was begun.
  std::uint32_t segment() const noexcept { return segment_; }
  std::uint64_t end() const noexcept { return end_; }
  /// Where the last batch that was found begins in segment() (0: with its header); nothing: none
  /// was found, as a snapshot that was made later contains them all.
  std::optional<std::uint64_t> last_batch() const noexcept { return last_batch_; }
  std::uint64_t torn_bytes() const noexcept { return torn_bytes_; }
  std::vector<journal_damage>& damages() noexcept { return damages_; }
  bool has_loss() const noexcept { return has_loss_; }
  /// The disk can't read some page of this segment, so writing there may fail as well.
  bool has_unreadable(std::uint32_t number) const noexcept {
    return std::ranges::find(unreadable_, number) != unreadable_.end();
  }

 private:
  bool is_over() const noexcept { return has_loss_ && !goes_past_damage_; }
  void report(journal_damage damage);
  void report_lost(std::string file, std::uint64_t offset, std::uint64_t size,
                   std::uint64_t lsn_next, std::string text);
  void check_earlier(std::uint32_t first);
  void check_start(std::uint32_t number, const found_segment* next);
  /// The segment to go on with from `number`; null: there is none, or the walk is over.
  const found_segment* enter(std::uint32_t number, std::uint64_t offset);
  task<> scan_segment(const found_segment& segment, std::uint64_t offset);
  task<> scan_batches(segment_reader& reader, const found_segment& segment, std::uint64_t offset);
  /// Goes over all batches that follow each other from `offset` on; gives where they end.
  task<std::uint64_t> take_batches(segment_reader& reader, std::uint32_t number,
                                   std::uint64_t offset);
  task<> check_prepared();
  void report_missing(std::uint32_t first, std::uint32_t last);
  task<> check_unused(const found_segment& segment, bool may_be_begun);
  void report_unreadable_end(const segment_reader& reader, const found_segment& segment);

  const folder_contents& folder_;
  batch_visitor& visitor_;
  bool goes_past_damage_;
  bool has_loss_ = false;
  batch_chain chain_;
  std::uint64_t lsn_known_ = 0;  // durable, by what was found so far
  std::uint32_t start_segment_ = 0;
  std::uint32_t segment_ = 0;
  std::uint64_t end_ = 0;
  std::optional<std::uint64_t> last_batch_;
  std::uint64_t torn_bytes_ = 0;
  std::vector<std::uint32_t> unreadable_;  // segments
  std::vector<journal_damage> damages_;
};

}  // namespace weir::detail

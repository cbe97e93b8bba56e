// A snapshot's file: a header, chunks, an end. Written under another name, synced, renamed: it is
// whole or not there.
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/file.hpp>
#include <weir/store/journal_format.hpp>

#include <string>
#include <string_view>

namespace weir::detail {

/// What a whole snapshot says about itself.
struct snapshot_info {
  snapshot_header header;
  std::uint64_t lsn_end = 0;   // it may contain effects of records up to here: they were durable
  std::uint32_t prev_crc = 0;  // of the batch before header.offset
  std::uint64_t bytes = 0;
};

class snapshot_file_writer {
 public:
  snapshot_file_writer(const directory& in, snapshot_header header) noexcept
      : in_(in), header_(header) {}

  task<> begin();
  task<> add(std::string_view slice);
  /// Everything up to lsn_end must be durable. The file is whole and synced then, but still under
  /// its unfinished name.
  task<snapshot_info> finish(std::uint64_t lsn_end, std::uint32_t prev_crc);
  std::string unfinished_name() const;

 private:
  task<> add_chunk(chunk_kind kind, std::string_view data);

  const directory& in_;
  snapshot_header header_;
  file file_;
  std::uint64_t end_ = 0;
  std::uint32_t chunks_ = 0;
  std::string buffer_;
};

/// Takes the slices of a snapshot that is read.
class slice_taker {
 public:
  virtual ~slice_taker() = default;
  virtual void take(std::string_view slice) = 0;
};

/// Reads and checks the snapshot of `lsn`, which is in its name; raises `corrupt` when it is not
/// whole, or another. Slices before the damage have been handed over by then.
task<snapshot_info> read_snapshot(std::string path, std::uint64_t lsn, slice_taker& taker);

}  // namespace weir::detail

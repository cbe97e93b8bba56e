// What lies in a journal's folder, by names and headers only.
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/file.hpp>
#include <weir/store/journal_format.hpp>

#include <optional>
#include <string>
#include <vector>

namespace weir::detail {

enum class header_state : std::uint8_t {
  valid,    // this segment was begun
  blank,    // prepared and never used
  stale,    // prepared from a segment that was given up: the header is that one's
  damaged,  // something else: torn while it was being begun, or hit later
  cut,      // the file is too short for a segment
};

struct found_segment {
  std::uint32_t number = 0;
  std::uint64_t size = 0;  // of the file
  header_state state = header_state::blank;
  segment_header header;  // valid and stale only
  int read_errno = 0;     // damaged only: the disk can't read the header

  /// What is wrong with a header that is neither valid nor of an earlier use.
  std::string header_fault() const;
};

struct found_snapshot {
  std::uint64_t lsn = 0;
  std::string name;
};

struct folder_contents {
  std::string folder;
  std::vector<found_segment> segments;    // by number
  std::vector<found_snapshot> snapshots;  // newest first
  std::vector<std::string> leftovers;     // files that were being made when a crash came

  const found_segment* find(std::uint32_t number) const noexcept;
  /// The first segment from `number` on that was begun; null: none.
  const found_segment* next_begun(std::uint32_t number) const noexcept;
  std::uint32_t last_begun() const noexcept;  // 0: none
};

/// The last record that a snapshot's name says to be durable; 0: there is none.
std::uint64_t durable_by_name(const folder_contents& contents) noexcept;

std::string path_in(const std::string& folder, std::string_view name);

/// Raises `unsupported` with the file's name when `head`, its first bytes, is of a newer version:
/// taking it for damage could drop what it holds.
void refuse_newer(std::string_view head, const std::string& path);
task<folder_contents> read_folder(std::string folder);
/// Makes the folder (mode 0700) when it is missing, and its name durable.
task<> make_folder(std::string folder);
std::string lock_path(const std::string& folder);
/// Takes the lock of `files`, which is `folder`, and which ends with the file; raises `busy` when
/// somebody has it.
task<file> lock_folder(std::string folder, const directory& files);
/// The same for somebody who only reads, and so makes no file: nothing when there is no lock to
/// take. Raises `busy` when the folder is in use.
task<std::optional<file>> lock_to_read(std::string folder);
/// Makes a synced file of zeros that can become a segment.
task<file> make_blank_file(const directory& in, std::string name, std::uint32_t size,
                           bool writes_zeros);

}  // namespace weir::detail

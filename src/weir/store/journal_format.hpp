// The bytes of the journal: segment headers, batches, records and snapshot chunks, to and from
// memory. docs/design/formats/journal.md is their specification. No I/O here, so that every byte of
// it can be tested and fuzzed. The hard idea: a batch names its segment's epoch, its own offset,
// its records' numbers and the checksum of the batch before it, so that no stale, moved or foreign
// bytes can pass for it; and it says which records were durable when it was written, so that a
// missing batch before it is known to be damage and not a torn tail.
#pragma once

#include <weir/store/location.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

/// A record as the journal's user sees it: a kind of the user's choice and bytes.
struct record_view {
  std::uint8_t kind = 0;
  std::string_view payload;
};

/// The most that a record's payload may hold: its framing has 24 bits for the size.
inline constexpr std::size_t record_payload_max = (std::size_t{1} << 24) - 1;

namespace detail {

inline constexpr std::size_t record_framing_size = 8;
inline constexpr std::uint32_t batch_align = 8;
inline constexpr std::uint32_t journal_version = 1;
/// The smallest file that can be a segment.
inline constexpr std::uint64_t segment_bytes_min = 4096;
/// The largest file that can be one: offsets have 32 bits.
inline constexpr std::uint64_t segment_bytes_max = UINT32_MAX;
/// Numbers of segments and of records are never given twice, and what says that one is beyond these
/// is damaged: so no sum of them can begin again at 0.
inline constexpr std::uint32_t segment_number_max = 4'000'000'000;
inline constexpr std::uint64_t lsn_max = std::uint64_t{1} << 62;

constexpr std::uint64_t align_batch(std::uint64_t offset) noexcept {
  return (offset + batch_align - 1) / batch_align * batch_align;
}

/// The first bytes of a segment; written together with its first batch.
struct segment_header {
  static constexpr std::size_t size = 64;
  std::uint32_t number = 0;
  std::uint64_t epoch = 0;      // drawn by lot when the segment was begun
  std::uint64_t lsn_first = 0;  // of its first record; all before it were durable by then
  std::uint64_t capacity = 0;   // the file's size
  std::uint32_t prev_crc = 0;   // of the last batch of the segment before
  std::uint32_t crc = 0;        // of this header; filled by encode and decode
};

/// The first bytes of a batch, the unit of writing: whole or not there.
struct batch_header {
  static constexpr std::size_t size = 48;
  std::uint32_t crc = 0;     // of all that follows it, the body included
  std::uint32_t length = 0;  // of header and body
  std::uint64_t epoch = 0;
  std::uint64_t lsn_first = 0;    // its records are lsn_first ... lsn_first + count - 1
  std::uint64_t lsn_durable = 0;  // all up to here were durable when it was written
  std::uint32_t count = 0;        // 0: a mark, written to say that lsn_durable is durable
  std::uint32_t prev_crc = 0;     // of the batch before; of the segment's header for the first
  std::uint32_t offset = 0;       // its own, from the segment's start
  std::uint32_t run = 0;          // by lot each time the journal is opened

  std::uint64_t lsn_last() const noexcept { return lsn_first + count - 1; }
};

enum class batch_state : std::uint8_t { whole, partial, invalid };

struct parsed_batch {
  batch_state state = batch_state::invalid;
  std::size_t wanted = 0;  // partial: how many bytes from here are needed to decide
  batch_header header = {};
  std::string_view body = {};
  const char* reason = "";  // invalid: why, for people
};

void encode(const segment_header& header, char* to) noexcept;
/// The version of a whole header of a segment or a snapshot that this program is too old for; 0
/// when `from` is anything else.
std::uint32_t newer_version(std::string_view from) noexcept;
/// False: no valid header of this version; `from` has at least segment_header::size bytes.
bool decode(std::string_view from, segment_header& header) noexcept;
/// True when a header was never written here: all zero.
bool is_blank(std::string_view bytes) noexcept;

/// Completes the batch that starts at `batch` (header room and body) by writing its header; gives
/// its checksum. header.length says how long it is.
std::uint32_t seal_batch(const batch_header& header, char* batch) noexcept;
/// What the first batch_header::size bytes say, whatever they are.
batch_header decode_batch_header(std::string_view from) noexcept;
/// Reads the batch at `offset` of a segment of `capacity` bytes; `at` is what is there, possibly
/// cut. Whether it follows the batch before is the caller's question (batch_chain).
parsed_batch parse_batch(std::string_view at, std::uint64_t offset,
                         std::uint64_t capacity) noexcept;

/// Writes one framed record, framing and payload, to `to`.
void encode_record(const record_view& what, std::uint64_t epoch, std::uint32_t offset,
                   char* to) noexcept;
/// Reads the framed record that starts at `framed` and lies at `offset`; false: damaged. `size` is
/// what it takes, its framing included.
bool decode_record(std::string_view framed, std::uint64_t epoch, std::uint32_t offset,
                   record_view& what, std::size_t& size) noexcept;

/// Walks over the records of a batch's body.
struct record_cursor {
  std::string_view rest;
  std::uint64_t epoch;
  std::uint32_t segment;
  std::uint32_t offset;

  record_cursor(const parsed_batch& of, std::uint32_t segment_number) noexcept
      : rest(of.body),
        epoch(of.header.epoch),
        segment(segment_number),
        offset(of.header.offset + static_cast<std::uint32_t>(batch_header::size)) {}
  /// False: nothing is left, or (when rest is not empty) the rest is damaged.
  bool next(record_view& what, location& where) noexcept;
};

/// Which batch may come next.
struct batch_chain {
  std::uint64_t epoch = 0;
  std::uint64_t lsn_next = 1;
  std::uint32_t prev_crc = 0;
  bool is_crc_known = true;  // false at the start of a replay in the middle of a segment
  std::uint32_t run = 0;     // of the last batch; 0: none was taken

  bool takes(const batch_header& header) const noexcept {
    return header.epoch == epoch && header.lsn_first == lsn_next &&
           header.lsn_durable < header.lsn_first && (!is_crc_known || header.prev_crc == prev_crc);
  }
  void advance(const batch_header& header) noexcept {
    lsn_next = header.lsn_first + header.count;
    prev_crc = header.crc;
    run = header.run;
    is_crc_known = true;
  }
  /// Goes on in the segment that starts with `header`.
  void enter(const segment_header& header) noexcept {
    epoch = header.epoch;
    prev_crc = header.crc;
    is_crc_known = true;
  }
};

/// The first bytes of a snapshot file.
struct snapshot_header {
  static constexpr std::size_t size = 48;
  std::uint64_t lsn = 0;      // replay goes on with lsn + 1
  std::uint32_t segment = 0;  // where its batch begins, or would begin
  std::uint32_t offset = 0;
  std::uint32_t crc = 0;  // of this header; chunks are bound to it
};

enum class chunk_kind : std::uint32_t { slice = 1, end = 2 };

struct chunk_header {
  static constexpr std::size_t size = 16;
  std::uint32_t crc = 0;  // of the snapshot header's checksum, the rest of this header and the data
  std::uint32_t length = 0;  // of the data
  std::uint32_t index = 0;
  chunk_kind kind = chunk_kind::slice;
};

void encode(const snapshot_header& header, char* to) noexcept;
bool decode(std::string_view from, snapshot_header& header) noexcept;
/// Completes the chunk at `chunk` (header room and data) by writing its header.
void seal_chunk(std::uint32_t snapshot_crc, const chunk_header& header, char* chunk) noexcept;
/// Header only; the caller checks is_whole() once it has the data.
chunk_header decode_chunk_header(std::string_view from) noexcept;
/// The checksum of what precedes a chunk's data; that of the data goes on from it.
std::uint32_t chunk_crc_before(std::uint32_t snapshot_crc, const chunk_header& header) noexcept;
bool is_whole(std::uint32_t snapshot_crc, const chunk_header& header,
              std::string_view data) noexcept;

// Names of files: "journal-0000000007.seg", "snapshot-00000000000000000042.snap".
std::string segment_name(std::uint32_t number);
std::string snapshot_name(std::uint64_t lsn);
/// 0: the name is no segment's.
std::uint32_t segment_number_of(std::string_view name) noexcept;
bool snapshot_lsn_of(std::string_view name, std::uint64_t& lsn) noexcept;

}  // namespace detail
}  // namespace weir

#include <weir/store/journal_format.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/crc32c.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>

namespace weir::detail {

namespace {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian");

constexpr std::string_view segment_magic = "weirseg1";
constexpr std::string_view snapshot_file_magic = "weirsnp1";

template <std::unsigned_integral T>
void put(char* to, std::size_t at, T value) noexcept {
  std::memcpy(to + at, &value, sizeof value);
}
template <std::unsigned_integral T>
T get(std::string_view from, std::size_t at) noexcept {
  T value;
  std::memcpy(&value, from.data() + at, sizeof value);
  return value;
}

// Binds a record to its place: the same bytes elsewhere, or in another life of a recycled segment,
// don't pass.
std::uint32_t seed_of(std::uint64_t epoch, std::uint32_t offset) noexcept {
  char place[12];
  put(place, 0, epoch);
  put(place, 8, offset);
  return crc32c({place, sizeof place});
}

parsed_batch invalid(const batch_header& header, const char* reason) noexcept {
  return {.state = batch_state::invalid, .header = header, .reason = reason};
}

std::uint32_t chunk_crc(std::uint32_t snapshot_crc, std::string_view after_crc) noexcept {
  return crc32c(after_crc, snapshot_crc);
}

bool number_in(std::string_view name, std::string_view before, std::string_view after,
               std::size_t digits, std::uint64_t max, std::uint64_t& out) noexcept {
  if (name.size() != before.size() + digits + after.size()) return false;
  if (!name.starts_with(before) || !name.ends_with(after)) return false;
  const auto number = parse_number(name.substr(before.size(), digits), max);
  if (!number) return false;
  out = *number;
  return true;
}

}  // namespace

void encode(const segment_header& header, char* to) noexcept {
  std::memset(to, 0, segment_header::size);
  std::memcpy(to, segment_magic.data(), segment_magic.size());
  put(to, 12, journal_version);
  put(to, 16, header.number);
  put(to, 20, header.prev_crc);
  put(to, 24, header.epoch);
  put(to, 32, header.lsn_first);
  put(to, 40, header.capacity);
  put(to, 8, crc32c({to + 12, segment_header::size - 12}));
}

bool decode(std::string_view from, segment_header& header) noexcept {
  if (from.size() < segment_header::size) return false;
  from = from.substr(0, segment_header::size);
  if (!from.starts_with(segment_magic)) return false;
  header.crc = get<std::uint32_t>(from, 8);
  if (header.crc != crc32c(from.substr(12))) return false;
  if (get<std::uint32_t>(from, 12) != journal_version) return false;
  header.number = get<std::uint32_t>(from, 16);
  header.prev_crc = get<std::uint32_t>(from, 20);
  header.epoch = get<std::uint64_t>(from, 24);
  header.lsn_first = get<std::uint64_t>(from, 32);
  header.capacity = get<std::uint64_t>(from, 40);
  const bool has_numbers = header.number != 0 && header.number <= segment_number_max &&
                           header.epoch != 0 && header.lsn_first != 0 &&
                           header.lsn_first <= lsn_max + 1;
  return has_numbers && header.capacity >= segment_bytes_min &&
         header.capacity <= segment_bytes_max;
}

std::uint32_t newer_version(std::string_view from) noexcept {
  const bool is_segment = from.starts_with(segment_magic);
  if (!is_segment && !from.starts_with(snapshot_file_magic)) return 0;
  const std::size_t size = is_segment ? segment_header::size : snapshot_header::size;
  if (from.size() < size) return 0;
  const auto crc = get<std::uint32_t>(from, 8);
  if (crc != crc32c(from.substr(12, size - 12))) return 0;
  const auto version = get<std::uint32_t>(from, 12);
  return version > journal_version ? version : 0;
}

bool is_blank(std::string_view bytes) noexcept {
  return std::ranges::all_of(bytes, [](char byte) { return byte == '\0'; });
}

std::uint32_t seal_batch(const batch_header& header, char* batch) noexcept {
  WEIR_ASSERT(header.length >= batch_header::size);
  put(batch, 4, header.length);
  put(batch, 8, header.epoch);
  put(batch, 16, header.lsn_first);
  put(batch, 24, header.lsn_durable);
  put(batch, 32, header.count);
  put(batch, 36, header.prev_crc);
  put(batch, 40, header.offset);
  put(batch, 44, header.run);
  const std::uint32_t crc = crc32c({batch + 4, header.length - 4});
  put(batch, 0, crc);
  return crc;
}

batch_header decode_batch_header(std::string_view from) noexcept {
  return {
      .crc = get<std::uint32_t>(from, 0),
      .length = get<std::uint32_t>(from, 4),
      .epoch = get<std::uint64_t>(from, 8),
      .lsn_first = get<std::uint64_t>(from, 16),
      .lsn_durable = get<std::uint64_t>(from, 24),
      .count = get<std::uint32_t>(from, 32),
      .prev_crc = get<std::uint32_t>(from, 36),
      .offset = get<std::uint32_t>(from, 40),
      .run = get<std::uint32_t>(from, 44),
  };
}

parsed_batch parse_batch(std::string_view at, std::uint64_t offset,
                         std::uint64_t capacity) noexcept {
  if (offset > capacity || capacity - offset < batch_header::size) {
    return invalid({}, "the segment is full");
  }
  if (at.size() < batch_header::size) {
    return {.state = batch_state::partial, .wanted = batch_header::size};
  }
  const batch_header header = decode_batch_header(at);
  if (header.offset != offset) return invalid(header, "no batch begins here");
  if (header.length < batch_header::size || header.length > capacity - offset) {
    return invalid(header, "the length of the batch is impossible");
  }
  if (at.size() < header.length) {
    return {.state = batch_state::partial, .wanted = header.length, .header = header};
  }
  const std::string_view whole = at.substr(0, header.length);
  const bool is_looked_at = !is_planted("journal: accepts a torn group");
  if (is_looked_at && crc32c(whole.substr(4)) != header.crc) {
    return invalid(header, "the checksum of the batch is wrong");
  }
  const bool has_numbers = header.lsn_first != 0 &&
                           header.lsn_first <= lsn_max + 1 - header.count &&
                           header.lsn_durable < header.lsn_first;
  if (!has_numbers) {
    return invalid(header, "the record numbers of the batch are impossible");
  }
  return {.state = batch_state::whole, .header = header, .body = whole.substr(batch_header::size)};
}

void encode_record(const record_view& what, std::uint64_t epoch, std::uint32_t offset,
                   char* to) noexcept {
  WEIR_ASSERT(what.payload.size() <= record_payload_max);
  put(to, 4, static_cast<std::uint32_t>(what.payload.size() << 8) | what.kind);
  if (!what.payload.empty()) {
    std::memcpy(to + record_framing_size, what.payload.data(), what.payload.size());
  }
  put(to, 0,
      crc32c({to + 4, record_framing_size - 4 + what.payload.size()}, seed_of(epoch, offset)));
}

bool decode_record(std::string_view framed, std::uint64_t epoch, std::uint32_t offset,
                   record_view& what, std::size_t& size) noexcept {
  if (framed.size() < record_framing_size) return false;
  const auto word = get<std::uint32_t>(framed, 4);
  size = record_framing_size + (word >> 8);
  if (size > framed.size()) return false;
  const std::string_view summed = framed.substr(4, size - 4);
  if (crc32c(summed, seed_of(epoch, offset)) != get<std::uint32_t>(framed, 0)) return false;
  what.kind = static_cast<std::uint8_t>(word);
  what.payload = framed.substr(record_framing_size, size - record_framing_size);
  return true;
}

bool record_cursor::next(record_view& what, location& where) noexcept {
  std::size_t size = 0;
  if (!decode_record(rest, epoch, offset, what, size)) return false;
  where = {.segment = segment, .offset = offset, .size = static_cast<std::uint32_t>(size)};
  rest.remove_prefix(size);
  offset += static_cast<std::uint32_t>(size);
  return true;
}

void encode(const snapshot_header& header, char* to) noexcept {
  std::memset(to, 0, snapshot_header::size);
  std::memcpy(to, snapshot_file_magic.data(), snapshot_file_magic.size());
  put(to, 12, journal_version);
  put(to, 16, header.lsn);
  put(to, 24, header.segment);
  put(to, 28, header.offset);
  put(to, 8, crc32c({to + 12, snapshot_header::size - 12}));
}

bool decode(std::string_view from, snapshot_header& header) noexcept {
  if (from.size() < snapshot_header::size) return false;
  from = from.substr(0, snapshot_header::size);
  if (!from.starts_with(snapshot_file_magic)) return false;
  header.crc = get<std::uint32_t>(from, 8);
  if (header.crc != crc32c(from.substr(12))) return false;
  if (get<std::uint32_t>(from, 12) != journal_version) return false;
  header.lsn = get<std::uint64_t>(from, 16);
  header.segment = get<std::uint32_t>(from, 24);
  header.offset = get<std::uint32_t>(from, 28);
  return header.lsn <= lsn_max && header.segment <= segment_number_max;
}

void seal_chunk(std::uint32_t snapshot_crc, const chunk_header& header, char* chunk) noexcept {
  put(chunk, 4, header.length);
  put(chunk, 8, header.index);
  put(chunk, 12, static_cast<std::uint32_t>(header.kind));
  put(chunk, 0, chunk_crc(snapshot_crc, {chunk + 4, chunk_header::size - 4 + header.length}));
}

chunk_header decode_chunk_header(std::string_view from) noexcept {
  WEIR_ASSERT(from.size() >= chunk_header::size);
  return {.crc = get<std::uint32_t>(from, 0),
          .length = get<std::uint32_t>(from, 4),
          .index = get<std::uint32_t>(from, 8),
          .kind = static_cast<chunk_kind>(get<std::uint32_t>(from, 12))};
}

std::uint32_t chunk_crc_before(std::uint32_t snapshot_crc, const chunk_header& header) noexcept {
  char head[chunk_header::size];
  put(head, 4, header.length);
  put(head, 8, header.index);
  put(head, 12, static_cast<std::uint32_t>(header.kind));
  return chunk_crc(snapshot_crc, {head + 4, chunk_header::size - 4});
}

bool is_whole(std::uint32_t snapshot_crc, const chunk_header& header,
              std::string_view data) noexcept {
  return data.size() == header.length &&
         crc32c(data, chunk_crc_before(snapshot_crc, header)) == header.crc;
}

std::string segment_name(std::uint32_t number) { return fmt::format("journal-{:010}.seg", number); }
std::string snapshot_name(std::uint64_t lsn) { return fmt::format("snapshot-{:020}.snap", lsn); }

std::uint32_t segment_number_of(std::string_view name) noexcept {
  std::uint64_t number = 0;
  if (!number_in(name, "journal-", ".seg", 10, segment_number_max, number)) return 0;
  return static_cast<std::uint32_t>(number);
}

bool snapshot_lsn_of(std::string_view name, std::uint64_t& lsn) noexcept {
  return number_in(name, "snapshot-", ".snap", 20, UINT64_MAX, lsn);
}

}  // namespace weir::detail

#include <weir/store/internal/snapshot_file.hpp>

#include <weir/base/crc32c.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/segment_reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace weir::detail {

namespace {

constexpr std::size_t end_size = 12;  // of the end chunk's data: lsn_end, prev_crc

[[noreturn]] void raise_damaged(const std::string& path, std::uint64_t offset, const char* what) {
  raise(error(errc::corrupt, fmt::format("'{}' is damaged at byte {}: {}", path, offset, what)));
}

// A length that is damaged may say nearly all of the file: memory for so much is taken only once
// the checksum, read by pieces, says that it is right.
task<bool> is_whole_by_pieces(segment_reader* reader, std::uint64_t at, std::uint32_t snapshot_crc,
                              chunk_header header) {
  std::uint32_t crc = chunk_crc_before(snapshot_crc, header);
  std::uint64_t from = at + chunk_header::size;
  for (const std::uint64_t end = from + header.length; from < end;) {
    const std::size_t size = std::min<std::uint64_t>(segment_reader::window_size, end - from);
    const std::string_view piece = (co_await reader->bytes_at(from, size)).substr(0, size);
    if (piece.empty()) co_return false;
    crc = crc32c(piece, crc);
    from += piece.size();
  }
  co_return crc == header.crc;
}

}  // namespace

std::string snapshot_file_writer::unfinished_name() const {
  return snapshot_name(header_.lsn) + ".tmp";
}

task<> snapshot_file_writer::begin() {
  file_ =
      co_await in_.open_file(unfinished_name(), {.write = true, .create = true, .truncate = true});
  char bytes[snapshot_header::size];
  encode(header_, bytes);
  decode({bytes, sizeof bytes}, header_);  // for the checksum
  co_await file_.write_at(0, std::string_view(bytes, sizeof bytes));
  end_ = sizeof bytes;
}

task<> snapshot_file_writer::add_chunk(chunk_kind kind, std::string_view data) {
  buffer_.assign(chunk_header::size, '\0');
  buffer_.append(data);
  seal_chunk(header_.crc,
             {.length = static_cast<std::uint32_t>(data.size()), .index = chunks_++, .kind = kind},
             buffer_.data());
  co_await file_.write_at(end_, std::string_view(buffer_));
  end_ += buffer_.size();
}

task<> snapshot_file_writer::add(std::string_view slice) {
  co_await add_chunk(chunk_kind::slice, slice);
}

task<snapshot_info> snapshot_file_writer::finish(std::uint64_t lsn_end, std::uint32_t prev_crc) {
  char data[end_size];
  std::memcpy(data, &lsn_end, sizeof lsn_end);
  std::memcpy(data + sizeof lsn_end, &prev_crc, sizeof prev_crc);
  co_await add_chunk(chunk_kind::end, {data, sizeof data});
  if (!is_planted("journal: leaves snapshots unsynced")) co_await file_.sync();
  file_.close();
  co_return snapshot_info{
      .header = header_, .lsn_end = lsn_end, .prev_crc = prev_crc, .bytes = end_};
}

task<snapshot_info> read_snapshot(std::string path, std::uint64_t lsn, slice_taker& taker) {
  file from = co_await open_file(path, {});
  const std::uint64_t size = from.size();
  segment_reader reader(from, size, path);
  snapshot_info info{.header = {}, .bytes = size};
  const std::string_view head = co_await reader.bytes_at(0, snapshot_header::size);
  refuse_newer(head, path);
  if (!decode(head, info.header)) raise_damaged(path, 0, "no snapshot begins here");
  if (info.header.lsn != lsn) raise_damaged(path, 0, "it is another snapshot under this name");
  std::uint64_t at = snapshot_header::size;
  for (std::uint32_t index = 0;; ++index) {
    std::string_view bytes = co_await reader.bytes_at(at, chunk_header::size);
    if (bytes.size() < chunk_header::size) raise_damaged(path, at, "the file ends too early");
    const chunk_header header = decode_chunk_header(bytes);
    const std::uint64_t end = at + chunk_header::size + header.length;
    if (header.index != index || end > size) raise_damaged(path, at, "no slice begins here");
    const bool is_read = header.length <= segment_reader::window_size ||
                         co_await is_whole_by_pieces(&reader, at, info.header.crc, header);
    if (!is_read) raise_damaged(path, at, "the checksum of a slice is wrong");
    bytes = co_await reader.bytes_at(at, chunk_header::size + header.length);
    if (bytes.size() < chunk_header::size + header.length) {
      raise_damaged(path, at, "the file ends too early");
    }
    const std::string_view data = bytes.substr(chunk_header::size, header.length);
    if (!is_whole(info.header.crc, header, data)) {
      raise_damaged(path, at, "the checksum of a slice is wrong");
    }
    if (header.kind == chunk_kind::end) {
      if (data.size() != end_size) raise_damaged(path, at, "its end is malformed");
      std::memcpy(&info.lsn_end, data.data(), sizeof info.lsn_end);
      std::memcpy(&info.prev_crc, data.data() + sizeof info.lsn_end, sizeof info.prev_crc);
      if (info.lsn_end > lsn_max) raise_damaged(path, at, "its end is malformed");
      co_return info;
    }
    taker.take(data);
    at = end;
  }
}

}  // namespace weir::detail

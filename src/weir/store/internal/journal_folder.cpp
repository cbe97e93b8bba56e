#include <weir/store/internal/journal_folder.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace weir::detail {

namespace {

constexpr std::string_view unfinished_suffix = ".tmp";

task<found_segment> look_at(std::string path, std::uint32_t number) {
  file segment = co_await open_file(path, {});
  found_segment found{.number = number, .size = segment.size(), .header = {}};
  char bytes[segment_header::size] = {};
  std::size_t got = 0;
  while (got < sizeof bytes) {
    const auto more = co_await as_result(segment.read_at(got, std::span(bytes).subspan(got)));
    if (!more && more.error() == errc::cancelled) co_await checkpoint();  // ends here
    if (!more && more.error() != errc::io) raise(more.error());
    if (!more) {
      found.state = header_state::damaged;
      found.read_errno = more.error().os_code();
      co_return found;
    }
    if (*more == 0) break;
    got += *more;
  }
  refuse_newer({bytes, got}, path);
  if (found.size < segment_bytes_min || got < sizeof bytes) {
    found.state = header_state::cut;
  } else if (decode({bytes, sizeof bytes}, found.header)) {
    found.state = found.header.number == number ? header_state::valid : header_state::stale;
  } else {
    found.state = is_blank({bytes, sizeof bytes}) ? header_state::blank : header_state::damaged;
  }
  co_return found;
}

std::string parent_of(const std::string& folder) {
  const std::size_t slash = folder.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : folder.substr(0, slash);
}

}  // namespace

std::string path_in(const std::string& folder, std::string_view name) {
  return fmt::format("{}/{}", folder, name);
}

void refuse_newer(std::string_view head, const std::string& path) {
  const std::uint32_t version = newer_version(head);
  if (version == 0) return;
  raise(error(errc::unsupported,
              fmt::format("'{}' was written by a newer weir (format {}, this program knows {}): "
                          "use that program, or a backup of before the upgrade",
                          path, version, journal_version)));
}

std::string found_segment::header_fault() const {
  if (read_errno == 0) return "the header of the segment is damaged";
  return fmt::format("the disk can't read the header of the segment ({})",
                     std::strerror(read_errno));
}

const found_segment* folder_contents::find(std::uint32_t number) const noexcept {
  const auto at = std::ranges::lower_bound(segments, number, {}, &found_segment::number);
  return at != segments.end() && at->number == number ? &*at : nullptr;
}

const found_segment* folder_contents::next_begun(std::uint32_t number) const noexcept {
  auto at = std::ranges::lower_bound(segments, number, {}, &found_segment::number);
  at = std::find_if(at, segments.end(),
                    [](const found_segment& one) { return one.state == header_state::valid; });
  return at == segments.end() ? nullptr : &*at;
}

std::uint32_t folder_contents::last_begun() const noexcept {
  for (auto at = segments.rbegin(); at != segments.rend(); ++at) {
    if (at->state == header_state::valid) return at->number;
  }
  return 0;
}

std::uint64_t durable_by_name(const folder_contents& contents) noexcept {
  for (const found_snapshot& one : contents.snapshots) {
    if (one.lsn <= lsn_max) return one.lsn;
  }
  return 0;
}

namespace {

task<found_segment> look_at_named(std::string path, std::uint32_t number) {
  auto found = co_await as_result(look_at(path, number));
  if (found) co_return *found;
  if (found.error() == errc::cancelled) co_await checkpoint();  // ends here
  const auto status = path_status(path);
  if (!status || !status->is_directory) raise(found.error());
  raise(error(errc::invalid_argument,
              fmt::format("'{}' is a folder and no file of the journal: move it away", path)));
}

}  // namespace

task<folder_contents> read_folder(std::string folder) {
  folder_contents contents{.folder = folder, .segments = {}, .snapshots = {}, .leftovers = {}};
  for (const std::string& name : list_dir(folder)) {
    std::uint64_t lsn = 0;
    if (const std::uint32_t number = segment_number_of(name)) {
      contents.segments.push_back(co_await look_at_named(path_in(folder, name), number));
    } else if (snapshot_lsn_of(name, lsn)) {
      contents.snapshots.push_back({lsn, name});
    } else if (name.ends_with(unfinished_suffix)) {
      contents.leftovers.push_back(name);
    }
  }
  std::ranges::sort(contents.segments, {}, &found_segment::number);
  std::ranges::sort(contents.snapshots, std::ranges::greater(), &found_snapshot::lsn);
  co_return contents;
}

task<> make_folder(std::string folder) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  const auto status = path_status(folder);
  if (status) {
    if (!status->is_directory) {
      raise(error(errc::invalid_argument, fmt::format("'{}' is no folder", folder)));
    }
  } else {
    co_await make_dir(folder, 0700);
  }
  // Also when it is there: whoever made it may have died before its name was durable.
  const auto synced = co_await as_result(sync_dir(parent_of(folder)));
  if (!synced && synced.error() == errc::cancelled) co_await checkpoint();  // ends here
  const bool is_foreign = !synced && status && synced.error() == errc::permission_denied;
  if (!synced && !is_foreign) raise(synced.error());
}

namespace {
constexpr std::string_view lock_name = "lock";
}  // namespace

std::string lock_path(const std::string& folder) { return path_in(folder, lock_name); }

task<file> lock_folder(std::string folder, const directory& files) {
  file lock = co_await files.open_file(lock_name, {.write = true, .create = true});
  if (!lock.try_lock()) {
    raise(error(errc::busy,
                fmt::format("the data folder '{0}' is in use by another process (it holds the lock "
                            "on '{0}/lock')",
                            folder)));
  }
  co_return lock;
}

task<std::optional<file>> lock_to_read(std::string folder) {
  auto lock = co_await as_result(open_file(lock_path(folder), {}));
  if (!lock && lock.error() == errc::not_found) co_return std::nullopt;
  if (!lock && lock.error() == errc::cancelled) co_await checkpoint();  // ends here
  if (!lock) raise(lock.error());
  if (!lock->try_lock()) {
    raise(error(errc::busy, fmt::format("a server has '{}' open, and what it changes meanwhile "
                                        "would look like damage: stop it first, or look at a copy",
                                        folder)));
  }
  co_return std::move(*lock);
}

task<file> make_blank_file(const directory& in, std::string name, std::uint32_t size,
                           bool writes_zeros) {
  constexpr std::size_t piece = std::size_t{1} << 20;
  file made =
      co_await in.open_file(name, {.write = true, .create = true, .truncate = true, .mode = 0600});
  const auto filled = co_await as_result(made.preallocate(0, size));
  if (!filled) {
    // What was reserved in part goes back before anybody else meets the full disk.
    made.close();
    (void)co_await as_result(in.remove(name));
    if (filled.error() == errc::cancelled) co_await checkpoint();  // ends here
    raise(error(filled.error().code(),
                fmt::format("can't reserve {} bytes for '{}'", size, in.path_of(name)))
              .caused_by(filled.error()));
  }
  // Blocks that were reserved but never written cost a change of metadata at their first sync. To
  // write them ahead is worth it; in small pieces, so that no commit waits long behind one.
  if (writes_zeros) {
    const std::string zeros(std::min<std::size_t>(piece, size), '\0');
    for (std::uint64_t at = 0; at < size; at += piece) {
      const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(piece, size - at));
      co_await made.write_at(at, std::string_view(zeros).substr(0, length));
      co_await made.sync_data();
    }
  }
  co_await made.sync();
  co_return made;
}

}  // namespace weir::detail

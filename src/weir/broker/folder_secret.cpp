#include <weir/broker/folder_secret.hpp>

#include <weir/base/crc32c.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/file.hpp>
#include <weir/store/journal_format.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace weir {

namespace {

constexpr std::size_t key_bytes = sizeof(hash_key);
constexpr std::size_t secret_bytes = key_bytes + sizeof(std::uint32_t);  // with its checksum
constexpr std::size_t tag_bytes = sizeof(std::uint64_t);
constexpr std::size_t mark_bytes = tag_bytes + sizeof(std::uint32_t);  // with its checksum

bool has_journal(const std::string& folder) {
  const auto is_of_journal = [](const std::string& name) {
    std::uint64_t lsn = 0;
    return detail::segment_number_of(name) != 0 || detail::snapshot_lsn_of(name, lsn);
  };
  return std::ranges::any_of(list_dir(folder), is_of_journal);
}

bool is_drawn(const hash_key& key) noexcept { return key.low != 0 || key.high != 0; }

/// What a file holds. Without a checksum it is one of a version that wrote none, or cut in it.
struct secret_read {
  hash_key key = {};
  bool has_checksum = false;
  bool is_right = false;
};

std::string text_of(const hash_key& key) {
  char raw[secret_bytes];
  std::memcpy(raw, &key, key_bytes);
  const std::uint32_t checksum = crc32c(std::string_view(raw, key_bytes));
  std::memcpy(raw + key_bytes, &checksum, sizeof checksum);
  return {raw, sizeof raw};
}

/// Nothing but zeros when the file is too short: it was cut before anything was accepted.
task<secret_read> read_key(std::string path, file& from) {
  secret_read found;
  if (from.size() < key_bytes) co_return found;
  char raw[secret_bytes];
  const std::size_t wanted = std::min<std::size_t>(from.size(), sizeof raw);
  for (std::size_t have = 0; have < wanted;) {
    const std::size_t got =
        co_await from.read_at(have, std::span(raw).subspan(have, wanted - have));
    if (got == 0) raise(error(errc::io, "'" + path + "' can't be read to its end"));
    have += got;
  }
  std::memcpy(&found.key, raw, key_bytes);
  found.has_checksum = wanted == secret_bytes;
  found.is_right = !found.has_checksum || text_of(found.key) == std::string_view(raw, secret_bytes);
  co_return found;
}

std::string mark_path(const std::string& folder) { return folder + "/secret.mark"; }

/// What a folder remembers of its secret: a tag made with it, and the tag's checksum.
std::string mark_of(const hash_key& key) {
  const std::uint64_t tag = siphash(key, "the secret of a data folder");
  char raw[mark_bytes];
  std::memcpy(raw, &tag, tag_bytes);
  const std::uint32_t checksum = crc32c(std::string_view(raw, tag_bytes));
  std::memcpy(raw + tag_bytes, &checksum, sizeof checksum);
  return {raw, sizeof raw};
}

bool is_mark(std::string_view text) noexcept {
  std::uint32_t checksum = 0;
  std::memcpy(&checksum, text.data() + tag_bytes, sizeof checksum);
  return checksum == crc32c(text.substr(0, tag_bytes));
}

/// Empty when nothing is known: there is none, as in folders of earlier versions, or it is cut,
/// damaged or on a bad sector.
task<std::string> read_mark(std::string folder) {
  auto from = co_await as_result(open_file(mark_path(folder), {}));
  if (!from && from.error() == errc::cancelled) co_await checkpoint();  // ends here
  if (!from && from.error() != errc::not_found) raise(from.error());
  if (!from) co_return std::string();
  std::string text(mark_bytes, '\0');
  for (std::size_t have = 0; have < text.size();) {
    const auto got = co_await as_result(from->read_at(have, std::span(text).subspan(have)));
    if (!got && got.error() == errc::cancelled) co_await checkpoint();  // ends here
    if (!got || *got == 0) co_return std::string();
    have += *got;
  }
  co_return is_mark(text) ? text : std::string();
}

task<> write_mark(std::string folder, std::string mark) {
  file to = co_await open_file(mark_path(folder),
                               {.write = true, .create = true, .truncate = true, .mode = 0600});
  co_await to.write_at(0, mark);
  co_await to.sync();
}

/// A folder that can't remember its secret, on a full disk, is one of earlier versions.
task<> remember(std::string folder, std::string mark) {
  const auto kept = co_await as_result(write_mark(folder, std::move(mark)));
  if (kept) co_return;
  if (kept.error() == errc::cancelled) co_await checkpoint();  // ends here
  log::warn("that its secret is that of the folder can't be noted",
            {{"folder", folder}, {"reason", describe(kept.error())}});
}

}  // namespace

task<hash_key> read_secret(std::string folder, file& from) {
  const std::string path = folder + "/secret";
  if (from.size() > secret_bytes) {
    raise(error(errc::corrupt, "'" + path + "' is longer than a secret: is it ours?"));
  }
  secret_read found = co_await read_key(path, from);
  const bool holds_data = has_journal(folder);
  if (is_drawn(found.key) && !found.is_right && holds_data) {
    raise(error(errc::corrupt,
                "'" + path +
                    "' is damaged: with another secret the ids and keys of the data in there are "
                    "unknown; put it back from where the data is from"));
  }
  // Nothing but zeros, or not the whole: the size outlived a crash, the content did not.
  if (!is_drawn(found.key) || !found.is_right) {
    // It is durable before the journal's first file is made, so here it was lost.
    if (holds_data) {
      raise(error(errc::corrupt,
                  "'" + path +
                      "' is missing: without it the ids and keys of the data in there are "
                      "unknown; put it back from where the data is from"));
    }
    driver& io = loop::current()->io();
    found = {.key = {.low = io.random(), .high = io.random()}};
  }
  const std::string mark = mark_of(found.key);
  const std::string known = co_await read_mark(folder);
  if (holds_data && !known.empty() && known != mark) {
    raise(error(errc::corrupt,
                "'" + path +
                    "' is another one than that of the data in there: with it all ids, receipts "
                    "and keys that were given out are unknown. Put the right one back from where "
                    "the data is from; or, to go on with this one, remove '" +
                    mark_path(folder) + "', which knows of the other (--accept-loss does not)"));
  }
  if (known != mark) co_await remember(folder, mark);
  if (!found.has_checksum) co_await from.write_at(0, text_of(found.key));
  // Also when it was there: whoever drew it may have died before it was durable.
  co_await from.sync();
  co_await sync_dir(folder);
  co_return found.key;
}

task<std::string> secret_fault(std::string folder) {
  const std::string path = folder + "/secret";
  const auto status = path_status(path);
  if (!status && status.error() == errc::not_found) co_return "the folder's secret is missing";
  if (!status) raise(status.error());
  if (status->is_directory || status->size < key_bytes || status->size > secret_bytes) {
    co_return "the folder's secret has the wrong length";
  }
  file from = co_await open_file(path, {});
  const secret_read found = co_await read_key(path, from);
  if (!is_drawn(found.key)) co_return "the folder's secret is blank";
  if (!found.is_right) co_return "the folder's secret is damaged: its checksum is wrong";
  const std::string known = co_await read_mark(folder);
  const bool is_its = known.empty() || known == mark_of(found.key);
  co_return is_its ? "" : "the folder's secret is another one than that of its data";
}

}  // namespace weir

#include <weir/broker/folder_secret.hpp>

#include <weir/core/loop.hpp>
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

constexpr std::size_t secret_bytes = sizeof(hash_key);

bool has_journal(const std::string& folder) {
  const auto is_of_journal = [](const std::string& name) {
    std::uint64_t lsn = 0;
    return detail::segment_number_of(name) != 0 || detail::snapshot_lsn_of(name, lsn);
  };
  return std::ranges::any_of(list_dir(folder), is_of_journal);
}

bool is_drawn(const hash_key& key) noexcept { return key.low != 0 || key.high != 0; }

/// Nothing but zeros when the file is too short: it was cut before anything was accepted.
task<hash_key> read_key(std::string path, file& from) {
  hash_key key{};
  if (from.size() < secret_bytes) co_return key;
  char raw[secret_bytes];
  for (std::size_t have = 0; have < sizeof raw;) {
    const std::size_t got = co_await from.read_at(have, std::span(raw).subspan(have));
    if (got == 0) raise(error(errc::io, "'" + path + "' can't be read to its end"));
    have += got;
  }
  std::memcpy(&key, raw, sizeof key);
  co_return key;
}

}  // namespace

task<hash_key> read_secret(std::string folder, file& from) {
  const std::string path = folder + "/secret";
  if (from.size() > secret_bytes) {
    raise(error(errc::corrupt, "'" + path + "' is longer than a secret: is it ours?"));
  }
  hash_key key = co_await read_key(path, from);
  // Nothing but zeros: the size outlived a crash, the content did not.
  if (!is_drawn(key)) {
    // It is durable before the journal's first file is made, so here it was lost.
    if (has_journal(folder)) {
      raise(error(errc::corrupt,
                  "'" + path +
                      "' is missing: without it the ids and keys of the data in there are "
                      "unknown; put it back from where the data is from"));
    }
    driver& io = loop::current()->io();
    key = {.low = io.random(), .high = io.random()};
    char raw[secret_bytes];
    std::memcpy(raw, &key, sizeof key);
    co_await from.write_at(0, std::string_view(raw, sizeof raw));
  }
  // Also when it was there: whoever drew it may have died before it was durable.
  co_await from.sync();
  co_await sync_dir(folder);
  co_return key;
}

task<std::string> secret_fault(std::string folder) {
  const std::string path = folder + "/secret";
  const auto status = path_status(path);
  if (!status && status.error() == errc::not_found) co_return "the folder's secret is missing";
  if (!status) raise(status.error());
  if (status->is_directory || status->size != secret_bytes) {
    co_return "the folder's secret has the wrong length";
  }
  file from = co_await open_file(path, {});
  const hash_key key = co_await read_key(path, from);
  co_return is_drawn(key) ? "" : "the folder's secret is blank";
}

}  // namespace weir

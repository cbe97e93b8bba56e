#include <weir/store/internal/journal_model.hpp>

#include <weir/base/assert.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace weir::detail {

namespace {

struct slice_entry {
  std::uint64_t id = 0;
  location where;
  std::uint32_t unused = 0;
};

std::uint64_t id_of(std::string_view payload) {
  std::uint64_t id = 0;
  std::memcpy(&id, payload.data(), sizeof id);
  return id;
}

}  // namespace

std::string journal_model::encode(const change& what) {
  std::string payload(sizeof what.id, '\0');
  std::memcpy(payload.data(), &what.id, sizeof what.id);
  return payload + what.value;
}

void journal_model::reset() {
  places_.clear();
  live_.clear();
}

result<void> journal_model::load(std::string_view slice) {
  if (slice.size() % sizeof(slice_entry) != 0) return fail(errc::malformed, "a slice of entries");
  for (; !slice.empty(); slice.remove_prefix(sizeof(slice_entry))) {
    slice_entry entry;
    std::memcpy(&entry, slice.data(), sizeof entry);
    set_place(entry.id, entry.where);
  }
  return {};
}

bool journal_model::next_slice(std::string& into, std::size_t budget) {
  auto at = places_.lower_bound(snapshot_next_);
  if (at == places_.end()) return false;
  while (at != places_.end() && into.size() < budget) {
    const slice_entry entry{at->first, at->second};
    into.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    snapshot_next_ = at->first + 1;
    ++at;
  }
  return true;
}

void journal_model::set_place(std::uint64_t id, location where) {
  forget(id);
  places_[id] = where;
  live_[where.segment] += where.size;
}

void journal_model::forget(std::uint64_t id) {
  const auto at = places_.find(id);
  if (at == places_.end()) return;
  live_[at->second.segment] -= at->second.size;
  places_.erase(at);
}

void journal_model::apply_change(std::uint8_t what, std::uint64_t id, location where) {
  if (what == put || (what == moved && places_.contains(id))) set_place(id, where);
  if (what == drop) forget(id);
}

result<void> journal_model::apply(const record_view& what, location where, std::uint64_t) {
  if (what.payload.size() < sizeof(std::uint64_t)) return fail(errc::malformed, "a record");
  apply_change(what.kind, id_of(what.payload), where);
  return {};
}

std::uint64_t journal_model::live_bytes(std::uint32_t segment) const {
  const auto at = live_.find(segment);
  return at == live_.end() ? 0 : at->second;
}

std::vector<std::uint32_t> journal_model::live_segments() const {
  std::vector<std::uint32_t> numbers;
  for (const auto& [segment, live] : live_) {
    if (live != 0) numbers.push_back(segment);
  }
  return numbers;
}

std::uint64_t journal_model::live_total() const noexcept {
  std::uint64_t total = 0;
  for (const auto& [segment, live] : live_) total += live;
  return total;
}

result<void> journal_model::relocate(const record_view& what, location where) {
  if (what.payload.size() < sizeof(std::uint64_t)) return {};  // as apply() left it out
  const std::uint64_t id = id_of(what.payload);
  const auto at = places_.find(id);
  if (at == places_.end() || at->second != where) return {};
  const auto moved_to = try_change({{moved, id, std::string(what.payload.substr(sizeof id))}},
                                   append_class::completion);
  if (!moved_to) return fail(moved_to.error());
  ++relocations;
  return {};
}

result<std::uint64_t> journal_model::try_change(const std::vector<change>& changes,
                                                append_class who) {
  std::vector<std::string> payloads;
  std::vector<record_view> records;
  for (const change& one : changes) payloads.push_back(encode(one));
  for (std::size_t i = 0; i < changes.size(); ++i) {
    records.push_back({changes[i].what, payloads[i]});
  }
  std::vector<location> places(changes.size());
  // Memory first: what was appended is in the history, come what may.
  std::vector<change> noted = keeps_history ? changes : std::vector<change>();
  if (history_.capacity() < history_.size() + noted.size()) {
    history_.reserve(2 * (history_.size() + noted.size()));
  }
  auto lsn = over->try_append(records, who, places);
  if (!lsn) return lsn;
  WEIR_ASSERT(!keeps_history || *lsn == history_.size() + changes.size());
  for (change& one : noted) history_.push_back(std::move(one));
  for (std::size_t i = 0; i < changes.size(); ++i) {
    apply_change(changes[i].what, changes[i].id, places[i]);
  }
  return lsn;
}

task<> journal_model::commit(std::vector<change> changes) {
  for (;;) {
    std::size_t size = 0;
    for (const change& one : changes) size += record_framing_size + 8 + one.value.size();
    auto lsn = try_change(changes);
    if (lsn) {
      co_await over->wait_durable(*lsn);
      acknowledged = std::max(acknowledged, *lsn);
      co_return;
    }
    if (lsn.error() != errc::full) raise(lsn.error());
    co_await over->wait_room(size, append_class::intake);
  }
}

std::string journal_model::compare(std::uint64_t lsn_recovered) {
  if (lsn_recovered < acknowledged) {
    return fmt::format("record {} was acknowledged, only {} were recovered", acknowledged,
                       lsn_recovered);
  }
  if (lsn_recovered > history_.size()) {
    return fmt::format("{} records were appended, {} were recovered", history_.size(),
                       lsn_recovered);
  }
  history_.resize(lsn_recovered);
  std::map<std::uint64_t, bool> wanted;
  for (const change& one : history_) {
    if (one.what == put) wanted[one.id] = true;
    if (one.what == drop) wanted.erase(one.id);
  }
  for (const auto& [id, yes] : wanted) {
    if (!places_.contains(id)) return fmt::format("value {} is missing", id);
  }
  for (const auto& [id, where] : places_) {
    if (!wanted.contains(id)) return fmt::format("value {} was dropped or never put", id);
  }
  return {};
}

task<std::string> journal_model::compare_values() {
  std::map<std::uint64_t, std::string> wanted;
  for (const change& one : history_) {
    if (one.what == put) wanted[one.id] = one.value;
  }
  for (const auto& [id, value] : wanted) {
    const auto at = places_.find(id);  // looked up now: the value may have moved since
    if (at == places_.end()) continue;
    const stored_record read = co_await over->read(at->second);
    const std::string_view payload = read.payload;
    const bool is_right = id_of(payload) == id && payload.substr(sizeof id) == value;
    if (!is_right) co_return fmt::format("value {} has other bytes than were put", id);
  }
  co_return std::string();
}

}  // namespace weir::detail

// A small state over a journal, for its tests, fuzzer and benchmark: numbered values that are put,
// dropped and moved. It remembers every record that it ever appended, in order, so that what a
// recovery gives can be compared with exactly the right prefix.
#pragma once

#include <weir/core/task.hpp>
#include <weir/store/journal.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::detail {

class journal_model final : public journal_client {
 public:
  enum kind : std::uint8_t { put = 1, drop = 2, moved = 3 };
  struct change {
    std::uint8_t what = put;
    std::uint64_t id = 0;
    std::string value;
  };

  // What the journal asks.
  void reset() override;
  result<void> load(std::string_view slice) override;
  result<void> apply(const record_view& what, location where, std::uint64_t lsn) override;
  void begin_snapshot() override { snapshot_next_ = 0; }
  bool next_slice(std::string& into, std::size_t budget) override;
  std::uint64_t live_bytes(std::uint32_t segment) const override;
  std::vector<std::uint32_t> live_segments() const override;
  result<void> relocate(const record_view& what, location where) override;

  /// Appends the changes as one batch and applies them; the LSN of the last.
  result<std::uint64_t> try_change(const std::vector<change>& changes,
                                   append_class who = append_class::intake);
  /// The same, waiting for room and for the records to be durable.
  task<> commit(std::vector<change> changes);

  /// After an opening: the history is cut to what was recovered; the difference between what should
  /// be there and what is, or an empty text.
  std::string compare(std::uint64_t lsn_recovered);
  /// Reads every value back; a text about the first that is wrong.
  task<std::string> compare_values();

  journal* over = nullptr;
  bool keeps_history = true;       // false where the journal may hold anything
  std::uint64_t acknowledged = 0;  // the highest LSN that was reported durable
  std::uint64_t relocations = 0;
  std::uint64_t live_total() const noexcept;
  std::size_t size() const noexcept { return places_.size(); }
  const std::vector<change>& history() const noexcept { return history_; }
  bool has(std::uint64_t id) const noexcept { return places_.contains(id); }
  location place_of(std::uint64_t id) const { return places_.at(id); }

 private:
  static std::string encode(const change& what);
  void set_place(std::uint64_t id, location where);
  void forget(std::uint64_t id);
  void apply_change(std::uint8_t what, std::uint64_t id, location where);

  std::map<std::uint64_t, location> places_;
  std::map<std::uint32_t, std::uint64_t> live_;
  std::vector<change> history_;  // [lsn - 1]
  std::uint64_t snapshot_next_ = 0;
};

}  // namespace weir::detail

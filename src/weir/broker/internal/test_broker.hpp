// For the broker's tests: a broker on a journal in memory, with a clock that the test moves.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/broker/broker_snapshot.hpp>
#include <weir/broker/broker_state.hpp>

#include <string>
#include <utility>
#include <vector>

namespace weir::detail {

struct journal_entry {
  record_kind kind;
  std::string payload;
  location where;

  broker_record view() const { return {kind, payload}; }
};

/// Records in memory, in small segments so that tests see many of them.
class memory_journal {
 public:
  static constexpr std::uint32_t segment_bytes = 4'096;

  location append(broker_record record) {
    const auto size = static_cast<std::uint32_t>(record.payload.size() + 16);
    if (offset_ + size > segment_bytes && offset_ > 0) ++segment_, offset_ = 0;
    const location where{segment_, offset_, size};
    offset_ += size;
    entries_.push_back({record.kind, std::string(record.payload), where});
    return where;
  }
  const std::vector<journal_entry>& entries() const { return entries_; }
  /// The entry at a place.
  const journal_entry& at(location where) const {
    for (std::size_t i = entries_.size(); i-- > 0;) {
      if (entries_[i].where == where) return entries_[i];
    }
    constexpr bool is_known_place = false;
    WEIR_ASSERT(is_known_place);
    std::unreachable();
  }

 private:
  std::vector<journal_entry> entries_;
  std::uint32_t segment_ = 1;
  std::uint32_t offset_ = 0;
};

constexpr hash_key test_secret{0x1122334455667788, 0x99aabbccddeeff00};

class test_broker {
 public:
  explicit test_broker(broker_limits limits = {}) : state(test_secret, limits) {}

  /// Decides, appends and applies.
  template <class Command>
  auto run(const Command& command) {
    batch.clear();
    auto outcome = state.decide(command, now, batch);
    commit();
    return outcome;
  }
  void tick(std::size_t budget = 100) {
    for (bool has_more = true; has_more;) {
      batch.clear();
      has_more = state.tick(now, budget, batch);
      commit();
    }
  }
  void pass(duration time) {
    now = now + time;
    tick();
  }
  void commit() {
    if (allocations) state.make_room_for(batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const location where = journal.append(batch[i]);
      const std::uint64_t before = allocations ? allocations() : 0;
      const auto applied = state.apply(batch[i], where);
      WEIR_ASSERT(applied);
      if (allocations) allocated += allocations() - before;
    }
  }

  void make(std::string_view queue, const queue_settings& settings = {}) {
    const auto made = run(put_queue{queue, settings});
    WEIR_ASSERT(made);
  }
  std::uint64_t send(submit_message message) {
    const auto sent = run(message);
    WEIR_ASSERT(sent);
    return sent->sequence;
  }
  std::uint64_t send(std::string_view queue, std::string_view body = "body") {
    return send(submit_message{.queue = queue, .body = body});
  }
  std::vector<leased_message> take(std::string_view queue, std::uint32_t max = 1) {
    auto taken = run(lease_messages{.queue = queue, .max = max});
    WEIR_ASSERT(taken);
    return std::move(*taken);
  }
  message_state state_of(std::uint64_t sequence) const {
    return state.find_message(sequence, now)->state;
  }

  /// A broker that has read the journal again from its start.
  std::string replayed(broker_limits limits = {}) const {
    broker_state again(test_secret, limits);
    for (const journal_entry& entry : journal.entries()) {
      const auto applied = again.apply(entry.view(), entry.where);
      WEIR_ASSERT(applied);
    }
    const std::string wrong = again.audit();
    return wrong.empty() ? again.describe(now) : wrong;
  }

  /// Set: room is made before records are applied, and what applying them allocates is counted.
  std::uint64_t (*allocations)() noexcept = nullptr;
  std::uint64_t allocated = 0;

  broker_state state;
  memory_journal journal;
  record_batch batch;
  time_point now{1'700'000'000 * std::int64_t(1'000'000'000)};
};

}  // namespace weir::detail

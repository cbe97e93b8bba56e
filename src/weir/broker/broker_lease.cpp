// Calls of workers: taking messages, and saying how the work went.
#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/broker/internal/broker_core.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/sleep.hpp>

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

namespace weir {

namespace detail {

// Without a wait, as it is also called while a cancelled call's frames end. What finds no memory or
// no room in the journal is tried again by the keeper; when the journal can't take it for another
// reason, the lease runs out instead.
bool broker_core::give_back(std::span<const leased_message> taken) noexcept {
  std::size_t done = 0;
  bool is_full = false;
  try {
    for (; done < taken.size() && failure.empty(); ++done) {
      batch.clear();
      const auto outcome = state->decide(nack_lease{.lease = taken[done].lease,
                                                    .delay = duration(),
                                                    .attempt = attempt_use::is_given_back},
                                         wall_now(), batch);
      if (!outcome) continue;
      const auto given = commit(append_class::completion);
      is_full = !given && given.error() == errc::full;
      if (is_full) break;
      if (!given) return false;
    }
    if (!is_full) return false;
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the rest is owed
  }
  try {
    owed.insert(owed.end(), taken.begin() + static_cast<std::ptrdiff_t>(done), taken.end());
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): then the lease runs out
  }
  return is_full;
}

bool broker_core::give_back_owed() {
  if (owed.empty()) return true;
  const bool is_full = give_back(std::exchange(owed, {}));
  if (!owed.empty() && !is_full) throw std::bad_alloc();
  return !is_full;
}

// A message whose body the disk does not give back would be the first in line for ever, and nobody
// behind it would be served. When the journal can't take it, the lease runs out, and it comes here
// again.
void broker_core::bury(const leased_message& one, const error& why) {
  const std::string reason = describe(why);
  log::error("a message became a dead letter: its body can't be read",
             {{"id", ids.id_text(one.lease.sequence)}, {"reason", reason}});
  const std::string text = "its body can't be read from the disk: " + reason;
  batch.clear();
  const auto outcome =
      state->decide(reject_lease{.lease = one.lease, .error = text}, wall_now(), batch);
  if (outcome) static_cast<void>(commit(append_class::completion));
}

namespace {

/// Gives messages back unless the call that took them has come to its end.
class taken_guard {
 public:
  taken_guard(broker_core& core, const std::vector<leased_message>& taken) noexcept
      : core_(core), taken_(&taken) {}
  taken_guard(const taken_guard&) = delete;
  taken_guard& operator=(const taken_guard&) = delete;
  ~taken_guard() {
    if (!taken_) return;
    core_.give_back(*taken_);
    if (!core_.owed.empty()) core_.nudge();
  }
  void keep() noexcept { taken_ = nullptr; }

 private:
  broker_core& core_;
  const std::vector<leased_message>* taken_;
};

bool is_unreadable(const error& why) noexcept {
  return why == errc::corrupt || why == errc::not_found || why == errc::io;
}

// A message without an id was lost while it was read: its lease ran out, its queue was deleted, or
// its body is damaged.
task<> read_body(broker_core* core, const leased_message* lease, taken_message* into) {
  std::optional<stored_record> record;
  try {  // not as_result(): a cancelled read is no failure
    record = co_await core->read_where(lease->lease.sequence, lease->where, record_kind::submit);
  } catch (const exception& failed) {
    if (!is_unreadable(failed.reason())) throw;
    core->bury(*lease, failed.reason());
  }
  if (!record) {
    into->id.clear();
    co_return;
  }
  const auto stored = decode<submit_record>(record->payload);
  if (!stored) raise(stored.error());
  const auto from = static_cast<std::size_t>(stored->body.text.data() - record->payload.data());
  into->body = record->payload.slice(from, stored->body.text.size());
  into->content_type = stored->content_type;
}

}  // namespace

task<std::vector<taken_message>> broker_core::deliver(std::string queue,
                                                      const std::vector<leased_message>& taken,
                                                      std::uint64_t lsn) {
  constexpr std::uint32_t reads_max = 16;  // at once
  const bool waits = !is_planted("broker: gives out what is not leased durably");
  if (waits) co_await log->wait_durable(lsn);
  std::uint64_t bytes = 0;
  for (const leased_message& one : taken) bytes += one.where.size;
  const auto room = co_await room_to_read(bytes);
  std::vector<taken_message> messages(taken.size());
  for (std::size_t i = 0; i < taken.size(); ++i) {
    messages[i].id = ids.id_text(taken[i].lease.sequence);
    messages[i].receipt = ids.receipt_text(taken[i].lease);
    messages[i].queue = queue;
    messages[i].attempt = taken[i].attempt;
    messages[i].deadline = taken[i].deadline;
  }
  if (taken.size() == 1) {
    co_await read_body(this, &taken[0], &messages[0]);
  } else {
    const auto read_all = [&](scope& readers) -> task<> {
      for (std::size_t i = 0; i < taken.size(); ++i) {
        co_await readers.spawn_when_room(read_body, this, &taken[i], &messages[i]);
      }
    };
    try {
      co_await with_scope({.name = "bodies of messages", .tasks_max = reads_max}, read_all);
    } catch (const error_group& group) {
      raise(first_error(group.first()));
    }
  }
  co_await checkpoint();  // cancelled readers end their scope without an error, and without a body
  std::erase_if(messages, [](const taken_message& one) { return one.id.empty(); });
  co_return messages;
}

}  // namespace detail

task<verdict<std::vector<taken_message>>> broker::lease(std::string_view queue, std::size_t max,
                                                        duration wait,
                                                        std::optional<duration> lease_time) {
  detail::broker_core& core = *core_;
  const lease_messages command{
      .queue = queue,
      .max = static_cast<std::uint32_t>(std::min<std::size_t>(max, UINT32_MAX)),
      .lease = lease_time,
      .expired_bytes_max = core.options.journal.group_bytes_max / 2};
  const time_point until = core.on->now() + wait;
  std::uint64_t lsn = 0;
  verdict<std::vector<leased_message>> taken;
  const auto found = core.lines.find(queue);
  const bool is_behind = found != core.lines.end() && found->second.leases.is_busy();
  const bool may_try = wait.ns <= 0 && !is_behind;
  if (may_try || core.is_closing || (is_behind && core.is_hopeless(command))) {
    taken = co_await core.perform(command, append_class::completion, lsn);
  } else if (wait.ns > 0) {
    std::optional<detail::waiter_count> counted;
    waiting_line::place place(core.lines_of(queue).leases);
    while (taken && taken->empty()) {
      if (!place.may_look() && !counted) {
        if (!core.may_wait()) co_return detail::too_many_waiters(core.options.waiters_max);
        counted.emplace(core);
      }
      if (!co_await place.wait_turn(until - core.on->now())) break;
      taken = co_await core.perform(command, append_class::completion, lsn);
    }
  }  // Else what comes belongs to those who wait.
  if (!taken) co_return std::unexpected(std::move(taken.error()));
  if (taken->empty()) co_return std::vector<taken_message>();
  detail::taken_guard guard(core, *taken);  // also when there is no memory for what follows
  auto messages = co_await core.deliver(std::string(queue), *taken, lsn);
  guard.keep();
  co_return messages;
}

task<verdict<void>> broker::ack(std::string_view receipt, std::string_view result,
                                std::string_view content_type) {
  const auto lease = core_->ids.parse_receipt(receipt);
  if (!lease) co_return detail::unknown_receipt();
  std::uint64_t lsn = 0;
  auto outcome = co_await core_->perform(
      ack_lease{.lease = *lease, .result = result, .content_type = content_type},
      append_class::completion, lsn);
  const bool waits = !is_planted("broker: confirms an acknowledgement that is not durable");
  if (outcome && waits) co_await core_->log->wait_durable(lsn);
  co_return outcome;
}

task<std::vector<verdict<void>>> broker::ack_batch(std::span<const lease_result> acks) {
  std::vector<verdict<void>> verdicts;
  verdicts.reserve(acks.size());
  std::uint64_t last = 0;
  for (const lease_result& one : acks) {
    const auto lease = core_->ids.parse_receipt(one.receipt);
    if (!lease) {
      verdicts.push_back(detail::unknown_receipt());
      continue;
    }
    std::uint64_t lsn = 0;
    verdicts.push_back(co_await core_->perform(
        ack_lease{.lease = *lease, .result = one.result, .content_type = one.content_type},
        append_class::completion, lsn));
    last = std::max(last, lsn);
  }
  co_await core_->log->wait_durable(last);
  co_return verdicts;
}

task<verdict<nacked>> broker::nack(std::string_view receipt, std::optional<duration> delay,
                                   std::string_view error, attempt_use use) {
  const auto lease = core_->ids.parse_receipt(receipt);
  if (!lease) co_return detail::unknown_receipt();
  std::uint64_t lsn = 0;
  auto outcome = co_await core_->perform(
      nack_lease{.lease = *lease, .delay = delay, .error = error, .attempt = use},
      append_class::completion, lsn);
  if (outcome) co_await core_->log->wait_durable(lsn);
  co_return outcome;
}

task<verdict<void>> broker::reject(std::string_view receipt, std::string_view error) {
  const auto lease = core_->ids.parse_receipt(receipt);
  if (!lease) co_return detail::unknown_receipt();
  std::uint64_t lsn = 0;
  auto outcome = co_await core_->perform(reject_lease{.lease = *lease, .error = error},
                                         append_class::completion, lsn);
  if (outcome) co_await core_->log->wait_durable(lsn);
  co_return outcome;
}

task<verdict<time_point>> broker::extend(std::string_view receipt,
                                         std::optional<duration> lease_time) {
  const auto lease = core_->ids.parse_receipt(receipt);
  if (!lease) co_return detail::unknown_receipt();
  std::uint64_t lsn = 0;
  auto outcome = co_await core_->perform(extend_lease{.lease = *lease, .length = lease_time},
                                         append_class::completion, lsn);
  if (outcome) co_await core_->log->wait_durable(lsn);
  co_return outcome;
}

task<verdict<redrive_view>> broker::redrive(std::string_view queue) {
  redrive_view done;
  redrive_queue command{.queue = queue, .max = core_->options.limits.redrive_max};
  for (;;) {
    std::uint64_t lsn = 0;
    const auto outcome = co_await core_->perform(command, append_class::completion, lsn);
    if (!outcome) co_return std::unexpected(outcome.error());
    done.moved += outcome->moved;
    done.leased += outcome->leased;
    done.no_queue += outcome->no_queue;
    done.left = outcome->left;
    done.ended = outcome->ended;
    co_await core_->log->wait_durable(lsn);
    if (outcome->is_finished || outcome->is_blocked) {
      // Some that were passed by may have gone meanwhile.
      std::uint64_t others = done.left - done.ended;
      done.leased = std::min(done.leased, others);
      others -= done.leased;
      done.no_queue = std::min(done.no_queue, others);
      others -= done.no_queue;
      if (outcome->is_blocked) done.no_room = others;
      co_return done;
    }
    command.from = outcome->next;
  }
}

}  // namespace weir

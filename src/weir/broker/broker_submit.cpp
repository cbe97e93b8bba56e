// Calls of producers: submitting messages, and looking at them.
#include <weir/base/defect.hpp>
#include <weir/broker/internal/broker_core.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>

#include <utility>

namespace weir {

namespace {

submit_message command_of(std::string_view queue, const new_message& message) {
  return {.queue = queue,
          .body = message.body,
          .content_type = message.content_type,
          .key = message.key,
          .reply_to = message.reply_to,
          .priority = message.priority,
          .delay = message.delay,
          .ttl = message.ttl};
}

/// What is said to a message whose sender does not wait for room while others do: room that comes
/// is theirs. A key that is known needs none, and a fault of the message is told.
verdict<submitted> answer_behind(detail::broker_core& core, const submit_message& command) {
  core.batch.clear();
  auto outcome = core.state->decide(command, core.wall_now(), core.batch);
  if (!outcome || outcome->is_duplicate) return outcome;
  return refuse(broker_errc::queue_full, "the queue is full, and others wait for room");
}

bool has_line_for_room(const detail::broker_core& core, std::string_view queue) {
  const auto found = core.lines.find(queue);
  return found != core.lines.end() && found->second.room.is_busy();
}

}  // namespace

task<verdict<accepted_message>> broker::submit(std::string_view queue, new_message message,
                                               duration wait_for_room) {
  detail::broker_core& core = *core_;
  const submit_message command = command_of(queue, message);
  const time_point until = core.on->now() + wait_for_room;
  std::uint64_t lsn = 0;
  verdict<submitted> outcome = refuse(broker_errc::queue_full, "the queue is full");
  const bool is_behind = has_line_for_room(core, queue) && !core.is_closing;
  if (is_behind) {
    outcome = answer_behind(core, command);
    lsn = core.lsn_last;
  }
  const bool is_answered = is_behind && (outcome || outcome.error() != broker_errc::queue_full);
  if (core.is_closing || (wait_for_room.ns <= 0 && !is_behind)) {
    outcome = co_await core.perform(command, append_class::intake, lsn);
  } else if (wait_for_room.ns > 0 && !is_answered) {
    std::optional<detail::waiter_count> counted;
    waiting_line::place place(core.lines_of(queue).room);
    while (!outcome && outcome.error() == broker_errc::queue_full) {
      if (!place.may_look() && !counted) {
        if (!core.may_wait()) co_return detail::too_many_waiters(core.options.waiters_max);
        counted.emplace(core);
      }
      if (!co_await place.wait_turn(until - core.on->now())) break;
      outcome = co_await core.perform(command, append_class::intake, lsn);
    }
  }
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  if (wait_for_room.ns > 0) {
    // Whoever gives up the wait for room must not hear so once there was some.
    co_await with_scope({.name = "confirmation", .shield = true},
                        [&](scope&) -> task<> { co_await core.log->wait_durable(lsn); });
  } else if (!is_planted("broker: confirms a message that is not durable")) {
    co_await core.log->wait_durable(lsn);
  }
  co_return accepted_message{.id = core.ids.id_text(outcome->sequence),
                             .is_duplicate = outcome->is_duplicate};
}

task<verdict<std::vector<verdict<accepted_message>>>> broker::submit_batch(
    std::string_view queue, std::span<const new_message> messages) {
  if (!core_->state->has_queue(queue)) co_return detail::unknown_queue(queue);
  std::vector<submit_message> commands;
  commands.reserve(messages.size());
  for (const new_message& one : messages) commands.push_back(command_of(queue, one));
  const weir::submit_batch command{.messages = commands};
  std::uint64_t lsn = 0;
  verdict<std::vector<verdict<submitted>>> outcome;
  if (has_line_for_room(*core_, queue) && !core_->is_closing) {
    core_->batch.clear();
    outcome = core_->state->decide(command, core_->wall_now(), core_->batch);
    for (std::size_t i = 0; outcome && i < commands.size(); ++i) {
      outcome->at(i) = answer_behind(*core_, commands[i]);
    }
    lsn = core_->lsn_last;
  } else {
    outcome = co_await core_->perform(command, append_class::intake, lsn);
  }
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  co_await core_->log->wait_durable(lsn);
  std::vector<verdict<accepted_message>> verdicts;
  verdicts.reserve(outcome->size());
  for (auto& one : *outcome) {
    if (one) {
      verdicts.push_back(accepted_message{.id = core_->ids.id_text(one->sequence),
                                          .is_duplicate = one->is_duplicate});
    } else {
      verdicts.push_back(std::unexpected(std::move(one.error())));
    }
  }
  co_return verdicts;
}

namespace detail {

// Compaction may move a record while we wait for the disk: the state then knows the new place.
task<std::optional<stored_record>> broker_core::read_where(std::uint64_t sequence, location where,
                                                           record_kind kind) {
  for (;;) {
    auto record = co_await as_result(log->read(where));
    if (record) {
      // The place may be that of the end record by now.
      const auto found = static_cast<record_kind>(record->kind);
      const bool is_submit = found == record_kind::submit || found == record_kind::moved_submit;
      if (is_submit == (kind == record_kind::submit)) co_return std::move(*record);
      co_return std::nullopt;
    }
    if (record.error() == errc::cancelled) co_await checkpoint();
    const auto known = state->find_message(sequence, wall_now());
    if (!known) co_return std::nullopt;
    if (known->where == where) raise(record.error());
    where = known->where;
  }
}

message_view broker_core::view_from(const message_info& known) const {
  return {.id = ids.id_text(known.sequence),
          .queue = std::string(known.queue),
          .origin = std::string(known.origin),
          .state = known.state,
          .priority = known.priority,
          .attempts = known.attempts,
          .submitted = known.submitted,
          .due = known.due,
          .kept_until = known.kept_until,
          .expires = known.expires,
          .last_error = std::string(known.last_error)};
}

task<verdict<message_view>> broker_core::view_of(std::uint64_t sequence) {
  const std::uint64_t lsn = lsn_last;
  const auto known = state->find_message(sequence, wall_now());
  if (!known) co_return unknown_message();
  message_view view = view_from(*known);
  if (known->state == message_state::done) {
    const auto room = co_await room_to_read(known->where.size);
    const auto record = co_await read_where(sequence, known->where, record_kind::end);
    if (!record) co_return unknown_message();
    const auto ended = decode<end_record>(record->payload);
    if (!ended) raise(ended.error());
    view.has_result = true;
    view.result = ended->result.text;
    view.result_type = ended->content_type;
  }
  // Nothing is told that a crash could take back.
  if (!is_planted("broker: shows what is not durable")) co_await log->wait_durable(lsn);
  co_return view;
}

}  // namespace detail

task<verdict<message_view>> broker::message(std::string_view id) {
  const auto sequence = core_->ids.parse_id(id);
  if (!sequence) co_return detail::unknown_message();
  co_return co_await core_->view_of(*sequence);
}

namespace {

// A place among those who wait for a message's end; the last to leave takes the entry out.
class end_place {
 public:
  end_place(detail::broker_core& core, std::uint64_t sequence)
      : core_(core), sequence_(sequence), at_(core.ends[sequence]) {
    ++at_.count;
  }
  end_place(const end_place&) = delete;
  end_place& operator=(const end_place&) = delete;
  ~end_place() {
    if (--at_.count == 0) core_.ends.erase(sequence_);
  }
  auto wait() noexcept { return at_.ended.wait(); }
  const detail::end_waiters& waiting() const noexcept { return at_; }

 private:
  detail::broker_core& core_;
  std::uint64_t sequence_;
  detail::end_waiters& at_;
};

}  // namespace

task<verdict<message_view>> broker::wait_ended(std::string_view id, duration at_most) {
  detail::broker_core& core = *core_;
  const auto sequence = core.ids.parse_id(id);
  if (!sequence) co_return detail::unknown_message();
  const auto is_under_way = [&core, of = *sequence] {
    const auto known = core.state->find_message(of, core.wall_now());
    return known && !has_ended(known->state) && !core.is_closing && core.failure.empty();
  };
  if (at_most.ns > 0 && is_under_way()) {
    if (!core.may_wait()) co_return detail::too_many_waiters(core.options.waiters_max);
    const detail::waiter_count counted(core);
    end_place place(core, *sequence);
    co_await with_scope({.name = "end of a message", .timeout = at_most}, [&](scope&) -> task<> {
      while (is_under_way()) co_await place.wait();
    });
    if (const auto last = place.waiting().last) {  // forgotten at its end, but not before we know
      const auto room = co_await core.room_to_read(last->result.size());
      co_await core.log->wait_durable(place.waiting().last_lsn);
      co_return *last;
    }
  }
  co_return co_await core.view_of(*sequence);
}

}  // namespace weir

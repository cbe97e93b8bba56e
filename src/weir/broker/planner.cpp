#include <weir/broker/planner.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/text.hpp>
#include <weir/broker/retry_policy.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace weir::detail {

namespace {

/// A queue without a limit of attempts still gives a reply address up in the end.
constexpr std::uint32_t reply_attempts_max = 1'000;
/// Expired messages ended on the way by one lease command.
constexpr std::size_t lease_scan_max = 1'000;

std::unexpected<refusal> bad_field(std::string_view field, std::string_view rule) {
  return refuse(broker_errc::invalid_field, fmt::format("{} {}", field, rule));
}

verdict<void> check_length(std::string_view field, duration value, duration min) {
  if (value >= min && value <= setting_duration_max) return {};
  return bad_field(field, fmt::format("must be between {} and {}", format_duration(min),
                                      format_duration(setting_duration_max)));
}

/// Cut to its bound between two characters of UTF-8.
std::string_view cut_error(std::string_view text) {
  if (text.size() <= error_text_bytes_max) return text;
  std::size_t size = error_text_bytes_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

/// A moment in a record, where 0 means none.
std::int64_t moment(time_point at) { return std::max<std::int64_t>(at.ns, 1); }

std::int64_t end_of_life(time_point from, duration ttl) {
  return ttl == duration(0) ? 0 : moment(from + ttl);
}

}  // namespace

verdict<const message_queue*> planner::queue_named(std::string_view name) const {
  if (const message_queue* const found = store_.find_queue(name)) return found;
  return refuse(broker_errc::queue_not_found,
                fmt::format("there is no queue '{}'", name.substr(0, made_queue_name_bytes_max)));
}

// What its holder can't know: a lease that was returned or has run out looks like one of others.
std::string_view planner::why_stale(const message& of) const {
  if (has_ended(of.state())) return "the receipt's message has ended";
  if (store_.origin_of(of) != 0) return "the lease ended before; the message is a dead letter";
  if (of.state() == message_state::delayed) {
    return "the lease ended before; the message is delayed until it is tried again";
  }
  return of.state() == message_state::leased
             ? "the lease ended before; the message is on another lease"
             : "the lease ended before; the message is ready for another one";
}

verdict<const message*> planner::leased_by(receipt lease) const {
  const std::uint32_t slot = store_.find(lease.sequence);
  if (slot == no_slot) {
    return refuse(broker_errc::stale_receipt, "the receipt's message is no longer known");
  }
  const message& of = store_[slot];
  const bool is_its = of.leases == lease.lease || is_planted("broker: takes a stale receipt");
  if (of.state() == message_state::leased && is_its) return &of;
  return refuse(broker_errc::stale_receipt, std::string(why_stale(of)));
}

verdict<put_outcome> planner::put(const put_queue& command) {
  const message_queue* const found = store_.find_queue(command.name);
  if (!found && !is_queue_name(command.name)) {
    return refuse(broker_errc::invalid_name,
                  fmt::format("a queue's name has 1 to {} of the characters a-z A-Z 0-9 . _ - and "
                              "does not start with a dot",
                              queue_name_bytes_max));
  }
  if (auto ok = check(command.settings, command.name); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  if (!found && store_.names().size() >= state_.limits().queues_max) {
    return refuse(broker_errc::too_many_queues,
                  fmt::format("there are {} queues already", store_.names().size()));
  }
  if (!found && next_queue_ >= queues_ever_max) {
    return refuse(broker_errc::too_many_queues,
                  fmt::format("{} queues have been made in this data folder; their numbers are "
                              "used up: move to a new one",
                              next_queue_ - 1));
  }
  out_.append(queue_set_record{found ? found->number : next_queue_++,
                               found ? found->created.ns : now_.ns, command.name,
                               command.settings});
  return found ? put_outcome::updated : put_outcome::created;
}

verdict<void> planner::drop(const delete_queue& command) {
  const auto queue = queue_named(command.name);
  if (!queue) return std::unexpected(queue.error());
  out_.append(queue_delete_record{(*queue)->number});
  return {};
}

verdict<void> planner::check_submit(const submit_message& command) const {
  const broker_limits& limits = state_.limits();
  const std::size_t missing = is_planted("broker: refuses the largest message") ? 1 : 0;
  if (command.body.size() + missing > limits.message_bytes_max) {
    return refuse(broker_errc::message_too_large,
                  fmt::format("the body has {} bytes, {} are allowed", command.body.size(),
                              limits.message_bytes_max));
  }
  if (command.priority > priority_max) {
    return bad_field("priority", fmt::format("must be 0 to {}", priority_max));
  }
  if (auto ok = check_length("delay", command.delay, duration(0)); !ok) return ok;
  if (command.ttl) {
    if (auto ok = check_length("ttl", *command.ttl, duration(0)); !ok) return ok;
  }
  if (command.key.size() > key_bytes_max) {
    return bad_field("key", fmt::format("must have at most {} bytes", key_bytes_max));
  }
  if (command.content_type.size() > content_type_bytes_max) {
    return bad_field("content type",
                     fmt::format("must have at most {} bytes", content_type_bytes_max));
  }
  if (command.reply_to.size() > url_bytes_max) {
    return bad_field("reply address", fmt::format("must have at most {} bytes", url_bytes_max));
  }
  if (!command.reply_to.empty() && store_.with_reply() + new_replies_ >= limits.replies_max) {
    return refuse(broker_errc::too_many_replies,
                  fmt::format("{} messages with a reply address are kept", limits.replies_max));
  }
  return {};
}

verdict<void> planner::check_room(const message_queue& queue, std::uint64_t bytes) {
  const room& taken = taken_[queue.number];
  const queue_settings& settings = queue.settings;
  const std::uint64_t extra = is_planted("broker: lets one message more into a queue") ? 1 : 0;
  const std::uint64_t messages = queue.messages() + taken.messages;
  if (messages >= settings.capacity_messages + extra) {
    const bool is_over = messages > settings.capacity_messages;  // which was larger once
    return refuse(
        broker_errc::queue_full,
        fmt::format("queue '{}' holds {} messages, {}", queue.name, messages,
                    is_over ? fmt::format("its capacity is {}", settings.capacity_messages)
                            : "its capacity"));
  }
  const std::uint64_t held = queue.bytes + taken.bytes;
  if (held > settings.capacity_bytes || bytes > settings.capacity_bytes - held) {
    return refuse(broker_errc::queue_full,
                  fmt::format("queue '{}' holds {} bytes; {} more are over its capacity of {}",
                              queue.name, held, bytes, settings.capacity_bytes));
  }
  return {};
}

verdict<submitted> planner::submit(const submit_message& command) {
  const auto queue = queue_named(command.queue);
  if (!queue) return std::unexpected(queue.error());
  if (auto ok = check_submit(command); !ok) return std::unexpected(std::move(ok.error()));
  const message_queue& to = **queue;
  const bool has_key = !command.key.empty() && to.settings.key_window > duration(0);
  key_digest digest;
  if (has_key) {
    digest = digest_of(state_.secret_, to.number, command.key);
    if (const auto known = store_.keys.find(digest, now_)) return submitted{*known, true};
    const auto planned = new_keys_.find(digest);
    if (planned != new_keys_.end()) return submitted{planned->second, true};
    if (store_.keys.size() + new_keys_.size() >= state_.limits().keys_max) {
      return refuse(broker_errc::too_many_keys,
                    fmt::format("{} idempotency keys are in use", state_.limits().keys_max));
    }
  }
  // Never will there be room for it: to wait would keep out all others in the line.
  if (command.body.size() > to.settings.capacity_bytes) {
    return refuse(broker_errc::message_too_large,
                  fmt::format("the body has {} bytes, queue '{}' has room for {} (capacity.bytes)",
                              command.body.size(), to.name, to.settings.capacity_bytes));
  }
  if (auto ok = check_room(to, command.body.size()); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  const time_point ready_at = now_ + command.delay;
  submit_record record;
  record.sequence = next_sequence_++;
  record.queue = to.number;
  record.submitted = now_.ns;
  record.due = command.delay == duration(0) ? 0 : moment(ready_at);
  if (is_planted("broker: cuts delays to whole seconds")) record.due -= record.due % 1'000'000'000;
  record.expires = end_of_life(ready_at, command.ttl.value_or(to.settings.ttl));
  if (is_planted("broker: forgets the time to live")) record.expires = 0;
  record.priority = static_cast<std::uint8_t>(command.priority);
  record.key_until = has_key ? moment(now_ + to.settings.key_window) : 0;
  if (has_key) record.key = command.key;
  record.reply_to = command.reply_to;
  record.content_type = command.content_type;
  record.body.text = command.body;
  out_.append(record);
  if (has_key) new_keys_.emplace(digest, record.sequence);
  if (!command.reply_to.empty()) ++new_replies_;
  room& taken = taken_[to.number];
  ++taken.messages;
  taken.bytes += command.body.size();
  return submitted{record.sequence, false};
}

verdict<std::vector<leased_message>> planner::lease(const lease_messages& command) {
  const auto queue = queue_named(command.queue);
  if (!queue) return std::unexpected(queue.error());
  const message_queue& from = **queue;
  const std::uint32_t lease_max = state_.limits().lease_max;
  if (command.max < 1 || command.max > lease_max) {
    return bad_field("max", fmt::format("must be 1 to {}", lease_max));
  }
  const duration length = command.lease.value_or(from.settings.lease);
  if (auto ok = check_length("lease", length, duration::milliseconds(1)); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  lease_record record;
  record.deadline = moment(now_ + length);
  std::vector<leased_message> taken;
  std::size_t expired = 0;
  std::uint64_t bytes = 0;
  bool is_full = false;
  for (std::uint32_t left = from.ready_priorities; left != 0 && !is_full;) {
    const auto priority = static_cast<unsigned>(is_planted("broker: serves low priorities first")
                                                    ? std::countr_zero(left)
                                                    : std::bit_width(left) - 1);
    left &= ~(1u << priority);
    const due_order& order = from.ready[priority];
    auto at = order.begin(store_.slab());
    const std::size_t extra = is_planted("broker: gives one message too many") ? 1 : 0;
    const auto may_expire = [&] {
      return expired < lease_scan_max && out_.payload_bytes() <= command.expired_bytes_max;
    };
    for (; taken.size() < command.max + extra && may_expire(); at = order.next(store_.slab(), at)) {
      const std::uint32_t slot = order.at(store_.slab(), at);
      if (slot == no_slot) break;
      const message& of = store_[slot];
      // A moved one has been on disk all along, and its lease is told once its new place is as
      // well.
      if (of.where > state_.durable_ && !of.is(message::was_moved)) break;
      if (of.expires() <= now_) {
        expire(of);
        ++expired;
        continue;
      }
      bytes += of.body_bytes;
      is_full = bytes > state_.limits().lease_bytes_max && !taken.empty();
      if (is_full) break;
      const int used = is_planted("broker: does not count attempts") ? 0 : of.attempts();
      const auto attempts = static_cast<std::uint16_t>(std::min(used + 1, 65'535));
      record.messages.push_back({of.sequence, of.leases + 1, attempts});
      taken.push_back(
          {{of.sequence, of.leases + 1}, attempts, time_point(record.deadline), of.where});
    }
  }
  if (!taken.empty()) out_.append(record);
  return taken;
}

verdict<void> planner::ack(const ack_lease& command) {
  const auto leased = leased_by(command.lease);
  if (!leased) return std::unexpected(leased.error());
  const std::uint32_t bytes_max = state_.limits().message_bytes_max;
  if (command.result.size() > bytes_max) {
    return refuse(
        broker_errc::message_too_large,
        fmt::format("the result has {} bytes, {} are allowed", command.result.size(), bytes_max));
  }
  if (command.content_type.size() > content_type_bytes_max) {
    return bad_field("content type",
                     fmt::format("must have at most {} bytes", content_type_bytes_max));
  }
  end_record record;
  record.outcome = message_state::done;
  record.content_type = command.content_type;
  record.result.text = command.result;
  end(**leased, *store_.queue((*leased)->queue), record);
  return {};
}

verdict<nacked> planner::nack(const nack_lease& command) {
  const auto leased = leased_by(command.lease);
  if (!leased) return std::unexpected(leased.error());
  const message& of = **leased;
  if (command.delay) {
    if (auto ok = check_length("delay", *command.delay, duration(0)); !ok) {
      return std::unexpected(std::move(ok.error()));
    }
  }
  const message_queue& queue = *store_.queue(of.queue);
  const bool counts = command.attempt == attempt_use::counts;
  // What is given back without a word goes on as if it had not been taken: with its error, too.
  const bool says_nothing = !counts && command.error.empty();
  const std::string_view error = says_nothing ? store_.error_of(of) : cut_error(command.error);
  if (counts && used_all_attempts(of, queue)) {
    die(of, queue, error);
    return nacked{message_state::dead, now_};
  }
  if (counts && !command.delay) return back_off(of, queue, error);
  const duration delay = command.delay.value_or(duration(0));
  std::int64_t due = delay == duration(0) ? 0 : moment(now_ + delay);
  if (is_planted("broker: ignores the delay of a nack")) due = 0;
  const int attempts = of.attempts() - (counts || of.attempts() == 0 ? 0 : 1);
  out_.append(retry_record{of.sequence, due, static_cast<std::uint16_t>(attempts), error});
  return due == 0 ? nacked{message_state::ready, now_}
                  : nacked{message_state::delayed, time_point(due)};
}

verdict<void> planner::reject(const reject_lease& command) {
  const auto leased = leased_by(command.lease);
  if (!leased) return std::unexpected(leased.error());
  die(**leased, *store_.queue((*leased)->queue), cut_error(command.error));
  return {};
}

verdict<time_point> planner::extend(const extend_lease& command) {
  const auto leased = leased_by(command.lease);
  if (!leased) return std::unexpected(leased.error());
  const message& of = **leased;
  const duration length = command.length.value_or(store_.queue(of.queue)->settings.lease);
  if (auto ok = check_length("lease", length, duration::milliseconds(1)); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  const std::int64_t deadline = moment(now_ + length);
  if (is_planted("broker: forgets an extension")) return time_point(deadline);
  out_.append(lease_record{deadline, {{of.sequence, of.leases, of.attempts()}}});
  return time_point(deadline);
}

verdict<redriven> planner::redrive(const redrive_queue& command) {
  const auto named = queue_named(command.queue);
  if (!named) return std::unexpected(named.error());
  if (command.max < 1 || command.max > state_.limits().redrive_max) {
    return bad_field("max", fmt::format("must be 1 to {}", state_.limits().redrive_max));
  }
  if (command.from.order > redrive_cursor::leased) {
    return bad_field("order", fmt::format("must be 0 to {}", redrive_cursor::leased));
  }
  const message_queue* source = *named;
  if (command.from.source != 0) {
    source = store_.live_queue(command.from.source);
  } else if (source->held_dead_letters == 0) {
    source = store_.find_queue(dead_letter_name(source->settings, source->name));
  }
  redriven outcome;
  outcome.next = command.from;
  const bool holds = source == *named;
  outcome.ended = (*named)->count(message_state::dead);
  outcome.left = holds ? source->held_dead_letters : store_.dead_letters(**named);
  outcome.left += outcome.ended;
  if (!source) return outcome;
  outcome.next.source = source->number;
  // Letters of other queues are passed over, but not without end.
  std::size_t looks = std::size_t(command.max) * 4;
  redrive_moves moves;
  const auto& slab = store_.slab();
  for (unsigned which = command.from.order + 1; which-- > 0 && outcome.is_finished;) {
    const due_order& order = order_of(*source, which);
    auto at = which == command.from.order ? place_after(*source, command.from) : order.begin(slab);
    for (; order.at(slab, at) != no_slot; at = order.next(slab, at)) {
      if (looks-- == 0 || outcome.moved == command.max) {
        outcome.is_finished = false;
        break;
      }
      const message& of = slab[order.at(slab, at)];
      const std::uint32_t origin = store_.origin_of(of);
      const message_queue* const to = store_.home_of_letters(origin);
      if (holds && origin != 0 && !to) {
        ++outcome.no_queue;
      } else if (to && (holds || to == *named)) {
        if (which == redrive_cursor::leased) {
          ++outcome.leased;
        } else if (!bring_back(of, *to, moves)) {
          outcome.is_finished = false;
          outcome.is_blocked = true;
          break;
        } else {
          ++outcome.moved;
        }
      }
      outcome.next = {source->number, which, of.due, of.sequence};
    }
  }
  for (const auto& [origin, move] : moves) out_.append(move);
  outcome.left -= std::min<std::uint64_t>(outcome.moved, outcome.left);
  return outcome;
}

const due_order& planner::order_of(const message_queue& queue, unsigned which) {
  if (which == redrive_cursor::leased) return queue.leased;
  return which == redrive_cursor::delayed ? queue.delayed : queue.ready[which];
}

due_order::cursor planner::place_after(const message_queue& queue,
                                       const redrive_cursor& from) const {
  const due_order& order = order_of(queue, from.order);
  const auto& slab = store_.slab();
  if (from.sequence == 0) return order.begin(slab);
  const std::uint32_t hint = store_.find(from.sequence);
  const auto wanted = from.order == redrive_cursor::leased    ? message_state::leased
                      : from.order == redrive_cursor::delayed ? message_state::delayed
                                                              : message_state::ready;
  const bool is_there = hint != no_slot && slab[hint].state() == wanted &&
                        slab[hint].due == from.due && slab[hint].queue == queue.number &&
                        !slab[hint].is(message::order_straggler);
  return order.after(slab, {from.due, from.sequence}, is_there ? hint : no_slot);
}

bool planner::bring_back(const message& of, const message_queue& to, redrive_moves& moves) {
  // A letter that came round to the queue in which it died takes no more room there.
  if (of.queue != to.number) {
    if (!check_room(to, of.body_bytes)) return false;
    room& taken = taken_[to.number];
    ++taken.messages;
    taken.bytes += of.body_bytes;
  }
  redrive_record& move = moves[to.number];
  move.queue = to.number;
  move.expires = end_of_life(now_, to.settings.ttl);
  move.messages.push_back(of.sequence);
  return true;
}

verdict<void> planner::settle(const settle_reply& command) {
  const reply_item* const item = store_.replies().find(command.sequence);
  if (!item || !item->is_out || item->token != command.token) {
    return refuse(broker_errc::message_not_found, "no such reply is being delivered");
  }
  const bool is_over =
      command.outcome == reply_outcome::delivered || command.outcome == reply_outcome::given_up;
  if (is_over) {
    const bool is_delivered = command.outcome == reply_outcome::delivered;
    out_.append(reply_done_record{command.sequence, static_cast<std::uint8_t>(is_delivered)});
    return {};
  }
  const message_queue* const queue = store_.live_queue(item->queue);
  const queue_settings settings = queue ? queue->settings : queue_settings{};
  // Whoever is too busy for ever is given up in the end: once the result is forgotten, calls count;
  // and at once where it is kept without end, as a dead letter.
  const std::uint32_t slot = store_.find(command.sequence);
  const bool is_free = command.outcome == reply_outcome::busy && slot != no_slot &&
                       has_ended(store_[slot].state()) &&
                       !is_planted("broker: counts busy calls of a reply");
  const std::uint32_t attempts = item->attempts + (is_free ? 0 : 1);
  const std::uint32_t calls = item->attempts + item->busy_calls + 1;
  if (!is_free && attempts >= (settings.attempts == 0 ? reply_attempts_max : settings.attempts)) {
    out_.append(reply_done_record{command.sequence, 0});
    return {};
  }
  const duration wait =
      std::max(retry_delay(settings.backoff, calls, spread(~command.sequence, calls)),
               std::min(command.retry_after, setting_duration_max));
  out_.append(reply_retry_record{command.sequence, moment(now_ + wait), attempts});
  return {};
}

bool planner::used_all_attempts(const message& of, const message_queue& queue) const {
  const message_note* const note = store_.note_of(of);
  const std::uint32_t before = note ? note->died_after : 0;
  std::uint32_t limit = queue.settings.attempts;
  if (limit != 0 && is_planted("broker: gives one attempt too many")) ++limit;
  if (limit > 1 && is_planted("broker: gives one attempt too few")) --limit;
  return limit != 0 && of.attempts() >= before + limit;
}

std::uint64_t planner::spread(std::uint64_t sequence, std::uint64_t attempt) const {
  return mix(sequence ^ mix(attempt ^ state_.secret_.low));
}

nacked planner::fail_attempt(const message& of, std::string_view error) {
  const message_queue& queue = *store_.queue(of.queue);
  if (!used_all_attempts(of, queue)) return back_off(of, queue, error);
  die(of, queue, error);
  return {message_state::dead, now_};
}

nacked planner::back_off(const message& of, const message_queue& queue, std::string_view error) {
  const message_note* const note = store_.note_of(of);
  const std::uint32_t before = note ? note->died_after : 0;
  const std::uint32_t failures = of.attempts() > before ? of.attempts() - before : 1;
  const duration wait =
      retry_delay(queue.settings.backoff, failures, spread(of.sequence, of.leases));
  const bool waits = wait != duration(0) && !is_planted("broker: forgets the back-off");
  const std::int64_t due = waits ? moment(now_ + wait) : 0;
  out_.append(retry_record{of.sequence, due, of.attempts(), error});
  return due == 0 ? nacked{message_state::ready, now_}
                  : nacked{message_state::delayed, time_point(due)};
}

void planner::die(const message& of, const message_queue& queue, std::string_view error) {
  const std::string name = dead_letter_name(queue.settings, queue.name);
  const bool has_none = is_planted("broker: moves no dead letter");
  if (name.empty() || name == queue.name || has_none) {
    end_record record;
    record.outcome = message_state::dead;
    record.error = error;
    return end(of, queue, record);
  }
  dead_record record;
  record.sequence = of.sequence;
  record.queue = dead_letter_queue(name);
  // A dead letter that dies again still belongs to the queue in which it died first.
  const std::uint32_t first = store_.origin_of(of);
  record.origin = first != 0 ? first : queue.number;
  record.at = now_.ns;
  const message_queue* const target = store_.live_queue(record.queue);
  record.expires = end_of_life(now_, target ? target->settings.ttl : duration(0));
  record.attempts = of.attempts();
  record.reply_due = reply_due(of);
  if (record.reply_due != 0) record.source = of.where;
  record.error = error;
  out_.append(record);
}

std::uint32_t planner::dead_letter_queue(const std::string& name) {
  if (const message_queue* const found = store_.find_queue(name)) return found->number;
  const auto [made, is_new] = new_queues_.try_emplace(name, next_queue_);
  if (is_new) out_.append(queue_set_record{next_queue_++, now_.ns, name, dead_letter_settings()});
  return made->second;
}

std::int64_t planner::reply_due(const message& of) const {
  // A dead letter's outcome was told when it died; what is done with it afterwards is not.
  return of.is(message::wants_reply) && store_.origin_of(of) == 0 ? moment(now_) : 0;
}

void planner::end(const message& of, const message_queue& queue, end_record record) {
  record.sequence = of.sequence;
  record.at = now_.ns;
  record.keep_until = (now_ + queue.settings.result_ttl).ns;
  record.attempts = of.attempts();
  record.reply_due = reply_due(of);
  if (record.reply_due != 0) record.source = of.where;
  if (record.error.empty()) record.error = store_.error_of(of);
  out_.append(record);
}

void planner::expire(const message& of) {
  end_record record;
  record.outcome = message_state::expired;
  end(of, *store_.queue(of.queue), record);
}

void planner::remove(std::vector<std::uint64_t> sequences) {
  if (!sequences.empty()) out_.append(remove_record{std::move(sequences)});
}

}  // namespace weir::detail

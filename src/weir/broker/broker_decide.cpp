// decide() and tick() of the broker's state: each makes one plan.
#include <weir/base/defect.hpp>
#include <weir/broker/broker_state.hpp>
#include <weir/broker/planner.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace weir {

using detail::message;
using detail::message_queue;
using detail::no_slot;
using detail::planner;

verdict<put_outcome> broker_state::decide(const put_queue& command, time_point now,
                                          record_batch& out) const {
  return planner(*this, now, out).put(command);
}

verdict<void> broker_state::decide(const delete_queue& command, time_point now,
                                   record_batch& out) const {
  return planner(*this, now, out).drop(command);
}

verdict<submitted> broker_state::decide(const submit_message& command, time_point now,
                                        record_batch& out) const {
  return planner(*this, now, out).submit(command);
}

verdict<std::vector<verdict<submitted>>> broker_state::decide(const submit_batch& command,
                                                              time_point now,
                                                              record_batch& out) const {
  if (command.messages.empty()) {
    return refuse(broker_errc::invalid_field, "the batch has no messages");
  }
  if (command.messages.size() > limits_.batch_max) {
    return refuse(broker_errc::too_many_messages,
                  fmt::format("the batch has {} messages, {} are allowed", command.messages.size(),
                              limits_.batch_max));
  }
  planner plan(*this, now, out);
  std::vector<verdict<submitted>> verdicts;
  verdicts.reserve(command.messages.size());
  for (const submit_message& one : command.messages) verdicts.push_back(plan.submit(one));
  return verdicts;
}

verdict<std::vector<leased_message>> broker_state::decide(const lease_messages& command,
                                                          time_point now, record_batch& out) const {
  return planner(*this, now, out).lease(command);
}

verdict<void> broker_state::decide(const ack_lease& command, time_point now,
                                   record_batch& out) const {
  return planner(*this, now, out).ack(command);
}

verdict<nacked> broker_state::decide(const nack_lease& command, time_point now,
                                     record_batch& out) const {
  return planner(*this, now, out).nack(command);
}

verdict<void> broker_state::decide(const reject_lease& command, time_point now,
                                   record_batch& out) const {
  return planner(*this, now, out).reject(command);
}

verdict<time_point> broker_state::decide(const extend_lease& command, time_point now,
                                         record_batch& out) const {
  return planner(*this, now, out).extend(command);
}

verdict<redriven> broker_state::decide(const redrive_queue& command, time_point now,
                                       record_batch& out) const {
  return planner(*this, now, out).redrive(command);
}

verdict<void> broker_state::decide(const settle_reply& command, time_point now,
                                   record_batch& out) const {
  return planner(*this, now, out).settle(command);
}

std::size_t broker_state::promote(message_queue& queue, time_point now, std::size_t max) {
  const auto& slab = store_.slab();
  std::size_t promoted = 0;
  for (; promoted < max && !queue.delayed.empty(); ++promoted) {
    const std::uint32_t slot = queue.delayed.first(slab);
    if (slab[slot].due > now.ns) break;
    store_.change(slot, [](message& of) { of.set_state(message_state::ready); });
    tell(slot);
  }
  return promoted;
}

std::size_t broker_state::tick_queue(message_queue& queue, time_point now, std::size_t max,
                                     planner& plan) {
  std::size_t done = promote(queue, now, max);
  const auto& slab = store_.slab();
  const auto due_in = [&](const detail::due_order& order, auto&& action) {
    for (auto at = order.begin(slab); done < max; at = order.next(slab, at), ++done) {
      const std::uint32_t slot = order.at(slab, at);
      if (slot == no_slot || slab[slot].due > now.ns) return;
      action(slab[slot]);
    }
  };
  due_in(queue.leased, [&](const message& of) { plan.fail_attempt(of, "the lease ran out"); });
  std::vector<std::uint64_t> over;
  const bool keeps = is_planted("broker: keeps results for ever");
  if (!keeps) due_in(queue.ended, [&](const message& of) { over.push_back(of.sequence); });
  plan.remove(std::move(over));
  const detail::expiry_order& expiring = queue.expiring;
  for (auto at = expiring.begin(slab); done < max; at = expiring.next(slab, at), ++done) {
    const std::uint32_t slot = expiring.at(slab, at);
    if (slot == no_slot || slab[slot].expires() > now) break;
    plan.expire(slab[slot]);
  }
  return done;
}

bool broker_state::tick(time_point now, std::size_t budget, record_batch& out) {
  constexpr std::size_t slice_min = 16;
  store_.keys.forget_until(now, budget);
  std::vector<std::uint32_t> due;
  for (const auto& [wake, number] : store_.wakes()) {
    if (wake > now.ns) break;
    due.push_back(number);
  }
  if (due.empty()) return false;
  // Each gets a share, and the next call goes on behind the last queue served: one queue with a
  // million expired leases must not hold up the others.
  std::ranges::sort(due);
  std::ranges::rotate(due, std::ranges::upper_bound(due, tick_after_));
  const std::size_t slice = std::max(slice_min, budget / due.size());
  planner plan(*this, now, out);
  std::size_t spent = 0;
  for (const std::uint32_t number : due) {
    if (spent >= budget) return true;
    tick_after_ = number;
    message_queue& queue = *store_.queue(number);
    if (queue.is_deleted) {
      spent += store_.free_deleted(queue, slice) + 1;
      continue;
    }
    const std::size_t before = plan.records();
    const std::size_t done = tick_queue(queue, now, slice, plan);
    spent += done + 1;
    // With records still to be applied the wake stays: the next call looks again.
    if (plan.records() == before && done < slice) store_.refresh_wake(queue);
  }
  return !store_.wakes().empty() && store_.wakes().begin()->first <= now.ns;
}

time_point broker_state::next_due() const noexcept {
  const auto& wakes = store_.wakes();
  const time_point queues = wakes.empty() ? time_point::never() : time_point(wakes.begin()->first);
  return std::min(queues, store_.replies().next_due());
}

std::vector<pending_reply> broker_state::take_replies(time_point now, std::size_t max) {
  std::vector<pending_reply> taken;
  while (taken.size() < max) {
    const std::uint64_t sequence = store_.take_reply(now);
    if (sequence == 0) break;
    taken.push_back(*find_reply(sequence));
  }
  return taken;
}

void broker_state::give_back_reply(std::uint64_t sequence, std::uint32_t token) noexcept {
  store_.give_back_reply(sequence, token);
}

void broker_state::put_off_reply(std::uint64_t sequence, std::uint32_t token,
                                 time_point until) noexcept {
  store_.put_off_reply(sequence, token, until);
}

std::optional<pending_reply> broker_state::find_reply(std::uint64_t sequence) const {
  const detail::reply_item* const item = store_.replies().find(sequence);
  if (!item) return std::nullopt;
  return pending_reply{sequence,     item->token,  item->outcome, item->attempts,
                       item->source, item->result, item->error};
}

}  // namespace weir

// The broker checked against itself: a full scan that must give what the counts and orders say,
// and a text of all durable facts for comparing two states.
#include <weir/broker/broker_state.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace weir {

using detail::message;
using detail::message_queue;
using detail::message_store;
using detail::no_slot;

namespace {

struct scan {
  std::array<std::uint64_t, message_states> counts{};
  std::uint64_t bytes = 0;
  std::uint64_t held_dead_letters = 0;
  std::uint64_t expiring = 0;
};

bool is_waiting(const message& of) {
  return of.state() == message_state::ready || of.state() == message_state::delayed;
}

/// Number of items in an order; counts up `wrong` for each out of order or in the wrong one.
template <class Order, class IsRight>
std::uint64_t walk(const message_store& store, const Order& order, std::uint64_t& wrong,
                   IsRight&& is_right) {
  std::uint64_t seen = 0;
  std::uint32_t before = no_slot;
  for (auto at = order.begin(store.slab()); order.at(store.slab(), at) != no_slot;
       at = order.next(store.slab(), at), ++seen) {
    const std::uint32_t slot = order.at(store.slab(), at);
    if (!is_right(store[slot], before == no_slot ? nullptr : &store[before])) ++wrong;
    before = slot;
  }
  return seen;
}

std::string audit_orders(const message_store& store, const message_queue& queue,
                         const scan& found) {
  std::uint64_t wrong = 0;
  const auto check_order = [&](const detail::due_order& order, auto&& belongs) {
    return walk(store, order, wrong, [&](const message& of, const message* before) {
      return of.queue == queue.number && belongs(of) &&
             (!before || detail::by_due::key(*before) < detail::by_due::key(of));
    });
  };
  std::uint64_t ready = 0;
  for (unsigned priority = 0; priority <= priority_max; ++priority) {
    const auto& order = queue.ready[priority];
    ready += check_order(order, [&](const message& of) {
      return of.state() == message_state::ready && of.priority() == priority && of.due == 0;
    });
    if (order.empty() == ((queue.ready_priorities >> priority & 1) != 0)) ++wrong;
  }
  const auto in_state = [](message_state state) {
    return [state](const message& of) { return of.state() == state; };
  };
  const std::uint64_t delayed = check_order(queue.delayed, in_state(message_state::delayed));
  const std::uint64_t leased = check_order(queue.leased, in_state(message_state::leased));
  const std::uint64_t ended =
      check_order(queue.ended, [](const message& of) { return has_ended(of.state()); });
  const std::uint64_t expiring =
      walk(store, queue.expiring, wrong, [&](const message& of, const message* before) {
        return of.queue == queue.number && is_waiting(of) && of.has_expiry() &&
               (!before || detail::by_expiry::key(*before) < detail::by_expiry::key(of));
      });
  const bool is_complete = ready == found.counts[0] && delayed == found.counts[1] &&
                           leased == found.counts[2] && expiring == found.expiring &&
                           ended == found.counts[3] + found.counts[4] + found.counts[5];
  if (wrong == 0 && is_complete) return "";
  return fmt::format(
      "queue '{}': {} messages are in a wrong place of its orders, which hold {} "
      "ready, {} delayed, {} leased, {} ended, {} expiring",
      queue.name, wrong, ready, delayed, leased, ended, expiring);
}

std::string audit_queue(const message_store& store, const message_queue& queue, const scan& found) {
  if (queue.counts != found.counts || queue.bytes != found.bytes ||
      queue.held_dead_letters != found.held_dead_letters) {
    return fmt::format("queue '{}': counts {} of {} bytes, a scan finds {} of {}", queue.name,
                       fmt::join(queue.counts, "/"), queue.bytes, fmt::join(found.counts, "/"),
                       found.bytes);
  }
  std::int64_t first = INT64_MAX;
  for (const auto* order : {&queue.delayed, &queue.leased, &queue.ended}) {
    if (!order->empty()) first = std::min(first, store[order->first(store.slab())].due);
  }
  if (!queue.expiring.empty()) {
    first = std::min(first, store[queue.expiring.first(store.slab())].expires().ns);
  }
  if (queue.wake > first) return fmt::format("queue '{}' would wake too late", queue.name);
  return audit_orders(store, queue, found);
}

}  // namespace

std::string broker_state::audit() const {
  std::map<std::uint32_t, scan> queues;
  std::map<std::uint32_t, std::uint64_t> died;
  std::map<std::uint64_t, std::set<location>> records;
  std::size_t with_reply = store_.replies().size();
  for (std::uint32_t slot = 0; slot < store_.slab().slots_end(); ++slot) {
    if (!store_.slab().is_used(slot)) continue;
    const message& of = store_[slot];
    scan& found = queues[of.queue];
    ++found.counts[static_cast<std::size_t>(of.state())];
    records[of.sequence].insert(of.where);
    if (is_waiting(of) && of.has_expiry()) ++found.expiring;
    if (has_ended(of.state())) continue;
    found.bytes += of.body_bytes;
    with_reply += of.is(message::wants_reply) ? 1 : 0;
    const std::uint32_t origin = store_.origin_of(of);
    found.held_dead_letters += origin != 0 ? 1 : 0;
    if (origin != 0) ++died[origin];
  }
  for (const auto& [number, found] : queues) {
    if (!store_.queue(number)) return fmt::format("queue {} is missing", number);
  }
  std::string wrong;
  store_.queues().each([&](const message_queue& queue) {
    if (wrong.empty()) wrong = audit_queue(store_, queue, queues[queue.number]);
    if (wrong.empty() && queue.number >= store_.next_queue) {
      wrong = fmt::format("queue {} is beyond the next one, {}", queue.number, store_.next_queue);
    }
    const std::uint64_t counted = store_.dead_letters(queue.number);
    if (wrong.empty() && counted != died[queue.number]) {
      wrong = fmt::format("queue '{}' counts {} dead letters, a scan finds {}", queue.name, counted,
                          died[queue.number]);
    }
  });
  if (!wrong.empty()) return wrong;
  if (with_reply != store_.with_reply()) return "messages with a reply address are miscounted";
  for (const auto& [sequence, reply] : store_.replies().items()) {
    records[sequence].insert(reply.source);
    records[sequence].insert(reply.result);
  }
  std::map<std::uint32_t, std::uint64_t> live;
  for (const auto& [sequence, places] : records) {
    for (const location& where : places) {
      if (where) live[where.segment] += where.size;
    }
  }
  for (const auto& [segment, bytes] : live) {
    if (store_.live_bytes(segment) != bytes) {
      return fmt::format("segment {} counts {} live bytes, a scan finds {}", segment,
                         store_.live_bytes(segment), bytes);
    }
  }
  return store_.live().size() == live.size() ? "" : "a segment without live records is counted";
}

std::string broker_state::describe(time_point now) const {
  std::vector<std::string> lines;
  lines.push_back(
      fmt::format("next sequence {} queue {}", store_.next_sequence, store_.next_queue));
  for (const auto& [name, number] : store_.names()) {
    const message_queue& queue = *store_.queue(number);
    record_batch settings;
    settings.append(queue_set_record{number, queue.created.ns, name, queue.settings});
    lines.push_back(
        fmt::format("queue {:08} settings {:016x}", number, siphash({}, settings[0].payload)));
  }
  std::set<std::uint32_t> origins;
  for (std::uint32_t slot = 0; slot < store_.slab().slots_end(); ++slot) {
    if (!store_.slab().is_used(slot)) continue;
    const message& of = store_[slot];
    if (!store_.live_queue(of.queue)) continue;
    if (!has_ended(of.state())) origins.insert(store_.origin_of(of));
    const bool is_due = of.state() == message_state::delayed && of.due <= now.ns;
    lines.push_back(fmt::format(
        "message {:012} {} queue {} p{} due {} submitted {} expires {} attempts {} leases {} at "
        "{}:{}+{} body {} flags {:x} origin {} after {} error '{}'",
        of.sequence, is_due ? "ready" : name(of.state()), of.queue, of.priority(),
        is_due ? 0 : of.due, of.submitted().ns, of.has_expiry() ? of.expires().ns : 0,
        of.attempts(), of.leases, of.where.segment, of.where.offset, of.where.size, of.body_bytes,
        of.is(message::wants_reply) ? 1 : 0, store_.origin_of(of),
        store_.note_of(of) ? store_.note_of(of)->died_after : 0, store_.error_of(of)));
  }
  for (const auto& [name, number] : store_.former().all()) {
    if (!origins.contains(number)) continue;
    lines.push_back(fmt::format("letters of queue {:08} '{}', which was deleted", number, name));
  }
  const auto& keys = store_.keys.items();
  for (std::uint32_t slot = 0; slot < keys.slots_end(); ++slot) {
    if (!keys.is_used(slot) || keys[slot].until <= now.ns) continue;
    lines.push_back(fmt::format("key {:016x}{:016x} names {} until {}", keys[slot].digest.first,
                                keys[slot].digest.second, keys[slot].sequence, keys[slot].until));
  }
  for (const auto& [sequence, reply] : store_.replies().items()) {
    lines.push_back(fmt::format("reply {:012} {} queue {} attempts {} due {} from {}:{} {}:{} '{}'",
                                sequence, name(reply.outcome), reply.queue, reply.attempts,
                                reply.due, reply.source.segment, reply.source.offset,
                                reply.result.segment, reply.result.offset, reply.error));
  }
  std::ranges::sort(lines);
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

}  // namespace weir

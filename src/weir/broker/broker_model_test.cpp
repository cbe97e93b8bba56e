// The broker against a reference model, in lock-step under random commands: the model is as naive
// as can be (one map, scanned for every question) so that its correctness is plain to see. After
// every step both must agree; now and then the broker is also audited, rebuilt from its journal,
// and rebuilt from a fuzzy snapshot with the journal's tail.
#include <weir/base/random.hpp>
#include <weir/broker/broker_state.hpp>
#include <weir/broker/internal/test_broker.hpp>
#include <weir/broker/retry_policy.hpp>
#include <weir/testing/allocations.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weir::broker_model_test {
namespace {

using detail::journal_entry;
using detail::test_broker;

struct model_message {
  std::string queue;
  std::string origin;
  message_state state = message_state::ready;
  unsigned priority = 0;
  std::int64_t due = 0;
  std::int64_t expires = INT64_MAX;
  std::uint32_t attempts = 0;
  std::uint32_t died_after = 0;
  std::uint32_t lease = 0;
  std::size_t body = 0;
  std::string error;
};

struct model_key {
  std::uint64_t sequence = 0;
  std::int64_t until = 0;
};

std::int64_t up_to_ms(std::int64_t ns) { return (ns + 999'999) / 1'000'000 * 1'000'000; }

/// The semantics of the broker, written down once more without any index.
struct reference_model {
  explicit reference_model(const broker_state& state) : truth(&state) {}

  const broker_state* truth;
  std::map<std::string, queue_settings> queues;
  std::map<std::uint64_t, model_message> messages;
  std::map<std::pair<std::string, std::string>, model_key> keys;

  bool is_on_its_way(const model_message& m) const { return !has_ended(m.state); }

  std::uint64_t count(const std::string& queue, message_state state) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(messages, [&](const auto& entry) {
      return entry.second.queue == queue && entry.second.state == state;
    }));
  }
  std::uint64_t bytes(const std::string& queue) const {
    std::uint64_t sum = 0;
    for (const auto& [id, m] : messages) sum += m.queue == queue && is_on_its_way(m) ? m.body : 0;
    return sum;
  }
  std::uint64_t dead(const std::string& queue) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(messages, [&](const auto& entry) {
      const model_message& m = entry.second;
      return is_on_its_way(m) ? m.origin == queue
                              : m.queue == queue && m.state == message_state::dead;
    }));
  }
  bool has_room(const std::string& queue, std::size_t body) const {
    const queue_settings& s = queues.at(queue);
    const std::uint64_t held = count(queue, message_state::ready) +
                               count(queue, message_state::delayed) +
                               count(queue, message_state::leased);
    return held < s.capacity_messages && bytes(queue) + body <= s.capacity_bytes;
  }

  void end(std::uint64_t id, message_state how, std::int64_t now) {
    model_message& m = messages.at(id);
    m.state = how;
    m.due = now + queues.at(m.queue).result_ttl.ns;
    if (m.due <= now) messages.erase(id);
  }
  void die(std::uint64_t id, const std::string& error, std::int64_t now) {
    model_message& m = messages.at(id);
    m.error = error;
    const std::string target = dead_letter_name(queues.at(m.queue), m.queue);
    if (target.empty()) return end(id, message_state::dead, now);
    queues.try_emplace(target, dead_letter_settings());
    if (m.origin.empty()) m.origin = m.queue;
    m.queue = target;
    m.state = message_state::ready;
    m.died_after = m.attempts;
    m.expires = life(target, now);
  }
  std::int64_t life(const std::string& queue, std::int64_t from) const {
    const duration ttl = queues.at(queue).ttl;
    return ttl == duration(0) ? INT64_MAX : up_to_ms(from + ttl.ns);
  }
  /// Jitter is off, except in dead-letter queues that the broker made: there the model believes the
  /// broker a wait within its range.
  duration believed_wait(std::uint64_t id, const queue_settings& s, std::uint32_t failures,
                         std::int64_t now) const {
    const duration min = retry_delay(s.backoff, failures, 0);
    if (s.backoff.jitter == 0) return min;
    const auto info = truth->find_message(id, time_point(now));
    if (!info || (info->state != message_state::delayed && info->state != message_state::dead)) {
      return min;
    }
    const duration told = info->due - time_point(now);
    return told >= min && told <= retry_delay(s.backoff, failures, UINT64_MAX) ? told : min;
  }
  void fail(std::uint64_t id, const std::string& error, std::optional<duration> delay,
            std::int64_t now) {
    model_message& m = messages.at(id);
    const queue_settings& s = queues.at(m.queue);
    if (s.attempts != 0 && m.attempts - m.died_after >= s.attempts) return die(id, error, now);
    const std::uint32_t failures = std::max(m.attempts - m.died_after, 1u);
    const duration wait = delay.value_or(believed_wait(id, s, failures, now));
    m.error = error;
    m.state = wait == duration(0) ? message_state::ready : message_state::delayed;
    m.due = now + wait.ns;
  }
  /// All that time brings, until nothing is due.
  void pass(std::int64_t now) {
    for (bool changed = true; changed;) {
      changed = false;
      std::vector<std::uint64_t> ids;
      for (const auto& [id, m] : messages) ids.push_back(id);
      for (const std::uint64_t id : ids) changed |= pass_one(id, now);
    }
  }
  bool pass_one(std::uint64_t id, std::int64_t now) {
    model_message& m = messages.at(id);
    const bool is_due = m.due <= now;
    if (m.state == message_state::delayed && is_due) return m.state = message_state::ready, true;
    if (m.state == message_state::leased && is_due) {
      return fail(id, "the lease ran out", {}, now), true;
    }
    if (has_ended(m.state) && is_due) return messages.erase(id), true;
    if ((m.state == message_state::ready || m.state == message_state::delayed) &&
        m.expires <= now) {
      return end(id, message_state::expired, now), true;
    }
    return false;
  }
  std::vector<std::uint64_t> next(const std::string& queue, std::size_t max) const {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, m] : messages) {
      if (m.queue == queue && m.state == message_state::ready) ids.push_back(id);
    }
    std::ranges::sort(ids, {}, [&](std::uint64_t id) {
      return std::pair(priority_max - messages.at(id).priority, id);
    });
    if (ids.size() > max) ids.resize(max);
    return ids;
  }
  std::vector<std::uint64_t> delayed(const std::string& queue) const {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, m] : messages) {
      if (m.queue == queue && m.state == message_state::delayed) ids.push_back(id);
    }
    std::ranges::sort(ids, {},
                      [&](std::uint64_t id) { return std::pair(messages.at(id).due, id); });
    return ids;
  }
};

class lock_step {
 public:
  explicit lock_step(std::uint64_t seed) : random_(seed) { put("a"), put("b"), put("c"); }

  void step() {
    switch (random_.below(20)) {
      case 0:
        put(name());
        break;
      case 1:
        if (random_.chance(0.15)) drop(name());
        break;
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        submit();
        break;
      case 8:
      case 9:
      case 10:
        take();
        break;
      case 11:
      case 12:
      case 13:
        ack();
        break;
      case 14:
      case 15:
        nack();
        break;
      case 16:
        random_.chance(0.5) ? reject() : extend();
        break;
      case 17:
        redrive();
        break;
      case 18:
        relocate();
        break;
      default:
        pass();
        break;
    }
    settle_replies();
    compare();
  }

  test_broker b;

 private:
  std::string name() {
    const char* const names[] = {"a", "b", "c", "a.dead", "all"};
    return names[random_.below(5)];
  }
  std::int64_t now() const { return b.now.ns; }
  duration some_time() {
    return duration::milliseconds(static_cast<std::int64_t>(random_.below(20'000)));
  }

  void put(const std::string& queue) {
    queue_settings s;
    s.backoff.jitter = 0;
    s.backoff.first = random_.chance(0.2) ? duration(0) : duration::seconds(2);
    s.attempts = static_cast<std::uint32_t>(random_.below(4));
    s.capacity_messages = random_.chance(0.7) ? 1'000 : 5;
    s.capacity_bytes = random_.chance(0.8) ? 100'000 : 300;
    s.lease = duration::seconds(1 + static_cast<std::int64_t>(random_.below(20)));
    s.ttl = random_.chance(0.5) ? duration(0) : duration::seconds(30);
    s.result_ttl = duration::seconds(random_.chance(0.3) ? 0 : 20);
    s.key_window = duration::seconds(15);
    const char* const letters[] = {"{q}.dead", "all", "", "b"};
    s.dead_letter = letters[random_.below(4)];
    const bool is_new = !model_.queues.contains(queue);
    const bool is_allowed = check(s, queue).has_value();
    const auto outcome = b.run(put_queue{queue, s});
    ASSERT_EQ(outcome.has_value(), is_allowed);
    if (!outcome) return;
    ASSERT_EQ(*outcome, is_new ? put_outcome::created : put_outcome::updated);
    model_.queues[queue] = s;
  }
  void drop(const std::string& queue) {
    ASSERT_EQ(b.run(delete_queue{queue}).has_value(), model_.queues.erase(queue) == 1);
    std::erase_if(model_.messages, [&](const auto& entry) { return entry.second.queue == queue; });
    std::erase_if(model_.keys, [&](const auto& entry) { return entry.first.first == queue; });
  }
  void submit() {
    const std::string queue = name();
    const std::string key = random_.chance(0.3) ? std::to_string(random_.below(20)) : "";
    const std::string body(random_.below(100), 'x');
    submit_message command{.queue = queue, .body = body, .key = key};
    command.priority = random_.chance(0.5) ? 0 : static_cast<unsigned>(random_.below(10));
    if (random_.chance(0.3)) command.delay = some_time();
    if (random_.chance(0.3)) command.ttl = random_.chance(0.2) ? duration(0) : some_time();
    if (random_.chance(0.2)) command.reply_to = "http://reply";
    const auto outcome = b.run(command);
    if (!model_.queues.contains(queue)) {
      ASSERT_EQ(outcome.error().code, broker_errc::queue_not_found);
      return;
    }
    const auto known = model_.keys.find({queue, key});
    if (!key.empty() && known != model_.keys.end() && known->second.until > now()) {
      ASSERT_TRUE(outcome && outcome->is_duplicate);
      ASSERT_EQ(outcome->sequence, known->second.sequence);
      return;
    }
    if (body.size() > model_.queues.at(queue).capacity_bytes) {
      ASSERT_EQ(outcome.error().code, broker_errc::message_too_large);
      return;
    }
    if (!model_.has_room(queue, body.size())) {
      ASSERT_EQ(outcome.error().code, broker_errc::queue_full);
      return;
    }
    ASSERT_TRUE(outcome && !outcome->is_duplicate);
    ASSERT_FALSE(model_.messages.contains(outcome->sequence));
    const std::int64_t ready_at = now() + command.delay.ns;
    const duration ttl = command.ttl.value_or(model_.queues.at(queue).ttl);
    model_message& m = model_.messages[outcome->sequence];
    m.queue = queue;
    m.priority = command.priority;
    m.state = command.delay == duration(0) ? message_state::ready : message_state::delayed;
    m.due = ready_at;
    m.expires = ttl == duration(0) ? INT64_MAX : up_to_ms(ready_at + ttl.ns);
    m.body = body.size();
    if (!key.empty()) {
      model_.keys[{queue, key}] = {outcome->sequence,
                                   now() + model_.queues.at(queue).key_window.ns};
    }
  }
  void take() {
    const std::string queue = name();
    const auto max = static_cast<std::uint32_t>(1 + random_.below(5));
    const auto outcome = b.run(lease_messages{.queue = queue, .max = max});
    ASSERT_EQ(outcome.has_value(), model_.queues.contains(queue));
    if (!outcome) return;
    const auto expected = model_.next(queue, max);
    ASSERT_EQ(outcome->size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const leased_message& taken = (*outcome)[i];
      model_message& m = model_.messages.at(expected[i]);
      ASSERT_EQ(taken.lease.sequence, expected[i]);
      ASSERT_EQ(taken.attempt, ++m.attempts);
      ASSERT_EQ(taken.lease.lease, ++m.lease);
      ASSERT_EQ(decode<submit_record>(b.journal.at(taken.where).payload)->body.text.size(), m.body);
      m.state = message_state::leased;
      m.due = taken.deadline.ns;
      ASSERT_EQ(m.due, now() + model_.queues.at(queue).lease.ns);
      receipts_.push_back(taken.lease);
    }
  }
  /// A receipt given out at some time, and its message if the lease still holds.
  std::pair<receipt, model_message*> some_receipt() {
    if (receipts_.empty()) return {{12'345, 1}, nullptr};
    // Mostly a recent one: the old ones are all stale.
    const std::size_t back = random_.below(std::min<std::size_t>(receipts_.size(), 12));
    const receipt lease = receipts_[receipts_.size() - 1 - back];
    const auto found = model_.messages.find(lease.sequence);
    const bool holds = found != model_.messages.end() &&
                       found->second.state == message_state::leased &&
                       found->second.lease == lease.lease;
    return {lease, holds ? &found->second : nullptr};
  }
  void ack() {
    const auto [lease, held] = some_receipt();
    const auto outcome = b.run(ack_lease{lease, "result", ""});
    ASSERT_EQ(outcome.has_value(), held != nullptr);
    if (held) model_.end(lease.sequence, message_state::done, now());
  }
  void nack() {
    const auto [lease, held] = some_receipt();
    std::optional<duration> delay;
    if (random_.chance(0.5)) delay = random_.chance(0.5) ? duration(0) : some_time();
    const bool counts = random_.chance(0.8);
    const std::string error = std::to_string(random_.below(5));
    const auto use = counts ? attempt_use::counts : attempt_use::is_given_back;
    const auto outcome = b.run(nack_lease{lease, delay, error, use});
    ASSERT_EQ(outcome.has_value(), held != nullptr);
    if (!held) return;
    if (counts) {
      model_.fail(lease.sequence, error, delay, now());
    } else {
      --held->attempts;
      held->error = error;
      const duration wait = delay.value_or(duration(0));
      held->state = wait == duration(0) ? message_state::ready : message_state::delayed;
      held->due = now() + wait.ns;
    }
  }
  void reject() {
    const auto [lease, held] = some_receipt();
    const auto outcome = b.run(reject_lease{lease, "rejected"});
    ASSERT_EQ(outcome.has_value(), held != nullptr);
    if (held) model_.die(lease.sequence, "rejected", now());
  }
  void extend() {
    const auto [lease, held] = some_receipt();
    const duration length = some_time() + duration::seconds(1);
    const auto outcome = b.run(extend_lease{lease, length});
    ASSERT_EQ(outcome.has_value(), held != nullptr);
    if (held) held->due = now() + length.ns;
  }
  void redrive() {
    const std::string queue = name();
    redrive_cursor at;
    for (bool is_finished = false; !is_finished;) {
      const auto outcome = b.run(redrive_queue{.queue = queue, .max = 3, .from = at});
      ASSERT_EQ(outcome.has_value(), model_.queues.contains(queue));
      if (!outcome) return;
      at = outcome->next;
      is_finished = outcome->is_finished || outcome->is_blocked;
    }
    const bool holds = std::ranges::any_of(model_.messages, [&](const auto& entry) {
      return entry.second.queue == queue && model_.is_on_its_way(entry.second) &&
             !entry.second.origin.empty();
    });
    const std::string source = holds ? queue : dead_letter_name(model_.queues.at(queue), queue);
    std::vector<std::uint64_t> ids = model_.delayed(source);
    const std::vector<std::uint64_t> ready = model_.next(source, SIZE_MAX);
    ids.insert(ids.end(), ready.begin(), ready.end());
    for (const std::uint64_t id : ids) {
      model_message& m = model_.messages.at(id);
      if (m.origin.empty() || !model_.queues.contains(m.origin)) continue;
      if (!holds && m.origin != queue) continue;
      if (m.origin != source && !model_.has_room(m.origin, m.body)) break;
      m.state = message_state::ready;
      m.due = 0;
      m.queue = m.origin;
      m.origin.clear();
      m.attempts = m.died_after = 0;
      m.expires = model_.life(m.queue, now());
    }
  }
  /// As a compactor would: the live records of one segment are written again.
  void relocate() {
    const auto& entries = b.journal.entries();
    const std::uint32_t last = entries.back().where.segment;
    const auto segment = static_cast<std::uint32_t>(1 + random_.below(last));
    std::uint64_t live = 0;
    b.batch.clear();
    for (const journal_entry& entry : entries) {
      if (entry.where.segment != segment || !b.state.is_live(entry.view(), entry.where)) continue;
      live += entry.where.size;
      b.batch.append(broker_state::relocated(entry.view()));
    }
    ASSERT_EQ(b.state.live_bytes(segment), live);
    b.commit();
    if (segment != last) ASSERT_EQ(b.state.live_bytes(segment), 0u);
  }
  void pass() {
    b.pass(random_.chance(0.2) ? duration(0) : some_time() + duration(random_.below(1'000)));
    model_.pass(now());
  }
  void settle_replies() {
    if (!random_.chance(0.3)) return;
    for (const pending_reply& reply : b.state.take_replies(b.now, 3)) {
      const auto outcome = static_cast<reply_outcome>(random_.below(4));
      ASSERT_TRUE(b.run(settle_reply{reply.sequence, reply.token, outcome}));
      const auto sent = decode<submit_record>(b.journal.at(reply.source).payload);
      ASSERT_EQ(sent->reply_to, "http://reply");
      ASSERT_EQ(sent->sequence, reply.sequence);
    }
  }

  void compare() {
    model_.pass(now());
    b.tick();
    ASSERT_EQ(b.state.queues("", 100).size(), model_.queues.size());
    for (const auto& [queue, settings] : model_.queues) {
      const auto info = b.state.find_queue(queue);
      ASSERT_TRUE(info) << queue;
      ASSERT_EQ(info->ready, model_.count(queue, message_state::ready)) << queue;
      ASSERT_EQ(info->delayed, model_.count(queue, message_state::delayed)) << queue;
      ASSERT_EQ(info->leased, model_.count(queue, message_state::leased)) << queue;
      ASSERT_EQ(info->done, model_.count(queue, message_state::done)) << queue;
      ASSERT_EQ(info->expired, model_.count(queue, message_state::expired)) << queue;
      ASSERT_EQ(info->dead, model_.dead(queue)) << queue;
      ASSERT_EQ(info->bytes, model_.bytes(queue)) << queue;
    }
    if (model_.messages.empty()) return;
    auto at = model_.messages.lower_bound(random_.below(model_.messages.rbegin()->first + 1));
    const auto& [id, m] = *at;
    const auto info = b.state.find_message(id, b.now);
    ASSERT_TRUE(info) << id;
    ASSERT_EQ(info->queue, m.queue);
    const bool is_letter = model_.is_on_its_way(m) && !m.origin.empty();
    ASSERT_EQ(info->state, is_letter ? message_state::dead : m.state);
    ASSERT_EQ(info->attempts, m.attempts);
    ASSERT_EQ(info->priority, m.priority);
    ASSERT_EQ(info->last_error, m.error);
    if (m.state != message_state::ready) ASSERT_EQ(info->due.ns, m.due);
    if (model_.is_on_its_way(m)) ASSERT_EQ(info->expires.ns, m.expires);
  }

  random_source random_;
  reference_model model_{b.state};
  std::vector<receipt> receipts_;
};

class broker_model : public ::testing::TestWithParam<int> {};

TEST_P(broker_model, agrees_with_the_reference_after_every_random_command) {
  lock_step run(static_cast<std::uint64_t>(GetParam()));
  run.b.allocations = &testing::allocations;
  for (int i = 0; i < 2'500; ++i) {
    SCOPED_TRACE(fmt::format("seed {} step {}", GetParam(), i));
    run.step();
    if (HasFatalFailure()) return;
    ASSERT_EQ(run.b.allocated, 0u) << "what is written has the memory for what it does";
    if (i % 50 == 0) ASSERT_EQ(run.b.state.audit(), "");
  }
  EXPECT_EQ(run.b.replayed(), run.b.state.describe(run.b.now));
}

TEST_P(broker_model, a_fuzzy_snapshot_and_the_tail_give_the_same_state_at_any_time) {
  lock_step run(static_cast<std::uint64_t>(1'000 + GetParam()));
  random_source random(static_cast<std::uint64_t>(GetParam()));
  int snapshots = 0;
  for (int i = 0; i < 1'500;) {
    SCOPED_TRACE(fmt::format("seed {} step {}", GetParam(), i));
    snapshot_writer writer(run.b.state);
    std::string file;
    while (!writer.is_finished()) {
      file += writer.next(200);
      for (std::uint64_t n = random.below(12); n > 0; --n, ++i) run.step();
      if (HasFatalFailure()) return;
    }
    for (std::uint64_t n = random.below(40); n > 0; --n, ++i) run.step();
    if (HasFatalFailure()) return;
    broker_state loaded(detail::test_secret, {});
    snapshot_loader loader(loaded);
    ASSERT_TRUE(loader.feed(file));
    ASSERT_TRUE(loader.finish());
    ASSERT_EQ(loaded.audit(), "");
    ASSERT_EQ(loader.start(), writer.start());
    ASSERT_EQ(loader.end(), writer.end());
    for (const journal_entry& entry : run.b.journal.entries()) {
      if (entry.where > loader.start()) ASSERT_TRUE(loaded.apply(entry.view(), entry.where));
    }
    ASSERT_EQ(loaded.audit(), "");
    ASSERT_EQ(loaded.describe(run.b.now), run.b.state.describe(run.b.now));
    ++snapshots;
  }
  EXPECT_GT(snapshots, 5);
}

INSTANTIATE_TEST_SUITE_P(seeds, broker_model, ::testing::Range(1, 9));

}  // namespace
}  // namespace weir::broker_model_test

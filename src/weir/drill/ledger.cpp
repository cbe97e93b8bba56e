#include <weir/drill/ledger.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weir::drill {

// The first one counts: what follows may be its consequence.
template <class... A>
void ledger::fail(const char* format, const A&... about) {
  if (violation_.empty()) violation_ = fmt::format(fmt::runtime(format), about...);
}

void ledger::broken(std::string what) { fail("{}", what); }

std::uint64_t ledger::begin_submission(const queue_rules& queue, bool wants_reply,
                                       std::uint32_t priority, time_point not_before) {
  ++counts_.tried;
  entry one;
  one.priority = priority;
  one.begun_at = ++now_;
  if (not_before != time_point()) one.early[1] = not_before;
  one.number = entries_.size() + 1;
  one.queue = queue;
  one.wants_reply = wants_reply;
  entries_.push_back(std::move(one));
  return entries_.size();
}

// Ids are learnt from confirmations and from deliveries, whichever comes first.
void ledger::give_id(entry& one, const std::string& id) {
  if (one.id.empty()) {
    one.id = id;
    const auto [at, is_new] = by_id_.emplace(id, one.number);
    if (!is_new) {
      fail("(4) the id {} belongs to the bodies {} and {}", id, at->second, one.number);
    }
    if (const auto early = early_replies_.extract(id)) take_reply(one, early.mapped());
  } else if (one.id != id) {
    fail("(5) body {} was submitted once and is two messages: {} and {}", one.number, one.id, id);
  }
}

ledger::entry* ledger::find(const std::string& id, const char* by) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) return &entries_[found->second - 1];
  fail("(4) {}: nobody knows the message {}", by, id);
  return nullptr;
}

void ledger::update_open(entry& one) {
  const bool is_open = one.is_confirmed && (one.end.empty() || !one.is_looked_at ||
                                            (one.wants_reply && !one.has_reply));
  ++now_;
  if (is_open == one.is_open) return;
  one.is_open = is_open;
  open_ += is_open ? 1 : std::size_t(-1);
}

void ledger::confirmed(std::uint64_t number, std::string id, bool is_duplicate) {
  entry& one = entries_[number - 1];
  counts_.duplicates += is_duplicate ? 1 : 0;
  counts_.confirmed += one.is_confirmed ? 0 : 1;
  give_id(one, id);
  one.is_confirmed = true;
  update_open(one);
  one.confirmed_at = std::min(one.confirmed_at, now_);
}

void ledger::delivered(const queue_rules& queue, const delivery& what) {
  ++counts_.delivered;
  counts_.pushed += what.is_pushed ? 1 : 0;
  if (what.number == 0 || what.number > entries_.size() || !what.is_body_whole) {
    return fail("(4) message {} of {} has a body that nobody has submitted", what.id, queue.name);
  }
  entry& one = entries_[what.number - 1];
  give_id(one, what.id);
  if (std::string_view(one.queue.name) != queue.name) {
    fail("(4) message {} was submitted to {} and comes out of {}", what.id, one.queue.name,
         queue.name);
  }
  if (queue.attempts != 0 && what.attempt > queue.attempts) {
    fail("(3) attempt {} of message {} in {}, which has {}", what.attempt, what.id, queue.name,
         queue.attempts);
  }
  if (std::ranges::find(one.attempts, what.attempt) != one.attempts.end()) {
    fail("(3) attempt {} of message {} was given out twice", what.attempt, what.id);
  }
  if (one.acked && what.attempt > *one.acked) {
    fail("(2) attempt {} of message {} was given out, although attempt {} was acknowledged",
         what.attempt, what.id, *one.acked);
  }
  const auto early = one.early.find(what.attempt);
  if (has_clocks_ && early != one.early.end() && what.at < early->second) {
    fail("(9) attempt {} of message {} came {} us before its time", what.attempt, what.id,
         (early->second - what.at).ns / 1'000);
  }
  if (queue.lease.ns > 0) one.early[what.attempt + 1] = what.asked + queue.lease;
  one.attempts.push_back(what.attempt);
}

void ledger::delivered_together(const queue_rules& queue, std::span<const delivery> all,
                                std::size_t wanted) {
  if (all.size() > wanted) {
    fail("(9) {} messages of {} were given out where {} were wanted", all.size(), queue.name,
         wanted);
  }
  for (std::size_t i = 1; i < all.size(); ++i) {
    const entry* const first = find(all[i - 1].id, "a worker");
    const entry* const second = find(all[i].id, "a worker");
    if (!first || !second) return;
    const bool is_older = second->confirmed_at < first->begun_at;
    if (second->priority > first->priority) {
      fail("(9) message {} of priority {} came behind message {} of {}", second->id,
           second->priority, first->id, first->priority);
    } else if (second->priority == first->priority && is_older) {
      fail("(9) message {} came behind message {}, which is younger", second->id, first->id);
    }
  }
}

void ledger::extended(const std::string& id, std::uint32_t attempt, time_point asked) {
  entry* one = find(id, "an extension");
  if (!one) return;
  const auto early = one->early.find(attempt + 1);
  if (early == one->early.end()) return;  // given up meanwhile
  early->second = std::max(early->second, asked + one->queue.lease);
}

void ledger::nack_tried(const std::string& id, std::uint32_t attempt) {
  if (entry* one = find(id, "a refusal")) one->early.erase(attempt + 1);
}

void ledger::nack_confirmed(const std::string& id, std::uint32_t attempt, time_point not_before) {
  if (entry* one = find(id, "a refusal")) one->early[attempt + 1] = not_before;
}

void ledger::ack_tried(const std::string& id, std::uint32_t attempt, std::string result) {
  if (entry* one = find(id, "an acknowledgement")) {
    one->acks_tried.emplace(attempt, std::move(result));
  }
}

void ledger::ack_confirmed(const std::string& id, std::uint32_t attempt) {
  entry* one = find(id, "an acknowledgement");
  if (!one) return;
  one->known_at = std::min(one->known_at, ++now_);
  ++counts_.acked;
  if (one->acked && *one->acked != attempt) {
    fail("(2) message {} was acknowledged in attempt {} and in attempt {}", id, *one->acked,
         attempt);
  }
  for (const std::uint32_t later : one->attempts) {
    if (later > attempt) {
      fail("(2) attempt {} of message {} was acknowledged, although attempt {} had begun", attempt,
           id, later);
    }
  }
  if (one->end == "dead") fail("(7) message {} is dead and was acknowledged", id);
  one->acked = attempt;
}

void ledger::given_back(const std::string& id, std::uint32_t attempt) {
  if (entry* one = find(id, "a refusal")) std::erase(one->attempts, attempt);
}

void ledger::given_up(const std::string& id) {
  if (entry* one = find(id, "a refusal")) one->is_given_up = true;
}

void ledger::check_end(entry& one, const sighting& what, const char* by) {
  if (!one.end.empty() && (one.end != what.state || one.result != what.result)) {
    fail("(7) {}: message {} was {} with '{}' and is {} with '{}'", by, one.id, one.end, one.result,
         what.state, what.result);
  }
  if (what.state == "done") {
    const bool is_known = std::ranges::any_of(
        one.acks_tried, [&](const auto& tried) { return tried.second == what.result; });
    if (!is_known) fail("(6) {}: message {} has the result '{}'", by, one.id, what.result);
    if (one.acked && one.acks_tried[*one.acked] != what.result) {
      fail("(6) {}: message {} has the result '{}', but '{}' was acknowledged", by, one.id,
           what.result, one.acks_tried[*one.acked]);
    }
    for (const auto& [attempt, result] : one.acks_tried) {
      if (result == what.result) one.acked = attempt;
    }
    for (const std::uint32_t later : one.attempts) {
      if (one.acked && later > *one.acked) {
        fail("(2) {}: message {} is done by attempt {}, although attempt {} had begun", by, one.id,
             *one.acked, later);
      }
    }
  } else {
    if (one.acked) fail("(2) {}: message {} was acknowledged and is {}", by, one.id, what.state);
    const bool is_early = what.attempts != 0 && what.attempts < one.queue.attempts;
    const bool may_die_early = may_die_early_ || one.is_given_up;
    if (!may_die_early && (one.queue.attempts == 0 || is_early)) {
      fail("(1) {}: message {} died in attempt {}: {}", by, one.id, what.attempts, what.last_error);
    }
  }
  if (one.end.empty()) ++(what.state == "done" ? counts_.done : counts_.dead);
  one.known_at = std::min(one.known_at, ++now_);
  one.end = what.state;
  one.result = what.result;
}

void ledger::seen(const std::string& id, const sighting& what) {
  entry* one = find(id, "a watcher");
  if (!one) return;
  if (what.state == "done" || what.state == "dead") {
    check_end(*one, what, "a watcher");
  } else if (what.state == "expired") {
    fail("(1) message {} expired and has no time to live", id);
  } else if (what.asked > one->known_at) {
    fail("(7) message {} was {} and is {} again", id, one->end.empty() ? "acknowledged" : one->end,
         what.state);
  }
  one->is_looked_at = true;
  update_open(*one);
}

void ledger::missing(const std::string& id) {
  fail("(1) message {} was confirmed, and the server does not know it", id);
}

void ledger::replied(const std::string& id, const sighting& what) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) return take_reply(entries_[found->second - 1], what);
  // It has ended before anybody was told its id: the confirmation may still come, or is lost.
  early_replies_.emplace(id, what);
}

void ledger::take_reply(entry& one, const sighting& what) {
  if (!one.wants_reply) fail("(8) message {} asked for no reply and got one", one.id);
  ++counts_.replied;
  check_end(one, what, "a reply");
  one.has_reply = true;
  update_open(one);
}

const std::string* ledger::next_open() {
  if (open_ == 0) return nullptr;
  for (std::size_t tries = 0; tries < entries_.size(); ++tries) {
    next_ = next_ + 1 < entries_.size() ? next_ + 1 : 0;
    if (entries_[next_].is_open) return &entries_[next_].id;
  }
  return nullptr;
}

void ledger::look_again() {
  for (entry& one : entries_) {
    one.is_looked_at = false;
    update_open(one);
  }
}

std::string ledger::describe_open() {
  const std::string* id = next_open();
  if (!id) return "none";
  const entry& one = entries_[by_id_.at(*id) - 1];
  return fmt::format(
      "message {} of {} (body {}): {}, {} attempts were given out{}", one.id, one.queue.name,
      one.number, one.end.empty() ? "no end was seen" : "its end was seen: " + one.end,
      one.attempts.size(), one.wants_reply && !one.has_reply ? ", its reply has not come" : "");
}

}  // namespace weir::drill

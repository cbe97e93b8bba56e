// For the broker's tests: producers and workers that write down what they were promised, and the
// comparison of that with what a broker holds after a crash. The hard idea: a call whose answer was
// never heard may have happened or not, so the ledger knows for each message what must be, and
// what may be.
#pragma once

#include <weir/base/random.hpp>
#include <weir/broker/internal/broker_kit.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::detail {

class broker_ledger {
 public:
  explicit broker_ledger(std::uint64_t seed) : random_(seed) {}

  std::string wrong;  // the first broken promise
  bool has_opened = false;
  std::uint64_t promises = 0;  // answers heard
  std::uint64_t ended = 0;     // messages known to be done or dead at the last check

  /// One life of a process: opens, compares, works, and closes or dies.
  task<> live(broker_options options, int steps, bool drains) {
    std::unique_ptr<broker> b;
    try {
      b = co_await broker::open(options);
    } catch (const exception& e) {
      if (e.reason() == errc::corrupt || drains) note(fmt::format("opening: {}", e.what()));
      co_return;
    }
    has_opened = true;
    try {
      co_await with_scope({.name = "life"}, [&](scope& s) -> task<> {
        s.spawn(&broker::run, b.get());
        co_await compare(*b);
        co_await with_scope({.name = "clients"}, [&](scope& clients) -> task<> {
          for (int i = 0; i < 3; ++i) {
            clients.spawn(&broker_ledger::produce, this, b.get(), steps);
            clients.spawn(&broker_ledger::consume, this, b.get(), steps);
          }
          clients.spawn(&broker_ledger::administer, this, b.get(), steps / 4);
          co_await clients.join();
        });
        if (drains) co_await drain(*b);
        co_await b->close();
      });
      note_if(b->log().stats().lsn_durable != b->log().stats().lsn_appended,
              "closed with records that are not durable");
    } catch (const std::exception& e) {  // the crash, seen from inside
      if (drains) note(fmt::format("the last life failed: {}", e.what()));
    }
  }

 private:
  struct entry {
    std::string id = {};  // known once acknowledged or taken
    int acks_open = 0;    // acknowledgements without an answer
    int rejects_open = 0;
    bool is_done = false;
    bool is_dead = false;
    bool was_promised = false;  // the submit was acknowledged
  };

  void note(std::string text) {
    if (wrong.empty()) wrong = std::move(text);
  }
  void note_if(bool is_wrong, std::string text) {
    if (is_wrong) note(std::move(text));
  }

  static std::string body_of(std::uint64_t number) {
    return fmt::format("{}:{}", number, std::string(number * 37 % 900, 'b'));
  }
  static std::string result_of(std::uint64_t number) {
    return fmt::format("result of {}{}", number, std::string(number * 53 % 500, 'r'));
  }
  static std::string key_of(std::uint64_t number) { return fmt::format("key {}", number); }
  static std::uint64_t number_of(std::string_view body) {
    std::uint64_t number = 0;
    std::from_chars(body.data(), body.data() + body.size(), number);
    return body == body_of(number) ? number : 0;
  }

  task<> produce(broker* b, int steps) {
    for (int i = 0; i < steps; ++i) {
      const bool is_repeated = last_ != 0 && random_.chance(0.2);
      const std::uint64_t number = is_repeated ? 1 + random_.below(last_) : ++last_;
      const bool was_promised = entries_[number].was_promised;
      const std::string body = body_of(number);
      const std::string key = key_of(number);
      const new_message message{.body = body,
                                .priority = static_cast<unsigned>(number % 10),
                                .delay = duration::milliseconds(number % 7 == 0 ? 50 : 0),
                                .key = key};
      const auto sent = co_await b->submit("q", message, duration::seconds(1));
      if (sent) {
        ++promises;
        entry& of = entries_[number];
        note_if((was_promised && !sent->is_duplicate) || (of.was_promised && of.id != sent->id),
                fmt::format("key {} gave another message", number));
        of.id = sent->id;
        of.was_promised = true;
      }
      if (random_.chance(0.1)) co_await sleep(duration::milliseconds(20));
    }
  }

  task<> consume(broker* b, int steps) {
    for (int i = 0; i < steps; ++i) {
      const auto taken = co_await b->lease("q", 1 + random_.below(3), duration::milliseconds(30),
                                           duration::milliseconds(300));
      if (!taken) co_return;
      for (const taken_message& one : *taken) co_await settle(*b, one);
    }
  }

  /// The message's number, 0 when it can't be ours.
  std::uint64_t check_taken(const taken_message& one) {
    const std::uint64_t number = number_of(one.body.text());
    const auto found = entries_.find(number);
    if (found == entries_.end()) {
      note("a body that nobody sent: " + std::string(one.body.text().substr(0, 20)));
      return 0;
    }
    entry& of = found->second;
    note_if(!of.id.empty() && of.id != one.id, fmt::format("message {} is there twice", number));
    note_if(of.is_done || of.is_dead, fmt::format("message {} had ended, and is back", number));
    of.id = one.id;
    return number;
  }

  task<> settle(broker& b, const taken_message& one) {
    const std::uint64_t number = check_taken(one);
    if (number == 0) co_return;
    entry& of = entries_[number];
    const std::uint64_t lot = random_.below(100);
    if (lot < 60) {
      ++of.acks_open;
      const auto done = co_await b.ack(one.receipt, result_of(number), "text/plain");
      --of.acks_open;
      of.is_done = of.is_done || done;
      ++promises;
    } else if (lot < 70) {
      ++of.rejects_open;
      const auto done = co_await b.reject(one.receipt, "rejected");
      --of.rejects_open;
      of.is_dead = of.is_dead || done;
      ++promises;
    } else if (lot < 85) {
      co_await b.nack(one.receipt, duration::milliseconds(random_.below(2) * 10), "again");
    } else if (lot < 90) {
      co_await b.extend(one.receipt, duration::milliseconds(400));
    }  // else the lease runs out
  }

  /// Sets a capacity that grows, so that it says which of the settings survived.
  task<> administer(broker* b, int steps) {
    for (int i = 0; i < steps || !has_queue_; ++i) {
      const std::uint64_t wanted = ++capacity_wanted_;
      const auto done = co_await b->put_queue(
          "q", {.capacity_messages = wanted,
                .attempts = 0,
                .backoff = {.first = duration::milliseconds(10), .max = duration::seconds(1)},
                .result_ttl = duration::seconds(86'400)});
      if (done) capacity_ = std::max(capacity_, wanted), has_queue_ = true;
      if (!done && i > steps) co_return;
      co_await sleep(duration::milliseconds(random_.below(30)));
    }
  }

  task<> compare(broker& b) {
    const auto queue = b.queue("q");
    note_if(has_queue_ && !queue, "the queue is gone");
    if (!queue) co_return;
    const std::uint64_t capacity = queue->settings.capacity_messages;
    note_if(capacity < capacity_ || capacity > capacity_wanted_, "a setting is lost or invented");
    ended = 0;
    for (auto& [number, of] : entries_) {
      if (of.id.empty()) continue;
      const auto seen = co_await b.message(of.id);
      if (!seen) {
        // One that was only taken was durable, too: rule (R3).
        note(fmt::format("message {} is lost", number));
        continue;
      }
      const bool is_done = seen->state == message_state::done;
      const bool is_dead = seen->state == message_state::dead;
      note_if(of.is_done && !is_done, fmt::format("the end of message {} is lost", number));
      note_if(of.is_dead && !is_dead, fmt::format("the death of message {} is lost", number));
      note_if(is_done && !of.is_done && of.acks_open == 0,
              fmt::format("nobody acknowledged message {}", number));
      note_if(is_dead && !of.is_dead && of.rejects_open == 0,
              fmt::format("nobody rejected message {}", number));
      note_if(is_done && seen->result != result_of(number),
              fmt::format("message {} has another's result", number));
      of = {.id = of.id, .is_done = is_done, .is_dead = is_dead, .was_promised = of.was_promised};
      ended += is_done || is_dead ? 1 : 0;
    }
  }

  /// Takes everything that is left: each message once, none that has ended, none missing.
  task<> drain(broker& b) {
    for (;;) {
      const auto taken = co_await b.lease("q", 20, duration::seconds(30), duration::seconds(600));
      if (!taken || taken->empty()) break;
      for (const taken_message& one : *taken) {
        const std::uint64_t number = check_taken(one);
        const auto done = co_await b.ack(one.receipt, result_of(number), "text/plain");
        note_if(!done, fmt::format("message {} can't be acknowledged", number));
        entries_[number].is_done = true;
      }
    }
    co_await compare(b);
    std::uint64_t done = 0;
    std::uint64_t dead = 0;
    for (const auto& [number, of] : entries_) {
      note_if(of.was_promised && !of.is_done && !of.is_dead,
              fmt::format("message {} was never delivered", number));
      done += of.is_done ? 1 : 0;
      dead += of.is_dead ? 1 : 0;
    }
    const auto queue = b.queue("q");
    if (!queue) co_return;
    note_if(queue->ready + queue->delayed + queue->leased != 0, "messages are left");
    note_if(queue->done != done || queue->dead != dead,
            fmt::format("counts: {} done and {} dead instead of {} and {}", queue->done,
                        queue->dead, done, dead));
  }

  random_source random_;
  std::map<std::uint64_t, entry> entries_;  // by number
  std::uint64_t last_ = 0;
  bool has_queue_ = false;
  std::uint64_t capacity_ = 0;
  std::uint64_t capacity_wanted_ = 1'000;
};

}  // namespace weir::detail

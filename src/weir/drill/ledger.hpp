// What the clients of a simulated server know, put side by side: the judge of a drill. The hard
// idea: it believes nothing but answers that clients have got, and asks only what the interface
// promises, so it needs no model of the server. A promise that is broken shows as two answers that
// can't both be true. Times count only in runs in which nobody touches the clocks.
//
// The promises: (1) a message whose submission was confirmed is never missing again, and ends;
// (2) after an acknowledgement was confirmed, no later attempt is given out, and none is
// acknowledged; (3) no attempt is given out twice, and none beyond the queue's bound; (4) a body
// comes out as it went in; (5) a key makes one message; (6) the result that is shown and told is
// the one that was acknowledged; (7) an end is an end: it never changes; (8) who asked for a reply
// gets one; (9) nothing comes before its time or its turn: a delay, a back-off, somebody else's
// lease, an older message, one with a higher priority.
#pragma once

#include <weir/base/time.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weir::drill {

/// A queue's promise, as the clients have set it.
struct queue_rules {
  const char* name;
  std::uint32_t attempts;  // 0: no bound
  duration lease = {};     // of who takes messages; 0: they are pushed
};

/// One message in a lease's answer.
struct delivery {
  std::string id;
  std::uint64_t number = 0;  // of the body; 0: the body is not one of ours
  std::uint32_t attempt = 0;
  bool is_body_whole = false;
  bool is_pushed = false;
  time_point asked = {};  // when the question was sent to which this is the answer
  time_point at = {};     // when it came
};

/// What a GET of a message told, or a reply.
struct sighting {
  std::uint64_t asked = 0;  // ledger::now() when the question was sent
  std::string state = {};
  std::uint32_t attempts = 0;
  std::string result = {};
  std::string last_error = {};
};

struct ledger_counts {
  std::uint64_t tried = 0;
  std::uint64_t confirmed = 0;
  std::uint64_t duplicates = 0;  // submissions with a key that was known
  std::uint64_t delivered = 0;
  std::uint64_t acked = 0;
  std::uint64_t stale = 0;   // acknowledgements that came too late
  std::uint64_t pushed = 0;  // of those given out
  std::uint64_t done = 0;
  std::uint64_t dead = 0;
  std::uint64_t replied = 0;
};

/// All that was asked and answered in one drill.
///
/// Cancel:  no waits.
/// Order:   as clients hear their answers.
/// Bound:   by the messages of one drill.
/// Errors:  the first broken promise: violation().
/// Threads: one.
class ledger {
 public:
  /// Deaths before the last attempt are not held against the server: a disk that could not be read
  /// makes a dead letter of a message.
  void allow_early_deaths() noexcept { may_die_early_ = true; }

  /// No clock is touched in this run, so times of different machines can be compared.
  void trust_clocks() noexcept { has_clocks_ = true; }

  /// How many things it has heard: what an answer tells is as old as its question.
  std::uint64_t now() const noexcept { return now_; }

  /// A new body, which a client is about to submit; its number.
  std::uint64_t begin_submission(const queue_rules& queue, bool wants_reply,
                                 std::uint32_t priority = 0, time_point not_before = {});
  void confirmed(std::uint64_t number, std::string id, bool is_duplicate);
  void delivered(const queue_rules& queue, const delivery& what);
  /// What one answer gave out, in its order, and how many were asked for.
  void delivered_together(const queue_rules& queue, std::span<const delivery> all,
                          std::size_t wanted);
  /// The lease of this attempt is longer, from when that was asked.
  void extended(const std::string& id, std::uint32_t attempt, time_point asked);
  /// The worker wants to give this attempt up: its lease protects nothing any more.
  void nack_tried(const std::string& id, std::uint32_t attempt);
  /// It was taken back, and the next attempt comes not before this.
  void nack_confirmed(const std::string& id, std::uint32_t attempt, time_point not_before);
  void ack_tried(const std::string& id, std::uint32_t attempt, std::string result);
  void ack_confirmed(const std::string& id, std::uint32_t attempt);
  void ack_refused() { ++counts_.stale; }
  /// The worker has refused this attempt for now: it may come again, under the same number.
  void given_back(const std::string& id, std::uint32_t attempt);
  /// The worker has said that it will never take this message: it may die before its last attempt.
  void given_up(const std::string& id);
  void seen(const std::string& id, const sighting& what);
  /// A GET said that there is no such message.
  void missing(const std::string& id);
  void replied(const std::string& id, const sighting& what);
  /// Something is wrong that is nobody's message: "an answer is no JSON".
  void broken(std::string what);

  /// A confirmed message whose end nobody has seen yet, or that has not been looked at since
  /// look_again(); another one each time. Null: there is none.
  const std::string* next_open();
  /// Every message is to be looked at once more.
  void look_again();
  bool is_settled() const noexcept { return open_ == 0; }
  std::size_t open() const noexcept { return open_; }
  /// A line about one of them, for a drill that does not converge.
  std::string describe_open();

  const std::string& violation() const noexcept { return violation_; }
  const ledger_counts& counts() const noexcept { return counts_; }

 private:
  struct entry {
    std::uint64_t number = 0;
    queue_rules queue = {"", 0};
    bool wants_reply = false;
    bool has_reply = false;
    bool is_confirmed = false;
    bool is_open = false;  // counted in open_
    bool is_looked_at = false;
    bool is_given_up = false;
    std::uint32_t priority = 0;
    std::uint64_t begun_at = 0;                 // now() before it was submitted
    std::uint64_t confirmed_at = UINT64_MAX;    // now() when that was heard
    std::map<std::uint32_t, time_point> early;  // attempt -> not before
    std::string id;
    std::string end;     // "done" or "dead", once seen
    std::string result;  // with it
    std::vector<std::uint32_t> attempts;
    std::map<std::uint32_t, std::string> acks_tried;  // attempt -> result
    std::optional<std::uint32_t> acked;               // or shown as done with that attempt's result
    std::uint64_t known_at = UINT64_MAX;  // now() when its end, or its acknowledgement, was heard
  };

  entry* find(const std::string& id, const char* by);
  void give_id(entry& one, const std::string& id);
  void check_end(entry& one, const sighting& what, const char* by);
  void take_reply(entry& one, const sighting& what);
  void update_open(entry& one);
  template <class... A>
  void fail(const char* format, const A&... about);

  bool may_die_early_ = false;
  bool has_clocks_ = false;
  std::uint64_t now_ = 0;
  std::vector<entry> entries_;  // by number - 1
  std::unordered_map<std::string, std::uint64_t> by_id_;
  std::unordered_map<std::string, sighting> early_replies_;  // of messages whose ids are not known
  std::size_t open_ = 0;
  std::size_t next_ = 0;
  std::string violation_;
  ledger_counts counts_;
};

}  // namespace weir::drill

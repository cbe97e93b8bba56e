// Every decision of a virtual world, in one place. The hard idea: each decision has a plain answer,
// 0 (the task that has waited longest, no fault, all bytes at once, the shortest latency), and what
// differs from it is what makes a run special. So a run is a list of exceptions: short to print,
// and easy to shorten by taking exceptions out, since a run that is short of answers goes on with
// plain ones.
//
//   seed --> a stream of numbers for each kind --+
//                                                +--> decide() --> the answer
//   log of exceptions (a replay) ----------------+       |
//                                                        +--> record, when one is made
//
// Invariants: (1) decisions are counted for each machine and kind by itself, so that a replay in
//                 which one of them needs fewer answers still gives the others theirs;
//             (2) a seed's numbers for one machine and kind don't depend on how often others are
//                 asked.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/random.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// What is decided. The order is that of the streams of a seed.
enum class choice_kind : std::uint8_t {
  program,   // random numbers of the program under test
  task,      // which ready task goes next: how many that have waited longer are passed over
  transfer,  // latencies, short transfers, completions that come late
  disk,      // what a crash leaves, the order of folder entries
  network,   // which of several listeners gets a connection, what happens to datagrams
  select,    // which branch of a select is looked at first
  maybe,     // maybe("name")
  knob,      // which faults exist in a run, and what else a drill draws once
  node,      // which of several machines or processes goes next
  fault,     // which fault strikes when, and whom
  size,      // how large buffers and queues are: network_sizes.hpp
};
inline constexpr std::size_t choice_kinds = 11;
const char* name(choice_kind kind) noexcept;
/// Those that a program's code asks for, in a step of a task.
constexpr bool is_of_program(choice_kind kind) noexcept {
  return kind == choice_kind::program || kind == choice_kind::select || kind == choice_kind::maybe;
}

/// One decision that differs from the plain one.
struct choice {
  choice_kind kind = choice_kind::task;
  std::uint32_t index = 0;  // of the machine's decisions of this kind
  std::uint64_t value = 0;
  std::uint32_t machine = 0;  // 0: of no machine, or of the only one
  auto operator<=>(const choice&) const = default;
};

/// The exceptions of a run, in the order in which they were made.
struct choice_log {
  std::vector<choice> exceptions;

  /// "t3=1,t9=2,x0@2=17": a letter for the kind, the index, the machine but 0, the value.
  std::string text() const;
  /// Nothing when the text is no log.
  static std::optional<choice_log> parse(std::string_view text);
  std::size_t count(choice_kind kind) const noexcept;
};

class odometer;

/// Hears decisions that are not the plain ones.
///
/// Cancel:  no waits.
/// Order:   as they are made.
/// Bound:   none of its own.
/// Errors:  none.
/// Threads: one.
class choice_listener {
 public:
  virtual void decided(const choice& what) noexcept = 0;

 protected:
  ~choice_listener() = default;
};

/// The source of all decisions.
///
/// Cancel:  plain value, no waits.
/// Order:   (1), (2).
/// Bound:   a record holds recorded_max exceptions; more are counted and not kept.
/// Errors:  an empty range is a bug of the caller and stops the process.
/// Threads: one at a time.
class choices {
 public:
  static constexpr std::size_t recorded_max = 1'000'000;

  explicit choices(std::uint64_t seed) noexcept { restart(seed); }
  choices(const choices&) = delete;
  choices& operator=(const choices&) = delete;

  /// From here on the decisions of a seed.
  void restart(std::uint64_t seed) noexcept;
  /// From here on the decisions of a log: plain ones but for its exceptions.
  void replay(const choice_log& log);
  /// The same, but which task goes next is as it is proposed.
  void replay_but_for_tasks(const choice_log& log);
  /// From here on the decisions of an odometer's path.
  void follow(odometer& all) noexcept;
  /// True when the answers come from elsewhere than a seed: proposals are not asked for.
  bool is_replay() const noexcept { return mode_ != mode::seed; }
  /// Keeps the exceptions of the run that begins with the next restart() or replay().
  void record_next() noexcept { will_record_ = true; }
  /// What has been recorded so far.
  const choice_log& recorded() const noexcept { return recorded_; }
  /// What was recorded; ends the recording.
  choice_log take_record() noexcept;

  /// Tells decisions of logs, and of seeds while they are recorded; null: nobody. It must outlive
  /// the runs.
  void tell(choice_listener* to) noexcept { listener_ = to; }

  /// From here on the decisions are those of a machine, numbered from 1; 0: of none. Gives whose
  /// they were before.
  std::uint32_t decide_for(std::uint32_t machine);
  /// Whose decisions they are now; 0: nobody's.
  std::uint32_t machine() const noexcept { return here_->machine; }

  /// A number of [0, n), each equally likely; 0 is plain.
  std::uint64_t below(choice_kind kind, std::uint64_t n) noexcept {
    WEIR_ASSERT(n > 0);
    return decide(kind, n, is_replay() ? 0 : stream(kind).below(n));
  }
  /// True with probability `p`; false is plain. Asked only where 0 < p.
  bool chance(choice_kind kind, double p) noexcept {
    if (p <= 0) return false;
    return decide(kind, 2, !is_replay() && stream(kind).chance(p) ? 1 : 0) != 0;
  }
  /// A number of [first, last], both included; `first` is plain.
  std::int64_t between(choice_kind kind, std::int64_t first, std::int64_t last) noexcept;
  /// 64 random bits; the plain ones are those of seed 0.
  std::uint64_t bits(choice_kind kind) noexcept;
  /// The one function: a decision among `n` for which somebody (a strategy, the lines above) has
  /// proposed an answer.
  std::uint64_t decide(choice_kind kind, std::uint64_t n, std::uint64_t proposed) noexcept {
    const auto which = static_cast<std::size_t>(kind);
    const std::uint32_t index = here_->counts[which]++;  // (1)
    if (mode_ == mode::seed && !is_recording_) [[likely]]
      return proposed;
    return decide_slowly(kind, index, n, proposed);
  }

  std::uint32_t count(choice_kind kind) const noexcept {
    return here_->counts[static_cast<std::size_t>(kind)];
  }
  std::uint64_t seed() const noexcept { return seed_; }
  /// A kind's stream, for strategies that draw more than one number for a decision.
  random_source& stream(choice_kind kind) noexcept {
    std::optional<random_source>& one = here_->streams[static_cast<std::size_t>(kind)];
    if (!one) [[unlikely]]
      begin_stream(one, kind);
    return *one;
  }

 private:
  struct of_machine {
    std::uint32_t machine = 0;
    std::array<std::uint32_t, choice_kinds> counts{};
    std::array<std::optional<random_source>, choice_kinds> streams;
    std::array<std::vector<choice>, choice_kinds> replayed;  // by index
    std::array<std::size_t, choice_kinds> next{};            // of replayed
  };
  enum class mode : std::uint8_t { seed, replay, odometer };
  std::uint64_t decide_slowly(choice_kind kind, std::uint32_t index, std::uint64_t n,
                              std::uint64_t proposed) noexcept;
  void begin_stream(std::optional<random_source>& one, choice_kind kind) noexcept;
  of_machine& at(std::uint32_t machine);

  std::uint64_t seed_ = 0;
  mode mode_ = mode::seed;
  bool has_own_tasks_ = false;  // of a replay: which task goes next is not the log's
  bool is_recording_ = false;
  bool will_record_ = false;
  of_machine common_;
  std::deque<of_machine> machines_;  // [machine - 1]; they stay where they are
  of_machine* here_ = &common_;
  choice_log recorded_;
  choice_listener* listener_ = nullptr;
  odometer* all_ = nullptr;
};

/// One kind's decisions, for parts of the world that know no other kind.
struct choice_stream {
  choices& of;
  choice_kind kind;

  std::uint64_t below(std::uint64_t n) noexcept { return of.below(kind, n); }
  bool chance(double p) noexcept { return of.chance(kind, p); }
  std::int64_t between(std::int64_t first, std::int64_t last) noexcept {
    return of.between(kind, first, last);
  }
};

}  // namespace weir

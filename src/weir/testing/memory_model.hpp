// What a load may read, by the rules of C++20's memory model, as a machine that takes one operation
// after the other. The hard idea: a thread is a view. It holds, for each atomic, the oldest store
// that the thread may still read (timestamps in modification order; Kang, Hur, Lahav, Vafeiadis and
// Dreyer, "A promising semantics for relaxed-memory concurrency", 2017), and a vector clock of what
// happens before. A release store carries its thread's view along, an acquire load takes it over,
// and a relaxed one may read anything from its own view's store on. What may happen is decided by
// an odometer, so a search over all decisions sees every outcome.
//
//   #1:   0 <- 1 <- 2 <- 3      stores in modification order, each with a view to take over
//              ^         ^
//       thread 1's view  the newest: what a read-modify-write reads, unless a store could be put
//                        between, which is possible only behind a store that no other has read so
//
// Limits. No load reads a store that is executed later (load buffering, which C++ allows and no
// processor with dependencies shows between our parts). The order of sequentially consistent
// operations agrees with happens-before, as C++11 had it; C++20 allows a little more where one
// location is used with seq_cst and with weaker orders. memory_order_consume is acquire. That an
// atomic is used by a thread which the making of it does not happen before is not reported.
//
// Invariants: (1) a view only grows; (2) between a read-modify-write and what it read nothing is
// ever put; (3) what a view holds exists.
#pragma once

#include <weir/sim/odometer.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace weir::model {

inline constexpr std::size_t threads_max = 4;     // of a body, beside its own, which is thread 0
inline constexpr std::size_t locations_max = 64;  // atomics of one run
inline constexpr std::size_t stores_max = 200;    // to one of them

/// Which atomic: its number in the order of their making.
using location_id = std::uint32_t;
/// A message from one thread to others that is no atomic: what a mutex hands on.
using channel_id = std::uint32_t;

/// The odometer's answers to questions of one run.
struct decision_source {
  odometer& all;
  std::uint32_t asked = 0;

  /// A number below `n`; 0 is plain.
  std::size_t among(choice_kind kind, std::size_t n) {
    return n < 2 ? 0 : static_cast<std::size_t>(all.answer(kind, asked++, n));
  }
};

/// What a thread knows, or what a store lets others know.
struct view {
  std::array<std::uint8_t, locations_max> seen{};      // position in modification order
  std::array<std::uint16_t, threads_max + 1> clock{};  // what happens before

  void add_seen(const view& other, std::size_t locations) noexcept;
  void add(const view& other, std::size_t locations) noexcept;
};

/// Who has touched plain memory, and when.
struct cell_history {
  std::uint32_t writer = 0;
  std::uint16_t written = 0;
  std::array<std::uint16_t, threads_max + 1> read{};
};

/// What an operation has read.
struct what_was_read {
  std::uint64_t value = 0;
  std::uint32_t by_step = 0;  // that wrote it; 0: its first value
  bool is_newest = true;
  bool is_exchanged = false;  // compare_exchange: it was equal, and was replaced
};

/// The memory of one run.
///
/// Cancel:  plain value, no waits.
/// Order:   operations happen in the order of their calls; what they read is decided.
/// Bound:   threads_max, locations_max, stores_max; beyond these the process stops.
/// Errors:  none: a data race is an answer.
/// Threads: one, which plays all.
class memory_model {
 public:
  explicit memory_model(decision_source& decisions) : decide_(decisions) {}

  void restart() noexcept;
  void start_thread(std::uint32_t thread) noexcept;  // it knows what thread 0 knows
  void join_thread(std::uint32_t thread) noexcept;   // and the other way round

  /// There may be one location more.
  bool has_room() const noexcept { return count_ < locations_max; }
  location_id make_location(std::uint64_t value);
  channel_id make_channel();

  struct access {
    std::uint32_t thread = 0;
    location_id at = 0;
    std::uint32_t step = 0;
    std::memory_order order = std::memory_order_seq_cst;
  };
  using change = std::uint64_t (*)(std::uint64_t now, std::uint64_t operand);

  /// From now on the thread reads nothing older at the locations whose bits are set than what is
  /// the newest there now. This is no happens-before, and others learn nothing of it.
  void look_again(std::uint32_t thread, std::uint64_t at) noexcept;
  std::uint64_t newest(location_id at) const noexcept { return locations_[at].back().value; }

  what_was_read load(const access& by);
  void store(const access& by, std::uint64_t value);
  what_was_read update(const access& by, change how, std::uint64_t operand);
  struct exchange {
    std::uint64_t expected = 0;
    std::uint64_t desired = 0;
    std::memory_order order_of_failure = std::memory_order_seq_cst;
    bool may_fail_spuriously = false;
  };
  what_was_read compare_exchange(const access& by, const exchange& what);
  void fence(std::uint32_t thread, std::memory_order order) noexcept;

  void send(std::uint32_t thread, channel_id to) noexcept;
  void receive(std::uint32_t thread, channel_id from) noexcept;

  /// False: a data race.
  bool read_cell(std::uint32_t thread, cell_history& of) const noexcept;
  bool write_cell(std::uint32_t thread, cell_history& of) const noexcept;

 private:
  struct store_record {
    std::uint64_t value = 0;
    std::uint32_t step = 0;
    bool is_update = false;  // (2)
    view message = {};
  };
  struct thread_state {
    view now;
    view acquired;  // by relaxed loads, for an acquire fence
    view released;  // at the last release fence, for relaxed stores
    std::array<std::uint8_t, locations_max> looked{};  // as view::seen, for reads only
  };

  bool is_closed_after(const std::vector<store_record>& stores,
                       std::size_t position) const noexcept {
    return position + 1 < stores.size() && stores[position + 1].is_update;
  }
  std::size_t oldest_for(const access& by, std::memory_order order) const noexcept;
  std::size_t oldest_to_read(const access& by, std::memory_order order) const noexcept;
  std::size_t choose_predecessor(const access& by, std::size_t oldest);
  what_was_read read(const access& by, std::memory_order order, std::size_t position) noexcept;
  void put(const access& by, std::size_t position, std::uint64_t value, bool is_update);
  void make_room(location_id at, std::size_t position) noexcept;
  void tick(std::uint32_t thread) noexcept { ++threads_[thread].now.clock[thread]; }

  decision_source& decide_;
  std::size_t count_ = 0;  // of locations in use
  std::array<std::vector<store_record>, locations_max> locations_;
  std::vector<view> channels_;
  std::array<thread_state, threads_max + 1> threads_;
  view consistent_;  // what seq_cst operations and fences have seen (C++20, [atomics.order])
  std::vector<std::size_t> candidates_;
};

}  // namespace weir::model

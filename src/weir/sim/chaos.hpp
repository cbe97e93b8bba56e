// Faults that strike machines at random moments. The hard idea is the swarm (Groce 2012): each seed
// draws first which kinds of fault exist in its run and how often each strikes, since faults that
// are all there all the time hide each other. All of it are decisions of the kinds `knob` and
// `fault`, whose plain answer is "nothing happens": shrinking takes faults out by itself.
#pragma once

#include <weir/sim/memory_watch.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

enum class chaos_kind : std::uint8_t {
  kill,             // SIGKILL, and a start soon after
  power,            // the plug is pulled; what was not synced survives or not, sector by sector
  pause,            // SIGSTOP, later SIGCONT
  clock,            // the wall clock is set, or drifts
  partition,        // between two machines or around one, one way or both
  clog,             // a link delivers late
  reset,            // connections are reset on the way
  loss,             // packets are lost and sent again; datagrams are lost, or arrive twice
  slow_network,     // latencies get a long tail, in which datagrams overtake each other
  short_transfers,  // reads and writes of fewer bytes than asked
  disk_error,       // EIO of reads and writes
  sync_error,       // an fsync that fails once, and loses what was dirty
  disk_full,        // ENOSPC
  slow_disk,
  memory,  // large requests for memory fail: one, or all beyond what is left
};
inline constexpr std::size_t chaos_kinds = 15;
std::string_view name(chaos_kind kind) noexcept;

/// A set of kinds.
struct chaos_set {
  std::uint32_t bits = 0;

  static chaos_set all() noexcept { return {(1u << chaos_kinds) - 1}; }
  /// "all", "none", or names with commas between them, "-name" to leave one out of those before.
  /// Nothing for a name that is none.
  static std::optional<chaos_set> parse(std::string_view text);
  std::string text() const;
  bool has(chaos_kind kind) const noexcept { return (bits >> static_cast<int>(kind) & 1) != 0; }
  void set(chaos_kind kind, bool on) noexcept {
    const std::uint32_t bit = 1u << static_cast<int>(kind);
    bits = on ? bits | bit : bits & ~bit;
  }
  bool operator==(const chaos_set&) const = default;
};

/// Who owns the machines.
///
/// Cancel:  no waits.
/// Order:   struck() before the fault's first effect.
/// Bound:   none of its own.
/// Errors:  none.
/// Threads: one.
class chaos_host {
 public:
  /// What is to run on a machine that starts again.
  virtual node_program& program_of(virtual_node& node) = 0;
  /// Whether faults of disks may strike it.
  virtual bool has_disk(const virtual_node& /*node*/) { return true; }
  /// The memory of its program, which may get short; null: it may not.
  virtual memory_watch* memory_of(const virtual_node& /*node*/) { return nullptr; }
  /// Something has happened, in words: "killed", "clock set by -3 s". Null: to no single machine.
  virtual void struck(chaos_kind /*kind*/, virtual_node* /*on*/, const std::string& /*how*/) {}

 protected:
  ~chaos_host() = default;
};

/// Faults for the machines of a run.
///
/// Cancel:  no waits.
/// Order:   by true time: act() when next_at() has come, between two turns of machines.
/// Bound:   each kind's faults have a longest length, some minutes.
/// Errors:  none.
/// Threads: one.
class chaos {
 public:
  /// Draws the swarm among the kinds that are allowed.
  chaos(virtual_nodes& nodes, chaos_set allowed, chaos_host& host);
  chaos(const chaos&) = delete;
  chaos& operator=(const chaos&) = delete;

  /// Lets everything happen for so long, with faults. False: as virtual_nodes::run_until().
  bool run_for(duration length);
  /// The same by hand: what stands between two calls of act() is the caller's.
  time_point next_at() const noexcept;
  void act();
  /// All faults end now, and none will strike any more; machines that they have ended
  /// start, unless others have started them since.
  void heal();

  /// What this seed has drawn: "kill 3, partition 30; every 10 s".
  std::string swarm() const;
  /// This seed has drawn it.
  bool may_strike(chaos_kind kind) const noexcept {
    return weights_[static_cast<std::size_t>(kind)] != 0;
  }
  std::uint64_t strikes(chaos_kind kind) const noexcept {
    return strikes_[static_cast<std::size_t>(kind)];
  }
  /// A fault of its disk or its memory has struck the machine since it was started the last time.
  bool is_ill(const virtual_node& node) const noexcept;
  void forget_illness(const virtual_node& node) noexcept;

 private:
  /// What an end waits for: the middle of a durable write, a sync that fails, a moment after a
  /// start.
  enum class lure : std::uint8_t { half_write, failed_sync, young_program };
  struct relief {
    chaos_kind kind = {};
    virtual_node* on = nullptr;
    virtual_node* other = nullptr;
    std::uint64_t starts = 0;  // of a machine that was ended: until somebody else starts it
  };
  void draw_next();
  std::optional<chaos_kind> draw_kind();
  void strike(chaos_kind kind);
  void strike_machine(chaos_kind kind, virtual_node& on);
  void end_program(chaos_kind kind, virtual_node& on);
  void lurk(lure what, chaos_kind kind, virtual_node& on, duration at_most);
  void pounce();
  void strike_clock(virtual_node& on);
  void strike_network(chaos_kind kind);
  void strike_disk(chaos_kind kind, virtual_node& on);
  void strike_memory(virtual_node& on, memory_watch& memory);
  void cut(virtual_node& from, virtual_node& to, duration length);
  void relieve(const relief& from);
  void start(virtual_node& node);
  duration draw(duration min, duration max);
  void later(duration after, relief what) { reliefs_.emplace(nodes_.now() + after, what); }
  template <class F>
  void each_link(F change);

  virtual_nodes& nodes_;
  chaos_host& host_;
  choices& choices_;
  std::array<std::uint32_t, chaos_kinds> weights_{};
  std::uint32_t weights_sum_ = 0;
  duration mean_ = {};
  time_point next_ = time_point::never();
  std::multimap<time_point, relief> reliefs_;
  relief lurking_ =
      {};  // an end that waits for the middle of a durable write, or for a failed sync
  time_point lurks_until_ = time_point::never();
  lure lurks_for_ = {};
  std::uint64_t lurk_faults_ = 0;  // that had struck when it began to wait for one
  std::array<std::uint64_t, chaos_kinds> strikes_{};
  std::map<host_number, bool> ill_;
  std::map<host_number, virtual_options> healthy_;  // of machines whose disks are slow
};

}  // namespace weir

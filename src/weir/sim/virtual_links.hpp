// The cables between virtual machines: latencies, losses, partitions. The hard idea: whatever keeps
// a packet from arriving (a loss, a cut cable, a machine that is off, a full accept queue) is the
// same thing, a try that failed; it is tried again later and later, as TCP does, until the carrier
// gives up. So there is one rule for silence, and it heals by itself when the cause goes. A
// datagram has one try, and a latency of its own, so that later ones may overtake it.
#pragma once

#include <weir/sim/choice.hpp>
#include <weir/sim/packet.hpp>
#include <weir/sim/virtual_clock.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <utility>

namespace weir {

/// One direction between two machines.
struct link_conditions {
  duration latency_min = duration::microseconds(200);
  duration latency_max = duration::microseconds(600);
  double slow_chance = 0;  // of a packet that takes up to slow_max instead
  duration slow_max = duration::seconds(2);
  double loss_chance = 0;    // of one try: a datagram has no other
  double double_chance = 0;  // of a datagram that arrives twice
  double reset_chance = 0;   // of a piece of data that ends its connection on both ends
  bool is_cut = false;       // nothing arrives
  bool is_ipv4_cut = false;  // nothing of this family does
  bool is_ipv6_cut = false;
  time_point clogged_until = {};  // what arrives, arrives later
};

struct link_stats {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t failed_tries = 0;
  std::uint64_t resets = 0;
  std::uint64_t given_up = 0;
  std::uint64_t datagrams_lost = 0;
  std::uint64_t datagrams_doubled = 0;
};

/// Takes a packet into a machine.
///
/// Cancel:  no waits.
/// Order:   as given.
/// Bound:   none of its own.
/// Errors:  false: the packet did not arrive.
/// Threads: one.
class link_host {
 public:
  virtual bool deliver(const packet& what) = 0;

 protected:
  ~link_host() = default;
};

/// All cables.
///
/// Cancel:  no waits.
/// Order:   packets of one connection and direction in their order; all others by their time.
/// Bound:   connect_patience, data_patience: then the sender hears ETIMEDOUT. datagrams_max are on
///          their way at once; more are lost.
/// Errors:  none.
/// Threads: one.
class virtual_links final : public packet_carrier {
 public:
  static constexpr duration first_retry = duration::milliseconds(200);
  static constexpr duration first_connect_retry = duration::seconds(1);
  static constexpr duration retry_max = duration::seconds(120);
  static constexpr duration connect_patience = duration::seconds(127);  // as Linux by default
  static constexpr duration data_patience = duration::seconds(924);
  static constexpr std::size_t datagrams_max = 4'096;

  virtual_links(link_host& host, const virtual_clock& clock, choices& decisions) noexcept
      : host_(host), clock_(clock), choices_(decisions) {}

  void carry(packet what) override;
  connection_number new_connection() override { return ++connections_; }

  /// The conditions of one direction, to be changed.
  link_conditions& between(host_number from, host_number to) { return links_[{from, to}]; }
  /// Both directions, all pairs that were named so far, and those that will be.
  void set_all(const link_conditions& to);
  /// A machine has lost its power: what it had sent and not delivered is gone.
  void forget_sender(host_number from);

  time_point next_due() const noexcept;
  /// Delivers, or fails to, the packet that is due first.
  void deliver_next();

  link_stats stats() const noexcept { return stats_; }
  std::size_t in_flight() const noexcept { return pipes_.size(); }

 private:
  using pipe_name = std::pair<connection_number, host_number>;  // and who sends
  struct due_key {
    time_point at;
    std::uint64_t number = 0;
    auto operator<=>(const due_key&) const = default;
  };
  struct waiting_packet {
    packet what;
    time_point at;
  };
  struct pipe {
    std::deque<waiting_packet> packets;
    due_key due = {};      // of the first one
    std::uint64_t id = 0;  // another one may get its name
    time_point first_try = {};
    std::uint32_t tries = 0;
  };
  const link_conditions& conditions(const packet& what) const;
  duration draw_latency(const link_conditions& on);
  void schedule(const pipe_name& name, pipe& of, time_point at);
  void drop(const pipe_name& name);
  void try_later(const pipe_name& name, pipe& of);
  void carry_datagram(packet what);
  void begin_datagram(packet what);
  void deliver_datagram(const pipe_name& name, pipe& of);

  link_host& host_;
  const virtual_clock& clock_;
  choices& choices_;
  link_conditions usual_;
  std::map<std::pair<host_number, host_number>, link_conditions> links_;
  std::map<pipe_name, pipe> pipes_;  // never empty ones
  std::map<due_key, pipe_name> due_;
  std::uint64_t scheduled_ = 0;
  connection_number connections_ = 0;
  std::size_t datagrams_ = 0;  // on their way, each in a pipe of its own
  link_stats stats_;
};

}  // namespace weir

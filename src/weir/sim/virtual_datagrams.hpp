// Datagram sockets of one virtual machine: UDP over its loopback and to other machines, and Unix
// datagrams. The hard idea: a loopback that may lose, double and overtake datagrams is three
// chances at the moment of a send, decided by the world's choices; without them it is as kind as a
// real one. Between machines the cables decide.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/sim/choice.hpp>
#include <weir/sim/packet.hpp>
#include <weir/sim/port_range.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weir {

class network_host;
class virtual_disk;

/// What may happen to a UDP datagram on its way over the loopback. Unix datagrams always arrive;
/// what happens between machines is in link_conditions.
struct datagram_faults {
  double loss_chance = 0;
  double double_chance = 0;
  double overtake_chance = 0;  // of others that have arrived and were not received
};

struct datagram_stats {
  std::uint64_t sent = 0;
  std::uint64_t lost = 0;
  std::uint64_t doubled = 0;
  std::uint64_t overtaken = 0;
  std::uint64_t overflown = 0;  // found no room, or nobody
};

/// Datagrams of one machine: loopback over IPv4, IPv6 and Unix; over both IP families also to
/// others, once it has joined them. A socket at [::] has IPv4, too, as Linux's does.
///
/// Cancel:  cancel() takes a waiting request out; one that had finished is left alone.
/// Order:   as sent, unless overtake_chance decides otherwise; between machines none.
/// Bound:   inbox_max bytes that nobody has received, but always one datagram; of Unix datagrams
///          also unix_queue_max; a range of ports, apart from those of streams.
/// Errors:  -errno as Linux gives it.
/// Threads: one at a time.
class virtual_datagrams {
 public:
  static constexpr std::size_t receive_max = 64 * 1024;  // more of a datagram is cut off
  static constexpr std::size_t unix_max = 200 * 1024;
  static constexpr std::size_t unix_queue_max = 256;

  virtual_datagrams(network_host& host, virtual_disk& disk, choice_stream random,
                    std::size_t inbox_max, port_range ports);
  virtual_datagrams(const virtual_datagrams&) = delete;
  virtual_datagrams& operator=(const virtual_datagrams&) = delete;
  ~virtual_datagrams();

  void set_faults(datagram_faults faults) noexcept { faults_ = faults; }
  datagram_stats stats() const noexcept { return stats_; }

  io_handle make_socket(int family, raw_address& address, const listen_options& options);
  int address_of(io_handle handle, bool peer, raw_address& out) const;
  int set_option(io_handle handle, int level, int option, int value);

  /// True: finished, the outcome is set. False: it waits and finished() will be called.
  bool start(io_request& request);
  bool cancel(io_request& request);
  int close(io_handle handle);
  /// All sockets vanish, waiting requests finish with -EIO.
  void crash();

  bool has(io_handle handle) const noexcept { return sockets_.contains(handle); }
  std::size_t open_sockets() const noexcept { return sockets_.size(); }
  /// "a datagram socket at 127.0.0.1:53", by its handle.
  void name_open(std::map<io_handle, std::string>& into) const;

  // To other machines.
  /// From here on this machine is `own`, and `carrier` takes its datagrams to others.
  void join(packet_carrier& carrier, host_number own) noexcept;
  /// A datagram from another machine, or the answer to one. True: it came, whatever became of it.
  bool arrive(const packet& what);

 private:
  struct endpoint;

  endpoint* at(io_handle handle) const;
  std::int64_t attempt(endpoint& e, io_request& request);
  std::int64_t connect(endpoint& e, const raw_address& given);
  std::int64_t receive(endpoint& e, io_request& request);
  std::int64_t send(endpoint& e, io_request& request);
  std::int64_t send_one(endpoint& e, const io_datagram& one);
  std::int64_t poll(const endpoint& e, std::uint32_t wanted) const;
  static int check_families(const endpoint& e, const raw_address& to);
  int find(const endpoint& from, const raw_address& to, endpoint*& out) const;
  endpoint* receiver(const raw_address& to, std::uint64_t file, const raw_address& source) const;
  bool is_own(const raw_address& address) const noexcept;
  bool is_there(const raw_address& address) const noexcept;
  raw_address source_of(const endpoint& e, const raw_address& to) const;
  void send_there(const endpoint& e, const raw_address& to, std::string_view text);
  void hear_unreachable(const packet& what);
  int bind(endpoint& e, raw_address& address);
  int bind_somewhere(endpoint& e);
  bool is_taken(const endpoint& by, const raw_address& address, bool reuse_port) const;
  bool has_room(const endpoint& e, std::size_t size) const noexcept;
  void put(endpoint& into, const raw_address& from, std::size_t before, std::string_view text);
  void retry(endpoint& e);
  void retry_senders();

  network_host& host_;
  virtual_disk& disk_;
  choice_stream random_;
  std::size_t inbox_max_;
  port_range ports_;
  datagram_faults faults_;
  datagram_stats stats_;
  int next_port_;
  std::unordered_map<io_handle, std::unique_ptr<endpoint>> sockets_;
  std::vector<io_handle> order_;  // of their making, so that a run repeats
  packet_carrier* carrier_ = nullptr;
  host_number own_host_ = 0;
};

}  // namespace weir

// What travels between the virtual machines: the packets of a stream connection, and datagrams. The
// hard idea: there is no byte-level TCP. A carrier brings the packets of one direction in their
// order, sends again what was lost, and gives up at last; so a packet says what the other end must
// learn. For datagrams it does nothing of that.
#pragma once

#include <weir/core/driver.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace weir {

/// A machine, by its IPv4 address as a number: 10.0.0.1 is 0x0a000001. Its IPv6 address is
/// fd00::a00:1.
using host_number = std::uint32_t;
/// One connection between two machines, never used again.
using connection_number = std::uint64_t;

enum class packet_kind : std::uint8_t {
  syn,        // a connection is wanted; number: how much its sender's inbox holds
  accepted,   // it is there; number: the same of the listener's end
  refused,    // nobody listens
  data,       // bytes
  credit,     // number: so many bytes have been read
  end,        // no more bytes will come
  reset,      // the connection is gone
  timed_out,  // from the carrier: the other machine does not answer

  datagram,     // of no connection
  unreachable,  // the answer to one that found nobody: "port unreachable" of ICMP
};

inline bool is_datagram(packet_kind kind) noexcept { return kind >= packet_kind::datagram; }

struct packet {
  packet_kind kind = packet_kind::data;
  connection_number connection = 0;
  host_number from = 0;
  host_number to = 0;
  bool is_ipv6 = false;  // by which of the two addresses
  std::uint64_t number = 0;
  std::size_t grows_to = 0;  // of syn and accepted: the inbox, with what goes through; 0: not
  std::string data = {};
  raw_address source = {};  // of syn and datagrams
  raw_address target = {};
};

/// Takes packets from one machine to another.
///
/// Cancel:  no waits.
/// Order:   packets of one connection and direction arrive in the order in which they were given;
///          datagrams in any, once, twice or never.
/// Bound:   by what connections may have on their way: their inboxes.
/// Errors:  a machine that does not answer for long: `timed_out` to the sender.
/// Threads: one.
class packet_carrier {
 public:
  virtual void carry(packet what) = 0;
  virtual connection_number new_connection() = 0;

 protected:
  ~packet_carrier() = default;
};

}  // namespace weir

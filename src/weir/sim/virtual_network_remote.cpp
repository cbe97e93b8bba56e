// Connections of a virtual network to other machines.
#include <weir/sim/virtual_network.hpp>

#include <weir/sim/internal/network_endpoint.hpp>
#include <weir/sim/internal/socket_address.hpp>

#include <errno.h>

#include <algorithm>
#include <utility>

namespace weir {

using namespace detail;

void virtual_network::join(packet_carrier& carrier, host_number own) noexcept {
  carrier_ = &carrier;
  own_host_ = own;
}

bool virtual_network::is_local(const raw_address& address) const noexcept {
  return is_loopback(address) || (own_host_ != 0 && host_of(address) == own_host_);
}

bool virtual_network::is_there(const raw_address& address) const noexcept {
  return carrier_ && host_of(address) != 0 && !is_local(address);  // host 0 is any
}

void virtual_network::carry(const endpoint& e, packet_kind kind, std::uint64_t number,
                            std::string data) {
  carrier_->carry({.kind = kind,
                   .connection = e.connection,
                   .from = own_host_,
                   .to = e.remote_host,
                   .is_ipv6 = wire_family_of(e.remote) == AF_INET6,
                   .number = number,
                   .grows_to = e.inbox_size.grows_to,
                   .data = std::move(data)});
}

std::int64_t virtual_network::connect_there(endpoint& e, const raw_address& to) {
  const int port = free_port(&to);
  if (port < 0) return -EADDRNOTAVAIL;
  e.is_client = true;
  e.is = endpoint::kind::connecting;
  e.connection = carrier_->new_connection();
  e.remote_host = host_of(to);
  e.remote = to;
  const int family = wire_family_of(to);
  e.local = as_seen_by(e.family, machine_address(family, own_host_, port));
  remote_[e.connection] = e.handle;
  carrier_->carry({.kind = packet_kind::syn,
                   .connection = e.connection,
                   .from = own_host_,
                   .to = e.remote_host,
                   .is_ipv6 = family == AF_INET6,
                   .number = e.inbox_max(),
                   .grows_to = e.inbox_size.grows_to,
                   .source = on_wire(e.local),
                   .target = on_wire(to)});
  return would_block;
}

// A connect that waits is attempted again when an answer has come.
std::int64_t virtual_network::outcome_of_connect(endpoint& e) {
  if (e.is == endpoint::kind::connected) {
    const bool is_news = e.size_there.first != 0 && !e.is_connect_told;
    e.is_connect_told = true;
    return is_news ? 0 : -EISCONN;
  }
  if (e.error == 0) return would_block;
  remote_.erase(e.connection);
  e.connection = 0;
  e.is = endpoint::kind::fresh;
  e.local.size = 0;  // its port is free again
  return std::exchange(e.error, 0);
}

std::int64_t virtual_network::send_there(endpoint& e, const io_request& request,
                                         std::size_t asked) {
  if (e.room_there() == 0) return would_block;
  const std::size_t count = host_.part_of(std::min(asked, e.room_there()));
  std::string data;
  data.reserve(count);
  for (std::size_t i = 0; data.size() != count; ++i) {
    data.append(static_cast<const char*>(request.slices[i].data),
                std::min(count - data.size(), request.slices[i].size));
  }
  e.unread_there += count;
  e.sent_there += count;
  carry(e, packet_kind::data, 0, std::move(data));
  return static_cast<std::int64_t>(count);
}

// Not each read is told: a quarter of the inbox at once is enough to keep the other end going.
void virtual_network::say_read(endpoint& e, std::size_t count) {
  e.read_unsaid += count;
  if (e.read_unsaid * 4 >= e.inbox_max()) {
    carry(e, packet_kind::credit, std::exchange(e.read_unsaid, 0));
  }
}

void virtual_network::end_there(endpoint& e) {
  e.ended_first = !e.is_inbox_ended;
  carry(e, packet_kind::end);
}

void virtual_network::close_there(endpoint& e, bool is_reset) {
  if (e.is == endpoint::kind::connected && !e.is_broken) {
    if (is_reset) {
      carry(e, packet_kind::reset);
    } else if (!e.is_send_shut) {
      end_there(e);
    }
    if (!is_reset && e.ended_first && e.is_client) {
      kept_ports_.insert(
          {port_of(e.local), {.from = e.remote, .until = host_.now() + limits_.time_wait}});
    }
  }
  remote_.erase(e.connection);
}

bool virtual_network::arrive(const packet& what) {
  if (what.kind == packet_kind::syn) return arrive_syn(what);
  const auto found = remote_.find(what.connection);
  if (found != remote_.end()) {
    arrive_at(*at(found->second), what);
    settle();
  } else if (what.kind == packet_kind::data || what.kind == packet_kind::accepted) {
    // Nobody knows this connection any more: what a restarted machine says, too.
    carrier_->carry({.kind = packet_kind::reset,
                     .connection = what.connection,
                     .from = own_host_,
                     .to = what.from,
                     .is_ipv6 = what.is_ipv6});
  }
  return true;
}

bool virtual_network::arrive_syn(const packet& what) {
  endpoint* listener = nullptr;
  if (find_listener(what.target, listener) != 0) {
    carrier_->carry({.kind = packet_kind::refused,
                     .connection = what.connection,
                     .from = own_host_,
                     .to = what.from,
                     .is_ipv6 = what.is_ipv6});
    return true;
  }
  if (listener->queue.size() >= listener->backlog) {
    ++accepts_overflown_;
    return false;  // as Linux has it: no answer, the other end tries again
  }
  const io_handle handle = host_.new_handle();
  endpoint& e = make_endpoint(handle, listener->family);
  e.is_accepted = false;
  e.is = endpoint::kind::connected;
  e.is_connect_told = true;
  e.local = as_seen_by(e.family, what.target);
  e.remote = as_seen_by(e.family, what.source);
  e.inbox_size = listener->inbox_size;
  e.connection = what.connection;
  e.remote_host = what.from;
  e.size_there = {.first = what.number, .grows_to = what.grows_to};
  remote_[e.connection] = handle;
  listener->queue.push_back(handle);
  carry(e, packet_kind::accepted, e.inbox_max());
  touch(listener->handle);
  settle();
  return true;
}

void virtual_network::arrive_at(endpoint& e, const packet& what) {
  switch (what.kind) {
    case packet_kind::syn:
    case packet_kind::datagram:
    case packet_kind::unreachable:
      return;
    case packet_kind::accepted:
      e.is = endpoint::kind::connected;
      e.size_there = {.first = what.number, .grows_to = what.grows_to};
      break;
    case packet_kind::refused:
      e.error = -ECONNREFUSED;
      break;
    case packet_kind::data:
      if (e.is_receive_shut) {
        carry(e, packet_kind::credit, what.data.size());  // thrown away
      } else {
        e.inbox += what.data;
        e.inbox_passed += what.data.size();
      }
      break;
    case packet_kind::credit:
      e.unread_there -= std::min<std::size_t>(e.unread_there, what.number);
      break;
    case packet_kind::end:
      e.is_inbox_ended = true;
      break;
    case packet_kind::reset:
    case packet_kind::timed_out:
      e.error = what.kind == packet_kind::reset ? -ECONNRESET : -ETIMEDOUT;
      e.is_broken = e.is == endpoint::kind::connected;
      break;
  }
  touch(e.handle);
}

}  // namespace weir

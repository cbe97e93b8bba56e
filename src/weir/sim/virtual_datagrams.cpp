#include <weir/sim/virtual_datagrams.hpp>

#include <weir/io/address.hpp>
#include <weir/sim/internal/network_endpoint.hpp>
#include <weir/sim/internal/one_at_a_time.hpp>
#include <weir/sim/internal/socket_address.hpp>
#include <weir/sim/virtual_disk.hpp>
#include <weir/sim/virtual_network.hpp>

#include <errno.h>
#include <poll.h>

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

using namespace detail;

namespace {

std::size_t largest(int family) noexcept {
  if (family == AF_UNIX) return virtual_datagrams::unix_max;
  return family == AF_INET ? 65'507 : 65'527;  // 64 KiB without the heads
}

}  // namespace

struct virtual_datagrams::endpoint {
  struct arrived {
    std::string data;
    raw_address from;
  };

  io_handle handle = -1;
  int family = 0;
  raw_address local;
  raw_address remote;  // size 0: not connected
  bool reuse_port = false;
  bool ipv6_only = false;
  bool may_broadcast = false;
  std::uint64_t socket_file = 0;
  std::size_t inbox_max = 0;
  std::size_t unread = 0;
  int error = 0;  // reported once
  std::deque<arrived> inbox;
  std::vector<io_request*> waiting;
};

virtual_datagrams::virtual_datagrams(network_host& host, virtual_disk& disk, choice_stream random,
                                     std::size_t inbox_max, port_range ports)
    : host_(host),
      disk_(disk),
      random_(random),
      inbox_max_(inbox_max),
      ports_(ports),
      next_port_(ports.first) {}
virtual_datagrams::~virtual_datagrams() = default;

virtual_datagrams::endpoint* virtual_datagrams::at(io_handle handle) const {
  const auto found = sockets_.find(handle);
  return found == sockets_.end() ? nullptr : found->second.get();
}

void virtual_datagrams::name_open(std::map<io_handle, std::string>& into) const {
  for (const auto& [handle, one] : sockets_)
    into[handle] = "a datagram socket at " + address(one->local).text();
}

io_handle virtual_datagrams::make_socket(int family, raw_address& address,
                                         const listen_options& options) {
  if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return -EAFNOSUPPORT;
  if (!host_.has_room()) return -EMFILE;
  auto made = std::make_unique<endpoint>();
  made->family = family;
  made->reuse_port = options.reuse_port;
  made->ipv6_only = options.ipv6_only && address.size != 0;
  made->inbox_max = inbox_max_;
  if (address.size != 0) {
    if (const int error = bind(*made, address); error != 0) return error;
    made->local = address;
  }
  const io_handle handle = made->handle = host_.new_handle();
  sockets_[handle] = std::move(made);
  order_.push_back(handle);
  return handle;
}

int virtual_datagrams::bind(endpoint& e, raw_address& address) {
  if (family_of(address) != e.family || !may_be_bound({address, e.ipv6_only})) return -EINVAL;
  if (e.family == AF_UNIX) {
    const std::string name = unix_name(address);
    if (name.empty()) return -EINVAL;
    if (name.front() == '\0') return is_taken(e, address, false) ? -EADDRINUSE : 0;
    return disk_.make_socket_file(name.c_str(), e.socket_file);
  }
  if (!is_any(address) && !is_own(address)) return -EADDRNOTAVAIL;
  if (port_of(address) != 0) return is_taken(e, address, e.reuse_port) ? -EADDRINUSE : 0;
  for (int tries = ports_.first; tries <= ports_.last; ++tries) {
    set_port(address, next_port_);
    next_port_ = ports_.after(next_port_);
    if (!is_taken(e, address, false)) return 0;
  }
  return -EADDRINUSE;
}

// A socket that sends has a port, so that it can be answered.
int virtual_datagrams::bind_somewhere(endpoint& e) {
  if (e.local.size != 0 || e.family == AF_UNIX) return 0;
  raw_address any = any_address(e.family);
  if (const int error = bind(e, any); error != 0) return error;
  e.local = any;
  return 0;
}

bool virtual_datagrams::is_taken(const endpoint& by, const raw_address& address,
                                 bool reuse_port) const {
  return std::ranges::any_of(order_, [&](io_handle handle) {
    const endpoint& e = *at(handle);
    if (e.local.size == 0) return false;
    if ((e.family == AF_UNIX) != (by.family == AF_UNIX)) return false;
    if (e.family == AF_UNIX) return unix_name(e.local) == unix_name(address);
    return !(reuse_port && e.reuse_port) &&
           are_in_conflict({e.local, e.ipv6_only}, {address, by.ipv6_only});
  });
}

int virtual_datagrams::address_of(io_handle handle, bool peer, raw_address& out) const {
  const endpoint* e = at(handle);
  if (!e) return -EBADF;
  if (peer && e->remote.size == 0) return -ENOTCONN;
  out = peer ? e->remote : e->local;
  if (out.size == 0) out = e->family == AF_UNIX ? unnamed_unix() : any_address(e->family);
  return 0;
}

int virtual_datagrams::set_option(io_handle handle, int level, int option, int value) {
  endpoint* e = at(handle);
  if (!e) return -EBADF;
  if (level == IPPROTO_IPV6 && option == IPV6_V6ONLY && e->family == AF_INET6) {
    if (e->local.size != 0) return -EINVAL;  // it is bound
    e->ipv6_only = value != 0;
    return 0;
  }
  if (level != SOL_SOCKET) return -ENOPROTOOPT;
  switch (option) {
    case SO_BROADCAST:
      e->may_broadcast = value != 0;
      return 0;
    case SO_RCVBUF:
      if (value <= 0) return -EINVAL;
      e->inbox_max = static_cast<std::size_t>(value);
      return 0;
    case SO_SNDBUF:
      return value > 0 ? 0 : -EINVAL;
    default:
      return option == SO_REUSEADDR || option == SO_REUSEPORT ? 0 : -ENOPROTOOPT;
  }
}

bool virtual_datagrams::start(io_request& request) {
  return detail::start_at(at(request.handle), request,
                          [this](endpoint& e, io_request& one) { return attempt(e, one); });
}

bool virtual_datagrams::cancel(io_request& request) {
  return detail::cancel_at(at(request.handle), request);
}

std::int64_t virtual_datagrams::attempt(endpoint& e, io_request& request) {
  switch (request.op) {
    case io_op::connect:
      return request.address ? connect(e, *request.address) : -EFAULT;
    case io_op::receive_datagrams:
      return receive(e, request);
    case io_op::send_datagrams:
      return send(e, request);
    case io_op::poll:
      return poll(e, request.flags);
    default:
      return -EOPNOTSUPP;
  }
}

std::int64_t virtual_datagrams::connect(endpoint& e, const raw_address& given) {
  if (e.ipv6_only && family_of(given) == AF_INET) return -EAFNOSUPPORT;
  const raw_address to = e.family == AF_INET6 ? as_seen_by(e.family, given) : given;
  if (const int mismatch = check_families(e, to); mismatch != 0) return mismatch;
  endpoint* found = nullptr;
  const int error = is_there(to) ? 0 : find(e, to, found);
  // That nobody is there shows later, when something is sent; a Unix path shows it at once.
  if (error != 0 && (e.family == AF_UNIX || error != -ECONNREFUSED)) return error;
  if (const int failure = bind_somewhere(e); failure != 0) return failure;
  if (is_there(to) && is_loopback(e.local)) return -EINVAL;
  e.remote = to;
  if (e.family == AF_UNIX) return 0;
  if (is_any(to)) e.remote = as_seen_by(e.family, loopback(wire_family_of(to), port_of(to)));
  e.local = source_of(e, e.remote);
  return 0;
}

// What an IPv6 socket is bound to may be of one of the two families that it can speak.
int virtual_datagrams::check_families(const endpoint& e, const raw_address& to) {
  if (family_of(to) != e.family) return -EAFNOSUPPORT;
  if (e.ipv6_only && wire_family_of(to) != AF_INET6) return -ENETUNREACH;
  if (e.family != AF_INET6 || e.local.size == 0) return 0;
  const int own = wire_family_of(e.local);
  if (own == wire_family_of(to) || (own == AF_INET6 && is_any(e.local))) return 0;
  return own == AF_INET6 ? -ENETUNREACH : -EAFNOSUPPORT;
}

// Who would receive what is sent there: 0, or why nobody would.
int virtual_datagrams::find(const endpoint& from, const raw_address& to, endpoint*& out) const {
  std::uint64_t file = 0;
  if (from.family == AF_UNIX) {
    const std::string name = unix_name(to);
    if (name.empty()) return -EINVAL;
    if (name.front() != '\0') {
      if (const int error = disk_.socket_file(name.c_str(), file); error != 0) return error;
    }
  } else if (host_of(to) == INADDR_BROADCAST && !from.may_broadcast) {
    return -EACCES;
  } else if (!is_own(to) && !is_any(to)) {
    return -ENETUNREACH;
  }
  out = receiver(to, file, source_of(from, to));
  return out ? 0 : -ECONNREFUSED;
}

// Of what `source` sends to this machine; null: nobody. `file` is the Unix socket's, if it has one.
virtual_datagrams::endpoint* virtual_datagrams::receiver(const raw_address& to, std::uint64_t file,
                                                         const raw_address& source) const {
  const bool is_unix = family_of(to) == AF_UNIX;
  endpoint* found = nullptr;
  int best = 0;
  for (const io_handle handle : order_) {
    endpoint& e = *at(handle);
    if ((e.family == AF_UNIX) != is_unix || e.local.size == 0) continue;
    // One that is connected hears nobody else.
    if (!is_unix && e.remote.size != 0 && !is_same(e.remote, source)) continue;
    const bool has_name = file != 0 ? e.socket_file == file : unix_name(e.local) == unix_name(to);
    const int fit = is_unix ? (has_name ? 1 : 0) : suits({e.local, e.ipv6_only}, to);
    if (fit <= best) continue;
    best = fit;
    found = &e;
  }
  return found;
}

bool virtual_datagrams::has_room(const endpoint& e, std::size_t size) const noexcept {
  if (e.family == AF_UNIX && e.inbox.size() >= unix_queue_max) return false;
  return e.inbox.empty() || e.unread + size <= e.inbox_max;
}

void virtual_datagrams::put(endpoint& into, const raw_address& from, std::size_t before,
                            std::string_view text) {
  into.unread += text.size();
  into.inbox.insert(into.inbox.end() - static_cast<std::ptrdiff_t>(before),
                    {std::string(text), as_seen_by(into.family, from)});
}

std::int64_t virtual_datagrams::send_one(endpoint& e, const io_datagram& one) {
  const bool is_unix = e.family == AF_UNIX;
  const raw_address& given = one.address.size != 0 ? one.address : e.remote;
  const raw_address to = e.family == AF_INET6 ? as_seen_by(e.family, given) : given;
  if (to.size == 0) return is_unix ? -ENOTCONN : -EDESTADDRREQ;
  if (const int error = check_families(e, to); error != 0) return error;
  if (!is_unix && one.address.size != 0 && port_of(to) == 0) return -EINVAL;
  if (one.piece.size > largest(wire_family_of(to))) return -EMSGSIZE;
  if (const int error = bind_somewhere(e); error != 0) return error;
  const std::string_view text(static_cast<const char*>(one.piece.data), one.piece.size);
  if (is_there(to)) {
    if (is_loopback(e.local)) return -EINVAL;
    send_there(e, to, text);
    return 0;
  }
  endpoint* target = nullptr;
  if (const int error = find(e, to, target); error != 0) {
    if (is_unix || error != -ECONNREFUSED) return error;
    if (e.remote.size != 0) e.error = error;  // comes back as a message of the network
    ++stats_.overflown;
    return 0;
  }
  if (!has_room(*target, one.piece.size)) {
    if (is_unix) return one.address.size != 0 ? -ENOBUFS : would_block;
    ++stats_.overflown;
    return 0;
  }
  ++stats_.sent;
  if (!is_unix && random_.chance(faults_.loss_chance)) {
    ++stats_.lost;
    return 0;
  }
  std::size_t before = 0;
  if (!is_unix && !target->inbox.empty() && random_.chance(faults_.overtake_chance)) {
    before = 1 + random_.below(target->inbox.size());
    ++stats_.overtaken;
  }
  const raw_address source = source_of(e, to);
  put(*target, source, before, text);
  if (!is_unix && random_.chance(faults_.double_chance)) {
    put(*target, source, 0, text);
    ++stats_.doubled;
  }
  retry(*target);
  return 0;
}

bool virtual_datagrams::is_own(const raw_address& address) const noexcept {
  return is_loopback(address) || (own_host_ != 0 && host_of(address) == own_host_);
}

bool virtual_datagrams::is_there(const raw_address& address) const noexcept {
  const host_number host = host_of(address);
  return carrier_ && host != 0 && host != INADDR_BROADCAST && !is_own(address);
}

// What its receiver sees as its sender: of a socket on every interface the address of the one that
// leads there.
raw_address virtual_datagrams::source_of(const endpoint& e, const raw_address& to) const {
  if (e.local.size == 0 || e.family == AF_UNIX || !is_any(e.local)) return e.local;
  const int port = port_of(e.local);
  const bool stays = is_any(to) || is_loopback(to);
  const int family = wire_family_of(to);
  return as_seen_by(e.family,
                    stays ? loopback(family, port) : machine_address(family, own_host_, port));
}

void virtual_datagrams::join(packet_carrier& carrier, host_number own) noexcept {
  carrier_ = &carrier;
  own_host_ = own;
}

void virtual_datagrams::send_there(const endpoint& e, const raw_address& to,
                                   std::string_view text) {
  ++stats_.sent;
  carrier_->carry({.kind = packet_kind::datagram,
                   .from = own_host_,
                   .to = host_of(to),
                   .is_ipv6 = wire_family_of(to) == AF_INET6,
                   .data = std::string(text),
                   .source = on_wire(source_of(e, to)),
                   .target = on_wire(to)});
}

bool virtual_datagrams::arrive(const packet& what) {
  if (what.kind == packet_kind::unreachable) {
    hear_unreachable(what);
    return true;
  }
  endpoint* into = receiver(what.target, 0, what.source);
  if (!into) {
    carrier_->carry({.kind = packet_kind::unreachable,
                     .from = own_host_,
                     .to = what.from,
                     .is_ipv6 = what.is_ipv6,
                     .source = what.target,
                     .target = what.source});
  }
  if (!into || !has_room(*into, what.data.size())) {
    ++stats_.overflown;
    return true;
  }
  put(*into, what.source, 0, what.data);
  retry(*into);
  return true;
}

// Linux tells sockets that are connected only.
void virtual_datagrams::hear_unreachable(const packet& what) {
  for (const io_handle handle : std::vector<io_handle>(order_)) {
    endpoint* e = at(handle);
    if (!e || e->remote.size == 0 || e->family == AF_UNIX) continue;
    if (!is_same(e->remote, what.source) || !is_same(e->local, what.target)) continue;
    e->error = -ECONNREFUSED;
    return retry(*e);
  }
}

std::int64_t virtual_datagrams::send(endpoint& e, io_request& request) {
  if (e.error) return std::exchange(e.error, 0);
  const auto* all = static_cast<const io_datagram*>(request.memory);
  const std::size_t count = host_.part_of(request.size);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t outcome = send_one(e, all[i]);
    if (outcome == 0) continue;
    if (i == 0) return outcome;
    return static_cast<std::int64_t>(i);
  }
  if (e.error) retry(e);  // a receive that waits hears of it
  return static_cast<std::int64_t>(count);
}

std::int64_t virtual_datagrams::receive(endpoint& e, io_request& request) {
  if (e.error) return std::exchange(e.error, 0);
  if (e.inbox.empty()) return would_block;
  auto* into = static_cast<io_datagram*>(request.memory);
  const std::size_t count = host_.part_of(std::min(request.size, e.inbox.size()));
  for (std::size_t i = 0; i < count; ++i) {
    endpoint::arrived one = std::move(e.inbox.front());
    e.inbox.pop_front();
    e.unread -= one.data.size();
    into[i].size = one.data.size();
    into[i].address = one.from;
    into[i].data = bytes::copy_of(std::string_view(one.data).substr(0, receive_max));
  }
  if (e.family == AF_UNIX) retry_senders();
  return static_cast<std::int64_t>(count);
}

std::int64_t virtual_datagrams::poll(const endpoint& e, std::uint32_t wanted) const {
  std::uint32_t ready = POLLOUT;
  if (!e.inbox.empty()) ready |= POLLIN;
  if (e.error) ready |= POLLERR;
  ready &= wanted | POLLERR;
  return ready == 0 ? would_block : static_cast<std::int64_t>(ready);
}

// Attempts what waits at a socket again. What is attempted is on no list meanwhile: what it does
// may lead back to here.
void virtual_datagrams::retry(endpoint& e) {
  for (io_request* request : std::exchange(e.waiting, {})) {
    request->outcome = attempt(e, *request);
    if (request->outcome == would_block) {
      e.waiting.push_back(request);
    } else {
      host_.finished(*request);
    }
  }
}

// A receiver has room again: those that wait to send are asked in the order of their making.
void virtual_datagrams::retry_senders() {
  for (const io_handle handle : std::vector<io_handle>(order_)) {
    endpoint* e = at(handle);
    if (!e || e->family != AF_UNIX) continue;
    const bool sends = std::ranges::any_of(
        e->waiting, [](const io_request* one) { return one->op == io_op::send_datagrams; });
    if (sends) retry(*e);
  }
}

int virtual_datagrams::close(io_handle handle) {
  endpoint* e = at(handle);
  if (!e) return -EBADF;
  const std::unique_ptr<endpoint> gone = std::move(sockets_[handle]);
  sockets_.erase(handle);
  std::erase(order_, handle);
  disk_.leave_socket_file(gone->socket_file);
  for (io_request* request : gone->waiting) {
    request->outcome = -ECANCELED;
    host_.finished(*request);
  }
  if (gone->family == AF_UNIX)
    retry_senders();  // whoever waited for its room hears that it is gone
  return 0;
}

void virtual_datagrams::crash() {
  const auto gone = std::exchange(sockets_, {});
  for (const io_handle handle : std::exchange(order_, {})) {
    for (io_request* request : gone.at(handle)->waiting) {
      request->outcome = -EIO;
      host_.finished(*request);
    }
  }
}

}  // namespace weir

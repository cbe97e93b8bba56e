#include <weir/sim/virtual_network.hpp>

#include <weir/base/assert.hpp>
#include <weir/io/address.hpp>
#include <weir/sim/internal/network_endpoint.hpp>
#include <weir/sim/internal/one_at_a_time.hpp>
#include <weir/sim/internal/socket_address.hpp>

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

using namespace detail;

virtual_network::virtual_network(network_host& host, virtual_disk& disk, choice_stream random,
                                 network_limits limits)
    : host_(host), disk_(disk), random_(random), limits_(limits), next_port_(limits.ports.first) {}
virtual_network::~virtual_network() = default;

virtual_network::endpoint* virtual_network::at(io_handle handle) const {
  const auto found = sockets_.find(handle);
  return found == sockets_.end() ? nullptr : found->second.get();
}

virtual_network::endpoint& virtual_network::make_endpoint(io_handle handle, int family) {
  auto& made = sockets_[handle];
  made = std::make_unique<endpoint>();
  made->handle = handle;
  made->family = family;
  made->inbox_size = buffer_of(&network_sizes::socket_buffer);
  made->local.size = 0;
  return *made;
}

// At the first socket, so that a run without one has no such decision.
const network_sizes& virtual_network::sizes() {
  if (!sizes_)
    sizes_ = limits_.draws_sizes ? weir::draw_sizes(random_.of, limits_.sizes) : limits_.sizes;
  return *sizes_;
}

detail::buffer_size virtual_network::buffer_of(std::size_t network_sizes::* which) {
  return {.first = sizes().*which, .grows_to = limits_.draws_sizes ? limits_.sizes.*which : 0};
}

void virtual_network::draw_sizes(bool is_explored) noexcept {
  if (std::exchange(is_to_draw_, true)) return;
  WEIR_ASSERT(!sizes_ && "draw_sizes() comes before the first socket, pipe and listener");
  if (is_explored) limits_.draws_sizes = true;
}

void virtual_network::set_sizes(const network_sizes& sizes) noexcept {
  WEIR_ASSERT(sizes.socket_buffer != 0 && sizes.pipe_buffer != 0 && sizes.accept_queue != 0);
  limits_.sizes = sizes;
  limits_.draws_sizes = false;
  is_to_draw_ = false;
  sizes_.reset();
}

std::string virtual_network::drawn_sizes() const {
  return sizes_ ? size_text(*sizes_, limits_.sizes) : std::string();
}

std::size_t virtual_network::open_sockets() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(sockets_, [](const auto& one) { return one.second->is_accepted; }));
}

void virtual_network::name_open(std::map<io_handle, std::string>& into) const {
  for (const auto& [handle, one] : sockets_) {
    if (!one->is_accepted) continue;
    const bool is_named = one->local.size > detail::path_offset;
    const std::string local = address(one->local).text();
    std::string& text = into[handle];
    if (one->is == endpoint::kind::listening) {
      text = "a listener at " + local;
    } else if (one->is == endpoint::kind::fresh) {
      text = is_named ? "a socket at " + local : "a socket";
    } else if (is_named || one->remote.size > detail::path_offset) {
      text = "a socket from " + local + " to " + address(one->remote).text();
    } else if (one->is_terminal) {
      text = "a terminal";
    } else {
      text = "an end of a pipe";
    }
  }
}

io_handle virtual_network::make_socket(int family) {
  if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return -EAFNOSUPPORT;
  if (!host_.has_room()) return -EMFILE;
  return make_endpoint(host_.new_handle(), family).handle;
}

int virtual_network::check_local(const raw_address& address) const {
  switch (family_of(address)) {
    case AF_INET:
      if (address.size < sizeof(sockaddr_in)) return -EINVAL;
      break;
    case AF_INET6:
      if (address.size < sizeof(sockaddr_in6)) return -EINVAL;
      break;
    case AF_UNIX:
      return unix_name(address).empty() ? -EINVAL : 0;
    default:
      return -EAFNOSUPPORT;
  }
  return is_any(address) || is_local(address) ? 0 : -EADDRNOTAVAIL;
}

bool virtual_network::is_taken(const endpoint& by, const raw_address& address) const {
  return std::ranges::any_of(listeners_, [&](io_handle handle) {
    const endpoint& e = *at(handle);
    if ((e.family == AF_UNIX) != (by.family == AF_UNIX)) return false;
    if (e.family == AF_UNIX) return unix_name(e.local) == unix_name(address);
    if (by.reuse_port && e.reuse_port) return false;
    return are_in_conflict({e.local, e.ipv6_only}, {address, by.ipv6_only});
  });
}

// For a connection to a place, or to be bound. Both families have the same ports, so that [::] has
// its own in both.
int virtual_network::free_port(const raw_address* to) {
  for (int tries = limits_.ports.first; tries <= limits_.ports.last; ++tries) {
    const int port = next_port_;
    next_port_ = limits_.ports.after(port);
    if (!is_port_used(port, to)) return port;
  }
  return -EADDRINUSE;
}

bool virtual_network::is_port_used(int port, const raw_address* to) {
  const auto [first, last] = kept_ports_.equal_range(port);
  for (auto at = first; at != last;) {
    const kept_port& one = at->second;
    const bool is_over = one.until <= host_.now();
    if (!is_over && (!to || is_same(one.from, *to))) return true;
    at = is_over ? kept_ports_.erase(at) : std::next(at);
  }
  return std::ranges::any_of(sockets_, [&](const auto& one) {
    const endpoint& e = *one.second;
    if (port_of(e.local) != port) return false;
    if (e.is_client && e.is_broken) return false;
    return !to || !e.is_client || is_same(e.remote, *to);
  });
}

int virtual_network::bind(endpoint& e, raw_address& address) {
  if (!may_be_bound({address, e.ipv6_only})) return -EINVAL;
  if (e.family == AF_UNIX) {
    const std::string name = unix_name(address);
    if (name.front() == '\0') return is_taken(e, address) ? -EADDRINUSE : 0;
    return disk_.make_socket_file(name.c_str(), e.socket_file);
  }
  if (port_of(address) == 0) {
    const int port = free_port();
    if (port < 0) return port;
    set_port(address, port);
    return 0;
  }
  return is_taken(e, address) ? -EADDRINUSE : 0;
}

io_handle virtual_network::make_listener(raw_address& address, const listen_options& options) {
  if (const int error = check_local(address); error != 0) return error;
  if (!host_.has_room()) return -EMFILE;
  const io_handle handle = host_.new_handle();
  endpoint& e = make_endpoint(handle, family_of(address));
  e.reuse_port = options.reuse_port;
  e.ipv6_only = options.ipv6_only;
  if (const int error = bind(e, address); error != 0) {
    sockets_.erase(handle);
    return error;
  }
  e.is = endpoint::kind::listening;
  e.local = address;
  e.backlog =
      std::min(static_cast<std::size_t>(std::max(options.backlog, 1)), sizes().accept_queue);
  listeners_.push_back(handle);
  return handle;
}

int virtual_network::make_pipe(io_handle (&ends)[2]) {
  if (!host_.has_room()) return -EMFILE;
  endpoint& reader = make_endpoint(ends[0] = host_.new_handle(), AF_UNIX);
  endpoint& writer = make_endpoint(ends[1] = host_.new_handle(), AF_UNIX);
  reader.is = writer.is = endpoint::kind::connected;
  reader.inbox_size = buffer_of(&network_sizes::pipe_buffer);
  reader.is_pipe = writer.is_pipe = true;
  reader.peer = writer.handle;
  writer.peer = reader.handle;
  reader.is_send_shut = true;
  writer.is_receive_shut = true;
  return 0;
}

int virtual_network::address_of(io_handle handle, bool peer, raw_address& out) const {
  const endpoint* e = at(handle);
  if (!e) return disk_.has(handle) ? -ENOTSOCK : -EBADF;
  if (peer && e->is != endpoint::kind::connected) return -ENOTCONN;
  if (peer && e->peer == -1 && e->is_broken) return -ENOTCONN;
  out = peer ? e->remote : e->local;
  if (out.size == 0) {  // not bound yet
    out = e->family == AF_UNIX ? unnamed_unix() : loopback(e->family, 0);
  }
  return 0;
}

int virtual_network::set_option(io_handle handle, int level, int option, int value) {
  endpoint* e = at(handle);
  if (!e) return disk_.has(handle) ? -ENOTSOCK : -EBADF;
  if (level == SOL_SOCKET && option == SO_LINGER) {
    e->resets_on_close = value == 0;
    return 0;
  }
  if (level == SOL_SOCKET && option == SO_RCVBUF) {
    if (value <= 0) return -EINVAL;
    e->inbox_size = {.first = static_cast<std::size_t>(value)};
    return 0;
  }
  if (level == SOL_SOCKET && option == SO_SNDBUF) return value > 0 ? 0 : -EINVAL;
  if (level == IPPROTO_IPV6 && option == IPV6_V6ONLY && e->family == AF_INET6) {
    if (e->local.size != 0) return -EINVAL;  // it is bound
    e->ipv6_only = value != 0;
    return 0;
  }
  const bool is_known = (level == SOL_SOCKET && (option == SO_REUSEADDR || option == SO_KEEPALIVE ||
                                                 option == SO_REUSEPORT)) ||
                        (level == IPPROTO_TCP && e->family != AF_UNIX);
  return is_known ? 0 : -ENOPROTOOPT;
}

bool virtual_network::start(io_request& request) {
  endpoint* e = at(request.handle);
  if (!e) {
    request.outcome = disk_.has(request.handle) ? -ENOTSOCK : -EBADF;
    return true;
  }
  detail::make_sure_it_is_alone(e->waiting, request);
  const std::int64_t outcome = attempt(*e, request);
  if (outcome == would_block) {
    e->waiting.push_back(&request);
    settle();
    return false;
  }
  request.outcome = outcome;
  settle();
  return true;
}

bool virtual_network::cancel(io_request& request) {
  return detail::cancel_at(at(request.handle), request);
}

std::int64_t virtual_network::attempt(endpoint& e, io_request& request) {
  switch (request.op) {
    case io_op::accept:
      return accept(e, request);
    case io_op::connect:
      return request.address ? connect(e, *request.address) : -EFAULT;
    case io_op::receive:
    case io_op::receive_into:
      return receive(e, request);
    case io_op::send:
      return send(e, request);
    case io_op::shutdown:
      return shutdown(e, request.flags);
    case io_op::poll:
      return poll(e, request.flags);
    default:
      return -EINVAL;
  }
}

std::int64_t virtual_network::accept(endpoint& e, io_request& request) {
  if (e.is != endpoint::kind::listening) return -EINVAL;
  if (e.queue.empty()) return would_block;
  if (!host_.has_room()) return -EMFILE;
  endpoint& taken = *at(e.queue.front());
  e.queue.pop_front();
  taken.is_accepted = true;
  if (request.address) *request.address = taken.remote;
  for (const io_handle one : std::exchange(e.knocking, {})) touch(one);
  return taken.handle;
}

int virtual_network::find_listener(const raw_address& to, endpoint*& out) {
  std::vector<endpoint*> found;
  std::uint64_t file = 0;
  const int family = family_of(to);
  if (family == AF_UNIX) {
    const std::string name = unix_name(to);
    if (name.empty()) return -EINVAL;
    if (name.front() != '\0') {
      if (const int error = disk_.socket_file(name.c_str(), file); error != 0) return error;
    }
  } else if (family != AF_INET && family != AF_INET6) {
    return -EAFNOSUPPORT;
  } else if (!is_local(to) && !is_any(to)) {
    return -ENETUNREACH;
  }
  int best = 1;
  for (const io_handle handle : listeners_) {
    endpoint& e = *at(handle);
    if ((e.family == AF_UNIX) != (family == AF_UNIX)) continue;
    const bool has_name = file != 0 ? e.socket_file == file : unix_name(e.local) == unix_name(to);
    const int fit = family == AF_UNIX ? (has_name ? best : 0) : suits({e.local, e.ipv6_only}, to);
    if (fit < best) continue;
    if (fit > best) found.clear();
    best = fit;
    found.push_back(&e);
  }
  if (found.empty()) return -ECONNREFUSED;
  out = found[found.size() == 1 ? 0 : random_.below(found.size())];  // as reuse-port spreads them
  return 0;
}

std::int64_t virtual_network::connect(endpoint& e, const raw_address& to) {
  if (e.is == endpoint::kind::connecting || e.connection != 0) return outcome_of_connect(e);
  if (e.is == endpoint::kind::connected) return -EISCONN;
  if (e.is == endpoint::kind::listening) return -EINVAL;
  if (family_of(to) != e.family) return -EAFNOSUPPORT;
  if (e.ipv6_only && wire_family_of(to) != AF_INET6) return -ENETUNREACH;
  if (is_there(to)) return connect_there(e, to);
  endpoint* listener = nullptr;
  if (const int error = find_listener(to, listener); error != 0) return error;
  if (listener->queue.size() >= listener->backlog) {
    if (std::ranges::find(listener->knocking, e.handle) == listener->knocking.end()) {
      listener->knocking.push_back(e.handle);
    }
    return would_block;
  }
  if (e.family == AF_UNIX) {
    e.local = unnamed_unix();
    e.remote = listener->local;
  } else {
    const raw_address remote =
        is_any(to) ? as_seen_by(e.family, loopback(wire_family_of(to), port_of(to))) : to;
    const int port = free_port(&remote);
    if (port < 0) return -EADDRNOTAVAIL;
    e.is_client = true;
    e.remote = remote;
    e.local = e.remote;
    set_port(e.local, port);
  }
  const io_handle handle = host_.new_handle();
  endpoint& other = make_endpoint(handle, listener->family);
  other.is_accepted = false;
  other.is = e.is = endpoint::kind::connected;
  other.local = as_seen_by(other.family, e.remote);
  other.remote = as_seen_by(other.family, e.local);
  other.inbox_size = listener->inbox_size;
  other.peer = e.handle;
  e.peer = handle;
  listener->queue.push_back(handle);
  touch(listener->handle);
  touch(e.handle);
  return 0;
}

std::int64_t virtual_network::receive(endpoint& e, io_request& request) {
  if (e.is != endpoint::kind::connected) return -ENOTCONN;
  const bool is_view = request.op == io_op::receive;
  if (!is_view && request.size == 0) return 0;
  if (e.is_receive_shut) return 0;
  if (e.unread() == 0) {
    if (e.error) return std::exchange(e.error, 0);
    return e.is_inbox_ended || e.is_broken ? 0 : would_block;
  }
  const std::size_t count =
      host_.part_of(std::min(e.unread(), is_view ? receive_max : request.size));
  const std::string_view taken(e.inbox.data() + e.inbox_read, count);
  if (is_view) {
    request.received = bytes::copy_of(taken);
  } else {
    std::memcpy(request.memory, taken.data(), count);
  }
  e.inbox_read += count;
  if (e.inbox_read == e.inbox.size() || e.inbox_read > 64 * 1024) {
    e.inbox.erase(0, e.inbox_read);
    e.inbox_read = 0;
  }
  if (e.is_remote()) say_read(e, count);
  if (e.peer != -1) touch(e.peer);
  return static_cast<std::int64_t>(count);
}

std::int64_t virtual_network::send(endpoint& e, const io_request& request) {
  if (e.is != endpoint::kind::connected) return -ENOTCONN;
  if (e.error) return std::exchange(e.error, 0);
  if (e.is_send_shut || e.is_broken) return -EPIPE;
  std::size_t asked = 0;
  for (std::size_t i = 0; i < request.slice_count; ++i) asked += request.slices[i].size;
  if (asked == 0) return 0;
  if (e.is_remote()) return send_there(e, request, asked);
  endpoint* other = at(e.peer);
  if (!other) {
    if (e.family == AF_UNIX) return -EPIPE;
    e.is_broken = true;  // these bytes meet a reset
    touch(e.handle);
    return static_cast<std::int64_t>(asked);
  }
  if (other->is_receive_shut) return static_cast<std::int64_t>(asked);  // thrown away over there
  if (other->room() == 0) return would_block;
  const std::size_t count = host_.part_of(std::min(asked, other->room()));
  std::size_t left = count;
  for (std::size_t i = 0; left != 0; ++i) {
    const std::size_t part = std::min(left, request.slices[i].size);
    other->inbox.append(static_cast<const char*>(request.slices[i].data), part);
    left -= part;
  }
  other->inbox_passed += count;
  touch(other->handle);
  return static_cast<std::int64_t>(count);
}

std::int64_t virtual_network::shutdown(endpoint& e, std::uint32_t how) {
  if (how > SHUT_RDWR) return -EINVAL;
  if (e.is != endpoint::kind::connected || e.is_broken) return -ENOTCONN;
  if (how != SHUT_RD && !e.is_send_shut) {
    e.is_send_shut = true;
    if (e.is_remote()) end_there(e);
    if (endpoint* other = at(e.peer)) {
      other->is_inbox_ended = true;
      touch(other->handle);
    }
  }
  if (how != SHUT_WR) {
    e.is_receive_shut = true;
    e.inbox.clear();
    e.inbox_read = 0;
    if (e.peer != -1) touch(e.peer);
  }
  touch(e.handle);
  return 0;
}

// As poll(2): of each kind of stream what Linux says of it.
std::int64_t virtual_network::poll(const endpoint& e, std::uint32_t wanted) const {
  std::uint32_t ready = 0;
  const endpoint* other = at(e.peer);
  const bool has_room =
      e.is_remote() ? e.is_broken || e.room_there() != 0 : !other || other->room() != 0;
  if (e.is == endpoint::kind::listening) {
    if (!e.queue.empty()) ready |= POLLIN;
  } else if (e.is == endpoint::kind::connecting) {
    if (e.error) ready |= POLLERR | POLLHUP;
  } else if (e.is == endpoint::kind::fresh) {
    ready |= POLLOUT | POLLHUP;
  } else if (e.is_pipe && e.is_send_shut) {  // its end to read from
    if (e.unread() != 0) ready |= POLLIN;
    if (!other) ready |= POLLHUP;
  } else if (e.is_pipe) {
    if (has_room) ready |= POLLOUT;
    if (!other) ready |= POLLERR;
  } else {
    const bool is_gone = e.is_broken || (e.family == AF_UNIX && !other);
    const bool is_ended = e.is_inbox_ended || e.is_receive_shut || is_gone;
    if (e.unread() != 0 || is_ended) ready |= POLLIN;
    if (has_room || e.is_send_shut) ready |= POLLOUT;
    if (e.error) ready |= POLLERR;
    if (is_ended && (e.is_send_shut || is_gone)) ready |= POLLHUP;
    if (is_ended) ready |= POLLRDHUP;
  }
  ready &= wanted | POLLERR | POLLHUP;
  return ready == 0 ? would_block : static_cast<std::int64_t>(ready);
}

// The other end learns that this connection is gone, and not in an orderly way.
void virtual_network::reset(endpoint& e) {
  e.peer = -1;
  e.error = -ECONNRESET;
  e.is_broken = true;
  touch(e.handle);
}

int virtual_network::close(io_handle handle) {
  endpoint* e = at(handle);
  if (!e) return -EBADF;
  for (io_request* request : std::exchange(e->waiting, {})) {
    request->outcome = -ECANCELED;
    host_.finished(*request);
  }
  for (const io_handle one : std::exchange(e->knocking, {})) touch(one);
  for (const io_handle one : std::exchange(e->queue, {})) {
    if (endpoint* client = at(at(one)->peer)) reset(*client);
    if (at(one)->is_remote()) close_there(*at(one), true);
    sockets_.erase(one);
  }
  if (e->is_remote()) close_there(*e, e->resets_on_close || e->unread() != 0);
  if (endpoint* other = at(e->peer)) {
    if ((e->resets_on_close || e->unread() != 0) && !other->is_terminal) {
      reset(*other);
    } else {
      other->is_inbox_ended = true;
      other->peer = -1;
      touch(other->handle);
    }
  }
  std::erase(listeners_, handle);
  disk_.leave_socket_file(e->socket_file);
  sockets_.erase(handle);
  settle();
  return 0;
}

void virtual_network::abandon(io_handle handle, const void* driver) {
  endpoint* e = at(handle);
  if (!e) return;
  std::erase_if(e->waiting, [&](io_request* request) {
    if (request->driver_data != driver) return false;
    request->outcome = -ECANCELED;
    host_.finished(*request);
    return true;
  });
}

void virtual_network::crash(bool is_silent) {
  if (!is_silent) {
    for (const auto& [handle, e] : sockets_) {
      if (e->is_remote()) close_there(*e, e->resets_on_close || e->unread() != 0);
    }
  }
  if (is_silent) kept_ports_.clear();
  remote_.clear();
  const auto gone = std::exchange(sockets_, {});
  listeners_.clear();
  touched_.clear();
  for (const auto& [handle, e] : gone) {
    for (io_request* request : e->waiting) {
      request->outcome = -EIO;
      host_.finished(*request);
    }
  }
}

void virtual_network::touch(io_handle handle) { touched_.push_back(handle); }

// Attempts what waits at touched sockets until nothing moves any more. Each success moves bytes,
// connections or ends, which are finite, so this ends.
void virtual_network::settle() {
  if (is_settling_) return;
  is_settling_ = true;
  while (!touched_.empty()) {
    endpoint* e = at(touched_.front());
    touched_.pop_front();
    if (!e) continue;
    for (std::size_t i = 0; i < e->waiting.size();) {
      io_request* request = e->waiting[i];
      const std::int64_t outcome = attempt(*e, *request);
      if (outcome == would_block) {
        ++i;
        continue;
      }
      e->waiting.erase(e->waiting.begin() + static_cast<std::ptrdiff_t>(i));
      request->outcome = outcome;
      host_.finished(*request);
    }
  }
  is_settling_ = false;
}

}  // namespace weir

#include <weir/http/internal/connection_pool.hpp>

#include <weir/base/probe.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace weir::http::detail {

// A task that waits for a place; cancelled or not, it leaves the line. One that was woken wakes the
// next when there is room for both, or when it could not take its place for want of memory.
class connection_pool::place_in_line {
 public:
  place_in_line(const connection_pool& of, pooled_host& at) noexcept : of_(of), at_(at) {
    ++at_.waiting;
  }
  place_in_line(const place_in_line&) = delete;
  place_in_line& operator=(const place_in_line&) = delete;
  ~place_in_line() {
    --at_.waiting;
    if (is_first_ && of_.has_room(at_)) at_.room.notify_one();  // (2)
  }
  void come_first() noexcept { is_first_ = true; }

 private:
  const connection_pool& of_;
  pooled_host& at_;
  bool is_first_ = false;
};

connection_pool::connection_pool(client_options options) noexcept : options_(options) {
  WEIR_ASSERT(options_.connections_per_host_max > 0 && options_.hosts_max > 0);
}

connection_pool::~connection_pool() {
  if (expiry_.is_set()) expiry_.on->remove_timer(expiry_);
  for (auto& [key, host] : hosts_) {
    WEIR_ASSERT(host.users == 0 && "the client ends before its requests");
    host.idle.clear();
  }
}

connection_pool::visit::~visit() {
  --host_.users;
  host_.last_use = loop::current()->turn_time();
}

pooled_host& connection_pool::host_of(const url& to) {
  std::string key = to.host;
  (key += to.is_tls() ? " tls " : " ") += std::to_string(to.port);
  const auto found = hosts_.find(key);
  if (found != hosts_.end()) return found->second;
  if (hosts_.size() >= options_.hosts_max) make_room_for_host();
  return hosts_[std::move(key)];
}

tls_client& connection_pool::tls() {
  if (options_.tls) return *options_.tls;
  constexpr std::string_view protocol = "http/1.1";
  if (!own_tls_) own_tls_.emplace(tls_client_settings{.protocols = {&protocol, 1}});
  return *own_tls_;
}

void connection_pool::make_room_for_host() {
  auto oldest = hosts_.end();
  for (auto at = hosts_.begin(); at != hosts_.end(); ++at) {
    if (at->second.users != 0 || at->second.live != at->second.idle.size()) continue;
    if (oldest == hosts_.end() || at->second.last_use < oldest->second.last_use) oldest = at;
  }
  if (oldest == hosts_.end()) {
    raise(error(errc::full, "requests to hosts_max hosts are under way"));
  }
  oldest->second.idle.clear();
  hosts_.erase(oldest);
}

task<std::unique_ptr<client_connection>> connection_pool::take(const visit& at, const url& to,
                                                               bool is_fresh) {
  pooled_host& host = at.host();
  std::unique_ptr<client_connection> taken;
  if (host.waiting != 0 || !has_room(host)) {
    place_in_line behind(*this, host);
    do {
      co_await host.room.wait();
    } while (!has_room(host));
    behind.come_first();
    taken = pick(host, is_fresh);
  } else {
    taken = pick(host, is_fresh);
  }
  if (taken->is_open() && !co_await taken->is_silent()) taken->close();
  if (taken->is_open()) {
    ++counts_.reuses;
  } else {
    ++counts_.connects;
    co_await taken->open(to);
  }
  co_return taken;
}

// One that is open and idle, or one that is still to be opened.
std::unique_ptr<client_connection> connection_pool::pick(pooled_host& host, bool is_fresh) {
  std::unique_ptr<client_connection> taken;
  if (!host.idle.empty() && !is_fresh && !maybe("weir: an idle connection is not used again")) {
    taken = std::move(host.idle.back());
    host.idle.pop_back();
  } else if (host.live < options_.connections_per_host_max) {
    taken = std::make_unique<client_connection>(*this, host);
  } else {  // an idle one gives up its place
    taken = std::move(host.idle.front());
    host.idle.erase(host.idle.begin());
    taken->close();
  }
  return taken;
}

void connection_pool::give_back(std::unique_ptr<client_connection> used) noexcept {
  if (!used->is_reusable()) return;
  pooled_host& host = used->host();
  used->note_idle(loop::current()->now());
  try {
    host.idle.push_back(std::move(used));
  } catch (const std::exception&) {
    return;  // no memory to keep it: it is closed
  }
  set_expiry();
  host.room.notify_one();  // (2)
}

void connection_pool::note_made(pooled_host& host) noexcept {
  ++host.live;
  ++counts_.connections_live;
  WEIR_ASSERT(host.live <= options_.connections_per_host_max);  // (1)
}

void connection_pool::note_gone(pooled_host& host) noexcept {
  --host.live;
  --counts_.connections_live;
  host.room.notify_one();  // (2)
}

// ---- idle connections ----

void connection_pool::set_expiry() noexcept {
  if (expiry_.is_set()) return;
  expiry_.of = this;
  expiry_.on = loop::current();
  expiry_.due = expiry_.on->now() + options_.idle_timeout;
  expiry_.on_fire = [](weir::detail::timer& t) noexcept {
    static_cast<expiry&>(t).of->close_expired();
  };
  expiry_.on->add_timer(expiry_);
}

void connection_pool::close_expired() noexcept {
  const time_point now = expiry_.on->now();
  time_point next = time_point::never();
  for (auto at = hosts_.begin(); at != hosts_.end();) {
    auto& idle = at->second.idle;
    const auto stays = std::ranges::find_if(
        idle, [&](const auto& one) { return one->idle_since() + options_.idle_timeout > now; });
    idle.erase(idle.begin(), stays);
    if (!idle.empty()) next = std::min(next, idle.front()->idle_since() + options_.idle_timeout);
    const bool is_unused = at->second.users == 0 && at->second.live == 0;
    at = is_unused ? hosts_.erase(at) : std::next(at);
  }
  if (next == time_point::never()) return;
  expiry_.due = next;
  expiry_.on->add_timer(expiry_);
}

client_stats connection_pool::stats() const noexcept {
  client_stats now = counts_;
  for (const auto& [key, host] : hosts_) {
    now.connections_idle += static_cast<std::uint32_t>(host.idle.size());
    now.waiting += host.waiting;
  }
  return now;
}

}  // namespace weir::http::detail

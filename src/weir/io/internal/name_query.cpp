#include <weir/io/internal/name_query.hpp>

#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/readiness.hpp>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace weir::detail {

int name_query::open(const resolve_options& options) {
  struct ares_options settings = {};
  constexpr std::int64_t longest_ms = std::numeric_limits<int>::max();
  settings.timeout = static_cast<int>(std::min(options.try_timeout.ns / 1'000'000, longest_ms));
  settings.tries = options.tries;
  const int outcome = ares_init_options(&channel_, &settings, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
  if (outcome != ARES_SUCCESS || !options.servers) return outcome;
  return ares_set_servers_ports_csv(channel_, options.servers);
}

std::vector<name_query::watched> name_query::watches() {
  ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
  const auto bits = static_cast<unsigned>(ares_getsock(channel_, sockets, ARES_GETSOCK_MAXNUM));
  std::vector<watched> all;
  for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
    int flags = 0;
    if (ARES_GETSOCK_READABLE(bits, i)) flags |= POLLIN;
    if (ARES_GETSOCK_WRITABLE(bits, i)) flags |= POLLOUT;
    if (flags != 0) all.push_back({sockets[i], flags});
  }
  return all;
}

duration name_query::patience() noexcept {
  struct timeval longest = {.tv_sec = 1, .tv_usec = 0};
  struct timeval left = {};
  const struct timeval* chosen = ares_timeout(channel_, &longest, &left);
  return duration(chosen->tv_sec * 1'000'000'000 + chosen->tv_usec * 1'000);
}

void name_query::go_on(const std::vector<watched>& watches) noexcept {
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // time-outs
  constexpr int troubles = POLLERR | POLLHUP;
  for (const watched& one : watches) {
    const bool reads = (one.ready & (POLLIN | troubles)) != 0;
    const bool writes = (one.ready & POLLOUT) != 0;
    if (!reads && !writes) continue;
    ares_process_fd(channel_, reads ? one.descriptor : ARES_SOCKET_BAD,
                    writes ? one.descriptor : ARES_SOCKET_BAD);
  }
}

task<> name_query::watch_one(watched* one, scope* around) {
  one->ready = co_await wait_ready(one->descriptor, one->flags);
  around->cancel("ready");
}

// Until a socket is ready or c-ares wants to look at its time-outs.
task<> name_query::wait_for_any(std::vector<watched>* watches, duration patience) {
  co_await with_scope({.name = "name servers", .timeout = patience}, [&](scope& s) -> task<> {
    for (watched& one : *watches) s.spawn(watch_one, &one, &s);
    if (watches->empty()) co_await sleep(patience);
    co_await s.join();
  });
}

task<> name_query::run(resolve_options options) {
  if (options.tries < 1 || options.try_timeout < duration::milliseconds(1))
    raise(error(errc::invalid_argument,
                "resolve: tries must be above 0, and try_timeout at least a millisecond"));
  if (options.servers && *options.servers == '\0')
    raise(error(errc::invalid_argument,
                "resolve: the list of name servers is empty; without one, those of the system are "
                "asked"));
  if (!loop::current()->io().has_descriptors()) {
    co_await run_in_world(&options);
  } else {
    status_ = co_await blocking([&] { return open(options); });
    if (status_ != ARES_SUCCESS) co_return;
    ask();
  }
  while (!is_done_) {
    std::vector<watched> all = watches();
    co_await wait_for_any(&all, patience());
    go_on(all);
  }
  if (failure_) std::rethrow_exception(failure_);
}

namespace {

bool is_in_hosts_file(ares_channel channel, const char* host, int family) noexcept {
  struct hostent* found = nullptr;
  const int outcome = ares_gethostbyname_file(channel, host, family, &found);
  if (found) ares_free_hostent(found);
  return outcome == ARES_SUCCESS;
}

bool has_search_domains(ares_channel channel) noexcept {
  struct ares_options found = {};
  int which = 0;
  if (ares_save_options(channel, &found, &which) != ARES_SUCCESS) return true;
  const bool has_some = found.ndomains != 0;
  ares_destroy_options(&found);
  return has_some;
}

// Without memory or descriptors: no; who resolves it then tells why that can't be done.
bool look_how_it_is_asked(const std::string& host) noexcept {
  ares_channel channel = nullptr;
  if (ares_init(&channel) != ARES_SUCCESS) return false;
  const bool is_whole = host.ends_with('.') || !has_search_domains(channel);
  const bool is_asked = is_whole && !is_in_hosts_file(channel, host.c_str(), AF_INET) &&
                        !is_in_hosts_file(channel, host.c_str(), AF_INET6);
  ares_destroy(channel);
  return is_asked;
}

}  // namespace

task<bool> is_asked_as_it_is(const std::string* host) {
  if (!loop::current()->io().has_descriptors()) co_return true;
  co_return co_await blocking([host] { return look_how_it_is_asked(*host); });
}

// Nothing of the machine on which the world runs comes in: no file, no variable, no search domain.
int name_query::open_in_world(const char* server) {
  constexpr int never_ms = 24 * 3'600 * 1'000;
  char lookups[] = "b";  // name servers only
  struct ares_options settings = {};
  settings.flags = ARES_FLAG_NOALIASES;
  settings.timeout = never_ms;
  settings.tries = 1;
  settings.ndots = 1;
  settings.lookups = lookups;
  const int outcome = ares_init_options(
      &channel_, &settings,
      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_SERVERS |
          ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST | ARES_OPT_NOROTATE);
  if (outcome != ARES_SUCCESS) return outcome;
  lines_->serve(channel_);
  return ares_set_servers_ports_csv(channel_, server);
}

// The name is known, or known not to be: no other server has to be asked.
bool name_query::is_final() const noexcept {
  return failure_ || status_ == ARES_SUCCESS || status_ == ARES_ENOTFOUND ||
         status_ == ARES_ENODATA;
}

task<> name_query::try_server(const char* server, duration patience, bool is_last) {
  close();
  lines_ = std::make_unique<name_lines>();
  is_done_ = false;
  status_ = open_in_world(server);
  if (status_ != ARES_SUCCESS) co_return;
  ask();
  co_await with_scope({.name = "name server", .timeout = patience},
                      [&](scope&) -> task<> { co_await lines_->run(&is_done_); });
  if (is_done_) co_return;
  // Of a question with two parts, one for each family, one may have been answered: better than
  // none.
  if (is_last) ares_cancel(channel_);
  if (!is_last || status_ != ARES_SUCCESS) status_ = ARES_ETIMEOUT;
}

task<> name_query::run_in_world(const resolve_options* options) {
  const std::string all = options->servers ? options->servers : co_await name_servers_of_world();
  duration patience = options->try_timeout;
  for (int left = options->tries; left > 0; --left) {
    for (std::size_t at = 0; at <= all.size();) {
      const std::size_t end = std::min(all.find(',', at), all.size());
      const std::string server = all.substr(at, end - at);
      at = end + 1;
      co_await try_server(server.c_str(), patience, left == 1);
      if (is_final()) break;
    }
    if (is_final()) break;
    patience = std::min(patience, duration::max() / 2) * 2;
  }
  is_done_ = true;
}

bool is_plausible_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > host_bytes_max) return false;
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  const auto is_number = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  return std::all_of(name.begin(), name.end(), is_fine) &&
         !std::all_of(name.begin(), name.end(), is_number);
}

namespace {

// Of a socket that it can't have c-ares says that no server was there.
bool is_descriptor_left() noexcept {
  const int probe = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return errno != EMFILE && errno != ENFILE;
  ::close(probe);
  return true;
}

}  // namespace

void raise_unresolved(std::string_view name, int status) {
  if (status == ARES_ECONNREFUSED && loop::current()->io().has_descriptors() &&
      !is_descriptor_left()) {
    raise(error(errc::full,
                fmt::format("can't resolve '{}': no descriptor is left to ask with", name)));
  }
  errc code = errc::io;
  if (status == ARES_ENOTFOUND || status == ARES_ENODATA) code = errc::not_found;
  if (status == ARES_ETIMEOUT) code = errc::timed_out;
  if (status == ARES_ECONNREFUSED) code = errc::refused;
  if (status == ARES_EBADNAME || status == ARES_EBADSTR) code = errc::invalid_argument;
  // c-ares says that it "could not contact DNS servers" of servers that answer SERVFAIL, too.
  const char* const why = code == errc::refused
                              ? "no name server can be reached, or each says that it can't answer"
                              : ares_strerror(status);
  raise(error(code, fmt::format("can't resolve '{}': {}", name, why)));
}

}  // namespace weir::detail

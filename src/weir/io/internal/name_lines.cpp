#include <weir/io/internal/name_lines.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/file.hpp>
#include <weir/io/readiness.hpp>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <tuple>
#include <utility>

namespace weir::detail {

namespace {

int failed_with(int number) noexcept {
  errno = number;
  return -1;
}

task<> read_configuration(std::string* into) {
  constexpr std::size_t bytes_max = 4'096;
  file config = co_await open_file("/etc/resolv.conf");
  char piece[512];
  std::size_t count = 1;
  while (count != 0 && into->size() < bytes_max) {
    count = co_await config.read_at(into->size(), piece);
    into->append(piece, count);
  }
}

// c-ares does the same with each of them.
int number_of(const error& why) noexcept {
  return why.os_code() != 0 ? why.os_code() : ECONNREFUSED;
}

}  // namespace

name_lines::line* name_lines::at(ares_socket_t number, void* self) noexcept {
  auto& lines = static_cast<name_lines*>(self)->lines_;
  const auto found = lines.find(number);
  return found == lines.end() ? nullptr : &found->second;
}

ares_socket_t name_lines::make(int /*family*/, int type, int /*protocol*/, void* self) noexcept {
  auto& all = *static_cast<name_lines*>(self);
  if (all.lines_.size() == lines_max) return failed_with(EMFILE);
  try {
    const line_number number = ++all.last_;
    all.lines_[number].is_stream = type == SOCK_STREAM;
    return number;
  } catch (const std::bad_alloc&) {
    return failed_with(ENOMEM);
  }
}

int name_lines::close(ares_socket_t number, void* self) noexcept {
  return static_cast<name_lines*>(self)->lines_.erase(number) != 0 ? 0 : failed_with(EBADF);
}

// It is only noted: run() connects.
int name_lines::connect(ares_socket_t number, const struct sockaddr* to, ares_socklen_t size,
                        void* self) noexcept {
  line* one = at(number, self);
  raw_address raw;
  if (!one || size > sizeof raw.storage) return failed_with(EBADF);
  std::memcpy(raw.storage, to, size);
  raw.size = size;
  one->server = address(raw);
  return 0;
}

ares_ssize_t name_lines::send(ares_socket_t number, const struct iovec* pieces, int count,
                              void* self) noexcept {
  line* one = at(number, self);
  if (!one) return failed_with(EBADF);
  std::size_t size = 0;
  for (const std::string& text : one->out) size += text.size();
  if (size > out_max) return failed_with(EWOULDBLOCK);
  try {
    std::string text;
    for (int i = 0; i < count; ++i) {
      text.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    }
    const auto sent = static_cast<ares_ssize_t>(text.size());
    one->out.push_back(std::move(text));
    return sent;
  } catch (const std::bad_alloc&) {
    return failed_with(ENOMEM);
  }
}

ares_ssize_t name_lines::receive(ares_socket_t number, void* into, size_t size, int /*flags*/,
                                 struct sockaddr* from, ares_socklen_t* from_size,
                                 void* self) noexcept {
  line* one = at(number, self);
  if (!one) return failed_with(EBADF);
  if (one->error != 0) return failed_with(std::exchange(one->error, 0));
  if (one->in.empty()) return one->has_ended ? 0 : failed_with(EWOULDBLOCK);
  const std::size_t count = std::min(size, one->in.size());
  std::memcpy(into, one->in.data(), count);
  one->in.erase(0, one->is_stream ? count : one->in.size());
  if (from && from_size) {
    const raw_address& raw = one->sender.raw();
    *from_size = std::min<ares_socklen_t>(*from_size, raw.size);
    std::memcpy(from, raw.storage, *from_size);
  }
  return static_cast<ares_ssize_t>(count);
}

void name_lines::serve(ares_channel channel) {
  static constexpr struct ares_socket_functions calls = {.asocket = &make,
                                                         .aclose = &close,
                                                         .aconnect = &connect,
                                                         .arecvfrom = &receive,
                                                         .asendv = &send};
  channel_ = channel;
  ares_set_socket_functions(channel, &calls, this);
}

// c-ares makes and closes lines while it is called.
std::vector<name_lines::line_number> name_lines::numbers() const {
  std::vector<line_number> all;
  for (const auto& [number, one] : lines_) all.push_back(number);
  return all;
}

// What c-ares wants to send on streams it sends when it hears that it can.
void name_lines::let_write() {
  ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
  const auto bits = static_cast<unsigned>(ares_getsock(channel_, sockets, ARES_GETSOCK_MAXNUM));
  for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
    if (ARES_GETSOCK_WRITABLE(bits, i)) ares_process_fd(channel_, ARES_SOCKET_BAD, sockets[i]);
  }
}

// True: there was something.
bool name_lines::let_read() {
  bool was_there = false;
  for (const line_number number : numbers()) {
    const line* one = at(number, this);
    if (!one || !one->has_news()) continue;
    was_there = true;
    ares_process_fd(channel_, number, ARES_SOCKET_BAD);
  }
  return was_there;
}

task<> name_lines::open(line* one) {
  one->is_open = true;
  if (one->is_stream) {
    one->stream = co_await weir::connect(one->server);
  } else {
    one->datagrams = open_datagrams(one->server.family());
    co_await one->datagrams.connect(one->server);
  }
}

task<> name_lines::send_out(line* one) {
  if (!one->is_open) co_await open(one);
  while (!one->out.empty()) {
    const std::string text = std::move(one->out.front());
    one->out.pop_front();
    if (one->is_stream) {
      co_await one->stream.send(text);
    } else {
      co_await one->datagrams.send(text);
    }
  }
}

task<> name_lines::send_all() {
  for (const line_number number : numbers()) {
    line* one = at(number, this);
    const auto sent = co_await as_result(send_out(one));
    if (sent) continue;
    co_await checkpoint();  // cancelled: ends here, and c-ares hears of no trouble
    one->error = number_of(sent.error());
  }
}

task<> name_lines::take_in(line* one) {
  if (one->is_stream) {
    const bytes got = co_await one->stream.receive();
    one->in += got.text();
    one->has_ended = !got;
  } else {
    const datagram got = co_await one->datagrams.receive();
    one->in = got.text();
    one->sender = address(got.address);
  }
}

task<> name_lines::wait_for_any() {
  co_await with_scope({.name = "name servers"}, [&](scope& s) -> task<> {
    for (auto& [number, one] : lines_) {
      if (one.handle() < 0) continue;
      s.spawn(
          [](line* of, scope* around) -> task<> {
            std::ignore = co_await wait_ready(of->handle(), POLLIN);
            of->is_ready = true;
            around->cancel("ready");
          },
          &one, &s);
    }
    co_await s.join();
  });
  for (auto& [number, one] : lines_) {
    if (!std::exchange(one.is_ready, false)) continue;
    const auto taken = co_await as_result(take_in(&one));
    if (taken) continue;
    co_await checkpoint();  // as above
    one.error = number_of(taken.error());
  }
}

task<> name_lines::run(const bool* is_done) {
  while (!*is_done) {
    let_write();
    co_await send_all();
    if (let_read()) continue;
    if (lines_.empty()) co_await sleep(duration::max());  // nobody can answer: until the time is up
    co_await wait_for_any();
  }
}

task<std::string> name_servers_of_world() {
  constexpr int servers_max = 3;  // as the resolvers of C libraries have it
  std::string text;
  const auto read = co_await as_result(read_configuration(&text));
  std::string servers;
  int count = 0;
  for (std::string_view left = text; read && !left.empty() && count < servers_max;) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    const std::string_view row = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    constexpr std::string_view key = "nameserver ";
    if (!row.starts_with(key)) continue;
    if (count++ != 0) servers += ',';
    servers += row.substr(key.size());
  }
  co_return servers.empty() ? "127.0.0.1" : servers;
}

}  // namespace weir::detail

#include <weir/testing/fake_name_server.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/sim/virtual_world.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

namespace weir::testing {

namespace {

// RFC 1035, sections 3.2 and 4.1; RFC 3596 for AAAA, RFC 2782 for SRV.
constexpr std::uint16_t type_a = 1;
constexpr std::uint16_t type_aaaa = 28;
constexpr std::uint16_t type_srv = 33;
constexpr std::size_t head_size = 12;
constexpr std::size_t question_max = 512;
constexpr std::size_t label_max = 63;
constexpr int ports_tried_max = 20;
constexpr unsigned char is_answer = 0x80;
constexpr unsigned char is_cut = 0x02;
constexpr unsigned char can_recurse = 0x80;
constexpr unsigned char code_failed = 2;
constexpr unsigned char code_no_such_name = 3;

void put_number(std::string& into, std::uint32_t number, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) {
    into += static_cast<char>(number >> (8 * i) & 0xff);
  }
}

unsigned number_at(std::string_view from, std::size_t at) {
  return static_cast<unsigned>(static_cast<unsigned char>(from[at])) << 8 |
         static_cast<unsigned char>(from[at + 1]);
}

std::string labels_of(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('.'), name.size());
    WEIR_ASSERT(end > 0 && end <= label_max && "a name of labels");
    out += static_cast<char>(end);
    out += name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  out += '\0';
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

}  // namespace

void fake_name_server::add(std::string_view host, std::string_view address) {
  const raw_address raw = value_or_raise(weir::address::parse(address, 0)).raw();
  record one;
  if (weir::address(raw).family() == address_family::ipv6) {
    one.type = type_aaaa;
    one.data.assign(reinterpret_cast<const char*>(raw.storage) + offsetof(sockaddr_in6, sin6_addr),
                    sizeof(in6_addr));
  } else {
    one.type = type_a;
    one.data.assign(reinterpret_cast<const char*>(raw.storage) + offsetof(sockaddr_in, sin_addr),
                    sizeof(in_addr));
  }
  records_.emplace(lower(host), std::move(one));
}

void fake_name_server::add_service(std::string_view service, const service_target& target) {
  record one{.type = type_srv, .data = {}};
  put_number(one.data, target.priority, 2);
  put_number(one.data, target.weight, 2);
  put_number(one.data, target.port, 2);
  one.data += labels_of(target.host);
  records_.emplace(lower(service), std::move(one));
}

void fake_name_server::remove(std::string_view name) { records_.erase(lower(name)); }

// One question, of class "internet"; names of questions are not compressed.
bool fake_name_server::read(std::string_view packet, question& out) {
  if (packet.size() < head_size || packet.size() > question_max) return false;
  if ((static_cast<unsigned char>(packet[2]) & is_answer) != 0) return false;
  if (number_at(packet, 4) != 1) return false;
  std::size_t at = head_size;
  for (;;) {
    if (at >= packet.size()) return false;
    const auto length = static_cast<unsigned char>(packet[at++]);
    if (length == 0) break;
    if (length > label_max || at + length > packet.size()) return false;
    if (!out.name.empty()) out.name += '.';
    out.name += lower(packet.substr(at, length));
    at += length;
  }
  if (at + 4 > packet.size()) return false;
  out.type = static_cast<std::uint16_t>(number_at(packet, at));
  out.end = at + 4;
  return true;
}

std::string fake_name_server::answer(std::string_view packet, bool by_stream) {
  question asked;
  if (!read(packet, asked)) return {};
  ++questions_;
  by_stream_ += by_stream ? 1 : 0;
  if (trouble_ == name_trouble::silent) return {};
  if (trouble_ == name_trouble::silent_on_ipv6 && asked.type == type_aaaa) return {};
  const bool is_too_long = trouble_ == name_trouble::truncated && !by_stream;
  const bool has_failed = trouble_ == name_trouble::server_failure;
  const auto [first, last] = records_.equal_range(asked.name);
  std::string body;
  unsigned count = 0;
  for (auto at = first; at != last && !is_too_long && !has_failed; ++at) {
    const record& one = at->second;
    if (one.type != asked.type) continue;
    put_number(body, 0xc000 + head_size, 2);  // the name is that of the question
    put_number(body, one.type, 2);
    put_number(body, 1, 2);   // class "internet"
    put_number(body, 60, 4);  // seconds to keep it
    put_number(body, static_cast<std::uint32_t>(one.data.size()), 2);
    body += one.data;
    ++count;
  }
  if (trouble_ == name_trouble::garbled) ++count;
  unsigned char code = first == last ? code_no_such_name : 0;
  if (has_failed) code = code_failed;
  std::string out(packet.substr(0, asked.end));
  out[2] = static_cast<char>(static_cast<unsigned char>(out[2]) | is_answer |
                             (is_too_long ? is_cut : 0));
  out[3] = static_cast<char>(can_recurse | code);
  std::string counts;
  put_number(counts, count, 2);
  counts.append(4, '\0');  // nothing about authorities, nothing more
  out.replace(6, counts.size(), counts);
  return out + body;
}

task<> fake_name_server::serve_datagrams(datagram_socket box) {
  for (;;) {
    const datagram asked = co_await box.receive();
    std::string text = answer(asked.text(), false);
    if (text.empty()) continue;
    // An asker that is gone is no reason to end.
    if (trouble_ == name_trouble::foreign) {
      std::string other = text;
      other[0] = static_cast<char>(other[0] ^ 1);
      std::ignore = co_await as_result(box.send_to(asked.address, other));
    }
    std::ignore = co_await as_result(box.send_to(asked.address, text));
    if (trouble_ == name_trouble::doubled) {
      std::ignore = co_await as_result(box.send_to(asked.address, text));
    }
  }
}

// RFC 1035, section 4.2.2: each message has its length before it.
task<> fake_name_server::serve_stream(socket from) {
  std::string in;
  for (;;) {
    while (in.size() < 2 || in.size() < 2 + number_at(in, 0)) {
      const bytes got = co_await from.receive();
      if (!got) co_return;
      in += got.text();
    }
    const std::size_t size = number_at(in, 0);
    if (size > question_max) co_return;
    const std::string text = answer(std::string_view(in).substr(2, size), true);
    in.erase(0, 2 + size);
    if (text.empty()) continue;
    std::string out;
    put_number(out, static_cast<std::uint32_t>(text.size()), 2);
    out += text;
    co_await from.send(out);
  }
}

task<> fake_name_server::serve_streams(listener door) {
  constexpr auto serve_one = [](fake_name_server* self, socket from) -> task<> {
    std::ignore = co_await as_result(self->serve_stream(std::move(from)));
  };
  const scope_options options{.name = "streams", .tasks_max = streams_max};
  co_await with_scope(options, [&](scope& s) -> task<> {
    for (;;) {
      socket one = co_await door.accept();
      co_await s.spawn_when_room(serve_one, this, std::move(one));
    }
  });
}

task<> fake_name_server::start(scope& in, address at) {
  constexpr auto by_datagram = [](fake_name_server* self, datagram_socket on) -> task<> {
    co_await self->serve_datagrams(std::move(on));
  };
  constexpr auto by_stream = [](fake_name_server* self, listener on) -> task<> {
    co_await self->serve_streams(std::move(on));
  };
  // A port that the system chooses for datagrams may be another program's for streams.
  for (int tries = at.port() == 0 ? ports_tried_max : 1;; --tries) {
    datagram_socket box = bind_datagrams_at(at);
    where_ = box.local();
    result<listener> door = co_await as_result(listen_at(where_));
    if (!door) {
      co_await checkpoint();  // cancelled: ends here
      if (tries > 1) continue;
    }
    listener streams = value_or_raise(std::move(door));
    in.spawn(by_datagram, this, std::move(box));
    in.spawn(by_stream, this, std::move(streams));
    co_return;
  }
}

task<> fake_name_server::serve(address at) {
  co_await with_scope({.name = "name server"}, [&](scope& s) -> task<> {
    co_await start(s, at);
    co_await s.join();
  });
}

void set_name_servers(virtual_world& world, std::string_view servers) {
  std::string text;
  while (!servers.empty()) {
    const std::size_t end = std::min(servers.find(','), servers.size());
    text.append("nameserver ").append(servers.substr(0, end)).append("\n");
    servers.remove_prefix(std::min(end + 1, servers.size()));
  }
  const int error = world.disk().put_file("/etc/resolv.conf", text);
  WEIR_ASSERT(error == 0);
}

}  // namespace weir::testing

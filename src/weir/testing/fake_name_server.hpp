// A name server for tests, on any driver: a table of names, and what the server does wrong. The
// hard idea: it answers real questions with real datagrams, so that resolve() and connect() are
// tested with the code that ships, on one virtual machine, between several, or on the kernel's
// loopback.
//
//   fake_name_server names;  // outlives what it starts
//   names.add("api.test", "10.0.0.2");  // or an IPv6 address; a host may have several
//   testing::set_name_servers(testing::world(), "127.0.0.1");  // whom programs ask
//   co_await names.start(s, *address::parse("127.0.0.1:53"));  // s: a scope
//   ... co_await connect("api.test", 80) ...
#pragma once

#include <weir/core/scope.hpp>
#include <weir/core/task.hpp>
#include <weir/io/address.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/resolve_service.hpp>
#include <weir/io/socket.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir {
class virtual_world;
}

namespace weir::testing {

/// What the server does with a question that it has heard.
enum class name_trouble : std::uint8_t {
  none,
  silent,          // nothing
  silent_on_ipv6,  // nothing where IPv6 addresses are asked for
  server_failure,  // says that it has failed (SERVFAIL)
  truncated,  // says by datagram that the answer is too long for one: the asker comes by stream
  garbled,    // an answer that says to have one record more than it has
  doubled,    // answers twice
  foreign,    // answers another question first
};

/// Answers questions for the addresses (A, AAAA) and services (SRV) of its table; what is not in it
/// does not exist.
///
/// Cancel:  its tasks end at once and close their sockets.
/// Order:   one question after the other of datagrams; streams beside them.
/// Bound:   512 bytes of a question; streams_max streams, then those that wait wait.
/// Errors:  what is no question gets no answer; start() raises `busy` where the address is taken.
/// Threads: one loop.
class fake_name_server {
 public:
  static constexpr std::size_t streams_max = 16;

  fake_name_server() = default;
  fake_name_server(const fake_name_server&) = delete;
  fake_name_server& operator=(const fake_name_server&) = delete;

  /// One more address of a host: "10.0.0.2" or "fd00::a00:2".
  void add(std::string_view host, std::string_view address);
  /// One more target of a service, "_weir._tcp.test".
  void add_service(std::string_view service, const service_target& target);
  void remove(std::string_view name);
  void set_trouble(name_trouble trouble) noexcept { trouble_ = trouble; }

  /// From here on tasks of the scope answer questions that come to this address, by datagram and by
  /// stream.
  task<> start(scope& in, address at);
  /// The same until it is cancelled.
  task<> serve(address at);
  /// Where it serves; before that no address.
  const address& where() const noexcept { return where_; }
  std::size_t questions() const noexcept { return questions_; }
  std::size_t questions_by_stream() const noexcept { return by_stream_; }

 private:
  struct record {
    std::uint16_t type = 0;
    std::string data;
  };
  struct question {
    std::string name;
    std::uint16_t type = 0;
    std::size_t end = 0;  // of what was asked, in the packet
  };
  static bool read(std::string_view packet, question& out);
  /// Empty: none.
  std::string answer(std::string_view packet, bool by_stream);
  task<> serve_datagrams(datagram_socket box);
  task<> serve_streams(listener door);
  task<> serve_stream(socket from);

  address where_;
  std::multimap<std::string, record> records_;
  name_trouble trouble_ = name_trouble::none;
  std::size_t questions_ = 0;
  std::size_t by_stream_ = 0;
};

/// From here on the programs of this world ask these servers for names, "10.0.0.9" or several with
/// commas between them: its "/etc/resolv.conf" says so.
void set_name_servers(virtual_world& world, std::string_view servers);

}  // namespace weir::testing

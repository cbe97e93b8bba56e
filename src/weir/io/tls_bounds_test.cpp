// The bounds of TLS that a connection over sockets reaches late: the memory for received text, and
// the sessions that a client keeps. Reached on the engine itself, with little memory.
#include <weir/io/internal/tls_core.hpp>
#include <weir/io/io_wait.hpp>
#include <weir/io/tls_kit_test.hpp>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::detail::tls_bounds_test {
namespace {

using weir::testing::certificate_authority;
using weir::testing::pem_pair;

time_point wall_now() { return time_point(std::time(nullptr) * std::int64_t(1'000'000'000)); }

ssl_owner trusting_client() {
  const context_owner context(SSL_CTX_new(TLS_client_method()));
  ssl_owner made(SSL_new(context.get()));
  SSL_set_connect_state(made.get());
  return made;
}

/// What one end has sealed arrives at the other. False: there was nothing.
bool deliver(tls_engine& from, tls_engine& to) {
  const std::string_view sealed = from.next_to_send();
  if (sealed.empty()) return false;
  to.put(bytes::copy_of(sealed));
  *from.sending() = sealed.size();
  from.note_sent();
  return true;
}

/// A server whose client has room for two blocks of received text; the handshake is over.
struct narrow_pair {
  certificate_authority ca;
  pem_pair own = ca.issue({});
  tls_identity identity = own.identity();
  tls_server_core by{{.identities = {&identity, 1}}};
  std::unique_ptr<tls_engine> server = by.make_engine(wall_now());
  receive_arena memory{2};
  tls_engine client{trusting_client(), memory, "weir.test"};

  narrow_pair() {
    for (bool is_done = false; !is_done;) {
      is_done = client.handshake() == tls_step::done;
      deliver(client, *server);
      is_done = server->handshake() == tls_step::done && is_done;
      deliver(*server, client);
    }
    bytes none;
    EXPECT_EQ(client.read(none), tls_step::wants_input) << "the server's tickets came last";
  }
  /// The server's next record arrives.
  void send(std::size_t count) {
    const std::string text(count, 'x');
    slice_cursor all(io_slice{text.data(), text.size()});
    ASSERT_EQ(server->write(all), count);
    ASSERT_TRUE(deliver(*server, client));
  }
};

TEST(TlsBounds, text_that_is_in_use_beyond_plain_blocks_max_fails_its_connection) {
  narrow_pair both;
  std::vector<bytes> in_use(3);
  for (int i = 0; i < 2; ++i) {
    both.send(tls_engine::record_bytes_max);
    ASSERT_EQ(both.client.read(in_use[i]), tls_step::done);
    EXPECT_EQ(in_use[i].size(), tls_engine::record_bytes_max);
  }
  both.send(tls_engine::record_bytes_max);
  EXPECT_EQ(both.client.read(in_use[2]), tls_step::failed);
  ASSERT_TRUE(both.client.failure());
  EXPECT_EQ(*both.client.failure(), errc::full);
  EXPECT_NE(both.client.failure()->message().find("plain_blocks_max"), std::string::npos);
}

TEST(TlsBounds, text_that_is_dropped_does_not_count) {
  narrow_pair both;
  for (int i = 0; i < 10; ++i) {
    both.send(tls_engine::record_bytes_max);
    bytes got;
    ASSERT_EQ(both.client.read(got), tls_step::done) << i;
    EXPECT_EQ(got.size(), tls_engine::record_bytes_max);
  }
}

std::string place_of(std::size_t host) { return "host " + std::to_string(host); }

/// A session comes over a connection, as OpenSSL tells the client.
void give_session(const tls_engine& over) {
  session_owner session(SSL_SESSION_new());
  SSL_SESSION_set1_id(session.get(), reinterpret_cast<const unsigned char*>("id"), 2);
  const auto heard = SSL_CTX_sess_get_new_cb(SSL_get_SSL_CTX(over.ssl()));
  ASSERT_EQ(heard(over.ssl(), session.get()), 1);
  static_cast<void>(session.release());  // it is the client's now
}
void connect_for_session(tls_client_core& by, std::size_t host) {
  give_session(*by.make_engine("weir.test", place_of(host), wall_now()));
}
bool has_session(tls_client_core& in, std::size_t host) {
  const auto engine = in.make_engine("weir.test", place_of(host), wall_now());
  return SSL_get_session(engine->ssl()) != nullptr;
}

/// How many of the first hosts have one; they are used up by the question.
std::size_t sessions_of(tls_client_core& in, std::size_t hosts) {
  std::size_t kept = 0;
  for (std::size_t host = 0; host < hosts; ++host) {
    if (has_session(in, host)) ++kept;
  }
  return kept;
}

/// A client that has a session of each of so many hosts.
struct client_of_hosts {
  certificate_authority ca;
  std::string trusted = ca.certificate();
  tls_client_core client{{.ca = trusted}};

  explicit client_of_hosts(std::size_t hosts) {
    for (std::size_t host = 0; host < hosts; ++host) connect_for_session(client, host);
  }
};

TEST(TlsBounds, a_client_keeps_the_sessions_of_sessions_max_hosts) {
  client_of_hosts with(tls_client::sessions_max + 1);
  EXPECT_TRUE(has_session(with.client, tls_client::sessions_max)) << "the last one is kept";
  EXPECT_EQ(sessions_of(with.client, tls_client::sessions_max), tls_client::sessions_max - 1);
}

TEST(TlsBounds, a_second_session_of_one_connection_is_at_the_cost_of_the_first_one_only) {
  client_of_hosts with(tls_client::sessions_max);
  const auto engine = with.client.make_engine("weir.test", place_of(5), wall_now());
  for (int i = 0; i < 2; ++i) give_session(*engine);
  EXPECT_EQ(sessions_of(with.client, tls_client::sessions_max), tls_client::sessions_max);
}

}  // namespace
}  // namespace weir::detail::tls_bounds_test

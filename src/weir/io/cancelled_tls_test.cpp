// TLS connections, cancelled at every point: a handshake closes its connection, and afterwards a
// stream goes on with what `sent` tells, or ends in a way that its peer hears.
#include <weir/core.hpp>
#include <weir/io/connection_test.hpp>
#include <weir/io/tls_kit_test.hpp>
#include <weir/io/tls_socket.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace weir::cancelled_tls_test {
namespace {

using namespace weir::literals;
using contract::connect_pair;
using contract::connection;
using testing::cancel_at_every_point;
using testing::victim;

/// Made once: keys take longer than all the rest, and every virtual world begins at the same time.
struct certificates {
  std::int64_t now = loop::current()->io().wall_now().ns / 1'000'000'000;
  testing::certificate_authority ca{"weir test CA", now};
  testing::pem_pair of_server = ca.issue({.now = now});
  std::string ca_text = ca.certificate();
  tls_identity identity = of_server.identity();
};
const certificates& papers() {
  static const certificates made;
  return made;
}

tls_server& server() {
  static tls_server made({.identities = {&papers().identity, 1}});
  return made;
}
/// One that has met the server resumes its session, in fewer steps: who counts steps makes a new
/// one.
tls_client_settings trusting() { return {.ca = papers().ca_text}; }
tls_client& client() {
  static tls_client made(trusting());
  return made;
}

struct tls_pair {
  std::optional<tls_socket> client;
  std::optional<tls_socket> server;
};

task<> accept_into(tls_server* by, socket plain, std::optional<tls_socket>* to) {
  to->emplace(co_await tls_accept(*by, std::move(plain)));
}
task<> connect_into(tls_client* by, socket plain, std::optional<tls_socket>* to) {
  to->emplace(co_await tls_connect(*by, std::move(plain), "weir.test"));
}

task<> shake(tls_pair& to) {
  connection plain = co_await connect_pair();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(accept_into, &server(), std::move(plain.server), &to.server);
    co_await connect_into(&client(), std::move(plain.client), &to.client);
  });
}

/// What has come, and how the stream ended: ok is an end in order.
struct heard {
  std::string text;
  errc end = errc{};
};
task<> hear_all(tls_socket* from, heard* to) {
  try {
    while (const bytes piece = co_await from->receive()) to->text += piece.text();
  } catch (const exception& failed) {
    to->end = failed.reason().code();
  }
}

task<> say_all(tls_socket* to, const std::string* text, std::size_t* sent) {
  co_await to->send(*text, sent);
}

/// The peer of a handshake that may be cut: what it has heard of it in the end.
template <auto Shake, class Side>
task<> shake_and_hear(Side* by, socket plain, heard* to) {
  std::optional<tls_socket> made;
  try {
    co_await Shake(by, std::move(plain), &made);
  } catch (const exception& failed) {
    to->end = failed.reason().code();
    co_return;
  }
  co_await hear_all(&*made, to);
}

TEST(CancelledTls, a_connecting_side_that_ends_in_its_handshake_closes_the_connection) {
  cancel_at_every_point([](victim& v) -> task<> {
    tls_client stranger(trusting());
    connection plain = co_await connect_pair();
    heard peer;
    std::optional<tls_socket> made;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(shake_and_hear<accept_into, tls_server>, &server(), std::move(plain.server), &peer);
      co_await v.run(connect_into(&stranger, std::move(plain.client), &made));
      EXPECT_TRUE(made || v.was_cancelled());
      if (!made) co_return;
      co_await made->send("it goes on");
      co_await made->shutdown_send();
    });
    EXPECT_EQ(peer.text, made ? "it goes on" : "");
    EXPECT_EQ(peer.end, made ? errc{} : errc::broken);
    EXPECT_LT(testing::elapsed(), 1_s) << "the peer hears of it at once";
    EXPECT_EQ(stranger.stats().handshakes, made ? 1u : 0u);
    made.reset();
    EXPECT_EQ(testing::world().open_handles(), 0u);
  });
}

TEST(CancelledTls, an_accepting_side_that_ends_in_its_handshake_closes_the_connection) {
  cancel_at_every_point([](victim& v) -> task<> {
    tls_client stranger(trusting());
    const std::uint64_t before = server().stats().handshakes;
    connection plain = co_await connect_pair();
    heard peer;
    std::optional<tls_socket> made;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(shake_and_hear<connect_into, tls_client>, &stranger, std::move(plain.client), &peer);
      co_await v.run(accept_into(&server(), std::move(plain.server), &made));
      EXPECT_TRUE(made || v.was_cancelled());
      if (!made) co_return;
      co_await made->send("it goes on");
      co_await made->shutdown_send();
    });
    EXPECT_EQ(peer.text, made ? "it goes on" : "");
    EXPECT_EQ(peer.end, made ? errc{} : errc::broken);
    EXPECT_LT(testing::elapsed(), 1_s) << "the peer hears of it at once";
    EXPECT_EQ(server().stats().handshakes - before, made ? 1u : 0u);
    made.reset();
    EXPECT_EQ(testing::world().open_handles(), 0u);
  });
}

TEST(CancelledTls, a_receive_has_taken_what_it_gave_and_no_more) {
  cancel_at_every_point([](victim& v) -> task<> {
    tls_pair ends;
    co_await shake(ends);
    heard got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (const char* word : {"one ", "two ", "three"}) {
          co_await ends.server->send(word);
          co_await sleep(1_ms);
        }
        co_await ends.server->shutdown_send();
      });
      co_await v.run(hear_all(&*ends.client, &got));
    });
    co_await hear_all(&*ends.client, &got);
    EXPECT_EQ(got.text, "one two three");
    EXPECT_EQ(got.end, errc{});
  });
}

constexpr std::size_t long_text = 120'000;  // more than the way to the peer holds

/// Has `send` send a long text, cancelled at the victim's point, and then does `rest`. Gives what
/// the server has heard.
template <class Send, class Rest>
task<heard> hear_a_send(victim& v, tls_pair& ends, std::size_t* sent, Send send, Rest rest) {
  co_await shake(ends);
  const std::string text(long_text, 'x');
  heard got;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(hear_all, &*ends.server, &got);
    co_await v.run(send(&*ends.client, &text, sent));
    co_await rest(*ends.client);
  });
  co_return got;
}

TEST(CancelledTls, a_send_has_committed_what_it_tells_and_the_next_one_goes_on_behind_it) {
  cancel_at_every_point([](victim& v) -> task<> {
    tls_pair ends;
    std::size_t sent = 0;
    const heard got = co_await hear_a_send(v, ends, &sent, say_all, [](tls_socket& to) -> task<> {
      co_await to.send("the rest");
      co_await to.shutdown_send();
    });
    EXPECT_EQ(got.text.size(), sent + 8);
    EXPECT_TRUE(got.text.ends_with("the rest"));
    EXPECT_EQ(got.end, errc{});
    if (!v.was_cancelled()) EXPECT_EQ(sent, long_text);
  });
}

TEST(CancelledTls, a_close_after_a_send_is_heard_as_a_cut_and_no_half_record_is_taken) {
  cancel_at_every_point([](victim& v) -> task<> {
    tls_pair ends;
    std::size_t sent = 0;
    const heard got = co_await hear_a_send(v, ends, &sent, say_all, [](tls_socket& to) -> task<> {
      to.close();
      co_await testing::expect_raises<errc::closed>(to.send("too late"));
    });
    EXPECT_LE(got.text.size(), sent);
    EXPECT_EQ(got.text.find_first_not_of('x'), std::string::npos);
    EXPECT_EQ(got.end, errc::broken);
  });
}

TEST(CancelledTls, an_end_that_was_not_told_is_told_by_the_next_shutdown) {
  cancel_at_every_point([](victim& v) -> task<> {
    tls_pair ends;
    std::size_t sent = 0;
    const auto send_and_end = [](tls_socket* to, const std::string* what,
                                 std::size_t* count) -> task<> {
      co_await to->send(*what, count);
      co_await to->shutdown_send();
    };
    const heard got =
        co_await hear_a_send(v, ends, &sent, send_and_end,
                             [](tls_socket& to) -> task<> { co_await to.shutdown_send(); });
    EXPECT_EQ(got.text.size(), sent);
    EXPECT_EQ(got.end, errc{});
    co_await ends.server->send("answer");
    EXPECT_EQ((co_await ends.client->receive()).text(), "answer") << "receiving goes on";
  });
}

}  // namespace
}  // namespace weir::cancelled_tls_test

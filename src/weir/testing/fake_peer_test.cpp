#include <weir/testing/fake_peer.hpp>

#include <weir/core.hpp>
#include <weir/io/reader.hpp>
#include <weir/testing/internal/caught_failures.hpp>

#include <string>
#include <utility>
#include <vector>

namespace weir::fake_peer_test {
namespace {

using namespace weir::literals;
using testing::bytes_of_hex;
using testing::fake_peer;
using testing::hex_difference;

// Runs client(socket) against the peer.
template <class Client>
task<> against(fake_peer* peer, Client client) {
  listener door = co_await listen({});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await peer->serve(door); });
    co_await client(co_await connect(door.local()));
  });
}
// Its failures, in a plain world.
template <class Client>
std::string failure_of(fake_peer* peer, Client client) {
  const testing::caught_failures caught;
  testing::run_virtual(against(peer, client));
  return caught.text();
}

WEIR_TEST("a peer says and expects what its script says, in pieces of any size") {
  fake_peer peer;
  std::string head;
  std::string body;
  peer.expect("HELLO 1\r\n")
      .send("WELCOME\r\n")
      .take_until("\r\n\r\n", &head)
      .take(3, &body)
      .send_in_pieces("slowly", 1, 2_ms)
      .half_close()
      .expect("bye")
      .expect_end();
  co_await against(&peer, [](socket line) -> task<> {
    reader in(line);
    co_await line.send("HEL");
    co_await line.send("LO 1\r\n");
    EXPECT_EQ((co_await in.read_line())->text(), "WELCOME");
    co_await line.send("a: 1\r\nb: 2\r\n\r\nxyz");
    std::string slowly;
    while (auto piece = co_await in.receive()) slowly += piece.text();
    EXPECT_EQ(slowly, "slowly");
    EXPECT_EQ(testing::elapsed(), 12_ms) << "each byte alone";
    co_await line.send("bye");
    co_await line.shutdown_send();
  });
  EXPECT_TRUE(peer.has_finished());
  EXPECT_EQ(head, "a: 1\r\nb: 2\r\n\r\n");
  EXPECT_EQ(body, "xyz");
}

WEIR_TEST("a peer that resets is a broken connection, and one at its script's end an ended one") {
  fake_peer breaks;
  breaks.expect("x").wait(5_s).reset();
  co_await against(&breaks, [](socket line) -> task<> {
    co_await line.send("x");
    co_await testing::expect_raises<errc::broken>(line.receive());
  });
  EXPECT_EQ(testing::elapsed(), 5_s);
  fake_peer ends;
  ends.send("last");
  co_await against(&ends, [](socket line) -> task<> {
    std::string all;
    while (auto piece = co_await line.receive()) all += piece.text();
    EXPECT_EQ(all, "last");
  });
  EXPECT_TRUE(breaks.has_finished() && ends.has_finished());
}

WEIR_TEST("a peer can be the client, too") {
  fake_peer caller;
  caller.send("ping").expect("pong").expect_end();
  listener door = co_await listen({});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await caller.play(co_await connect(door.local())); });
    socket line = co_await door.accept();
    EXPECT_EQ((co_await line.receive()).text().substr(0, 1), "p");
    co_await line.send("pong");
    co_await line.shutdown_send();
    while (co_await line.receive()) {
    }
  });
  EXPECT_TRUE(caller.has_finished());
}

TEST(FakePeer, that_gets_other_bytes_says_where_and_resets_the_connection) {
  fake_peer peer({.name = "door"});
  peer.expect("first").expect("0123456789abcdefHELLO 1\r\n").send("never");
  const std::string text = failure_of(&peer, [](socket line) -> task<> {
    co_await line.send("first0123456789abcdefHELLO 2\r\n");
    co_await testing::expect_raises<errc::broken>(line.receive());
  });
  EXPECT_EQ(
      text,
      "door, step 2, expect(): byte 22 of the step differs, byte 27 of the connection\n"
      "  both      000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n"
      "  expected  000010  48 45 4c 4c 4f 20 31 0d 0a                       HELLO 1..\n"
      "  came      000010  48 45 4c 4c 4f 20 32 0d 0a                       HELLO 2..\n"
      "                                      ^^\n");
  EXPECT_FALSE(peer.has_finished());
}

TEST(FakePeer, that_waits_in_vain_says_for_what_and_what_came) {
  fake_peer silent({.patience = 2_s});
  silent.expect("all of it");
  std::string text = failure_of(&silent, [](socket line) -> task<> {
    co_await line.send("all");
    co_await testing::expect_raises<errc::broken>(line.receive());
    EXPECT_EQ(testing::elapsed(), 2_s);
  });
  for (const char* part :
       {"peer, step 1, expect(): nothing for 2s after 3 bytes of the step", "61 6c 6c 20 6f 66"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  fake_peer cut;
  cut.take_until("\r\n");
  text = failure_of(&cut, [](socket line) -> task<> {
    co_await line.send("GET");
    line.close();
    co_return;
  });
  EXPECT_NE(text.find("take_until(): the stream ended after 3 bytes"), std::string::npos) << text;
  fake_peer broken;
  broken.take(4);
  text = failure_of(&broken, [](socket line) -> task<> {
    line.reset();
    co_return;
  });
  EXPECT_NE(text.find("take(): broken"), std::string::npos) << text;
}

TEST(FakePeer, that_gets_more_than_its_script_or_no_end_fails) {
  fake_peer over;
  over.expect("ab");
  std::string text = failure_of(&over, [](socket line) -> task<> {
    co_await line.send("abc");
    static_cast<void>(co_await as_result(line.receive()));
  });
  EXPECT_NE(text.find("the script is over, and 1 byte came"), std::string::npos) << text;
  fake_peer more;
  more.expect_end();
  text = failure_of(&more, [](socket line) -> task<> {
    co_await line.send("not yet");
    static_cast<void>(co_await as_result(line.receive()));
  });
  EXPECT_NE(text.find("expected the end of the stream, came 7 bytes"), std::string::npos) << text;
}

TEST(FakePeer, that_cannot_send_says_how_far_it_came) {
  fake_peer loud({.patience = 1_s});
  loud.send(std::string(8'000'000, 'x'));
  const std::string text = failure_of(&loud, [](socket line) -> task<> {
    co_await sleep(5_s);
    line.close();
  });
  EXPECT_NE(text.find("of 8000000 bytes were sent, then: timed_out"), std::string::npos) << text;
}

TEST(FakePeer, whose_script_is_never_played_fails_at_its_end) {
  const testing::caught_failures caught;
  {
    const fake_peer idle;
    fake_peer forgotten;
    forgotten.expect("hello");
    EXPECT_EQ(caught.count(), 0);
  }
  EXPECT_EQ(caught.count(), 1);
  EXPECT_NE(caught.text().find("its script was never played"), std::string::npos);
}

WEIR_TEST("a peer whose scope is cancelled just ends") {
  fake_peer patient;
  patient.expect("never comes");
  listener door = co_await listen({});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await patient.serve(door); });
    const socket line = co_await connect(door.local());
    co_await sleep(1_s);
    s.cancel("enough");
  });
  EXPECT_FALSE(patient.has_finished());
}

TEST(BytesOfHex, are_pairs_of_digits) {
  EXPECT_EQ(bytes_of_hex("0d0a fF 00"), std::string("\r\n\xff\0", 4));
  EXPECT_EQ(bytes_of_hex(""), "");
  for (const char* text : {"0", "0g", "0 d", "0x0d"}) EXPECT_THROW(bytes_of_hex(text), exception);
}

TEST(HexDifference, shows_the_lines_around_the_first_difference) {
  EXPECT_EQ(hex_difference("same", "same"), "");
  EXPECT_EQ(hex_difference("ab", "a"),
            "  expected  000000  61 62                                            ab\n"
            "  came      000000  61                                               a\n"
            "                       ^^\n");
}

}  // namespace
}  // namespace weir::fake_peer_test

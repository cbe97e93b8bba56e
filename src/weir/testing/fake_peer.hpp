// The other side of a connection, played by a script of bytes: for tests of protocols, and of what
// a peer does wrong. The hard idea: a script is a list of steps that are played on any stream, so
// that the same peer stands on the virtual network and on real loopback.
//
//   fake_peer server;                      // outlives the tasks that play it
//   server.expect("HELLO 1\r\n")           // what comes otherwise fails the test
//       .send_in_pieces("WELCOME\r\n", 3)  // each piece alone
//       .wait(5_s)
//       .reset();  // dies
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/byte_stream.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/test.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::testing {

inline constexpr std::size_t fake_peer_bytes_max = std::size_t{64} << 20;  // not yet expected

struct fake_peer_options {
  const char* name = "peer";
  duration patience = duration::seconds(30);  // for the next bytes of a step
};

/// A peer that does and expects what its script says, step by step. What comes and is not in the
/// script fails the test at the step's line, with both texts in hex from where they part, and
/// resets the connection, so that the program under test does not wait for ever.
///
/// Cancel:  the script ends where it is, and the connection is closed.
/// Order:   as written.
/// Bound:   fake_peer_bytes_max bytes that no step has taken; `patience` for each wait.
/// Errors:  none are raised: they fail the test.
/// Threads: one loop. It outlives what play() and serve() give.
class fake_peer {
 public:
  using place = std::source_location;

  explicit fake_peer(fake_peer_options options = {}, place written = place::current())
      : options_(options), written_(written) {}
  fake_peer(const fake_peer&) = delete;
  fake_peer& operator=(const fake_peer&) = delete;
  /// A script that nobody has asked to be played fails the test.
  ~fake_peer();

  /// Exactly these bytes come next, in pieces of any size.
  fake_peer& expect(std::string_view bytes, place written = place::current());
  /// Takes all up to and with the delimiter, such as a head whose fields may vary.
  fake_peer& take_until(std::string_view delimiter, std::string* into = nullptr,
                        place written = place::current());
  /// Takes so many bytes.
  fake_peer& take(std::size_t count, std::string* into = nullptr, place written = place::current());
  /// The other side ends its stream, in order.
  fake_peer& expect_end(place written = place::current());

  fake_peer& send(std::string_view bytes, place written = place::current());
  /// Sends at most `piece` bytes at a time and waits after each, so that they arrive alone.
  fake_peer& send_in_pieces(std::string_view bytes, std::size_t piece,
                            duration pause = duration::milliseconds(1),
                            place written = place::current());
  /// Does nothing for so long; what comes meanwhile is kept for the next step.
  fake_peer& wait(duration length, place written = place::current());
  /// Ends the stream to the other side; expecting goes on.
  fake_peer& half_close(place written = place::current());
  /// Ends the connection as if the peer had died. The script's last step.
  fake_peer& reset(place written = place::current());

  /// Plays the script on a connection and closes it. Bytes that came with expected ones and are in
  /// no step fail the test.
  template <byte_source Stream>
    requires byte_sink<Stream>
  task<> play(Stream on) {
    co_await play_on(weir::detail::source_ref(on), weir::detail::sink_ref(on));
  }
  /// Accepts one connection and plays on it.
  task<> serve(listener& door);

  /// True after a script that was played to its end and found all it expected.
  bool has_finished() const noexcept { return has_finished_; }

 private:
  enum class step_kind : std::uint8_t { expect, until, take, end, send, wait, half_close, reset };
  struct step {
    step_kind kind;
    std::string text{};
    std::size_t count = 0;  // of take; of a piece
    duration length{};
    std::string* into = nullptr;
    place written{};
  };
  enum class arrival : std::uint8_t { more, end, failed };

  fake_peer& add(step one);
  task<> play_on(weir::detail::source_ref from, weir::detail::sink_ref to);
  task<bool> do_step(const step& one, weir::detail::source_ref from, weir::detail::sink_ref to);
  task<bool> do_expect(const step& one, weir::detail::source_ref from);
  task<bool> do_until(const step& one, weir::detail::source_ref from);
  task<bool> do_take(const step& one, weir::detail::source_ref from);
  task<bool> do_end(const step& one, weir::detail::source_ref from);
  task<bool> do_half_close(const step& one, weir::detail::sink_ref to);
  task<bool> do_send(const step& one, weir::detail::sink_ref to);
  task<bool> wait_bytes(const step& one, weir::detail::source_ref from, std::string_view wanted);
  task<arrival> receive_more(weir::detail::source_ref from);
  std::string take_front(std::size_t count);
  void fail(const step& one, const std::string& what) const;

  fake_peer_options options_;
  place written_;
  std::vector<step> steps_;
  std::size_t at_ = 0;       // the step that is played
  std::string came_;         // and no step has taken
  std::uint64_t taken_ = 0;  // bytes that steps have taken
  std::string trouble_;      // of the last receive
  bool has_finished_ = false;
  bool is_played_ = false;
  bool is_served_ = false;
};

/// "\r\n\xff" of "0d 0a ff": for scripts of binary protocols. Raises `invalid_argument` with the
/// position for anything else than pairs of hexadecimal digits and spaces.
std::string bytes_of_hex(std::string_view text);
/// Both texts in hex and in letters around the first byte in which they differ, with a mark below
/// it; empty when they are equal.
std::string hex_difference(std::string_view expected, std::string_view came);

}  // namespace weir::testing

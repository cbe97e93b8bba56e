// Fuzzes a server's connection on a virtual network: whatever bytes a client sends, however they
// are cut, and however it ends, the server must answer with whole, well-formed responses only,
// must end the connection, and must leave no task, socket or reported error behind. The first bytes
// of the input choose the order of everything, and how the client behaves.
#include <weir/base/assert.hpp>
#include <weir/base/random.hpp>
#include <weir/core.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/http/server.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/wire/http1_body.hpp>
#include <weir/wire/http1_parser.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace weir {
namespace {

using namespace weir::literals;

// Small, so that short inputs reach them.
http::server_limits fuzz_limits() {
  http::server_limits limits;
  limits.message.target_bytes_max = 60;
  limits.message.fields_max = 8;
  limits.message.head_bytes_max = 400;
  limits.message.body_bytes_max = 100;
  limits.message.trailer_bytes_max = 40;
  limits.requests_per_connection_max = 20;
  limits.unread_bytes_max = 50;
  return limits;
}

// The first letter of the path says what is done.
task<> answer_by_path(http::request& asked, http::response& answered) {
  const char what = asked.path().size() > 1 ? asked.path()[1] : '/';
  if (what == 'r') co_return co_await answered.send(200, "text/plain", co_await asked.read_all(64));
  if (what == 's') {
    http::body_writer body = co_await answered.begin(200, "text/plain");
    while (const bytes piece = co_await asked.read()) co_await body.write(piece.text());
    co_return;
  }
  if (what == 'e') {
    http::sse_writer events = co_await answered.begin_events();
    co_await sleep(20_s);
    co_return co_await events.send({.data = "x"});
  }
  if (what == 'w') {
    answered.end_when_client_leaves();
    co_await sleep(5_s);
  }
  if (what == 'p') std::ignore = co_await asked.read();
  co_await answered.send(204);
}

// What the server said must be responses, one behind the other; the last one may be cut off only
// when the client went first: of an event stream also by ending its own half. Requests of the
// method HEAD have no body, so the parser must know: inputs with that word are checked up to the
// first response.
void check_responses(std::string_view said, std::string_view input, bool may_be_cut,
                     bool has_left_events) {
  const bool has_head_requests = input.find("HEAD") != std::string_view::npos;
  http1_response_parser parser;
  while (!said.empty()) {
    parser.reset();
    const parse_state state = parser.parse(said);
    WEIR_ASSERT(state != parse_state::failed);
    if (state == parse_state::incomplete) {
      WEIR_ASSERT(may_be_cut);
      return;
    }
    said.remove_prefix(parser.consumed());
    if (parser.head().is_interim()) continue;
    if (has_head_requests) return;
    http1_body_decoder body(parser.head().framing, parser.head().content_length);
    while (!body.is_done() && !said.empty()) {
      said.remove_prefix(body.next(said).consumed);
      WEIR_ASSERT(!body.is_failed());
    }
    if (!body.is_done()) body.end_of_input();
    const bool is_event_stream =
        parser.head().fields.value_of("Content-Type") == "text/event-stream";
    WEIR_ASSERT(body.is_done() || may_be_cut || (is_event_stream && has_left_events));
  }
}

struct behaviour {
  std::uint64_t seed;
  bool leaves_early;  // resets instead of listening to the end
  bool half_closes;
  bool is_slow;
};

// A reset is told once, to whichever of the two halves asks first.
task<> talk(socket& peer, std::string_view text, behaviour how, bool* was_reset) {
  random_source cuts(how.seed);
  while (!text.empty()) {
    const std::string_view part = text.substr(0, 1 + cuts.below(64));
    if (!co_await as_result(peer.send(part))) {
      *was_reset = true;
      co_return;
    }
    text.remove_prefix(part.size());
    if (how.is_slow) co_await sleep(100_ms);
  }
  if (how.half_closes && !co_await as_result(peer.shutdown_send())) *was_reset = true;
}

task<> listen_to(socket& peer, std::string* said, bool* was_reset) {
  while (true) {
    const result<bytes> piece = co_await as_result(peer.receive());
    if (!piece) *was_reset = true;
    if (!piece || piece->empty()) co_return;
    *said += piece->text();
  }
}

task<> one_connection(std::string_view input, behaviour how) {
  http::server serves(answer_by_path, fuzz_limits());
  listener door = co_await listen({});
  const address at = door.local();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await serves.run(std::move(door)); });
    socket peer = co_await connect(at);
    std::string said;
    bool was_reset = false;
    co_await with_scope({.timeout = how.leaves_early ? 2_s : 1_h}, [&](scope& both) -> task<> {
      both.spawn([&]() -> task<> { co_await talk(peer, input, how, &was_reset); });
      both.spawn([&]() -> task<> { co_await listen_to(peer, &said, &was_reset); });
      co_await both.join();
    });
    check_responses(said, input, how.leaves_early || was_reset, how.half_closes);
    peer.reset();
    co_await sleep(2_min);
    WEIR_ASSERT(serves.stats().connections_live == 0);
    WEIR_ASSERT(serves.stats().handler_failures == 0);
    serves.drain();
  });
}

void fail_on_report(const unhandled_error& what) noexcept {
  std::fprintf(stderr, "%s\n", what.text);
  WEIR_ASSERT(false && "an error was reported");
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  weir::virtual_options options;
  if (data[0] % 4 != 0) options = weir::virtual_options::explored(data[0]);
  const weir::behaviour how{.seed = data[0],
                            .leaves_early = (data[1] & 1) != 0,
                            .half_closes = (data[1] & 2) != 0,
                            .is_slow = (data[1] & 4) != 0};
  weir::set_unhandled_handler(weir::fail_on_report);
  weir::virtual_driver io(options);
  weir::run_on(io, weir::one_connection(input, how));
  WEIR_ASSERT(io.world().open_handles() == 0);
  return 0;
}

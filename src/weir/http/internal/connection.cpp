#include <weir/http/internal/connection.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/probe.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/http/internal/time_left.hpp>
#include <weir/wire/http1_writer.hpp>
#include <weir/wire/problem.hpp>

#include <algorithm>
#include <tuple>
#include <utility>

namespace weir::http::detail {

namespace {

constexpr std::size_t linger_bytes_max = 16 * 1024 * 1024;
constexpr http_fault slow_head{408, "head_timeout", "the header did not arrive in time"};
constexpr http_fault slow_body{408, "body_timeout", "the body did not arrive in time"};
constexpr http_fault cut_head{400, "truncated_head", "the connection ended inside the header"};
constexpr http_fault no_tunnel{501, "no_tunnel", "this server is no proxy: CONNECT is not offered"};
constexpr http_fault over_read_limit{413, "body_too_large", "the body is over its size limit"};
constexpr http_fault no_memory_left{
    503, "busy", "the bodies of other requests take all memory that there is for them; try again"};
constexpr std::string_view busy_retry_after = "5";
constexpr std::string_view all_methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

// What reads and writes raise for a client's sake; of a group, which a handler's own scope makes of
// it, all errors have to be such.
bool may_be_of_client(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const error_group& several) {
    for (std::size_t i = 0; i < several.size(); ++i) {
      if (!may_be_of_client(several[i])) return false;
    }
    return several.size() != 0 && several.dropped() == 0;
  } catch (const exception& e) {
    const errc code = e.reason().code();
    return code == errc::broken || code == errc::timed_out || code == errc::end_of_stream ||
           code == errc::malformed || code == errc::too_large || code == errc::busy;
  } catch (...) {
    return false;
  }
}

}  // namespace

connection::connection(server_core& of, socket with, client_place from)
    : core_(of), socket_(std::move(with)), from_(from), parser_(of.limits.message) {
  core_.connections.push_back(*this);
}

connection::~connection() {
  unlink();
  release_body();
  // Nothing else ends such a body: an end in order would make a part of it look like the whole. (Of
  // event streams there is no whole.)
  const bool is_half_an_answer = answer_ == answer_state::streaming &&
                                 framing_ == body_framing::until_close && !leaves_out_body_ &&
                                 !is_event_stream_;
  if (is_half_an_answer) socket_.reset();
  socket_.close();
  core_.clients.leave(from_);
  core_.room.notify_one();
}

task<> serve_connection(server_core* core, socket with, client_place from) {
  connection here(*core, std::move(with), from);
  co_await here.run();
}

task<> connection::run() {
  co_await with_scope({.name = "connection"}, [&](scope& around) -> task<> {
    scope_ = &around;
    if (core_.secure && !co_await shake_hands()) co_return;
    co_await serve();
  });
  scope_ = nullptr;
  if (is_event_stream_ && core_.drain.is_set() && socket_) co_await end_drained_stream();
}

task<> connection::serve() {
  while (true) {
    const head_end got = co_await read_head();
    if (got == head_end::closed) {
      if (tls_ && !is_client_gone_) co_await say_goodbye();
      co_return;
    }
    if (got == head_end::faulty) {
      may_keep_ = false;
      begin_exchange();
      co_await answer_fault();
      break;
    }
    co_await answer();
    if (!is_kept_) break;
  }
  co_await linger();
}

// Strangers fail here all day long: that is counted and, for those who look, logged.
task<bool> connection::shake_hands() {
  tls_ = std::make_unique<tls_channel>(tls_channel::accepting(*core_.secure, socket_.handle()));
  const result<void> done = co_await as_result(tls_->handshake());
  if (done) {
    sometimes(tls_->info().is_resumed, "a TLS session is resumed");
    co_return true;
  }
  co_await checkpoint();
  sometimes(true, "a TLS handshake fails");
  ++core_.stats.handshake_failures;
  if (log::is_on(log::level::debug)) {
    log::debug("a handshake failed", {{"why", std::string_view(describe(done.error()))}});
  }
  co_return false;
}

// An end in order, so that the client needn't wonder who cut the connection.
task<> connection::say_goodbye() {
  phase_ = phase::closing;
  co_await tls_->end_send(core_.limits.linger_timeout);
}

// ---- reading ----

task<connection::head_end> connection::read_head() {
  const server_limits& limits = core_.limits;
  fault_ = {};
  parser_.reset();
  inbound_.begin_head();
  time_point deadline;
  while (true) {
    if (!inbound_.is_empty()) {
      const parse_state state = inbound_.take_head(
          parser_, [this](std::string_view received) { return parser_.parse(received); });
      if (state == parse_state::complete) co_return head_end::whole;
      if (state == parse_state::failed) {
        fault_ = parser_.fault();
        co_return head_end::faulty;
      }
    }
    if (phase_ == phase::exchange) {  // no whole request is left: what was answered leaves now
      if ((held_ != 0 || is_leaving_) && !co_await send_held()) {
        ++core_.stats.clients_gone;
        socket_.reset();
        co_return head_end::closed;
      }
      become_idle();
    }
    loop& on = scope_->on();
    duration limit = requests_ == 0 ? limits.header_timeout : limits.keep_alive_timeout;
    if (inbound_.has_head_bytes()) {
      if (phase_ == phase::idle) deadline = on.now() + limits.header_timeout;
      phase_ = phase::head;
      limit = deadline - on.now();
    } else if (core_.drain.is_set()) {
      co_return head_end::closed;
    }
    limit = std::max(limit, duration(0));
    received_outcome got =
        tls_ ? co_await tls_->receive(limit) : co_await timed_receive(socket_.handle(), limit);
    if (!got.data.empty()) {
      inbound_.put(std::move(got.data));
    } else {
      co_return judge_end_in_head(got.failure);
    }
  }
}

void connection::become_idle() noexcept {
  phase_ = phase::idle;
  unlink();
  core_.connections.push_back(*this);  // (3)
  core_.room.notify_one();             // of whoever waits for a place, this can make room now
}

// A client that goes between requests, or without ever having sent one, is no event; one that stops
// inside a head may still hear why.
connection::head_end connection::judge_end_in_head(errc failure) {
  if (failure == errc::timed_out) ++core_.stats.timeouts;
  if (phase_ == phase::idle) return head_end::closed;
  if (failure == errc::timed_out) {
    fault_ = slow_head;
  } else if (failure == errc{}) {
    fault_ = cut_head;
  } else {
    ++core_.stats.clients_gone;
    return head_end::closed;
  }
  return head_end::faulty;
}

task<received_outcome> connection::receive_body() {
  loop& on = scope_->on();
  const std::uint32_t rate = core_.limits.body_rate_min;
  duration limit = std::min(core_.limits.body_idle_timeout, body_time_left_);
  if (rate != 0) limit = std::min(limit, body_patience_);
  const time_point before = on.now();
  received_outcome got =
      tls_ ? co_await tls_->receive(limit) : co_await timed_receive(socket_.handle(), limit);
  const duration waited = on.now() - before;
  body_time_left_ = std::max(body_time_left_ - waited, duration(0));
  // A byte buys its sender the time that the slowest allowed one would need for it.
  if (rate != 0) {
    const auto bought = static_cast<std::int64_t>(got.data.size()) * 1'000'000'000 / rate;
    body_patience_ = std::max(body_patience_ - waited, duration(0)) + duration(bought);
  }
  co_return got;
}

void connection::fail_body(http_fault fault) {
  fault_ = fault;
  raise(as_error(fault_));
}

task<bytes> connection::read_body() {
  if (watch_.is_live) co_await end_aside(watch_);  // one receive at a time
  while (true) {
    if (fault_) fail_body(fault_);  // an error stays
    if (is_client_gone_) raise(error(errc::broken, "the client is gone"));
    bytes piece = inbound_.take_body(decoder_);
    if (!piece.empty()) co_return piece;
    if (decoder_.is_done()) co_return bytes();
    if (decoder_.is_failed()) fail_body(decoder_.fault());
    if (is_continue_due_ && answer_ == answer_state::none) {
      require_client();  // cut off in the midst of it before, it is not begun again
      const io_slice line[] = {{out_.data(), held_},
                               {continue_response.data(), continue_response.size()}};
      const bool is_told = co_await transmit(line);
      is_continue_due_ = false;  // cut off while it waited, it is still due
      if (!is_told) continue;
    }
    received_outcome got = co_await receive_body();
    if (!got.data.empty()) {
      inbound_.put(std::move(got.data));
    } else if (got.failure == errc{}) {
      decoder_.end_of_input();
      fault_ = decoder_.fault();
      raise(error(errc::end_of_stream, "the client ended its stream inside the body"));
    } else if (got.failure == errc::timed_out) {
      ++core_.stats.timeouts;
      fault_ = slow_body;
      raise(error(errc::timed_out, slow_body.detail));
    } else {
      is_client_gone_ = true;
    }
  }
}

task<std::string> connection::read_all(std::size_t bytes_max) {
  std::string all;
  std::size_t expected = bytes_max;
  if (parser_.head().framing == body_framing::length) {
    if (decoder_.remaining() > bytes_max) fail_body(over_read_limit);
    expected = static_cast<std::size_t>(decoder_.remaining());
  }
  while (true) {
    const bytes piece = co_await read_body();
    if (piece.empty()) co_return all;
    if (piece.size() > bytes_max - all.size()) fail_body(over_read_limit);
    const std::size_t needed = all.size() + piece.size();
    if (needed > all.capacity()) grow_body(all, needed, expected);
    all += piece.text();
  }
}

// Memory follows the bytes that have come and not those that were announced, which cost a client
// nothing. Whoever finds none left is sent away rather than made to wait: two bodies that wait for
// each other's memory would wait for ever.
void connection::grow_body(std::string& all, std::size_t needed, std::size_t expected) {
  const std::size_t wanted = std::max(needed, std::min(expected, 2 * all.capacity()));
  server_stats& stats = core_.stats;
  const std::uint64_t more = wanted - all.capacity();
  if (more > core_.limits.bodies_bytes_max - stats.bodies_bytes) {
    ++stats.bodies_refused;
    fail_body(no_memory_left);
  }
  stats.bodies_bytes += more;
  body_held_ += more;
  std::string grown;
  grown.reserve(wanted);  // exactly: all.reserve() may take twice what it has
  grown += all;
  all = std::move(grown);
}

void connection::release_body() noexcept {
  core_.stats.bodies_bytes -= std::exchange(body_held_, 0);
}

/// What no handler has read: small rests are read to keep the connection, for others it is closed.
task<bool> connection::drain_body() {
  std::uint64_t left = core_.limits.unread_bytes_max;
  while (!decoder_.is_done()) {
    const bytes piece = inbound_.take_body(decoder_);
    if (decoder_.is_failed() || piece.size() > left) co_return false;
    left -= piece.size();
    if (!piece.empty() || decoder_.is_done()) continue;
    received_outcome got = co_await receive_body();
    if (got.data.empty()) co_return false;
    inbound_.put(std::move(got.data));
  }
  co_return true;
}

// ---- one exchange ----

void connection::begin_exchange() {
  const http_request_head& head = parser_.head();
  phase_ = phase::exchange;
  answer_ = answer_state::none;
  framing_ = body_framing::none;
  fields_.clear();
  fields_text_.clear();
  is_event_stream_ = false;
  is_kept_ = false;
  is_late_ = false;
  is_head_request_ = head.method == "HEAD";
  is_continue_due_ = head.expects_continue;
  body_time_left_ = core_.limits.body_timeout;
  body_patience_ = core_.limits.body_grace;
  turn_of_exchange_ = scope_->on().turn_time();
}

task<> connection::answer() {
  const http_request_head& head = parser_.head();
  ++requests_;
  ++core_.stats.requests;
  may_keep_ = head.keep_alive && requests_ < core_.limits.requests_per_connection_max;
  begin_exchange();
  decoder_ = http1_body_decoder(head.framing, head.content_length, core_.limits.message);
  if (decoder_.is_done()) inbound_.own_rest();  // pipelined: they may wait for long
  if (head.form == target_form::authority) {
    fault_ = no_tunnel;
    may_keep_ = false;
    co_await answer_fault();
    co_return;
  }
  if (head.form == target_form::asterisk) {
    add_field("Allow", all_methods);
    std::ignore = co_await as_result(send_whole(204, {}, {}));
    co_await checkpoint();
    co_await conclude(nullptr);
    co_return;
  }
  std::exception_ptr failure;
  {
    request asked(*this, head);
    response answered(*this);
    const duration limit = handler_time();
    try {
      if (limit == duration::max()) {
        co_await core_.answer(asked, answered);
      } else {
        co_await answer_within(limit, asked, answered);
      }
    } catch (...) {
      failure = std::current_exception();
    }
  }
  release_body();
  if (is_concluded(failure)) co_return;
  co_await conclude(std::move(failure));
  if (!failure_) co_return;
  co_await linger();
  std::rethrow_exception(failure_);  // from the frame that caught it, so that its trace goes on
}

duration connection::handler_time() const noexcept {
  const duration most = core_.limits.handler_timeout;
  if (!core_.limits.heeds_time_left) return most;
  const http_field* told = parser_.head().fields.find(time_left_field);
  return told ? std::min(most, parse_time_left(told->value)) : most;
}

// What the handler raises passes as it is, and not in a scope's group: it says what is answered.
task<> connection::answer_within(duration limit, request& asked, response& answered) {
  std::exception_ptr failure;
  const scope_end end =
      co_await with_scope({.name = "handler", .timeout = limit}, [&](scope&) -> task<> {
        try {
          co_await core_.answer(asked, answered);
        } catch (...) {
          failure = std::current_exception();
        }
      });
  is_late_ = end.was_cut_short();
  if (is_late_) ++core_.stats.handlers_late;
  if (failure) std::rethrow_exception(failure);
}

// The way of nearly all: answered, nothing left to do or to read.
bool connection::is_concluded(const std::exception_ptr& failure) const noexcept {
  return !failure && answer_ == answer_state::done && !is_client_gone_ && !is_torn_ &&
         !watch_.is_live && (!is_kept_ || decoder_.is_done());
}

// An error that is only how the handler heard that its client is gone or broke the rules.
bool connection::is_of_client(const std::exception_ptr& failure) const {
  return (is_client_gone_ || fault_) && may_be_of_client(failure);
}

task<> connection::conclude(std::exception_ptr failure) {
  if (held_ != 0 || is_leaving_) std::ignore = co_await send_held();
  if (watch_.is_live) co_await end_aside(watch_);
  const bool is_broken = failure || is_client_gone_ || is_torn_ || is_late_;
  if (is_broken && beat_.is_live) co_await end_aside(beat_);
  if (failure && !is_of_client(failure)) {
    co_await conclude_failed(std::move(failure));
    co_return;
  }
  if (is_client_gone_ || is_torn_) {
    if (!is_late_) ++core_.stats.clients_gone;
    is_kept_ = false;
    socket_.reset();
    co_return;
  }
  if (is_late_ && answer_ != answer_state::done) {
    co_await conclude_late();
    co_return;
  }
  if (failure && answer_ == answer_state::none) {
    may_keep_ = false;
    co_await answer_fault();
    co_return;
  }
  if (failure) {  // half an answer, and a body that can't be read on
    is_kept_ = false;
    if (answer_ == answer_state::streaming) socket_.reset();
    co_return;
  }
  if (answer_ == answer_state::none) {
    co_await conclude_failed(std::make_exception_ptr(
        exception(error(errc::internal, "the handler ended without an answer"))));
    co_return;
  }
  if (answer_ == answer_state::streaming) {
    const result<void> ended = co_await as_result(end_stream());
    if (!ended) {
      co_await checkpoint();
      co_return co_await conclude(nullptr);  // the client is gone
    }
  }
  const bool drains = !is_planted("http: leaves an unread body before the next request");
  if (is_kept_ && !decoder_.is_done() && drains) is_kept_ = co_await drain_body();
}

// The handler has failed: the client hears 500, or a broken stream if the answer had begun; the
// error goes to the handler of unhandled errors, with the connection's task.
task<> connection::conclude_failed(std::exception_ptr failure) {
  ++core_.stats.handler_failures;
  failure_ = std::move(failure);
  may_keep_ = is_kept_ = false;
  if (is_client_gone_ || is_torn_ || answer_ == answer_state::streaming) {
    socket_.reset();
  } else if (answer_ == answer_state::none) {
    co_await try_problem(500, "internal", "the server failed to answer; the failure was reported");
  }
}

// What the handler has done by then, nobody knows. Half a stream must not look like a whole one.
task<> connection::conclude_late() {
  may_keep_ = is_kept_ = false;
  if (answer_ == answer_state::streaming) {
    socket_.reset();
  } else {
    co_await try_problem(504, "deadline_exceeded", "the answer was not ready in time");
  }
}

task<> connection::answer_fault() {
  ++core_.stats.faults;
  co_await try_problem(fault_.status, fault_.code, fault_.detail);
}

task<> connection::try_problem(int status, std::string_view code, std::string_view detail) {
  fields_.clear();
  fields_text_.clear();
  if (status == 503) add_field("Retry-After", busy_retry_after);
  std::ignore = co_await as_result(send_problem(status, code, detail));  // the client may be gone
  co_await checkpoint();
}

// Closing at once could destroy the answer: bytes that arrive at a closed socket make the peer's
// system throw away what its program has not read yet (9112, 9.6). So the stream is ended first,
// and what still comes is read and dropped for a while.
task<> connection::linger() {
  if (!socket_ || is_client_gone_ || is_torn_) co_return;
  phase_ = phase::closing;
  if (tls_ && !co_await tls_->end_send(core_.limits.linger_timeout)) co_return;
  const result<void> ended = co_await as_result(socket_.shutdown_send());
  co_await checkpoint();
  if (!ended) co_return;
  loop& on = scope_->on();
  const time_point deadline = on.now() + core_.limits.linger_timeout;
  std::size_t dropped = 0;
  while (dropped < linger_bytes_max) {
    const duration left = deadline - on.now();
    if (left <= duration(0)) co_return;
    const received_outcome got = co_await timed_receive(socket_.handle(), left);
    if (got.data.empty()) co_return;
    dropped += got.data.size();
  }
}

// ---- beside the handler ----

void connection::begin_aside(side_task& what, side_body body) {
  WEIR_ASSERT(!what.is_live);
  what.is_unwanted = false;
  what.ended.reset();
  scope_->spawn(&run_aside, this, &what, body);
  what.is_live = true;
}

task<> connection::run_aside(connection* self, side_task* what, side_body body) {
  // In a destructor: a cancelled task does not come to its last line.
  const struct end_note {
    side_task* of;
    explicit end_note(side_task* task) noexcept : of(task) {}
    end_note(const end_note&) = delete;
    end_note& operator=(const end_note&) = delete;
    ~end_note() {
      of->inside = nullptr;
      of->is_live = false;
      of->ended.set();
    }
  } at_the_end(what);
  if (!what->is_unwanted) {
    co_await with_scope([&](scope& inside) -> task<> {
      what->inside = &inside;
      co_await (self->*body)();
    });
  }
}

task<> connection::end_aside(side_task& what) {
  if (!what.is_live) co_return;
  what.is_unwanted = true;
  if (what.inside) what.inside->cancel("no longer needed");
  co_await what.ended.wait();
}

void connection::watch_client() {
  if (watch_.is_live || !inbound_.is_empty() || is_client_gone_) return;
  begin_aside(watch_, &connection::watch);
}

// One receive: its bytes are the client's next request, or the rest of the body, and a sign of
// life. While they wait to be used nothing more is received, so a client that pipelines is found
// gone only by writing to it.
task<> connection::watch() {
  received_outcome got = tls_ ? co_await tls_->receive(duration::max())
                              : co_await timed_receive(socket_.handle(), duration::max());
  if (got.data.empty()) {
    client_left();
  } else if (!is_planted("http: drops a request that comes while one waits")) {
    inbound_.put(std::move(got.data));
    inbound_.own_rest();
  }
}

void connection::client_left() noexcept {
  if (answer_ == answer_state::done) return;  // it has what it came for
  is_client_gone_ = true;
  ++core_.stats.clients_gone;
  scope_->cancel("the client left");
}

// Comments in an event stream whenever nothing else was sent for a while.
task<> connection::beat() {
  const io_slice comment[] = {{"3\r\n", 3},
                              {sse_keep_alive.data(), sse_keep_alive.size()},
                              {chunk_end.data(), chunk_end.size()}};
  static_assert(sse_keep_alive.size() == 3);
  while (!beat_.is_unwanted) {  // a beat that was due when it was ended would tear the stream
    const time_point due = last_write_ + core_.limits.heartbeat;
    if (scope_->on().now() < due) {
      co_await sleep_until(due);
      continue;
    }
    last_write_ = scope_->on().now();
    if (is_torn_) continue;  // an event is on its way: no need
    is_beating_ = true;
    const bool is_chunked = framing_ == body_framing::chunked;
    const bool is_alive = co_await transmit(is_chunked ? std::span<const io_slice>(comment)
                                                       : std::span<const io_slice>(comment + 1, 1));
    is_beating_ = false;
    beaten_.notify_all();
    if (!is_alive) client_left();
  }
}

}  // namespace weir::http::detail

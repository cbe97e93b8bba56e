// The writing half of a connection: heads, whole answers, streams of pieces and of events.
#include <weir/http/internal/connection.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/wire/http1_writer.hpp>
#include <weir/wire/problem.hpp>

#include <optional>
#include <utility>

namespace weir::http::detail {

namespace {

constexpr std::size_t joined_answer_max = 4 * 1024;  // smaller bodies are copied behind their head
constexpr std::size_t out_kept_max = 16 * 1024;
constexpr std::size_t held_max = 8 * 1024;  // then held answers leave, whatever comes behind them

bool has_no_body(int status) noexcept { return status == 204 || status == 304; }

bool is_servers_own(std::string_view name) noexcept {
  for (const std::string_view own :
       {"content-length", "transfer-encoding", "connection", "content-type", "date"}) {
    if (equal_ignoring_case(name, own)) return true;
  }
  return false;
}

}  // namespace

answer_hold::answer_hold(server_core& core, connection& of, std::size_t bytes) noexcept
    : core_(core), of_(of), sender_(*weir::detail::running_task), bytes_(bytes) {
  core_.answers.push_back(*this);
  core_.stats.answers_bytes += bytes_;
  for (auto at = core_.answers.begin();
       core_.stats.answers_bytes > core_.limits.answers_bytes_max;) {
    answer_hold& oldest = *at;
    ++at;
    if (&oldest == this) return;
    if (!oldest.sender_.waits_for()) continue;
    oldest.release();
    ++core_.stats.answers_cut;
    oldest.of_.cut_off("other answers need the memory of this one, which is read too slowly");
  }
}

void answer_hold::release() noexcept {
  core_.stats.answers_bytes -= std::exchange(bytes_, 0);
  unlink();
}

void connection::require_client() const {
  if (is_client_gone_) raise(error(errc::broken, "the client is gone"));
  if (is_torn_ && !is_leaving_)
    raise(error(errc::broken, "an earlier write of this answer was cut off"));
}

// False: the client is gone. What is held is in out_, with which the pieces begin then.
WEIR_CORO_WRAPPER task<bool> connection::transmit(std::span<const io_slice> pieces) {
  return is_leaving_ ? transmit_behind(pieces) : push(pieces);
}

task<bool> connection::transmit_behind(std::span<const io_slice> pieces) {
  co_await leave_.ended.wait();
  if (is_client_gone_ || is_torn_) co_return false;
  co_return co_await push(pieces);
}

task<bool> connection::push(std::span<const io_slice> pieces) {
  held_ = 0;
  is_torn_ = true;  // (2)
  const duration limit = core_.limits.write_timeout;
  const sent_outcome sent = tls_ ? co_await tls_->send(pieces, limit)
                                 : co_await timed_send(socket_.handle(), pieces, limit);
  if (!sent) {
    if (sent.failure == errc::timed_out) ++core_.stats.timeouts;
    is_client_gone_ = true;
    co_return false;
  }
  is_torn_ = false;
  co_return true;
}

// ---- answers that wait for company ----
//
// A send costs the kernel more than a small answer costs us. So when a client has sent several
// requests at once, answers are gathered: one is held while the next request is there already, and
// whatever is held leaves with the first answer that is not. Two rules keep a client from waiting
// for an answer that is ready: a handler that has waited is taken as a sign that the next one will
// wait as well, so nothing is held behind it; and leave() runs as soon as this task waits for
// anything at all, since it stands in the loop's queue of ready tasks.

bool connection::may_hold() const noexcept {
  return is_kept_ && !inbound_.is_empty() && decoder_.is_done() && out_.size() <= held_max &&
         !is_leaving_ && scope_->on().turn_time() == turn_of_exchange_;
}

// False: there is no memory for the task.
bool connection::hold() noexcept {
  try {
    if (!leave_.is_live) begin_aside(leave_, &connection::leave);
  } catch (const std::bad_alloc&) {
    return false;
  }
  held_ = out_.size();  // (5)
  return true;
}

// False: the client is gone. Nothing is held or on its way then.
task<bool> connection::send_held() {
  if (is_leaving_) co_await leave_.ended.wait();
  if (is_client_gone_ || is_torn_) co_return false;
  if (held_ == 0) co_return true;
  const io_slice piece{out_.data(), held_};
  const bool sent = co_await push({&piece, 1});
  out_.erase(0, piece.size);
  co_return sent;
}

// Beside a handler, which may put its own answer into out_ meanwhile.
task<> connection::leave() {
  if (held_ == 0) co_return;
  const std::string leaving = out_.substr(0, held_);
  out_.erase(0, held_);
  const struct end_note {
    bool& is_leaving;
    explicit end_note(bool& flag) noexcept : is_leaving(flag) { is_leaving = true; }
    end_note(const end_note&) = delete;
    end_note& operator=(const end_note&) = delete;
    ~end_note() { is_leaving = false; }
  } at_the_end(is_leaving_);
  const io_slice piece{leaving.data(), leaving.size()};
  co_await push({&piece, 1});
}

// ---- heads ----

void connection::add_field(std::string_view name, std::string_view value) {
  WEIR_ASSERT(answer_ == answer_state::none && "header fields come before the answer");
  if (is_servers_own(name)) {
    raise(error(errc::invalid_argument, "this header field is written by the server itself"));
  }
  out_.resize(held_);
  http1_head_writer::response(out_, 200).field(name, value);  // refuses what is no field
  out_.resize(held_);
  if (fields_text_.size() + name.size() + value.size() > response::fields_bytes_max) {
    raise(error(errc::too_large, "header fields are over fields_bytes_max"));
  }
  fields_.push_back(
      {static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(value.size())});
  fields_text_ += name;
  fields_text_ += value;
}

// A body that nobody has read and that is too long to be read now costs the connection; so does one
// that the client may or may not send, because nobody said 100 (9110, 10.1.1).
bool connection::will_keep() const noexcept {
  if (!may_keep_ || core_.drain.is_set() || decoder_.is_failed() || fault_) return false;
  if (is_continue_due_ && !decoder_.is_done()) return false;
  return decoder_.remaining() <= core_.limits.unread_bytes_max;
}

void connection::write_head(int status, std::string_view content_type, body_framing framing,
                            std::uint64_t content_length) {
  if (status < 200 || status > 599) {
    raise(error(errc::invalid_argument, "the status of an answer is from 200 to 599"));
  }
  is_kept_ = will_keep() && framing != body_framing::until_close;
  if (held_ == 0 && out_.capacity() > out_kept_max) out_ = std::string();
  out_.resize(held_);
  http1_head_writer head = http1_head_writer::response(out_, status);
  head.field("Date", core_.date());
  if (!content_type.empty()) head.field("Content-Type", content_type);
  if (!has_no_body(status) && framing != body_framing::until_close) {
    head.framing(framing, content_length);
  }
  std::string_view left = fields_text_;
  for (const own_field& one : fields_) {
    head.field(left.substr(0, one.name_bytes), left.substr(one.name_bytes, one.value_bytes));
    left.remove_prefix(one.name_bytes + one.value_bytes);
  }
  if (!is_kept_) {
    head.field("Connection", "close");
  } else if (parser_.head().version == http_version::v1_0) {
    head.field("Connection", "keep-alive");
  }
  head.finish();
  framing_ = framing;
  leaves_out_body_ = is_head_request_ || has_no_body(status);
  ++core_.stats.responses[status / 100];
}

// ---- whole answers ----

task<> connection::send_whole(int status, std::string_view content_type, std::string_view body) {
  WEIR_ASSERT(answer_ == answer_state::none && "a request is answered once");
  const bool waits = is_leaving_ && !is_planted("http: sends an answer beside the one before");
  if (waits) co_await leave_.ended.wait();
  require_client();
  const bool is_short =
      body.size() > joined_answer_max && is_planted("http: counts large bodies short");
  write_head(status, content_type, body_framing::length, body.size() - (is_short ? 1 : 0));
  answer_ = answer_state::done;  // (1)
  io_slice pieces[2];
  std::size_t count = 1;
  if (leaves_out_body_ || body.empty()) {
  } else if (body.size() <= joined_answer_max) {
    out_ += body;
  } else {
    pieces[1] = {body.data(), body.size()};
    count = 2;
  }
  if (count == 1 && may_hold() && hold()) co_return;
  std::optional<answer_hold> counted;
  if (count == 2) counted.emplace(core_, *this, body.size());
  pieces[0] = {out_.data(), out_.size()};
  held_ = 0;
  is_torn_ = true;  // (2) as push(), without its frame: this is the way of most answers
  const std::span<const io_slice> all(pieces, count);
  const duration limit = core_.limits.write_timeout;
  const sent_outcome sent =
      tls_ ? co_await tls_->send(all, limit) : co_await timed_send(socket_.handle(), all, limit);
  if (!sent) {
    if (sent.failure == errc::timed_out) ++core_.stats.timeouts;
    is_client_gone_ = true;
    require_client();
  }
  is_torn_ = false;
}

task<> connection::send_problem(int status, std::string_view code, std::string_view detail) {
  const std::string body = problem_json(status, code, detail);
  co_await send_whole(status, problem_content_type, body);
}

// ---- streams ----

void connection::begin_stream(int status, std::string_view content_type) {
  WEIR_ASSERT(answer_ == answer_state::none && "a request is answered once");
  require_client();
  const bool knows_chunks = parser_.head().version == http_version::v1_1;
  write_head(status, content_type, knows_chunks ? body_framing::chunked : body_framing::until_close,
             0);
  answer_ = answer_state::streaming;
}

task<> connection::write(std::string_view text) {
  WEIR_ASSERT(answer_ == answer_state::streaming && "the answer was ended");
  if (is_leaving_) co_await leave_.ended.wait();  // cut off here, nothing of it is in out_
  require_client();
  if (text.empty()) co_return;
  co_await transmit_chunk(text);
  require_client();
}

// With whatever out_ holds before it: the head, when this is the first piece.
task<bool> connection::transmit_chunk(std::string_view text) {
  if (leaves_out_body_) {
    if (out_.empty()) co_return true;
    const io_slice head{out_.data(), out_.size()};
    const bool sent = co_await transmit({&head, 1});
    out_.clear();
    co_return sent;
  }
  std::optional<answer_hold> counted;
  if (text.size() > joined_answer_max) counted.emplace(core_, *this, text.size());
  const bool is_chunked = framing_ == body_framing::chunked;
  if (is_chunked) append_chunk_head(out_, text.size());
  const io_slice pieces[] = {{out_.data(), out_.size()},
                             {text.data(), text.size()},
                             {chunk_end.data(), is_chunked ? chunk_end.size() : 0}};
  const bool sent = co_await transmit(pieces);
  out_.clear();
  co_return sent;
}

task<> connection::flush() {
  WEIR_ASSERT(answer_ == answer_state::streaming && "the answer was ended");
  require_client();
  if (out_.empty()) co_return;
  const io_slice head{out_.data(), out_.size()};
  co_await transmit({&head, 1});
  out_.clear();
  require_client();
}

task<> connection::end_stream() {
  WEIR_ASSERT(answer_ == answer_state::streaming && "the answer was ended before");
  while (is_beating_) co_await beaten_.wait();
  if (beat_.is_live) co_await end_aside(beat_);
  if (is_leaving_) co_await leave_.ended.wait();  // as in write()
  require_client();
  if (framing_ == body_framing::chunked && !leaves_out_body_) out_ += last_chunk;
  if (!out_.empty()) {
    const io_slice last{out_.data(), out_.size()};
    co_await transmit({&last, 1});
    out_.clear();
    require_client();
  }
  answer_ = answer_state::done;
  is_event_stream_ = false;  // what the handler does now is no stream that a drain may cut off
}

// ---- events ----

task<> connection::begin_events() {
  add_field("Cache-Control", "no-store");
  begin_stream(200, sse_content_type);
  co_await flush();
  last_write_ = scope_->on().now();
  if (leaves_out_body_) co_return;
  is_event_stream_ = true;
  watch_client();
  begin_aside(beat_, &connection::beat);
  if (core_.drain.is_set()) scope_->cancel("the server drains");
}

// The drain has cancelled the scope in which the handler and its beat were. A client must be able
// to tell an end in order from a broken cable; one that does not read, or to which an event was
// half sent, can't be told.
task<> connection::end_drained_stream() {
  const duration limit = core_.limits.linger_timeout;
  const result<void> ended = co_await as_result(with_timeout(limit, end_stream()));
  if (ended && tls_) co_await say_goodbye();
  co_await checkpoint();
}

task<> connection::write_scratch() {
  while (is_beating_) co_await beaten_.wait();
  co_await write(scratch_);
  last_write_ = scope_->on().now();
}

// Memory that only a large event needed is not kept.
void connection::clear_scratch() noexcept {
  scratch_.clear();
  if (scratch_.capacity() > out_kept_max) scratch_ = std::string();
}

task<> connection::write_event(sse_event what) {
  clear_scratch();
  append_event(scratch_, what);
  co_await write_scratch();
}

task<> connection::write_retry(duration after) {
  clear_scratch();
  append_retry(scratch_, static_cast<std::uint32_t>(after.ns / 1'000'000));
  co_await write_scratch();
}

}  // namespace weir::http::detail

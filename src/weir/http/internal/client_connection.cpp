#include <weir/http/internal/client_connection.hpp>

#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/http/internal/connection_pool.hpp>
#include <weir/http/internal/time_left.hpp>
#include <weir/wire/http1_writer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <new>
#include <optional>
#include <utility>

namespace weir::http::detail {

namespace {

constexpr std::size_t interims_max = 16;
constexpr std::size_t joined_request_max = 4 * 1024;
constexpr std::string_view slow_answer = "the server did not answer in time";

// What the client itself says of a request: a second value could send it elsewhere.
bool is_clients_own(std::string_view name) noexcept {
  for (const std::string_view own :
       {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"}) {
    if (equal_ignoring_case(name, own)) return true;
  }
  return false;
}

// 9110, 8.6: methods that usually have a body say so when it is empty.
bool says_length(const client_request& what) noexcept {
  return !what.body.empty() || what.method == "POST" || what.method == "PUT" ||
         what.method == "PATCH";
}

}  // namespace

client_connection::client_connection(connection_pool& of, pooled_host& host) noexcept
    : pool_(of), host_(host), parser_(of.options().message) {
  pool_.note_made(host_);
}

client_connection::~client_connection() {
  socket_.close();
  pool_.note_gone(host_);
}

task<> client_connection::open(const url& to) {
  socket_ = co_await with_timeout(pool_.options().connect_timeout,
                                  connect(to.host, to.port, pool_.options().rules));
  if (!to.is_tls()) co_return;
  tls_ = std::make_unique<tls_channel>(tls_channel::connecting(
      pool_.tls(), socket_.handle(), to.host, fmt::format("{} {}", to.host, to.port)));
  co_await tls_->handshake();
}

// A server that was asked nothing has nothing to say but tickets of TLS, which the channel takes.
// An end, the 408 of a server that is tired of waiting, or a second answer must not be taken for
// the answer to the next request. What is here already is heard: the time-out comes after a look.
task<bool> client_connection::is_silent() {
  const received_outcome got = tls_ ? co_await tls_->receive(duration(0))
                                    : co_await timed_receive(socket_.handle(), duration(0));
  co_return got.failure == errc::timed_out;
}

bool client_connection::is_reusable() const noexcept {
  return is_kept_ && !is_failed_ && decoder_.is_done() && inbound_.is_empty();
}

// ---- the request ----

void client_connection::write_head(const client_request& what, const url& to, time_point until) {
  out_.clear();
  http1_head_writer head = http1_head_writer::request(out_, what.method, to.target);
  head.field("Host", to.authority());
  bool tells_time = until != time_point::never();
  for (const http_field& one : what.headers) {
    if (is_clients_own(one.name)) {
      raise(error(
          errc::invalid_argument,
          std::string("the client writes this header field itself: ") + std::string(one.name)));
    }
    if (tells_time && equal_ignoring_case(one.name, time_left_field)) tells_time = false;
    head.field(one.name, one.value);
  }
  if (tells_time) head.field(time_left_field, time_left_text(until - loop::current()->now()));
  if (says_length(what)) head.framing(body_framing::length, what.body.size());
  head.finish();
}

task<errc> client_connection::send_request(std::string_view body) {
  io_slice pieces[2];
  std::size_t count = 1;
  if (body.size() <= joined_request_max) {
    out_ += body;
  } else {
    pieces[1] = {body.data(), body.size()};
    count = 2;
  }
  pieces[0] = {out_.data(), out_.size()};
  const std::span<const io_slice> all(pieces, count);
  const duration limit = pool_.options().write_timeout;
  const sent_outcome sent =
      tls_ ? co_await tls_->send(all, limit) : co_await timed_send(socket_.handle(), all, limit);
  co_return sent.failure;
}

/// A large request on its way, and what is heard meanwhile.
struct client_connection::upload {
  scope* both = nullptr;           // around who sends and who hears
  errc sent = errc::cancelled;     // stays so when the rest was not wanted
  bool is_answered = false;        // the final response's head is here
  std::optional<error> failure{};  // why none will come
};

// A server may answer before it has read everything (413, say), and read no more: whoever only
// writes would wait for it until write_timeout. So somebody listens from the beginning.
task<> client_connection::send_and_hear(std::string_view body, response_to request, upload* of) {
  try {
    co_await with_scope({.name = "upload"}, [&](scope& both) -> task<> {
      of->both = &both;
      both.spawn(&client_connection::hear, this, request, of);
      of->sent = co_await send_request(body);
      if (of->sent == errc::timed_out) {
        both.cancel("the server takes nothing");
      } else {
        both.set_deadline(both.on().now() + pool_.options().response_timeout);
      }
    });
  } catch (const error_group& failed) {  // alone, as of a small request
    if (failed.is_empty()) throw std::bad_alloc();
    std::rethrow_exception(failed.first());
  }
}

// 9112, 9.5: who hears a refusal, or is sent elsewhere, stops sending. An answer of success may
// come from a server that reads on: that one gets the whole body.
task<> client_connection::hear(client_connection* self, response_to request, upload* of) {
  const result<void> heard = co_await as_result(self->receive_head(request, time_point::never()));
  if (heard) {
    of->is_answered = true;
    if (self->parser_.head().status < 300) co_return;
  } else {
    co_await checkpoint();  // cancelled: ends here
    of->failure = heard.error();
  }
  of->both->cancel("the rest of the request is not wanted");
}

task<response_head> client_connection::exchange(const client_request& what, const url& to,
                                                time_point until) {
  has_answer_bytes_ = is_lost_ = is_kept_ = false;
  const response_to request = what.method == "HEAD" ? response_to::head : response_to::other;
  write_head(what, to, until);
  is_failed_ = true;  // until the response is whole: cut off before, it is worth nothing
  parser_.reset();
  inbound_.begin_head();
  interims_ = 0;
  upload one;
  if (what.body.size() <= joined_request_max) {
    one.sent = co_await send_request(what.body);
  } else {
    co_await send_and_hear(what.body, request, &one);
    co_await checkpoint();  // cancelled: ends here, and is not taken for slow
    if (one.failure) raise(error(*one.failure));
  }
  // A send that broke is not the end as long as an answer can be read.
  if (!one.is_answered) {
    if (one.sent == errc::timed_out) {
      raise(error(errc::timed_out, "the server did not take the request in time"));
    }
    if (what.body.size() > joined_request_max) raise(error(errc::timed_out, slow_answer));
    co_await receive_head(request, loop::current()->now() + pool_.options().response_timeout);
  }
  const http_response_head& head = parser_.head();
  is_kept_ = head.keep_alive && one.sent == errc{};
  is_failed_ = false;
  decoder_ = http1_body_decoder(head.framing, head.content_length, pool_.options().message);
  if (decoder_.is_failed()) {
    is_failed_ = true;
    raise(as_error(decoder_.fault()));
  }
  co_return take_head();
}

// ---- the response ----

// What TLS has to say against the server is more than that the connection broke.
task<received_outcome> client_connection::receive_sealed(duration limit) {
  received_outcome got = co_await tls_->receive(limit);
  const bool is_cut = got.failure == errc::broken;
  if (got.failure != errc{} && !is_cut && tls_->failure()) raise(error(*tls_->failure()));
  co_return got;
}

task<> client_connection::receive_head(response_to request, time_point deadline) {
  loop& on = *loop::current();
  while (true) {
    const parse_state state = inbound_.take_head(
        parser_, [&](std::string_view received) { return parser_.parse(received, request); });
    if (state == parse_state::failed) raise(as_error(parser_.fault()));
    if (state == parse_state::complete) {
      if (parser_.head().status == 101) {
        raise(error(errc::unsupported, "the server switched to a protocol nobody asked for"));
      }
      if (!parser_.head().is_interim()) co_return;
      if (++interims_ > interims_max) {
        raise(error(errc::malformed, "the server sends provisional responses without end"));
      }
      parser_.reset();
      inbound_.begin_head();
      continue;
    }
    const duration left = deadline == time_point::never()
                              ? duration::max()
                              : std::max(deadline - on.now(), duration(0));
    received_outcome got =
        tls_ ? co_await receive_sealed(left) : co_await timed_receive(socket_.handle(), left);
    if (!got.data.empty()) {
      has_answer_bytes_ = true;
      inbound_.put(std::move(got.data));
      continue;
    }
    if (got.failure == errc::timed_out) {
      raise(error(errc::timed_out, slow_answer));
    }
    is_lost_ = true;
    raise(error(errc::broken, has_answer_bytes_
                                  ? "the connection ended inside the response's header"
                                  : "the server closed the connection without an answer"));
  }
}

// A copy of the head that lives as long as the response: its views point into the copy.
response_head client_connection::take_head() const {
  response_head made;
  const std::string_view text = inbound_.head().substr(0, parser_.consumed());
  made.text_ = bytes::copy_of(text);
  const auto moved = [&](std::string_view view) {
    return view.empty() ? std::string_view()
                        : made.text_.text().substr(
                              static_cast<std::size_t>(view.data() - text.data()), view.size());
  };
  const http_response_head& head = parser_.head();
  made.head_.status = head.status;
  made.head_.reason = moved(head.reason);
  made.head_.version = head.version;
  made.head_.framing = head.framing;
  made.head_.content_length = head.content_length;
  made.head_.keep_alive = head.keep_alive;
  for (const http_field& one : head.fields) {
    made.head_.fields.add({moved(one.name), moved(one.value)});
  }
  return made;
}

task<bytes> client_connection::read() {
  while (true) {
    bytes piece = inbound_.take_body(decoder_);
    if (!piece.empty()) co_return piece;
    if (decoder_.is_done()) co_return bytes();
    if (decoder_.is_failed()) raise(as_error(decoder_.fault()));
    if (is_failed_) raise(error(errc::broken, "an earlier read of this response has failed"));
    const duration limit = pool_.options().body_idle_timeout;
    received_outcome got =
        tls_ ? co_await receive_sealed(limit) : co_await timed_receive(socket_.handle(), limit);
    if (!got.data.empty()) {
      inbound_.put(std::move(got.data));
    } else if (got.failure == errc{}) {
      decoder_.end_of_input();
      is_kept_ = false;
      if (decoder_.is_failed()) {
        raise(error(errc::broken, "the connection ended inside the response's body"));
      }
    } else {
      is_failed_ = true;
      if (got.failure == errc::timed_out) {
        raise(error(errc::timed_out, "the rest of the response did not arrive in time"));
      }
      raise(error(errc::broken, "the connection broke inside the response's body"));
    }
  }
}

}  // namespace weir::http::detail

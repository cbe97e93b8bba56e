// For tests only: a server on a virtual socket, and a client that speaks bytes rather than HTTP, so
// that it can be wrong, slow and rude.
#pragma once

#include <weir/core.hpp>
#include <weir/http/server.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/test.hpp>
#include <weir/wire/http1_body.hpp>
#include <weir/wire/http1_parser.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace weir::http::testing {

using namespace weir::literals;

/// A response as it came over the wire.
struct heard_answer {
  int status = 0;  // 0: the connection ended before there was one
  std::string head;
  std::string body;
  bool is_whole = false;  // false: the connection ended inside the body

  bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
  bool closes() const { return has("\r\nConnection: close\r\n"); }
  /// The stable code of a problem document.
  std::string code() const {
    const std::string key = "\"code\":\"";
    const std::size_t at = body.find(key);
    if (at == std::string::npos) return "no problem document: " + body;
    const std::size_t from = at + key.size();
    return body.substr(from, body.find('"', from) - from);
  }
};

/// One connection of a client without manners.
class talker {
 public:
  explicit talker(socket with) noexcept : socket_(std::move(with)) {}
  static task<talker> to(address where) { co_return talker(co_await connect(where)); }

  task<> say(std::string_view text) { co_await socket_.send(text); }
  task<> say_slowly(std::string_view text, duration between) {
    for (const char& byte : text) {
      co_await socket_.send(std::string_view(&byte, 1));
      co_await sleep(between);
    }
  }
  /// The next final response; `request` says whether a body may follow.
  task<heard_answer> hear(response_to request = response_to::other) {
    http1_response_parser parser;
    heard_answer got;
    while (true) {
      const parse_state state = parser.parse(received_, request);
      if (state == parse_state::complete) {
        if (!parser.head().is_interim()) break;
        received_.erase(0, parser.consumed());
        ++interims_;
        parser.reset();
        continue;
      }
      if (state == parse_state::failed) {
        ADD_FAILURE() << "no response: " << received_;
        co_return got;
      }
      if (!co_await receive()) co_return got;
    }
    got.status = parser.head().status;
    got.head = received_.substr(0, parser.consumed());
    http1_body_decoder decoder(parser.head().framing, parser.head().content_length);
    received_.erase(0, parser.consumed());
    while (!decoder.is_done()) {
      const auto piece = decoder.next(received_);
      got.body += piece.data;
      received_.erase(0, piece.consumed);
      if (decoder.is_failed()) {
        ADD_FAILURE() << decoder.fault().detail << " after: " << got.body;
        co_return got;
      }
      if (decoder.is_done() || piece.consumed != 0) continue;
      if (!co_await receive()) {
        decoder.end_of_input();
        if (decoder.is_failed()) co_return got;
      }
    }
    got.is_whole = true;
    co_return got;
  }
  task<heard_answer> ask(std::string_view text) {
    co_await say(text);
    co_return co_await hear();
  }
  /// What still comes until the server ends the stream, in order or not.
  task<std::string> rest() {
    while (co_await receive()) {
    }
    co_return std::exchange(received_, {});
  }
  /// Receives some; false at the end.
  task<bool> receive() {
    const result<bytes> piece = co_await as_result(socket_.receive());
    if (!piece) {
      co_await checkpoint();
      was_reset_ = true;
      co_return false;
    }
    received_ += piece->text();
    co_return !piece->empty();
  }
  task<std::string> receive_until(std::string_view text) {
    while (received_.find(text) == std::string::npos) {
      if (!co_await receive()) break;
    }
    co_return std::exchange(received_, {});
  }

  socket& connection() noexcept { return socket_; }
  int interims() const noexcept { return interims_; }
  bool was_reset() const noexcept { return was_reset_; }
  const std::string& received() const noexcept { return received_; }

 private:
  socket socket_;
  std::string received_;
  int interims_ = 0;
  bool was_reset_ = false;
};

/// Runs body(server&, address) beside a server that answers with `answer`, then drains the server.
template <class Answer, class Body>
task<> with_server(server_limits limits, Answer answer, Body body) {
  server one(answer, limits);
  listener door = co_await listen({});
  const address at = door.local();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](server* serves,
               listener through) -> task<> { co_await serves->run(std::move(through)); },
            &one, std::move(door));
    co_await body(one, at);
    one.drain();
  });
}

}  // namespace weir::http::testing

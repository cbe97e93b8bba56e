// Programs about bytes: sockets, readers, writers, pipes, copies, frames.
#include <weir/base/buffer.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/drill/internal/program_kit.hpp>
#include <weir/flow/event.hpp>
#include <weir/io/copy.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/pipe.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/writer.hpp>
#include <weir/wire/length_prefix.hpp>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace weir::drill {

namespace {

using namespace weir::literals;

struct connection {
  socket client;
  socket server;
};
task<connection> connected() {
  listener door = co_await listen({});
  socket client = co_await connect(door.local());
  socket server = co_await door.accept();
  co_return connection{std::move(client), std::move(server)};
}

/// Some text in which no byte stands for another.
std::string numbered(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) (text += std::to_string(i)) += ' ';
  return text;
}

task<> heads_are_told_apart() {
  connection c = co_await connected();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int i = 0; i < 4; ++i) co_await c.client.send("GET /" + std::to_string(i) + "\r\n\r\n");
      co_await c.client.shutdown_send();
    });
    reader in(c.server);
    for (int i = 0; i < 4; ++i) {
      const bytes head = co_await in.read_until("\r\n\r\n");
      expect(head.text() == "GET /" + std::to_string(i), "a head ends where its delimiter is");
    }
    expect((co_await in.read_some()).empty(), "nothing comes after the last one");
  });
}

task<> stop_loses_nothing() {
  connection c = co_await connected();
  event stop;
  const std::string sent = numbered(30);
  std::string got;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (std::size_t at = 0; at < sent.size(); at += 20) {
        co_await c.client.send(std::string_view(sent).substr(at, 20));
        co_await yield();
      }
      co_await c.client.shutdown_send();
    });
    s.spawn([&]() -> task<> {
      for (int i = 0; i < 4; ++i) co_await yield();
      stop.set();
    });
    for (bool is_stopping = false; !is_stopping;) {
      auto [piece, stopped] = co_await select(c.server.receive(), stop.wait());
      if (piece) got += piece->text();
      is_stopping = static_cast<bool>(stopped);
    }
    for (;;) {  // what is on its way
      const bytes piece = co_await c.server.receive();
      if (piece.empty()) break;
      got += piece.text();
    }
  });
  expect(got == sent, "what arrives while a receive is taken back is not lost");
}

task<> proxy_goes_on_where_it_stopped() {
  connection in = co_await connected();
  connection out = co_await connected();
  const std::string sent = numbered(200);
  std::string got;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await in.client.send(sent);
      co_await in.client.shutdown_send();
    });
    s.spawn([&]() -> task<> {
      for (;;) {
        const bytes piece = co_await out.server.receive();
        if (piece.empty()) break;
        got += piece.text();
      }
    });
    reader from(in.server);
    co_await with_scope([&](scope& first) -> task<> {
      first.spawn([&]() -> task<> {
        for (int i = 0; i < 3; ++i) co_await yield();
        first.cancel("the proxy is reconfigured");
      });
      co_await pipe_to(
          from, out.client,
          {.queue_bytes_max = 64, .keep_source = true, .keep_sink = true, .keep_open = true});
    });
    co_await pipe_to(from, out.client);
  });
  expect(got == sent, "a pipe that was cancelled has lost nothing");
}

task<> body_ends_where_it_says() {
  connection c = co_await connected();
  struct upload {
    std::string text;
    task<> send(std::span<const io_slice> pieces, std::size_t* sent) {
      for (const io_slice& piece : pieces) {
        text.append(static_cast<const char*>(piece.data), piece.size);
        if (sent) *sent += piece.size;
      }
      co_await yield();
    }
  } file;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await c.client.send("PUT 5\nhelloGET 0\n");
      co_await c.client.shutdown_send();
    });
    reader in(c.server);
    expect((co_await in.read_line())->text() == "PUT 5", "the first request");
    co_await copy_exactly(in, file, 5);
    const auto next = co_await in.read_line();
    expect(next && next->text() == "GET 0", "what follows a body is the next request");
  });
  expect(file.text == "hello", "a body is copied as it is");
}

task<> batch_arrives() {
  constexpr int count = 20;
  datagram_socket collector = bind_datagrams();
  datagram_socket agent = bind_datagrams();
  std::vector<std::string> figures;
  std::vector<datagram> all;
  for (int i = 0; i < count; ++i) figures.push_back("figure " + std::to_string(i));
  for (const std::string& one : figures) all.push_back(datagram_to(collector.local(), one));
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await agent.send_batch(all); });
    std::set<std::string> got;
    for (int i = 0; i < count; ++i) {
      const datagram one = co_await collector.receive();
      expect(got.emplace(one.data.text()).second, "a datagram of a batch is sent once");
    }
  });
}

task<> frames_stay_whole() {
  connection c = co_await connected();
  const length_prefix codec(length_format::one_byte);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      writer out(c.client, {.buffer_bytes = 16});
      for (char kind = 'a'; kind < 'f'; ++kind) {
        co_await with_scope([&](scope& hurried) -> task<> {
          hurried.spawn([&]() -> task<> {
            co_await yield();
            hurried.cancel("the next one is more urgent");
          });
          co_await out.write_frame(codec, std::string(200, kind));
        });
      }
      co_await out.write_frame(codec, "end");
      co_await out.end();
    });
    reader in(c.server);
    char last = 'a';
    for (;;) {
      const auto frame = co_await in.read_frame(codec);
      expect(frame.has_value(), "the last frame comes");
      if (frame->text() == "end") break;
      const char kind = frame->text().front();
      expect(frame->text() == std::string(200, kind) && kind >= last, "a frame is never cut");
      last = kind;
    }
  });
}

task<> each_question_is_answered() {
  connection c = co_await connected();
  const length_prefix codec(length_format::two_bytes);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      reader in(c.server);
      writer out(c.server);
      while (auto question = co_await in.read_frame(codec)) {
        co_await out.write_frame(codec, "re: " + std::string(question->text()));
        co_await out.flush();
      }
    });
    reader in(c.client);
    writer out(c.client);
    for (const char* question : {"what", "when", ""}) {
      co_await out.write_frame(codec, question);
      co_await out.flush();
      const auto answer = co_await in.read_frame(codec);
      expect(answer && answer->text() == "re: " + std::string(question), "it is answered");
    }
    co_await out.end();
  });
}

}  // namespace

namespace programs {

constinit const mutant_program heads{"a reader finds every delimiter, however the bytes arrive",
                                     &heads_are_told_apart};
constinit const mutant_program stop_drains{"a server that stops reads all that was on its way",
                                           &stop_loses_nothing};
constinit const mutant_program proxy{"a proxy that was interrupted goes on where it stopped",
                                     &proxy_goes_on_where_it_stopped};
constinit const mutant_program body_ends{
    "what follows a body on a connection is kept for the next read", &body_ends_where_it_says};
constinit const mutant_program batch{"every datagram of a batch is sent, and once", &batch_arrives};
constinit const mutant_program frames{"frames stay whole when writes are cancelled",
                                      &frames_stay_whole};
constinit const mutant_program answered{"a frame can be read as soon as it is there",
                                        &each_question_is_answered};

}  // namespace programs
}  // namespace weir::drill

// Every wait of the server and of its handlers, cancelled at every point: a client hears a whole
// answer or that it was cut, never a part for the whole, and no bytes between two answers.
#include <weir/http/client.hpp>
#include <weir/http/server.hpp>
#include <weir/http/talk_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::http::cancelled_server_test {
namespace {

using namespace weir::http::testing;
using weir::testing::cancel_at_every_point;
using weir::testing::elapsed;
using weir::testing::expect_raises;
using weir::testing::victim;

constexpr std::size_t large_body = 100'000;  // more than a virtual socket takes at once

std::string get(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n";
}
std::string post(std::string_view fields) {
  return "POST /cut HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n";
}

/// What is kept of the cancelled part of a handler.
struct handled {
  std::string text;
  std::optional<body_writer> out;
  std::optional<sse_writer> events;
  int done = 0;
};
using handler_part = task<> (*)(request&, response&, handled&);

/// Answers "/cut" with `first`, which is the victim, and goes on with `then`.
struct cut_handler {
  victim* cut;
  handler_part first;
  handler_part then;

  task<> operator()(request& asked, response& answered) {
    const std::string_view path = asked.path();
    if (path == "/cut") {
      co_await yield();  // what was held before this answer is on its way
      handled kept;
      co_await cut->run(first(asked, answered, kept));
      co_await then(asked, answered, kept);
    } else {
      const std::size_t size = path == "/large" ? 60'000 : path == "/small" ? 4'000 : 0;
      co_await answered.send(200, "text/plain",
                             size == 0 ? std::string(path) : std::string(size, 'x'));
    }
  }
};

/// An answer that was cut off before says so.
template <handler_part Rest>
task<> go_on(request& asked, response& answered, handled& kept) {
  if (kept.done > 4) co_return;
  const result<void> gone_on = co_await as_result(Rest(asked, answered, kept));
  if (!gone_on) EXPECT_EQ(gone_on.error().code(), errc::broken);
}

/// What comes before the victim: with `held`, answers that are still on their way, since their
/// client reads nothing yet.
enum class before : std::uint8_t { nothing, held };

/// Who asks "/cut": `said` piece by piece, the first together with what comes before; hears.
task<std::optional<heard_answer>> ask_cut(talker& client, before what,
                                          std::vector<std::string> said, int status) {
  const std::string ahead = get("/large") + get("/small") + get("/small");
  co_await client.say(what == before::held ? ahead + said.front() : said.front());
  co_await sleep(1_ms);
  for (int i = 0; what == before::held && i < 3; ++i) {
    if (!(co_await client.hear()).is_whole) co_return std::nullopt;  // lost in a reset
  }
  for (std::size_t i = 1; i < said.size(); ++i) {
    if (!co_await as_result(client.say(said[i]))) break;
    co_await sleep(1_ms);
  }
  const heard_answer got = co_await client.hear();
  if (!got.is_whole) co_return std::nullopt;
  EXPECT_EQ(got.status, status);
  if (!got.closes()) {
    EXPECT_EQ((co_await client.ask(get("/next"))).body, "/next") << "behind: " << got.head;
  }
  co_return got;
}

/// expect(answer) checks what is heard of "/cut", unless the connection was broken, which only a
/// cancellation may do.
template <class Expect>
task<> cut_answer(victim& v, before what, cut_handler answers, std::vector<std::string> said,
                  Expect expect, int status = 200) {
  server_limits limits;
  limits.heartbeat = 1_ms;
  co_await with_server(limits, answers, [&](server& serves, address at) -> task<> {
    {
      talker client = co_await talker::to(at);
      const std::optional<heard_answer> heard =
          co_await ask_cut(client, what, std::move(said), status);
      if (heard) {
        expect(*heard);
      } else {
        EXPECT_TRUE(v.was_cancelled());
      }
      EXPECT_LT(elapsed(), 1_s) << "somebody waited for what never came";
    }
    co_await sleep(5_s);
    const server_stats now = serves.stats();
    EXPECT_EQ(now.connections_live, 0u);
    EXPECT_EQ(now.bodies_bytes, 0u);
    EXPECT_EQ(now.answers_bytes, 0u);
  });
}

// ---- bodies of requests ----

constexpr std::string_view posted = "a body that is longer than what a string holds without memory";

std::vector<std::string> text_in_parts() {
  return {post(fmt::format("Content-Length: {}\r\n", posted.size())),
          std::string(posted.substr(0, 20)), std::string(posted.substr(20, 20)),
          std::string(posted.substr(40))};
}

task<> read_rest(request& asked, response&, handled& kept) {
  while (const bytes piece = co_await asked.read()) kept.text += piece.text();
}
task<> read_and_send(request& asked, response& answered, handled& kept) {
  co_await read_rest(asked, answered, kept);
  co_await answered.send(200, "text/plain", kept.text);
}

TEST(CancelledHandler, a_read_has_taken_what_it_gave_and_no_more) {
  cancel_at_every_point([](victim& v) -> task<> {
    bool was_heard = false;
    co_await cut_answer(v, before::nothing, {&v, read_rest, read_and_send}, text_in_parts(),
                        [&](const heard_answer& got) {
                          EXPECT_EQ(got.body, posted);
                          was_heard = true;
                        });
    EXPECT_TRUE(was_heard);
  });
}

/// Cut between chunks, in one's first line and in its data.
std::vector<std::string> chunks_in_parts() {
  return {post("Transfer-Encoding: chunked\r\n"), "4\r\n0123\r\n3\r\n45", "6\r\n3",
          "\r\n789\r\n0\r\n\r\n"};
}

TEST(CancelledHandler, a_read_of_chunks_has_taken_what_it_gave_and_no_more) {
  cancel_at_every_point([](victim& v) -> task<> {
    bool was_heard = false;
    co_await cut_answer(v, before::nothing, {&v, read_rest, read_and_send}, chunks_in_parts(),
                        [&](const heard_answer& got) {
                          EXPECT_EQ(got.body, "0123456789");
                          was_heard = true;
                        });
    EXPECT_TRUE(was_heard);
  });
}

task<> read_whole(request& asked, response&, handled& kept) {
  kept.text = co_await asked.read_all(1 << 20);
}
task<> read_more_and_send(request& asked, response& answered, handled& kept) {
  kept.text += co_await asked.read_all(1 << 20);
  co_await answered.send(200, "text/plain", kept.text);
}

TEST(CancelledHandler, a_read_of_a_whole_body_drops_what_came_and_the_next_goes_on_behind_it) {
  static std::size_t shortest;
  shortest = posted.size();
  cancel_at_every_point([](victim& v) -> task<> {
    co_await cut_answer(v, before::nothing, {&v, read_whole, read_more_and_send}, text_in_parts(),
                        [&](const heard_answer& got) {
                          EXPECT_TRUE(posted.ends_with(got.body)) << got.body;
                          if (!v.was_cancelled()) EXPECT_EQ(got.body, posted);
                          shortest = std::min(shortest, got.body.size());
                        });
  });
  EXPECT_LT(shortest, posted.size()) << "none was cancelled in the midst of its body";
}

// Cut off in the midst of its 100 the answer is broken; before it, the next read says it.
TEST(CancelledHandler, a_read_that_tells_a_client_to_go_on_leaves_none_waiting) {
  for (const before what : {before::nothing, before::held}) {
    static before now;
    now = what;
    cancel_at_every_point([](victim& v) -> task<> {
      const cut_handler answers{&v, read_rest, go_on<read_and_send>};
      co_await with_server({}, answers, [&](server&, address at) -> task<> {
        talker client = co_await talker::to(at);
        const std::string ahead = get("/large") + get("/small") + get("/small");
        const std::string head =
            post(fmt::format("Content-Length: {}\r\nExpect: 100-continue\r\n", posted.size()));
        co_await client.say(now == before::held ? ahead + head : head);
        co_await sleep(1_ms);
        for (int i = 0; now == before::held && i < 3; ++i) (void)co_await client.hear();
        const std::string told = co_await client.receive_until("\r\n\r\n");
        if (told.ends_with("\r\n\r\n")) {
          EXPECT_EQ(told, "HTTP/1.1 100 Continue\r\n\r\n");
          co_await client.say(posted);
          EXPECT_EQ((co_await client.hear()).body, posted);
        } else {
          EXPECT_TRUE(v.was_cancelled());
        }
        EXPECT_LT(elapsed(), 1_s) << "the client waited for a word to go on";
      });
    });
  }
}

// ---- whole answers ----

template <std::size_t Size>
task<> send_some(request&, response& answered, handled&) {
  co_await answered.send(200, "text/plain", std::string(Size, 'x'));
}
task<> send_if_none(request&, response& answered, handled&) {
  if (!answered.is_begun()) co_await answered.send(200, "text/plain", "again");
}

/// How often the second answer of a handler whose first was cancelled was heard.
int heard_again = 0;

template <std::size_t Size>
task<> expect_sent(victim& v, before what) {
  co_await cut_answer(v, what, {&v, send_some<Size>, send_if_none}, {get("/cut")},
                      [&](const heard_answer& got) {
                        if (got.body == "again" && v.was_cancelled()) {
                          ++heard_again;
                        } else {
                          EXPECT_EQ(got.body, std::string(Size, 'x'));
                        }
                      });
}

TEST(CancelledHandler, an_answer_is_whole_or_another_may_be_given_or_it_is_cut) {
  cancel_at_every_point([](victim& v) -> task<> { co_await expect_sent<10>(v, before::nothing); });
  cancel_at_every_point(
      [](victim& v) -> task<> { co_await expect_sent<large_body>(v, before::nothing); });
  heard_again = 0;
  cancel_at_every_point([](victim& v) -> task<> { co_await expect_sent<10>(v, before::held); });
  EXPECT_GT(heard_again, 0) << "none was cancelled while it waited for those before it";
}

task<> send_problem(request&, response& answered, handled&) {
  co_await answered.send_problem(404, "nowhere", "not here");
}
task<> send_problem_if_none(request&, response& answered, handled&) {
  if (!answered.is_begun()) co_await answered.send_problem(404, "again", "not here");
}

template <before What>
task<> expect_problem(victim& v) {
  co_await cut_answer(
      v, What, {&v, send_problem, send_problem_if_none}, {get("/cut")},
      [&](const heard_answer& got) {
        if (got.code() == "again" && v.was_cancelled()) {
          ++heard_again;
        } else {
          EXPECT_EQ(got.code(), "nowhere");
        }
      },
      404);
}

TEST(CancelledHandler, a_problem_is_whole_or_another_may_be_given_or_it_is_cut) {
  cancel_at_every_point(expect_problem<before::nothing>);
  heard_again = 0;
  cancel_at_every_point(expect_problem<before::held>);
  EXPECT_GT(heard_again, 0) << "none was cancelled while it waited for those before it";
}

// ---- streams ----

constexpr std::string_view pieces[] = {"one ", "two ", "three"};

/// Writes what is left; as often as it is called, no piece is written twice.
task<> write_rest(request&, response& answered, handled& kept) {
  if (!kept.out) kept.out = co_await answered.begin(200, "text/plain");
  if (kept.done == 0) {
    co_await kept.out->flush();
    ++kept.done;
  }
  while (kept.done < 4) {
    co_await kept.out->write(pieces[kept.done - 1]);
    ++kept.done;
    co_await yield();
  }
  if (kept.done == 4) co_await kept.out->end();
  ++kept.done;
}
task<> write_without_flush(request& asked, response& answered, handled& kept) {
  if (kept.done == 0) kept.done = 1;
  co_await write_rest(asked, answered, kept);
}
template <handler_part Part>
task<> expect_stream(victim& v, before what) {
  co_await cut_answer(v, what, {&v, Part, go_on<Part>}, {get("/cut")},
                      [](const heard_answer& got) { EXPECT_EQ(got.body, "one two three"); });
}

TEST(CancelledHandler, a_write_has_sent_all_or_nothing_or_the_answer_is_cut) {
  cancel_at_every_point(
      [](victim& v) -> task<> { co_await expect_stream<write_rest>(v, before::nothing); });
}

TEST(CancelledHandler, a_write_behind_held_answers_has_sent_all_or_nothing_or_the_answer_is_cut) {
  cancel_at_every_point(
      [](victim& v) -> task<> { co_await expect_stream<write_rest>(v, before::held); });
  cancel_at_every_point(
      [](victim& v) -> task<> { co_await expect_stream<write_without_flush>(v, before::held); });
}

/// As write_rest, but a piece is more than a socket takes at once.
task<> write_large(request&, response& answered, handled& kept) {
  if (!kept.out) kept.out = co_await answered.begin(200, "text/plain");
  while (kept.done < 3) {
    const std::string piece(kept.done == 1 ? large_body : 3, static_cast<char>('a' + kept.done));
    co_await kept.out->write(piece);
    ++kept.done;
  }
  if (kept.done == 3) co_await kept.out->end();
  kept.done = 5;
}

template <before What>
task<> expect_large_stream(victim& v) {
  co_await cut_answer(v, What, {&v, write_large, go_on<write_large>}, {get("/cut")},
                      [](const heard_answer& got) {
                        EXPECT_TRUE(got.body == "aaa" + std::string(large_body, 'b') + "ccc")
                            << got.body.size() << " bytes";
                      });
}

TEST(CancelledHandler, a_large_write_has_sent_all_or_nothing_or_the_answer_is_cut) {
  cancel_at_every_point(expect_large_stream<before::nothing>);
  cancel_at_every_point(expect_large_stream<before::held>);
}

task<> end_stream(request&, response& answered, handled& kept) {
  if (!kept.out) kept.out = co_await answered.begin(200, "text/plain");
  co_await kept.out->end();
  kept.done = 5;
}
TEST(CancelledHandler, an_end_has_ended_the_answer_once_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await cut_answer(v, before::held, {&v, end_stream, go_on<end_stream>}, {get("/cut")},
                        [](const heard_answer& got) { EXPECT_EQ(got.body, ""); });
  });
}

// ---- events ----

task<> send_events(request&, response& answered, handled& kept) {
  if (!kept.events) {
    if (answered.is_begun()) co_return;  // nobody got the writer: the stream ends with the handler
    kept.events = co_await answered.begin_events();
  }
  if (kept.done == 0) {
    co_await kept.events->send_retry(3_s);
    ++kept.done;
  }
  while (kept.done < 4) {
    co_await kept.events->send({.data = pieces[kept.done - 1]});
    ++kept.done;
    co_await sleep(1_ms);
  }
  if (kept.done == 4) co_await kept.events->end();
  ++kept.done;
}

std::string without_comments(std::string text) {
  for (std::size_t at = 0; (at = text.find(":\n\n", at)) != std::string::npos;) {
    if (at == 0 || text[at - 1] == '\n') {
      text.erase(at, 3);
    } else {
      ++at;
    }
  }
  return text;
}

template <before What>
task<> expect_events(victim& v) {
  co_await cut_answer(
      v, What, {&v, send_events, go_on<send_events>}, {get("/cut")}, [&](const heard_answer& got) {
        const std::string events = without_comments(got.body);
        if (v.was_cancelled() && events.empty()) return;  // its beginning was cut
        EXPECT_EQ(events, "retry: 3000\n\ndata: one \n\ndata: two \n\ndata: three\n\n");
      });
}

TEST(CancelledHandler, an_event_is_sent_once_or_not_or_the_stream_is_cut) {
  cancel_at_every_point(expect_events<before::nothing>);
  cancel_at_every_point(expect_events<before::held>);
}

// ---- the server ----

task<> slow_path(request& asked, response& answered) {
  co_await sleep(asked.path() == "/never" ? 1_h : 2_ms);
  co_await answered.send(200, "text/plain", asked.path());
}

/// The server that is cancelled, as its clients see it.
struct cancelled_server {
  address at;
  const victim* cut;
  server* drained;  // by whoever has its answers; null: by nobody
};

/// Whose answer never comes, and who does not leave by itself.
task<> wait_for_nothing(const cancelled_server* of) {
  result<talker> client = co_await as_result(talker::to(of->at));
  if (!client || !co_await as_result(client->say(get("/never")))) co_return;
  EXPECT_EQ(co_await client->rest(), "");
}

/// A client's answers are its own, or it hears that there is none.
task<> ask_while_there(const cancelled_server* of, std::string_view path) {
  client asks;
  for (int i = 0; i < 2; ++i) {
    const std::string url = "http://" + of->at.text() + std::string(path);
    const result<client_response> got = co_await as_result(asks.get(url));
    if (!got) {
      EXPECT_TRUE(of->cut->was_cancelled() || (of->drained && of->drained->is_draining()));
      co_return;
    }
    EXPECT_EQ(got->body, path);
  }
  if (of->drained) of->drained->drain();
}

TEST(CancelledServer, a_run_leaves_no_connection_open_and_its_clients_know_what_they_have) {
  cancel_at_every_point([](victim& v) -> task<> {
    server one(slow_path, {.drain_timeout = 100_ms});
    listener door = co_await listen({});
    const cancelled_server seen{door.local(), &v, &one};
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(&ask_while_there, &seen, "/1");
      s.spawn(&ask_while_there, &seen, "/2");
      s.spawn(&wait_for_nothing, &seen);
      co_await v.run(one.run(std::move(door)));
      EXPECT_EQ(one.stats().connections_live, 0u);
    });
    EXPECT_EQ(one.stats().bodies_bytes, 0u);
    EXPECT_LT(elapsed(), 1_s) << "who was cut off was told nothing";
    co_await expect_raises<errc::refused>(connect(seen.at));
  });
}

TEST(CancelledServer, a_plain_serve_leaves_no_connection_open) {
  cancel_at_every_point([](victim& v) -> task<> {
    listener door = co_await listen({});
    const cancelled_server seen{door.local(), &v, nullptr};
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(&ask_while_there, &seen, "/1");
      s.spawn(&wait_for_nothing, &seen);
      co_await v.run([](listener through) -> task<> {
        co_await with_scope({.timeout = 20_ms}, [&](scope&) -> task<> {
          co_await serve(std::move(through), slow_path);
        });
      }(std::move(door)));
    });
    EXPECT_LT(elapsed(), 1_s);
    co_await expect_raises<errc::refused>(connect(seen.at));
  });
}

WEIR_TEST("a drain that has begun answers what is in flight, also when it is cancelled then") {
  server one(slow_path);
  listener door = co_await listen({});
  const address at = door.local();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](address to) -> task<> {
          talker asks = co_await talker::to(to);
          EXPECT_EQ((co_await asks.ask(get("/1"))).body, "/1");
        },
        at);
    co_await with_scope([&](scope& around) -> task<> {
      around.spawn([](server* serves,
                      listener through) -> task<> { co_await serves->run(std::move(through)); },
                   &one, std::move(door));
      while (one.stats().requests == 0) co_await sleep(1_us);
      one.drain();
      while (!one.is_draining()) co_await sleep(1_us);
      around.cancel("at once");
    });
  });
}

}  // namespace
}  // namespace weir::http::cancelled_server_test

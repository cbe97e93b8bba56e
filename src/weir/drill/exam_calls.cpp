// What needs more than one client or the wire itself: waiting lines, calls to workers and to who
// wants a reply, events, requests that come close together, and who is let in.
#include <weir/drill/exam.hpp>

#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/drill/answer_fields.hpp>
#include <weir/drill/drill_client.hpp>
#include <weir/drill/drill_trust.hpp>
#include <weir/http/server.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/tls_socket.hpp>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace weir::drill {

namespace json = boost::json;

namespace {

constexpr std::uint16_t exam_port = 9001;
duration random_up_to(duration most) {
  return duration(static_cast<std::int64_t>(loop::current()->io().random() %
                                            static_cast<std::uint64_t>(most.ns + 1)));
}

/// Takes calls beside a subject until it is over.
template <class Handler>
task<> serve_beside(Handler* take, std::string host) {
  http::server server(*take);
  co_await server.run(co_await listen({.host = host, .port = exam_port}));
}

}  // namespace

// ---- waiting lines ----

struct examiner::waits_watch {
  static constexpr std::size_t messages = 12;
  static constexpr duration patience = duration::seconds(15);
  std::map<std::string, time_point> told = {};  // id -> when its submitter heard of it
  std::set<std::string> taken = {};
  bool is_done() const noexcept { return taken.size() == messages; }
};

// Waits for as long as it takes: what is there must not wait for it.
task<> examiner::take_patiently(waits_watch* all) {
  while (!is_over() && !all->is_done()) {
    for (const taken& one : co_await lease("exam-waits", 1, "20s")) {
      const auto known = all->told.find(one.id);
      const duration late = known == all->told.end() ? duration() : exam_now() - known->second;
      require(late <= waits_watch::patience, "a message lay for {} s beside those who waited",
              late.ns / 1'000'000'000);
      all->taken.insert(one.id);
      co_await ack(one.receipt, "");
    }
  }
}

// Gives up after a while, as clients do whose own time is over: what it was about to get is
// somebody else's then.
task<> examiner::take_impatiently(waits_watch* all) {
  while (!is_over() && !all->is_done()) {
    const std::string url =
        fmt::format("{}/v1/queues/exam-waits/leases?wait=30s", settings_.server);
    const std::string secret = "Bearer " + settings_.token;
    const std::vector<http_field> head{{"Authorization", secret}};
    const auto got = co_await as_result(
        client_.send({.method = "POST",
                      .url = url,
                      .headers = head,
                      .timeout = duration::milliseconds(1) + random_up_to(exam_slack)}));
    if (!got) {
      if (got.error() == errc::cancelled) co_await checkpoint();
      continue;
    }
    for (const json::value& one : list_of(json::parse(got->body), "messages")) {
      all->taken.insert(text_of(one, "id"));
      co_await ack(text_of(one, "receipt"), "");
    }
  }
}

task<> examiner::examine_waits() {
  waits_watch all;
  // An answer may be on its way to somebody who has just given up: then the lease runs out.
  co_await make_queue("exam-waits", R"({"attempts":0,"lease":"1s","backoff":{"first":"0s"}})");
  co_await with_scope([&](scope& beside) -> task<> {
    for (int i = 0; i < 2; ++i) {
      const auto patient = [](examiner* self, waits_watch* of) -> task<> {
        co_await self->take_patiently(of);
      };
      const auto impatient = [](examiner* self, waits_watch* of) -> task<> {
        co_await self->take_impatiently(of);
      };
      if (!settings_.is_narrow) beside.spawn(impatient, this, &all);
      beside.spawn(patient, this, &all);
    }
    for (std::size_t i = 0; i < waits_watch::messages / 2 && !is_over(); ++i) {
      co_await sleep(random_up_to(exam_slack));
      const answer made = co_await want(202, "POST", path_of("exam-waits") + "/messages:batch",
                                        R"({"messages":[{"body":"one"},{"body":"two"}]})");
      for (const json::value& one : list_of(made.body, "messages")) {
        all.told.emplace(text_of(one, "id"), exam_now());
      }
    }
    const time_point limit = exam_now() + 2 * waits_watch::patience;
    while (!all.is_done() && !is_over() && exam_now() < limit) co_await sleep(exam_slack / 10);
    require(all.is_done(), "{} of {} messages were taken by those who waited", all.taken.size(),
            waits_watch::messages);
    beside.cancel("all were taken");
  });
}

// ---- calls to a worker ----

struct examiner::push_watch {
  static constexpr std::uint32_t concurrency = 3;
  examiner* self;
  std::uint32_t live = 0;
  std::uint32_t calls = 0;
  time_point quiet_from = time_point::never();  // a worker that is busy is not called
  time_point quiet_until = {};
  std::string gone_id = {};  // who was told that it is not wanted
  std::string ill_id = {};   // whose first call failed

  WEIR_CORO_WRAPPER task<> operator()(http::request& request, http::response& response) {
    return answer(this, &request, &response);
  }
  static task<> answer(push_watch* all, http::request* request, http::response* response) {
    const std::string id(request->field("Weir-Id").value_or(""));
    const std::string attempt(request->field("Weir-Attempt").value_or(""));
    const std::string body = co_await request->read_all(1 << 16);
    examiner& self = *all->self;
    const std::uint32_t call = ++all->calls;
    self.require(++all->live <= concurrency, "{} calls at once, {} are allowed", all->live,
                 concurrency);
    self.require(exam_now() < all->quiet_from || exam_now() >= all->quiet_until,
                 "a busy worker was called before its Retry-After was over");
    self.require(id != all->gone_id, "a message came again after 410");
    const bool is_second = id == all->ill_id;
    self.require(attempt == (is_second ? "2" : "1"), "attempt {} came of a message {}", attempt,
                 is_second ? "whose first has failed" : "that was given back or is new");
    co_await sleep(duration::milliseconds(300));
    --all->live;
    if (call == 4) {
      all->ill_id = id;
      co_return co_await response->send(500, "text/plain", "no luck");
    }
    if (call == 5) {
      all->gone_id = id;
      co_return co_await response->send(410, "text/plain", "never again");
    }
    if (call == 6) {
      // Those that are on their way by now may still come.
      all->quiet_from = exam_now() + duration::milliseconds(500);
      all->quiet_until = exam_now() + duration::seconds(4);
      response->header("Retry-After", "4");
      co_return co_await response->send(503);
    }
    co_await response->send(200, "text/plain", "done " + body);
  }
};

task<> examiner::examine_push() {
  constexpr int messages = 12;
  push_watch all{.self = this};
  std::vector<std::string> ids;
  co_await with_scope([&](scope& beside) -> task<> {
    beside.spawn(serve_beside<push_watch>, &all, settings_.own);
    co_await make_queue("exam-push",
                        fmt::format(R"({{"attempts":3,"backoff":{{"first":"1s","jitter":0}},)"
                                    R"("push":{{"url":"http://{}:{}/","concurrency":{}}}}})",
                                    settings_.own, exam_port, push_watch::concurrency));
    for (int i = 0; i < messages; ++i) {
      ids.push_back(co_await submit("exam-push", fmt::format("{}", i)));
    }
    for (std::size_t i = 0; i < ids.size() && !is_over(); ++i) {
      const answer got = co_await want(200, "GET", fmt::format("/v1/messages/{}?wait=60s", ids[i]));
      const std::string state = text_of(got.body, "state");
      if (is_over()) break;
      require(state == (ids[i] == all.gone_id ? "dead" : "done"), "message {} is {}", i, state);
      if (state == "done") {
        require(text_of(got.body, "result") == fmt::format("done {}", i), "message {} came to '{}'",
                i, text_of(got.body, "result"));
      }
    }
    co_await want(204, "DELETE", path_of("exam-push"));
    beside.cancel("all were called");
  });
}

// ---- replies ----

struct examiner::reply_watch {
  examiner* self;
  std::uint32_t busy_left = 4;  // more than the queue has attempts
  std::string id = {};
  std::string result = {};

  WEIR_CORO_WRAPPER task<> operator()(http::request& request, http::response& response) {
    return answer(this, &request, &response);
  }
  static task<> answer(reply_watch* all, http::request* request, http::response* response) {
    const std::string body = co_await request->read_all(1 << 16);
    if (all->busy_left != 0) {
      --all->busy_left;
      response->header("Retry-After", "1");
      co_return co_await response->send(all->busy_left % 2 == 0 ? 503 : 429);
    }
    boost::system::error_code failure;
    const json::value said = json::parse(body, failure);
    all->self->require(!failure, "a reply is no JSON");
    all->id = text_of(said, "id");
    all->result = text_of(said, "result");
    co_await response->send(200, "text/plain", "");
  }
};

task<> examiner::examine_replies() {
  reply_watch all{.self = this};
  co_await with_scope([&](scope& beside) -> task<> {
    beside.spawn(serve_beside<reply_watch>, &all, settings_.own);
    co_await make_queue("exam-replies", R"({"attempts":2,"backoff":{"first":"1s","max":"1s"}})");
    const std::string id = co_await submit(
        "exam-replies", "asks",
        {{"Weir-Reply-To", fmt::format("http://{}:{}/", settings_.own, exam_port)}});
    const std::vector<taken> got = co_await lease("exam-replies", 1);
    if (is_over() || !require(got.size() == 1, "no message came")) {
      beside.cancel("nothing to reply to");
      co_return;
    }
    co_await ack(got[0].receipt, "answered");
    const time_point limit = exam_now() + duration::seconds(30);
    while (all.id.empty() && exam_now() < limit && !is_over()) co_await sleep(exam_slack / 10);
    require(is_over() || (all.id == id && all.result == "answered"),
            "a reply that was busy at first {}",
            all.id.empty() ? "never came" : "came as '" + all.result + "' of " + all.id);
    beside.cancel("it has come");
  });
}

// ---- events ----

task<> examiner::read_events(std::string path, std::string* into) {
  const std::string url = settings_.server + path;
  const std::string secret = "Bearer " + settings_.token;
  const std::vector<http_field> head{{"Authorization", secret}};
  auto stream = co_await as_result(client_.open({.url = url, .headers = head}));
  if (!stream) {
    if (stream.error() == errc::cancelled) co_await checkpoint();
    require(false, "{} got no answer", path);
    co_return;
  }
  for (;;) {
    const bytes piece = co_await stream->read();
    if (piece.empty()) co_return;
    *into += piece.text();
  }
}

// Each event once, in its order, with its message.
task<> examiner::examine_events() {
  const std::string queue = "exam-events";
  std::string heard;
  std::vector<std::string> wanted;
  co_await make_queue(queue, R"({"lease":"5m"})");
  co_await with_scope([&](scope& beside) -> task<> {
    beside.spawn(
        [](examiner* self, std::string path, std::string* into) -> task<> {
          co_await self->read_events(std::move(path), into);
        },
        this, path_of(queue) + "/events", &heard);
    co_await sleep(exam_slack);
    const answer made = co_await want(202, "POST", path_of(queue) + "/messages:batch",
                                      R"({"messages":[{"body":"a"},{"body":"b"},{"body":"c"}]})");
    for (const json::value& one : list_of(made.body, "messages")) {
      wanted.push_back("submitted " + text_of(one, "id"));
    }
    const std::vector<taken> got = co_await lease(queue, 3);
    for (const taken& one : got) wanted.push_back("leased " + one.id);
    for (std::size_t i = 0; i < got.size() && !is_over(); ++i) {
      if (i == 1) {
        co_await want(204, "POST", fmt::format("/v1/leases/{}/nack", got[i].receipt));
      } else {
        co_await ack(got[i].receipt, "");
      }
      wanted.push_back((i == 1 ? "retried " : "completed ") + got[i].id);
    }
    co_await sleep(exam_slack);
    beside.cancel("all were told");
  });
  if (is_over()) co_return;
  // "event: submitted", "data: {"id":"..."}"
  std::vector<std::string> told;
  std::string kind;
  for (std::size_t at = 0; at < heard.size();) {
    const std::size_t end = std::min(heard.find('\n', at), heard.size());
    const std::string line = heard.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("event: ")) kind = line.substr(7);
    if (!line.starts_with("data: ")) continue;
    boost::system::error_code failure;
    const json::value data = json::parse(line.substr(6), failure);
    if (!require(!failure, "an event is no JSON")) co_return;
    told.push_back(fmt::format("{} {}", kind, text_of(data, "id")));
  }
  for (std::size_t i = 0; i < std::max(told.size(), wanted.size()) && !is_over(); ++i) {
    require(i < told.size(), "'{}' was not told", i < wanted.size() ? wanted[i] : "");
    require(i < wanted.size(), "'{}' was told, although nothing happened",
            i < told.size() ? told[i] : "");
    if (is_over()) break;
    require(told[i] == wanted[i], "'{}' was told, '{}' has happened", told[i], wanted[i]);
  }
}

// ---- the wire ----

namespace {

struct whole_answer {
  std::string_view head;
  std::string_view body;
};

/// The answers that are whole; what is behind an answer is the next one's, to the byte.
std::vector<whole_answer> answers_in(std::string_view heard) {
  std::vector<whole_answer> answers;
  for (std::size_t at = 0; at < heard.size();) {
    const std::size_t end = heard.find("\r\n\r\n", at);
    if (end == std::string_view::npos) break;
    const std::string_view head = heard.substr(at, end - at);
    constexpr std::string_view field = "Content-Length: ";
    std::size_t body = 0;
    if (const std::size_t length = head.find(field); length != std::string_view::npos) {
      const std::string_view digits = head.substr(length + field.size());
      body = parse_number(digits.substr(0, digits.find('\r'))).value_or(0);
    }
    if (end + 4 + body > heard.size()) break;
    answers.push_back({head, heard.substr(end + 4, body)});
    at = end + 4 + body;
  }
  return answers;
}

template <class Stream>
task<> send_all(Stream* to, const std::vector<std::string>* requests, duration between) {
  for (const std::string& one : *requests) {
    // Whoever answers and closes is heard out.
    if (!co_await as_result(to->send(one))) co_return;
    co_await sleep(between);
  }
}

template <class Stream>
task<> converse(Stream* to, const std::vector<std::string>* requests, duration between,
                std::size_t count, std::string* heard) {
  constexpr duration patience = duration::seconds(200);  // byte by byte, if need be
  co_await with_scope({.name = "answers", .timeout = patience}, [&](scope& beside) -> task<> {
    beside.spawn(&send_all<Stream>, to, requests, between);
    while (answers_in(*heard).size() < count) {
      const auto piece = co_await as_result(to->receive());
      if (!piece || piece->empty()) break;
      *heard += piece->text();
    }
    beside.cancel("all was heard");
  });
}

}  // namespace

/// Sends requests on one connection, and gives all that comes back until so many answers are
/// whole. It reads meanwhile: a server need not read on while nobody takes its answers.
task<std::string> examiner::answers_to(std::vector<std::string> requests, duration between,
                                       std::size_t count) {
  std::string heard;
  if (settings_.tls) {
    tls_socket to = co_await tls_connect(*settings_.tls, settings_.server_host, server_port);
    co_await converse(&to, &requests, between, count, &heard);
  } else {
    socket to = co_await connect(settings_.server_host, server_port);
    co_await converse(&to, &requests, between, count, &heard);
  }
  co_return heard;
}

// Requests that come at once, or while another one waits, are answered in their order: also where
// the answers before are still on their way.
task<> examiner::examine_pipelines() {
  struct exchange {
    std::string request;
    std::string_view status;
    std::string begin;  // of the answer's body
  };
  const std::string queue = "exam-pipelines";
  co_await make_queue(queue, "");
  co_await make_queue("exam-empty", "");
  const auto request = [this](std::string_view method, std::string_view path,
                              std::string_view body = {}) {
    return fmt::format(
        "{} {} HTTP/1.1\r\nHost: server\r\nAuthorization: Bearer {}\r\nContent-Length: "
        "{}\r\n\r\n{}",
        method, path, settings_.token, body.size(), body);
  };
  std::vector<exchange> all;
  for (int round = 0; round < (settings_.is_narrow ? 1 : 2); ++round) {
    all.push_back({request("GET", "/v1/queues"), "200", "{\"queues\":["});  // a large one
    for (int i = 0; i < 3; ++i) {
      const std::string id = co_await submit(queue, "piped");
      all.push_back({request("GET", "/v1/messages/" + id), "200", "{\"id\":\"" + id});
    }
    all.push_back(
        {request("POST", path_of("exam-empty") + "/leases?wait=1ms"), "200", "{\"messages\":[]}"});
    all.push_back({request("POST", path_of(queue) + "/messages", "also"), "202", "{\"id\":\""});
  }
  for (const duration between : {duration(), exam_slack / 100}) {
    if (is_over()) co_return;
    std::vector<std::string> requests;
    if (between.ns > 0) {
      for (const exchange& one : all) requests.push_back(one.request);
    } else {
      requests.emplace_back();
      for (const exchange& one : all) requests.front() += one.request;
    }
    const std::string heard = co_await answers_to(std::move(requests), between, all.size());
    const std::vector<whole_answer> answers = answers_in(heard);
    for (std::size_t i = 0; i < all.size() && !is_over(); ++i) {
      if (!require(i < answers.size(), "answer {} of {} did not come", i, all.size())) co_return;
      require(answers[i].head.starts_with(fmt::format("HTTP/1.1 {} ", all[i].status)),
              "answer {} begins with '{}'", i, answers[i].head.substr(0, 40));
      require(answers[i].body.starts_with(all[i].begin), "answer {} is another's: '{}'", i,
              answers[i].body.substr(0, 40));
    }
  }
  if (is_over()) co_return;
  // The second comes while the first one waits.
  const std::vector<std::string> both = {request("POST", path_of("exam-empty") + "/leases?wait=2s"),
                                         all[1].request};
  const std::string heard = co_await answers_to(both, exam_slack / 4, both.size());
  const std::vector<whole_answer> answers = answers_in(heard);
  require(answers.size() == 2 && answers[0].body.starts_with("{\"messages\":[]}") &&
              answers[1].body.starts_with(all[1].begin),
          "a request behind one that waits was not answered in its turn");
}

// Files full of what is soon forgotten become of no use; whether they went too early is seen when
// the server starts again.
task<> examiner::examine_files() {
  if (settings_.is_narrow) co_return;
  constexpr std::size_t messages = 40;
  constexpr std::size_t at_once = 10;
  const std::string queue = "exam-files";
  co_await make_queue(queue, R"({"lease":"5m","result_ttl":"1s"})");
  for (std::size_t i = 0; i < messages && !is_over(); ++i) {
    co_await submit(queue, std::string(60'000, 'x'));
    if (i % at_once != at_once - 1) continue;
    for (const taken& one : co_await lease(queue, at_once)) co_await ack(one.receipt, "");
  }
  co_await sleep(3 * exam_slack);
  co_await submit(queue, std::string(60'000, 'x'));  // with it the files are looked through
  co_await sleep(exam_slack);
}

// A server that is asked to end answers those who wait, and is back with all that it had.
task<> examiner::examine_renewal() {
  const std::string queue = "exam-renewal";
  co_await make_queue(queue, R"({"lease":"5m"})");
  co_await make_queue("exam-nothing", "");
  const std::string id = co_await submit(queue, "stays");
  const time_point asked = exam_now();
  co_await with_scope([&](scope& beside) -> task<> {
    const auto wait_for = [](examiner* self, std::string method, std::string path) -> task<> {
      co_await self->want(200, std::move(method), std::move(path));
    };
    beside.spawn(wait_for, this, std::string("POST"), path_of("exam-nothing") + "/leases?wait=60s");
    beside.spawn(wait_for, this, std::string("GET"), fmt::format("/v1/messages/{}?wait=60s", id));
    co_await sleep(exam_slack);
    *settings_.wants_renewal = true;
    co_await beside.join();
  });
  require(is_over() || exam_now() - asked < duration::seconds(10),
          "an end let those wait who waited");
  const std::string url = settings_.server + "/readyz";
  for (bool is_back = false; !is_back && exam_now() - asked < duration::seconds(60);) {
    co_await sleep(exam_slack);
    const auto got = co_await as_result(client_.get(url));
    if (!got && got.error() == errc::cancelled) co_await checkpoint();
    is_back = got && got->status() == 200;
  }
  const std::vector<taken> got = co_await lease(queue, 10);
  if (is_over() || !require(got.size() == 1, "{} messages are there of 1", got.size())) co_return;
  require(got[0].id == id && got[0].attempt == 1, "another message is there");
  co_await ack(got[0].receipt, "");
}

// A new certificate is for handshakes that begin after it; what is open goes on. A session is
// resumed, but none of before.
task<> examiner::examine_certificates() {
  if (!settings_.tls) co_return;
  const std::vector<std::string> request = {"GET /healthz HTTP/1.1\r\nHost: server\r\n\r\n"};
  const auto is_answered = [&](tls_socket* on) -> task<bool> {
    std::string heard;
    co_await converse(on, &request, duration(), 1, &heard);
    co_return heard.starts_with("HTTP/1.1 200 ");
  };
  const auto reach = [&]() -> task<tls_socket> {
    co_return co_await tls_connect(*settings_.tls, settings_.server_host, server_port);
  };
  const std::uint32_t number = *settings_.certificate;
  tls_socket old = co_await reach();
  require(old.info().peer == drill_trust::name_of(number), "certificate {} is in the place of {}",
          old.info().peer, number);
  require(co_await is_answered(&old), "over an old certificate no answer came");
  *settings_.wants_certificate = true;
  co_await sleep(3 * exam_slack);
  if (is_over() || !require(*settings_.certificate == number + 1, "nobody gave a new one"))
    co_return;
  for (const bool is_second : {false, true}) {
    tls_socket fresh = co_await reach();
    require(fresh.info().is_resumed == is_second, "a session was {}resumed",
            is_second ? "not " : "");
    require(fresh.info().peer == drill_trust::name_of(number + 1),
            "certificate {} is in the place of {}", fresh.info().peer, number + 1);
    require(co_await is_answered(&fresh), "over a new certificate no answer came");
  }
  require(co_await is_answered(&old), "a new certificate has ended what was open");
}

// Who may come in, what fits through, and that a body that nobody wants does no harm.
task<> examiner::examine_doors() {
  constexpr std::size_t bytes_max = 64u << 10;
  const std::string queue = "exam-doors";
  co_await make_queue(queue, "");
  const auto refused = co_await as_result(client_.get(settings_.server + path_of(queue)));
  if (!refused && refused.error() == errc::cancelled) co_await checkpoint();
  require(refused && refused->status() == 401, "who has no token was told {}",
          refused ? refused->status() : 0);
  // A client that writes first and then reads can't be refused early through a few bytes.
  const std::string unwanted(settings_.is_narrow ? 0 : 100, 'x');
  for (int i = 0; i < 2; ++i) {
    co_await want(404, "POST", "/v1/queues/exam-nowhere/messages", unwanted);
    co_await submit(queue, "comes in");
  }
  const answer counts = co_await want(200, "GET", path_of(queue));
  if (is_over()) co_return;
  const json::value* found = counts.body.as_object().if_contains("counts");
  require(found && number_of(*found, "ready") == 2, "2 messages are counted as {}",
          found ? number_of(*found, "ready") : 0);
  require(found && number_of(*found, "bytes") == 16, "16 bytes are counted as {}",
          found ? number_of(*found, "bytes") : 0);
  if (settings_.is_narrow) co_return;
  co_await submit(queue, std::string(bytes_max, 'x'));
  co_await want(413, "POST", path_of(queue) + "/messages", std::string(bytes_max + 1, 'x'));
  const std::vector<taken> got = co_await lease(queue, 3);
  if (is_over() || !require(got.size() == 3, "{} messages came of 3", got.size())) co_return;
  require(got[2].body.size() == bytes_max, "a body of {} bytes came as {}", bytes_max,
          got[2].body.size());
}

}  // namespace weir::drill

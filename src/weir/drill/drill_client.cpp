#include <weir/drill/drill_client.hpp>

#include <weir/base/probe.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/drill/answer_fields.hpp>
#include <weir/drill/client_voice.hpp>
#include <weir/drill/exam.hpp>
#include <weir/http/server.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/tls_context.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace weir::drill {

namespace json = boost::json;

namespace {

constexpr std::string_view settings_of_queues[] = {
    R"({"attempts":5,"lease":"10s","backoff":{"first":"500ms","max":"5s"},)"
    R"("ttl":"0s","result_ttl":"30d"})",
    R"({"attempts":2,"lease":"2s","backoff":{"first":"500ms","max":"2s"},)"
    R"("ttl":"0s","result_ttl":"30d","capacity":{"messages":20}})",
    R"({"attempts":0,"lease":"5s","backoff":{"first":"500ms","max":"5s"},)"
    R"("ttl":"0s","result_ttl":"30d"})",
    R"({"attempts":6,"backoff":{"first":"500ms","max":"5s"},"ttl":"0s","result_ttl":"30d",)"
    R"("push":{"url":"WORKER","concurrency":4,"timeout":"5s"}})"};
// Its records in the journal: the submission, a few attempts, the result.
constexpr std::uint64_t around_a_message = 1'024;
static_assert(std::size(settings_of_queues) == std::size(drill_queues));

// "body 17 of 300 bytes: xxxx..."
std::string body_of(std::uint64_t number, std::size_t size) {
  std::string text = fmt::format("body {} of {} bytes:", number, size);
  text.resize(std::max(text.size(), size), static_cast<char>('a' + number % 26));
  return text;
}
void read_body(std::string_view body, delivery& into) {
  std::string_view rest = body;
  if (!rest.starts_with("body ")) return;
  rest.remove_prefix(5);
  into.number = parse_number(rest.substr(0, rest.find(' '))).value_or(0);
  const std::size_t of = rest.find(" of ");
  if (of == std::string_view::npos) return;
  rest.remove_prefix(of + 4);
  const auto size = parse_number(rest.substr(0, rest.find(' ')));
  into.is_body_whole = size && body == body_of(into.number, *size);
}
delivery delivery_of(const json::value& message) {
  delivery made{.id = text_of(message, "id"),
                .attempt = static_cast<std::uint32_t>(number_of(message, "attempt"))};
  read_body(text_of(message, "body"), made);
  return made;
}
delivery pushed_delivery(const http::request& request, std::string_view body) {
  delivery made{.id = std::string(request.field("Weir-Id").value_or("")), .is_pushed = true};
  made.attempt = static_cast<std::uint32_t>(
      parse_number(request.field("Weir-Attempt").value_or(""), UINT32_MAX).value_or(0));
  read_body(body, made);
  return made;
}
std::string result_of(const std::string& id, std::uint32_t attempt) {
  return fmt::format("{} in attempt {}", id, attempt);
}

sighting sighting_of(const json::value& message, std::uint64_t asked) {
  return {.asked = asked,
          .state = text_of(message, "state"),
          .attempts = static_cast<std::uint32_t>(number_of(message, "attempts")),
          .result = text_of(message, "result"),
          .last_error = text_of(message, "last_error")};
}

}  // namespace

/// What came back: nothing where the network or the server let us down.
struct client_program::answer {
  int status = 0;  // 0: no answer
  json::value body = nullptr;

  bool is(int wanted) const noexcept { return status == wanted; }
  /// Of the message that was taken.
  std::string id() const { return is(202) ? text_of(body, "id") : std::string(); }
  std::string text() const { return status_text(status); }
};

struct client_program::life {
  life(virtual_node& on, const client_orders& orders)
      : own(on.address()),
        machines(on.all()),
        voice(on, orders.listener),
        trust(orders.authority.empty()
                  ? nullptr
                  : std::make_unique<tls_client>(tls_client_settings{.ca = orders.authority})),
        client({.response_timeout = duration::seconds(40),
                .timeout = duration::seconds(60),
                .tls = trust.get()}) {}

  /// The true time: machines that were off do not agree.
  time_point now() const noexcept { return machines.now(); }
  /// A number of [0, n).
  std::uint64_t below(std::uint64_t n) { return loop::current()->io().random() % n; }
  bool chance(unsigned percent) { return below(100) < percent; }
  duration up_to(duration most) {
    return duration(static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most.ns) + 1)));
  }

  /// A submission with a key that was confirmed.
  struct submission {
    std::uint64_t number;
    std::string path;
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;
  };
  void remember(submission one) {
    constexpr std::size_t known_max = 50;
    if (known.size() == known_max) known.erase(known.begin());
    known.push_back(std::move(one));
  }

  std::string own;
  const virtual_nodes& machines;
  client_voice voice;
  std::unique_ptr<tls_client> trust;  // null: the server speaks no TLS
  http::client client;
  std::vector<submission> known;
};

task<client_program::answer> client_program::call(
    life* of, std::string_view method, std::string path, std::string body,
    std::vector<std::pair<std::string, std::string>> fields) {
  const std::string url = orders_.server + path;
  const std::string secret = fmt::format("Bearer {}", token);
  std::vector<http_field> all{{"Authorization", secret}};
  for (const auto& [name, value] : fields) all.push_back({name, value});
  auto got = co_await as_result(
      of->client.send({.method = method, .url = url, .headers = all, .body = body}));
  answer out;
  if (!got) {
    if (got.error() == errc::cancelled) co_await checkpoint();
    if (got.error() == errc::permission_denied) {
      orders_.book.broken(fmt::format("the server is not trusted: {}", describe(got.error())));
    }
    co_return out;
  }
  out.status = got->status();
  if (!got->body.empty()) {
    boost::system::error_code failure;
    out.body = json::parse(got->body, failure);
    if (failure) orders_.book.broken(fmt::format("{} {} was answered by no JSON", method, path));
  }
  const bool is_known = out.status == 429 || out.status == 503 || out.status == 507 ||
                        out.status == 404 || out.status == 409 || out.status == 408 ||
                        out.status < 400 || (out.status == 500 && orders_.may_fail_inside);
  if (!is_known) {
    orders_.book.broken(fmt::format("{} {} was answered {}: {}", method, path, out.status,
                                    text_of(out.body, "detail")));
  }
  co_return out;
}

task<> client_program::make_queues(life* of) {
  for (std::size_t i = 0; i < std::size(drill_queues); ++i) {
    const std::string path = fmt::format("/v1/queues/{}", drill_queues[i].name);
    std::string settings(settings_of_queues[i]);
    constexpr std::string_view worker = "WORKER";
    if (const auto at = settings.find(worker); at != settings.npos) {
      settings.replace(at, worker.size(), orders_.worker);
    }
    for (;;) {
      const answer made = co_await call(of, "PUT", path, settings);
      if (made.is(200) || made.is(201)) break;
      co_await sleep(duration::seconds(1));
    }
  }
}

task<> client_program::submit(life* of) {
  const queue_rules& queue = drill_queues[of->below(std::size(drill_queues))];
  const bool has_key = of->chance(70);
  const bool wants_reply = queue.attempts == 0 && of->chance(50);
  const bool is_delayed = of->chance(10);
  const std::uint64_t priority = of->chance(20) ? of->below(10) : 0;
  const std::uint64_t number =
      orders_.book.begin_submission(queue, wants_reply, static_cast<std::uint32_t>(priority),
                                    is_delayed ? of->now() + duration::seconds(3) : time_point());
  std::vector<std::pair<std::string, std::string>> fields{{"Content-Type", "text/plain"}};
  if (has_key) fields.emplace_back("Weir-Key", fmt::format("key-{}", number));
  if (is_delayed) fields.emplace_back("Weir-Delay", "3s");
  if (priority != 0) fields.emplace_back("Weir-Priority", fmt::format("{}", priority));
  if (wants_reply) {
    fields.emplace_back("Weir-Reply-To", fmt::format("http://{}:{}/", of->own, call_port));
  }
  const std::string body = body_of(number, of->below(orders_.body_bytes_max));
  orders_.bytes_submitted += body.size() + around_a_message;
  const std::string path = fmt::format("/v1/queues/{}/messages", queue.name);
  // With a key it is sent until it is confirmed; without one a lost answer stays a question.
  for (int tries = 0; tries < (has_key ? 20 : 1); ++tries) {
    if (tries != 0) co_await sleep(of->up_to(duration::seconds(2)));
    const answer made = co_await call(of, "POST", path, body, fields);
    of->voice.say(made.id(), "submits body {} to {}: {}", number, queue.name, made.text());
    sometimes(made.is(429), "a queue is full");
    if (made.is(404)) orders_.book.broken(fmt::format("queue {} is not there", queue.name));
    if (!made.is(202)) continue;
    const json::value* again = made.body.as_object().if_contains("duplicate");
    sometimes(again != nullptr, "a key is known");
    orders_.book.confirmed(number, text_of(made.body, "id"), again != nullptr);
    if (has_key) of->remember({number, path, body, std::move(fields)});
    co_return;
  }
}

// Whoever is not sure that it has sent something sends it once more, also long after.
task<> client_program::submit_again(life* of) {
  if (of->known.empty()) co_return;
  const life::submission one = of->known[of->below(of->known.size())];
  const answer made = co_await call(of, "POST", one.path, one.body, one.fields);
  of->voice.say(made.id(), "submits body {} again: {}", one.number, made.text());
  if (made.is(202)) orders_.book.confirmed(one.number, text_of(made.body, "id"), true);
}

task<> client_program::submit_always(life* of) {
  for (;;) {
    co_await sleep(of->up_to(orders_.pause * 2));
    if (!orders_.submits) continue;
    co_await submit(of);
    if (of->chance(15)) co_await submit_again(of);
  }
}

task<> client_program::acknowledge(life* of, std::string id, std::string receipt,
                                   std::uint32_t attempt) {
  const std::string result = result_of(id, attempt);
  orders_.book.ack_tried(id, attempt, result);
  for (int tries = 0; tries < 5; ++tries) {
    const answer made = co_await call(of, "POST", fmt::format("/v1/leases/{}/ack", receipt), result,
                                      {{"Content-Type", "text/plain"}});
    of->voice.say(id, "acknowledges attempt {}: {}", attempt, made.text());
    sometimes(made.is(409) && tries == 0, "a lease has run out before its acknowledgement");
    sometimes(made.is(409) && tries != 0, "an acknowledgement whose answer was lost is sent again");
    if (made.is(204)) orders_.book.ack_confirmed(id, attempt);
    if (made.is(409)) orders_.book.ack_refused();
    if (made.is(204) || made.is(409)) co_return;
    co_await sleep(of->up_to(duration::seconds(1)));
  }
}

// With a delay, or without one: then the back-off says when it comes again.
task<> client_program::give_back(life* of, const delivery* what, const std::string* receipt) {
  constexpr duration delay = duration::seconds(3);
  constexpr duration back_off_min = duration::milliseconds(400);  // 500 ms less its jitter
  const bool has_delay = of->chance(50);
  const time_point asked = of->now();
  orders_.book.nack_tried(what->id, what->attempt);
  const answer got =
      co_await call(of, "POST", fmt::format("/v1/leases/{}/nack", *receipt),
                    has_delay ? R"({"delay":"3s","error":"no luck"})" : R"({"error":"no luck"})");
  of->voice.say(what->id, "gives attempt {} back: {}", what->attempt, got.text());
  if (!got.is(204)) co_return;
  orders_.book.nack_confirmed(what->id, what->attempt, asked + (has_delay ? delay : back_off_min));
}

task<> client_program::work_on(life* of, const queue_rules* queue, delivery what,
                               std::string receipt) {
  if (!orders_.book.violation().empty()) co_return;
  co_await sleep(of->up_to(duration::milliseconds(500)));
  if (!orders_.is_patient) {
    co_await acknowledge(of, what.id, receipt, what.attempt);
    co_return;
  }
  if (of->chance(5)) co_return;  // forgotten: its lease runs out
  if (of->chance(5)) co_await sleep(of->up_to(duration::seconds(15)));  // perhaps too slow
  if (of->chance(10)) co_return co_await give_back(of, &what, &receipt);
  if (of->chance(10)) {
    const time_point asked = of->now();
    const answer got = co_await call(of, "POST", fmt::format("/v1/leases/{}/extend", receipt));
    of->voice.say(what.id, "extends attempt {}: {}", what.attempt, got.text());
    if (got.is(200)) orders_.book.extended(what.id, what.attempt, asked);
    co_await sleep(of->up_to(queue->lease));
  }
  co_await acknowledge(of, what.id, receipt, what.attempt);
}

task<> client_program::work_always(life* of) {
  for (;;) {
    const queue_rules& queue = drill_queues[of->below(std::size(drill_queues) - 1)];
    const std::uint64_t most = 1 + of->below(3);
    const time_point asked = of->now();
    const answer got = co_await call(of, "POST",
                                     fmt::format("/v1/queues/{}/leases?max={}&wait={}", queue.name,
                                                 most, format_duration(orders_.wait)));
    if (!got.is(200)) {
      co_await sleep(of->up_to(duration::seconds(2)));
      continue;
    }
    const std::vector<json::value> messages = list_of(got.body, "messages");
    std::vector<delivery> all;
    for (const json::value& message : messages) {
      all.push_back(delivery_of(message));
      all.back().asked = asked;
      all.back().at = of->now();
      of->voice.say(all.back().id, "takes attempt {} of body {} from {}", all.back().attempt,
                    all.back().number, queue.name);
      orders_.book.delivered(queue, all.back());
    }
    orders_.book.delivered_together(queue, all, most);
    for (std::size_t i = 0; i < all.size(); ++i) {
      co_await work_on(of, &queue, all[i], text_of(messages[i], "receipt"));
    }
  }
}

task<> client_program::watch_always(life* of) {
  for (;;) {
    const std::string* next = orders_.book.next_open();
    if (!next) {
      co_await sleep(duration::milliseconds(500));
      continue;
    }
    const std::string id = *next;
    const std::uint64_t asked = orders_.book.now();
    const std::string_view wait = orders_.submits ? "?wait=1s" : "";
    const answer got = co_await call(of, "GET", fmt::format("/v1/messages/{}{}", id, wait));
    const sighting seen = got.is(200) ? sighting_of(got.body, asked) : sighting();
    of->voice.say(id, "looks at it: {}{}{}", got.text(), got.is(200) ? ", " : "", seen.state);
    if (got.is(200)) orders_.book.seen(id, seen);
    if (got.is(404)) orders_.book.missing(id);
    co_await sleep(of->up_to(duration::milliseconds(orders_.submits ? 500 : 20)));
  }
}

// Messages that nobody keeps books of, and whose results are soon forgotten: without them nothing
// in the server's files would ever be of no use any more.
task<> client_program::churn_always(life* of) {
  constexpr const char* brief =
      R"({"attempts":1,"dead_letter":"","lease":"1s","result_ttl":"1s","ttl":"20s"})";
  const std::string path = "/v1/queues/brief";
  for (;;) {
    co_await sleep(of->up_to(orders_.pause * 8));
    if (!orders_.submits) continue;
    co_await call(of, "PUT", path, brief);
    const std::string body(of->below(3 * std::uint64_t{orders_.body_bytes_max}), 'x');
    orders_.bytes_submitted += body.size() + around_a_message;
    co_await call(of, "POST", path + "/messages", body);
    const answer got = co_await call(of, "POST", path + "/leases?max=3");
    for (const json::value& message : list_of(got.body, "messages")) {
      co_await call(of, "POST", fmt::format("/v1/leases/{}/ack", text_of(message, "receipt")));
    }
  }
}

task<> client_program::take_reply(life* of, http::request& request, http::response& response) {
  const std::string text = co_await request.read_all(1 << 20);
  if (orders_.is_patient && of->chance(20)) {
    response.header("Retry-After", "1");
    co_return co_await response.send(of->chance(50) ? 503 : 500, "text/plain", "not now");
  }
  boost::system::error_code failure;
  const json::value said = json::parse(text, failure);
  if (failure) {
    orders_.book.broken("a reply is no JSON");
  } else {
    of->voice.say(text_of(said, "id"), "is told the reply: {}", text_of(said, "state"));
    orders_.book.replied(text_of(said, "id"), sighting_of(said, orders_.book.now()));
  }
  co_await response.send(200, "text/plain", "");
}

// A worker that is called: as slow, forgetful and moody as those that take messages themselves.
task<> client_program::take_push(life* of, http::request& request, http::response& response) {
  const std::string body = co_await request.read_all(1 << 20);
  delivery what = pushed_delivery(request, body);
  what.at = of->now();
  of->voice.say(what.id, "is called with attempt {} of body {}", what.attempt, what.number);
  orders_.book.delivered(pushed_queue, what);
  if (!orders_.book.violation().empty()) co_return;
  sometimes(what.attempt > 1, "a message is pushed again");
  if (orders_.is_patient) {
    co_await sleep(of->up_to(duration::milliseconds(500)));
    if (of->chance(5)) co_await sleep(of->up_to(duration::seconds(10)));  // perhaps too slow
    if (of->chance(10)) co_return co_await response.send(500, "text/plain", "no luck");
    if (of->chance(5)) {
      orders_.book.given_back(what.id, what.attempt);
      response.header("Retry-After", "2");
      co_return co_await response.send(of->chance(50) ? 429 : 503);
    }
    if (of->chance(2)) {
      orders_.book.given_up(what.id);
      co_return co_await response.send(410, "text/plain", "never again");
    }
  }
  const std::string result = result_of(what.id, what.attempt);
  orders_.book.ack_tried(what.id, what.attempt, result);
  of->voice.say(what.id, "has done attempt {}", what.attempt);
  co_await response.send(200, "text/plain", result);
}

task<> client_program::take_calls(life* of) {
  struct call_taker {
    client_program* self;
    life* of;
    WEIR_CORO_WRAPPER task<> operator()(http::request& request, http::response& response) const {
      return request.path() == "/work" ? self->take_push(of, request, response)
                                       : self->take_reply(of, request, response);
    }
  };
  call_taker take{this, of};
  http::server server(take);
  co_await server.run(co_await listen({.host = of->own, .port = call_port}));
}

task<> client_program::examine_when_asked(life* of) {
  while (!orders_.wants_exam) co_await sleep(duration::milliseconds(500));
  const std::string host = orders_.server.substr(orders_.server.find("//") + 2);
  examiner exam(orders_.book, {.server = orders_.server,
                               .server_host = host.substr(0, host.find(':')),
                               .own = of->own,
                               .token = std::string(token),
                               .is_narrow = orders_.is_narrow,
                               .wants_renewal = &orders_.wants_renewal,
                               .tls = of->trust.get(),
                               .wants_certificate = &orders_.wants_certificate,
                               .certificate = &orders_.certificate,
                               .voice = &of->voice});
  co_await exam.run();
  orders_.is_examined = true;
}

task<> client_program::run(virtual_node* on) {
  life of(*on, orders_);
  co_await with_scope({.name = "clients"}, [&](scope& all) -> task<> {
    all.spawn([](client_program* self, life* one) -> task<> { co_await self->take_calls(one); },
              this, &of);
    co_await make_queues(&of);
    const auto spawn = [&](std::uint32_t count, task<> (client_program::*what)(life*)) {
      for (std::uint32_t i = 0; i < count; ++i) {
        all.spawn([](client_program* self, task<> (client_program::*act)(life*),
                     life* one) -> task<> { co_await (self->*act)(one); },
                  this, what, &of);
      }
    };
    if (of.own == orders_.examiner) spawn(1, &client_program::examine_when_asked);
    spawn(orders_.submitters, &client_program::submit_always);
    spawn(orders_.workers, &client_program::work_always);
    spawn(orders_.watchers, &client_program::watch_always);
    if (orders_.churns) spawn(1, &client_program::churn_always);
  });
}

}  // namespace weir::drill

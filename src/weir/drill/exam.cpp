// What one client asks and is told: orders, times, keys, bounds, ends.
#include <weir/drill/exam.hpp>

#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/drill/answer_fields.hpp>
#include <weir/drill/client_voice.hpp>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weir::drill {

namespace json = boost::json;

namespace {

double in_seconds(duration length) { return static_cast<double>(length.ns) / 1e9; }

}  // namespace

time_point exam_now() { return loop::current()->now(); }

examiner::examiner(ledger& book, exam_settings settings)
    : book_(book),
      settings_(std::move(settings)),
      client_({.response_timeout = duration::seconds(60),
               .timeout = duration::seconds(90),
               .tls = settings_.tls}) {}

task<> examiner::run() {
  struct subject {
    const char* name;
    task<> (examiner::*examine)();
  };
  constexpr subject subjects[] = {{"order", &examiner::examine_order},
                                  {"batches", &examiner::examine_batches},
                                  {"delays", &examiner::examine_delays},
                                  {"leases", &examiner::examine_leases},
                                  {"keys", &examiner::examine_keys},
                                  {"bounds", &examiner::examine_bounds},
                                  {"dead letters", &examiner::examine_dead_letters},
                                  {"lives", &examiner::examine_lives},
                                  {"ends", &examiner::examine_ends},
                                  {"waits", &examiner::examine_waits},
                                  {"pushes", &examiner::examine_push},
                                  {"replies", &examiner::examine_replies},
                                  {"events", &examiner::examine_events},
                                  {"pipelines", &examiner::examine_pipelines},
                                  {"doors", &examiner::examine_doors},
                                  {"files", &examiner::examine_files},
                                  {"a renewal", &examiner::examine_renewal},
                                  {"certificates", &examiner::examine_certificates}};
  for (const subject& one : subjects) {
    subject_ = one.name;
    if (!is_over()) co_await (this->*one.examine)();
  }
}

// The subject comes first: a case is shrunk to one that fails in the same.
void examiner::fail(const std::string& why) {
  book_.broken(fmt::format("exam of {}: {}", subject_, why));
}

std::uint64_t examiner::below(std::uint64_t n) { return loop::current()->io().random() % n; }

std::string examiner::path_of(std::string_view queue) const {
  return fmt::format("/v1/queues/{}", queue);
}

task<examiner::answer> examiner::ask(std::string method, std::string path, std::string body,
                                     fields more) {
  const std::string url = settings_.server + path;
  const std::string secret = "Bearer " + settings_.token;
  std::vector<http_field> all{{"Authorization", secret}, {"Content-Type", "text/plain"}};
  for (const auto& [name, value] : more) all.push_back({name, value});
  const auto got = co_await as_result(
      client_.send({.method = method, .url = url, .headers = all, .body = body}));
  answer out;
  if (settings_.voice) {
    settings_.voice->say({}, "{} {}: {}", method, path, status_text(got ? got->status() : 0));
  }
  if (!got) {
    if (got.error() == errc::cancelled) co_await checkpoint();
    require(false, "{} {} got no answer: {}", method, path, describe(got.error()));
    co_return out;
  }
  out.status = got->status();
  boost::system::error_code failure;
  if (!got->body.empty()) out.body = json::parse(got->body, failure);
  require(!failure, "{} {} was answered by no JSON", method, path);
  co_return out;
}

task<examiner::answer> examiner::want(int status, std::string method, std::string path,
                                      std::string body, fields more) {
  if (is_over()) co_return answer{};
  answer got = co_await ask(method, path, std::move(body), std::move(more));
  require(got.status == status, "{} {} was answered {} instead of {}", method, path, got.status,
          status);
  co_return got;
}

task<> examiner::make_queue(std::string name, std::string settings) {
  co_await want(201, "PUT", path_of(name), std::move(settings));
}

task<std::string> examiner::submit(std::string queue, std::string body, fields more) {
  const answer got =
      co_await want(202, "POST", path_of(queue) + "/messages", std::move(body), std::move(more));
  co_return text_of(got.body, "id");
}

task<std::vector<examiner::taken>> examiner::lease(std::string queue, int max, std::string wait) {
  const answer got = co_await want(
      200, "POST", fmt::format("{}/leases?max={}&wait={}", path_of(queue), max, wait));
  std::vector<taken> out;
  for (const json::value& one : list_of(got.body, "messages")) {
    out.push_back({.id = text_of(one, "id"),
                   .receipt = text_of(one, "receipt"),
                   .body = text_of(one, "body"),
                   .attempt = number_of(one, "attempt")});
  }
  require(out.size() <= static_cast<std::size_t>(max), "{} messages were given out, {} were wanted",
          out.size(), max);
  co_return out;
}

task<examiner::taken> examiner::lease_between(std::string queue, time_point from, time_point to) {
  const std::vector<taken> got = co_await lease(std::move(queue), 1, "60s");
  if (is_over()) co_return taken{};
  const time_point at = exam_now();
  const bool is_there = require(got.size() == 1, "no message came");
  if (is_there && at < from) {
    require(false, "a message came {:.3f} s too early", in_seconds(from - at));
  }
  if (is_there && at > to) require(false, "a message came {:.3f} s too late", in_seconds(at - to));
  co_return is_over() ? taken{} : got.front();
}

task<> examiner::ack(std::string receipt, std::string result) {
  co_await want(204, "POST", fmt::format("/v1/leases/{}/ack", receipt), std::move(result));
}

task<std::string> examiner::state_of(std::string id) {
  const answer got = co_await want(200, "GET", "/v1/messages/" + id);
  co_return text_of(got.body, "state");
}

// Higher priorities first; within one, first in, first out.
task<> examiner::examine_order() {
  struct expected {
    std::string id;
    std::uint64_t priority;
    std::string body;
  };
  const std::string queue = "exam-order";
  co_await make_queue(queue, R"({"lease":"5m"})");
  std::vector<expected> all;
  for (int i = 0; i < 7; ++i) {
    expected one{.id = {}, .priority = i == 0 ? 0 : 4 * below(3), .body = fmt::format("{}", i)};
    one.id = co_await submit(queue, one.body, {{"Weir-Priority", fmt::format("{}", one.priority)}});
    all.push_back(std::move(one));
  }
  std::ranges::sort(all, [](const expected& one, const expected& other) {
    return one.priority != other.priority ? one.priority > other.priority : one.body < other.body;
  });
  std::vector<taken> got = co_await lease(queue, 2);
  for (taken& one : co_await lease(queue, 10)) got.push_back(std::move(one));
  if (is_over() || !require(got.size() == all.size(), "{} of {} came", got.size(), all.size())) {
    co_return;
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    require(got[i].id == all[i].id, "message {} came in the place of {}", got[i].body, all[i].body);
    require(got[i].body == all[i].body, "message {} has another's body", all[i].body);
    require(got[i].attempt == 1, "its first attempt has the number {}", got[i].attempt);
    co_await ack(got[i].receipt, "result " + all[i].body);
  }
  for (const expected& one : all) {
    const answer seen = co_await want(200, "GET", "/v1/messages/" + one.id);
    require(text_of(seen.body, "result") == "result " + one.body, "message {} has the result '{}'",
            one.body, text_of(seen.body, "result"));
  }
}

// One entry for each, in order; a refused one does not stop the others.
task<> examiner::examine_batches() {
  const std::string queue = "exam-batches";
  co_await make_queue(queue, R"({"lease":"5m"})");
  const answer made = co_await want(
      202, "POST", path_of(queue) + "/messages:batch",
      R"({"messages":[{"body":"a"},{"body":"b","priority":17},{"body":"c"},{"body":"d"}]})");
  constexpr std::uint64_t statuses[] = {202, 400, 202, 202};
  const std::vector<json::value> entries = list_of(made.body, "messages");
  if (!require(is_over() || entries.size() == 4, "{} entries of 4", entries.size())) co_return;
  std::vector<taken> got = co_await lease(queue, 10);
  if (is_over() || !require(got.size() == 3, "{} messages of 3 came", got.size())) co_return;
  for (std::size_t i = 0, at = 0; i < std::size(statuses); ++i) {
    require(number_of(entries[i], "status") == statuses[i], "entry {} says {}", i,
            number_of(entries[i], "status"));
    if (statuses[i] != 202) continue;
    require(text_of(entries[i], "id") == got[at].id, "entry {} has the id of another", i);
    ++at;
  }
  require(got[0].body == "a" && got[1].body == "c" && got[2].body == "d", "the bodies changed");
  const std::string acks =
      fmt::format(R"({{"acks":[{{"receipt":"{}","result":"1"}},{{"receipt":"no"}},)"
                  R"({{"receipt":"{}","result":"2"}},{{"receipt":"{}","result":"3"}}]}})",
                  got[0].receipt, got[1].receipt, got[2].receipt);
  const answer done = co_await want(200, "POST", "/v1/leases:ack", acks);
  constexpr std::uint64_t outcomes[] = {204, 409, 204, 204};
  const std::vector<json::value> verdicts = list_of(done.body, "acks");
  if (!require(is_over() || verdicts.size() == 4, "{} verdicts of 4", verdicts.size())) co_return;
  for (std::size_t i = 0; i < verdicts.size() && !is_over(); ++i) {
    require(number_of(verdicts[i], "status") == outcomes[i], "acknowledgement {} is told {}", i,
            number_of(verdicts[i], "status"));
  }
  for (std::size_t i = 0; i < got.size() && !is_over(); ++i) {
    const answer seen = co_await want(200, "GET", "/v1/messages/" + got[i].id);
    require(text_of(seen.body, "result") == fmt::format("{}", i + 1),
            "message {} has the result {}", i, text_of(seen.body, "result"));
  }
}

// Not earlier than it was said, and not much later.
task<> examiner::examine_delays() {
  const std::string queue = "exam-delays";
  constexpr duration delay = duration::milliseconds(1'500);
  co_await make_queue(queue, R"({"attempts":0,"backoff":{"first":"1s","max":"4s","jitter":0}})");
  time_point asked = exam_now();
  co_await submit(queue, "late", {{"Weir-Delay", "1500ms"}});
  taken got = co_await lease_between(queue, asked + delay, exam_now() + delay + exam_slack);
  if (is_over()) co_return;
  asked = exam_now();
  co_await want(204, "POST", fmt::format("/v1/leases/{}/nack", got.receipt),
                R"({"delay":"1500ms","error":"no"})");
  got = co_await lease_between(queue, asked + delay, exam_now() + delay + exam_slack);
  require(is_over() || got.attempt == 2, "its second attempt has the number {}", got.attempt);
  for (const std::int64_t pause : {2, 4, 4}) {  // 1 s x 2^1, and 2^2, and no more than the maximum
    if (is_over()) co_return;
    asked = exam_now();
    co_await want(204, "POST", fmt::format("/v1/leases/{}/nack", got.receipt));
    const duration wait = duration::seconds(pause);
    got = co_await lease_between(queue, asked + wait, exam_now() + wait + exam_slack);
  }
  if (!is_over()) co_await ack(got.receipt, "");
}

// A lease belongs to its worker for its time and for what it was extended by, and no longer.
task<> examiner::examine_leases() {
  const std::string queue = "exam-leases";
  const auto ack_path = [](const taken& of) {
    return fmt::format("/v1/leases/{}/ack", of.receipt);
  };
  co_await make_queue(queue, R"({"attempts":0,"lease":"3s","backoff":{"first":"0s","jitter":0}})");
  co_await submit(queue, "held");
  const taken first = co_await lease_between(queue, exam_now(), exam_now() + exam_slack);
  co_await sleep(duration::seconds(2));
  if (is_over()) co_return;
  const time_point extended = exam_now();
  co_await want(200, "POST", fmt::format("/v1/leases/{}/extend", first.receipt));
  constexpr duration length = duration::seconds(3);
  const taken second =
      co_await lease_between(queue, extended + length, exam_now() + length + exam_slack);
  if (is_over()) co_return;
  require(second.id == first.id && second.attempt == 2, "attempt {} came", second.attempt);
  co_await want(409, "POST", ack_path(first), "too late");
  // One that ran out is over also before somebody else has the message.
  co_await want(204, "POST", fmt::format("/v1/leases/{}/nack", second.receipt),
                R"({"delay":"2s"})");
  co_await want(409, "POST", ack_path(second), "given back");
  const taken third =
      co_await lease_between(queue, exam_now(), exam_now() + duration::seconds(2) + exam_slack);
  if (is_over()) co_return;
  co_await ack(third.receipt, "in time");
  co_await want(409, "POST", ack_path(third), "twice");
}

// A key is its queue's, for its window.
task<> examiner::examine_keys() {
  const std::string queue = "exam-keys";
  co_await make_queue(queue, R"({"key_window":"3s"})");
  co_await make_queue("exam-keys-2", "");
  const fields key{{"Weir-Key", "order-7"}};
  const std::string first = co_await submit(queue, "one", key);
  const answer again = co_await want(202, "POST", path_of(queue) + "/messages", "one", key);
  require(is_over() || text_of(again.body, "id") == first, "a key has made two messages");
  const std::string other = co_await submit("exam-keys-2", "one", key);
  require(is_over() || other != first, "a key of another queue was known");
  co_await sleep(duration::seconds(4));
  const std::string later = co_await submit(queue, "two", key);
  require(is_over() || later != first, "a key is known after its window");
  const std::vector<taken> got = co_await lease(queue, 10);
  require(is_over() || got.size() == 2, "{} messages came of 2", got.size());
}

// A full queue says so, and whoever waits for room gets it.
task<> examiner::examine_bounds() {
  const std::string queue = "exam-bounds";
  co_await make_queue(queue, R"({"lease":"5m","capacity":{"messages":3}})");
  for (int i = 0; i < 3; ++i) co_await submit(queue, "fits");
  co_await want(429, "POST", path_of(queue) + "/messages", "does not fit");
  if (is_over()) co_return;
  time_point told;
  co_await with_scope([&](scope& beside) -> task<> {
    beside.spawn(
        [](examiner* self, std::string path, time_point* at) -> task<> {
          co_await self->want(202, "POST", std::move(path), "waits");
          *at = exam_now();
        },
        this, path_of(queue) + "/messages?wait=30s", &told);
    co_await sleep(duration::seconds(1));
    const std::vector<taken> got = co_await lease(queue, 1);
    if (got.size() == 1) co_await ack(got[0].receipt, "");
    const time_point made = exam_now();
    co_await beside.join();
    require(is_over() || (told >= made - exam_slack && told <= made + exam_slack),
            "who waited for room was told {:.3f} s after it came", in_seconds(told - made));
  });
}

// What has used its attempts lies beside, and comes back as new.
task<> examiner::examine_dead_letters() {
  const std::string queue = "exam-dead";
  co_await make_queue(queue, R"({"attempts":2,"lease":"5m"})");
  const std::string id = co_await submit(queue, "mortal");
  for (std::uint64_t attempt = 1; attempt <= 2; ++attempt) {
    const std::vector<taken> got = co_await lease(queue, 1);
    if (is_over() || !require(got.size() == 1, "attempt {} did not come", attempt)) co_return;
    require(got[0].attempt == attempt, "attempt {} came as {}", attempt, got[0].attempt);
    co_await want(204, "POST", fmt::format("/v1/leases/{}/nack", got[0].receipt),
                  R"({"delay":"0s","error":"no luck"})");
  }
  const answer dead = co_await want(200, "GET", "/v1/messages/" + id);
  if (is_over()) co_return;
  require(text_of(dead.body, "state") == "dead", "it is {}", text_of(dead.body, "state"));
  require(text_of(dead.body, "queue") == queue + ".dead", "it lies in {}",
          text_of(dead.body, "queue"));
  require(text_of(dead.body, "origin") == queue, "it died in {}", text_of(dead.body, "origin"));
  require(text_of(dead.body, "last_error") == "no luck", "it died of {}",
          text_of(dead.body, "last_error"));
  const answer moved = co_await want(200, "POST", path_of(queue) + "/redrive");
  require(number_of(moved.body, "moved") == 1, "{} were moved", number_of(moved.body, "moved"));
  const std::vector<taken> back = co_await lease(queue, 10);
  if (is_over() || !require(back.size() == 1, "{} came back", back.size())) co_return;
  require(back[0].id == id && back[0].body == "mortal", "another came back");
  require(back[0].attempt == 1, "it came back with attempt {}", back[0].attempt);
  co_await ack(back[0].receipt, "");
}

// Messages live as long as they should, and results are kept as long.
task<> examiner::examine_lives() {
  const std::string queue = "exam-lives";
  co_await make_queue(queue, R"({"result_ttl":"2s"})");
  const std::string short_lived = co_await submit(queue, "short", {{"Weir-Ttl", "1s"}});
  co_await sleep(duration::seconds(2));
  const std::vector<taken> none = co_await lease(queue, 1);
  if (is_over() || !require(none.empty(), "an expired message was given out")) co_return;
  const std::string state = co_await state_of(short_lived);
  require(is_over() || state == "expired", "it is {} instead of expired", state);
  const std::string kept = co_await submit(queue, "kept");
  const std::vector<taken> got = co_await lease(queue, 1);
  if (is_over() || !require(got.size() == 1, "no message came")) co_return;
  co_await ack(got[0].receipt, "result");
  co_await sleep(duration::seconds(1));
  const std::string after = co_await state_of(kept);
  require(is_over() || after == "done", "its result is not kept: it is {}", after);
  co_await sleep(duration::seconds(3));
  co_await want(404, "GET", "/v1/messages/" + kept);
}

// Whoever waits for an end hears of it when it comes, and no sooner.
task<> examiner::examine_ends() {
  const std::string queue = "exam-ends";
  co_await make_queue(queue, R"({"lease":"5m"})");
  const std::string id = co_await submit(queue, "awaited");
  time_point asked = exam_now();
  const answer early = co_await want(200, "GET", fmt::format("/v1/messages/{}?wait=2s", id));
  if (is_over()) co_return;
  require(text_of(early.body, "state") == "ready", "it is {}", text_of(early.body, "state"));
  require(exam_now() - asked >= duration::seconds(2), "a wait of 2 s took {:.3f} s",
          in_seconds(exam_now() - asked));
  time_point told;
  co_await with_scope([&](scope& beside) -> task<> {
    beside.spawn(
        [](examiner* self, std::string path, time_point* at) -> task<> {
          const answer got = co_await self->want(200, "GET", std::move(path));
          const std::string state = text_of(got.body, "state");
          self->require(self->is_over() || state == "done", "it is {} at its end", state);
          *at = exam_now();
        },
        this, fmt::format("/v1/messages/{}?wait=30s", id), &told);
    co_await sleep(duration::seconds(1));
    const std::vector<taken> got = co_await lease(queue, 1);
    if (got.size() == 1) co_await ack(got[0].receipt, "result");
    const time_point ended = exam_now();
    co_await beside.join();
    require(is_over() || told <= ended + exam_slack, "an end was told {:.3f} s late",
            in_seconds(told - ended));
  });
  asked = exam_now();
  const std::vector<taken> none = co_await lease(queue, 1, "2s");
  require(is_over() || none.empty(), "a message came from nowhere");
  require(is_over() || exam_now() - asked >= duration::seconds(2), "a wait of 2 s took {:.3f} s",
          in_seconds(exam_now() - asked));
}

}  // namespace weir::drill

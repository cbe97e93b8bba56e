// For tests only: a whole server in the virtual world, a client that speaks JSON, and a worker that
// the server may call.
#pragma once

#include <weir/core.hpp>
#include <weir/http/client.hpp>
#include <weir/http/server.hpp>
#include <weir/io/socket.hpp>
#include <weir/serve/server_life.hpp>
#include <weir/testing/acknowledged.hpp>
#include <weir/testing/test.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::testing {

using namespace weir::literals;

/// An answer with its body as JSON, null when it is none.
struct reply {
  http::client_response response;
  boost::json::value json;

  int status() const { return response.status(); }
  std::string_view field(std::string_view name) const {
    return response.head.field(name).value_or("");
  }
  std::string text(std::string_view name) const { return text_of(json, name); }
  static std::string text_of(const boost::json::value& of, std::string_view name) {
    const auto* value = of.is_object() ? of.get_object().if_contains(name) : nullptr;
    if (!value || !value->is_string()) return {};
    return std::string(std::string_view(value->get_string()));
  }
  std::int64_t count(std::string_view name) const {
    return json.at("counts").at(name).to_number<std::int64_t>();
  }
};

/// Calls to one server.
class api {
 public:
  explicit api(std::string url) : url_(std::move(url)), client_(options()) {}

  task<reply> call(std::string_view method, std::string path, std::string body = {},
                   std::vector<http_field> fields = {}) {
    reply out;
    out.response = co_await client_.send(
        {.method = method, .url = url_ + path, .headers = fields, .body = body});
    boost::system::error_code failure;
    out.json = boost::json::parse(out.response.body, failure);
    if (failure) out.json = nullptr;
    co_return out;
  }
  task<reply> get(std::string path) { co_return co_await call("GET", std::move(path)); }
  task<reply> post(std::string path, std::string body = {}, std::vector<http_field> fields = {}) {
    co_return co_await call("POST", std::move(path), std::move(body), std::move(fields));
  }
  task<reply> put(std::string path, std::string body = {}) {
    co_return co_await call("PUT", std::move(path), std::move(body));
  }

  /// Submits and gives the id.
  task<std::string> send(std::string queue, std::string body, std::vector<http_field> fields = {}) {
    const reply sent =
        co_await post("/v1/queues/" + queue + "/messages", std::move(body), std::move(fields));
    EXPECT_EQ(sent.status(), 202) << sent.response.body;
    co_return sent.text("id");
  }
  /// Takes one message and gives its JSON; null when there is none.
  task<boost::json::value> take(std::string queue, std::string query = "?wait=1m") {
    const reply taken = co_await post("/v1/queues/" + queue + "/leases" + query);
    EXPECT_EQ(taken.status(), 200) << taken.response.body;
    const auto& messages = taken.json.at("messages").as_array();
    co_return messages.empty() ? boost::json::value(nullptr) : messages[0];
  }
  task<std::string> state(std::string id, std::string query = "") {
    co_return (co_await get("/v1/messages/" + id + query)).text("state");
  }

  http::client& client() { return client_; }
  const std::string& url() const { return url_; }

 private:
  static http::client_options options() {
    http::client_options out;
    out.response_timeout = out.timeout = duration::seconds(3'600);
    return out;
  }
  std::string url_;
  http::client client_;
};

/// Knows when and where a server listens.
struct server_place final : server_observer {
  event begun;
  address at;
  void listening(const address& where) override {
    at = where;
    begun.set();
  }
};

inline server_config config_in(std::string folder = "/data") {
  server_config config;
  config.data = std::move(folder);
  config.listen = "127.0.0.1:0";
  config.segment_bytes = 16'793'600;  // the least for messages of 8 MiB: each is filled with zeros
  return config;
}

/// Runs `body(api&, event& stop)` against a server on the virtual disk's /data; then drains it.
/// Several calls in one test are several lives of one server.
template <class Body>
task<> with_server(server_config config, std::string_view tokens, Body body) {
  result<server_setup> setup = check_setup(
      config, tokens.empty() ? server_files() : server_files{.tokens = std::string(tokens)});
  WEIR_REQUIRE(setup);
  may_leave_messages();  // whoever took them outlives the server
  event stop;
  server_place where;
  co_await with_scope({.name = "test"}, [&](scope& s) -> task<> {
    s.spawn([](server_setup one, event* end,
               server_place* tell) -> task<> { co_await run_server(std::move(one), *end, *tell); },
            std::move(*setup), &stop, &where);
    co_await where.begun.wait();
    {
      api calls("http://" + where.at.text());
      co_await body(calls, stop);
    }
    stop.set();
  });
}
template <class Body>
task<> with_server(Body body) {
  co_await with_server(config_in(), {}, std::move(body));
}

/// One call that a worker got.
struct worker_call {
  std::string target;
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;
  duration at;  // virtual time since the test began

  std::string field(std::string_view name) const {
    for (const auto& [known, value] : fields) {
      if (known == name) return value;
    }
    return "(none)";
  }
};

/// What a worker answers, and after how long.
struct worker_answer {
  int status = 200;
  std::string body = {};
  std::string retry_after = {};
  duration after = {};
};

/// An HTTP server that notes its calls: body(url, worker) runs beside it.
class worker {
 public:
  using respond = std::function<worker_answer(const worker_call&)>;
  explicit worker(respond how) : respond_(std::move(how)) {}

  task<> operator()(http::request& request, http::response& response) {
    worker_call call{.target = std::string(request.target()),
                     .body = co_await request.read_all(1 << 20),
                     .fields = {},
                     .at = elapsed()};
    for (const http_field& field : request.fields())
      call.fields.emplace_back(field.name, field.value);
    calls.push_back(call);
    now_ += 1;
    most_at_once = std::max(most_at_once, now_);
    called.notify_all();
    const worker_answer answer = respond_(call);
    co_await sleep(answer.after);
    now_ -= 1;
    if (!answer.retry_after.empty()) response.header("Retry-After", answer.retry_after);
    co_await response.send(answer.status, "text/plain", answer.body);
  }
  task<> wait_calls(std::size_t count) {
    while (calls.size() < count) co_await called.wait();
  }

  std::vector<worker_call> calls;
  int most_at_once = 0;
  condition called;

 private:
  respond respond_;
  int now_ = 0;
};

template <class Body>
task<> with_worker(worker& of, Body body, http::server_limits limits = {}) {
  http::server server(of, limits);
  listener door = co_await listen({});
  const std::string url = "http://" + door.local().text();
  co_await with_scope({.name = "worker"}, [&](scope& s) -> task<> {
    s.spawn([](http::server* one, listener at) -> task<> { co_await one->run(std::move(at)); },
            &server, std::move(door));
    co_await body(url);
    server.drain();
  });
}

}  // namespace weir::testing

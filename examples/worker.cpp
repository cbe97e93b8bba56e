// A worker with the library, `worker [URL]`: takes messages of the queue `shout` and acknowledges
// them with their text in capitals. Eight messages at a time, each in a task of its own. A token
// for the server comes from WEIR_TOKEN. Ctrl-C ends it when what it has in hand is acknowledged.
#include <weir/base/text.hpp>
#include <weir/core.hpp>
#include <weir/http/client.hpp>
#include <weir/io/run_program.hpp>
#include <weir/wire/base64.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <string>

using namespace weir::literals;

/// The value of a member whose text has no escapes: ids, receipts, base64.
static std::string member(std::string_view json, std::string name) {
  const std::size_t at = json.find(name = "\"" + name + "\":\"");
  if (at == json.npos) return {};
  json.remove_prefix(at + name.size());
  return std::string(json.substr(0, json.find('"')));
}

/// What strangers sent, for a terminal, which must not obey it.
static std::string shown(std::string text) {
  std::ranges::replace_if(text, [](unsigned char c) { return !std::isprint(c); }, '?');
  return text;
}

struct server {
  weir::http::client client{};
  std::string url;
  std::string token;

  weir::task<weir::http::client_response> post(std::string path, std::string body) {
    const std::string to = url + path;
    const weir::http_field field{"Authorization", token};
    co_return co_await client.send(
        {.method = "POST", .url = to, .headers = {&field, token.empty() ? 0u : 1u}, .body = body});
  }
};

/// Works on a message and acknowledges it with the result.
static weir::task<> handle(server* from, std::string receipt, std::string body) {
  std::string text = weir::value_or_raise(weir::decode_base64(body, body.size()));
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
  const auto ack = co_await from->post("/v1/leases/" + receipt + "/ack", text);
  if (ack.status() == 204) {
    std::printf("done %s\n", shown(text.substr(0, 60)).c_str());
  } else if (ack.status() == 409) {
    std::printf("lost its lease\n");  // it is somebody else's by now
  } else {
    std::printf("not acknowledged: %d %s\n", ack.status(), shown(ack.body).c_str());
  }
  std::fflush(stdout);
}

/// Takes one message and works on it; waits on the server while there is none.
static weir::task<> work_once(server* from) {
  // Shorter than the client waits for an answer (client_options::response_timeout, 30 s).
  const auto lease = co_await from->post("/v1/queues/shout/leases?wait=20s&encoding=base64", "");
  if (lease.status() != 200) weir::raise(weir::error(weir::errc::refused, lease.body));
  const std::string receipt = member(lease.body, "receipt");
  if (receipt.empty()) co_return;
  // Out of reach of Ctrl-C (a second one kills): a message that was taken and left costs an
  // attempt.
  co_await weir::shield(handle(from, receipt, member(lease.body, "body")));
}

static weir::task<> work(server* from) {
  for (;;) {
    const auto outcome = co_await weir::as_result(work_once(from));
    if (outcome) continue;
    if (outcome.error() != weir::errc::cancelled) {  // else the sleep ends us
      std::fprintf(stderr, "worker: %s\n", shown(weir::describe(outcome.error())).c_str());
    }
    co_await weir::sleep(1_s);  // the server or the queue is away; what was taken comes back
  }
}

static weir::task<> work_all(std::string url) {
  const char* token = std::getenv("WEIR_TOKEN");
  server from{.url = url, .token = token ? "Bearer " + std::string(token) : ""};
  co_await weir::with_scope([&](weir::scope& workers) -> weir::task<> {
    for (int i = 0; i < 8; ++i) workers.spawn(work, &from);
    co_await workers.join();
  });
}

int main(int argc, char** argv) {
  if (argc > 2) {
    std::fprintf(stderr, "usage: worker [URL]\n");
    return 2;
  }
  return weir::run(work_all(argc > 1 ? argv[1] : "http://127.0.0.1:8420"));
}

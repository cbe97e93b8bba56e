// A worker with the library, `worker [URL]`: takes messages of the queue `shout` and acknowledges
// them with their text in capitals. Eight messages at a time, each in a task of its own.
#include <weir/base/text.hpp>
#include <weir/core.hpp>
#include <weir/http/client.hpp>
#include <weir/io/run_program.hpp>
#include <weir/wire/base64.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <string>

using namespace weir::literals;

/// The value of a member whose text has no escapes: ids, receipts, base64.
static std::string member(std::string_view json, std::string name) {
  const std::size_t at = json.find(name = "\"" + name + "\":\"");
  if (at == json.npos) return {};
  json.remove_prefix(at + name.size());
  return std::string(json.substr(0, json.find('"')));
}

/// Takes one message and works on it; waits on the server while there is none.
static weir::task<> work_once(weir::http::client* server, std::string url) {
  const std::string take = url + "/v1/queues/shout/leases?wait=30s&encoding=base64";
  const auto lease = co_await server->send({.method = "POST", .url = take});
  if (lease.status() != 200) weir::raise(weir::error(weir::errc::refused, lease.body));
  const std::string receipt = member(lease.body, "receipt");
  if (receipt.empty()) co_return;
  const std::string body = member(lease.body, "body");
  std::string text = weir::value_or_raise(weir::decode_base64(body, body.size()));
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
  const std::string ack = url + "/v1/leases/" + receipt + "/ack";
  const auto done = co_await server->send({.method = "POST", .url = ack, .body = text});
  std::printf("%s %s\n", done.status() == 204 ? "done" : "lost its lease", text.c_str());
  std::fflush(stdout);
}

static weir::task<> work(weir::http::client* server, std::string url) {
  for (;;) {
    const auto outcome = co_await weir::as_result(work_once(server, url));
    if (outcome) continue;
    std::fprintf(stderr, "worker: %s\n", weir::describe(outcome.error()).c_str());
    co_await weir::sleep(1_s);  // the server or the queue is away; what was taken comes back
  }
}

static weir::task<> work_all(std::string url) {
  weir::http::client server;
  co_await weir::with_scope([&](weir::scope& workers) -> weir::task<> {
    for (int i = 0; i < 8; ++i) workers.spawn(work, &server, url);
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

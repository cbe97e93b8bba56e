// What a large backlog costs `weir serve`: its memory and the time until it listens with none, a
// million and ten million queued messages of 1 KiB, and what it does per second on top of them. The
// backlog is made through the library, since only what follows is measured.
#include <weir/base/assert.hpp>
#include <weir/broker/broker.hpp>
#include <weir/core/run.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/make_driver.hpp>

#include "weir_conversations.hpp"

namespace {

using bench::http::weir_server;

constexpr int connections = 64;

weir::task<> fill(std::string folder, std::int64_t count) {
  constexpr int batch_size = 1'000;
  const auto b = co_await weir::broker::open({.dir = folder});
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(&weir::broker::run, b.get());
    weir::queue_settings settings;
    settings.capacity_messages = UINT64_MAX;
    settings.capacity_bytes = UINT64_MAX;
    co_await b->put_queue("backlog", settings);
    const std::string body(bench::body_bytes, 'x');
    const std::vector<weir::new_message> batch(batch_size, {.body = body});
    for (std::int64_t i = 0; i < count / batch_size; ++i) {
      const auto sent = co_await b->submit_batch("backlog", batch);
      WEIR_ASSERT(sent);
    }
    co_await b->close();
  });
}

/// With so many messages queued: the start, the memory, and the work on top.
void measure_backlog(std::int64_t messages, std::int64_t count) {
  const bench::temp_folder folder("scale");
  const std::string data = folder.path() + "/data";
  const auto io = weir::make_driver();
  if (messages != 0) weir::run_on(*io, fill(data, messages));
  const weir_server weir(data, folder.path() + "/log");
  const std::string parameters = "queued=" + std::to_string(messages);
  const std::uint64_t found = messages == 0 ? 0 : weir.count_of("backlog", "ready");
  constexpr double mib = 1 << 20;
  const auto print = [&](const char* name, double value, const char* unit) {
    bench::print_row((std::string(name) + "/" + parameters).c_str(), value, unit, found);
  };
  print("serve_start", static_cast<double>(weir.ready_ns - weir.begun_ns) / 1e6, "ms");
  print("serve_start_cpu", weir.start_cpu_us / 1e3, "ms");
  print("serve_memory", static_cast<double>(weir.process.status("VmRSS")) / mib, "MiB");
  print("serve_memory_peak", static_cast<double>(weir.process.status("VmHWM")) / mib, "MiB");
  weir.put_queues({"fresh"});
  const std::string lived = messages == 0 ? "fresh" : "backlog";
  print_load("backlog_submit", parameters, count,
             weir.load<bench::http::submitter>(connections, count, {lived}), found);
  print_load("backlog_life", parameters, count / 2,
             weir.load<bench::http::liver>(connections, count / 2, {lived}), found);
}

}  // namespace

int main(int argc, char** argv) {
  const bool small = bench::is_small(argc, argv);
  return bench::run([small] {
    bench::pin_to(bench::client_core);
    for (const std::int64_t messages : {0, 1'000'000, 10'000'000}) {
      measure_backlog(small ? messages / 1'000 : messages, small ? 128 : 60'000);
    }
  });
}

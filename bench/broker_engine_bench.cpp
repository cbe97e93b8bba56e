// What a durable message costs through the whole broker in one process, on a real disk: 64 tasks
// that submit; 64 that submit, take and acknowledge; and the time to open a folder with a million
// queued messages and a fresh snapshot.
#include <weir/broker/broker.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/run.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/make_driver.hpp>

#include "measure.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int tasks = 64;
constexpr std::size_t body_bytes = 1'024;

weir::queue_settings roomy() {
  weir::queue_settings settings;
  settings.capacity_messages = UINT64_MAX;
  settings.capacity_bytes = UINT64_MAX;
  return settings;
}

weir::task<> submit_some(weir::broker* b, int count) {
  const std::string body(body_bytes, 'x');
  for (int i = 0; i < count; ++i) {
    const auto sent = co_await b->submit("submits", {.body = body});
    WEIR_ASSERT(sent);
  }
}

weir::task<> live_some(weir::broker* b, int count) {
  const std::string body(body_bytes, 'x');
  for (int i = 0; i < count; ++i) {
    const auto sent = co_await b->submit("lives", {.body = body});
    WEIR_ASSERT(sent);
    const auto taken = co_await b->lease("lives", 1, weir::duration::seconds(10), std::nullopt);
    WEIR_ASSERT(taken && taken->size() == 1);
    const auto done = co_await b->ack(taken->at(0).receipt, "result", "text/plain");
    WEIR_ASSERT(done);
  }
}

/// Messages per second over all tasks, which the disk decides; processor time of one message, which
/// we do; and how many share a sync.
weir::task<> measure_rate(weir::broker& b, const char* name,
                          weir::task<> (*work)(weir::broker*, int), int count) {
  const std::uint64_t syncs = b.log().stats().syncs;
  const std::int64_t cpu_before = bench::cpu_ns();
  const std::int64_t before = bench::wall_ns();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    for (int i = 0; i < tasks; ++i) s.spawn(work, &b, count);
    co_await s.join();
  });
  const double took = static_cast<double>(bench::wall_ns() - before) / 1e9;
  const int messages = count * tasks;
  const auto checksum = static_cast<std::uint64_t>(messages);
  const auto print = [&](const char* what, double value, const char* unit) {
    bench::print_row((std::string(name) + what + "/tasks=64").c_str(), value, unit, checksum);
  };
  print("", messages / took, "messages/s");
  print("_cpu", static_cast<double>(bench::cpu_ns() - cpu_before) / 1e3 / messages, "us");
  print("_per_sync", messages / static_cast<double>(b.log().stats().syncs - syncs), "messages");
}

template <class Body>
weir::task<> with_broker(const std::string& folder, Body body) {
  const auto b = co_await weir::broker::open({.dir = folder});
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(&weir::broker::run, b.get());
    co_await body(*b);
    co_await b->close();
  });
}

weir::task<> measure_open(const std::string& folder, int count) {
  constexpr int batch_size = 1'000;
  co_await with_broker(folder, [&](weir::broker& b) -> weir::task<> {
    co_await b.put_queue("q", roomy());
    const std::vector<weir::new_message> batch(batch_size, {.body = "a small body"});
    for (int i = 0; i < count / batch_size; ++i) {
      const auto sent = co_await b.submit_batch("q", batch);
      WEIR_ASSERT(sent);
    }
  });
  std::vector<double> took;
  std::vector<double> took_cpu;
  std::uint64_t found = 0;
  for (int i = 0; i < 3; ++i) {
    const std::int64_t cpu_before = bench::cpu_ns();
    const std::int64_t before = bench::wall_ns();
    const auto b = co_await weir::broker::open({.dir = folder});
    took.push_back(static_cast<double>(bench::wall_ns() - before) / 1e6);
    took_cpu.push_back(static_cast<double>(bench::cpu_ns() - cpu_before) / 1e6);
    found = b->queue("q")->ready;
  }
  std::sort(took.begin(), took.end());
  std::sort(took_cpu.begin(), took_cpu.end());
  const std::string parameters = "/messages=" + std::to_string(count);
  bench::print_row(("broker_open" + parameters).c_str(), took[1], "ms", found);
  bench::print_row(("broker_open_cpu" + parameters).c_str(), took_cpu[1], "ms", found);
}

weir::task<> run_all(std::string folder, bool is_small) {
  const int count = is_small ? 2 : 1'000;
  co_await with_broker(folder + "/rates", [&](weir::broker& b) -> weir::task<> {
    co_await b.put_queue("submits", roomy());
    co_await b.put_queue("lives", roomy());
    co_await measure_rate(b, "broker_submit", submit_some, count);
    co_await measure_rate(b, "broker_life", live_some, count);
  });
  co_await measure_open(folder + "/open", is_small ? 2'000 : 1'000'000);
}

}  // namespace

int main(int argc, char** argv) {
  const char* base = std::getenv("TMPDIR");
  std::string folder = std::string(base ? base : "/tmp") + "/weir-broker-bench-XXXXXX";
  WEIR_ASSERT(mkdtemp(folder.data()) != nullptr);
  const auto io = weir::make_driver();
  weir::run_on(*io, run_all(folder, bench::is_small(argc, argv)));
  std::filesystem::remove_all(folder);
  return 0;
}

// Memory that fails under a server: it says that it can't start, or it serves.
#include <weir/serve/service.hpp>

#include <weir/base/log.hpp>
#include <weir/serve/served_test.hpp>
#include <weir/sim/memory_watch.hpp>
#include <weir/sim/virtual_run.hpp>

#include <cstdint>

namespace weir::service_bad_alloc_test {
namespace {

using namespace weir::testing;

/// What a server came to that began with little memory.
struct begun_life {
  bool has_begun = false;
  double rate = 0;
};

task<> begin_without_memory(memory_watch* memory, begun_life* life) {
  server_config config = config_in();
  config.limits.message_bytes_max = 64 << 10;
  config.segment_bytes = 1u << 20;
  co_await with_server(config, {}, [&](api& server, event&) -> task<> {
    life->has_begun = true;
    co_await sleep(1_s);
    memory->heal();  // from here on the test's own calls need some
    co_await server.put("/v1/queues/q");
    co_await sleep(6_s);
    co_await server.send("q", "x");
    co_await sleep(10_s);
    const reply shown = co_await server.get("/v1/queues/q");
    life->rate = shown.json.at("rates").at("submitted").to_number<double>();
  });
}

TEST(ServiceWithoutMemory, shows_rates_whichever_large_request_of_its_start_was_refused) {
  log::set_level(log::level::off);
  int refused = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    virtual_world world;
    memory_watch memory(world);
    memory.fail_large(nth);
    begun_life life;
    const virtual_outcome outcome = run_outcome_in(world, begin_without_memory(&memory, &life));
    if (memory.refused() == 0) break;
    if (!life.has_begun) continue;  // it has said that it can't start
    EXPECT_EQ(outcome.failure, "") << nth;
    EXPECT_GT(life.rate, 0) << nth;
    ++refused;
  }
  log::set_level(log::level::info);
  EXPECT_GT(refused, 0) << "nothing was refused to a server that began";
}

}  // namespace
}  // namespace weir::service_bad_alloc_test

// What the broker's state costs without disk or network: the life of a message (submit, lease,
// acknowledge), and the time to load a snapshot of queued messages.
#include <weir/base/assert.hpp>
#include <weir/base/random.hpp>
#include <weir/broker/broker_snapshot.hpp>
#include <weir/broker/broker_state.hpp>

#include "measure.hpp"

#include <string>
#include <utility>
#include <vector>

namespace {

constexpr weir::hash_key secret{1, 2};
constexpr weir::time_point now(1'700'000'000 * std::int64_t{1'000'000'000});

class driven_broker {
 public:
  template <class Command>
  auto run(const Command& command) {
    batch.clear();
    auto outcome = state.decide(command, now, batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto size = static_cast<std::uint32_t>(batch[i].payload.size());
      if (where.offset + size > (64u << 20)) where = {where.segment + 1, 0, 0};
      where = {where.segment, where.offset + where.size, size};
      WEIR_ASSERT(state.apply(batch[i], where));
    }
    return outcome;
  }

  driven_broker() : state(secret, {}) {
    weir::queue_settings settings;
    settings.capacity_messages = UINT64_MAX;
    settings.capacity_bytes = UINT64_MAX;
    static_cast<void>(run(weir::put_queue{"q", settings}));
  }

  weir::broker_state state;
  weir::record_batch batch;
  weir::location where{1, 0, 0};
};

std::uint64_t live(std::int64_t count) {
  driven_broker broker;
  const std::string body(1'024, 'x');
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    WEIR_ASSERT(broker.run(weir::submit_message{.queue = "q", .body = body}));
    const auto taken = broker.run(weir::lease_messages{.queue = "q"});
    WEIR_ASSERT(broker.run(weir::ack_lease{(*taken)[0].lease, "result", ""}));
    sum += (*taken)[0].lease.sequence;
  }
  return sum;
}

/// With `is_shuffled` the backlog has lived: its slots were used before in another order.
std::string snapshot_of(std::int64_t count, bool is_shuffled) {
  driven_broker broker;
  const std::string body(64, 'x');
  weir::random_source random(1);
  for (std::int64_t i = 0; i < count * (is_shuffled ? 2 : 1); ++i) {
    WEIR_ASSERT(broker.run(weir::submit_message{
        .queue = "q", .body = body, .priority = static_cast<unsigned>(random.below(10))}));
    if (!is_shuffled || i % 2 == 0) continue;
    const auto taken = broker.run(weir::lease_messages{.queue = "q"});
    WEIR_ASSERT(broker.run(weir::ack_lease{(*taken)[0].lease, "result", ""}));
  }
  weir::snapshot_writer writer(broker.state);
  std::string file;
  while (!writer.is_finished()) file += writer.next(1 << 20);
  return file;
}

std::uint64_t load(const std::string& file) {
  weir::broker_state state(secret, {});
  weir::snapshot_loader loader(state);
  constexpr std::size_t piece = 1 << 20;
  for (std::size_t at = 0; at < file.size(); at += piece) {
    WEIR_ASSERT(loader.feed(std::string_view(file).substr(at, piece)));
  }
  WEIR_ASSERT(loader.finish());
  const auto queue = *state.find_queue("q");
  return queue.ready + queue.done;
}

}  // namespace

int main(int argc, char** argv) {
  const bool small = bench::is_small(argc, argv);
  bench::measure("broker/message_life", small ? 1'000 : 500'000, live);
  for (const bool is_shuffled : {false, true}) {
    std::int64_t made_for = 0;
    std::string file;
    bench::measure(is_shuffled ? "broker/snapshot_load/lived" : "broker/snapshot_load/fresh",
                   small ? 1'000 : 1'000'000, [&](std::int64_t count) {
                     // Made once for each count: measure() warms up with a smaller one.
                     if (std::exchange(made_for, count) != count)
                       file = snapshot_of(count, is_shuffled);
                     return load(file);
                   });
  }
}

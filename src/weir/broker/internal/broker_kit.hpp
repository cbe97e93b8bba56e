// For the broker's tests: small limits, so that tests reach them, and a broker around a test.
#pragma once

#include <weir/broker/broker.hpp>
#include <weir/core.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::detail {

inline broker_options small_broker(std::string dir = "/data") {
  broker_options options{.dir = std::move(dir)};
  options.limits.message_bytes_max = 64 << 10;
  options.journal.segment_bytes = 1u << 20;
  options.journal.group_bytes_max = 256 << 10;
  options.journal.pending_bytes_max = 1u << 20;
  return options;
}

/// So small that a few hundred messages begin new segments, snapshots and compaction.
inline broker_options tiny_broker(std::string dir = "/data") {
  broker_options options{.dir = std::move(dir)};
  options.limits.message_bytes_max = 4 << 10;
  options.limits.lease_max = 100;
  options.limits.redrive_max = 100;
  options.journal = {.segment_bytes = 64 << 10,
                     .pending_bytes_max = 64 << 10,
                     .group_bytes_max = 16 << 10,
                     .snapshot_bytes = 64 << 10,
                     .snapshot_slice_bytes = 256,
                     .open_files_max = 2};
  return options;
}

/// Opens a broker, runs `body` on it and closes it in order.
template <class Body>
task<> with_broker(broker_options options, Body body) {
  const auto b = co_await broker::open(std::move(options));
  co_await with_scope({.name = "test"}, [&](scope& s) -> task<> {
    s.spawn(&broker::run, b.get());
    co_await body(*b);
    co_await b->close();
  });
}

inline task<std::string> submit_text(broker& b, std::string_view queue, std::string_view text) {
  const auto outcome = co_await b.submit(queue, {.body = text});
  EXPECT_TRUE(outcome) << outcome.error().detail;
  co_return outcome ? outcome->id : std::string();
}

/// Takes what is there, at most `max`, without waiting.
inline task<std::vector<taken_message>> take(broker& b, std::string_view queue,
                                             std::size_t max = 1) {
  auto taken = co_await b.lease(queue, max, duration(), std::nullopt);
  EXPECT_TRUE(taken) << taken.error().detail;
  co_return taken ? std::move(*taken) : std::vector<taken_message>();
}

}  // namespace weir::detail

// Which endpoint a method and a path name. The hard idea: one table of patterns is the whole map of
// the interface; the labels of metrics, the Allow field and the tests are all read from it.
#pragma once

#include <weir/serve/api_problem.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

/// The endpoints of version 1, in the order of the table.
enum class endpoint : std::uint8_t {
  list_queues,
  get_queue,
  put_queue,
  delete_queue,
  submit,
  submit_batch,
  queue_events,
  lease,
  redrive,
  get_message,
  message_events,
  ack,
  ack_batch,
  nack,
  extend,
  healthz,
  readyz,
  metrics,
};
constexpr std::size_t endpoints = 18;

/// "list_queues": for logs and the labels of metrics.
std::string_view name(endpoint of) noexcept;

/// Where a request goes. `argument` is the queue, message or receipt of the path, still encoded.
struct route {
  endpoint to = endpoint::healthz;
  std::string_view argument;

  bool operator==(const route&) const = default;
};

/// Finds the endpoint; HEAD goes where GET goes. No such path: 404 `no_such_path`; a path that has
/// other methods: 405 `method_not_allowed` with Allow. The route's view is into `path`.
answer<route> find_route(std::string_view method, std::string_view path);

}  // namespace weir

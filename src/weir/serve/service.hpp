// The HTTP interface, version 1: requests in, broker calls, answers out. The hard idea: an endpoint
// is a function from a request to an answer or a problem; who may call, what is counted, and how a
// problem is written is said once, around all of them.
#pragma once

#include <weir/broker/broker.hpp>
#include <weir/http/exchange.hpp>
#include <weir/serve/api_problem.hpp>
#include <weir/serve/query_params.hpp>
#include <weir/serve/routes.hpp>
#include <weir/serve/server_secrets.hpp>
#include <weir/serve/service_counters.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

class address_rules;
namespace http {
class server;
}

struct service_options {
  const server_secrets* secrets = nullptr;      // null: whoever can connect may do everything
  const address_rules* callable = nullptr;      // null: every address
  duration wait_max = duration::seconds(300);   // of ?wait=; longer ones are cut
  std::size_t json_bytes_max = 64u << 20;       // of a batch
  std::size_t small_json_bytes_max = 64 << 10;  // of settings, of a nack, of an extension
  std::uint32_t event_streams_max = 1'000;      // at once; then 503
};

/// What an endpoint answers. `location` of "" sends no Location.
struct api_answer {
  int status = 200;
  std::string body = {};
  std::string_view content_type = "application/json";
  std::string location = {};
};

/// Told when a queue was perhaps created, changed or deleted: whoever pushes must look again.
struct queues_observer {
  virtual ~queues_observer() = default;
  virtual void queue_changed(std::string_view queue) noexcept = 0;
};

/// Answers the requests of version 1 from a broker.
///
/// Cancel:  a request that was cancelled may have been done; its client was not told so.
/// Order:   requests of one connection one after the other, of several in the order of their waits.
/// Bound:   service_options; bodies by broker_limits::message_bytes_max.
/// Errors:  refusals become problems; other errors of the broker become 5xx and are logged.
/// Threads: one loop.
class service {
 public:
  /// `observer` may be null; both outlive the service.
  service(broker& of, service_options options, queues_observer* observer = nullptr);

  /// Answers one request: a http::handler.
  task<> operator()(http::request& request, http::response& response);
  /// Samples the rates of all queues, for ever: spawn it beside the server.
  task<> sample_rates();

  service_counters& counters() noexcept { return counters_; }
  /// The server before this service, for /metrics; it outlives the last request.
  void show(const http::server& front) noexcept { front_ = &front; }
  const char* name() const noexcept { return "service"; }

 private:
  /// A request on its way to an endpoint.
  struct exchange {
    http::request& request;
    http::response& response;
    std::string argument;  // decoded
  };
  using outcome = answer<api_answer>;

  std::optional<api_problem> check_caller(const answer<route>& to,
                                          const http::request& request) const;
  /// Refuses URLs of addresses that may not be called; names are looked at when they are called.
  std::optional<api_problem> check_callable(std::string_view what, std::string_view code,
                                            std::string_view url) const;
  /// Both give the status that was answered.
  task<int> answer_at(route to, http::request& request, http::response& response);
  static task<int> send(http::response& response, outcome what);
  task<outcome> call(endpoint to, exchange& with);

  // service_queues.cpp
  task<outcome> list_queues(exchange& with);
  task<outcome> get_queue(exchange& with);
  task<outcome> put_queue(exchange& with);
  task<outcome> delete_queue(exchange& with);
  task<outcome> redrive(exchange& with);
  // service_messages.cpp
  task<outcome> submit(exchange& with);
  task<outcome> submit_batch(exchange& with);
  task<outcome> get_message(exchange& with);
  // service_leases.cpp
  task<outcome> lease(exchange& with);
  task<outcome> ack(exchange& with);
  task<outcome> ack_batch(exchange& with);
  task<outcome> nack(exchange& with);
  task<outcome> extend(exchange& with);
  // service_events.cpp: streams answer by themselves; a problem comes before they begin.
  task<std::optional<api_problem>> stream_queue(exchange& with);
  task<std::optional<api_problem>> stream_message(exchange& with);
  // service_health.cpp
  outcome healthz() const;
  outcome readyz() const;
  outcome metrics() const;

  broker& broker_;
  service_options options_;
  queues_observer* observer_;
  const http::server* front_ = nullptr;
  service_counters counters_;
  queue_rate_book rates_;
  std::uint32_t event_streams_ = 0;
};

}  // namespace weir

#include <weir/serve/service.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/address_rules.hpp>
#include <weir/io/tls_channel.hpp>
#include <weir/serve/submit_fields.hpp>
#include <weir/wire/percent.hpp>
#include <weir/wire/url.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace weir {

namespace {

/// Counts a request for its life, however it ends: one may be cut off since its client left or no
/// longer waits.
class flight {
 public:
  flight(service_counters& counters, const route* to, const http::response& answer) noexcept
      : counters_(counters), to_(to), answer_(answer), begin_(loop::current()->now()) {
    ++counters_.in_flight;
  }
  flight(const flight&) = delete;
  flight& operator=(const flight&) = delete;
  ~flight() {
    --counters_.in_flight;
    if (!loop::current()) return;  // the end of the program
    const bool is_stream =
        to_ && (to_->to == endpoint::queue_events || to_->to == endpoint::message_events);
    if (status == service_counters::cut_off && is_stream && answer_.is_begun()) status = 200;
    counters_.count(to_, status, loop::current()->now() - begin_);
  }

  int status = service_counters::cut_off;

 private:
  service_counters& counters_;
  const route* to_;
  const http::response& answer_;
  time_point begin_;
};

void set_fields(http::response& response, const api_problem& problem) {
  if (problem.retry_after > duration()) {
    response.header("Retry-After", retry_after_seconds(problem.retry_after));
  }
  if (!problem.allow.empty()) response.header("Allow", problem.allow);
  if (problem.status == 401) response.header("WWW-Authenticate", "Bearer");
}

/// Without tokens a page in a browser is let in wherever its browser is: being on this machine, or
/// a certificate that the browser shows, is all that a caller needs. What a page of another site
/// sends carries an Origin (the Fetch standard, 3.1).
std::optional<api_problem> check_origin(const http::request& request) {
  const auto origin = request.field("Origin");
  if (!origin) return std::nullopt;
  const std::string_view scheme = request.tls() ? "https://" : "http://";
  if (origin->starts_with(scheme) && origin->substr(scheme.size()) == request.host()) {
    return std::nullopt;
  }
  return api_problem{.status = 403,
                     .code = "cross_origin",
                     .detail = "pages of other sites may not call a server without tokens"};
}

/// A page that had its own name resolve to us (DNS rebinding) says that name as Host. One whom we
/// know by a certificate could not: its browser asked for ours.
std::optional<api_problem> check_host(const http::request& request) {
  const std::string_view host = request.host();
  if (host.empty()) return std::nullopt;
  // What we can't read is refused: resolvers and browsers take names that parse_url does not.
  const result<url> named = parse_url("http://" + std::string(host) + "/");
  if (named && (named->kind != host_kind::name || named->host == "localhost")) return std::nullopt;
  return api_problem{.status = 403,
                     .code = "wrong_host",
                     .detail = "a server without tokens is called by address or as localhost"};
}

/// Balancers and scrapers add parameters of their own.
bool is_watching(endpoint to) noexcept {
  return to == endpoint::healthz || to == endpoint::readyz || to == endpoint::metrics;
}

/// What would mean nothing where it stands is refused by name, not dropped: parameters at paths
/// that have none, fields of a message where none is submitted alone, a body where none is read.
std::optional<api_problem> check_extras(endpoint to, const http::request& request) {
  if (is_watching(to)) return std::nullopt;
  const bool is_submit = to == endpoint::submit;
  const bool is_lease = to == endpoint::lease;
  if (!is_submit && !is_lease && to != endpoint::get_message) {
    const answer<query_params> none = query_params::parse(request.query(), {});
    if (!none) return none.error();
  }
  if (!is_submit) {
    if (auto problem = check_no_submit_fields(request.fields())) return problem;
  }
  if (!request.has_body() || (!is_lease && to != endpoint::redrive)) return std::nullopt;
  return api_problem{.status = 400,
                     .code = "unexpected_body",
                     .detail = "this path takes no body; what can be chosen are parameters"};
}

}  // namespace

service::service(broker& of, service_options options, queues_observer* observer)
    : broker_(of), options_(options), observer_(observer) {}

/// Who may go on; a problem for all others, also at paths that are none.
std::optional<api_problem> service::check_caller(const answer<route>& to,
                                                 const http::request& request) const {
  const token_set* tokens = nullptr;
  if (options_.secrets && options_.secrets->tokens()) tokens = &*options_.secrets->tokens();
  if (!tokens) {
    if (auto problem = check_origin(request)) return problem;
    const bool has_certificate = request.tls() && request.tls()->has_peer;
    return has_certificate ? std::nullopt : check_host(request);
  }
  if (to && (to->to == endpoint::healthz || to->to == endpoint::readyz)) return std::nullopt;
  const bool is_open = is_planted("serve: lets everybody in");
  if (is_open || tokens->admits(request.field("Authorization"))) return std::nullopt;
  return api_problem{.status = 401,
                     .code = "unauthorized",
                     .detail = "a token is needed: Authorization: Bearer TOKEN"};
}

std::optional<api_problem> service::check_callable(std::string_view what, std::string_view code,
                                                   std::string_view url) const {
  if (!options_.callable || url.empty()) return std::nullopt;
  const result<weir::url> parsed = parse_url(url);
  if (!parsed || parsed->kind == host_kind::name) return std::nullopt;
  const result<address> at = address::parse(parsed->host, parsed->port);
  const std::string_view rule = at ? options_.callable->denying(*at) : std::string_view();
  if (rule.empty()) return std::nullopt;
  return api_problem{
      .status = 400,
      .code = std::string(code),
      .detail = fmt::format("{} is at an address that this server may not call: it is denied by "
                            "the rule '{}' of its setting calls.deny",
                            what, rule)};
}

task<> service::operator()(http::request& request, http::response& response) {
  const answer<route> to = find_route(request.method(), request.path());
  flight counted(counters_, to ? &*to : nullptr, response);
  if (auto problem = check_caller(to, request)) {
    counted.status = co_await send(response, std::unexpected(std::move(*problem)));
  } else if (!to) {
    counted.status = co_await send(response, std::unexpected(to.error()));
  } else {
    counted.status = co_await answer_at(*to, request, response);
  }
}

task<int> service::answer_at(route to, http::request& request, http::response& response) {
  const result<std::string> argument = percent_decode(to.argument);
  if (!argument) {
    co_return co_await send(response,
                            refused(400, "malformed", std::string(argument.error().message())));
  }
  if (auto problem = check_extras(to.to, request)) {
    co_return co_await send(response, std::unexpected(std::move(*problem)));
  }
  exchange with{request, response, *argument};
  auto called = co_await as_result(call(to.to, with));
  if (!called && called.error() == errc::cancelled) co_await checkpoint();
  if (response.is_begun()) {  // a stream: its client was told all that there was
    static_cast<void>(value_or_raise(std::move(called)));
    co_return 200;
  }
  // A trailer is no part of a message, so no limit of messages explains it.
  if (const http_fault& fault = request.body_fault(); fault.status == 431) {
    co_return co_await send(response, refused(fault.status, fault.code, std::string(fault.detail)));
  }
  if (called) co_return co_await send(response, std::move(*called));
  const api_problem why = problem_of(called.error());
  if (why.status == 500) {
    log::error("a request failed", {{"endpoint", weir::name(to.to)},
                                    {"error", std::string_view(describe(called.error()))}});
  }
  co_return co_await send(response, std::unexpected(why));
}

task<int> service::send(http::response& response, outcome what) {
  if (what) {
    if (!what->location.empty()) response.header("Location", what->location);
    const bool is_empty = what->body.empty();
    co_await response.send(what->status, is_empty ? "" : what->content_type, what->body);
    co_return what->status;
  }
  const api_problem& why = what.error();
  set_fields(response, why);
  co_await response.send_problem(why.status, why.code, why.detail);
  co_return why.status;
}

task<service::outcome> service::call(endpoint to, exchange& with) {
  switch (to) {
    case endpoint::list_queues:
      co_return co_await list_queues(with);
    case endpoint::get_queue:
      co_return co_await get_queue(with);
    case endpoint::put_queue:
      co_return co_await put_queue(with);
    case endpoint::delete_queue:
      co_return co_await delete_queue(with);
    case endpoint::submit:
      co_return co_await submit(with);
    case endpoint::submit_batch:
      co_return co_await submit_batch(with);
    case endpoint::lease:
      co_return co_await lease(with);
    case endpoint::redrive:
      co_return co_await redrive(with);
    case endpoint::get_message:
      co_return co_await get_message(with);
    case endpoint::ack:
      co_return co_await ack(with);
    case endpoint::ack_batch:
      co_return co_await ack_batch(with);
    case endpoint::nack:
      co_return co_await nack(with);
    case endpoint::extend:
      co_return co_await extend(with);
    case endpoint::healthz:
      co_return healthz();
    case endpoint::readyz:
      co_return readyz();
    case endpoint::metrics:
      co_return metrics();
    case endpoint::queue_events:
    case endpoint::message_events: {
      std::optional<api_problem> problem = to == endpoint::queue_events
                                               ? co_await stream_queue(with)
                                               : co_await stream_message(with);
      if (problem) co_return std::unexpected(std::move(*problem));
      co_return api_answer{};
    }
  }
  co_return refused(500, "internal", "an endpoint without a function");
}

task<> service::sample_rates() {
  constexpr std::size_t at_once = 256;  // so that requests go on between many queues
  std::vector<queue_progress> some;
  memory_pause memory("rates of queues");
  for (;;) {
    const time_point begin = loop::current()->now();
    rates_.begin_round();
    time_point next = begin + queue_rate_book::sample_interval;
    try {
      some.resize(at_once);
      for (std::uint32_t from = 0;;) {
        const std::size_t count = broker_.progress(from, some);
        rates_.sample(std::span(some).first(count), loop::current()->now());
        if (count < some.size() || some.back().number == UINT32_MAX) break;
        from = some.back().number + 1;
        co_await yield();
      }
      rates_.end_round();
    } catch (...) {
      memory.found_none();  // the round begins anew
      next = memory.until();
    }
    co_await sleep_until(next);
  }
}

}  // namespace weir

#include <weir/serve/api_problem.hpp>

#include <weir/base/text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

// A full queue drains at the pace of its workers, which we don't know; the other two wait for a
// retention to end.
constexpr duration queue_retry_after = duration::seconds(1);
constexpr duration retention_retry_after = duration::seconds(30);
constexpr duration overload_retry_after = duration::seconds(5);

}  // namespace

std::unexpected<api_problem> refused(int status, std::string_view code, std::string detail) {
  return std::unexpected<api_problem>(
      api_problem{.status = status, .code = std::string(code), .detail = std::move(detail)});
}

api_problem problem_of(const refusal& why) {
  api_problem problem{.status = 500, .code = std::string(name(why.code)), .detail = why.detail};
  switch (why.code) {
    case broker_errc::queue_not_found:
    case broker_errc::message_not_found:
      problem.status = 404;
      break;
    case broker_errc::queue_full:
      problem.status = 429;
      problem.retry_after = queue_retry_after;
      break;
    case broker_errc::unavailable:
      // The broker's own text names files, which are nobody's business on the network.
      problem.detail = "the server is closing, or its journal has failed; its log says why";
      [[fallthrough]];
    case broker_errc::busy:
      problem.status = 503;
      problem.retry_after = queue_retry_after;
      break;
    case broker_errc::no_space:
      problem.status = 507;
      problem.retry_after = retention_retry_after;
      break;
    case broker_errc::too_many_keys:
    case broker_errc::too_many_replies:
      problem.status = 429;
      problem.retry_after = retention_retry_after;
      break;
    case broker_errc::too_many_queues:
    case broker_errc::stale_receipt:
      problem.status = 409;
      break;
    case broker_errc::message_too_large:
    case broker_errc::too_many_messages:
      problem.status = 413;
      break;
    case broker_errc::invalid_name:
    case broker_errc::invalid_setting:
    case broker_errc::invalid_field:
      problem.status = 400;
      break;
  }
  return problem;
}

api_problem problem_of(const error& why) {
  api_problem problem{.status = 500, .code = std::string(name(why.code())), .detail = {}};
  switch (why.code()) {
    case errc::too_large:
      problem.status = 413;
      break;
    case errc::malformed:
      problem.status = 400;
      break;
    case errc::no_space:
      problem.status = 507;
      problem.retry_after = retention_retry_after;
      break;
    // Only bodies of requests are waited for with a time-out, and only clients break off.
    case errc::timed_out:
      problem.status = 408;
      break;
    case errc::end_of_stream:
    case errc::broken:
      problem.status = 400;
      problem.code = "incomplete_body";
      break;
    case errc::cancelled:
    case errc::closed:
      problem.status = 503;
      problem.code = "stopping";
      problem.detail = "the server is stopping";
      problem.retry_after = overload_retry_after;
      return problem;
    case errc::full:
    case errc::busy:
      problem.status = 503;
      problem.retry_after = overload_retry_after;
      break;
    default:
      problem.code = "internal";
      problem.detail = "the server failed to answer; its log says why";
      return problem;
  }
  problem.detail = why.message().empty() ? describe(why) : std::string(why.message());
  return problem;
}

std::string retry_after_seconds(duration wait) {
  constexpr std::int64_t second = 1'000'000'000;
  return fmt::format("{}", std::max<std::int64_t>(1, wait.ns / second + (wait.ns % second > 0)));
}

}  // namespace weir

// What watches the server: health, readiness, metrics.
#include <weir/serve/service.hpp>

#include <weir/http/server.hpp>
#include <weir/serve/version.hpp>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

void append_queues(metrics_text& out, const std::vector<queue_view>& queues, time_point now) {
  out.family("weir_queue_messages", "gauge", "Messages of a queue by state.");
  for (const queue_view& queue : queues) {
    const auto sample = [&](std::string_view state, std::uint64_t count) {
      out.sample({{"queue", queue.name}, {"state", state}}, count);
    };
    sample("ready", queue.ready);
    sample("delayed", queue.delayed);
    sample("leased", queue.leased);
    sample("done", queue.done);
    sample("expired", queue.expired);
    sample("dead", queue.dead);
  }
  out.family("weir_queue_bytes", "gauge", "Bytes of the bodies on their way in a queue.");
  for (const queue_view& queue : queues) out.sample({{"queue", queue.name}}, queue.bytes);
  out.family("weir_queue_oldest_age_seconds", "gauge", "Age of the oldest ready message.");
  for (const queue_view& queue : queues) {
    // The clock may have been set back.
    const duration age = queue.oldest ? std::max(now - *queue.oldest, duration()) : duration();
    out.sample({{"queue", queue.name}}, static_cast<double>(age.ns) * 1e-9);
  }
  const struct {
    std::string_view name;
    std::string_view help;
    std::uint64_t queue_totals::* count;
  } totals[] = {
      {"weir_messages_submitted_total", "Messages accepted.", &queue_totals::submitted},
      {"weir_messages_leased_total", "Messages given out.", &queue_totals::leased},
      {"weir_messages_completed_total", "Messages acknowledged.", &queue_totals::completed},
      {"weir_attempts_failed_total", "Attempts that failed.", &queue_totals::failed},
      {"weir_messages_died_total", "Messages that became dead letters.", &queue_totals::died},
      {"weir_messages_expired_total", "Messages over their time to live.", &queue_totals::expired},
      {"weir_messages_redriven_total", "Dead letters brought back.", &queue_totals::redriven},
      {"weir_replies_delivered_total", "Reply addresses told.", &queue_totals::replies_delivered},
      {"weir_replies_given_up_total", "Reply addresses given up.",
       &queue_totals::replies_given_up}};
  for (const auto& total : totals) {
    out.family(total.name, "counter", total.help);
    for (const queue_view& queue : queues) {
      out.sample({{"queue", queue.name}}, queue.totals.*total.count);
    }
  }
}

void append_front(metrics_text& out, const http::server_stats& front) {
  out.family("weir_http_connections", "gauge", "Connections that are open.")
      .sample({}, std::uint64_t(front.connections_live));
  out.family("weir_http_answers_bytes", "gauge", "Of large answers that are on their way.")
      .sample({}, front.answers_bytes);
  out.family("weir_http_answers_cut_total", "counter",
             "Answers that were read too slowly while others needed their memory.")
      .sample({}, front.answers_cut);
}

}  // namespace

service::outcome service::healthz() const { return api_answer{.body = "{\"status\":\"ok\"}\n"}; }

service::outcome service::readyz() const {
  // A server without work would not notice: who asks wants to know before they send some.
  if (!broker_.check_place()) {
    return refused(503, "not_ready", "the data folder was moved, removed or replaced");
  }
  if (broker_.is_accepting()) return api_answer{.body = "{\"status\":\"ready\"}\n"};
  return refused(503, "not_ready", std::string(broker_.why_not()));
}

service::outcome service::metrics() const {
  metrics_text out;
  out.family("weir_build_info", "gauge", "1, with the version as a label.")
      .sample({{"version", version()}}, std::uint64_t(1));
  out.family("weir_ready", "gauge", "1 when messages are accepted.")
      .sample({}, std::uint64_t(broker_.check_place() && broker_.is_accepting()));
  append_queues(out, broker_.queues(), broker_.wall_now());
  counters_.append_to(out);
  if (front_) append_front(out, front_->stats());
  return api_answer{.body = out.take(), .content_type = metrics_media_type};
}

}  // namespace weir

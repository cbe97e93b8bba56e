// Queues: list, show, create or update, delete, redrive.
#include <weir/serve/service.hpp>

#include <weir/serve/json_settings.hpp>
#include <weir/serve/submit_fields.hpp>

#include <utility>

namespace weir {

namespace {

api_answer queue_answer(int status, const queue_view& queue, const queue_rates& rates,
                        time_point now) {
  json_writer out;
  append_queue(out, queue, rates, now);
  return {.status = status, .body = out.take()};
}

/// Tells the observer however the request ends: one that is cut off may have been done.
class change_notice {
 public:
  change_notice(queues_observer* to, std::string_view queue) noexcept : to_(to), queue_(queue) {}
  change_notice(const change_notice&) = delete;
  change_notice& operator=(const change_notice&) = delete;
  ~change_notice() {
    if (to_) to_->queue_changed(queue_);
  }

 private:
  queues_observer* to_;
  std::string_view queue_;
};

}  // namespace

task<service::outcome> service::list_queues(exchange& with) {
  json_writer out;
  out.begin_object().begin_array("queues");
  for (const queue_view& queue : broker_.queues()) {
    append_queue(out, queue, rates_.of(queue), broker_.wall_now());
  }
  co_return api_answer{.body = out.end_array().end_object().take()};
}

task<service::outcome> service::get_queue(exchange& with) {
  const verdict<queue_view> queue = broker_.queue(with.argument);
  if (!queue) co_return std::unexpected(problem_of(queue.error()));
  co_return queue_answer(200, *queue, rates_.of(*queue), broker_.wall_now());
}

task<service::outcome> service::put_queue(exchange& with) {
  const std::string body = co_await with.request.read_all(options_.small_json_bytes_max);
  // Nothing waits between here and the broker's decision, so no other update gets lost.
  const verdict<queue_view> before = broker_.queue(with.argument);
  answer<queue_settings> settings =
      read_settings(body, before ? before->settings : queue_settings{});
  if (!settings) co_return std::unexpected(std::move(settings.error()));
  if (settings->push) {
    constexpr std::string_view what = "setting 'push.url'";
    auto problem = check_address(what, "invalid_setting", settings->push->url);
    if (!problem) problem = check_callable(what, "invalid_setting", settings->push->url);
    if (problem) co_return std::unexpected(std::move(*problem));
  }
  const change_notice notice(observer_, with.argument);
  const verdict<put_outcome> put = co_await broker_.put_queue(with.argument, *settings);
  if (!put) co_return std::unexpected(problem_of(put.error()));
  const verdict<queue_view> after = broker_.queue(with.argument);
  if (!after) co_return std::unexpected(problem_of(after.error()));  // deleted meanwhile
  co_return queue_answer(*put == put_outcome::created ? 201 : 200, *after, rates_.of(*after),
                         broker_.wall_now());
}

task<service::outcome> service::delete_queue(exchange& with) {
  const change_notice notice(observer_, with.argument);
  const verdict<void> deleted = co_await broker_.delete_queue(with.argument);
  if (!deleted) co_return std::unexpected(problem_of(deleted.error()));
  co_return api_answer{.status = 204};
}

task<service::outcome> service::redrive(exchange& with) {
  const verdict<redrive_view> done = co_await broker_.redrive(with.argument);
  if (!done) co_return std::unexpected(problem_of(done.error()));
  json_writer out;
  out.begin_object().field("moved", done->moved).field("left", done->left);
  out.field("leased", done->leased).field("no_room", done->no_room);
  out.field("no_queue", done->no_queue).field("ended", done->ended);
  co_return api_answer{.body = out.end_object().take()};
}

}  // namespace weir

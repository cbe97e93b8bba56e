// Results on their way to those who asked: replies to call, and events to follow.
#include <weir/broker/internal/broker_core.hpp>

#include <utility>

namespace weir {

namespace detail {

// What is known without the disk; the views of `from` end with the next command.
due_reply broker_core::begin_reply(const pending_reply& from) const {
  return {.sequence = from.sequence,
          .token = from.token,
          .id = ids.id_text(from.sequence),
          .state = from.outcome,
          .error = std::string(from.error)};
}

task<due_reply> broker_core::read_reply(due_reply reply, location source, location result) {
  const stored_record submitted = co_await log->read(source);
  const auto message = decode<submit_record>(submitted.payload);
  if (!message) raise(message.error());
  reply.url = message->reply_to;
  if (result) {
    const stored_record ended = co_await log->read(result);
    const auto end = decode<end_record>(ended.payload);
    if (!end) raise(end.error());
    reply.result = end->result.text;
    reply.content_type = end->content_type;
  }
  co_return reply;
}

}  // namespace detail

task<std::vector<due_reply>> broker::take_replies(std::size_t max) {
  detail::broker_core& core = *core_;
  std::vector<pending_reply> due = core.state->take_replies(core.wall_now(), max);
  while (due.empty()) {
    if (core.is_closing) raise(error(errc::closed, "the broker is closing"));
    co_await core.replies_due.wait();
    due = core.state->take_replies(core.wall_now(), max);
  }
  std::vector<due_reply> replies;
  replies.reserve(due.size());
  for (const pending_reply& one : due) replies.push_back(core.begin_reply(one));
  co_await core.log->wait_durable(core.lsn_last);
  for (std::size_t i = 0; i < due.size(); ++i) {
    replies[i] = co_await core.read_reply(std::move(replies[i]), due[i].source, due[i].result);
  }
  co_return replies;
}

task<> broker::settle_reply(const due_reply& reply, reply_outcome outcome, duration retry_after) {
  std::uint64_t lsn = 0;
  const auto settled = co_await core_->perform(weir::settle_reply{.sequence = reply.sequence,
                                                                  .token = reply.token,
                                                                  .outcome = outcome,
                                                                  .retry_after = retry_after},
                                               append_class::completion, lsn);
  // Refused: the message has gone meanwhile, and its reply with it.
  if (settled) co_await core_->log->wait_durable(lsn);
}

verdict<std::unique_ptr<subscription>> broker::subscribe_queue(std::string_view queue) {
  if (!core_->state->find_queue(queue)) return detail::unknown_queue(queue);
  return core_->subscribe(std::string(queue), 0);
}

verdict<std::unique_ptr<subscription>> broker::subscribe_message(std::string_view id) {
  const auto sequence = core_->ids.parse_id(id);
  if (!sequence || !core_->state->find_message(*sequence, core_->wall_now())) {
    return detail::unknown_message();
  }
  return core_->subscribe({}, *sequence);
}

namespace detail {

verdict<std::unique_ptr<subscription>> broker_core::subscribe(std::string queue,
                                                              std::uint64_t sequence) {
  std::size_t count = 0;
  for (const subscription& one : subscriptions) count += one.is_linked() ? 1 : 0;
  if (count >= options.subscriptions_max) {
    return refuse(broker_errc::busy,
                  std::to_string(count) + " subscribers listen already (subscriptions_max)");
  }
  auto made = std::make_unique<subscription>(std::move(queue), sequence);
  subscriptions.push_back(*made);
  return made;
}

}  // namespace detail
}  // namespace weir

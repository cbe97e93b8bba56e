// Results on their way to those who asked: replies to call, and events to follow.
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/broker/internal/broker_core.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>

#include <algorithm>
#include <memory>
#include <optional>
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

// Compaction may move a record while we wait for the disk: the state then knows the new place.
task<stored_record> broker_core::read_for_reply(const due_reply& reply,
                                                location pending_reply::* which) {
  location where;
  for (;;) {
    const auto known = state->find_reply(reply.sequence);
    if (!known || known->token != reply.token) {
      raise(error(errc::not_found, "the reply has gone meanwhile"));
    }
    const location now = (*known).*which;
    if (now == where) raise(error(errc::corrupt, "a record of the reply can't be read"));
    where = now;
    auto record = co_await as_result(log->read(where));
    if (record) co_return std::move(*record);
    if (record.error() == errc::cancelled) co_await checkpoint();
    log::warn("a record of a reply could not be read",
              {{"id", reply.id}, {"reason", describe(record.error())}});
  }
}

task<std::shared_ptr<const void>> broker_core::room_for_reply(std::uint64_t sequence, bool waits) {
  struct held_room {
    std::shared_ptr<semaphore> of;
    semaphore::permit permit;
  };
  const std::shared_ptr<semaphore> of = replies_room;
  const auto known = state->find_reply(sequence);
  const std::size_t wanted =
      std::min(units(known ? known->result.size : 0), units(options.replies_bytes_max));
  std::optional<semaphore::permit> permit = of->try_acquire(wanted);
  if (!permit && !waits) co_return nullptr;
  if (!permit) permit.emplace(co_await of->acquire(wanted));
  co_return std::make_shared<held_room>(of, std::move(*permit));
}

task<due_reply> broker_core::read_reply(due_reply reply) {
  const pending_reply known = state->find_reply(reply.sequence).value_or(pending_reply());
  const bool has_result = bool(known.result);
  const auto room =
      co_await room_to_read(std::uint64_t{known.source.size} + std::uint64_t{known.result.size});
  const stored_record submitted = co_await read_for_reply(reply, &pending_reply::source);
  const auto message = decode<submit_record>(submitted.payload);
  if (!message) raise(message.error());
  reply.url = message->reply_to;
  if (has_result) {
    const stored_record ended = co_await read_for_reply(reply, &pending_reply::result);
    const auto end = decode<end_record>(ended.payload);
    if (!end) raise(end.error());
    reply.result = end->result.text;
    reply.content_type = end->content_type;
  }
  co_return reply;
}

}  // namespace detail

namespace {

/// Replies on their way to the caller: they are due again when it does not get them.
class taken_replies {
 public:
  explicit taken_replies(detail::broker_core& core) noexcept : core_(core) {}
  taken_replies(const taken_replies&) = delete;
  taken_replies& operator=(const taken_replies&) = delete;
  ~taken_replies() {
    for (const due_reply& one : all) core_.state->give_back_reply(one.sequence, one.token);
    if (!all.empty()) core_.nudge();
  }
  std::vector<due_reply> all;

 private:
  detail::broker_core& core_;
};

}  // namespace

task<std::optional<due_reply>> broker::read_or_put_off(const due_reply& one) {
  auto read = co_await as_result(core_->read_reply(one));
  if (read) co_return std::move(*read);
  if (read.error() == errc::cancelled) co_await checkpoint();
  // The disk may be better soon: as with a receiver that is too busy, this is no attempt as long
  // as the result is kept.
  log::error("a reply can't be read, and is tried again later",
             {{"id", one.id}, {"reason", describe(read.error())}});
  co_await settle_reply(one, reply_outcome::busy, duration());
  co_return std::nullopt;
}

task<std::optional<due_reply>> broker::read_reply(std::uint64_t sequence, std::uint32_t token) {
  const auto is_there = [this, sequence, token] {
    const auto known = core_->state->find_reply(sequence);
    return known && known->token == token;
  };
  if (!is_there()) co_return std::nullopt;
  const auto room = co_await core_->room_for_reply(sequence, true);
  if (!is_there()) co_return std::nullopt;
  due_reply one = core_->begin_reply(*core_->state->find_reply(sequence));
  one.room = room;
  co_return co_await read_or_put_off(one);
}

bool broker::has_due_replies() const noexcept {
  return core_->state->next_reply_due() <= core_->wall_now();
}

task<std::vector<due_reply>> broker::take_replies(std::size_t max) {
  detail::broker_core& core = *core_;
  taken_replies taken(core);
  std::vector<due_reply> replies;
  while (replies.empty()) {
    for (;;) {
      if (core.is_closing || !core.failure.empty()) raise(error(errc::closed, why_not()));
      for (const pending_reply& one : core.state->take_replies(core.wall_now(), max)) {
        taken.all.push_back(core.begin_reply(one));
      }
      if (!taken.all.empty()) break;
      co_await core.replies_due.wait();
    }
    co_await core.log->wait_durable(core.lsn_last);
    std::size_t done = 0;
    for (; done < taken.all.size(); ++done) {
      due_reply& one = taken.all[done];
      one.room = co_await core.room_for_reply(one.sequence, replies.empty());
      if (!one.room) break;
      if (auto read = co_await read_or_put_off(one)) replies.push_back(std::move(*read));
      one.room.reset();
    }
    // Those for which there was no room are due again.
    taken.all.erase(taken.all.begin(), taken.all.begin() + static_cast<std::ptrdiff_t>(done));
  }
  co_return replies;
}

task<> broker::settle_reply(const due_reply& reply, reply_outcome outcome, duration retry_after) {
  constexpr duration unsettled_pause = duration::seconds(30);
  std::uint64_t lsn = 0;
  const auto settled = co_await core_->perform(weir::settle_reply{.sequence = reply.sequence,
                                                                  .token = reply.token,
                                                                  .outcome = outcome,
                                                                  .retry_after = retry_after},
                                               append_class::completion, lsn);
  if (settled) {
    co_await core_->log->wait_durable(lsn);
  } else if (settled.error() != broker_errc::message_not_found) {
    // The journal can't take the outcome now: the address is called again later.
    core_->state->put_off_reply(reply.sequence, reply.token, core_->wall_now() + unsettled_pause);
    core_->nudge();
  }  // Else the message has gone meanwhile, and its reply with it.
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

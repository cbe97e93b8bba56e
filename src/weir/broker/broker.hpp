// The broker: the queues of one data folder, as calls that end when what they say is durable. The
// hard idea: there is no await between deciding, appending and applying, so the pure state machine
// sees one command after the other, while the waits for the disk of all callers share one sync.
//
//   call -> decide -> journal.try_append -> apply -> wait until durable -> answer
//                                             |
//              keeper (run): ticks, wake-ups of waiting callers, events, snapshots, compaction
//
// Invariants: (1) an answer goes out only after its records are durable;
//             (2) whoever waits for a message, for room or for an end is woken when it comes, once
//                 it is durable, or passes the wake-up on when it leaves.
#pragma once

#include <weir/broker/broker_state.hpp>
#include <weir/broker/broker_view.hpp>
#include <weir/broker/message_id.hpp>
#include <weir/broker/subscription.hpp>
#include <weir/core/task.hpp>
#include <weir/store/journal.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

struct broker_options {
  std::string dir;
  broker_limits limits = {};
  journal_options journal = {.pending_bytes_max = std::size_t{64} << 20,
                             .group_bytes_max = std::size_t{16} << 20};
  std::size_t waiters_max = 20'000;  // calls that wait for messages, room or ends, together
  std::size_t subscriptions_max = 1'000;
  /// Of bodies and results that calls read from the disk, together; a single one may be larger.
  std::size_t reading_bytes_max = std::size_t{256} << 20;
  /// Of results that take_replies() gave, as long as each is kept; a single one may be larger.
  std::size_t replies_bytes_max = std::size_t{128} << 20;
};

namespace detail {
struct broker_core;
}

/// The queues of one data folder.
///
/// Cancel:  a cancelled submit, ack or setting has happened or not, as after a lost answer; of an
///          ack_batch or a redrive, a part. What a cancelled lease or take_replies took is there
///          for others at once.
/// Order:   commands take effect in the order of the calls; waiting callers are served in turn.
/// Bound:   broker_limits, waiters_max, subscriptions_max, reading_bytes_max, replies_bytes_max,
///          the journal's limits.
/// Errors:  refusals as values, none of which changed anything; a failed journal raises `io` or
///          `closed` from every call that needs it.
/// Threads: one loop.
class broker {
 public:
  /// Opens the folder, or makes it, and recovers. Raises `busy` when another process has it, and
  /// `corrupt` when acknowledged data is damaged (see journal_options::accept_loss).
  static task<std::unique_ptr<broker>> open(broker_options options);
  broker(const broker&) = delete;
  broker& operator=(const broker&) = delete;
  ~broker();

  /// Does everything that nobody calls for: writes, ticks, wakes, snapshots. Spawn it once; it ends
  /// after close(), and raises what failed the journal.
  task<> run();
  /// Refuses commands from now on, ends all waits, and ends when all that was accepted is durable
  /// and run() has ended. When much would have to be replayed, a snapshot is written before, for a
  /// few seconds at most.
  task<> close();

  task<verdict<put_outcome>> put_queue(std::string_view name, const queue_settings& settings);
  task<verdict<void>> delete_queue(std::string_view name);
  verdict<queue_view> queue(std::string_view name) const;
  bool has_queue(std::string_view name) const;
  /// All queues, by name.
  std::vector<queue_view> queues() const;
  /// What queues have done, by rising number from `from` on, as many as fit; gives how many. Cheap,
  /// and in parts: for walks over all queues that others shouldn't wait for.
  std::size_t progress(std::uint32_t from, std::span<queue_progress> into) const noexcept;

  /// Waits up to `wait_for_room` while the queue is full. Nobody overtakes those who wait: a call
  /// that would not wait is refused as long as others do.
  task<verdict<accepted_message>> submit(std::string_view queue, new_message message,
                                         duration wait_for_room = {});
  /// One verdict a message; refused as a whole when the batch is empty or too long.
  task<verdict<std::vector<verdict<accepted_message>>>> submit_batch(
      std::string_view queue, std::span<const new_message> messages);

  task<verdict<message_view>> message(std::string_view id);
  /// The message once it has ended (done, expired, dead), or as it is after `at_most`. One that is
  /// not kept at all is given to those who wait for it, too.
  task<verdict<message_view>> wait_ended(std::string_view id, duration at_most);

  /// Takes up to `max` messages; while there is none, waits up to `wait`. Empty after that, and at
  /// once for a call that would not wait while others do.
  task<verdict<std::vector<taken_message>>> lease(std::string_view queue, std::size_t max,
                                                  duration wait,
                                                  std::optional<duration> lease_time);
  task<verdict<void>> ack(std::string_view receipt, std::string_view result,
                          std::string_view content_type);
  /// One verdict an acknowledgement, all after one wait for the disk.
  task<std::vector<verdict<void>>> ack_batch(std::span<const lease_result> acks);
  task<verdict<nacked>> nack(std::string_view receipt, std::optional<duration> delay,
                             std::string_view error, attempt_use use = attempt_use::counts);
  /// A dead letter at once.
  task<verdict<void>> reject(std::string_view receipt, std::string_view error);
  /// Gives the new deadline.
  task<verdict<time_point>> extend(std::string_view receipt, std::optional<duration> lease_time);
  /// Moves dead letters back, delayed ones too; those on lease stay.
  task<verdict<redrive_view>> redrive(std::string_view queue);

  /// Waits for replies that are due and for room for the first; gives fewer when there is no room
  /// for more. Each is given once, until it is settled or the broker opened anew.
  task<std::vector<due_reply>> take_replies(std::size_t max);
  /// A reply that take_replies() gave and whose body was dropped: once more, when there is room.
  /// Nothing when it has gone, or can't be read now and is put off.
  task<std::optional<due_reply>> read_reply(std::uint64_t sequence, std::uint32_t token);
  /// take_replies() would not wait for one to be due.
  bool has_due_replies() const noexcept;
  task<> settle_reply(const due_reply& reply, reply_outcome outcome, duration retry_after);

  /// Events of a queue, or of one message, from now on.
  verdict<std::unique_ptr<subscription>> subscribe_queue(std::string_view queue);
  verdict<std::unique_ptr<subscription>> subscribe_message(std::string_view id);

  /// False when intake is refused: the journal failed, or it is closing; also on a full disk, where
  /// what fits into the journal's last segment is still taken.
  bool is_accepting() const;
  /// The reason; empty while it accepts.
  std::string why_not() const;
  /// Looks whether the journal's folder is still in its place. When not, the journal fails, and
  /// with it run(), as it would at the next write.
  bool check_place();
  /// Wall time, as the broker sees it.
  time_point wall_now() const;
  const journal& log() const noexcept;
  std::size_t memory_bytes() const noexcept;
  const broker_limits& limits() const noexcept;

 private:
  explicit broker(std::unique_ptr<detail::broker_core> core) noexcept;
  task<std::optional<due_reply>> read_or_put_off(const due_reply& one);
  std::unique_ptr<detail::broker_core> core_;
};

}  // namespace weir

// What the broker's calls share: the state machine, the journal under it, and who waits for what.
#pragma once

#include <weir/base/hash.hpp>
#include <weir/broker/broker.hpp>
#include <weir/broker/broker_snapshot.hpp>
#include <weir/broker/waiting_line.hpp>
#include <weir/core/sleep.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/semaphore.hpp>
#include <weir/io/file.hpp>
#include <weir/store/journal_client.hpp>

#include <algorithm>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace weir::detail {

/// Who waits at a queue. Kept while somebody does, even if the queue is deleted meanwhile.
struct queue_lines {
  waiting_line leases;
  waiting_line room;
  bool is_fresh = false;          // messages became ready, and not all waiters were told yet
  std::uint64_t fresh_first = 0;  // the first of them can be taken once this is durable
  std::uint64_t fresh_last = 0;   // the last of them
};

/// Who waits for the end of a message.
struct end_waiters {
  condition ended;
  std::size_t count = 0;
  std::shared_ptr<const message_view> last = {};  // when it was forgotten at its end
  std::uint64_t last_lsn = 0;                     // it is told once this is durable
};

struct waiting_event {
  std::uint64_t lsn;
  std::string queue;
  std::uint64_t sequence;
  broker_event what;
};

struct broker_core final : journal_client, state_observer {
  explicit broker_core(broker_options given, hash_key secret, file lock);

  // Commands, without a wait: decide and commit are one step.
  time_point wall_now() const noexcept { return on->io().wall_now(); }
  /// Appends `batch` and applies it. `full` and `no_space` leave everything as it was.
  /// What is raised before the batch was written has changed nothing; after it, the broker has
  /// failed.
  result<std::uint64_t> commit(append_class who);
  /// What `batch` takes in the journal, as its limits count it.
  std::size_t batch_bytes() const noexcept { return batch.payload_bytes() + 8 * batch.size(); }
  void make_room_for_batch();
  void apply_batch();
  /// One slice of what time and the disk have brought, so that the next command sees it.
  result<bool> tick_once();
  void catch_up();
  /// Decides and commits; waits while the journal is full. Gives the outcome, and in `lsn` what to
  /// wait for.
  template <class Command>
  auto perform(const Command& command, append_class who, std::uint64_t& lsn)
      -> task<decltype(std::declval<broker_state>().decide(command, {},
                                                           std::declval<record_batch&>()))>;
  queue_lines& lines_of(std::string_view queue);
  queue_lines& make_lines(std::string_view queue);
  void make_all_lines();
  void sweep_lines();
  void wake_room_made_by(broker_record record);
  /// Another call may wait: false when waiters_max do.
  bool may_wait() const noexcept { return waiters < options.waiters_max; }
  /// True when `command` is refused for what it is, whoever waits: no reason to queue up.
  template <class Command>
  bool is_hopeless(const Command& command);
  /// Why records of so many bytes are not taken at once, and what to do.
  std::string too_large_text(std::size_t size) const;
  void begin_close() noexcept;
  void wake_everybody() noexcept;

  // The keeper's parts.
  task<> tick_on_time();
  task<bool> tick_and_wait();
  task<> follow_durability();
  task<> finish_journal();
  void nudge() noexcept {
    is_nudged = true;
    nudged.notify_all();
  }
  void tell_what_is_durable();
  void wake_fresh();

  /// Waits until `bytes` may be read: the permit is held until they are the caller's.
  auto room_to_read(std::uint64_t bytes) noexcept {
    return reading.acquire(
        std::clamp<std::uint64_t>(bytes / reading_unit, 1, reading_units(options)));
  }
  static constexpr std::size_t reading_unit = 1024;
  static std::size_t units(std::uint64_t bytes) noexcept {
    return std::max<std::size_t>(bytes / reading_unit, 1);
  }
  static std::size_t reading_units(const broker_options& from) noexcept {
    return std::max<std::size_t>(from.reading_bytes_max / reading_unit, 1);
  }
  task<verdict<message_view>> view_of(std::uint64_t sequence);
  /// All but the result.
  message_view view_from(const message_info& known) const;
  /// The submit or end record of a message, whose place may change while it is read; nothing when
  /// the message has gone, or gone on, meanwhile.
  task<std::optional<stored_record>> read_where(std::uint64_t sequence, location where,
                                                record_kind kind);
  task<std::vector<taken_message>> deliver(std::string queue,
                                           const std::vector<leased_message>& taken,
                                           std::uint64_t lsn);
  /// True: the journal is full, and the rest is owed.
  bool give_back(std::span<const leased_message> taken) noexcept;
  /// False: the journal has no room for what `batch` holds.
  bool give_back_owed();
  void bury(const leased_message& one, const error& why);
  due_reply begin_reply(const pending_reply& from) const;
  task<stored_record> read_for_reply(const due_reply& reply, location pending_reply::* which);
  task<due_reply> read_reply(due_reply reply);
  /// Room for a reply's result, which lasts as long as what it gives; null when there is none now
  /// and `waits` is false.
  task<std::shared_ptr<const void>> room_for_reply(std::uint64_t sequence, bool waits);
  verdict<std::unique_ptr<subscription>> subscribe(std::string queue, std::uint64_t sequence);

  // journal_client
  void reset() override;
  result<> load(std::string_view slice) override;
  result<> apply(const record_view& what, location where, std::uint64_t lsn) override;
  void begin_snapshot() override;
  bool next_slice(std::string& into, std::size_t budget) override;
  std::uint64_t live_bytes(std::uint32_t segment) const override;
  std::vector<std::uint32_t> live_segments() const override;
  result<> relocate(const record_view& what, location where) override;
  result<> finish_loading();

  // state_observer
  void message_changed(const message_change& change) override;
  void queue_deleted(std::string_view queue) override;
  /// A message that is forgotten right after this: for those who wait for its end, or follow it.
  std::shared_ptr<const message_view> last_view(const message_change& change, bool is_awaited);
  void wake_at_end(const message_change& change);
  void note_event(const message_change& change);
  void make_event(const message_change& change);

  loop* on;
  broker_options options;
  hash_key secret;
  id_codec ids;
  file lock;  // held: no other process makes or reads the secret meanwhile
  std::unique_ptr<broker_state> state;
  std::unique_ptr<journal> log;
  std::unique_ptr<snapshot_loader> loader;
  std::unique_ptr<snapshot_writer> writer;
  record_batch batch;
  std::vector<record_view> records;
  std::vector<location> places;
  std::uint64_t lsn_last = 0;  // of the last record appended
  record_kind applying = {};   // no kind: time alone changes something

  std::unordered_map<std::string, queue_lines, keyed_hash, std::equal_to<>> lines;
  std::size_t lines_sweep_at = 64;  // then those of queues that are gone are taken out
  std::vector<queue_lines*> fresh;
  std::unordered_map<std::uint64_t, end_waiters, mixing_hash> ends;
  std::size_t waiters = 0;
  semaphore reading;
  std::shared_ptr<semaphore> replies_room;  // shared with the replies, which may outlive the broker
  intrusive_list<subscription> subscriptions;
  std::deque<waiting_event> events;  // bounded by what the journal lets be pending

  std::vector<leased_message> owed;  // to be given back, when there is memory and room
  bool is_nudged = false;
  condition nudged;
  condition appended;
  condition replies_due;
  bool is_running = false;
  bool is_closing = false;
  event is_over;  // run() has ended
  std::uint64_t appended_at_snapshot = 0;
  std::string failure;  // why the journal failed, or the state behind it
  static constexpr std::string_view lost_effect =
      "a record was written and there was no memory for what it does: the next start does it";
};

/// True when a command has only cleared the way, and looks again: what it wants may be behind.
inline bool goes_on_behind(const verdict<std::vector<leased_message>>& taken) noexcept {
  return taken && taken->empty();
}
template <class Outcome>
bool goes_on_behind(const Outcome&) noexcept {
  return false;
}

template <class Command>
auto broker_core::perform(const Command& command, append_class who, std::uint64_t& lsn)
    -> task<decltype(std::declval<broker_state>().decide(command, {},
                                                         std::declval<record_batch&>()))> {
  for (;;) {
    if (!failure.empty()) co_return refuse(broker_errc::unavailable, failure);
    if (is_closing) co_return refuse(broker_errc::unavailable, "the broker is closing");
    catch_up();
    batch.clear();
    auto outcome = state->decide(command, wall_now(), batch);
    if (!outcome) co_return outcome;
    if (batch.empty()) {
      lsn = lsn_last;  // nothing new; what it refers to may still be on its way to the disk
      co_return outcome;
    }
    const std::size_t size = batch_bytes();
    const auto done = commit(who);
    if (done) {
      lsn = *done;
      if (!goes_on_behind(outcome)) co_return outcome;
      co_await yield();
      continue;
    }
    switch (done.error().code()) {
      case errc::full:
        co_await log->wait_room(size, who);
        break;
      case errc::no_space:
        co_return refuse(broker_errc::no_space,
                         "the disk is full, and what room the journal has is too small for this; "
                         "it is taken in when there is more");
      case errc::busy:
        co_return refuse(broker_errc::busy,
                         "the journal can't grow now; the server's log says why");
      case errc::too_large:
        co_return refuse(broker_errc::message_too_large, too_large_text(size));
      default:
        co_return refuse(broker_errc::unavailable,
                         failure.empty() ? "the journal is closed" : failure);
    }
  }
}

template <class Command>
bool broker_core::is_hopeless(const Command& command) {
  batch.clear();
  const auto outcome = state->decide(command, wall_now(), batch);
  return !outcome && outcome.error() != broker_errc::queue_full;
}

/// The error that began a failure of several tasks.
error first_error(const std::exception_ptr& failure);

std::unexpected<refusal> unknown_queue(std::string_view name);
std::unexpected<refusal> unknown_message();
std::unexpected<refusal> unknown_receipt();
std::unexpected<refusal> too_many_waiters(std::size_t limit);

/// Counts a call that waits, as long as it does.
class waiter_count {
 public:
  explicit waiter_count(broker_core& core) noexcept : core_(core) { ++core_.waiters; }
  waiter_count(const waiter_count&) = delete;
  waiter_count& operator=(const waiter_count&) = delete;
  ~waiter_count() { --core_.waiters; }

 private:
  broker_core& core_;
};

}  // namespace weir::detail

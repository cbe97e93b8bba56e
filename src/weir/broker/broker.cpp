#include <weir/broker/broker.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/left_behind.hpp>
#include <weir/base/log.hpp>
#include <weir/base/program_here.hpp>
#include <weir/base/text.hpp>
#include <weir/broker/detail/unanswered.hpp>
#include <weir/broker/folder_secret.hpp>
#include <weir/broker/internal/broker_core.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/patient_lock.hpp>

#include <cerrno>
#include <exception>
#include <new>
#include <utility>

namespace weir {

namespace {

void check_options(const broker_options& options) {
  constexpr std::size_t around_a_message = 8u << 10;  // its other fields; a slice of ticks
  if (options.journal.group_bytes_max < options.limits.message_bytes_max + around_a_message) {
    raise(error(errc::invalid_argument,
                "journal.group_bytes_max must be at least 8 KiB more than message_bytes_max"));
  }
}

}  // namespace

broker::broker(std::unique_ptr<detail::broker_core> core) noexcept : core_(std::move(core)) {}

broker::~broker() {
  if (!detail::tell_left_behind) return;
  const detail::world_runs telling;  // it needs memory, whatever the program has
  if (const std::string left = detail::unanswered_text(*this); !left.empty())
    detail::tell_left_behind(left);
}

task<std::unique_ptr<broker>> broker::open(broker_options options) {
  check_options(options);
  const std::string folder = options.dir;
  if (const auto status = path_status(folder); status && !status->is_directory) {
    raise(error(errc::invalid_argument, "the data folder '" + folder + "' is no folder"));
  }
  const auto made = co_await as_result(make_dir(folder, 0700));
  if (!made && made.error() == errc::cancelled) co_await checkpoint();  // ends here
  if (!made && made.error() != errc::already_exists) raise(made.error());
  file lock = co_await open_file(folder + "/secret",
                                 {.read = true, .write = true, .create = true, .mode = 0600});
  if (!co_await lock_within(lock_patience, lock)) {
    raise(error(errc::busy, "the data folder '" + folder +
                                "' is in use by another process: end it, " +
                                "or use another folder"));
  }
  const hash_key secret = co_await read_secret(folder, lock);
  auto core = std::make_unique<detail::broker_core>(std::move(options), secret, std::move(lock));
  core->log = co_await journal::open(folder, core->options.journal, *core);
  if (auto loaded = core->finish_loading(); !loaded) raise(loaded.error());
  core->lsn_last = core->log->lsn_durable();  // also of what only the snapshot holds
  core->make_all_lines();
  core->state->set_observer(core.get());
  const journal_recovery& found = core->log->recovery();
  log::info("the broker has recovered", {{"folder", folder},
                                         {"snapshot_lsn", found.snapshot_lsn},
                                         {"records_replayed", found.records_replayed},
                                         {"torn_bytes", found.torn_bytes},
                                         {"losses", found.losses},
                                         {"records_lost", found.records_lost}});
  for (const std::string& name : core->state->lost_queues()) {
    log::warn("the record that made a queue is lost: its messages are in one that takes its place",
              {{"queue", name}});
  }
  co_return std::unique_ptr<broker>(new broker(std::move(core)));
}

namespace {

// A cancelled run() must still write what was accepted: cancellation only begins the closing.
task<> close_when_cancelled(detail::broker_core* core, event* is_over) {
  if (const auto waited = co_await as_result(is_over->wait()); !waited) core->begin_close();
}

task<> keep(detail::broker_core* core) {
  co_await with_scope({.name = "broker", .shield = true}, [&](scope& inside) -> task<> {
    inside.spawn(&journal::run, core->log.get());
    inside.spawn(&detail::broker_core::tick_on_time, core);
    co_await core->follow_durability();
    co_await core->finish_journal();
  });
}

}  // namespace

namespace {

error reason_of(const std::exception_ptr& failure) {
  try {
    return detail::first_error(failure);
  } catch (const std::bad_alloc&) {
    return error::from_os(ENOMEM, "keep the broker");
  }
}

}  // namespace

task<> broker::run() {
  WEIR_ASSERT(!core_->is_running);
  core_->is_running = true;
  result<> outcome;
  event is_kept;
  co_await with_scope({.name = "broker keeper"}, [&](scope& around) -> task<> {
    around.spawn(close_when_cancelled, core_.get(), &is_kept);
    try {
      co_await keep(core_.get());
    } catch (const error_group& group) {
      outcome = fail(reason_of(group.first()));
    }
    is_kept.set();
    // Not after the scope: a cancelled task ends there, and somebody may wait in close().
    if (!outcome) {
      if (core_->failure.empty()) core_->failure = describe(outcome.error());
      core_->wake_everybody();
    }
    core_->is_running = false;
    core_->is_over.set();
  });
  if (!outcome) raise(outcome.error());
}

task<> broker::close() {
  core_->begin_close();
  if (core_->is_running) {
    co_await core_->is_over.wait();
  } else {
    core_->log->close();
  }
  if (core_->log->lsn_durable() >= core_->lsn_last) co_return;
  raise(error(errc::closed, core_->failure.empty() ? "nobody has run the broker" : core_->failure));
}

task<verdict<put_outcome>> broker::put_queue(std::string_view name,
                                             const queue_settings& settings) {
  std::uint64_t lsn = 0;
  auto outcome = co_await core_->perform(weir::put_queue{.name = name, .settings = settings},
                                         append_class::intake, lsn);
  if (outcome) co_await core_->log->wait_durable(lsn);
  co_return outcome;
}

task<verdict<void>> broker::delete_queue(std::string_view name) {
  std::uint64_t lsn = 0;
  auto outcome =
      co_await core_->perform(weir::delete_queue{.name = name}, append_class::completion, lsn);
  if (outcome) co_await core_->log->wait_durable(lsn);
  co_return outcome;
}

namespace {

queue_view view_of(const queue_info& info) {
  return {.number = info.number,
          .name = std::string(info.name),
          .settings = *info.settings,
          .created = info.created,
          .ready = info.ready,
          .delayed = info.delayed,
          .leased = info.leased,
          .done = info.done,
          .expired = info.expired,
          .dead = info.dead,
          .bytes = info.bytes,
          .oldest = info.oldest,
          .totals = info.totals};
}

}  // namespace

verdict<queue_view> broker::queue(std::string_view name) const {
  const auto found = core_->state->find_queue(name);
  if (!found) return detail::unknown_queue(name);
  return view_of(*found);
}

bool broker::has_queue(std::string_view name) const { return core_->state->has_queue(name); }

std::vector<queue_view> broker::queues() const {
  std::vector<queue_view> list;
  for (const queue_info& one : core_->state->queues({}, SIZE_MAX)) list.push_back(view_of(one));
  return list;
}

std::size_t broker::progress(std::uint32_t from, std::span<queue_progress> into) const noexcept {
  return core_->state->progress(from, into);
}

bool broker::is_accepting() const { return why_not().empty(); }

std::string broker::why_not() const {
  if (!core_->failure.empty()) return core_->failure;
  if (core_->is_closing) return "the broker is closing";
  // Anybody may ask, so nothing is said of paths; the log has the whole reason.
  const error* const stuck = core_->log->growth_failure();
  if (!stuck) return {};
  if (*stuck == errc::no_space) return "the disk is full";
  if (*stuck == errc::full) return "no file descriptors are left";
  return "the journal can't grow: the log says why";
}

bool broker::check_place() { return core_->log->check_place(); }

time_point broker::wall_now() const { return core_->wall_now(); }
const journal& broker::log() const noexcept { return *core_->log; }
std::size_t broker::memory_bytes() const noexcept { return core_->state->memory_bytes(); }
const broker_limits& broker::limits() const noexcept { return core_->options.limits; }

}  // namespace weir

#include <weir/apps/trial.hpp>
#include <weir/base/text.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/file.hpp>
#include <weir/store/journal.hpp>

#include <fmt/format.h>

#include <utility>

namespace weir {

namespace {

constexpr std::uint64_t plain_bytes = 64u << 20;

/// Keeps nothing and needs nothing back: each segment may go at once.
class no_state final : public journal_client {
 public:
  void reset() override {}
  result<> load(std::string_view) override { return {}; }
  result<> apply(const record_view&, location, std::uint64_t) override { return {}; }
  void begin_snapshot() override {}
  bool next_slice(std::string&, std::size_t) override { return false; }
  std::uint64_t live_bytes(std::uint32_t) const override { return 0; }
  std::vector<std::uint32_t> live_segments() const override { return {}; }
  result<> relocate(const record_view&, location) override { return {}; }
};

/// What nobody can be faster than on this disk: one write and sync into a file of zeros.
task<trial_row> write_plainly(std::string path, const disk_trial& plan) {
  trial_row row{.name = "write and sync, by hand, one at a time", .spent = {}, .latencies = {}};
  file to = co_await open_file(path, {.write = true, .create = true, .exclusive = true});
  const std::string zeros(1u << 20, '\0');
  for (std::uint64_t at = 0; at < plain_bytes; at += zeros.size()) {
    co_await to.write_at(at, zeros);
  }
  co_await to.sync();
  const std::string body(plan.message_bytes, 'x');
  std::uint64_t at = 0;
  const time_point begun = trial_now();
  while (trial_now() - begun < plan.phase) {
    if (at + body.size() > plain_bytes) at = 0;
    const time_point before = trial_now();
    co_await to.write_at(at, body);
    co_await to.sync_data();
    row.latencies.add(trial_now() - before);
    ++row.count;
    at += body.size();
  }
  row.spent = trial_now() - begun;
  co_return row;
}

struct append_plan {
  journal& log;
  std::string body;
  time_point end;
};

task<> append_until(const append_plan* plan, trial_row* row) {
  while (trial_now() < plan->end) {
    const time_point before = trial_now();
    const record_view record{1, plan->body};
    location place;
    const std::uint64_t lsn =
        co_await plan->log.append({&record, 1}, append_class::intake, {&place, 1});
    co_await plan->log.wait_durable(lsn);
    row->latencies.add(trial_now() - before);
    ++row->count;
  }
}

task<trial_row> append(journal& log, const disk_trial& plan, std::uint32_t writers) {
  trial_row row{.name = writers == 1 ? std::string("journal, one at a time")
                                     : fmt::format("journal, {} at once", writers),
                .spent = {},
                .latencies = {}};
  const time_point begun = trial_now();
  const append_plan of_writers{log, std::string(plan.message_bytes, 'x'), begun + plan.phase};
  co_await with_scope({.name = "writers"}, [&](scope& all) -> task<> {
    for (std::uint32_t i = 0; i < writers; ++i) {
      all.spawn(append_until, &of_writers, &row);
    }
    co_return;
  });
  co_await checkpoint();  // the figures of a phase that was cut short are none
  row.spent = trial_now() - begun;
  co_return row;
}

task<std::vector<trial_row>> append_all(std::string folder, const disk_trial& plan) {
  std::vector<trial_row> rows;
  no_state nothing;
  const auto log = co_await journal::open(std::move(folder), {}, nothing);
  co_await with_scope({.name = "journal"}, [&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
    rows.push_back(co_await append(*log, plan, 1));
    rows.push_back(co_await append(*log, plan, plan.writers));
    log->close();
  });
  co_return rows;
}

task<> make_folder(std::string path) { co_await make_dir(path, 0700); }

task<> remove_all(std::string folder) {
  for (const std::string& name : list_dir(folder)) {
    const std::string path = fmt::format("{}/{}", folder, name);
    const auto status = path_status(path);
    if (status && status->is_directory) {
      co_await remove_all(path);
    } else {
      co_await remove_path(path);
    }
  }
  co_await remove_dir(folder);
}

}  // namespace

time_point trial_now() noexcept { return loop::current()->now(); }

task<std::vector<trial_row>> run_disk_trial(disk_trial plan) {
  const std::string folder =
      fmt::format("{}/weir-bench-{:016x}", plan.folder, loop::current()->io().random());
  co_return co_await with_cleanups([&](cleanups& after) -> task<std::vector<trial_row>> {
    co_await shield(make_folder(folder));
    after.defer_async([&]() -> task<> { co_await remove_all(folder); },
                      {.deadline = cleanup_time, .name = "remove the folder"});
    std::vector<trial_row> rows;
    rows.push_back(co_await write_plainly(folder + "/plain", plan));
    for (trial_row& row : co_await append_all(folder + "/journal", plan)) {
      rows.push_back(std::move(row));
    }
    co_return rows;
  });
}

}  // namespace weir

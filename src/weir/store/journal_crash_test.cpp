// Crashes at every instant: whatever the disk keeps of what was not synced, an opening finds
// exactly the acknowledged records and at most a tail of others.
#include <weir/store/journal.hpp>

#include <weir/base/random.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/store/journal_check.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace weir::journal_crash_test {
namespace {

using detail::journal_model;
using namespace weir::testing;

constexpr journal_options tiny{.segment_bytes = 8192,
                               .pending_bytes_max = 8192,
                               .group_bytes_max = 2048,
                               .snapshot_bytes = 8192,
                               .snapshot_slice_bytes = 64,
                               .open_files_max = 2};

struct workload {
  journal_model& model;
  random_source random;
  int steps = 0;
  bool has_opened = false;
  std::string wrong = {};
  std::uint64_t next_id = 1;
};

std::vector<journal_model::change> draw_changes(workload& work) {
  std::vector<journal_model::change> changes;
  const std::uint64_t count = 1 + work.random.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t id = work.next_id++;
    changes.push_back({journal_model::put, id,
                       std::string(work.random.below(300), static_cast<char>('a' + id % 26))});
    if (work.random.chance(0.85)) {
      changes.push_back({journal_model::drop, 1 + work.random.below(work.next_id), {}});
    }
  }
  return changes;
}

task<> work_steps(workload* work, int steps) {
  for (int i = 0; i < steps; ++i) {
    co_await work->model.commit(draw_changes(*work));
    if (work->random.chance(0.1)) co_await sleep(duration::milliseconds(30));
    if (work->random.chance(0.05)) work->model.over->want_snapshot();
  }
}

task<> run_life(workload& work, journal_options options) {
  std::unique_ptr<journal> log;
  try {
    log = co_await journal::open("/data", options, work.model);
  } catch (const exception& e) {
    if (e.reason() == errc::corrupt) work.wrong = e.what();
    co_return;
  }
  work.model.over = log.get();
  work.has_opened = true;
  work.wrong = work.model.compare(log->lsn_durable());
  if (!work.wrong.empty()) co_return;
  // What was found is durable from now on, acknowledged or not.
  work.model.acknowledged = log->lsn_durable();
  try {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
      work.wrong = co_await work.model.compare_values();
      co_await with_scope([&](scope& workers) -> task<> {
        for (int i = 0; i < 3; ++i) workers.spawn(work_steps, &work, work.steps);
        co_await workers.join();
      });
      log->close();
    });
    // NOLINTNEXTLINE(bugprone-empty-catch): the crash, seen from inside
  } catch (const std::exception&) {
  }
}

std::uint64_t seeds_wanted(std::uint64_t otherwise) {
  const char* text = std::getenv("WEIR_TEST_CRASHES");
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

void crash_often(std::uint64_t seed) {
  random_source random(seed);
  virtual_world world(virtual_options::explored(seed));
  journal_model model;
  workload work{.model = model, .random = random_source(seed + 1)};
  const std::uint64_t lives = 2 + random.below(5);
  for (std::uint64_t i = 0; i < lives && work.wrong.empty(); ++i) {
    const auto loss = static_cast<crash_loss>(random.below(3));
    world.crash_before_disk_operation(1 + random.below(random.chance(0.3) ? 40 : 400), loss);
    work.steps = 100;
    run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
    world.crash(loss);
  }
  world.crash_before_disk_operation(0);
  work.steps = 3;
  work.has_opened = false;
  if (work.wrong.empty()) {
    const auto last = run_outcome_in(world, run_life(work, tiny));
    EXPECT_FALSE(last.is_failed) << "seed " << seed << ": " << last.failure;
    EXPECT_TRUE(work.has_opened) << "seed " << seed;
  }
  EXPECT_EQ(work.wrong, "") << "seed " << seed;
}

TEST(journal_crash, after_any_crashes_exactly_what_was_acknowledged_is_there) {
  for (std::uint64_t seed = 1; seed <= seeds_wanted(3000); ++seed) {
    crash_often(seed);
    if (HasFailure()) return;
  }
}

TEST(journal_crash, a_crash_before_each_operation_of_a_short_life_loses_nothing) {
  for (const crash_loss loss : {crash_loss::all, crash_loss::some, crash_loss::none}) {
    for (std::uint64_t nth = 1;; ++nth) {
      virtual_world world;
      journal_model model;
      workload work{.model = model, .random = random_source(1), .steps = 12};
      world.crash_before_disk_operation(nth, loss);
      run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
      const bool is_over = world.crashes() == 0;
      world.crash_before_disk_operation(0);
      world.crash(loss);
      work.has_opened = false;
      run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
      ASSERT_TRUE(work.has_opened) << "operation " << nth;
      ASSERT_EQ(work.wrong, "") << "operation " << nth;
      if (is_over) break;
    }
  }
}

TEST(journal_crash, a_crash_before_each_operation_of_an_opening_loses_nothing) {
  for (std::uint64_t nth = 1;; ++nth) {
    virtual_world world;
    journal_model model;
    workload work{.model = model, .random = random_source(2), .steps = 40};
    world.crash_before_disk_operation(300, crash_loss::some);
    run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
    ASSERT_EQ(world.crashes(), 1u);
    work.steps = 0;
    world.crash_before_disk_operation(nth, crash_loss::some);
    run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
    const bool is_over = world.crashes() == 1;
    world.crash_before_disk_operation(0);
    world.crash(crash_loss::some);
    work.has_opened = false;
    run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
    ASSERT_TRUE(work.has_opened) << "operation " << nth;
    ASSERT_EQ(work.wrong, "") << "operation " << nth;
    if (is_over) break;
  }
}

// Commits to a new journal until the power is cut; what was not synced is lost, and no damage may
// be found afterwards.
template <class Commits>
void expect_sound_after(const journal_options& options, std::uint64_t records, Commits commits) {
  virtual_world world;
  journal_model model;
  const auto life = [&]() -> task<> {
    const auto log = co_await journal::open("/data", options, model);
    model.over = log.get();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
      co_await commits(model);
      world.crash(crash_loss::all);
    });
  };
  run_outcome_in(world, life(), {.may_leave_handles = true});
  ASSERT_EQ(model.acknowledged, records);
  run_virtual_in(world, [](std::uint64_t all) -> task<> {
    const journal_report report = co_await check_journal("/data");
    EXPECT_EQ(report.records, all);
    for (const journal_damage& one : report.damages) ADD_FAILURE() << describe(one);
  }(records));
}

// A group's own sync covers no other bytes than its own. A mark before it that was not synced must
// be durable with it all the same: a hole between two groups is reported as damage.
TEST(journal_crash, a_mark_that_was_not_synced_is_no_hole_in_front_of_the_next_group) {
  journal_options options = tiny;
  options.segment_bytes = 64 * 1024;
  options.pending_bytes_max = options.group_bytes_max = 16 * 1024;
  // From a mark well before the end of a page, which is what is synced, to one behind it.
  for (std::size_t first = 3'800; first < 4'100; first += 8) {
    SCOPED_TRACE(first);
    expect_sound_after(options, 2, [&](journal_model& model) -> task<> {
      co_await model.commit({{journal_model::put, 1, std::string(first, 'x')}});
      co_await sleep(2 * options.mark_delay);
      co_await model.commit({{journal_model::put, 2, "y"}});
    });
  }
}

TEST(journal_crash, a_mark_that_was_not_synced_is_no_hole_in_front_of_the_next_segment) {
  journal_options options = tiny;
  options.segment_bytes = 16 * 1024;
  options.group_bytes_max = 4096;
  expect_sound_after(options, 5, [&](journal_model& model) -> task<> {
    for (std::uint64_t id = 1; id <= 4; ++id) {
      co_await model.commit({{journal_model::put, id, std::string(3'500, 'x')}});
    }
    co_await sleep(2 * options.mark_delay);
    co_await model.commit({{journal_model::put, 5, std::string(3'500, 'x')}});
    EXPECT_EQ(model.place_of(5).segment, 2u);
  });
}

// A sync that fails leaves its group in the memory of the machine, where the next process finds it.
// What that one takes for durable must survive the machine.
TEST(journal_crash, what_a_failed_sync_left_in_memory_is_written_again_by_the_next_opening) {
  for (std::uint64_t nth = 1;; ++nth) {
    virtual_world world;
    journal_model model;
    workload work{.model = model, .random = random_source(4), .steps = 15};
    world.add_fault({.op = io_op::sync, .nth = nth});
    run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
    ASSERT_EQ(work.wrong, "") << "sync " << nth;
    if (world.faults_struck() == 0) break;
    work.steps = 3;
    run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
    ASSERT_EQ(work.wrong, "") << "sync " << nth;
    world.crash(crash_loss::all);
    work.has_opened = false;
    run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
    ASSERT_EQ(work.wrong, "") << "sync " << nth;
    ASSERT_TRUE(work.has_opened) << "sync " << nth;
  }
}

// The n-th operation of each kind fails; then the program is started again on the same disk.
TEST(journal_crash, a_failure_of_any_single_operation_loses_nothing) {
  for (const io_op op :
       {io_op::open, io_op::read_at, io_op::write_at, io_op::sync, io_op::preallocate,
        io_op::rename, io_op::remove, io_op::make_dir, io_op::sync_dir}) {
    for (const int code : {EIO, ENOSPC}) {
      for (std::uint64_t nth = 1;; ++nth) {
        virtual_world world;
        journal_model model;
        workload work{.model = model, .random = random_source(3), .steps = 15};
        world.add_fault({.op = op, .nth = nth, .code = code});
        run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
        ASSERT_EQ(work.wrong, "") << static_cast<int>(op) << ", operation " << nth;
        if (world.faults_struck() == 0) break;
        world.crash(crash_loss::some);
        work.has_opened = false;
        run_outcome_in(world, run_life(work, tiny), {.may_leave_handles = true});
        ASSERT_TRUE(work.has_opened) << static_cast<int>(op) << ", " << nth;
        ASSERT_EQ(work.wrong, "") << static_cast<int>(op) << ", operation " << nth;
      }
    }
  }
}

}  // namespace
}  // namespace weir::journal_crash_test

// Memory that fails under the journal: each allocation of a life in turn. Whatever becomes of that
// life, the next one has exactly what was acknowledged, and perhaps what was appended after.
#include <weir/store/journal.hpp>

#include <weir/core/with_scope.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/testing/allocation_points.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <string>

namespace weir::journal_bad_alloc_test {
namespace {

using weir::detail::journal_model;

// So small that a few dozen records begin new segments, snapshots and compaction.
constexpr journal_options tiny{.segment_bytes = 16384,
                               .pending_bytes_max = 8192,
                               .group_bytes_max = 4096,
                               .snapshot_bytes = 16384,
                               .snapshot_slice_bytes = 64,
                               .open_files_max = 2};

task<> live(journal_model& model, std::uint64_t first, std::uint64_t count) {
  const auto log = co_await journal::open("/data", tiny, model);
  model.over = log.get();
  EXPECT_EQ(model.compare(log->lsn_durable()), "");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
    EXPECT_EQ(co_await model.compare_values(), "");
    for (std::uint64_t id = first; id < first + count; ++id) {
      co_await model.commit({{journal_model::put, id, std::string(1'500, 'x')}});
      if (id % 3 != 0) co_await model.commit({{journal_model::drop, id, {}}});
    }
    log->close();
  });
}

TEST(JournalWithoutMemory, loses_nothing_that_was_acknowledged) {
  testing::for_each_allocation([]() -> task<> {
    journal_model model;
    std::exception_ptr failed;
    for (std::uint64_t life = 0; life < 2; ++life) {
      try {
        co_await live(model, 100 * life, 20);
      } catch (const std::bad_alloc&) {
        failed = std::current_exception();
      }
    }
    co_await live(model, 1'000, 1);
    if (failed) std::rethrow_exception(failed);
  });
}

// What can't be taken for want of memory is told to whoever appends, and the journal goes on.
task<> append_until_it_fails(journal* log, journal_model* model, bool* has_failed) {
  for (std::uint64_t id = 1; id <= 12 && !*has_failed; ++id) {
    try {
      co_await model->commit({{journal_model::put, id, std::string(1'500, 'x')}});
    } catch (const std::bad_alloc&) {
      *has_failed = true;
    }
  }
  // Unless it is the model that lacks the memory to know what it has appended.
  if (model->size() == model->history().size()) co_await log->write_snapshot();
}

TEST(JournalWithoutMemory, begins_no_segment_for_what_it_cannot_take) {
  testing::for_each_allocation([]() -> task<> {
    journal_model model;
    bool has_failed = false;
    journal_options options = tiny;
    options.snapshot_bytes = 1 << 30;  // one, when it is asked for
    try {
      const auto log = co_await journal::open("/data", options, model);
      model.over = log.get();
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
        co_await append_until_it_fails(log.get(), &model, &has_failed);
        s.cancel("the process is killed");
      });
    } catch (const std::bad_alloc&) {
      has_failed = true;
    }
    co_await live(model, 1'000, 1);
  });
}

}  // namespace
}  // namespace weir::journal_bad_alloc_test

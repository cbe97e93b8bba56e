// The data folder is taken away, or another one put in its place, while the journal runs: nothing
// that is confirmed lies elsewhere, and nobody writes or reads in a folder that another has locked.
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/file.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/store/journal.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace weir::moved_folder_test {
namespace {

using namespace weir::literals;
using ::testing::HasSubstr;
using weir::detail::journal_model;

constexpr journal_options tiny{.segment_bytes = 4096,
                               .reserve_segments = 1,
                               .pending_bytes_max = 4096,
                               .group_bytes_max = 1024,
                               .snapshot_bytes = 1 << 30,
                               .snapshot_slice_bytes = 64,
                               .open_files_max = 1};

/// Opens the journal and runs `body` over it; how the run ended.
template <class Body>
task<std::string> life(journal_model& model, Body body) {
  const auto log = co_await journal::open("/data", tiny, model);
  model.over = log.get();
  try {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(&journal::run, log.get());
      co_await body(*log);
      log->close();
    });
  } catch (const std::exception& failed) {
    co_return failed.what();
  }
  co_return "";
}

task<> put(journal_model* model, std::uint64_t id, std::size_t size = 300) {
  co_await model->commit({{journal_model::put, id, std::string(size, 'x')}});
}

/// What others keep under our name, and its end: each file of it is as they left it.
task<std::uint64_t> others_commit(journal_model* model, std::uint64_t count) {
  const auto log = co_await journal::open("/data", tiny, *model);
  model->over = log.get();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(&journal::run, log.get());
    for (std::uint64_t id = 1; id <= count; ++id) co_await put(model, id);
    log->close();
  });
  co_return log->lsn_durable();
}

WEIR_TEST("after the data folder was renamed nothing more is confirmed") {
  journal_model model;
  const std::string ended = co_await life(model, [&](journal& log) -> task<> {
    co_await put(&model, 1);
    co_await rename_path("/data", "/elsewhere");
    const std::uint64_t confirmed = log.lsn_durable();
    EXPECT_FALSE(co_await as_result(put(&model, 2)));
    EXPECT_EQ(log.lsn_durable(), confirmed);
  });
  EXPECT_THAT(ended, HasSubstr("'/data' was moved, removed or replaced while it is in use"));
  EXPECT_THAT(ended, HasSubstr("'/data/lock' is not there any more"));
  co_await rename_path("/elsewhere", "/data");
  EXPECT_EQ(co_await life(model, [](journal&) -> task<> { co_return; }), "");
  EXPECT_TRUE(model.has(1));
}

WEIR_TEST("who asks whether the data folder is in its place learns it, and the journal with them") {
  journal_model model;
  const std::string ended = co_await life(model, [&](journal& log) -> task<> {
    co_await put(&model, 1);
    EXPECT_TRUE(log.check_place());
    co_await rename_path("/data", "/elsewhere");
    EXPECT_FALSE(log.check_place());
    co_await rename_path("/elsewhere", "/data");  // in between, files could have been lost
    EXPECT_FALSE(co_await as_result(put(&model, 2)));
  });
  EXPECT_THAT(ended, HasSubstr("'/data' was moved, removed or replaced while it is in use"));
}

WEIR_TEST("a file in the data folder's place ends the journal") {
  journal_model model;
  const std::string ended = co_await life(model, [&](journal&) -> task<> {
    co_await put(&model, 1);
    co_await rename_path("/data", "/elsewhere");
    (void)co_await open_file("/data", {.write = true, .create = true});
    EXPECT_FALSE(co_await as_result(put(&model, 2)));
  });
  EXPECT_THAT(ended, HasSubstr("'/data/lock' is not there any more"));
}

WEIR_TEST("a lock that is removed ends the journal") {
  journal_model model;
  const std::string ended = co_await life(model, [&](journal&) -> task<> {
    co_await put(&model, 1);
    co_await remove_path("/data/lock");
    EXPECT_FALSE(co_await as_result(put(&model, 2)));
  });
  EXPECT_THAT(ended, HasSubstr("'/data/lock' is not there any more"));
}

WEIR_TEST("the folder of another in our folder's place is not written to") {
  journal_model ours;
  journal_model theirs;
  std::uint64_t durable = 0;
  const std::string ended = co_await life(ours, [&](journal&) -> task<> {
    for (std::uint64_t id = 1; id <= 40; ++id) co_await put(&ours, id);  // three segments and more
    co_await rename_path("/data", "/elsewhere");
    durable = co_await others_commit(&theirs, 40);
    EXPECT_FALSE(co_await as_result(put(&ours, 41)));
  });
  EXPECT_THAT(ended, HasSubstr("'/data/lock' is another file than the one locked"));
  const auto again = co_await journal::open("/data", tiny, theirs);
  theirs.over = again.get();
  EXPECT_EQ(theirs.compare(again->lsn_durable()), "");
  EXPECT_EQ(co_await theirs.compare_values(), "");
  EXPECT_GE(again->lsn_durable(), durable);
}

// At whatever step of a commit, a new segment or a snapshot it happens: what looks at the path
// before it acts would be too late in some of these runs.
WEIR_TEST("nothing is ever put into a folder that takes our folder's place") {
  journal_model model;
  (void)co_await life(model, [&](journal& log) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (std::uint64_t id = 1; id <= 30; ++id) {
          if (!co_await as_result(put(&model, id))) co_return;
          if (id % 10 == 0) co_await log.write_snapshot();
        }
      });
      const std::uint64_t steps = loop::current()->io().random() % 200;
      for (std::uint64_t step = 0; step < steps; ++step) co_await yield();
      virtual_disk& disk = testing::world().disk();
      EXPECT_EQ(disk.rename("/data", "/elsewhere"), 0);
      EXPECT_EQ(disk.make_dir("/data"), 0);
      EXPECT_FALSE(co_await as_result(put(&model, 99)));
    });
  });
  EXPECT_THAT(list_dir("/data"), ::testing::IsEmpty());
}

WEIR_TEST("nothing is removed from the folder of another in our folder's place") {
  journal_model ours;
  journal_model theirs;
  const std::string ended = co_await life(ours, [&](journal& log) -> task<> {
    for (std::uint64_t id = 1; id <= 60; ++id) co_await put(&ours, id);
    for (std::uint64_t id = 1; id <= 60; ++id) {
      co_await ours.commit({{journal_model::drop, id, {}}});
    }
    testing::world().add_fault({.op = io_op::remove, .code = EIO, .count = 1'000});
    co_await log.write_snapshot();
    co_await put(&ours, 61);
    co_await log.write_snapshot();
    co_await sleep(100_ms);  // what is not needed any more can't be removed, and is tried again
    EXPECT_GE(testing::world().faults_struck(), 1u);
    co_await rename_path("/data", "/elsewhere");
    (void)co_await others_commit(&theirs, 60);
    testing::world().drop_faults();
    const auto kept = std::ranges::count_if(
        list_dir("/data"), [](const std::string& name) { return name.ends_with(".seg"); });
    EXPECT_GE(kept, 5);
    EXPECT_FALSE(co_await as_result(sleep(1_h)));  // ends with the journal
  });
  EXPECT_THAT(ended, HasSubstr("'/data/lock' is another file than the one locked"));
  const auto again = co_await journal::open("/data", tiny, theirs);
  theirs.over = again.get();
  EXPECT_EQ(theirs.compare(again->lsn_durable()), "");
  EXPECT_EQ(co_await theirs.compare_values(), "");
}

WEIR_TEST("the folder of another in our folder's place is not read from") {
  journal_model ours;
  journal_model theirs;
  EXPECT_EQ(co_await life(ours,
                          [&](journal&) -> task<> {
                            for (std::uint64_t id = 1; id <= 40; ++id) co_await put(&ours, id);
                          }),
            "");
  const auto log = co_await journal::open("/data", tiny, ours);  // has its last segment open
  co_await rename_path("/data", "/elsewhere");
  (void)co_await others_commit(&theirs, 40);
  std::size_t refused = 0;
  for (std::uint64_t id = 1; id <= 40; ++id) {
    const auto read = co_await as_result(log->read(ours.place_of(id)));
    if (read) continue;
    ++refused;
    EXPECT_EQ(read.error(), errc::io);
    EXPECT_THAT(read.error().message(), HasSubstr("another file than the one locked"));
  }
  EXPECT_GE(refused, 20u);
}

WEIR_TEST("an opening without descriptors ends") {
  journal_model model;
  testing::world().add_fault({.op = io_op::open, .code = EMFILE, .count = 1'000'000});
  const auto opened = co_await as_result(journal::open("/data", tiny, model));
  WEIR_REQUIRE(!opened);
  EXPECT_THAT(describe(opened.error()), HasSubstr("Too many open files"));
}

}  // namespace
}  // namespace weir::moved_folder_test

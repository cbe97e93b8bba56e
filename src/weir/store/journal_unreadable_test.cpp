// Pages that the disk can't read: an opening refuses and says which, the check goes on behind them,
// and with accept_loss all around them is there.
#include <weir/store/journal.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/file.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/store/journal_check.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace weir::journal_unreadable_test {
namespace {

using weir::detail::journal_model;
using namespace weir::testing;

constexpr std::string_view first_segment = "/data/journal-0000000001.seg";
constexpr std::string_view second_segment = "/data/journal-0000000002.seg";
constexpr std::string_view third_segment = "/data/journal-0000000003.seg";

constexpr journal_options small{.segment_bytes = 16384,
                                .reserve_segments = 1,
                                .pending_bytes_max = 8192,
                                .group_bytes_max = 4096,
                                .snapshot_bytes = 1 << 30,
                                .snapshot_slice_bytes = 64};

/// Commits records of 1 KB up to number `last`, one a batch; with a snapshot behind one of them.
task<> go_on(journal_model* model, journal* log, std::uint64_t last, std::uint64_t snapshot = 0) {
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log);
    for (std::uint64_t id = model->size() + 1; id <= last; ++id) {
      co_await model->commit({{journal_model::put, id, std::string(900, 'x')}});
      if (id == snapshot) co_await log->write_snapshot();
    }
    log->close();
  });
}

/// A journal of so many records: 16 of them fill a segment.
void fill(virtual_world& world, journal_model& model, std::uint64_t count,
          std::uint64_t snapshot = 0) {
  run_virtual_in(world, [](journal_model* m, std::uint64_t last, std::uint64_t middle) -> task<> {
    const auto log = co_await journal::open("/data", small, *m);
    m->over = log.get();
    co_await go_on(m, log.get(), last, middle);
  }(&model, count, snapshot));
}

struct outcome {
  journal_report report;
  std::string refusal;  // without accept_loss
  std::uint64_t kept_without = 0;
  std::uint64_t records = 0;  // with it
  std::set<std::uint64_t> kept;
  std::uint64_t losses = 0;
  bool is_sound_after = false;
  std::string refusal_after;
};

task<> open_twice(outcome* seen) {
  seen->report = co_await check_journal("/data");
  journal_model strict;
  auto refused = co_await as_result(journal::open("/data", small, strict));
  if (!refused) seen->refusal = refused.error().message();
  if (!refused) EXPECT_EQ(refused.error(), errc::io);
  if (refused) {
    seen->kept_without = strict.size();
    refused->reset();
  }
  journal_options options = small;
  options.accept_loss = true;
  journal_model model;
  model.keeps_history = false;
  {
    const auto log = co_await journal::open("/data", options, model);
    seen->records = model.size();
    for (std::uint64_t id = 1; id <= 40; ++id) {
      if (model.has(id)) seen->kept.insert(id);
    }
    seen->losses = log->recovery().losses;
    model.over = log.get();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
      co_await model.commit({{journal_model::put, 7777, "new"}});
      co_await log->write_snapshot();
      log->close();
    });
  }
  seen->is_sound_after = (co_await check_journal("/data")).is_sound();
  journal_model again;
  const auto reopened = co_await as_result(journal::open("/data", small, again));
  if (!reopened) seen->refusal_after = reopened.error().message();
  if (reopened) EXPECT_EQ(again.size(), seen->records + 1);
}

outcome look(virtual_world& world) {
  outcome seen;
  run_virtual_in(world, open_twice(&seen));
  EXPECT_TRUE(seen.is_sound_after);
  EXPECT_EQ(seen.refusal_after, "");
  return seen;
}
/// What a journal of so many records comes to with a page that can't be read.
outcome look_behind(std::uint64_t count, std::string_view segment, std::uint64_t offset) {
  virtual_world world;
  journal_model model;
  fill(world, model, count);
  EXPECT_EQ(world.disk().break_pages(segment.data(), offset, 1), 0);
  return look(world);
}

std::string damages_of(const journal_report& report) {
  std::string all;
  for (const journal_damage& one : report.damages) all += describe(one) + "\n";
  return all;
}

/// The ids whose batches lie on a page (the first has the segment's header: then all in it).
std::set<std::uint64_t> ids_on(const journal_model& model, std::uint32_t segment,
                               std::uint64_t page) {
  std::set<std::uint64_t> all;
  for (std::uint64_t id = 1; id <= model.size(); ++id) {
    const location at = model.place_of(id);
    const std::uint64_t begin = at.offset - weir::detail::batch_header::size;
    const bool is_on = begin < (page + 1) * 4096 && at.offset + at.size > page * 4096;
    if (at.segment == segment && (is_on || page == 0)) all.insert(id);
  }
  return all;
}

/// One page that can't be read in a journal of 40 records; a snapshot knows the first of them.
void break_one(std::uint32_t segment, std::uint64_t page, std::uint64_t snapshot) {
  virtual_world world;
  journal_model model;
  fill(world, model, 40, snapshot);
  const std::string name = weir::detail::segment_name(segment);
  const std::set<std::uint64_t> hit = ids_on(model, segment, page);
  std::set<std::uint64_t> kept;
  for (std::uint64_t id = 1; id <= 40; ++id) {
    if (id <= snapshot || !hit.contains(id)) kept.insert(id);
  }
  ASSERT_EQ(world.disk().break_pages(("/data/" + name).c_str(), page * 4096, 1), 0);
  const outcome seen = look(world);
  EXPECT_EQ(seen.kept, kept);
  if (kept.size() < 40) EXPECT_NE(seen.refusal, "");
  if (seen.refusal.empty()) EXPECT_EQ(seen.kept_without, 40u);
  EXPECT_EQ(seen.refusal.empty(), seen.report.is_sound());
  if (!seen.refusal.empty()) EXPECT_TRUE(seen.refusal.contains("the disk can't read"));
  const std::string told = damages_of(seen.report);
  if (!hit.empty()) EXPECT_TRUE(told.contains(name + ", bytes ")) << told;
  if (!hit.empty()) EXPECT_TRUE(told.contains("the disk can't read")) << told;
}

TEST(journal_unreadable, any_page_loses_what_lies_on_it_with_accept_loss_and_refuses_without) {
  for (const std::uint64_t snapshot : {0u, 20u}) {
    for (std::uint32_t segment = 1; segment <= 4; ++segment) {
      for (std::uint64_t page = 0; page < 4; ++page) {
        SCOPED_TRACE(std::to_string(segment) + ", page " + std::to_string(page) + ", snapshot " +
                     std::to_string(snapshot));
        break_one(segment, page, snapshot);
      }
    }
  }
}

TEST(journal_unreadable, a_page_inside_a_segment_loses_its_records_and_no_others) {
  const outcome seen = look_behind(40, first_segment, 8192);
  EXPECT_EQ(damages_of(seen.report),
            "journal-0000000001.seg, bytes 7808 to 12648: the disk can't read bytes 8192 to 12288 "
            "(Input/output error); records 9 to 13 can't be read\n");
  EXPECT_FALSE(seen.report.is_sound());
  EXPECT_EQ(seen.report.records, 35u);
  EXPECT_TRUE(seen.refusal.contains("the disk can't read bytes 8192 to 12288")) << seen.refusal;
  EXPECT_EQ(seen.records, 35u);
  EXPECT_EQ(seen.losses, 1u);
}

TEST(journal_unreadable, a_header_costs_its_segment_and_no_other) {
  const outcome seen = look_behind(40, second_segment, 0);
  EXPECT_TRUE(damages_of(seen.report)
                  .contains("journal-0000000002.seg, bytes 0 to 16384: the disk can't read the "
                            "header of the segment (Input/output error); records "))
      << damages_of(seen.report);
  EXPECT_TRUE(seen.refusal.contains("the disk can't read the header")) << seen.refusal;
  EXPECT_EQ(seen.records, seen.report.records);
  EXPECT_LT(seen.records, 40u);
}

TEST(journal_unreadable, the_place_of_the_last_batch_is_a_loss_and_no_torn_tail) {
  // The last record begins in the first page and ends in the second.
  const outcome seen = look_behind(5, first_segment, 4096);
  EXPECT_TRUE(damages_of(seen.report).contains("; what was written last may lie there"))
      << damages_of(seen.report);
  EXPECT_EQ(seen.report.torn_bytes, 0u);
  EXPECT_TRUE(seen.refusal.contains("may lie there")) << seen.refusal;
  EXPECT_EQ(seen.records, 4u);
  EXPECT_EQ(seen.losses, 1u);
}

TEST(journal_unreadable, a_page_behind_the_end_loses_nothing_and_is_not_written_to) {
  virtual_world world;
  journal_model model;
  fill(world, model, 2);
  ASSERT_EQ(world.disk().break_pages(first_segment.data(), 8192, 1), 0);
  run_virtual_in(world, [](journal_model* m) -> task<> {
    const journal_report report = co_await check_journal("/data");
    EXPECT_TRUE(report.is_sound());
    EXPECT_TRUE(damages_of(report).contains("; nothing lies there")) << damages_of(report);
    const auto log = co_await journal::open("/data", small, *m);
    m->over = log.get();
    EXPECT_EQ(m->size(), 2u);
    co_await go_on(m, log.get(), 3);
    EXPECT_EQ(m->place_of(3).segment, 2u);
  }(&model));
}

TEST(journal_unreadable, the_header_of_the_next_segment_may_have_been_that_of_a_begun_one) {
  const outcome seen = look_behind(2, second_segment, 0);
  EXPECT_TRUE(seen.refusal.contains("journal-0000000002.seg")) << seen.refusal;
  EXPECT_EQ(seen.records, 2u);
}

TEST(journal_unreadable, the_header_of_a_segment_behind_an_unused_one_loses_nothing) {
  virtual_world world;
  journal_model model;
  fill(world, model, 2);
  ASSERT_EQ(world.disk().break_pages(third_segment.data(), 0, 1), 0);
  run_virtual_in(world, [](journal_model* m) -> task<> {
    const auto log = co_await journal::open("/data", small, *m);
    m->over = log.get();
    EXPECT_EQ(m->size(), 2u);
    co_await go_on(m, log.get(), 60);  // it is made anew, and used
  }(&model));
}

TEST(journal_unreadable, a_prepared_segment_with_a_bad_page_is_made_anew) {
  virtual_world world;
  journal_model model;
  fill(world, model, 2);
  ASSERT_EQ(world.disk().break_pages(second_segment.data(), 4096, 1), 0);
  run_virtual_in(world, [](journal_model* m) -> task<> {
    EXPECT_TRUE((co_await check_journal("/data")).is_sound());
    const auto log = co_await journal::open("/data", small, *m);
    m->over = log.get();
    EXPECT_EQ(m->size(), 2u);
    co_await go_on(m, log.get(), 40);
  }(&model));
}

// What would prove that the batch was durable may lie on the page.
TEST(journal_unreadable, behind_a_batch_that_seems_torn_a_bad_page_is_a_loss) {
  for (const bool is_bad : {false, true}) {
    virtual_world world;
    journal_model model;
    fill(world, model, 4);
    const location last = model.place_of(4);
    std::string content = *world.disk().content_of(first_segment.data());
    content[last.offset + 100] ^= 1;
    content.replace(last.offset + last.size, 4096 - (last.offset + last.size),
                    4096 - (last.offset + last.size), '\0');
    ASSERT_EQ(world.disk().set_content(first_segment.data(), content), 0);
    if (is_bad) ASSERT_EQ(world.disk().break_pages(first_segment.data(), 4096, 1), 0);
    const outcome seen = look(world);
    EXPECT_EQ(seen.refusal.contains("may lie there"), is_bad) << seen.refusal;
    EXPECT_EQ(seen.report.torn_bytes == 0, is_bad);
    EXPECT_EQ(seen.records, 3u);
    EXPECT_EQ(seen.losses, is_bad ? 1u : 0u);
  }
}

// Without any snapshot that can be read, the records are all there is.
TEST(journal_unreadable, the_only_snapshot_ends_an_opening_and_a_check_only_says_so) {
  virtual_world world;
  journal_model model;
  run_virtual_in(world, [](journal_model* m) -> task<> {
    const auto log = co_await journal::open("/data", small, *m);
    m->over = log.get();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
      co_await m->commit({{journal_model::put, 1, "kept"}});
      co_await log->write_snapshot();
      log->close();
    });
  }(&model));
  std::vector<std::string> names;
  ASSERT_EQ(world.disk().list_dir("/data", names, false), 0);
  const auto name = std::ranges::find_if(
      names, [](const std::string& one) { return one.starts_with("snapshot"); });
  ASSERT_NE(name, names.end());
  const std::string path = "/data/" + *name;
  ASSERT_EQ(world.disk().break_pages(path.c_str(), 0, 1), 0);
  const outcome seen = look(world);
  EXPECT_FALSE(seen.report.is_sound());
  EXPECT_TRUE(seen.refusal.contains(".snap' can't be read at byte 0")) << seen.refusal;
  EXPECT_EQ(seen.records, 1u);
}

WEIR_TEST("a folder with the name of a segment is told by its name") {
  journal_model model;
  {
    const auto log = co_await journal::open("/data", small, model);
    model.over = log.get();
    co_await go_on(&model, log.get(), 1);
  }
  co_await make_dir("/data/journal-0000000050.seg", 0700);
  const auto opened = co_await as_result(journal::open("/data", small, model));
  EXPECT_FALSE(opened);
  EXPECT_EQ(opened.error().message(),
            "'/data/journal-0000000050.seg' is a folder and no file of the journal: move it away");
}

}  // namespace
}  // namespace weir::journal_unreadable_test

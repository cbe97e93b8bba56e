// Numbers at their ends, in bytes whose checksums are right: files of far numbers, records of the
// last numbers, a snapshot that names a place where nothing is. Nobody loops over what lies
// between, nothing begins again at 0, and what is acknowledged after a loss was accepted stays.
#include <weir/store/journal.hpp>

#include <weir/base/text.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/sim/memory_watch.hpp>
#include <weir/store/folder_image_test.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/store/internal/segment_reader.hpp>
#include <weir/store/journal_check.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace weir::journal_extremes_test {
namespace {

using namespace weir::testing;
using weir::detail::journal_model;
using weir::detail::lsn_max;
using weir::detail::segment_header;
using weir::detail::segment_name;
using weir::detail::segment_number_max;
using weir::detail::segment_number_of;
using weir::detail::snapshot_lsn_of;
using weir::detail::snapshot_name;

constexpr std::uint64_t segment_size = 4096;
constexpr journal_options tiny{.segment_bytes = segment_size,
                               .reserve_segments = 1,
                               .pending_bytes_max = 4096,
                               .group_bytes_max = 1024,
                               .snapshot_bytes = 1 << 30,
                               .snapshot_slice_bytes = 64};
constexpr journal_options accepting = [] {
  journal_options options = tiny;
  options.accept_loss = true;
  return options;
}();

task<> until_snapshots(const journal& log, std::uint64_t count) {
  for (int i = 0; i < 1000 && log.stats().snapshots_written < count; ++i) {
    co_await sleep(duration::milliseconds(1));
  }
  EXPECT_GE(log.stats().snapshots_written, count);
}

/// Some segments, with two snapshots or with none. Behind `dropped` values, as many are dropped.
task<> fill(journal_model* model, bool has_snapshots, std::uint64_t dropped) {
  auto log = co_await journal::open("/data", tiny, *model);
  model->over = log.get();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
    for (std::uint64_t id = 1; id <= 60; ++id) {
      co_await model->commit({{journal_model::put, id, std::string(300, 'x')}});
      for (std::uint64_t of = 1; id == dropped && of <= dropped; ++of) {
        co_await model->commit({{journal_model::drop, of, {}}});
      }
      if (!has_snapshots || id % 30 != 0) continue;
      log->want_snapshot();
      co_await until_snapshots(*log, id / 30);
    }
    log->close();
  });
}

folder_image make_image(bool has_snapshots, std::uint64_t dropped = 20) {
  virtual_world world;
  journal_model model;
  run_virtual_in(world, fill(&model, has_snapshots, dropped));
  return image_of(world);
}

std::uint32_t last_begun(const folder_image& image) {
  std::uint32_t last = 0;
  for (const auto& [name, content] : image) {
    segment_header header;
    const std::uint32_t number = segment_number_of(name);
    if (number != 0 && weir::detail::decode(content, header)) last = std::max(last, number);
  }
  return last;
}

/// A segment that was begun and holds no record.
std::string empty_segment(const segment_header& header) {
  std::string content(segment_size, '\0');
  encode(header, content.data());
  return content;
}

task<> put_one(journal_model* model, journal* log) {
  model->over = log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log);
    co_await model->commit({{journal_model::put, 7777, "new"}});
    co_await until_snapshots(*log, 1);
    log->close();
  });
}

/// Refused; opened with accept_loss, it takes a record; then it opens without.
folder_image accepted_once(const folder_image& image) {
  virtual_world world;
  put_image(world, image);
  journal_model model;
  model.keeps_history = false;
  run_virtual_in(world, [](journal_model* m) -> task<> {
    const auto refused = co_await as_result(journal::open("/data", tiny, *m));
    EXPECT_FALSE(refused.has_value());
    auto log = co_await journal::open("/data", accepting, *m);
    EXPECT_GE(log->recovery().losses, 1u);
    EXPECT_LE(log->recovery().losses, 5u);
    co_await put_one(m, log.get());
    log.reset();
    const journal_report report = co_await check_journal("/data");
    EXPECT_TRUE(report.is_sound());
    const auto again = co_await as_result(journal::open("/data", tiny, *m));
    EXPECT_TRUE(again.has_value()) << describe(again.error());
    if (again) EXPECT_FALSE((co_await (*again)->read(m->place_of(7777))).payload.empty());
  }(&model));
  return image_of(world);
}

journal_report checked(const folder_image& image) {
  virtual_world world;
  put_image(world, image);
  journal_report report;
  run_virtual_in(world, [](journal_report* out) -> task<> {
    *out = co_await check_journal("/data");
  }(&report));
  return report;
}

TEST(journal_extremes, a_file_under_a_far_number_is_one_report_and_burns_no_numbers) {
  folder_image image = make_image(false);
  const std::string far = segment_name(segment_number_max - 5);
  image[far] = image.at(segment_name(1));
  const journal_report report = checked(image);
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_TRUE(report.damages[0].loses_data);
  EXPECT_NE(report.damages[0].text.find("are missing"), std::string::npos);
  const folder_image after = accepted_once(image);
  EXPECT_TRUE(after.at(far + ".damaged") == image.at(far));
  for (const auto& [name, content] : after) EXPECT_LT(segment_number_of(name), 100u) << name;
}

TEST(journal_extremes, a_begun_segment_of_a_far_number_is_gone_to_without_a_walk) {
  folder_image image = make_image(false);
  std::erase_if(image, [&, last = last_begun(image)](const auto& one) {
    return segment_number_of(one.first) > last;
  });
  const std::uint32_t far = segment_number_max - 1000;
  image[segment_name(far)] = empty_segment(
      {.number = far, .epoch = 5, .lsn_first = 1'000'000, .capacity = segment_size, .crc = 0});
  const folder_image after = accepted_once(image);
  EXPECT_TRUE(after.contains(segment_name(far + 1)));
}

TEST(journal_extremes, with_the_last_number_of_a_segment_used_nothing_is_taken_in) {
  folder_image image = make_image(false);
  image[segment_name(segment_number_max)] = empty_segment(
      {.number = segment_number_max, .epoch = 5, .lsn_first = 1'000'000, .capacity = segment_size});
  virtual_world world;
  put_image(world, image);
  run_virtual_in(world, []() -> task<> {
    journal_model model;
    model.keeps_history = false;
    const auto log = co_await journal::open("/data", accepting, model);
    EXPECT_NE(log->growth_failure(), nullptr);
    std::vector<location> places(1);
    const record_view record{.kind = journal_model::put, .payload = "12345678"};
    EXPECT_EQ(log->try_append({&record, 1}, append_class::intake, places).error(), errc::busy);
  }());
  for (const auto& [name, content] : image_of(world)) {
    EXPECT_FALSE(name.starts_with("journal-0000000000"));
  }
}

TEST(journal_extremes, with_the_last_number_of_a_record_given_no_record_is_taken) {
  folder_image image = make_image(false);
  std::erase_if(image, [&, last = last_begun(image)](const auto& one) {
    return segment_number_of(one.first) > last;
  });
  const std::uint32_t next = last_begun(image) + 1;
  for (const std::uint64_t room : {std::uint64_t{0}, std::uint64_t{2}}) {
    image[segment_name(next)] = empty_segment(
        {.number = next, .epoch = 5, .lsn_first = lsn_max + 1 - room, .capacity = segment_size});
    virtual_world world;
    put_image(world, image);
    run_virtual_in(world, [](std::uint64_t left) -> task<> {
      journal_model model;
      model.keeps_history = false;
      const auto log = co_await journal::open("/data", accepting, model);
      std::vector<location> places(1);
      const record_view record{.kind = journal_model::put, .payload = "12345678"};
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
        auto given = log->try_append({&record, 1}, append_class::completion, places);
        if (left == 0) EXPECT_EQ(given.error(), errc::unsupported);
        if (given) co_await log->wait_durable(*given);
        log->close();
      });
    }(room));
    // A number that was given can be read.
    run_virtual_in(world, [](std::uint64_t left) -> task<> {
      journal_model model;
      const auto log = co_await journal::open("/data", accepting, model);
      EXPECT_EQ(log->lsn_durable(), left == 0 ? lsn_max : lsn_max - 1);
    }(room));
  }
}

// The newest segments went, the snapshot that begins in one of them stayed. What is appended then
// must not lie in front of the place from which that snapshot replays.
TEST(journal_extremes, what_follows_the_loss_of_the_newest_segments_is_there_without_a_snapshot) {
  for (const std::uint32_t lost : {3u, 4u, 100u, 101u}) {
    // Also with nothing alive in the segments before the snapshot's.
    folder_image image = make_image(true, lost == 101 ? 58 : 20);
    const std::uint32_t last = last_begun(image);
    std::erase_if(image, [&](const auto& one) {
      const std::uint32_t number = segment_number_of(one.first);
      return number != 0 && number + lost > last + 1;
    });
    static_cast<void>(accepted_once(image));
    virtual_world world;
    put_image(world, image);
    journal_model model;
    model.keeps_history = false;
    run_outcome_in(
        world,
        [](virtual_world* on, journal_model* m) -> task<> {
          auto log = co_await journal::open("/data", accepting, *m);
          m->over = log.get();
          co_await with_scope([&](scope& s) -> task<> {
            s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
            co_await sleep(duration::milliseconds(10));           // segments are prepared
            on->add_fault({.op = io_op::rename, .count = 1000});  // no snapshot gets its name
            co_await m->commit({{journal_model::put, 7777, "new"}});
            on->crash(crash_loss::none);
          });
        }(&world, &model),
        {.may_leave_handles = true});
    world.drop_faults();
    run_virtual_in(world, [](journal_model* m) -> task<> {
      const auto log = co_await journal::open("/data", accepting, *m);
      EXPECT_GT(log->recovery().records_replayed, 0u);
      EXPECT_EQ((co_await log->read(m->place_of(7777))).payload.text().substr(8), "new");
    }(&model));
  }
}

TEST(journal_extremes, a_snapshot_under_another_name_is_left_out_and_not_thrown_away) {
  folder_image image = make_image(true);
  std::uint64_t newest = 0;
  for (const auto& [name, content] : image) {
    std::uint64_t lsn = 0;
    if (snapshot_lsn_of(name, lsn)) newest = std::max(newest, lsn);
  }
  EXPECT_TRUE(checked(image).is_sound());
  std::string moved = std::move(image.at(snapshot_name(newest)));
  std::erase_if(image, [](const auto& one) { return one.first.starts_with("snapshot-"); });
  image[snapshot_name(newest + 5)] = moved;
  const journal_report report = checked(image);
  EXPECT_EQ(report.snapshots, 0u);
  ASSERT_FALSE(report.damages.empty());
  EXPECT_NE(report.damages[0].text.find("another snapshot"), std::string::npos);
  virtual_world world;
  put_image(world, image);
  run_virtual_in(world, []() -> task<> {
    journal_model model;
    EXPECT_FALSE((co_await as_result(journal::open("/data", tiny, model))).has_value());
  }());
  EXPECT_TRUE(image_of(world).at(snapshot_name(newest + 5)) == moved);
}

// Two damages: the newest snapshot, and all that was written behind the one before. A snapshot gets
// its name when what it holds is durable, so that much is known to be missing.
TEST(journal_extremes, the_name_of_a_damaged_snapshot_says_what_was_durable) {
  folder_image image = make_image(true);
  std::uint64_t newest = 0;
  for (const auto& [name, content] : image) {
    std::uint64_t lsn = 0;
    if (snapshot_lsn_of(name, lsn)) newest = std::max(newest, lsn);
  }
  image.at(snapshot_name(newest)).back() ^= 1;
  EXPECT_TRUE(checked(image).is_sound());
  const std::uint32_t last = last_begun(image);
  std::string& content = image.at(segment_name(last));
  std::fill(content.begin() + segment_header::size, content.end(), '\0');
  const journal_report report = checked(image);
  EXPECT_FALSE(report.is_sound());
  EXPECT_EQ(report.lsn_last, newest);
  static_cast<void>(accepted_once(image));
  // Nothing else is left at all.
  std::erase_if(image, [](const auto& one) { return segment_number_of(one.first) != 0; });
  std::erase_if(image, [newest](const auto& one) {
    return one.first.starts_with("snapshot-") && one.first != snapshot_name(newest);
  });
  EXPECT_FALSE(checked(image).is_sound());
  static_cast<void>(accepted_once(image));
}

TEST(journal_extremes, a_damaged_length_in_a_snapshot_takes_no_memory_for_itself) {
  constexpr std::uint32_t size = 24 << 20;
  std::string content(weir::detail::snapshot_header::size, '\0');
  encode(weir::detail::snapshot_header{.lsn = 5, .segment = 1, .offset = 64}, content.data());
  content.resize(content.size() + weir::detail::chunk_header::size);
  const std::uint32_t length = size - 100;
  std::memcpy(content.data() + content.size() - 12, &length, sizeof length);
  content.resize(size, 'x');
  virtual_world world;
  put_image(world, {{snapshot_name(5), std::move(content)}});
  memory_watch memory(world);
  run_virtual_in(world, []() -> task<> {
    const journal_report report = co_await check_journal("/data");
    EXPECT_EQ(report.snapshots, 0u);
    EXPECT_NE(report.damages.at(0).text.find("checksum of a slice"), std::string::npos);
  }());
  EXPECT_LT(memory.bytes_highest(), size / 4);
}

// A batch that says its own records were durable before it can't be taken, and is found again and
// again behind the place at which it was not.
TEST(journal_extremes, a_check_ends_at_a_batch_that_says_what_can_not_be) {
  folder_image image = make_image(true);
  std::uint32_t first = 1;
  while (!image.contains(segment_name(first))) ++first;
  std::string& content = image.at(segment_name(first));
  std::uint64_t at = segment_header::size;
  weir::detail::parsed_batch batch =
      weir::detail::parse_batch(std::string_view(content).substr(at), at, 4096);
  ASSERT_EQ(batch.state, weir::detail::batch_state::whole);
  at = weir::detail::align_batch(at + batch.header.length);
  batch = weir::detail::parse_batch(std::string_view(content).substr(at), at, 4096);
  ASSERT_EQ(batch.state, weir::detail::batch_state::whole);
  batch.header.lsn_durable = batch.header.lsn_first;
  seal_batch(batch.header, content.data() + at);
  const journal_report report = checked(image);
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_EQ(report.damages[0].offset, at);
  EXPECT_EQ(report.damages[0].records_lost(), 1u);
}

TEST(journal_extremes, a_segment_is_not_made_as_large_as_its_header_says_when_none_is) {
  folder_image image = make_image(false);
  std::erase_if(image, [&, last = last_begun(image)](const auto& one) {
    return segment_number_of(one.first) > last;
  });
  const std::uint32_t next = last_begun(image) + 1;
  image[segment_name(next)] = empty_segment(
      {.number = next, .epoch = 5, .lsn_first = 1'000'000, .capacity = std::uint64_t{1} << 24});
  virtual_world world;
  put_image(world, image);
  run_virtual_in(world, []() -> task<> {
    journal_model model;
    model.keeps_history = false;
    const auto refused = co_await as_result(journal::open("/data", accepting, model));
    EXPECT_FALSE(refused.has_value());
    if (refused) co_return;
    EXPECT_EQ(refused.error(), errc::malformed);
    EXPECT_NE(refused.error().message().find("says that it has 16777216 bytes, and it has 4096"),
              std::string_view::npos)
        << refused.error().message();
  }());
  EXPECT_TRUE(image_of(world) == image);
}

// Its checksum is right, so it is what somebody wrote, and its client can't make anything of it.
WEIR_TEST("a record that can't be applied ends an opening, and is left out with accept_loss") {
  journal_model model;
  model.keeps_history = false;
  {
    const auto log = co_await journal::open("/data", tiny, model);
    model.over = log.get();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
      co_await model.commit({{journal_model::put, 1, "one"}});
      const record_view odd[] = {{journal_model::put, "short"}, {journal_model::drop, ""}};
      std::vector<location> places(2);
      const auto lsn = co_await log->append(odd, append_class::intake, places);
      co_await log->wait_durable(lsn);
      co_await model.commit({{journal_model::put, 4, "four"}});
      log->close();
    });
  }
  {
    const auto refused = co_await as_result(journal::open("/data", tiny, model));
    EXPECT_EQ(refused.error(), errc::malformed);
    EXPECT_EQ(refused.error().message(),
              "record 2 of the journal can't be applied; --accept-loss leaves it out");
  }
  {
    const auto log = co_await journal::open("/data", accepting, model);
    EXPECT_EQ(log->recovery().losses, 1u);
    EXPECT_EQ(log->recovery().records_lost, 2u);
    EXPECT_EQ(log->recovery().records_replayed, 2u);
    EXPECT_TRUE(model.has(1) && model.has(4));
    co_await put_one(&model, log.get());
  }
  const auto again = co_await as_result(journal::open("/data", tiny, model));
  EXPECT_TRUE(again.has_value());
  EXPECT_TRUE(model.has(1) && model.has(4) && model.has(7777));
}

WEIR_TEST("a place of more bytes than a record has is refused before memory is taken for it") {
  journal_model model;
  const auto log = co_await journal::open("/data", tiny, model);
  const auto read = co_await as_result(log->read({.segment = 1, .offset = 64, .size = UINT32_MAX}));
  EXPECT_EQ(read.error(), errc::corrupt);
  EXPECT_NE(read.error().message().find("no record's size"), std::string_view::npos);
}

}  // namespace
}  // namespace weir::journal_extremes_test

// Damage from outside: files cut at every byte, every byte flipped, files exchanged or missing. An
// opening either gives exactly what was acknowledged, or refuses and says what is lost.
#include <weir/store/journal.hpp>

#include <weir/base/text.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/store/folder_image_test.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/store/internal/segment_reader.hpp>
#include <weir/store/journal_check.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::journal_damage_test {
namespace {

using weir::detail::journal_model;
using namespace weir::testing;

constexpr journal_options tiny{.segment_bytes = 4096,
                               .reserve_segments = 1,
                               .pending_bytes_max = 4096,
                               .group_bytes_max = 1024,
                               .snapshot_bytes = 1 << 30,
                               .snapshot_slice_bytes = 64};

struct opened {
  std::optional<error> refusal;
  std::string difference;           // from the model
  std::optional<error> unreadable;  // a value whose record is damaged
  std::uint64_t lsn = 0;
  std::uint64_t records_lost = 0;
  journal_report report;
};

task<> fill(journal_model& model, bool is_snapshot_wanted, int count) {
  auto log = co_await journal::open("/data", tiny, model);
  model.over = log.get();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
    for (int i = 1; i <= count; ++i) {
      const auto id = static_cast<std::uint64_t>(i);
      co_await model.commit({{journal_model::put, id, std::string(50, 'x')},
                             {journal_model::put, 1000 + id, std::string(20, 'y')}});
      if (i % 3 == 0) co_await model.commit({{journal_model::drop, id, {}}});
      if (is_snapshot_wanted && i % (count / 2) == 0) {
        log->want_snapshot();
        while (log->stats().snapshots_written < static_cast<unsigned>(2 * i / count)) {
          co_await sleep(duration::milliseconds(1));
        }
      }
    }
    log->close();
  });
}

folder_image make_image(journal_model& model, bool is_snapshot_wanted, int count) {
  virtual_world world;
  run_virtual_in(world, fill(model, is_snapshot_wanted, count));
  return image_of(world);
}

task<> open_once(journal_model& model, journal_options options, opened& outcome) {
  outcome.report = co_await check_journal("/data");
  auto log = co_await as_result(journal::open("/data", options, model));
  if (!log) {
    outcome.refusal = log.error();
    co_return;
  }
  outcome.lsn = (*log)->lsn_durable();
  outcome.records_lost = (*log)->recovery().records_lost;
  model.over = log->get();
  outcome.difference = model.compare(outcome.lsn);
  if (!outcome.difference.empty()) co_return;
  // It must be fit for use, not only readable.
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log->get());
    auto compared = co_await as_result(model.compare_values());
    // What lies in front of the snapshot is read only when it is wanted; then its damage is found.
    if (!compared) outcome.unreadable = compared.error();
    if (compared) outcome.difference = *compared;
    co_await model.commit({{journal_model::put, 5000, "after"}});
    (*log)->close();
  });
}

opened open_image(const folder_image& image, journal_model model, bool accept_loss = false) {
  virtual_world world;
  put_image(world, image);
  journal_options options = tiny;
  options.accept_loss = accept_loss;
  opened outcome;
  run_virtual_in(world, open_once(model, options, outcome));
  return outcome;
}

/// Either everything is there, or it is refused as damaged and the check says so as well.
void expect_right(const opened& outcome, const std::string& where, int& refused) {
  if (outcome.refusal) {
    ++refused;
    ASSERT_EQ(*outcome.refusal, errc::corrupt) << where;
    ASSERT_NE(outcome.refusal->message().find("weir check"), std::string_view::npos) << where;
    ASSERT_FALSE(outcome.report.is_sound()) << where;
    return;
  }
  ASSERT_EQ(outcome.difference, "") << where;
  ASSERT_TRUE(outcome.report.is_sound()) << where;
  if (outcome.unreadable) {
    ASSERT_EQ(*outcome.unreadable, errc::corrupt) << where;
    ASSERT_FALSE(outcome.report.damages.empty()) << where;
  }
}

void flip_every_byte(bool is_snapshot_wanted, int count, const std::vector<int>& masks) {
  journal_model model;
  const folder_image image = make_image(model, is_snapshot_wanted, count);
  int refused = 0;
  int accepted = 0;
  for (const auto& [name, content] : image) {
    // A prepared segment is all the same: every 64th byte and its header will do.
    const bool is_blank = weir::detail::is_blank(content);
    for (std::size_t at = 0; at < content.size(); at += is_blank && at >= 64 ? 64 : 1) {
      for (const int mask : masks) {
        folder_image damaged = image;
        damaged[name][at] = static_cast<char>(damaged[name][at] ^ mask);
        const int before = refused;
        expect_right(open_image(damaged, model), name + " byte " + std::to_string(at), refused);
        if (::testing::Test::HasFatalFailure()) return;
        accepted += before == refused;
      }
    }
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(accepted, 300);
}

TEST(journal_damage, with_any_byte_flipped_all_is_there_or_the_loss_is_said) {
  flip_every_byte(false, 8, {0xff, 1});
}

TEST(journal_damage, with_any_byte_flipped_behind_snapshots_all_is_there_or_the_loss_is_said) {
  flip_every_byte(true, 24, {0x10});
}

TEST(journal_damage, a_segment_cut_at_any_byte_is_refused) {
  journal_model model;
  const folder_image image = make_image(model, false, 8);
  const std::string first = weir::detail::segment_name(1);
  for (std::size_t size = 0; size < image.at(first).size(); ++size) {
    folder_image damaged = image;
    damaged[first].resize(size);
    int refused = 0;
    expect_right(open_image(damaged, model), "cut to " + std::to_string(size), refused);
    ASSERT_EQ(refused, 1) << size;
  }
}

TEST(journal_damage, a_snapshot_cut_at_any_byte_is_left_out_and_nothing_is_lost) {
  journal_model model;
  const folder_image image = make_image(model, true, 12);
  const std::string newest = [&] {
    std::string found;
    for (const auto& [name, content] : image) {
      if (name.starts_with("snapshot")) found = name;
    }
    return found;
  }();
  ASSERT_FALSE(newest.empty());
  for (std::size_t size = 0; size < image.at(newest).size(); ++size) {
    folder_image damaged = image;
    damaged[newest].resize(size);
    int refused = 0;
    expect_right(open_image(damaged, model), "cut to " + std::to_string(size), refused);
    ASSERT_EQ(refused, 0) << size;
  }
}

TEST(journal_damage, a_snapshot_that_the_disk_cannot_read_is_left_out_when_there_is_another) {
  journal_model model;
  folder_image image = make_image(model, true, 12);
  std::uint64_t segments = 0;
  for (const auto& [name, content] : image) segments += name.ends_with(".seg") ? 1 : 0;
  std::string oldest;
  for (const auto& [name, content] : image) {
    if (oldest.empty() && name.starts_with("snapshot")) oldest = name;
  }
  for (const bool has_another : {true, false}) {
    if (!has_another) image.erase(oldest);
    virtual_world world;
    put_image(world, image);
    // Each segment's header is read, then the newest snapshot.
    world.add_fault({.op = io_op::read_at, .nth = segments + 1});
    run_virtual_in(world, [](journal_model* m, bool is_fine) -> task<> {
      const auto log = co_await as_result(journal::open("/data", tiny, *m));
      EXPECT_EQ(log.has_value(), is_fine);
      if (log) EXPECT_EQ(m->compare((*log)->lsn_durable()), "");
      if (log) co_return;
      EXPECT_EQ(log.error(), errc::io);
      EXPECT_TRUE(log.error().message().contains(".snap' can't be read at byte 0"));
    }(&model, has_another));
    EXPECT_EQ(world.faults_struck(), 1u);
  }
}

// The last group of a journal that was not closed can't be told from one that a crash tore; all
// groups before it can.
TEST(journal_damage, a_tail_of_zeros_from_any_byte_gives_a_prefix_or_is_refused) {
  journal_model model;
  const folder_image image = make_image(model, false, 8);
  const std::string name = weir::detail::segment_name(1);
  std::size_t used = image.at(name).size();
  while (image.at(name)[used - 1] == '\0') --used;
  for (std::size_t from = weir::detail::segment_header::size; from < used; ++from) {
    folder_image damaged = image;
    std::fill(damaged[name].begin() + static_cast<std::ptrdiff_t>(from), damaged[name].end(), '\0');
    journal_model any = model;
    any.acknowledged = 0;
    const opened outcome = open_image(damaged, any);
    ASSERT_FALSE(outcome.refusal.has_value()) << from;
    ASSERT_EQ(outcome.difference, "") << from;
  }
}

TEST(journal_damage, a_missing_file_is_refused_by_its_name) {
  journal_model model;
  const folder_image image = make_image(model, false, 60);
  std::uint32_t segments = 0;
  for (const auto& [name, content] : image) segments += weir::detail::segment_number_of(name) != 0;
  ASSERT_GE(segments, 5u);
  for (std::uint32_t number = 1; number < segments; ++number) {
    folder_image damaged = image;
    damaged.erase(weir::detail::segment_name(number));
    const opened outcome = open_image(damaged, model);
    ASSERT_TRUE(outcome.refusal.has_value()) << number;
    EXPECT_NE(outcome.refusal->message().find(weir::detail::segment_name(number)),
              std::string_view::npos)
        << outcome.refusal->message();
  }
}

TEST(journal_damage, a_wiped_sector_at_the_start_of_a_segment_is_refused) {
  journal_model model;
  const folder_image image = make_image(model, false, 60);
  for (std::uint32_t number = 1; number <= 3; ++number) {
    folder_image damaged = image;
    damaged[weir::detail::segment_name(number)].replace(0, 512, 512, '\0');
    const opened outcome = open_image(damaged, model);
    ASSERT_TRUE(outcome.refusal.has_value()) << number;
    EXPECT_EQ(*outcome.refusal, errc::corrupt);
  }
}

TEST(journal_damage, two_segments_exchanged_are_refused) {
  journal_model model;
  const folder_image image = make_image(model, false, 60);
  folder_image damaged = image;
  std::swap(damaged[weir::detail::segment_name(2)], damaged[weir::detail::segment_name(3)]);
  EXPECT_TRUE(open_image(damaged, model).refusal.has_value());
}

TEST(journal_damage, the_refusal_names_file_bytes_and_records) {
  journal_model model;
  folder_image image = make_image(model, false, 8);
  std::string& content = image[weir::detail::segment_name(1)];
  content[weir::detail::segment_header::size + 60] ^= 1;  // in the first batch: records 1 and 2
  const opened outcome = open_image(image, model);
  ASSERT_TRUE(outcome.refusal.has_value());
  EXPECT_EQ(outcome.refusal->message(),
            "acknowledged data in '/data' is damaged: journal-0000000001.seg, bytes 64 to 216: no "
            "batch can be read here, but behind it; records 1 to 2 can't be read. `weir check "
            "/data` tells more; with --accept-loss the rest is opened");
}

TEST(journal_damage, with_accept_loss_all_but_the_damaged_records_are_there_and_it_is_said_once) {
  journal_model model;
  folder_image image = make_image(model, false, 8);
  image[weir::detail::segment_name(1)][weir::detail::segment_header::size + 60] ^= 1;
  virtual_world world;
  put_image(world, image);
  run_virtual_in(world, [](journal_model* m) -> task<> {
    journal_options options = tiny;
    options.accept_loss = true;
    auto log = co_await journal::open("/data", options, *m);
    m->over = log.get();
    EXPECT_EQ(log->recovery().records_lost, 2u);
    EXPECT_EQ(m->size(), 12u);  // of 16, 2 were dropped and 2 are lost
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
      co_await m->commit({{journal_model::put, 77, "new"}});
      while (log->stats().snapshots_written == 0) co_await sleep(duration::milliseconds(1));
      log->close();
    });
  }(&model));
  run_virtual_in(world, [](journal_model* m) -> task<> {
    const auto again = co_await as_result(journal::open("/data", tiny, *m));
    EXPECT_TRUE(again.has_value());
    EXPECT_EQ(m->size(), 13u);
  }(&model));
}

task<> accept_and_use(journal_model* model) {
  journal_options options = tiny;
  options.accept_loss = true;
  auto log = co_await journal::open("/data", options, *model);
  EXPECT_GE(log->recovery().losses, 1u);
  model->over = log.get();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
    co_await model->commit({{journal_model::put, 7777, "new"}});
    for (int i = 0; i < 1000 && log->stats().snapshots_written == 0; ++i) {
      co_await sleep(duration::milliseconds(1));
    }
    EXPECT_EQ(log->stats().snapshots_written, 1u);
    log->close();
  });
}

void expect_accepted_once(const folder_image& image, const std::string& what) {
  virtual_world world;
  put_image(world, image);
  journal_model model;
  model.keeps_history = false;
  run_virtual_in(world, [](journal_model* m, std::string which) -> task<> {
    const auto refused = co_await as_result(journal::open("/data", tiny, *m));
    EXPECT_FALSE(refused.has_value()) << which;
  }(&model, what));
  run_virtual_in(world, accept_and_use(&model));
  run_virtual_in(world, [](journal_model* m, std::string which) -> task<> {
    const journal_report report = co_await check_journal("/data");
    EXPECT_TRUE(report.is_sound()) << which;
    const auto again = co_await as_result(journal::open("/data", tiny, *m));
    EXPECT_TRUE(again.has_value()) << which << ": " << describe(again.error());
    if (again) EXPECT_FALSE((co_await (*again)->read(m->place_of(7777))).payload.empty());
  }(&model, what));
}

TEST(journal_damage, a_loss_is_accepted_once_whatever_was_lost) {
  journal_model model;
  for (const bool has_snapshots : {false, true}) {
    const folder_image image = make_image(model, has_snapshots, 60);
    model = journal_model();
    for (const auto& [name, content] : image) {
      if (weir::detail::segment_number_of(name) == 0) continue;
      const std::string where = name + (has_snapshots ? ", with snapshots" : "");
      for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{2000}}) {
        folder_image cut = image;
        cut[name].resize(size);
        expect_accepted_once(cut, where + " cut to " + std::to_string(size));
      }
      weir::detail::segment_header header;
      const bool is_begun = weir::detail::decode(content, header) &&
                            header.number == weir::detail::segment_number_of(name);
      if (!is_begun) continue;  // nothing is in it
      folder_image wiped = image;
      wiped[name].replace(0, 512, 512, '\0');
      expect_accepted_once(wiped, where + " wiped");
      folder_image longer = image;
      longer[name] += std::string(4096, 'x');
      expect_accepted_once(longer, where + " longer");
      if (has_snapshots) continue;  // then it may be one of which nothing is needed
      folder_image missing = image;
      missing.erase(name);
      expect_accepted_once(missing, where + " missing");
    }
  }
}

TEST(journal_damage, what_a_used_again_segment_held_before_is_never_taken_for_records) {
  // A segment that was prepared from an old one: its stale batches are whole and lie where new ones
  // are looked for.
  journal_model model;
  folder_image image = make_image(model, false, 60);
  std::uint32_t last = 0;
  for (const auto& [name, content] : image) {
    last = std::max(last, weir::detail::segment_number_of(name));
  }
  image[weir::detail::segment_name(last)] = image.at(weir::detail::segment_name(1));
  const opened outcome = open_image(image, model);
  EXPECT_FALSE(outcome.refusal.has_value());
  EXPECT_EQ(outcome.difference, "");
}

std::uint32_t last_segment(const folder_image& image, bool is_begun) {
  std::uint32_t last = 0;
  for (const auto& [name, content] : image) {
    weir::detail::segment_header header;
    const std::uint32_t number = weir::detail::segment_number_of(name);
    const bool is_meant = !is_begun || weir::detail::decode(content, header);
    if (is_meant) last = std::max(last, number);
  }
  return last;
}

// The header of the last segment is lost, and with it what is behind the snapshot. What is appended
// after that was accepted must not hide behind the place from which the snapshot replays.
TEST(journal_damage, what_follows_an_accepted_loss_is_there_before_a_snapshot_knows_of_it) {
  for (const int count : {8, 9, -8, -9}) {  // 8: the snapshot knows all; 9: one group is behind it
    journal_model model;
    folder_image image = make_image(model, true, std::abs(count));
    const std::string name = weir::detail::segment_name(last_segment(image, true));
    // Without prepared ones behind it, its number is given again.
    while (count < 0 && last_segment(image, false) != last_segment(image, true)) {
      image.erase(weir::detail::segment_name(last_segment(image, false)));
    }
    image[name].replace(0, 64, 64, '\0');
    virtual_world world;
    put_image(world, image);
    model.keeps_history = false;
    run_outcome_in(
        world,
        [](virtual_world* on, journal_model* m) -> task<> {
          journal_options options = tiny;
          options.accept_loss = true;
          auto log = co_await journal::open("/data", options, *m);
          m->over = log.get();
          on->add_fault({.op = io_op::rename, .count = 1000});  // no snapshot gets its name
          co_await with_scope([&](scope& s) -> task<> {
            s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
            co_await m->commit({{journal_model::put, 7777, "new"}});
            on->crash(crash_loss::none);
          });
        }(&world, &model),
        {.may_leave_handles = true});
    world.drop_faults();
    const folder_image left = image_of(world);
    ASSERT_TRUE(left.contains(name + ".damaged")) << count;
    EXPECT_TRUE(left.at(name + ".damaged") == image.at(name)) << count;
    run_virtual_in(world, [](journal_model* m, int which) -> task<> {
      const auto again = co_await as_result(journal::open("/data", tiny, *m));
      if (!again) EXPECT_EQ(again.error(), errc::corrupt) << which;  // said, at least
      journal_options options = tiny;
      options.accept_loss = true;
      const auto accepted = again ? nullptr : co_await journal::open("/data", options, *m);
      const journal& log = again ? **again : *accepted;
      EXPECT_GT(log.recovery().records_replayed, 0u) << which;
      m->over = again ? again->get() : accepted.get();
      const stored_record read = co_await m->over->read(m->place_of(7777));
      EXPECT_EQ(read.payload.text().substr(8), "new") << which;
    }(&model, count));
  }
}

// Whole in itself, but of a number that no record of this segment can have: emptying the
// segment found it, could not take it, and looked from the same place again, for ever.
TEST(journal_damage, a_batch_of_an_impossible_number_does_not_hold_up_who_empties_its_segment) {
  journal_model model;
  folder_image image = make_image(model, false, 60);
  char* const batch = image.at(weir::detail::segment_name(1)).data() + 64;
  weir::detail::batch_header header =
      weir::detail::decode_batch_header({batch, weir::detail::batch_header::size});
  header.lsn_first = std::uint64_t{1} << 56;
  weir::detail::seal_batch(header, batch);
  expect_accepted_once(image, "first batch");
}

/// Bytes that look like a whole batch at `offset`: what a client may send as a body.
std::string batch_look_alike(std::uint64_t offset, std::uint32_t length) {
  std::string bytes(weir::detail::batch_header::size, '\0');
  constexpr std::uint64_t far = std::uint64_t{1} << 40;
  const auto own = static_cast<std::uint32_t>(offset);
  weir::detail::seal_batch({.length = weir::detail::batch_header::size,
                            .epoch = 7,
                            .lsn_first = far,
                            .lsn_durable = far - 1,
                            .offset = own},
                           bytes.data());
  std::memcpy(bytes.data() + 4, &length, sizeof length);
  return bytes;
}

TEST(journal_damage, a_body_that_looks_like_a_batch_is_none_in_a_segment_that_is_used_again) {
  journal_model model;
  folder_image image = make_image(model, false, 60);
  std::string& again = image[weir::detail::segment_name(last_segment(image, false))];
  again = image.at(weir::detail::segment_name(1));
  constexpr std::size_t at = 1024;
  again.replace(at, weir::detail::batch_header::size,
                batch_look_alike(at, weir::detail::batch_header::size));
  const opened outcome = open_image(image, model);
  EXPECT_FALSE(outcome.refusal.has_value());
  EXPECT_TRUE(outcome.report.is_sound());
  EXPECT_EQ(outcome.difference, "");
}

// A first write that went astray leaves the header of the use before, which is whole.
TEST(journal_damage, a_begun_segment_with_the_first_sector_of_its_use_before_is_refused) {
  journal_model model;
  folder_image image = make_image(model, false, 60);
  const std::string first = image.at(weir::detail::segment_name(1)).substr(0, 512);
  image[weir::detail::segment_name(last_segment(image, true))].replace(0, 512, first);
  EXPECT_TRUE(open_image(image, model).refusal.has_value());
}

TEST(journal_damage, a_body_made_of_headers_costs_no_more_to_look_through_than_any_other) {
  constexpr std::uint32_t size = 3 << 20;
  std::string content(size, 'x');
  for (std::size_t at = 4096; at < 4096 + 100 * 64; at += 64) {
    const std::string header = batch_look_alike(at, size / 2);
    content.replace(at, header.size(), header);
  }
  virtual_world world;
  EXPECT_EQ(world.disk().put_file("/file", content), 0);
  run_virtual_in(world, []() -> task<> {
    file from = co_await open_file("/file", {});
    weir::detail::segment_reader reader(from, size, "/file");
    EXPECT_FALSE((co_await reader.look_behind(64, {.epoch = 12'345})).is_found);
  }());
  EXPECT_LE(world.count_of(io_op::read_at), 5u);
}

TEST(journal_damage, the_check_counts_what_is_there_and_changes_nothing) {
  journal_model model;
  const folder_image image = make_image(model, true, 40);
  virtual_world world;
  put_image(world, image);
  journal_report report;
  run_virtual_in(world, [](journal_report* out) -> task<> {
    *out = co_await check_journal("/data");
  }(&report));
  EXPECT_TRUE(report.is_sound());
  EXPECT_TRUE(report.damages.empty());
  EXPECT_EQ(report.records, model.history().size());
  EXPECT_EQ(report.lsn_last, model.history().size());
  EXPECT_EQ(report.snapshots, 2u);
  EXPECT_GE(report.segments, 2u);
  EXPECT_EQ(report.segments_gone, 0u);
  EXPECT_EQ(image_of(world), image);
}

TEST(journal_damage, the_check_counts_segments_that_are_gone_since_only_a_start_knows_their_worth) {
  journal_model model;
  folder_image image = make_image(model, true, 60);
  std::uint32_t first = 1;  // those before it have been given up
  while (!image.contains(weir::detail::segment_name(first))) ++first;
  image.erase(weir::detail::segment_name(first));
  const opened outcome = open_image(image, model);
  EXPECT_EQ(outcome.report.segments_gone, first);
  EXPECT_TRUE(outcome.report.is_sound());
  EXPECT_TRUE(outcome.refusal.has_value());  // something in it is alive
}

WEIR_TEST("a check of a folder without a journal says so") {
  co_await expect_raises<errc::not_found>(check_journal("/nowhere"));
}

}  // namespace
}  // namespace weir::journal_damage_test

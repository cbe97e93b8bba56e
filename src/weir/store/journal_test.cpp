#include <weir/store/journal.hpp>

#include <weir/base/crc32c.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/log_listener_test.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/file.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/store/journal_check.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weir::journal_test {
namespace {

using weir::detail::journal_model;
using weir::detail::journal_version;
using weir::detail::segment_header;
using weir::detail::snapshot_header;
using namespace weir::literals;
using namespace weir::testing;

constexpr journal_options small{.segment_bytes = 16384,
                                .pending_bytes_max = 16384,
                                .group_bytes_max = 4096,
                                .snapshot_bytes = 32768,
                                .snapshot_slice_bytes = 256};

journal_model::change put(std::uint64_t id, std::string value) {
  return {journal_model::put, id, std::move(value)};
}
journal_model::change drop(std::uint64_t id) { return {journal_model::drop, id, {}}; }

/// Opens the journal, compares what it holds with the model, runs `body` over it and closes it.
template <class Body>
task<> life(journal_model& model, journal_options options, Body body) {
  auto log = co_await journal::open("/data", options, model);
  model.over = log.get();
  EXPECT_EQ(model.compare(log->lsn_durable()), "");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
    EXPECT_EQ(co_await model.compare_values(), "");
    co_await body(*log);
    log->close();
  });
}

WEIR_TEST("what was committed is there after the journal is closed and opened") {
  journal_model model;
  co_await life(model, small, [&](journal&) -> task<> {
    co_await model.commit({put(1, "one"), put(2, "two")});
    co_await model.commit({put(3, std::string(1000, 'x')), drop(1)});
  });
  EXPECT_EQ(model.acknowledged, 4u);
  co_await life(model, small, [&](journal& log) -> task<> {
    EXPECT_EQ(log.recovery().records_replayed, 4u);
    EXPECT_EQ(model.size(), 2u);
    co_return;
  });
}

WEIR_TEST("records are read before and after they are durable") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    const auto lsn = model.try_change({put(7, "soon")});
    EXPECT_TRUE(lsn.has_value());
    EXPECT_LT(log.lsn_durable(), *lsn);
    EXPECT_EQ((co_await log.read(model.place_of(7))).payload.text().substr(8), "soon");
    co_await log.wait_durable(*lsn);
    EXPECT_EQ((co_await log.read(model.place_of(7))).payload.text().substr(8), "soon");
  });
}

WEIR_TEST("appends that wait for the disk together share one sync") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    co_await model.commit({put(0, "first")});
    const std::uint64_t before = log.stats().syncs;
    co_await with_scope([&](scope& s) -> task<> {
      for (std::uint64_t id = 1; id <= 50; ++id) {
        s.spawn([](journal_model* m,
                   std::uint64_t which) -> task<> { co_await m->commit({put(which, "together")}); },
                &model, id);
      }
      co_await s.join();
    });
    EXPECT_LE(log.stats().syncs - before, 8u);
  });
}

WEIR_TEST("a journal grows over many segments and is replayed over all of them") {
  journal_model model;
  journal_options options = small;
  options.snapshot_bytes = 1 << 30;
  co_await life(model, options, [&](journal& log) -> task<> {
    for (std::uint64_t id = 1; id <= 100; ++id) {
      co_await model.commit({put(id, std::string(1000, 'x'))});
    }
    EXPECT_GE(log.stats().segments, 7u);
  });
  co_await life(model, options, [&](journal& log) -> task<> {
    EXPECT_EQ(log.recovery().records_replayed, 100u);
    co_return;
  });
}

WEIR_TEST("what is appended faster than the disk writes waits for room") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    std::uint64_t id = 1;
    result<std::uint64_t> lsn = 0;
    while ((lsn = model.try_change({put(id, std::string(1000, 'x'))}))) ++id;
    EXPECT_EQ(lsn.error(), errc::full);
    EXPECT_LE(log.stats().pending_bytes, small.pending_bytes_max + 200);
    co_await log.wait_room(1016, append_class::intake);
    EXPECT_TRUE(model.try_change({put(id, std::string(1000, 'x'))}).has_value());
  });
}

WEIR_TEST("an append beyond a limit is refused and changes nothing") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    const auto refused = model.try_change({put(1, std::string(5000, 'x'))});
    EXPECT_EQ(refused.error(), errc::too_large);
    EXPECT_EQ(log.stats().lsn_appended, 0u);
    log.close();
    EXPECT_EQ(model.try_change({put(1, "late")}).error(), errc::closed);
    co_return;
  });
}

WEIR_TEST("a second opening of the same folder is refused with its name") {
  journal_model model;
  co_await life(model, small, [&](journal&) -> task<> {
    journal_model other;
    const auto second = co_await as_result(journal::open("/data", small, other));
    EXPECT_FALSE(second.has_value());
    EXPECT_EQ(second.error(), errc::busy);
    EXPECT_NE(second.error().message().find("'/data' is in use"), std::string_view::npos);
  });
}

WEIR_TEST("a check of a folder that is in use is refused, and one that goes on keeps others out") {
  journal_model model;
  co_await life(model, small, [&](journal&) -> task<> {
    co_await model.commit({put(1, "one")});
    co_await expect_raises<errc::busy>(check_journal("/data"));
  });
  EXPECT_TRUE((co_await check_journal("/data")).is_sound());
  const auto lock = co_await weir::detail::lock_to_read("/data");
  EXPECT_TRUE(lock.has_value());
  co_await expect_raises<errc::busy>(journal::open("/data", small, model));
}

WEIR_TEST("a snapshot shortens the replay and changes nothing else") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    for (std::uint64_t id = 1; id <= 40; ++id) co_await model.commit({put(id, "value")});
    log.want_snapshot();
    while (log.stats().snapshots_written == 0) co_await sleep(1_ms);
    co_await model.commit({put(41, "after")});
  });
  co_await life(model, small, [&](journal& log) -> task<> {
    EXPECT_EQ(log.recovery().snapshot_lsn, 40u);
    EXPECT_EQ(log.recovery().records_replayed, 1u);
    co_return;
  });
}

/// Notes what it is told, and that `done` never falls nor exceeds `total`.
struct progress_notes final : progress_listener {
  void progressed(std::uint64_t done, std::uint64_t total) noexcept override {
    EXPECT_LE(last, done);
    EXPECT_LE(done, total);
    last = done;
    ++calls;
  }
  std::uint64_t last = 0;
  int calls = 0;
};

WEIR_TEST("opening and checking tell how far they are") {
  journal_model model;
  journal_options options = small;
  options.snapshot_bytes = 1 << 30;  // one snapshot, when it is asked for
  co_await life(model, options, [&](journal& log) -> task<> {
    for (std::uint64_t i = 0; i < 50; ++i) co_await model.commit({put(i, std::string(900, 'x'))});
    EXPECT_TRUE(co_await log.write_snapshot());
    for (std::uint64_t i = 0; i < 50; ++i) co_await model.commit({put(i, std::string(900, 'y'))});
  });
  progress_notes checking;
  const journal_report report = co_await check_journal("/data", &checking);
  EXPECT_GT(report.segments, 2u);
  EXPECT_GT(checking.calls, 50);  // a batch each, and the slices of the snapshot
  EXPECT_GT(checking.last, (report.segments - 1) * small.segment_bytes);

  progress_notes opening;
  options.progress = &opening;
  co_await life(model, options, [](journal&) -> task<> { co_return; });
  EXPECT_GT(opening.calls, 10);  // what is behind the newest snapshot
  EXPECT_GT(opening.last, small.segment_bytes);
}

/// Gives the header at the begin of a file another version, with a checksum that fits.
task<> set_version(std::string path, std::size_t header_size, std::uint32_t version) {
  file on = co_await open_file(std::move(path), {.write = true});
  std::string head(header_size, '\0');
  for (std::size_t got = 0; got < header_size;) {
    got += co_await on.read_at(got, std::span(head).subspan(got));
  }
  std::memcpy(head.data() + 12, &version, sizeof version);
  const std::uint32_t crc = crc32c(std::string_view(head).substr(12));
  std::memcpy(head.data() + 8, &crc, sizeof crc);
  co_await on.write_at(0, head);
}

WEIR_TEST("a journal of a newer version is refused by name, and nothing in it is dropped") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    co_await model.commit({put(1, "one")});
    EXPECT_TRUE(co_await log.write_snapshot());
    co_await model.commit({put(2, "two")});
  });
  std::string snapshot;
  for (const std::string& name : list_dir("/data")) {
    if (name.starts_with("snapshot-")) snapshot = "/data/" + name;
  }
  const std::string segment = "/data/" + weir::detail::segment_name(1);
  const auto refuses = [&](const std::string& path) -> task<> {
    const auto opening = co_await as_result(journal::open("/data", small, model));
    EXPECT_TRUE(!opening && opening.error() == errc::unsupported);
    if (!opening) EXPECT_TRUE(opening.error().message().contains(path));
    co_await expect_raises<errc::unsupported>(check_journal("/data"));
  };
  co_await set_version(segment, segment_header::size, journal_version + 1);
  co_await refuses(segment);
  co_await set_version(segment, segment_header::size, journal_version);
  co_await set_version(snapshot, snapshot_header::size, journal_version + 1);
  co_await refuses(snapshot);
  co_await set_version(snapshot, snapshot_header::size, journal_version);
  co_await life(model, small, [&](journal&) -> task<> {
    EXPECT_EQ(model.size(), 2u);
    co_return;
  });
}

WEIR_TEST("segments in which nothing is alive are used again") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    for (std::uint64_t id = 1; id <= 400; ++id) {
      co_await model.commit({put(id, std::string(1000, 'x'))});
      if (id > 10) co_await model.commit({drop(id - 10)});
    }
    EXPECT_GE(log.stats().segments_released, 10u);
    EXPECT_LE(log.stats().disk_bytes, 14 * small.segment_bytes);
  });
  co_await life(model, small, [&](journal&) -> task<> { co_return; });
}

// Giving a segment up takes several steps on the disk; a reading may begin between any two.
WEIR_TEST("a segment is not given up under somebody who has begun to read it") {
  journal_model model;
  journal_options options = small;
  options.segment_bytes = 8192;
  options.snapshot_bytes = 4096;
  options.recent_bytes_max = 0;  // all is read from the disk
  std::vector<location> places;
  bool is_over = false;
  const auto read_all = [](journal* log, const std::vector<location>* from,
                           const bool* ends) -> task<> {
    for (std::size_t next = 0; !*ends;) {
      if (next < from->size()) {
        const auto read = co_await as_result(log->read((*from)[next]));
        if (!read) {
          EXPECT_EQ(read.error(), errc::not_found);
          ++next;
        }
      }
      co_await sleep(1_ms);
    }
  };
  co_await life(model, options, [&](journal& log) -> task<> {
    world().set_latency(1_ms, 3_ms);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(read_all, &log, &places, &is_over);
      for (std::uint64_t id = 1; id <= 40; ++id) {
        co_await model.commit({put(id, std::string(1000, 'x'))});
        places.push_back(model.place_of(id));
        co_await model.commit({drop(id)});
      }
      is_over = true;
    });
    EXPECT_GE(log.stats().segments_released, 2u);
  });
}

WEIR_TEST("a segment whose file can't be moved or removed is not forgotten") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    for (std::uint64_t id = 1; id <= 150; ++id) {
      if (id % 15 == 0) world().add_fault({.op = id % 2 == 0 ? io_op::rename : io_op::remove});
      std::vector<journal_model::change> changes = {put(id, std::string(1000, 'x'))};
      if (id > 40) changes.push_back(drop(id - 40));
      // A failure keeps new messages out until it is over.
      while (!co_await as_result(model.commit(changes))) co_await sleep(1_s);
    }
    co_await sleep(10_s);
    std::uint64_t files = 0;
    for (const std::string& name : list_dir("/data")) files += name.ends_with(".seg") ? 1 : 0;
    EXPECT_EQ(files, log.stats().segments + log.stats().segments_prepared);
    EXPECT_GE(log.stats().segments_released, 2u);
    EXPECT_GE(world().faults_struck(), 4u);
  });
}

WEIR_TEST("a file that can't be removed keeps no messages out") {
  journal_model model;
  const log_listener heard;
  co_await life(model, small, [&](journal& log) -> task<> {
    world().add_fault({.op = io_op::remove, .code = EPERM, .count = 1'000'000});
    for (std::uint64_t id = 1; id <= 150; ++id) {
      co_await model.commit({put(id, std::string(1000, 'x'))});
      if (id > 40) co_await model.commit({drop(id - 40)});
      if (id % 20 == 0) co_await sleep(2_s);
    }
    EXPECT_EQ(log.growth_failure(), nullptr);
  });
  std::size_t said = 0;
  for (const std::string& line : heard.lines) said += line.contains("can't be given up") ? 1 : 0;
  EXPECT_GT(world().faults_struck(), 4u);
  EXPECT_LT(said, world().faults_struck());
}

WEIR_TEST("one old record in each segment does not pin the disk") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    for (std::uint64_t id = 1; id <= 600; ++id) {
      co_await model.commit({put(id, std::string(1000, 'x'))});
      if (id % 14 != 0) co_await model.commit({drop(id)});
    }
    const std::uint64_t live = model.live_total();
    EXPECT_LE(log.stats().disk_bytes, 2 * live + 12 * small.segment_bytes);
    EXPECT_GT(log.stats().segments_compacted, 0u);
    EXPECT_GT(model.relocations, 0u);
  });
  co_await life(model, small, [&](journal&) -> task<> { co_return; });
}

WEIR_TEST("a record too large for segments of today is left where it is, and others are moved") {
  journal_model model;
  journal_options large = small;
  large.segment_bytes = 65536;
  large.group_bytes_max = 16384;
  co_await life(model, large, [&](journal&) -> task<> {
    co_await model.commit({put(1, std::string(12'000, 'x'))});
    for (std::uint64_t id = 2; id < 80; ++id) {
      co_await model.commit({put(id, std::string(1000, 'x')), drop(id)});
    }
  });
  co_await life(model, small, [&](journal& log) -> task<> {
    const location before = model.place_of(1);
    for (std::uint64_t id = 100; id < 250; ++id) {
      co_await model.commit({put(id, std::string(1000, 'x'))});
      if (id % 3 != 0) co_await model.commit({drop(id)});
    }
    EXPECT_EQ(model.place_of(1), before);
    EXPECT_GT(log.stats().segments_compacted, 0u);
  });
  co_await life(model, small, [&](journal&) -> task<> { co_return; });
}

// As after a loss that was accepted: the state may take a record to be where none is.
WEIR_TEST("what is not where it is taken to be holds up the emptying of no other segment") {
  journal_model model;
  model.keeps_history = false;
  auto log = co_await journal::open("/data", small, model);
  model.over = log.get();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
    co_await model.commit({put(1, "first")});
    const std::string nowhere(8, 'n');
    const record_view record{.kind = journal_model::put, .payload = nowhere};
    EXPECT_TRUE(model.apply(record, {.segment = 1, .offset = 16'000, .size = 1}, 0));
    for (std::uint64_t id = 2; id < 150; ++id)
      co_await model.commit({put(id, std::string(1000, 'x'))});
    for (std::uint64_t id = 2; id < 150; ++id) {
      if (id % 10 != 0) co_await model.commit({drop(id)});
    }
    log->want_snapshot();
    co_await sleep(duration::seconds(10));
    log->want_snapshot();
    co_await model.commit({put(2, "last")});
    co_await sleep(duration::seconds(10));
    EXPECT_LE(log->stats().segments, 4u);
    const std::uint64_t reads = world().count_of(io_op::read_at);
    co_await sleep(duration::seconds(3600));
    EXPECT_LT(world().count_of(io_op::read_at), reads + 50);
    log->close();
  });
}

WEIR_TEST("a failed sync is final: every waiter hears of it and nothing is tried again") {
  journal_model model;
  auto log = co_await journal::open("/data", small, model);
  model.over = log.get();
  const auto errors = co_await errors_of([](journal* running, journal_model* m) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](journal* r) -> task<> { co_await r->run(); }, running);
      co_await m->commit({put(1, "kept")});
      const auto lsn = m->try_change({put(2, "lost")});
      EXPECT_TRUE(lsn.has_value());
      world().add_fault({.op = io_op::sync, .count = 1000});
      const std::uint64_t syncs = running->stats().syncs;
      const auto waited = co_await as_result(running->wait_durable(*lsn));
      EXPECT_FALSE(waited.has_value());
      EXPECT_EQ(waited.error(), errc::io);
      EXPECT_EQ(m->try_change({put(3, "refused")}).error(), errc::io);
      EXPECT_EQ(running->stats().syncs, syncs);
      EXPECT_EQ(running->lsn_durable(), 1u);
      co_await sleep(10_s);
    });
  }(log.get(), &model));
  EXPECT_FALSE(errors.empty());
}

// A caller can't mend it, whatever name the system gave it: it must not look like his own mistake,
// nor like a full disk, which ends by itself.
WEIR_TEST("a failed write is an io error by whatever name, and the cause says the name") {
  for (const int code : {EINVAL, EROFS, ENOSPC}) {
    journal_model model;
    model.keeps_history = false;
    auto log = co_await journal::open("/data", small, model);
    model.over = log.get();
    const auto errors =
        co_await errors_of([](journal* running, journal_model* m, int number) -> task<> {
          co_await with_scope([&](scope& s) -> task<> {
            s.spawn([](journal* r) -> task<> { co_await r->run(); }, running);
            co_await m->commit({put(1, "kept")});
            co_await sleep(1_s);  // until all else is written: the next write is the group's
            world().add_fault({.op = io_op::write_at, .code = number});
            const auto waited = co_await as_result(m->commit({put(2, "lost")}));
            WEIR_REQUIRE(!waited);
            EXPECT_EQ(waited.error(), errc::io);
            EXPECT_EQ(waited.error().cause()->code(), error::from_os(number, "").code());
          });
        }(log.get(), &model, code));
    EXPECT_FALSE(errors.empty());
  }
}

WEIR_TEST("a lack of descriptors ends no journal: what needs one is tried again") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    world().add_fault({.op = io_op::open, .code = EMFILE, .count = 3});
    for (std::uint64_t id = 1; id <= 60; ++id) {
      const auto done = co_await as_result(model.commit({put(id, std::string(1000, 'x'))}));
      if (!done) {
        EXPECT_EQ(done.error(), errc::busy);
        co_await sleep(5_s);
      }
    }
    EXPECT_EQ(world().faults_struck(), 3u);
    EXPECT_GT(log.stats().segments, 3u);
  });
}

WEIR_TEST("on a full disk intake is refused, completions go on, and room ends it") {
  journal_model model;
  journal_options options = small;
  options.snapshot_bytes = 1 << 30;
  co_await life(model, options, [&](journal& log) -> task<> {
    for (std::uint64_t id = 1; id <= 30; ++id) {
      co_await model.commit({put(id, std::string(1000, 'x'))});
    }
    world().disk().set_quota(world().disk().used());
    std::uint64_t id = 31;
    std::vector<std::string> errors;
    while (errors.empty()) {
      errors = co_await errors_of(model.commit({put(id, std::string(1000, 'x'))}));
      ++id;
      WEIR_REQUIRE(id < 1000);
    }
    EXPECT_NE(errors[0].find("no_space"), std::string::npos) << errors[0];
    EXPECT_TRUE(log.stats().is_out_of_space);
    for (std::uint64_t done = 1; done <= 30; ++done) {
      const auto lsn = model.try_change({drop(done)}, append_class::completion);
      WEIR_REQUIRE(lsn.has_value());
      co_await log.wait_durable(*lsn);
    }
    world().disk().set_quota(std::uint64_t{1} << 40);
    co_await sleep(3_s);
    co_await model.commit({put(5000, std::string(1000, 'x'))});
    EXPECT_FALSE(log.stats().is_out_of_space);
  });
  co_await life(model, options, [&](journal&) -> task<> { co_return; });
}

WEIR_TEST("an opening on a full disk says in the log why nothing can be taken") {
  world().disk().set_quota(100);
  journal_model model;
  const log_listener heard;
  const auto log = co_await journal::open("/data", small, model);
  EXPECT_NE(log->growth_failure(), nullptr);
  WEIR_REQUIRE(heard.lines.size() == 1);
  EXPECT_TRUE(heard.lines[0].contains("the journal can't grow; new messages are refused"));
}

WEIR_TEST("on a full disk acknowledged segments are given up by themselves") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    world().disk().set_quota(12 * small.segment_bytes);
    std::uint64_t id = 1;
    while (!log.stats().is_out_of_space) {
      (void)co_await as_result(model.commit({put(id, std::string(1000, 'x'))}));
      WEIR_REQUIRE(++id < 1000);
    }
    for (std::uint64_t done = 1; done < id; ++done) {
      const auto lsn = model.try_change({drop(done)}, append_class::completion);
      WEIR_REQUIRE(lsn.has_value());
      co_await log.wait_durable(*lsn);
    }
    co_await sleep(20_s);
    co_await model.commit({put(5000, std::string(1000, 'x'))});
    co_await sleep(20_s);  // it may have begun a segment, so that room for one more is looked for
    EXPECT_FALSE(log.stats().is_out_of_space);
  });
  co_await life(model, small, [&](journal&) -> task<> { co_return; });
}

WEIR_TEST("a wait for durability that is cancelled leaves the record and the others alone") {
  journal_model model;
  co_await life(model, small, [&](journal& log) -> task<> {
    const auto lsn = model.try_change({put(1, "kept")});
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](journal* on, std::uint64_t which) -> task<> { co_await on->wait_durable(which); },
              &log, *lsn);
      s.cancel("test");
      co_await s.join();
    });
    co_await log.wait_durable(*lsn);
    model.acknowledged = *lsn;
  });
  co_await life(model, small, [&](journal&) -> task<> { co_return; });
}

WEIR_TEST("segments that were prepared for smaller appends, or are cut, are made anew") {
  journal_model model;
  journal_options smaller = small;
  smaller.segment_bytes = 4096;
  smaller.group_bytes_max = 1024;
  co_await life(model, smaller,
                [&](journal&) -> task<> { co_await model.commit({put(1, "one")}); });
  co_await life(model, small, [&](journal&) -> task<> {
    co_await model.commit({put(2, std::string(4000, 'x')), drop(1)});
  });
  std::string last;
  for (const std::string& name : list_dir("/data")) {
    if (name.ends_with(".seg")) last = std::max(last, name);
  }
  file cut = co_await open_file("/data/" + last, {.write = true});
  co_await cut.truncate(4096);
  cut.close();
  co_await life(model, small, [&](journal& log) -> task<> {
    for (std::uint64_t id = 3; id <= 20; ++id) {
      co_await model.commit({put(id, std::string(4000, 'x'))});
    }
    EXPECT_GE(log.stats().segments, 4u);
  });
  co_await life(model, small, [](journal&) -> task<> { co_return; });
}

WEIR_TEST("options that can't work are refused by name") {
  journal_model model;
  journal_options options = small;
  options.group_bytes_max = options.segment_bytes;
  const auto refused = co_await as_result(journal::open("/data", options, model));
  EXPECT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error(), errc::invalid_argument);
  EXPECT_NE(refused.error().message().find("group_bytes_max"), std::string_view::npos);
}

}  // namespace
}  // namespace weir::journal_test

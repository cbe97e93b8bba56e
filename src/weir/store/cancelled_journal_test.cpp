// Every wait of the journal, cancelled at every point: what was appended is there after the next
// opening, whole or not at all, and nobody else waits on.
#include <weir/core/as_result.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/store/journal.hpp>
#include <weir/store/journal_check.hpp>
#include <weir/testing/cancel_points.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::cancelled_journal_test {
namespace {

using namespace weir::literals;
using testing::cancel_at_every_point;
using testing::victim;
using weir::detail::journal_model;

constexpr journal_options small{.segment_bytes = 16384,
                                .pending_bytes_max = 8192,
                                .group_bytes_max = 4096,
                                .snapshot_bytes = 1 << 30,  // those that are asked for
                                .snapshot_slice_bytes = 64,
                                .open_files_max = 1};

journal_model::change put(std::uint64_t id, std::string value) {
  return {journal_model::put, id, std::move(value)};
}
journal_model::change drop(std::uint64_t id) { return {journal_model::drop, id, {}}; }
std::string payload_of(std::uint64_t id, std::size_t size) {
  std::string text(size, '\0');
  std::memcpy(text.data(), &id, sizeof id);
  return text;
}

/// Opens the journal, compares what it holds with the model, runs `body` over it and closes it.
template <class Body>
task<> life(journal_model& model, Body body) {
  const auto log = co_await journal::open("/data", small, model);
  model.over = log.get();
  EXPECT_EQ(model.compare(log->lsn_durable()), "");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(&journal::run, log.get());
    co_await body(*log);
    log->close();
  });
}
task<> next_life(journal_model& model) {
  co_await life(model, [&](journal&) -> task<> {
    EXPECT_EQ(co_await model.compare_values(), "");
    co_await model.commit({put(1'000, "still takes records")});
  });
}

/// The records 1 to `count`, one after the other.
task<> commit_records(journal_model& model, std::uint64_t count, std::size_t size) {
  for (std::uint64_t id = 1; id <= count; ++id)
    co_await model.commit({put(id, std::string(size, 'x'))});
}

/// Appends without a wait until the answer is `full`.
void fill(journal_model& model, std::uint64_t first) {
  for (std::uint64_t id = first; model.try_change({put(id, std::string(1'000, 'x'))}); ++id) {
  }
}

TEST(CancelledJournal, an_opening_leaves_a_folder_that_opens_with_the_same_records) {
  cancel_at_every_point([](victim& v) -> task<> {
    journal_model model;
    co_await life(model, [&](journal& log) -> task<> {
      co_await commit_records(model, 20, 1'000);
      co_await log.write_snapshot();
      co_await model.commit({put(21, "behind the snapshot"), drop(1)});
    });
    co_await v.run([](journal_model* into) -> task<> {
      const auto log = co_await journal::open("/data", small, *into);
      EXPECT_EQ(into->compare(log->lsn_durable()), "");
    }(&model));
    co_await next_life(model);
  });
}

TEST(CancelledJournal, the_first_opening_leaves_a_folder_that_opens) {
  cancel_at_every_point([](victim& v) -> task<> {
    journal_model model;
    co_await v.run([](journal_model* into) -> task<> {
      (void)co_await journal::open("/data", small, *into);
    }(&model));
    co_await next_life(model);
  });
}

TEST(CancelledJournal, an_append_has_all_of_its_records_in_the_journal_or_none) {
  cancel_at_every_point([](victim& v) -> task<> {
    journal_model model;
    std::optional<std::uint64_t> lsn;
    co_await life(model, [&](journal& log) -> task<> {
      fill(model, 1);
      co_await v.run([](journal* to, std::optional<std::uint64_t>* given) -> task<> {
        const std::size_t room = small.pending_bytes_max - to->stats().pending_bytes;
        const std::size_t size = room - detail::record_framing_size;  // for one, not for two
        const std::string payloads[] = {payload_of(501, size), payload_of(502, size)};
        const record_view records[] = {{journal_model::put, payloads[0]},
                                       {journal_model::put, payloads[1]}};
        location places[2];
        *given = co_await to->append(records, append_class::intake, places);
      }(&log, &lsn));
    });
    journal_model found;
    found.keeps_history = false;
    const auto log = co_await journal::open("/data", small, found);
    const std::size_t added = found.size() - model.size();
    EXPECT_EQ(added, lsn ? 2u : 0u);
    if (!v.was_cancelled()) EXPECT_TRUE(lsn);
  });
}

TEST(CancelledJournal, a_wait_for_room_leaves_it_to_those_behind) {
  cancel_at_every_point([](victim& v) -> task<> {
    journal_model model;
    co_await life(model, [&](journal& log) -> task<> {
      fill(model, 1);
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(
            [](journal_model* to) -> task<> {
              co_await yield();
              co_await with_timeout(10_s, to->commit({put(500, std::string(1'000, 'y'))}));
            },
            &model);
        co_await v.run([](journal* of) -> task<> {
          co_await of->wait_room(4'000, append_class::intake);
        }(&log));
      });
    });
    co_await next_life(model);
  });
}

TEST(CancelledJournal, a_wait_for_the_disk_leaves_its_records_on_their_way) {
  cancel_at_every_point([](victim& v) -> task<> {
    journal_model model;
    co_await life(model, [&](journal& log) -> task<> {
      const auto lsn = model.try_change({put(1, "one"), put(2, "two")});
      co_await v.run([](journal* of, std::uint64_t number) -> task<> {
        co_await of->wait_durable(number);
        EXPECT_LE(number, of->lsn_durable());
      }(&log, *lsn));
      co_await with_timeout(10_s, [](journal* of, std::uint64_t number) -> task<> {
        co_await of->wait_durable(number);
      }(&log, *lsn));
      model.acknowledged = *lsn;
    });
    co_await next_life(model);
  });
}

TEST(CancelledJournal, a_read_holds_no_segment) {
  cancel_at_every_point([](victim& v) -> task<> {
    journal_model model;
    co_await life(model,
                  [&](journal& log) -> task<> { co_await commit_records(model, 12, 3'000); });
    co_await life(model, [&](journal& log) -> task<> {  // nothing is read from memory
      co_await v.run([](journal* of, journal_model* from) -> task<> {
        for (const std::uint64_t id : {1, 12}) {
          const stored_record got = co_await of->read(from->place_of(id));
          EXPECT_EQ(got.payload.size(), 3'008u);
        }
      }(&log, &model));
      EXPECT_EQ(co_await model.compare_values(), "");
      for (std::uint64_t id = 1; id <= 12; ++id) co_await model.commit({drop(id)});
      const std::uint64_t before = log.stats().segments;
      EXPECT_TRUE(co_await log.write_snapshot());
      co_await model.commit({put(13, "between two snapshots")});
      EXPECT_TRUE(co_await log.write_snapshot());
      co_await sleep(1_s);
      EXPECT_EQ(log.stats().segments, before > 1 ? 1u : before);
      EXPECT_GT(before, 2u);
    });
  });
}

TEST(CancelledJournal, a_wait_for_a_snapshot_leaves_it_to_others_who_wait) {
  cancel_at_every_point([](victim& v) -> task<> {
    journal_model model;
    co_await life(model, [&](journal& log) -> task<> {
      for (std::uint64_t id = 1; id <= 5; ++id) co_await model.commit({put(id, "value")});
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(
            [](journal* of) -> task<> {
              co_await yield();
              EXPECT_TRUE(co_await with_timeout(10_s, of->write_snapshot()));
            },
            &log);
        co_await v.run(
            [](journal* of) -> task<> { EXPECT_TRUE(co_await of->write_snapshot()); }(&log));
      });
      EXPECT_EQ(log.stats().snapshots_written, 1u);
      EXPECT_EQ(log.stats().snapshots_failed, 0u);
    });
    co_await next_life(model);
  });
}

TEST(CancelledJournal, a_run_that_is_cut_short_tells_all_who_wait_and_loses_nothing_acknowledged) {
  cancel_at_every_point([](victim& v) -> task<> {
    journal_model model;
    {
      const auto log = co_await journal::open("/data", small, model);
      model.over = log.get();
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(
            [](victim* by, journal_model* to, journal* log_) -> task<> {
              const auto written = co_await as_result([](journal_model* of) -> task<> {
                for (std::uint64_t id = 1; id <= 6; ++id) {
                  co_await with_timeout(10_s, of->commit({put(id, std::string(3'000, 'x'))}));
                }
              }(to));
              if (!written) EXPECT_EQ(written.error(), errc::closed);
              if (written) co_await with_timeout(10_s, log_->write_snapshot());
              log_->close();
              if (!written) EXPECT_TRUE(by->was_cancelled());
            },
            &v, &model, log.get());
        co_await v.run(log->run());
      });
    }
    co_await next_life(model);
  });
}

TEST(CancelledJournal, a_check_changes_nothing_and_keeps_nobody_out) {
  cancel_at_every_point([](victim& v) -> task<> {
    journal_model model;
    co_await life(model, [&](journal& log) -> task<> {
      co_await model.commit({put(1, "one")});
      co_await log.write_snapshot();
      co_await model.commit({put(2, "two")});
    });
    co_await v.run([]() -> task<> { EXPECT_TRUE((co_await check_journal("/data")).is_sound()); }());
    co_await next_life(model);
  });
}

}  // namespace
}  // namespace weir::cancelled_journal_test

// The journal on a real disk: what the virtual one can't show.
// Needs the kernel: a real disk, and processes that are killed.
#include <weir/store/journal.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/run.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/store/journal_check.hpp>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace weir::journal_kernel_test {
namespace {

using detail::journal_model;

constexpr journal_options small{.segment_bytes = 1 << 20,
                                .pending_bytes_max = 1 << 20,
                                .group_bytes_max = 1 << 18,
                                .snapshot_bytes = 1 << 20};

class kernel_journal : public ::testing::Test {
 protected:
  kernel_journal() {
    std::string name = (std::filesystem::temp_directory_path() / "weir-store-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) folder_ = name;
  }
  ~kernel_journal() override { std::filesystem::remove_all(folder_); }

  std::string data() const { return folder_ + "/data"; }

  std::string folder_;
};

task<> commit_some(journal_model* model, std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t id = first; id < first + count; ++id) {
    co_await model->commit({{journal_model::put, id, std::string(1 + id % 3000, 'k')}});
    if (id % 2 == 0) co_await model->commit({{journal_model::drop, id - 1, {}}});
  }
}

task<> live(std::string folder, journal_model* model, std::uint64_t first, std::uint64_t count) {
  auto log = co_await journal::open(folder, small, *model);
  model->over = log.get();
  EXPECT_EQ(model->compare(log->lsn_durable()), "");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
    EXPECT_EQ(co_await model->compare_values(), "");
    co_await with_scope([&](scope& workers) -> task<> {
      for (std::uint64_t i = 0; i < 8; ++i) {
        workers.spawn(commit_some, model, first + i * count, count);
      }
      co_await workers.join();
    });
    log->close();
  });
}

TEST_F(kernel_journal, keeps_what_was_committed_over_lives_with_either_driver) {
  journal_model model;
  std::uint64_t first = 1;
  for (const char* name : {"epoll", "io_uring", "epoll"}) {
    std::unique_ptr<driver> io;
    try {
      io = make_driver({.name = name});
    } catch (const exception& e) {  // a kernel or a container that refuses io_uring
      ASSERT_EQ(e.reason(), errc::unsupported);
      continue;
    }
    run_on(*io, live(data(), &model, first, 60));
    first += 1000;
  }
  EXPECT_GT(model.size(), 400u);
}

TEST_F(kernel_journal, makes_its_folder_for_its_owner_only) {
  const auto io = make_driver({.name = "epoll"});
  journal_model model;
  run_on(*io, live(data(), &model, 1, 1));
  struct stat status{};
  ASSERT_EQ(stat(data().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

/// Commits for ever and says each acknowledged LSN through the pipe.
[[noreturn]] void commit_until_killed(const std::string& folder, int pipe_in) {
  const auto io = make_driver({.name = "epoll"});
  journal_model model;
  run_on(*io, [](std::string where, journal_model* m, int to) -> task<> {
    auto log = co_await journal::open(where, small, *m);
    m->over = log.get();
    m->keeps_history = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](journal* running) -> task<> { co_await running->run(); }, log.get());
      for (std::uint64_t id = log->lsn_durable() + 1;; ++id) {
        co_await m->commit({{journal_model::put, id, std::string(100, 'k')}});
        if (write(to, &m->acknowledged, sizeof m->acknowledged) < 0) _exit(1);
      }
    });
  }(folder, &model, pipe_in));
  _exit(1);
}

TEST_F(kernel_journal, loses_nothing_to_a_process_that_is_killed) {
  for (int round = 0; round < 10; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) commit_until_killed(data(), ends[1]);
    close(ends[1]);
    std::uint64_t acknowledged = 0;
    for (int heard = 0; heard < 5 + 7 * round; ++heard) {
      ASSERT_EQ(read(ends[0], &acknowledged, sizeof acknowledged),
                static_cast<ssize_t>(sizeof acknowledged));
    }
    kill(child, SIGKILL);
    while (read(ends[0], &acknowledged, sizeof acknowledged) > 0) {
    }
    close(ends[0]);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    const auto io = make_driver({.name = "epoll"});
    journal_model model;
    run_on(*io, [](std::string where, journal_model* m, std::uint64_t wanted) -> task<> {
      const journal_report report = co_await check_journal(where);
      EXPECT_TRUE(report.is_sound());
      auto log = co_await journal::open(where, small, *m);
      EXPECT_GE(log->lsn_durable(), wanted);
      EXPECT_EQ(m->size(), log->lsn_durable());
    }(data(), &model, acknowledged));
  }
}

TEST_F(kernel_journal, is_refused_to_a_second_process_by_the_folder_s_name) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) commit_until_killed(data(), ends[1]);
  close(ends[1]);
  std::uint64_t acknowledged = 0;
  ASSERT_GT(read(ends[0], &acknowledged, sizeof acknowledged), 0);
  const auto io = make_driver({.name = "epoll"});
  journal_model model;
  run_on(*io, [](std::string where, journal_model* m) -> task<> {
    const auto second = co_await as_result(journal::open(where, small, *m));
    EXPECT_FALSE(second.has_value());
    EXPECT_EQ(second.error(), errc::busy);
    EXPECT_NE(second.error().message().find(where), std::string_view::npos);
  }(data(), &model));
  kill(child, SIGKILL);
  close(ends[0]);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
}

}  // namespace
}  // namespace weir::journal_kernel_test

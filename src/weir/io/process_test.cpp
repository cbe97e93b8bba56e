// Child processes: how they are started, talked to, ended and reaped, on every driver of a kernel
// and in the virtual world, whose programs of the same names do the same.
// Needs the kernel: most of its drivers are the kernel's.
#include <weir/io/process.hpp>

#include <weir/base/text.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/file.hpp>
#include <weir/io/virtual_programs_test.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::process_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using ::testing::HasSubstr;

// After each test no child may be left, not even a zombie.
class child_process : public contract::fixture {
 protected:
  template <class Body>
  void run(Body body) {
    const auto io = GetParam().make({});
    if (!is_kernel()) {
      machine_ = &static_cast<virtual_driver&>(*io).world();
      install_programs(*machine_);
    }
    run_on(*io, body());
    if (machine_) EXPECT_EQ(machine_->processes().left(), "");
    if (machine_) EXPECT_EQ(machine_->open_handles(), 0U);
    machine_ = nullptr;
  }
  void TearDown() override { EXPECT_EQ(children_left(), 0); }

  /// Of our own environment.
  void set_variable(const char* name, const char* value) const {
    if (machine_) {
      machine_->processes().set_variable(name, value);
    } else {
      ::setenv(name, value, 1);
    }
  }
  /// Neither running nor a zombie.
  bool is_gone(int pid) const {
    if (machine_) return machine_->processes().count() == 0;
    return ::kill(pid, 0) == -1 && errno == ESRCH;
  }
  task<> wait_until_stopped(int pid) const {
    siginfo_t info = {};
    if (!machine_) ::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED | WNOWAIT);
    if (machine_) co_await sleep(1_ms);  // time passes when there is nothing else to do
  }
  /// 0: none; 1: one that runs; else the number of a zombie.
  int children_left() const {
    if (machine_) return machine_->processes().count() == 0 ? 0 : 1;
    siginfo_t info = {};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
      return errno == ECHILD ? 0 : -1;
    return info.si_pid != 0 ? info.si_pid : 1;
  }

 private:
  virtual_world* machine_ = nullptr;  // null: the kernel
};
INSTANTIATE_TEST_SUITE_P(drivers, child_process, ::testing::ValuesIn(all_drivers()), name_of);

// What is asked of the kernel alone.
class kernel_child : public child_process {};
INSTANTIATE_TEST_SUITE_P(drivers, kernel_child, ::testing::ValuesIn(kernel_drivers()), name_of);

command shell(std::string script) { return command("sh", {"-c", std::move(script)}); }

// A shell that says "ready" once it is set up, and then reads its input for ever.
command shell_that_waits(const std::string& set_up) {
  return shell(set_up + "; echo ready; while :; do read line || :; done")
      .input(child_stream::piped())
      .output(child_stream::piped())
      .grace(20_ms);
}

task<std::string> read_all(pipe_reader& from) {
  std::string all;
  while (auto piece = co_await from.receive()) all += piece.text();
  co_return all;
}
task<> wait_until_ready(process& child) {
  std::string said;
  while (said.find("ready") == said.npos) {
    const bytes piece = co_await child.output().receive();
    WEIR_ASSERT(piece && "the shell has ended before it was ready");
    said += piece.text();
  }
}

task<exit_status> status_of(command what) {
  co_return co_await with_process(std::move(what), [](process& child) -> task<exit_status> {
    co_return co_await child.wait();
  });
}

TEST_P(child_process, tells_how_it_ended_as_exit_code_or_signal_P2) {
  run([]() -> task<> {
    EXPECT_EQ(co_await status_of(shell("exit 0")), (exit_status{.code = 0, .signal = 0}));
    EXPECT_EQ(co_await status_of(shell("exit 7")), (exit_status{.code = 7, .signal = 0}));
    EXPECT_EQ((co_await status_of(shell("exit 7"))).text(), "exit code 7");
    const exit_status killed = co_await status_of(shell("kill -9 $$"));
    EXPECT_EQ(killed, (exit_status{.code = -1, .signal = SIGKILL}));
    EXPECT_EQ(killed.text(), "killed by signal 9 (Killed)");
  });
}

TEST_P(child_process, gets_its_arguments_as_they_are_P3) {
  run([]() -> task<> {
    const auto [status, output, errors] = co_await run_process(
        command("printf", {"[%s]", "two words", "", "$HOME", "a\nb"}).add("\xff'\""));
    EXPECT_TRUE(status.is_success());
    EXPECT_EQ(output, "[two words][][$HOME][a\nb][\xff'\"]");
    EXPECT_EQ(errors, "");
  });
}

TEST_P(child_process, gets_our_environment_with_changes_or_none_of_it) {
  run([&]() -> task<> {
    set_variable("WEIR_TEST_A", "ours");
    set_variable("WEIR_TEST_B", "ours");
    const std::string script = "echo $WEIR_TEST_A,${WEIR_TEST_B-none},$WEIR_TEST_C";
    EXPECT_EQ((co_await run_process(shell(script))).output, "ours,ours,\n");
    const auto changed =
        shell(script).unset("WEIR_TEST_B").set("WEIR_TEST_C", "old").set("WEIR_TEST_C", "a=b");
    EXPECT_EQ((co_await run_process(changed)).output, "ours,none,a=b\n");
    const auto bare = command("/usr/bin/env").clear_environment().set("ONLY", "this");
    EXPECT_EQ((co_await run_process(bare)).output, "ONLY=this\n");
  });
  ::unsetenv("WEIR_TEST_A");
  ::unsetenv("WEIR_TEST_B");
}

TEST_P(child_process, runs_in_its_folder) {
  run([&]() -> task<> {
    co_await make_dir(path("folder"));
    const auto done = co_await run_process(command("pwd", {"-P"}).in_folder(path("folder")));
    EXPECT_THAT(done.output, HasSubstr("/folder\n"));
  });
}

TEST_P(child_process, streams_run_through_it_in_both_directions_at_once) {
  run([]() -> task<> {
    std::string text(3'000'000, '\0');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 131 + i / 251);
    const auto done = co_await run_process(command("cat"), {.input = text});
    EXPECT_TRUE(done.output == text);
  });
}

TEST_P(child_process, its_streams_are_piped_null_files_or_each_other) {
  run([&]() -> task<> {
    const std::string script = "cat; echo out; echo err >&2";
    file in = co_await open_file(path("in"), {.write = true, .create = true});
    co_await in.write_at(0, "from the file\n");
    file from = co_await open_file(path("in"));
    file to = co_await open_file(path("out"), {.read = true, .write = true, .create = true});
    EXPECT_TRUE((co_await status_of(shell(script)
                                        .input(child_stream::of(from))
                                        .output(child_stream::of(to))
                                        .errors(child_stream::as_output())))
                    .is_success());
    std::string written(100, '\0');
    written.resize(co_await to.read_at(0, written));
    EXPECT_EQ(written, "from the file\nout\nerr\n");

    const auto both = shell(script).input(child_stream::null()).errors(child_stream::as_output());
    EXPECT_EQ((co_await run_process(both)).output, "out\nerr\n");
    const auto quiet = shell(script).input(child_stream::null()).output(child_stream::null());
    const auto [status, output, errors] = co_await run_process(quiet);
    EXPECT_EQ(output, "");
    EXPECT_EQ(errors, "err\n");
  });
}

TEST_P(child_process, two_of_them_make_a_pipeline) {
  run([]() -> task<> {
    pipe_ends between = make_pipe();
    const auto first = shell("echo b; echo a").output(child_stream::of(between.writer));
    const auto second = command("sort").input(child_stream::of(between.reader));
    const auto sorted = co_await with_process(first, [&](process&) -> task<std::string> {
      between.writer.close();
      co_return co_await with_process(command(second).output(child_stream::piped()),
                                      [&](process& sort) -> task<std::string> {
                                        between.reader.close();
                                        co_return co_await read_all(sort.output());
                                      });
    });
    EXPECT_EQ(sorted, "a\nb\n");
  });
}

TEST_P(child_process, that_can_not_be_started_is_named_with_what_is_missing_P4) {
  run([&]() -> task<> {
    co_await make_dir(path("folder"));
    const file data = co_await open_file(path("data"), {.write = true, .create = true});
    const auto refused = [](command what) -> task<std::string> {
      const auto outcome = co_await as_result(run_process(std::move(what)));
      co_return outcome ? "started" : describe(outcome.error());
    };
    EXPECT_THAT(co_await refused(command("no-such-program")),
                HasSubstr("start 'no-such-program', which is in no folder of PATH"));
    EXPECT_THAT(co_await refused(command("/no/such/program")),
                HasSubstr("start '/no/such/program'"));
    EXPECT_THAT(co_await refused(command("true").in_folder("/no/such/folder")),
                HasSubstr("start 'true': its folder '/no/such/folder' is not there"));
    EXPECT_THAT(co_await refused(command("true").in_folder(path("data"))),
                HasSubstr("data' is no folder"));
    EXPECT_EQ(co_await code_of(run_process(command("no-such-program"))), errc::not_found);
    EXPECT_EQ(co_await code_of(run_process(command(path("folder")))), errc::permission_denied);
    EXPECT_EQ(co_await code_of(run_process(command(path("data")))), errc::permission_denied);
  });
}

/// Our standard output is a pipe that does not block, for as long as it lives.
class piped_output {
 public:
  piped_output() : before_(::dup(1)) {
    std::fflush(stdout);
    int ends[2] = {-1, -1};
    is_made_ = ::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && ::dup2(ends[1], 1) == 1;
    from_ = ends[0];
    ::close(ends[1]);
  }
  ~piped_output() {
    ::dup2(before_, 1);
    ::close(before_);
    ::close(from_);
  }
  bool is_made() const { return is_made_; }
  bool blocks() const { return (::fcntl(1, F_GETFL) & O_NONBLOCK) == 0; }
  std::string text() const {
    char piece[100];
    const ssize_t count = ::read(from_, piece, sizeof piece);
    return count > 0 ? std::string(piece, static_cast<std::size_t>(count)) : std::string();
  }

 private:
  int before_;
  int from_ = -1;
  bool is_made_ = false;
};

// Whether it blocks is no property of the descriptor: all who share the output would see it change.
TEST_P(kernel_child, whose_errors_go_where_our_output_goes_leaves_that_not_blocking) {
  for (const bool is_null : {false, true}) {
    std::string written;
    bool is_ready = false;
    bool blocks = true;
    run([&]() -> task<> {
      const piped_output ours;  // nothing is expected meanwhile: failures are printed there
      is_ready = ours.is_made() && !ours.blocks();
      co_await status_of(shell("echo err >&2")
                             .output(is_null ? child_stream::null() : child_stream::inherited())
                             .errors(child_stream::as_output()));
      written = ours.text();
      blocks = ours.blocks();
    });
    EXPECT_TRUE(is_ready);
    EXPECT_EQ(written, is_null ? "" : "err\n");
    EXPECT_FALSE(blocks) << is_null;
  }
}

TEST_P(kernel_child, a_script_whose_interpreter_is_missing_is_told_as_such) {
  std::ofstream(path("script")) << "#!/no/such/interpreter\n";
  ::chmod(path("script").c_str(), 0700);
  run([&]() -> task<> {
    const auto outcome = co_await as_result(run_process(command(path("script"))));
    EXPECT_THAT(std::string(outcome.error().message()), HasSubstr("interpreter"));
  });
}

TEST_P(kernel_child, that_is_no_program_here_is_told_in_words) {
  std::ofstream(path("text")) << "echo hello\n";
  ::chmod(path("text").c_str(), 0700);
  run([&]() -> task<> {
    const auto refused = [](command what) -> task<std::string> {
      const auto outcome = co_await as_result(run_process(std::move(what)));
      co_return outcome ? "started" : describe(outcome.error());
    };
    co_await make_dir(path("folder"));
    EXPECT_THAT(co_await refused(command(path("text"))), HasSubstr("no program for this machine"));
    EXPECT_THAT(co_await refused(command("true", {std::string(3'000'000, 'x')})),
                HasSubstr("arguments and environment are too long"));
    // What is there where we are is not there where it would run.
    const std::string from_here = std::filesystem::relative(path("text")).string();
    const std::string said = co_await refused(command("./" + from_here).in_folder("/usr"));
    EXPECT_THAT(said, ::testing::Not(HasSubstr("interpreter")));
  });
}

TEST_P(child_process, what_can_not_be_passed_on_is_an_invalid_argument) {
  run([]() -> task<> {
    const std::string zero("a\0b", 3);
    EXPECT_EQ(co_await code_of(run_process(command(""))), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(run_process(command(zero))), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(run_process(command("true", {zero}))), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(run_process(command("true").set("a=b", "c"))),
              errc::invalid_argument);
    EXPECT_EQ(co_await code_of(run_process(command("true").set("a", zero))),
              errc::invalid_argument);
    EXPECT_EQ(co_await code_of(run_process(command("true").output(child_stream::as_output()))),
              errc::invalid_argument);
    const std::string large(3'000'000, 'x');  // the kernel takes 128 KiB a piece
    EXPECT_NE(co_await code_of(run_process(command("true", {large}))), errc{});
  });
}

TEST_P(child_process, is_ended_with_the_body_that_it_belongs_to_P1) {
  run([&]() -> task<> {
    int pid = 0;
    co_await with_process(shell_that_waits(":"), [&](process& child) -> task<> {
      co_await wait_until_ready(child);
      pid = child.pid();
      EXPECT_FALSE(child.has_ended());
    });
    EXPECT_TRUE(is_gone(pid));

    const auto outcome =
        co_await as_result(with_process(shell_that_waits(":"), [&](process& child) -> task<int> {
          co_await wait_until_ready(child);
          pid = child.pid();
          raise(error(errc::malformed, "the body fails"));
        }));
    EXPECT_EQ(outcome.error().code(), errc::malformed);
    EXPECT_TRUE(is_gone(pid));
  });
}

TEST_P(child_process, may_end_in_order_when_it_is_told_to) {
  run([]() -> task<> {
    co_await with_process(shell_that_waits("trap 'exit 42' TERM").grace(1_h),
                          [](process& child) -> task<> {
                            co_await wait_until_ready(child);
                            EXPECT_EQ((co_await child.end()).code, 42);
                            EXPECT_TRUE(child.has_ended());
                            EXPECT_EQ((co_await child.wait()).code, 42) << "and again";
                            EXPECT_FALSE(child.signal(SIGTERM));
                          });
  });
}

TEST_P(child_process, that_ignores_signals_is_killed_after_its_grace_P1) {
  run([]() -> task<> {
    for (const duration grace : {20_ms, 0_ms}) {
      co_await with_process(shell_that_waits("trap '' TERM INT HUP").grace(grace),
                            [](process& child) -> task<> {
                              co_await wait_until_ready(child);
                              EXPECT_TRUE(child.signal(SIGTERM));
                              EXPECT_EQ((co_await child.end()).signal, SIGKILL);
                            });
    }
  });
}

TEST_P(child_process, that_is_stopped_hears_of_its_end_too) {
  run([&]() -> task<> {
    co_await with_process(shell("kill -STOP $$").grace(1_h), [&](process& child) -> task<> {
      co_await wait_until_stopped(child.pid());
      EXPECT_EQ((co_await child.end()).signal, SIGTERM);
    });
  });
}

TEST_P(child_process, of_an_own_group_takes_its_children_along) {
  run([]() -> task<> {
    pipe_ends held = make_pipe();  // whoever lives holds its other end
    co_await with_process(shell("sleep 1000 & sleep 1000 & echo ready; wait")
                              .input(child_stream::null())
                              .output(child_stream::piped())
                              .errors(child_stream::of(held.writer))
                              .own_group(),
                          [&](process& child) -> task<> {
                            held.writer.close();
                            co_await wait_until_ready(child);
                          });
    EXPECT_EQ(co_await read_all(held.reader), "") << "the end comes when all of them are gone";
    // Also when the child itself has ended long before.
    pipe_ends late = make_pipe();
    co_await with_process(
        shell("sleep 1000 & exit 3").errors(child_stream::of(late.writer)).own_group(),
        [&](process& child) -> task<> {
          late.writer.close();
          EXPECT_EQ((co_await child.wait()).code, 3);
        });
    EXPECT_EQ(co_await read_all(late.reader), "");
  });
}

// A cancellation at each turn of a child's life: before its start, in it, while it runs.
TEST_P(child_process, is_gone_wherever_its_body_is_cancelled) {
  run([&]() -> task<> {
    bool has_ended_by_itself = false;
    for (int turns = 0; turns < 2'000 && !has_ended_by_itself; ++turns) {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          const auto done = co_await run_process(command("cat").grace(1_h), {.input = "text"});
          has_ended_by_itself = done.output == "text";
        });
        for (int i = 0; i < turns; ++i) co_await (i % 2 == 0 ? sleep(100_us) : sleep(0_us));
        s.cancel("test");
      });
      EXPECT_EQ(children_left(), 0) << turns;
    }
    EXPECT_TRUE(has_ended_by_itself);
  });
}

TEST_P(child_process, a_cancelled_wait_leaves_it_alone) {
  run([]() -> task<> {
    co_await with_process(shell_that_waits(":"), [](process& child) -> task<> {
      co_await wait_until_ready(child);
      EXPECT_EQ(co_await code_of(with_timeout(2_ms, child.wait())), errc::timed_out);
      EXPECT_FALSE(child.has_ended());
      EXPECT_TRUE(child.signal(SIGKILL));
      EXPECT_EQ((co_await child.wait()).signal, SIGKILL);
    });
  });
}

TEST_P(child_process, several_tasks_may_wait_for_it) {
  run([]() -> task<> {
    int heard = 0;
    co_await with_process(shell("read line; exit 5").input(child_stream::piped()),
                          [&](process& child) -> task<> {
                            co_await with_scope([&](scope& s) -> task<> {
                              for (int i = 0; i < 3; ++i)
                                s.spawn([&]() -> task<> {
                                  if ((co_await child.wait()).code == 5) ++heard;
                                });
                              co_await sleep(1_ms);
                              child.input().close();
                            });
                          });
    EXPECT_EQ(heard, 3);
  });
}

TEST_P(child_process, needs_no_pidfd) {
  run([]() -> task<> {
    EXPECT_EQ((co_await status_of(shell("exit 7").without_pidfd())).code, 7);
    co_await with_process(shell_that_waits("trap '' TERM").without_pidfd(),
                          [](process& child) -> task<> {
                            co_await wait_until_ready(child);
                            EXPECT_EQ((co_await child.end()).signal, SIGKILL);
                          });
    const auto done = co_await run_process(command("cat").without_pidfd(), {.input = "text"});
    EXPECT_EQ(done.output, "text");
  });
}

TEST_P(kernel_child, gets_no_descriptor_but_its_streams_P3) {
  const int leak = ::dup(0);  // without close-on-exec, as careless libraries open them
  run([]() -> task<> {
    pipe_ends other = make_pipe();
    const auto done =
        co_await run_process(shell("echo /proc/self/fd/*").input(child_stream::null()));
    // 3 is the shell's own look into the folder.
    EXPECT_EQ(done.output, "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n");
  });
  ::close(leak);
}

TEST_P(child_process, dies_of_a_broken_pipe_as_usual_though_we_ignore_the_signal) {
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  run([]() -> task<> { EXPECT_EQ((co_await status_of(shell("kill -PIPE $$"))).signal, SIGPIPE); });
  ::signal(SIGPIPE, before);
}

TEST_P(child_process, that_does_not_read_breaks_the_pipe_and_not_us) {
  run([]() -> task<> {
    co_await with_process(command("true").input(child_stream::piped()),
                          [](process& child) -> task<> {
                            co_await child.wait();
                            EXPECT_EQ(co_await code_of(child.input().send("text")), errc::broken);
                          });
    const std::string text(1'000'000, 'x');
    EXPECT_TRUE((co_await run_process(command("true"), {.input = text})).status.is_success());
  });
}

TEST_P(child_process, that_writes_too_much_is_ended_and_that_is_told) {
  run([]() -> task<> {
    const auto refused =
        co_await as_result(run_process(command("yes"), {.output_bytes_max = 100'000}));
    EXPECT_EQ(refused.error().code(), errc::full);
    EXPECT_THAT(std::string(refused.error().message()),
                HasSubstr("'yes' wrote more than 100000 bytes to its output"));
    const std::string limit(1'000, 'x');
    const auto whole =
        co_await run_process(command("cat"), {.input = limit, .output_bytes_max = limit.size()});
    EXPECT_EQ(whole.output, limit);
  });
}

TEST_P(kernel_child, whose_own_child_still_writes_when_the_time_is_over_is_late) {
  run([]() -> task<> {
    const auto late = co_await as_result(
        with_timeout(200_ms, run_process(shell("(sleep 5; echo late) & echo early"))));
    EXPECT_EQ(late.error().code(), errc::timed_out);
  });
}

TEST_P(kernel_child, without_descriptors_is_full_and_leaves_nothing_behind) {
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "the sanitizer opens descriptors of its own, and reports it when it can't";
#endif
  run([]() -> task<> {
    co_await run_process(command("true"));  // the driver has its threads and tables
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    int first_free = ::dup(0);
    ::close(first_free);
    bool has_started = false;
    for (int more = 0; more < 20 && !has_started; ++more) {
      const rlimit few{static_cast<rlim_t>(first_free + more), before.rlim_max};
      ::setrlimit(RLIMIT_NOFILE, &few);
      const auto outcome = co_await as_result(run_process(command("cat"), {.input = "text"}));
      ::setrlimit(RLIMIT_NOFILE, &before);
      has_started = outcome.has_value();
      if (has_started) {
        EXPECT_EQ(outcome->output, "text");
      } else {
        EXPECT_EQ(outcome.error().code(), errc::full) << describe(outcome.error());
      }
      const int now_free = ::dup(0);
      ::close(now_free);
      EXPECT_EQ(now_free, first_free) << "a descriptor was left open";
    }
    EXPECT_TRUE(has_started);
  });
}

TEST_P(kernel_child, whose_status_somebody_else_took_is_told_as_such) {
  run([]() -> task<> {
    co_await with_process(shell("exit 3"), [](process& child) -> task<> {
      int status = 0;
      ::waitpid(child.pid(), &status, 0);  // as a careless library does
      EXPECT_EQ(co_await code_of(child.wait()), errc::io);
      EXPECT_TRUE(child.has_ended());
    });
  });
}

TEST_P(kernel_child, whose_status_is_lost_ends_its_run_with_that_error_alone) {
  struct sigaction before = {};
  struct sigaction ignored = {};
  ignored.sa_handler = SIG_IGN;
  ::sigaction(SIGCHLD, &ignored, &before);
  run([]() -> task<> { EXPECT_EQ(co_await code_of(run_process(command("true"))), errc::io); });
  ::sigaction(SIGCHLD, &before, nullptr);
}

TEST_P(child_process, hundreds_at_once_are_all_reaped) {
  run([]() -> task<> {
    int ended = 0;
    co_await with_scope({.tasks_max = 20}, [&](scope& s) -> task<> {
      for (int i = 0; i < 200; ++i)
        co_await s.spawn_when_room([&]() -> task<> {
          if ((co_await status_of(command("true"))).is_success()) ++ended;
        });
    });
    EXPECT_EQ(ended, 200);
  });
}

}  // namespace
}  // namespace weir::process_test

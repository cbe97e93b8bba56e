// Terminals on every driver of a kernel.
// Needs the kernel: pseudo-terminals, signals and dying processes.
#include <weir/io/terminal_stream.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/child_process_test.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/crash_dump.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/raw_mode.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/run_program.hpp>
#include <weir/testing/test.hpp>

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::terminal_stream_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using ::testing::ElementsAre;

/// A pseudo-terminal: what somebody types goes into `user`, programs use `program`.
struct pseudo_terminal {
  int user = -1;
  int program = -1;

  pseudo_terminal() {
    struct winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(::openpty(&user, &program, nullptr, nullptr, &size), 0);
    EXPECT_EQ(::fcntl(user, F_SETFL, O_NONBLOCK), 0);  // who reads is a task of the same thread
  }
  pseudo_terminal(const pseudo_terminal&) = delete;
  pseudo_terminal& operator=(const pseudo_terminal&) = delete;
  ~pseudo_terminal() {
    if (user >= 0) ::close(user);
    ::close(program);
  }
  void type(std::string_view text) const {
    EXPECT_EQ(::write(user, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void hang_up() { ::close(std::exchange(user, -1)); }
  void resize(unsigned short rows, unsigned short columns) const {
    const struct winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(::ioctl(user, TIOCSWINSZ, &size), 0);
  }
  /// Neither echoes nor waits for the end of a line.
  bool is_raw() const {
    struct termios mode = {};
    EXPECT_EQ(::tcgetattr(program, &mode), 0);
    return (mode.c_lflag & (ECHO | ICANON)) == 0;
  }
  bool makes_signals() const {
    struct termios mode = {};
    EXPECT_EQ(::tcgetattr(program, &mode), 0);
    return (mode.c_lflag & ISIG) != 0;
  }
};

// Types what is more than the kernel keeps: the rest as the program takes it.
task<> type_all(const pseudo_terminal* pty, std::string text) {
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t count = ::write(pty->user, rest.data(), rest.size());
    if (count < 0 && errno != EAGAIN) raise(error::from_os(errno, "type"));
    rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (!rest.empty()) co_await yield();
  }
}

std::string text_of(const std::optional<key_press>& one) {
  if (!one) return "the end";
  std::string text = name(one->what);
  if (!one->text.empty()) text += " " + one->text;
  return one->has_alt ? "alt+" + text : text;
}
task<std::vector<std::string>> take(terminal& from, std::size_t count) {
  std::vector<std::string> all;
  while (all.size() < count) all.push_back(text_of(co_await from.next_key()));
  co_return all;
}

class terminals : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, terminals, ::testing::ValuesIn(kernel_drivers()), name_of);

TEST_P(terminals, are_told_from_other_descriptors) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    const pipe_ends pipe = make_pipe();
    EXPECT_TRUE(is_tty(pty.program));
    EXPECT_FALSE(is_tty(pipe.reader.handle()));
    EXPECT_FALSE(is_tty(-1));
    const auto refusal = [](auto of) -> errc {
      try {
        terminal never = open_terminal(of);
      } catch (const exception& e) {
        return e.reason().code();
      }
      return {};
    };
    EXPECT_EQ(refusal(pipe.reader.handle()), errc::invalid_argument);
    EXPECT_EQ(refusal(pty.user), errc::invalid_argument) << "opening it would make another one";
    EXPECT_EQ(refusal(std::string("/dev/null")), errc::invalid_argument);
    EXPECT_EQ(refusal(std::string("/nowhere")), errc::not_found);
    const std::string cut = "/proc/self/fd/" + std::to_string(pty.program) + std::string("\0x", 2);
    EXPECT_EQ(refusal(cut), errc::invalid_argument) << "a zero byte";
    co_return;
  });
}

TEST_P(terminals, give_lines_in_their_usual_mode_and_take_output) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    reader lines(screen);
    pty.type("firsd\x7ft\nsecond\n");
    const auto first = co_await lines.read_line();
    const auto second = co_await lines.read_line();
    WEIR_REQUIRE(first && second);
    EXPECT_EQ(first->text(), "first") << "the terminal edits its line";
    EXPECT_EQ(second->text(), "second");
    pty.type("\x04");
    EXPECT_FALSE(co_await lines.read_line()) << "Ctrl-D is the end";
  });
}

TEST_P(terminals, give_keys_one_by_one_in_raw_mode_and_echo_none) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    const raw_mode raw(screen);
    pty.type("a\x1b[A\x03\rä\x1bx");
    EXPECT_THAT(co_await take(screen, 6),
                ElementsAre("text a", "up", "control c", "enter", "text ä", "alt+text x"));
    std::size_t sent = 0;
    co_await screen.send("out\n", &sent);
    EXPECT_EQ(sent, 4u);
    char got[16] = {};
    const ssize_t size = ::read(pty.user, got, sizeof got);
    EXPECT_EQ(std::string_view(got, static_cast<std::size_t>(size)), "out\r\n")
        << "nothing was echoed, and lines begin at their start";
  });
}

TEST_P(terminals, take_an_escape_that_nothing_follows_for_the_key) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    const raw_mode raw(screen);
    pty.type("\x1b");
    EXPECT_THAT(co_await take(screen, 1), ElementsAre("escape"));
    pty.type("\x1b[");
    EXPECT_THAT(co_await take(screen, 1), ElementsAre("alt+text ["));
    pty.type("\x1b[B");
    EXPECT_THAT(co_await take(screen, 1), ElementsAre("down"));
  });
}

TEST_P(terminals, give_an_answer_of_theirs_as_one_key_and_drop_what_is_too_long_of_it) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    const raw_mode raw(screen);
    pty.type("\x1b]11;rgb:0/0/0\x1b\\a");
    EXPECT_THAT(co_await take(screen, 2), ElementsAre("unknown \x1b]11;rgb:0/0/0\x1b\\", "text a"));
    const std::string part(3'000, 'x');  // the kernel keeps no more than 4,095 bytes
    const std::string told = "unknown \x1bP" + part.substr(0, detail::string_bytes_max - 2);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_THAT(co_await take(screen, 2), ElementsAre(told, "up")); });
      co_await type_all(&pty, "\x1bP" + part);
      for (int i = 0; i < 20; ++i) co_await yield();
      co_await type_all(&pty, part + "\x1b\\\x1b[A");
    });
    co_await type_all(&pty, "\x1bP" + part);
    EXPECT_THAT(co_await take(screen, 1), ElementsAre(told));
    EXPECT_EQ(co_await code_of(with_timeout(300_ms, screen.next_key())), errc::timed_out);
    pty.type("b");
    EXPECT_THAT(co_await take(screen, 1), ElementsAre("text b")) << "nothing came for long enough";
  });
}

TEST_P(terminals, give_what_was_read_for_a_key_to_the_next_receive) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    const raw_mode raw(screen);
    pty.type("abc");
    EXPECT_THAT(co_await take(screen, 1), ElementsAre("text a"));
    EXPECT_EQ((co_await screen.receive()).text(), "bc");
  });
}

TEST_P(terminals, lose_no_key_to_a_cancel) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    const raw_mode raw(screen);
    std::string heard;
    for (int round = 0; round < 60; ++round) {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          for (;;) heard += (co_await screen.next_key())->text;
        });
        co_await yield();
        pty.type(std::string(1, static_cast<char>('0' + round)));
        for (int turns = round % 4; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
    }
    while (heard.size() < 60) heard += (co_await screen.next_key())->text;
    for (int round = 0; round < 60; ++round)
      EXPECT_EQ(heard[static_cast<std::size_t>(round)], static_cast<char>('0' + round));
  });
}

TEST_P(terminals, end_when_the_user_hangs_up_and_with_closed_when_closed) {
  run([&]() -> task<> {
    pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(text_of(co_await screen.next_key()), "the end"); });
      co_await yield();
      pty.hang_up();
    });
    const pseudo_terminal other;
    terminal closed = open_terminal(other.program);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await code_of(closed.next_key()), errc::closed); });
      co_await yield();
      closed.close();
    });
  });
}

TEST_P(terminals, tell_their_size_and_its_changes) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    terminal_size size = screen.size();
    EXPECT_EQ(size, (terminal_size{.rows = 24, .columns = 80}));
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { size = (co_await screen.next_size(size)).value_or(size); });
      co_await yield();
      co_await yield();
      co_await yield();
      ::kill(::getpid(), SIGWINCH);  // another terminal's, perhaps: nothing has changed here
      for (int i = 0; i < 20; ++i) co_await yield();
      EXPECT_EQ(size.rows, 24);
      pty.resize(50, 132);
      ::kill(::getpid(), SIGWINCH);
    });
    EXPECT_EQ(size, (terminal_size{.rows = 50, .columns = 132}));
    pty.resize(10, 20);  // nobody says so, but it is seen
    EXPECT_EQ(co_await screen.next_size(size), (terminal_size{.rows = 10, .columns = 20}));
  });
}

TEST_P(terminals, have_no_next_size_once_the_user_hangs_up) {
  run([&]() -> task<> {
    pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    const raw_mode raw(screen);
    const terminal_size size = screen.size();
    bool has_ended = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_EQ(co_await screen.next_size(size), std::nullopt);
        has_ended = true;
      });
      for (int i = 0; i < 5; ++i) co_await yield();
      pty.type("ab");  // keys are no end of it, read or not
      EXPECT_EQ(text_of(co_await screen.next_key()), "text a");
      for (int i = 0; i < 20; ++i) co_await yield();
      EXPECT_FALSE(has_ended);
      pty.hang_up();
    });
    EXPECT_TRUE(has_ended);
    EXPECT_EQ(co_await screen.next_size(size), std::nullopt) << "it stays gone";
    EXPECT_EQ(co_await screen.next_size({.rows = 1, .columns = 1}), std::nullopt);
  });
}

TEST_P(terminals, end_a_wait_for_the_next_size_with_closed_when_closed) {
  run([&]() -> task<> {
    for (int turns = 0; turns < 8; ++turns) {
      const pseudo_terminal pty;
      terminal screen = open_terminal(pty.program);
      const terminal_size size = screen.size();
      co_await with_scope([&](scope& s) -> task<> {
        for (int waiting = 0; waiting < 2; ++waiting) {
          s.spawn([&]() -> task<> {
            EXPECT_EQ(co_await code_of(screen.next_size(size)), errc::closed);
          });
        }
        for (int i = 0; i < turns; ++i) co_await yield();
        screen.close();
      });
      EXPECT_EQ(co_await code_of(screen.next_size(size)), errc::closed);
    }
  });
}

TEST_P(terminals, take_back_a_cancelled_wait_for_the_next_size) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    const terminal_size size = screen.size();
    for (int turns = 0; turns < 8; ++turns) {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          std::ignore = co_await screen.next_size(size);
          ADD_FAILURE() << "nothing has changed";
        });
        for (int i = 0; i < turns; ++i) co_await yield();
        s.cancel("test");
      });
    }
    pty.resize(10, 20);
    EXPECT_EQ((co_await screen.next_size(size))->rows, 10);
  });
}

TEST_P(terminals, have_their_mode_back_at_the_end_of_the_block_and_after_cancel_and_error) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    {
      const raw_mode outer(screen);
      EXPECT_TRUE(pty.is_raw());
      EXPECT_FALSE(pty.makes_signals());
      {
        const raw_mode inner(screen, {.keeps_signals = true});
        EXPECT_FALSE(pty.makes_signals()) << "what was off stays off";
      }
      EXPECT_TRUE(pty.is_raw());
    }
    EXPECT_FALSE(pty.is_raw());
    {
      const raw_mode raw(screen, {.keeps_signals = true});
      EXPECT_TRUE(pty.makes_signals());
    }
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        const raw_mode raw(screen);
        std::ignore = co_await screen.next_key();
      });
      co_await yield();
      EXPECT_TRUE(pty.is_raw());
      s.cancel("test");
    });
    EXPECT_FALSE(pty.is_raw());
    const auto fails = [&]() -> task<> {
      const raw_mode raw(screen);
      raise(error(errc::io, "test"));
      co_return;
    };
    EXPECT_EQ(co_await code_of(fails()), errc::io);
    EXPECT_FALSE(pty.is_raw());
    std::optional<raw_mode> raw(std::in_place, screen);
    screen.close();
    raw.reset();
    EXPECT_FALSE(pty.is_raw()) << "also after the terminal was closed";
  });
}

TEST_P(terminals, have_their_mode_back_in_whatever_order_raw_modes_end) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    const pseudo_terminal other;
    terminal screen = open_terminal(pty.program);
    terminal same = open_terminal(pty.program);
    terminal apart = open_terminal(other.program);
    std::optional<raw_mode> modes[3];
    for (const auto& order : {std::array{0, 1, 2}, std::array{1, 0, 2}, std::array{0, 2, 1},
                              std::array{2, 0, 1}, std::array{1, 2, 0}}) {
      modes[0].emplace(screen);
      const raw_mode elsewhere(apart);
      modes[1].emplace(same);
      modes[2].emplace(screen);
      modes[static_cast<std::size_t>(order[0])].reset();
      EXPECT_TRUE(pty.is_raw());
      modes[static_cast<std::size_t>(order[1])].reset();
      EXPECT_TRUE(pty.is_raw());
      modes[static_cast<std::size_t>(order[2])].reset();
      EXPECT_FALSE(pty.is_raw());
      EXPECT_TRUE(other.is_raw());
    }
    EXPECT_FALSE(other.is_raw());
    co_return;
  });
}

TEST_P(terminals, have_a_bound_of_raw_modes) {
  run([&]() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    const auto one_more = [&]() -> task<> {
      const raw_mode raw(screen);
      co_return;
    };
    {
      std::vector<std::unique_ptr<raw_mode>> all;
      for (int i = 0; i < raw_mode::modes_max; ++i)
        all.push_back(std::make_unique<raw_mode>(screen));
      EXPECT_EQ(co_await code_of(one_more()), errc::full);
      while (!all.empty()) all.pop_back();
    }
    EXPECT_EQ(co_await code_of(one_more()), errc{});
    EXPECT_FALSE(pty.is_raw());
    screen.close();
    EXPECT_EQ(co_await code_of(one_more()), errc::closed);
  });
}

/// A terminal in raw mode, in which `last` is done; then keys are awaited.
template <class Last>
task<> raw_program(const pseudo_terminal& on, Last last) {
  terminal screen = open_terminal(on.program);
  const raw_mode raw(screen);
  if (on.is_raw()) say_ready();
  last();
  std::ignore = co_await screen.next_key();
}
/// The same as a program that leaves signals as they are, or, as most do, one by weir::run().
enum class program_kind { plain, by_run };
template <class Last>
child_outcome in_raw_mode(program_kind kind, const pseudo_terminal& pty, Last last) {
  return in_child([&] {
    const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    if (kind == program_kind::by_run) return run(raw_program(pty, last));
    const auto io = make_driver({});
    run_on(*io, raw_program(pty, last));
    return 0;
  });
}

TEST(RawMode, ends_with_the_process_whatever_signal_ends_it) {
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGABRT, SIGUSR1, SIGXCPU}) {
    const pseudo_terminal pty;
    const child_outcome outcome =
        in_raw_mode(program_kind::plain, pty, [number] { ::raise(number); });
    EXPECT_EQ(outcome.signal, number);
    EXPECT_EQ(outcome.text.find(ready_line), 0u) << outcome.text;
    EXPECT_FALSE(pty.is_raw()) << number;
  }
}

TEST(RawMode, ends_before_a_crash_tells_its_tasks) {
  const pseudo_terminal pty;
  const child_outcome outcome = in_raw_mode(program_kind::by_run, pty, [] { ::raise(SIGSEGV); });
  EXPECT_EQ(outcome.signal, SIGSEGV);
  EXPECT_THAT(outcome.text, ::testing::StartsWith("ready\nweir: died of signal 11; its tasks:"));
  EXPECT_FALSE(pty.is_raw());
}

TEST(RawMode, ends_when_a_signal_makes_the_program_end_in_order) {
  const pseudo_terminal pty;
  const child_outcome outcome = in_raw_mode(program_kind::by_run, pty, [] { ::raise(SIGTERM); });
  EXPECT_EQ(outcome.signal, 0) << outcome.text;
  EXPECT_EQ(outcome.text.find(ready_line), 0u) << outcome.text;
  EXPECT_FALSE(pty.is_raw());
}

TEST(RawMode, ends_newest_first_whatever_slots_have_been_free) {
  const pseudo_terminal other;
  const pseudo_terminal pty;
  const child_outcome outcome = in_child([&] {
    const auto io = make_driver({});
    run_on(*io, [](const pseudo_terminal& first, const pseudo_terminal& second) -> task<> {
      terminal one = open_terminal(first.program);
      terminal two = open_terminal(second.program);
      std::optional<raw_mode> oldest(std::in_place, one);
      const raw_mode outer(two);
      oldest.reset();
      const raw_mode inner(two);
      if (second.is_raw()) say_ready();
      ::raise(SIGTERM);
      co_return;
    }(other, pty));
    return 0;
  });
  EXPECT_EQ(outcome.signal, SIGTERM);
  EXPECT_EQ(outcome.text.find(ready_line), 0u) << outcome.text;
  EXPECT_FALSE(pty.is_raw());
}

TEST(RawMode, ends_with_exit) {
  const pseudo_terminal pty;
  const child_outcome outcome = in_raw_mode(program_kind::plain, pty, [] { std::exit(7); });
  EXPECT_EQ(outcome.code, 7);
  EXPECT_EQ(outcome.text.find(ready_line), 0u) << outcome.text;
  EXPECT_FALSE(pty.is_raw());
}

int handled = 0;

TEST(RawMode, leaves_signals_to_a_program_that_handles_them_and_what_it_found_afterwards) {
  handled = 0;
  const auto io = make_driver({});
  run_on(*io, []() -> task<> {
    const pseudo_terminal pty;
    terminal screen = open_terminal(pty.program);
    struct sigaction own = {};
    own.sa_handler = [](int) { ++handled; };
    struct sigaction before = {};
    ::sigaction(SIGUSR2, &own, &before);
    auto* const inherited = ::signal(SIGTERM, SIG_DFL);
    {
      const raw_mode raw(screen);
      ::raise(SIGUSR2);
      EXPECT_EQ(handled, 1);
      EXPECT_TRUE(pty.is_raw());
      struct sigaction now = {};
      ::sigaction(SIGTERM, nullptr, &now);
      EXPECT_NE(now.sa_handler, SIG_DFL);
    }
    struct sigaction now = {};
    ::sigaction(SIGTERM, nullptr, &now);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
    ::signal(SIGTERM, inherited);
    ::sigaction(SIGUSR2, &before, nullptr);
    co_return;
  }());
}

TEST(Terminals, are_unsupported_in_a_virtual_world) {
  const auto io = make_virtual({});
  run_on(*io, []() -> task<> {
    const pseudo_terminal pty;
    const auto open = [&]() -> task<> {
      terminal never = open_terminal(pty.program);
      co_return;
    };
    EXPECT_EQ(co_await code_of(open()), errc::unsupported);
  }());
}

}  // namespace
}  // namespace weir::terminal_stream_test

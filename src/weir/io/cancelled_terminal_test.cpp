// The waits of a terminal, cancelled at every point: no key is lost, and none of a change of its
// size.
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/raw_mode.hpp>
#include <weir/io/terminal_stream.hpp>
#include <weir/sim/virtual_world.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::cancelled_terminal_test {
namespace {

using namespace weir::literals;
using testing::cancel_at_every_point;
using ::testing::ElementsAre;
using testing::expect_raises;
using testing::victim;

/// A terminal of the virtual world and whoever sits at it.
struct screen_and_user {
  virtual_terminal handles = testing::world().make_terminal(24, 80);
  terminal screen{loop::current()->io(), handles.program};
  socket user{loop::current()->io(), handles.user};

  void resize(int rows, int columns) const {
    testing::world().resize_terminal(handles, rows, columns);
  }
};

struct typed_part {
  duration pause;  // before it
  std::string_view text;
};
task<> type(socket* user, std::vector<typed_part> parts) {
  for (const typed_part& one : parts) {
    co_await sleep(one.pause);
    co_await user->send(one.text);
  }
  user->close();
}

std::string text_of(const key_press& one) {
  std::string text = name(one.what);
  if (!one.text.empty()) text += " " + one.text;
  return one.has_alt ? "alt+" + text : text;
}
task<> take_keys(terminal* from, std::vector<std::string>* into) {
  while (const auto one = co_await from->next_key()) into->push_back(text_of(*one));
}

/// The keys that come of what is typed, with a victim among those who take them.
task<std::vector<std::string>> keys_of(victim& v, std::vector<typed_part> parts) {
  screen_and_user all;
  std::vector<std::string> keys;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(type, &all.user, std::move(parts));
    co_await v.run(take_keys(&all.screen, &keys));
    co_await take_keys(&all.screen, &keys);
  });
  co_return keys;
}

TEST(CancelledTerminal, a_receive_has_taken_what_it_gave_and_no_more) {
  cancel_at_every_point([](victim& v) -> task<> {
    screen_and_user all;
    std::string got;
    const auto receive_all = [](terminal* from, std::string* into) -> task<> {
      std::ignore = co_await as_result(sleep(1_us));  // so that a receive begins cancelled, too
      while (const bytes piece = co_await from->receive()) *into += piece.text();
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(type, &all.user,
              std::vector<typed_part>{{1_ms, "kone "}, {1_ms, "two "}, {1_ms, "three"}});
      EXPECT_EQ(text_of((co_await all.screen.next_key()).value()), "text k");
      co_await v.run(receive_all(&all.screen, &got));
      co_await receive_all(&all.screen, &got);
    });
    EXPECT_EQ(got, "one two three");
  });
}

TEST(CancelledTerminal, a_send_tells_how_much_is_shown) {
  cancel_at_every_point([](victim& v) -> task<> {
    screen_and_user all;
    const std::string text(20'000, 'x');  // more than is kept for who looks at it
    std::size_t sent = 0;
    std::string shown;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        while (const bytes piece = co_await all.user.receive()) shown += piece.text();
      });
      co_await v.run([](terminal* to, const std::string* what, std::size_t* count) -> task<> {
        co_await to->send(*what, count);
      }(&all.screen, &text, &sent));
      all.screen.close();
    });
    EXPECT_EQ(shown.size(), sent);
    if (!v.was_cancelled()) EXPECT_EQ(sent, text.size());
  });
}

TEST(CancelledTerminal, a_wait_for_a_key_loses_none) {
  cancel_at_every_point([](victim& v) -> task<> {
    EXPECT_THAT(co_await keys_of(v, {{1_ms, "ab"}, {1_ms, "\xc3"}, {1_ms, "\xa4\x1b[Ac"}}),
                ElementsAre("text a", "text b", "text \xc3\xa4", "up", "text c"));
  });
}

// The pauses are so long that another wait for the rest, from the cancellation on, ends in them.
TEST(CancelledTerminal, a_wait_for_what_may_follow_an_escape_loses_neither_it_nor_what_follows) {
  cancel_at_every_point([](victim& v) -> task<> {
    EXPECT_THAT(
        co_await keys_of(v, {{1_ms, "\x1b"}, {100_ms, "\x1b"}, {10_ms, "[B"}, {100_ms, "\x1b["}}),
        ElementsAre("escape", "down", "alt+text ["));
  });
}

TEST(CancelledTerminal, a_wait_in_a_string_that_is_cut_takes_nothing_of_it_for_a_key) {
  cancel_at_every_point([](victim& v) -> task<> {
    static const std::string part(800, 'x');
    static const std::string begin = "\x1bP" + part;
    const std::string told = "unknown " + (begin + part).substr(0, detail::string_bytes_max);
    EXPECT_THAT(co_await keys_of(v, {{1_ms, begin}, {5_ms, part}, {5_ms, part}, {5_ms, "\x1b\\a"}}),
                ElementsAre(told, "text a"));
  });
}

task<> wait_for_size(terminal* of, std::optional<terminal_size>* into) {
  *into = co_await of->next_size({.rows = 24, .columns = 80});
}

TEST(CancelledTerminal, a_wait_for_the_next_size_leaves_the_size_and_the_keys) {
  cancel_at_every_point([](victim& v) -> task<> {
    screen_and_user all;
    std::optional<terminal_size> got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        co_await all.user.send("k");
        testing::world().raise_signal(SIGWINCH);  // another terminal's: nothing has changed here
        co_await sleep(1_ms);
        all.resize(50, 132);
      });
      co_await v.run(wait_for_size(&all.screen, &got));
      if (!got) co_await with_timeout(1_s, wait_for_size(&all.screen, &got));
    });
    EXPECT_EQ(got, (terminal_size{.rows = 50, .columns = 132}));
    EXPECT_EQ(text_of((co_await all.screen.next_key()).value()), "text k");
  });
}

TEST(CancelledTerminal, a_wait_for_the_next_size_misses_none_that_comes_while_it_begins) {
  cancel_at_every_point([](victim& v) -> task<> {
    screen_and_user all;
    std::optional<terminal_size> got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        all.resize(50, 132);
        co_return;
      });
      co_await v.run(wait_for_size(&all.screen, &got));
      if (!got) co_await with_timeout(1_s, wait_for_size(&all.screen, &got));
    });
    EXPECT_EQ(got, (terminal_size{.rows = 50, .columns = 132}));
  });
}

TEST(CancelledTerminal, a_wait_for_the_next_size_hears_the_end_or_leaves_it_to_the_next) {
  cancel_at_every_point([](victim& v) -> task<> {
    screen_and_user all;
    int ends = 0;
    const auto wait = [](terminal* of, int* count) -> task<> {
      if (!co_await of->next_size({.rows = 24, .columns = 80})) ++*count;
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        all.user.close();
      });
      co_await v.run(wait(&all.screen, &ends));
      if (ends == 0) co_await with_timeout(1_s, wait(&all.screen, &ends));
    });
    EXPECT_EQ(ends, 1);
  });
}

// [test]
WEIR_TEST("keys and sizes come from a terminal of the virtual world") {
  const weir::virtual_terminal ends = weir::testing::world().make_terminal(24, 80);
  weir::driver& io = weir::loop::current()->io();
  weir::terminal screen(io, ends.program);  // for the program that is tested
  weir::socket user(io, ends.user);
  co_await user.send("\x1b[A");
  EXPECT_EQ((co_await screen.next_key())->what, weir::key::up);
  weir::testing::world().resize_terminal(ends, 50, 132);
  EXPECT_EQ((co_await screen.next_size({24, 80}))->columns, 132);
  user.close();  // hangs up
  EXPECT_FALSE(co_await screen.next_key());
}
// [/test]

WEIR_TEST("a terminal of the virtual world is one in raw mode: what is typed comes at once") {
  screen_and_user all;
  const raw_mode raw(all.screen);
  co_await all.user.send("a\x03");
  EXPECT_EQ(text_of((co_await all.screen.next_key()).value()), "text a");
  EXPECT_EQ(text_of((co_await all.screen.next_key()).value()), "control c");
  co_await all.screen.send("out");
  all.screen.close();
  std::string shown;
  while (const bytes piece = co_await all.user.receive()) shown += piece.text();
  EXPECT_EQ(shown, "out") << "nothing was echoed";
}

WEIR_TEST("a terminal of the virtual world has a size until its user hangs up, read or not") {
  screen_and_user all;
  EXPECT_EQ(all.screen.size(), (terminal_size{.rows = 24, .columns = 80}));
  all.resize(10, 20);
  EXPECT_EQ(all.screen.size(), (terminal_size{.rows = 10, .columns = 20}));
  co_await all.screen.send("nobody reads this");
  all.user.close();
  EXPECT_FALSE(co_await all.screen.next_key()) << "an end, and no error";
  EXPECT_EQ(co_await all.screen.next_size({}), std::nullopt);
  const auto size_of = [](const terminal* of) -> task<> {
    static_cast<void>(of->size());
    co_return;
  };
  co_await expect_raises<errc::io>(size_of(&all.screen));
  all.screen.close();
  all.resize(50, 132);
  co_await expect_raises<errc::closed>(size_of(&all.screen));
}

WEIR_TEST("what is no terminal of the virtual world has no size") {
  auto [from, to] = make_pipe();
  io_handle handle = from.handle();
  int rows = 0;
  int columns = 0;
  driver& io = loop::current()->io();
  EXPECT_EQ(io.terminal_size_of(handle, rows, columns), -ENOTTY);
  EXPECT_EQ(io.adopt_stream(handle), 0);
  from.close();
  EXPECT_EQ(io.terminal_size_of(handle, rows, columns), -EBADF);
  EXPECT_EQ(io.adopt_stream(handle), -EBADF);
  co_return;
}

}  // namespace
}  // namespace weir::cancelled_terminal_test

// Keys, lines and the size of a terminal; docs/guide/terminals.md shows them. It runs to its end by
// itself: what somebody would type goes into a pseudo-terminal.
#include <weir/io.hpp>
#include <weir/io/raw_mode.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/terminal_stream.hpp>

#include <pty.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace {

// [keys]
weir::task<> read_keys(weir::terminal& screen) {
  const weir::raw_mode raw(screen);  // until the end of this block, whatever ends it
  while (auto one = co_await screen.next_key()) {
    if (one->what == weir::key::escape) co_return;
    std::printf("%s%s %s\n", one->has_alt ? "Alt and " : "", weir::name(one->what),
                one->text.c_str());
  }
}
// [/keys]

// [lines]
weir::task<> read_name(weir::terminal& screen) {
  weir::reader lines(screen);
  co_await screen.send("Your name? ");
  if (auto line = co_await lines.read_line())
    std::printf("hello, %s\n", std::string(line->text()).c_str());
}
// [/lines]

// [size]
weir::task<> follow_size(weir::terminal& screen, weir::terminal_size shown) {
  while (auto next = co_await screen.next_size(shown)) {  // nothing when the terminal is gone
    shown = *next;
    std::printf("%d rows, %d columns\n", shown.rows, shown.columns);
    if (shown.rows < 10) co_return;
  }
}
// [/size]

void type(int user, std::string_view text) {
  if (::write(user, text.data(), text.size()) < 0) std::perror("type");
}

weir::task<> tour(int user, int program) {
  std::printf("a terminal: %s\n", weir::is_tty(program) ? "yes" : "no");
  weir::terminal screen = weir::open_terminal(program);  // of a program: open_terminal()
  type(user, "Ada\n");
  co_await read_name(screen);
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await read_keys(screen); });
    co_await weir::yield();  // it is in raw mode now: before, Ctrl-C would be no key
    type(user, "a\x1b[A\x1bq\x03\x1b\x1b");
  });
  const struct winsize small{.ws_row = 5, .ws_col = 40, .ws_xpixel = 0, .ws_ypixel = 0};
  ::ioctl(user, TIOCSWINSZ, &small);
  co_await follow_size(screen, {.rows = 24, .columns = 80});
}

}  // namespace

int main() {
  int user = -1;
  int program = -1;
  if (::openpty(&user, &program, nullptr, nullptr, nullptr) != 0) return 1;
  return weir::run(tour(user, program));
}

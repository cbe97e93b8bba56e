#include <weir/testing/fake_peer.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/detail/fail_at.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

namespace weir::testing {

namespace {

constexpr std::size_t line_bytes = 16;
constexpr std::size_t shown_bytes_max = 256;  // bytes of what came

int digit_of(char sign) noexcept {
  if (sign >= '0' && sign <= '9') return sign - '0';
  if (sign >= 'a' && sign <= 'f') return sign - 'a' + 10;
  if (sign >= 'A' && sign <= 'F') return sign - 'A' + 10;
  return -1;
}

// "  came      0010  48 45 4c   HEL"
std::string hex_line(std::string_view name, std::string_view text, std::size_t at) {
  std::string hex;
  std::string letters;
  for (std::size_t i = at; i < std::min(at + line_bytes, text.size()); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    hex += fmt::format("{:02x} ", byte);
    letters += byte >= 0x20 && byte < 0x7f ? text[i] : '.';
  }
  std::string line =
      fmt::format("  {:<9} {:06x}  {:<{}} {}", name, at, hex, line_bytes * 3, letters);
  line.resize(line.find_last_not_of(' ') + 1);
  return line + '\n';
}
constexpr std::size_t hex_column = 20;  // of the first byte

std::string hex_lines(std::string_view name, std::string_view text) {
  std::string lines;
  for (std::size_t at = 0; at < std::min(text.size(), shown_bytes_max); at += line_bytes) {
    lines += hex_line(at == 0 ? name : "", text, at);
  }
  if (text.size() > shown_bytes_max) {
    lines += fmt::format("  ... and {} bytes more\n", text.size() - shown_bytes_max);
  }
  return lines;
}

std::string bytes_text(std::size_t count) {
  return fmt::format("{} byte{}", count, count == 1 ? "" : "s");
}

std::size_t first_difference(std::string_view a, std::string_view b) noexcept {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

std::string bytes_of_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == ' ') continue;
    const int high = digit_of(text[at]);
    const int low = at + 1 < text.size() ? digit_of(text[at + 1]) : -1;
    if (high < 0 || low < 0) {
      raise(
          error(errc::invalid_argument,
                fmt::format("\"{}\" at position {}: no pair of hexadecimal digits", text, at + 1)));
    }
    bytes += static_cast<char>(high * 16 + low);
    ++at;
  }
  return bytes;
}

std::string hex_difference(std::string_view expected, std::string_view came) {
  if (expected == came) return {};
  const std::size_t differs = first_difference(expected, came);
  const std::size_t line = differs / line_bytes * line_bytes;
  std::string text;
  if (line != 0) text += hex_line("both", expected, line - line_bytes);
  text += hex_line("expected", expected, line);
  text += hex_line("came", came, line);
  text += std::string(hex_column + (differs - line) * 3, ' ') + "^^\n";
  return text;
}

fake_peer& fake_peer::add(step one) {
  const bool is_over = !steps_.empty() && steps_.back().kind == step_kind::reset;
  WEIR_ASSERT(!is_over && "reset() is a script's last step");
  WEIR_ASSERT(!is_played_ && "a script is written before it is played");
  steps_.push_back(std::move(one));
  return *this;
}

fake_peer& fake_peer::expect(std::string_view bytes, place written) {
  return add({.kind = step_kind::expect, .text = std::string(bytes), .written = written});
}
fake_peer& fake_peer::take_until(std::string_view delimiter, std::string* into, place written) {
  WEIR_ASSERT(!delimiter.empty());
  return add(
      {.kind = step_kind::until, .text = std::string(delimiter), .into = into, .written = written});
}
fake_peer& fake_peer::take(std::size_t count, std::string* into, place written) {
  return add({.kind = step_kind::take, .count = count, .into = into, .written = written});
}
fake_peer& fake_peer::expect_end(place written) {
  return add({.kind = step_kind::end, .written = written});
}
fake_peer& fake_peer::send(std::string_view bytes, place written) {
  return add({.kind = step_kind::send,
              .text = std::string(bytes),
              .count = bytes.size(),
              .written = written});
}
fake_peer& fake_peer::send_in_pieces(std::string_view bytes, std::size_t piece, duration pause,
                                     place written) {
  WEIR_ASSERT(piece != 0);
  return add({.kind = step_kind::send,
              .text = std::string(bytes),
              .count = piece,
              .length = pause,
              .written = written});
}
fake_peer& fake_peer::wait(duration length, place written) {
  return add({.kind = step_kind::wait, .length = length, .written = written});
}
fake_peer& fake_peer::half_close(place written) {
  return add({.kind = step_kind::half_close, .written = written});
}
fake_peer& fake_peer::reset(place written) {
  return add({.kind = step_kind::reset, .written = written});
}

// An error that passes through may be why it was not.
fake_peer::~fake_peer() {
  if (steps_.empty() || is_played_ || is_served_ || std::uncaught_exceptions() != 0) return;
  detail::fail_at(written_, options_.name + std::string(": its script was never played"));
}

task<> fake_peer::serve(listener& door) {
  is_served_ = true;
  co_await play(co_await door.accept());
}

task<> fake_peer::play_on(weir::detail::source_ref from, weir::detail::sink_ref to) {
  WEIR_ASSERT(!is_played_ && "a script is played once");
  is_played_ = true;
  for (; at_ < steps_.size(); ++at_) {
    if (!co_await do_step(steps_[at_], from, to)) {
      co_await to.abort(error(errc::broken, "the script failed"));
      co_return;
    }
  }
  if (!came_.empty()) {
    fail({.kind = step_kind::end, .written = steps_.empty() ? written_ : steps_.back().written},
         fmt::format("the script is over, and {} came that are in none of its steps\n{}",
                     bytes_text(came_.size()), hex_lines("came", came_)));
    co_return;
  }
  has_finished_ = true;
}

task<bool> fake_peer::do_step(const step& one, weir::detail::source_ref from,
                              weir::detail::sink_ref to) {
  switch (one.kind) {
    case step_kind::expect:
      co_return co_await do_expect(one, from);
    case step_kind::until:
      co_return co_await do_until(one, from);
    case step_kind::take:
      co_return co_await do_take(one, from);
    case step_kind::end:
      co_return co_await do_end(one, from);
    case step_kind::send:
      co_return co_await do_send(one, to);
    case step_kind::wait:
      co_await sleep(one.length);
      co_return true;
    case step_kind::half_close:
      co_return co_await do_half_close(one, to);
    case step_kind::reset:
      co_await to.abort(error(errc::broken, "as the script says"));
      co_return true;
  }
  co_return true;
}

task<bool> fake_peer::do_expect(const step& one, weir::detail::source_ref from) {
  const std::string_view wanted = one.text;
  for (;;) {
    const std::string_view seen = std::string_view(came_).substr(0, wanted.size());
    const std::size_t differs = first_difference(seen, wanted);
    if (differs < seen.size()) {
      fail(one, fmt::format("byte {} of the step differs, byte {} of the connection\n{}", differs,
                            taken_ + differs, hex_difference(wanted, came_)));
      co_return false;
    }
    if (seen.size() == wanted.size()) break;
    if (!co_await wait_bytes(one, from, wanted)) co_return false;
  }
  take_front(wanted.size());
  co_return true;
}

task<bool> fake_peer::do_until(const step& one, weir::detail::source_ref from) {
  std::size_t searched = 0;
  for (;;) {
    const std::size_t found = came_.find(one.text, searched);
    if (found != std::string::npos) {
      const std::string taken = take_front(found + one.text.size());
      if (one.into) *one.into = taken;
      co_return true;
    }
    searched = came_.size() - std::min(came_.size(), one.text.size() - 1);
    if (!co_await wait_bytes(one, from, one.text)) co_return false;
  }
}

task<bool> fake_peer::do_take(const step& one, weir::detail::source_ref from) {
  while (came_.size() < one.count) {
    if (!co_await wait_bytes(one, from, {})) co_return false;
  }
  const std::string taken = take_front(one.count);
  if (one.into) *one.into = taken;
  co_return true;
}

task<bool> fake_peer::do_end(const step& one, weir::detail::source_ref from) {
  if (came_.empty()) {
    const arrival what = co_await receive_more(from);
    if (what == arrival::end) co_return true;
    if (what == arrival::failed) {
      fail(one, fmt::format("expected the end of the stream, came {}", trouble_));
      co_return false;
    }
  }
  fail(one, fmt::format("expected the end of the stream, came {}\n{}", bytes_text(came_.size()),
                        hex_lines("came", came_)));
  co_return false;
}

task<bool> fake_peer::do_send(const step& one, weir::detail::sink_ref to) {
  std::string_view rest = one.text;
  while (!rest.empty()) {
    const std::string_view now = rest.substr(0, one.count);
    const io_slice slice{now.data(), now.size()};
    std::size_t sent = 0;
    const auto outcome = co_await as_result(
        with_timeout(options_.patience, to.send(std::span<const io_slice>(&slice, 1), &sent)));
    if (!outcome) {
      co_await checkpoint();
      fail(one, fmt::format("{} of {} were sent, then: {}", one.text.size() - rest.size() + sent,
                            bytes_text(one.text.size()), describe(outcome.error())));
      co_return false;
    }
    rest.remove_prefix(now.size());
    if (one.length > duration()) co_await sleep(one.length);
  }
  co_return true;
}

task<bool> fake_peer::do_half_close(const step& one, weir::detail::sink_ref to) {
  const auto outcome = co_await as_result(to.end());
  if (outcome) co_return true;
  co_await checkpoint();
  fail(one, describe(outcome.error()));
  co_return false;
}

// More bytes for a step; false, and the test has failed: none come.
task<bool> fake_peer::wait_bytes(const step& one, weir::detail::source_ref from,
                                 std::string_view wanted) {
  const arrival what = co_await receive_more(from);
  if (what == arrival::more) co_return true;
  const std::string why = what == arrival::end ? "the stream ended" : trouble_;
  fail(one, fmt::format("{} after {} of the step\n{}{}", why, bytes_text(came_.size()),
                        hex_lines("expected", wanted), hex_lines("came", came_)));
  co_return false;
}

task<fake_peer::arrival> fake_peer::receive_more(weir::detail::source_ref from) {
  auto outcome = co_await as_result(with_timeout(options_.patience, from.receive()));
  if (!outcome) {
    co_await checkpoint();  // this task's own cancellation ends it here
    trouble_ = outcome.error() == errc::timed_out
                   ? fmt::format("nothing for {}", format_duration(options_.patience))
                   : describe(outcome.error());
    co_return arrival::failed;
  }
  if (outcome->empty()) co_return arrival::end;
  came_ += outcome->text();
  if (came_.size() > fake_peer_bytes_max) {
    trouble_ = fmt::format("more than {} bytes that no step takes", fake_peer_bytes_max);
    co_return arrival::failed;
  }
  co_return arrival::more;
}

std::string fake_peer::take_front(std::size_t count) {
  std::string front = came_.substr(0, count);
  came_.erase(0, count);
  taken_ += count;
  return front;
}

void fake_peer::fail(const step& one, const std::string& what) const {
  const std::string_view names[] = {"expect", "take_until", "take",       "expect_end",
                                    "send",   "wait",       "half_close", "reset"};
  const std::string text = at_ < steps_.size()
                               ? fmt::format("{}, step {}, {}(): {}", options_.name, at_ + 1,
                                             names[static_cast<std::size_t>(one.kind)], what)
                               : fmt::format("{}: {}", options_.name, what);
  detail::fail_at(one.written, text);
}

}  // namespace weir::testing

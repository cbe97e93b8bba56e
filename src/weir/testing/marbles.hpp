// Marble diagrams: what comes when, drawn as a line of text. The hard idea: a sign is a frame, and
// a frame is a stretch of virtual time, so that "when" is exact and a test of time needs no clock.
//
//   items    a-b-(cd)-|      letters and digits are items, '-' is a frame in which nothing comes,
//                            '(cd)' is one frame in which both come, '|' is the end, '#' an error
//   demand   r--2--!         'r' asks for one item, '2' ... '9' for so many, '!': the consumer
//   leaves
//
// A frame's events happen at its beginning, but '!' at its very end: what came in it was received.
// The form is that of RxJS and its relatives; there a group takes as many frames as it has signs.
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/generator.hpp>
#include <weir/core/sleep.hpp>
#include <weir/testing/detail/marble_row.hpp>
#include <weir/testing/test.hpp>

#include <map>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weir::testing {

/// The items that letters stand for. A letter that is not among them stands for itself in a
/// diagram of `char` and of strings, and a digit for its number in one of numbers.
template <class T>
using marble_values = std::map<char, T>;

/// How a diagram is played.
struct marble_options {
  duration frame = duration::milliseconds(1);
  errc failure = errc::broken;  // what '#' raises
};
/// How a source is held against a diagram.
struct marble_expectation {
  duration frame = duration::milliseconds(1);
  errc failure{};                // what '#' stands for; none: any error
  std::string_view demand = {};  // when the consumer asks and leaves; none: again and again at once
};

/// A source that plays a diagram, once, and notes when it was asked.
///
/// Cancel:  a consumer that leaves before the end is noted as '!'; it has taken what it was given.
/// Order:   as drawn; an item that nobody asks for in its frame waits, and the others behind it.
/// Bound:   marble_frames_max frames.
/// Errors:  `invalid_argument` with the position for a text that is no diagram.
/// Threads: one loop. It outlives what items() and send_to() give.
template <class T = char>
class marble_source {
 public:
  explicit marble_source(std::string_view diagram, marble_values<T> values = {},
                         marble_options options = {})
      : play_(detail::parse_marbles(diagram), options.frame),
        values_(std::move(values)),
        failure_(options.failure) {
    for (const detail::marble& one : play_.plan()) {
      if (one.kind == detail::marble_kind::item) detail::marble_value(values_, one.letter);
    }
  }
  marble_source(const marble_source&) = delete;
  marble_source& operator=(const marble_source&) = delete;

  /// The items on demand; frame 0 is now. Without an end in the diagram it is silent after it.
  [[nodiscard]] WEIR_CORO_WRAPPER generator<T> items() {
    play_.begin();
    return give(this);
  }
  /// Sends the items to a channel's sender and closes it at the end; frame 0 is now. Without an end
  /// in the diagram it waits for its cancellation. A channel carries no '#'.
  template <class Sender>
  [[nodiscard]] WEIR_CORO_WRAPPER task<> send_to(Sender to) {
    play_.refuse_failure();
    play_.begin();
    return push(this, std::move(to));
  }

  /// When it was asked, and left: "r-r--!". Of a channel: when it admitted the items.
  std::string demand() const { return play_.demand(); }
  /// Fails the test unless demand() is as drawn; frames at its end in which nothing happens don't
  /// count.
  void expect_demand(std::string_view row,
                     std::source_location place = std::source_location::current()) const {
    detail::check_demand(play_, row, place);
  }

 private:
  static generator<T> give(marble_source* self) {
    const detail::marble_leave leaves(self->play_);
    for (const detail::marble& one : self->play_.plan()) {
      self->play_.note_ask();
      co_await sleep_until(self->play_.time_of(one.frame));
      if (one.kind == detail::marble_kind::item) {
        co_yield detail::marble_value(self->values_, one.letter);
        continue;
      }
      self->play_.note_end();
      if (one.kind == detail::marble_kind::failure) raise(error(self->failure_, "a marble"));
      co_return;
    }
    self->play_.note_ask();
    co_await sleep_until(time_point::never());
  }
  template <class Sender>
  static task<> push(marble_source* self, Sender to) {
    const detail::marble_leave leaves(self->play_);
    for (const detail::marble& one : self->play_.plan()) {
      co_await sleep_until(self->play_.time_of(one.frame));
      if (one.kind == detail::marble_kind::end) {
        self->play_.note_end();
        to.close();
        co_return;
      }
      const auto sent =
          co_await as_result(to.send(detail::marble_value(self->values_, one.letter)));
      if (!sent) co_return;  // nobody is left to take it: '!'
      self->play_.note_ask();
    }
    co_await sleep_until(time_point::never());
  }

  detail::marble_play play_;
  marble_values<T> values_;
  errc failure_;
};

namespace detail {

/// next() of a generator or a stream, receive() of a receiver.
template <class S>
WEIR_CORO_WRAPPER auto ask_marble(S& source) {
  if constexpr (requires { source.next(); }) {
    return source.next();
  } else {
    return source.receive();
  }
}
template <class S>
using marble_of = typename decltype(ask_marble(
    std::declval<std::remove_reference_t<S>&>()))::value_type::value_type;

template <class S>
task<> watch_marbles(S source, marble_values<marble_of<S>> values, marble_watch watch) {
  while (co_await watch.wait_demand()) {
    const duration left = watch.begin_ask();
    if (left <= duration()) break;
    auto outcome = co_await as_result(with_timeout(left, ask_marble(source)));
    if (!outcome) {
      if (!watch.note_failure(outcome.error())) break;
    } else if (!*outcome) {
      watch.note_end();
    } else if (const auto letter = letter_of(values, **outcome, watch.expected_letter())) {
      watch.note_item(*letter);
    } else {
      watch.note_stranger(::testing::PrintToString(**outcome));
    }
    if (watch.has_ended()) break;
  }
  co_await watch.wait_rest();
  watch.check();
}

}  // namespace detail

/// Asks a source for its items and fails the test unless they come as drawn; frame 0 is now. The
/// failure shows both diagrams frame by frame and when the source was asked. Without an end in the
/// diagram the source must have none within it; the consumer then leaves.
/// `co_await expect_marbles(std::move(lines), "a-b|", {{'a', "one"}, {'b', "two"}});`
template <class S>
[[nodiscard]] WEIR_CORO_WRAPPER task<> expect_marbles(
    S&& source, std::string_view diagram,
    std::type_identity_t<marble_values<detail::marble_of<S>>> values = {},
    marble_expectation options = {}, std::source_location place = std::source_location::current()) {
  return detail::watch_marbles<S>(
      std::forward<S>(source), std::move(values),
      detail::marble_watch(diagram, options.demand, options.frame, options.failure, place));
}

}  // namespace weir::testing

#include <weir/testing/marbles.hpp>

#include <weir/core.hpp>
#include <weir/flow/channel.hpp>
#include <weir/testing/internal/caught_failures.hpp>

#include <string>
#include <vector>

namespace weir::marbles_test {
namespace {

using namespace weir::literals;
using testing::expect_marbles;
using testing::marble_source;

// What a diagram is refused with.
std::string refusal(std::string_view diagram) {
  try {
    testing::detail::parse_marbles(diagram);
  } catch (const exception& e) {
    EXPECT_EQ(e.reason().code(), errc::invalid_argument);
    return std::string(e.reason().message());
  }
  return "";
}
std::string demand_refusal(std::string_view row) {
  try {
    testing::detail::parse_demand(row);
  } catch (const exception& e) {
    return std::string(e.reason().message());
  }
  return "";
}

TEST(Diagram, is_read_and_printed_as_the_same_text) {
  for (const char* text : {"a", "-", "a-b-(cd)-|", "--#", "(ab|)", "0-9--Z", "|"}) {
    EXPECT_EQ(testing::detail::text_of(testing::detail::parse_marbles(text)), text);
  }
  for (const char* text : {"r", "r--2--!", "(r!)", "-", "9"}) {
    EXPECT_EQ(testing::detail::text_of(testing::detail::parse_demand(text)), text);
  }
}

TEST(Diagram, has_a_frame_for_each_sign_and_one_for_a_group) {
  const auto row = testing::detail::parse_marbles("a-(bc)-|");
  ASSERT_EQ(row.marbles.size(), 4u);
  EXPECT_EQ(row.marbles[1].frame, 2u);
  EXPECT_EQ(row.marbles[2].frame, 2u);
  EXPECT_EQ(row.marbles[3].frame, 4u);
  EXPECT_EQ(row.frames, 5u);
}

TEST(Diagram, that_is_none_is_refused_with_its_position_and_a_caret) {
  EXPECT_EQ(refusal("a-b*"),
            "a marble diagram at position 4: items are letters and digits; else '-', '|', '#', '(' "
            "and ')' are known\n  a-b*\n     ^");
  for (const auto& [text, part] : std::vector<std::pair<std::string, std::string>>{
           {"", "position 1: it is empty"},
           {"a-(b", "position 3: this group has no ')'"},
           {"a)", "position 2: no group is open"},
           {"a()", "position 3: an empty group"},
           {"(a(b))", "position 3: a group in a group"},
           {"(a-b)", "position 3: a group is one frame"},
           {"a|b", "position 3: nothing comes after the end"},
           {"a#-", "position 3: nothing comes after the end"},
           {"a-!", "position 3: '!' stands in a demand row"},
           {std::string(testing::marble_frames_max + 1, '-'), "over 10000 frames"}}) {
    EXPECT_NE(refusal(text).find(part), std::string::npos) << text << ": " << refusal(text);
  }
  EXPECT_NE(demand_refusal("r-a").find("a demand row at position 3"), std::string::npos);
  EXPECT_NE(demand_refusal("r!r").find("nothing can be asked after '!'"), std::string::npos);
}

TEST(Diagram, of_the_greatest_length_is_read) {
  EXPECT_EQ(refusal(std::string(testing::marble_frames_max, '-')), "");
}

WEIR_TEST("a diagram played on demand comes as drawn, at its virtual times") {
  marble_source source("a-b-(cd)-|");
  auto items = source.items();
  EXPECT_EQ(co_await items.next(), 'a');
  EXPECT_EQ(testing::elapsed(), 0_ms);
  EXPECT_EQ(co_await items.next(), 'b');
  EXPECT_EQ(testing::elapsed(), 2_ms);
  EXPECT_EQ(co_await items.next(), 'c');
  EXPECT_EQ(co_await items.next(), 'd');
  EXPECT_EQ(testing::elapsed(), 4_ms);
  EXPECT_EQ(co_await items.next(), std::nullopt);
  EXPECT_EQ(testing::elapsed(), 6_ms);
}

WEIR_TEST("a played diagram is what is expected of it") {
  for (const char* text : {"a", "-", "a-b-(cd)-|", "--#", "(ab|)", "a--b", "|", "#"}) {
    marble_source source(text);
    co_await expect_marbles(source.items(), text);
  }
}

WEIR_TEST("a frame is as long as it is said to be") {
  marble_source source("-a-|", {}, {.frame = 1_h});
  co_await expect_marbles(source.items(), "-a-|", {}, {.frame = 1_h});
  EXPECT_EQ(testing::elapsed(), 3_h);
}

WEIR_TEST("letters stand for values, and digits for numbers") {
  marble_source<std::string> words("a-b|", {{'a', "one"}});
  co_await expect_marbles(words.items(), "x-b|", {{'x', "one"}});
  marble_source<int> numbers("1-7-x|", {{'x', 400}});
  co_await expect_marbles(numbers.items(), "1-7-y|", {{'y', 400}});
}

WEIR_TEST("of two letters for one value the one that is expected is meant") {
  marble_source<int> source("a-b|", {{'a', 7}, {'b', 7}});
  co_await expect_marbles(source.items(), "b-a|", {{'a', 7}, {'b', 7}});
}

WEIR_TEST("an error is drawn as a marble, and its code can be asked for") {
  marble_source source("a-#", {}, {.failure = errc::refused});
  co_await expect_marbles(source.items(), "a-#", {}, {.failure = errc::refused});
  marble_source again("a-#");
  co_await testing::expect_raises<errc::broken>([](generator<char> from) -> task<> {
    while (co_await from.next()) {
    }
  }(again.items()));
}

WEIR_TEST("items wait for a consumer that asks late, and the demand row says when it asks") {
  marble_source source("ab-c-|");
  co_await expect_marbles(source.items(), "a---(bc)-|", {}, {.demand = "r---2-r"});
  source.expect_demand("r---2-r");
}

WEIR_TEST("demand that was made before the item is kept") {
  marble_source source("--(ab)|");
  co_await expect_marbles(source.items(), "--(ab)|", {}, {.demand = "3"});
}

WEIR_TEST("a consumer that leaves has what came in its last frame, and the source sees it go") {
  marble_source source("a-b-c-d-|");
  co_await expect_marbles(source.items(), "a-b-c", {}, {.demand = "r-r-(r!)"});
  source.expect_demand("r-r-(r!)");
}

WEIR_TEST("a consumer that leaves while it waits is seen, and without an end it leaves after it") {
  marble_source source("a-----b");
  co_await expect_marbles(source.items(), "a---");
  source.expect_demand("2--!");
}

// Every second one, as an operator of a user's own.
generator<char> every_second(generator<char> from) {
  while (co_await from.next()) {
    auto second = co_await from.next();
    if (!second) co_return;
    co_yield *second;
  }
}

WEIR_TEST("an operator asks its source as often as it needs and passes a leaving on") {
  marble_source source("a-b-c-d-e-|");
  co_await expect_marbles(every_second(source.items()), "--b---d---|");
  source.expect_demand("2-r-r-r-r");
  marble_source other("a-b-c-d-e-|");
  co_await expect_marbles(every_second(other.items()), "--b", {}, {.demand = "r-!"});
  other.expect_demand("2-!");
}

WEIR_TEST("a channel is fed by a diagram and ends with it") {
  auto [to, from] = channel<int>(4);
  marble_source<int> source("1-2-(34)-|");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](marble_source<int>* plays,
               sender<int> into) -> task<> { co_await plays->send_to(std::move(into)); },
            &source, std::move(to));
    co_await expect_marbles(from, "1-2-(34)-|");
  });
  source.expect_demand("r-r-2");
}

WEIR_TEST("a full channel holds its diagram back until there is demand") {
  auto [to, from] = channel<int>(1);
  marble_source<int> source("123|");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](marble_source<int>* plays,
               sender<int> into) -> task<> { co_await plays->send_to(std::move(into)); },
            &source, std::move(to));
    co_await expect_marbles(from, "---1--2--(3|)", {}, {.demand = "---r--r--2"});
  });
  source.expect_demand("r--r--r");
}

WEIR_TEST("a receiver that goes is a leaving, and a diagram without an end waits for its scope") {
  auto [to, from] = channel<char>(0);
  marble_source source("a-b-c|");
  marble_source silent("a-");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](marble_source<>* plays,
               sender<char> into) -> task<> { co_await plays->send_to(std::move(into)); },
            &source, std::move(to));
    co_await expect_marbles(std::move(from), "a-", {}, {.demand = "r!"});
  });
  source.expect_demand("r-!");
  auto [out, in] = channel<char>(1);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](marble_source<>* plays,
               sender<char> into) -> task<> { co_await plays->send_to(std::move(into)); },
            &silent, std::move(out));
    co_await expect_marbles(in, "a----");
    s.cancel("enough");
  });
}

// A source of a user's own: it counts, one in each frame.
struct counter {
  int last;
  int at = 0;

  task<std::optional<int>> next() {
    if (at == last) co_return std::nullopt;
    co_await sleep(1_ms);
    co_return ++at;
  }
};

WEIR_TEST("a source of a user's own is held against a diagram, and can be asked again") {
  counter numbers{.last = 5};
  co_await expect_marbles(numbers, "-12");
  EXPECT_EQ(numbers.at, 2);
  co_await expect_marbles(counter{.last = 3}, "-12(3|)");
}

// The failures of one expectation.
std::string failure_of(const char* played, const char* expected,
                       testing::marble_expectation options = {}) {
  const testing::caught_failures caught;
  testing::run_virtual(
      [](const char* one, const char* other, testing::marble_expectation with) -> task<> {
        marble_source<> source(one, {}, {.failure = errc::refused});
        co_await expect_marbles(source.items(), other, {}, with);
      }(played, expected, options));
  return caught.text();
}

TEST(Marbles, that_differ_are_shown_below_one_another_with_a_caret) {
  EXPECT_EQ(failure_of("a-(bc)-d|", "a-b-c-d|"),
            "the marbles differ after 2ms\n"
            "  asked:    2-2   -r\n"
            "  expected: a-b   -c-d|\n"
            "  came:     a-(bc)-d|\n"
            "              ^ expected c in frame 4, came c in frame 2\n");
}

TEST(Marbles, that_come_too_early_too_late_or_not_at_all_fail) {
  EXPECT_NE(failure_of("ab|", "a-b|").find("expected b in frame 2, came b in frame 1"),
            std::string::npos);
  EXPECT_NE(failure_of("a-b|", "ab|").find("expected b in frame 1, came b in frame 2"),
            std::string::npos);
  EXPECT_NE(failure_of("a-|", "a-b|").find("expected b in frame 2, came the end in frame 2"),
            std::string::npos);
  EXPECT_NE(failure_of("a-b|", "a-|").find("expected the end in frame 2, came b in frame 2"),
            std::string::npos);
  EXPECT_NE(failure_of("a-|", "a--").find("expected nothing more, came the end in frame 2"),
            std::string::npos);
  EXPECT_NE(failure_of("a-", "a-|").find("expected the end in frame 2, came nothing more"),
            std::string::npos);
  EXPECT_NE(failure_of("(ab)|", "(ba)|").find("expected b in frame 0, came a in frame 0"),
            std::string::npos);
}

TEST(Marbles, are_waited_for_some_frames_when_their_end_is_late) {
  const std::string late = "a" + std::string(testing::marble_frames_after, '-') + "|";
  EXPECT_NE(failure_of(late.c_str(), "a|").find("came the end in frame 21"), std::string::npos);
  const std::string later = "a-" + std::string(testing::marble_frames_after, '-') + "|";
  EXPECT_NE(failure_of(later.c_str(), "a|").find("came nothing more"), std::string::npos);
}

TEST(Marbles, that_end_with_another_error_or_with_one_at_all_fail) {
  EXPECT_NE(failure_of("a#", "a#", {.failure = errc::closed}).find("expected closed"),
            std::string::npos);
  const std::string text = failure_of("a#", "a|");
  EXPECT_NE(text.find("expected the end in frame 1, came an error in frame 1"), std::string::npos);
  EXPECT_NE(text.find("'#' is refused"), std::string::npos) << text;
}

TEST(Marbles, without_a_letter_are_printed) {
  const testing::caught_failures caught;
  testing::run_virtual([]() -> task<> {
    marble_source<int> source("1-x|", {{'x', 4711}});
    co_await expect_marbles(source.items(), "1-2|");
  }());
  EXPECT_NE(caught.text().find("'?' in frame 2 is 4711"), std::string::npos) << caught.text();
}

TEST(Marbles, far_into_a_long_diagram_are_shown_from_shortly_before) {
  const std::string played = std::string(200, '-') + "a|";
  const std::string expected = std::string(200, '-') + "b|";
  const std::string text = failure_of(played.c_str(), expected.c_str());
  EXPECT_NE(text.find("came:     ...-----"), std::string::npos) << text;
  EXPECT_NE(text.find("expected b in frame 200, came a in frame 200"), std::string::npos) << text;
}

TEST(Marbles, demand_that_differs_is_shown) {
  const testing::caught_failures caught;
  testing::run_virtual([]() -> task<> {
    marble_source<> source("a-b|");
    co_await expect_marbles(source.items(), "a-b|");
    source.expect_demand("r-r|");
  }());
  EXPECT_NE(caught.text().find("a demand row at position 4"), std::string::npos) << caught.text();
  const testing::caught_failures more;
  testing::run_virtual([]() -> task<> {
    marble_source<> source("a-b|");
    co_await expect_marbles(source.items(), "a-b|");
    source.expect_demand("r-r");
  }());
  EXPECT_EQ(more.text(),
            "the demand differs\n"
            "  expected: r-r\n"
            "  asked:    2-r\n"
            "            ^ expected a request in frame 2, came a request in frame 0\n");
}

TEST(Marbles, that_have_no_value_or_no_place_in_a_channel_are_refused) {
  EXPECT_THROW(marble_source<int>("a|"), exception);
  EXPECT_THROW(marble_source<char>("a|", {}, {.frame = 1_ns}), exception);
  testing::run_virtual([]() -> task<> {
    auto [to, from] = channel<char>(1);
    marble_source<> source("a#");
    EXPECT_THROW(static_cast<void>(source.send_to(std::move(to))), exception);
    co_return;
  }());
}

}  // namespace
}  // namespace weir::marbles_test

#include <weir/broker/queue_settings.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace weir::queue_settings_test {
namespace {

std::string refusal_of(const queue_settings& settings, std::string_view queue = "orders") {
  const auto outcome = check(settings, queue);
  return outcome ? "" : outcome.error().detail;
}

TEST(queue_settings, the_defaults_are_allowed_for_the_longest_name) {
  EXPECT_EQ(refusal_of({}), "");
  EXPECT_EQ(refusal_of({}, std::string(queue_name_bytes_max, 'q')), "");
  EXPECT_EQ(refusal_of(dead_letter_settings(), "orders.dead"), "");
}

TEST(queue_settings, names_have_letters_digits_dots_lines_and_no_leading_dot) {
  for (const char* good : {"a", "orders", "A-1_b.c", "-x", "0"}) EXPECT_TRUE(is_queue_name(good));
  for (const char* bad : {"", ".a", "a/b", "a b", "\xc3\xa4", "a%", "a\n", "a:b"}) {
    EXPECT_FALSE(is_queue_name(bad)) << bad;
  }
  EXPECT_TRUE(is_queue_name(std::string(100, 'a')));
  EXPECT_FALSE(is_queue_name(std::string(101, 'a')));
  EXPECT_FALSE(is_queue_name(std::string_view("a\0b", 3)));
}

TEST(queue_settings, the_dead_letter_name_is_made_from_the_queue_name) {
  queue_settings settings;
  EXPECT_EQ(dead_letter_name(settings, "orders"), "orders.dead");
  settings.dead_letter = "x-{q}-{q}";
  EXPECT_EQ(dead_letter_name(settings, "a"), "x-a-a");
  settings.dead_letter = "all-dead";
  EXPECT_EQ(dead_letter_name(settings, "a"), "all-dead");
  settings.dead_letter = "";
  EXPECT_EQ(dead_letter_name(settings, "a"), "");
}

struct bad_setting {
  const char* names;
  void (*spoil)(queue_settings&);
};

TEST(queue_settings, each_setting_out_of_range_is_refused_by_name) {
  const bad_setting table[] = {
      {"'capacity.messages'", [](queue_settings& s) { s.capacity_messages = 0; }},
      {"'capacity.bytes'", [](queue_settings& s) { s.capacity_bytes = 0; }},
      {"'lease'", [](queue_settings& s) { s.lease = duration(999'999); }},
      {"'lease'", [](queue_settings& s) { s.lease = duration::max(); }},
      {"'attempts'", [](queue_settings& s) { s.attempts = attempts_max + 1; }},
      {"'backoff.first'", [](queue_settings& s) { s.backoff.first = duration(-1); }},
      {"'backoff.max'", [](queue_settings& s) { s.backoff.max = duration(1); }},
      {"'backoff.factor'", [](queue_settings& s) { s.backoff.factor = 0.5; }},
      {"'backoff.factor'", [](queue_settings& s) { s.backoff.factor = std::nan(""); }},
      {"'backoff.jitter'", [](queue_settings& s) { s.backoff.jitter = 1.01; }},
      {"'backoff.jitter'", [](queue_settings& s) { s.backoff.jitter = std::nan(""); }},
      {"'dead_letter'", [](queue_settings& s) { s.dead_letter = "a/b"; }},
      {"'dead_letter'", [](queue_settings& s) { s.dead_letter = "{q}"; }},
      {"'dead_letter'", [](queue_settings& s) { s.dead_letter = std::string(101, 'd'); }},
      {"'dead_letter'",
       [](queue_settings& s) {
         s.dead_letter.clear();
         for (int i = 0; i < 34; ++i) s.dead_letter += "{q}";
       }},
      {"'ttl'", [](queue_settings& s) { s.ttl = duration(-1); }},
      {"'result_ttl'", [](queue_settings& s) { s.result_ttl = duration::max(); }},
      {"'key_window'", [](queue_settings& s) { s.key_window = duration(-1); }},
      {"'push.url'", [](queue_settings& s) { s.push = push_settings{.url = "ftp://x"}; }},
      {"'push.url'",
       [](queue_settings& s) {
         s.push = push_settings{.url = "http://" + std::string(url_bytes_max, 'x')};
       }},
      {"'push.concurrency'",
       [](queue_settings& s) { s.push = push_settings{.url = "http://x", .concurrency = 0}; }},
      {"'push.rate'",
       [](queue_settings& s) { s.push = push_settings{.url = "http://x", .rate = 1'000'001}; }},
      {"'push.timeout'",
       [](queue_settings& s) {
         s.push = push_settings{.url = "http://x", .timeout = duration(0)};
       }},
  };
  for (const bad_setting& row : table) {
    queue_settings settings;
    row.spoil(settings);
    const auto outcome = check(settings, "orders");
    ASSERT_FALSE(outcome) << row.names;
    EXPECT_EQ(outcome.error().code, broker_errc::invalid_setting);
    EXPECT_NE(outcome.error().detail.find(row.names), std::string::npos) << outcome.error().detail;
  }
}

TEST(broker_errc, every_reason_has_a_name_of_its_own) {
  std::string seen = " ";
  for (int code = 1; code <= 15; ++code) {
    const std::string text = std::string(name(static_cast<broker_errc>(code))) + " ";
    EXPECT_NE(text, "unknown ");
    EXPECT_EQ(seen.find(" " + text), std::string::npos) << text;
    seen += text;
  }
  EXPECT_EQ(name(static_cast<broker_errc>(16)), "unknown");
}

}  // namespace
}  // namespace weir::queue_settings_test

#include <weir/serve/json_settings.hpp>

#include <gtest/gtest.h>

namespace weir::json_settings_test {
namespace {

using namespace literals;

queue_settings read(std::string_view text, const queue_settings& base = {}) {
  answer<queue_settings> settings = read_settings(text, base);
  EXPECT_TRUE(settings) << settings.error().detail;
  return settings.value_or(queue_settings{});
}

api_problem problem(std::string_view text) {
  const answer<queue_settings> settings = read_settings(text, {});
  EXPECT_FALSE(settings) << text;
  return settings ? api_problem{} : settings.error();
}

constexpr std::string_view every_setting =
    R"({"capacity":{"messages":10,"bytes":2000},"lease":"45s","attempts":7,)"
    R"("backoff":{"first":"250ms","max":"2m","factor":1.5,"jitter":0.25},)"
    R"("dead_letter":"graveyard","ttl":"1d","result_ttl":"2h","key_window":"3h",)"
    R"("push":{"url":"http://localhost:9/x","concurrency":3,"rate":20,"timeout":"5s"}})"
    "\n";

TEST(json_settings, every_setting_can_be_given) {
  const queue_settings s = read(every_setting);
  EXPECT_EQ(s.capacity_messages, 10u);
  EXPECT_EQ(s.capacity_bytes, 2000u);
  EXPECT_EQ(s.lease, 45_s);
  EXPECT_EQ(s.attempts, 7u);
  EXPECT_EQ(s.backoff, (backoff_settings{250_ms, 2_min, 1.5, 0.25}));
  EXPECT_EQ(s.dead_letter, "graveyard");
  EXPECT_EQ(s.ttl, 24_h);
  EXPECT_EQ(s.result_ttl, 2_h);
  EXPECT_EQ(s.key_window, 3_h);
  EXPECT_EQ(s.push, (push_settings{"http://localhost:9/x", 3, 20, 5_s}));
}

TEST(json_settings, what_is_written_is_what_was_read) {
  EXPECT_EQ(settings_json(read(every_setting)), every_setting);
  EXPECT_EQ(read(settings_json({})), queue_settings{});
}

TEST(json_settings, numbers_of_many_digits_are_kept_to_six_decimals_and_stay_as_they_are_written) {
  const auto once =
      read(R"({"backoff":{"factor":20.577770000001643501662345858616,"jitter":0.1234567}})");
  EXPECT_EQ(once.backoff.factor, 20.57777);
  EXPECT_EQ(once.backoff.jitter, 0.123457);
  EXPECT_EQ(read(settings_json(once)), once);
}

TEST(json_settings, what_is_not_given_stays) {
  const queue_settings base = read(every_setting);
  queue_settings expected = base;
  EXPECT_EQ(read("", base), base);
  EXPECT_EQ(read(" {}\n", base), base);
  expected.capacity_bytes = 5;
  expected.backoff.jitter = 0;
  expected.push->rate = 1;
  EXPECT_EQ(read(R"({"capacity":{"bytes":5},"backoff":{"jitter":0},"push":{"rate":1}})", base),
            expected);
}

TEST(json_settings, null_gives_the_default_back) {
  const queue_settings base = read(every_setting);
  EXPECT_EQ(read(R"({"capacity":null,"lease":null,"attempts":null,"backoff":null,"ttl":null,
                     "dead_letter":null,"result_ttl":null,"key_window":null,"push":null})",
                 base),
            queue_settings{});
  queue_settings expected = base;
  expected.backoff.factor = backoff_settings().factor;
  expected.push->timeout = push_settings().timeout;
  EXPECT_EQ(read(R"({"backoff":{"factor":null},"push":{"timeout":null}})", base), expected);
}

TEST(json_settings, unknown_settings_are_refused_by_name_with_the_list_of_known_ones) {
  EXPECT_EQ(problem(R"({"leese":"3s"})"),
            (api_problem{.status = 400,
                         .code = "unknown_setting",
                         .detail = "unknown setting 'leese'; known are: attempts, backoff, "
                                   "capacity, dead_letter, key_window, lease, push, result_ttl, "
                                   "ttl"}));
  EXPECT_EQ(problem(R"({"push":{"url":"http://x/","speed":1}})").detail,
            "unknown setting 'push.speed'; known are: concurrency, rate, timeout, url");
}

TEST(json_settings, wrong_types_are_refused_by_path) {
  const struct {
    std::string_view json;
    std::string_view detail;
  } table[] = {
      {R"({"attempts":"5"})", "setting 'attempts' must be a whole number, not negative"},
      {R"({"attempts":-1})", "setting 'attempts' must be a whole number, not negative"},
      {R"({"attempts":1.5})", "setting 'attempts' must be a whole number, not negative"},
      {R"({"capacity":5})", "setting 'capacity' must be an object"},
      {R"({"capacity":{"messages":true}})",
       "setting 'capacity.messages' must be a whole number, not negative"},
      {R"({"lease":30})",
       R"(setting 'lease' must be a duration in a string, such as "250ms", "30s" or "7d")"},
      {R"({"backoff":{"factor":"2"}})", "setting 'backoff.factor' must be a number"},
      {R"({"dead_letter":7})", "setting 'dead_letter' must be a string"},
      {R"({"push":{"rate":3}})", "setting 'push.url' is needed: where are messages to be pushed?"},
  };
  for (const auto& row : table) {
    const api_problem why = problem(row.json);
    EXPECT_EQ(why.detail, row.detail);
    EXPECT_EQ(why.code, "invalid_setting");
    EXPECT_EQ(why.status, 400);
  }
  EXPECT_TRUE(problem(R"({"ttl":"3 weeks"})").detail.starts_with("setting 'ttl' is no duration: "));
}

TEST(json_settings, what_is_no_json_object_is_refused) {
  for (const char* text : {"[]", "3", "{", "{\"lease\":\"3s\"} x", "nul", "\"x"}) {
    EXPECT_EQ(problem(text).code, "invalid_json") << text;
  }
  EXPECT_EQ(problem(std::string(100, '[')).code, "invalid_json");  // deeper than json_depth_max
}

TEST(json_settings, a_capacity_without_limit_is_a_number_that_a_double_holds) {
  const queue_settings letters = dead_letter_settings();
  EXPECT_EQ(read(settings_json(letters)), letters);
  EXPECT_EQ(static_cast<std::uint64_t>(static_cast<double>(letters.capacity_bytes)),
            letters.capacity_bytes);
  queue_settings old = letters;  // as journals of earlier versions have them
  old.capacity_messages = old.capacity_bytes = UINT64_MAX;
  EXPECT_EQ(settings_json(old), settings_json(letters));
}

TEST(json_settings, a_larger_capacity_is_taken_as_none_so_that_what_is_told_is_what_holds) {
  const queue_settings large =
      read(R"({"capacity":{"messages":9007199254740992,"bytes":18446744073709551615}})");
  EXPECT_EQ(large.capacity_messages, capacity_unlimited);
  EXPECT_EQ(large.capacity_bytes, capacity_unlimited);
  EXPECT_EQ(read(settings_json(large)), large);
  EXPECT_EQ(read(R"({"capacity":{"messages":9007199254740990}})").capacity_messages,
            capacity_unlimited - 1);
}

TEST(json_settings, a_setting_that_is_there_twice_is_refused_by_path) {
  const struct {
    std::string_view json;
    std::string_view detail;
  } table[] = {
      {R"({"lease":"1s","lease":"2s"})", "the body has the field 'lease' twice"},
      {R"({"push" : {"rate" : 1, "url":"http://a:1/", "rate" : 1}})",
       "the body has the field 'push.rate' twice"},
      {R"({"push":{"rate":1},"backoff":{"max":"1s"},"push":null})",
       "the body has the field 'push' twice"},
      {R"({"lease":"1s","\u006cease":"2s"})", "the body has the field 'lease' twice"},
      {R"({"x":[{"a":{}},{"b":1,"b":2}]})", "the body has the field 'x.b' twice"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(
        problem(row.json),
        (api_problem{.status = 400, .code = "invalid_json", .detail = std::string(row.detail)}));
  }
  EXPECT_EQ(
      read(
          R"({"dead_letter":"a:b:\\\":","push":{"url":"http://a:1/","timeout":"1s"},"lease":"1s"})")
          .push->url,
      "http://a:1/")
      << "no repeats";
}

TEST(json_settings, more_values_than_memory_should_hold_are_refused_before_they_are_parsed) {
  std::string wide = "{\"lease\":[0";
  for (int i = 0; i < 1'000'001; ++i) wide += ",0";
  wide += "]}";
  EXPECT_EQ(problem(wide).code, "invalid_json");
  EXPECT_NE(problem(wide).detail.find("more than 1000000 values"), std::string::npos);
  const std::string commas(1'000'002, ',');  // in a string they are none, whatever quotes it holds
  EXPECT_EQ(problem("{\"\\\\\":1,\"le\\\\\\\"ase\":\"" + commas + "\"}").code, "unknown_setting");
}

}  // namespace
}  // namespace weir::json_settings_test

#include <weir/serve/submit_fields.hpp>

#include <gtest/gtest.h>

#include <initializer_list>

namespace weir::submit_fields_test {
namespace {

using namespace literals;

answer<submit_fields> read(std::initializer_list<http_field> list) {
  http_fields fields;
  for (const http_field& field : list) fields.add(field);
  return read_submit_fields(fields);
}

TEST(submit_fields, without_fields_a_message_has_defaults) {
  EXPECT_EQ(read({{"Host", "x"}}), submit_fields{.content_type = "application/octet-stream"});
}

TEST(submit_fields, every_field_is_read_whatever_the_case_of_its_name) {
  EXPECT_EQ(read({{"content-type", "text/plain"},
                  {"Weir-Delay", "5s"},
                  {"WEIR-PRIORITY", "9"},
                  {"weir-key", "order 7"},
                  {"Weir-Reply-To", "http://127.0.0.1:99/done?x=1"},
                  {"Weir-TTL", "1h30m"}}),
            (submit_fields{.content_type = "text/plain",
                           .priority = 9,
                           .delay = 5_s,
                           .ttl = 90_min,
                           .key = "order 7",
                           .reply_to = "http://127.0.0.1:99/done?x=1"}));
}

TEST(submit_fields, a_bad_value_is_refused_with_the_fields_name) {
  const struct {
    http_field field;
    std::string_view detail;
  } table[] = {
      {{"Weir-Priority", "10"}, "field 'Weir-Priority' must be a whole number from 0 to 9"},
      {{"Weir-Priority", "-1"}, "field 'Weir-Priority' must be a whole number from 0 to 9"},
      {{"Weir-Priority", ""}, "field 'Weir-Priority' must be a whole number from 0 to 9"},
      {{"Weir-Key", ""}, "field 'Weir-Key' must have 1 to 256 bytes"},
      {{"Content-Type", ""}, "field 'Content-Type' must have 1 to 256 bytes"},
      {{"Weir-Key", "a\tb"}, "field 'Weir-Key' must not have control characters"},
      {{"Weir-Delay", "99y"}, "field 'Weir-Delay' is no duration: "},
      {{"Weir-Delay", "5"}, "field 'Weir-Delay' is no duration: "},
      {{"Weir-Ttl", "soon"}, "field 'Weir-Ttl' is no duration: "},
      {{"Weir-Ttl", "4000d"}, "field 'Weir-Ttl' must be at most 3650d"},
      {{"Weir-Delay", "4000d"}, "field 'Weir-Delay' must be at most 3650d"},
      {{"Weir-Reply-To", "ftp://x/"}, "field 'Weir-Reply-To' is no URL: "},
      {{"Weir-Reply-To", "http://a@b/"}, "field 'Weir-Reply-To' is no URL: "},
  };
  for (const auto& row : table) {
    const answer<submit_fields> fields = read({row.field});
    ASSERT_FALSE(fields) << row.field.name << ": " << row.field.value;
    EXPECT_EQ(fields.error().status, 400);
    EXPECT_EQ(fields.error().code, "invalid_field");
    EXPECT_TRUE(fields.error().detail.starts_with(row.detail)) << fields.error().detail;
  }
}

TEST(submit_fields, long_values_are_refused) {
  const std::string key(257, 'k');
  const std::string url = "http://x/" + std::string(2040, 'u');
  EXPECT_EQ(read({{"Weir-Key", key}}).error().detail, "field 'Weir-Key' must have 1 to 256 bytes");
  EXPECT_EQ(read({{"Weir-Reply-To", url}}).error().detail,
            "field 'Weir-Reply-To' must have at most 2048 bytes");
  EXPECT_TRUE(read({{"Weir-Key", std::string_view(key).substr(1)}}));
}

TEST(submit_fields, a_field_of_ours_that_is_none_is_refused_by_name) {
  const answer<submit_fields> fields = read({{"Weir-Prio", "3"}});
  ASSERT_FALSE(fields);
  EXPECT_EQ(fields.error().code, "unknown_field");
  EXPECT_EQ(fields.error().detail,
            "unknown field 'Weir-Prio'; known are: Weir-Delay, Weir-Key, Weir-Priority, "
            "Weir-Reply-To, Weir-Ttl");
}

TEST(submit_fields, what_a_push_or_a_reply_carries_may_be_there_and_means_nothing) {
  EXPECT_EQ(read({{"Content-Type", "text/plain"},
                  {"Weir-Id", "2222222222225ekf3hb5qheq4w"},
                  {"weir-attempt", "1"},
                  {"Weir-Queue", "mails"}}),
            submit_fields{.content_type = "text/plain"});
}

TEST(submit_fields, a_field_given_twice_is_refused) {
  EXPECT_EQ(read({{"Weir-Key", "a"}, {"weir-key", "a"}}).error().detail,
            "field 'Weir-Key' must be given once");
}

TEST(submit_fields, a_batch_gives_each_message_with_its_fields) {
  const auto batch = read_batch(
      R"({"messages":[{"body":"hi"},
          {"body":"AP8=","encoding":"base64","content_type":"image/x","delay":"1s","ttl":"2s",
           "priority":3,"key":"k","reply_to":"http://h/"},
          {"body":"","encoding":"base64"}]})",
      10);
  ASSERT_TRUE(batch);
  ASSERT_EQ(batch->size(), 3u);
  const batch_message& first = *batch->at(0);
  EXPECT_EQ(first.body, "hi");
  EXPECT_EQ(first.content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(first.priority, 0u);
  const batch_message& second = *batch->at(1);
  EXPECT_EQ(second.body, std::string("\0\xff", 2));
  EXPECT_EQ(second.content_type, "image/x");
  EXPECT_EQ(second.delay, 1_s);
  EXPECT_EQ(second.ttl, 2_s);
  EXPECT_EQ(second.priority, 3u);
  EXPECT_EQ(second.key, "k");
  EXPECT_EQ(second.reply_to, "http://h/");
  EXPECT_EQ(batch->at(2)->body, "");
  EXPECT_EQ(batch->at(2)->content_type, "application/octet-stream");
}

TEST(submit_fields, a_bad_message_of_a_batch_has_its_problem_in_its_place) {
  const struct {
    std::string_view json;
    std::string_view code;
    std::string_view detail;
  } table[] = {
      {R"(7)", "invalid_field", "field 'messages[1]' must be an object"},
      {R"({})", "invalid_field", "field 'messages[1].body' is needed"},
      {R"({"body":5})", "invalid_field", "field 'messages[1].body' must be a string"},
      {R"({"body":"x","bodi":1})", "unknown_field",
       "unknown field 'messages[1].bodi'; known are: "},
      {R"({"body":"a","encoding":"hex"})", "invalid_field",
       "field 'messages[1].encoding' must be text or base64"},
      {R"({"body":"a","encoding":"base64"})", "invalid_field",
       "field 'messages[1].body' is no base64 with padding"},
      {R"({"body":"a","priority":10})", "invalid_field",
       "field 'messages[1].priority' must be a whole number from 0 to 9"},
      {R"({"body":"a","delay":"4000d"})", "invalid_field",
       "field 'messages[1].delay' must be at most 3650d"},
      {R"({"body":"a","ttl":5})", "invalid_field", "field 'messages[1].ttl' must be a duration"},
      {R"({"body":"a","key":""})", "invalid_field",
       "field 'messages[1].key' must have 1 to 256 bytes"},
      {R"({"body":"a","content_type":"a\nb"})", "invalid_field",
       "field 'messages[1].content_type' must not have control characters"},
      {R"({"body":"a","reply_to":"x"})", "invalid_field",
       "field 'messages[1].reply_to' is no URL: "},
  };
  for (const auto& row : table) {
    const auto batch =
        read_batch(R"({"messages":[{"body":"ok"},)" + std::string(row.json) + "]}", 10);
    ASSERT_TRUE(batch) << row.json;
    EXPECT_TRUE(batch->at(0));
    ASSERT_FALSE(batch->at(1)) << row.json;
    EXPECT_EQ(batch->at(1).error().code, row.code);
    EXPECT_TRUE(batch->at(1).error().detail.starts_with(row.detail)) << batch->at(1).error().detail;
  }
}

TEST(submit_fields, what_is_no_batch_is_refused_as_a_whole) {
  const struct {
    std::string_view json;
    int status;
    std::string_view code;
  } table[] = {
      {"", 400, "invalid_json"},
      {"[]", 400, "invalid_json"},
      {"{}", 400, "invalid_field"},
      {R"({"messages":[]})", 400, "invalid_field"},
      {R"({"messages":{}})", 400, "invalid_field"},
      {R"({"messages":[{"body":"a"}],"x":1})", 400, "unknown_field"},
      {R"({"messages":[{"body":"a"},{"body":"b"},{"body":"c"}]})", 413, "too_many_messages"}};
  for (const auto& row : table) {
    const auto batch = read_batch(row.json, 2);
    ASSERT_FALSE(batch) << row.json;
    EXPECT_EQ(batch.error().status, row.status) << row.json;
    EXPECT_EQ(batch.error().code, row.code) << row.json;
  }
}

TEST(submit_fields, a_batch_that_has_a_field_twice_is_refused_by_name) {
  const api_problem body{.status = 400,
                         .code = "invalid_json",
                         .detail = "the body has the field 'messages.body' twice"};
  EXPECT_EQ(read_batch(R"({"messages":[{"body":"a"},{"body":"b","body":"c"}]})", 2).error(), body);
  const api_problem acks{
      .status = 400, .code = "invalid_json", .detail = "the body has the field 'acks' twice"};
  EXPECT_EQ(read_acks(R"({"acks":[{"receipt":"a"}], "acks":[{"receipt":"b"}]})", 2).error(), acks);
  EXPECT_TRUE(read_batch(R"({"messages":[{"body":"\"body\":1"},{"body":":"}]})", 2));
}

// Looked through once for the name, however much space there is behind it.
TEST(submit_fields, a_field_that_is_there_twice_before_much_space_is_found_at_once) {
  std::string wide = R"({"messages":["x")";
  for (int i = 0; i < 100'000; ++i) wide += R"(,"x")";
  wide += R"(,{"body":"a","body":"b"}]})" + std::string(4 << 20, ' ');
  EXPECT_EQ(read_batch(wide, 2).error().code, "invalid_json");
}

TEST(submit_fields, a_batch_of_acknowledgements_gives_each_with_its_result) {
  const auto acks = read_acks(
      R"({"acks":[{"receipt":"r1"},
          {"receipt":"r2","result":"AP8=","encoding":"base64","content_type":"image/x"},
          {"result":"x"},
          7,
          {"receipt":"r3","result":"?","encoding":"base64"},
          {"receipt":"r4","content_type":""},
          {"receipt":"r5","extra":1}]})",
      10);
  ASSERT_TRUE(acks);
  ASSERT_EQ(acks->size(), 7u);
  EXPECT_EQ(acks->at(0)->receipt, "r1");
  EXPECT_EQ(acks->at(0)->result, "");
  EXPECT_EQ(acks->at(0)->content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(acks->at(1)->receipt, "r2");
  EXPECT_EQ(acks->at(1)->result, std::string("\0\xff", 2));
  EXPECT_EQ(acks->at(1)->content_type, "image/x");
  EXPECT_EQ(acks->at(2).error().detail, "field 'acks[2].receipt' is needed");
  EXPECT_EQ(acks->at(3).error().detail, "field 'acks[3]' must be an object");
  EXPECT_EQ(acks->at(4).error().detail, "field 'acks[4].result' is no base64 with padding");
  EXPECT_EQ(acks->at(5).error().detail, "field 'acks[5].content_type' must have 1 to 256 bytes");
  EXPECT_EQ(acks->at(6).error().code, "unknown_field");
  EXPECT_EQ(read_acks(R"({"acks":[{"receipt":"a"},{"receipt":"b"}]})", 1).error().code,
            "too_many_acks");
  EXPECT_EQ(read_acks("{}", 1).error().detail, "field 'acks' is needed: an array of acks");
}

}  // namespace
}  // namespace weir::submit_fields_test

#include <weir/serve/server_config.hpp>

#include <gtest/gtest.h>

namespace weir::server_config_test {
namespace {

using namespace literals;

TEST(server_config, every_setting_can_be_given) {
  const answer<server_config> config = read_config(
      R"({"data":"/d","listen":"[::1]:1","token_file":"/t","drain_timeout":"3s","limits":{
          "message_bytes":1,"batch_messages":2,"lease_messages":3,"queues":4,"keys":5,"replies":6,
          "connections":7,"connections_per_client":10,"wait":"8s","event_streams":9,
          "bodies_bytes":11,"answers_bytes":12},
          "tls":{"cert":"/c","key":"/k","client_ca":"/a"},
          "calls":{"deny":["private","10.0.0.1"],"allow":["all"],"ca":"/w"},
          "journal":{"segment_bytes":65536,"snapshot_bytes":10}})",
      {});
  ASSERT_TRUE(config) << config.error().detail;
  EXPECT_EQ(config->data, "/d");
  EXPECT_EQ(config->listen, "[::1]:1");
  EXPECT_EQ(config->token_file, "/t");
  EXPECT_EQ(config->drain_timeout, 3_s);
  EXPECT_EQ(config->limits.message_bytes_max, 1u);
  EXPECT_EQ(config->limits.batch_max, 2u);
  EXPECT_EQ(config->limits.lease_max, 3u);
  EXPECT_EQ(config->limits.queues_max, 4u);
  EXPECT_EQ(config->limits.keys_max, 5u);
  EXPECT_EQ(config->limits.replies_max, 6u);
  EXPECT_EQ(config->connections_max, 7u);
  EXPECT_EQ(config->connections_per_client_max, 10u);
  EXPECT_EQ(config->tls_cert, "/c");
  EXPECT_EQ(config->tls_key, "/k");
  EXPECT_EQ(config->tls_client_ca, "/a");
  ASSERT_TRUE(config->calls.deny);
  EXPECT_EQ(*config->calls.deny, (std::vector<std::string>{"private", "10.0.0.1"}));
  EXPECT_EQ(config->calls.allow, std::vector<std::string>{"all"});
  EXPECT_EQ(config->calls.ca, "/w");
  EXPECT_EQ(config->wait_max, 8_s);
  EXPECT_EQ(config->event_streams_max, 9u);
  EXPECT_EQ(config->segment_bytes, 65'536u);
  EXPECT_EQ(config->snapshot_bytes, 10u);
  EXPECT_EQ(config->bodies_bytes_max, 11u);
  EXPECT_EQ(config->answers_bytes_max, 12u);
}

TEST(server_config, what_is_not_given_stays) {
  server_config base;
  base.data = "kept";
  const answer<server_config> config = read_config(R"({"listen":"127.0.0.1:1"})", base);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->data, "kept");
  EXPECT_EQ(config->listen, "127.0.0.1:1");
}

TEST(server_config, mistakes_are_refused_by_name) {
  const struct {
    std::string_view json;
    std::string_view detail;
  } table[] = {
      {R"({"lisen":"x"})",
       "unknown setting 'lisen'; known are: calls, data, drain_timeout, journal, limits, listen, "
       "tls, token_file"},
      {R"({"tls":{"certificate":"x"}})",
       "unknown setting 'tls.certificate'; known are: cert, client_ca, key"},
      {R"({"calls":{"deny":[1]}})", "setting 'calls.deny' must be an array of texts"},
      {R"({"calls":{"allow":"all"}})", "setting 'calls.allow' must be an array"},
      {R"({"limits":{"message_byte":1}})", "unknown setting 'limits.message_byte'; known are: "},
      {R"({"limits":{"queues":0}})",
       "setting 'limits.queues' must be a whole number from 1 to 1000000"},
      {R"({"limits":{"message_bytes":67108865}})",
       "setting 'limits.message_bytes' must be a whole number from 1 to 67108864"},
      {R"({"drain_timeout":10})", "setting 'drain_timeout' must be a duration in a string"},
      {R"({"journal":{"segment_bytes":65535}})",
       "setting 'journal.segment_bytes' must be at least 65536, and a multiple of 4096"},
      {R"({"journal":{"segment_bytes":70000}})",
       "setting 'journal.segment_bytes' must be at least 65536, and a multiple of 4096"},
      {R"({"limits":{"queues":1,"queues":2}})",
       "the config file has the field 'limits.queues' twice"},
      {"[]", "the config file must be a JSON object"},
      {"{", "the config file is no JSON: "}};
  for (const auto& row : table) {
    const answer<server_config> config = read_config(row.json, {});
    ASSERT_FALSE(config) << row.json;
    EXPECT_TRUE(config.error().detail.starts_with(row.detail)) << config.error().detail;
  }
}

}  // namespace
}  // namespace weir::server_config_test

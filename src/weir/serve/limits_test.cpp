// docs/reference/limits.md says what the code does: every row's default is compared.
#include <weir/base/text.hpp>
#include <weir/broker/broker.hpp>
#include <weir/broker/broker_record.hpp>
#include <weir/http/client.hpp>
#include <weir/http/server.hpp>
#include <weir/io/address_rules.hpp>
#include <weir/io/resolve.hpp>
#include <weir/io/tls_context.hpp>
#include <weir/serve/internal/json_reader.hpp>
#include <weir/serve/reply_sender.hpp>
#include <weir/serve/retry_after.hpp>
#include <weir/serve/server_config.hpp>
#include <weir/serve/service.hpp>
#include <weir/wire/percent.hpp>
#include <weir/wire/url.hpp>

#include <gtest/gtest.h>

#include <concepts>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limits_test {
namespace {

std::string shown(duration length) { return format_duration(length); }
std::string shown(std::integral auto number) { return std::to_string(number); }

using table = std::map<std::string, std::string>;

table connections() {
  const server_config config;
  const http::server_limits of;
  return {
      {"server_config::connections_max", shown(config.connections_max)},
      {"server_config::connections_per_client_max", shown(config.connections_per_client_max)},
      {"server_config::event_streams_max", shown(config.event_streams_max)},
      {"server_config::answers_bytes_max", shown(config.answers_bytes_max)},
      {"server_config::wait_max", shown(config.wait_max)},
      {"server_config::drain_timeout", shown(config.drain_timeout)},
      {"broker_options::waiters_max", shown(broker_options().waiters_max)},
      {"broker_options::reading_bytes_max", shown(broker_options().reading_bytes_max)},
      {"broker_options::replies_bytes_max", shown(broker_options().replies_bytes_max)},
      {"queues_ever_max", shown(queues_ever_max)},
      {"server_limits::header_timeout", shown(of.header_timeout)},
      {"server_limits::keep_alive_timeout", shown(of.keep_alive_timeout)},
      {"server_limits::body_idle_timeout", shown(of.body_idle_timeout)},
      {"server_limits::body_timeout", shown(of.body_timeout)},
      {"server_limits::body_grace", shown(of.body_grace)},
      {"server_limits::body_rate_min", shown(of.body_rate_min)},
      {"server_config::bodies_bytes_max", shown(config.bodies_bytes_max)},
      {"server_limits::write_timeout", shown(of.write_timeout)},
      {"server_limits::linger_timeout", shown(of.linger_timeout)},
      {"server_limits::requests_per_connection_max", shown(of.requests_per_connection_max)},
      {"server_limits::unread_bytes_max", shown(of.unread_bytes_max)},
  };
}

table messages_of_http() {
  const http_limits of;
  return {
      {"http_limits::empty_lines_max", shown(of.empty_lines_max)},
      {"http_limits::method_bytes_max", shown(of.method_bytes_max)},
      {"http_limits::target_bytes_max", shown(of.target_bytes_max)},
      {"http_limits::field_line_bytes_max", shown(of.field_line_bytes_max)},
      {"http_limits::fields_max", shown(of.fields_max)},
      {"http_limits::head_bytes_max", shown(of.head_bytes_max)},
      {"http_limits::chunk_extension_bytes_max", shown(of.chunk_extension_bytes_max)},
      {"http_limits::trailer_bytes_max", shown(of.trailer_bytes_max)},
      {"response::fields_bytes_max", shown(http::response::fields_bytes_max)},
      {"url_text_bytes_max", shown(url_text_bytes_max)},
      {"path_segments_max", shown(path_segments_max)},
      {"query_parameters_max", shown(query_parameters_max)},
      {"json_depth_max", shown(detail::json_depth_max)},
      {"json_commas_max", shown(detail::json_commas_max)},
      {"service_options::json_bytes_max", shown(service_options().json_bytes_max)},
      {"service_options::small_json_bytes_max", shown(service_options().small_json_bytes_max)},
  };
}

table queues() {
  const broker_limits of;
  const queue_settings queue;
  return {
      {"broker_limits::message_bytes_max", shown(of.message_bytes_max)},
      {"broker_limits::batch_max", shown(of.batch_max)},
      {"broker_limits::lease_max", shown(of.lease_max)},
      {"broker_limits::lease_bytes_max", shown(of.lease_bytes_max)},
      {"broker_limits::redrive_max", shown(of.redrive_max)},
      {"broker_limits::queues_max", shown(of.queues_max)},
      {"broker_limits::keys_max", shown(of.keys_max)},
      {"broker_limits::replies_max", shown(of.replies_max)},
      {"broker_limits::error_texts_bytes_max", shown(of.error_texts_bytes_max)},
      {"queue_settings::capacity_messages", shown(queue.capacity_messages)},
      {"queue_settings::capacity_bytes", shown(queue.capacity_bytes)},
      {"queue_settings::attempts", shown(queue.attempts)},
      {"queue_name_bytes_max", shown(queue_name_bytes_max)},
      {"key_bytes_max", shown(key_bytes_max)},
      {"content_type_bytes_max", shown(content_type_bytes_max)},
      {"error_text_bytes_max", shown(error_text_bytes_max)},
      {"url_bytes_max", shown(url_bytes_max)},
  };
}

table calls_and_secrets() {
  const http::client_options client;
  const push_settings push;
  return {
      {"push_settings::timeout", shown(push.timeout)},
      {"push_settings::concurrency", shown(push.concurrency)},
      {"client_options::redirects_max", shown(client.redirects_max)},
      {"client_options::connect_timeout", shown(client.connect_timeout)},
      {"client_options::hosts_max", shown(client.hosts_max)},
      {"client_options::idle_timeout", shown(client.idle_timeout)},
      {"reply_sender::calls_max", shown(reply_sender::calls_max)},
      {"reply_lines::host_calls_max", shown(reply_lines::host_calls_max)},
      {"reply_sender::call_timeout", shown(reply_sender::call_timeout)},
      {"retry_after_max", shown(retry_after_max)},
      {"resolved_addresses_max", shown(resolved_addresses_max)},
      {"address_rules::rules_max", shown(address_rules::rules_max)},
      {"tls_server_settings::handshake_timeout", shown(tls_server_settings().handshake_timeout)},
      {"tls_client_settings::handshake_timeout", shown(tls_client_settings().handshake_timeout)},
      {"tls_server::identities_max", shown(tls_server::identities_max)},
      {"tls_server::plain_blocks_max", shown(tls_server::plain_blocks_max)},
      {"tls_client::sessions_max", shown(tls_client::sessions_max)},
      {"token_set::tokens_max", shown(token_set::tokens_max)},
      {"token_set::token_bytes_min", shown(token_set::token_bytes_min)},
      {"token_set::token_bytes_max", shown(token_set::token_bytes_max)},
  };
}

/// "| `name` more | default | ..." gives name and default.
bool read_row(std::string_view line, std::string& name, std::string& value) {
  constexpr std::string_view begin = "| `";
  if (!line.starts_with(begin)) return false;
  const std::size_t end = line.find('`', begin.size());
  const std::size_t first = line.find('|', end);
  const std::size_t second = line.find('|', first + 1);
  if (second == line.npos) return false;
  name = line.substr(begin.size(), end - begin.size());
  value = trim(line.substr(first + 1, second - first - 1));
  return true;
}

TEST(limits, the_table_in_the_documents_says_what_the_code_does) {
  table code;
  for (const table& part : {connections(), messages_of_http(), queues(), calls_and_secrets()}) {
    code.insert(part.begin(), part.end());
  }
  std::ifstream file(WEIR_LIMITS_PAGE);
  ASSERT_TRUE(file) << WEIR_LIMITS_PAGE;
  std::set<std::string> written;
  std::string line;
  while (std::getline(file, line)) {
    std::string name;
    std::string value;
    if (!read_row(line, name, value)) continue;
    written.insert(name);
    const auto known = code.find(name);
    if (known == code.end()) {
      ADD_FAILURE() << "limits.md has `" << name << "`, which this test does not know";
      continue;
    }
    EXPECT_EQ(value, known->second) << name;
  }
  for (const auto& [name, value] : code) {
    EXPECT_TRUE(written.contains(name)) << "limits.md lacks `" << name << "` = " << value;
  }
}

}  // namespace
}  // namespace weir::limits_test

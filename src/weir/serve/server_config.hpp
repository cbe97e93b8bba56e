// What `weir serve` is told: by its config file, a JSON object, and by its command line, which
// wins.
#pragma once

#include <weir/broker/broker_command.hpp>
#include <weir/serve/api_problem.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// Calls that the server makes: to workers and to reply addresses.
struct call_rules {
  /// As address_rules reads them. Absent: nothing is denied to a server that only this machine can
  /// reach and that asks for no secret; `call_deny_default` otherwise.
  std::optional<std::vector<std::string>> deny;
  std::vector<std::string> allow;  // wins over `deny`
  std::string ca;                  // a file; empty: whom the system trusts
};
inline constexpr std::string_view call_deny_default[] = {"loopback", "private", "link-local",
                                                         "metadata", "multicast"};

struct server_config {
  std::string data = "weir-data";
  std::string listen = "127.0.0.1:8420";
  std::string token_file;  // empty: none
  std::string tls_cert;    // files in PEM form; empty: plain HTTP
  std::string tls_key;
  std::string tls_client_ca;  // empty: clients show no certificates
  call_rules calls;
  broker_limits limits;
  std::uint32_t connections_max = 10'000;
  std::uint64_t bodies_bytes_max = std::uint64_t{256} << 20;   // of all requests at once
  std::uint64_t answers_bytes_max = std::uint64_t{256} << 20;  // of all large answers at once
  std::uint32_t connections_per_client_max = 1'000;  // clients on this machine are not counted
  std::uint32_t event_streams_max = 1'000;
  duration wait_max = duration::seconds(300);
  duration drain_timeout = duration::seconds(10);
  std::uint32_t segment_bytes = 64u << 20;                  // of each file of the journal
  std::uint64_t snapshot_bytes = std::uint64_t{256} << 20;  // written between two snapshots
  bool accept_loss =
      false;  // open although acknowledged data is damaged; a flag of the command only
};

/// `base` changed by {"data", "listen", "token_file", "tls": {"cert", "key", "client_ca"},
/// "calls": {"deny", "allow", "ca"}, "drain_timeout", "limits": {"message_bytes",
/// "batch_messages", "lease_messages", "queues", "keys", "replies", "connections",
/// "connections_per_client", "bodies_bytes", "answers_bytes", "event_streams", "wait"},
/// "journal": {"segment_bytes", "snapshot_bytes"}}.
/// Unknown settings are refused by name.
answer<server_config> read_config(std::string_view json, const server_config& base);

}  // namespace weir

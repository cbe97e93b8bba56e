#include <weir/serve/server_config.hpp>

#include <weir/serve/internal/json_reader.hpp>

#include <utility>

namespace weir {

namespace {

constexpr detail::json_words config_words{
    .noun = "setting", .code = "invalid_setting", .unknown = "unknown_setting"};

constexpr std::uint32_t segment_bytes_at_least = 64u << 10;
constexpr std::uint32_t segment_bytes_step = 4096;

/// A whole number of at least 1.
template <class N>
void read_limit(detail::json_reader& from, std::string_view field, std::uint64_t max, N& out) {
  std::uint64_t given = 0;
  if (from.whole(field, max, given, 1)) out = static_cast<N>(given);
}

/// An array of texts.
bool read_texts(detail::json_reader& from, std::string_view field, std::vector<std::string>& out) {
  const boost::json::array* given = from.array(field);
  if (!given) return false;
  out.clear();
  for (const boost::json::value& one : *given) {
    if (!one.is_string()) {
      from.refuse(field, "must be an array of texts");
      return false;
    }
    out.emplace_back(one.get_string());
  }
  return true;
}

void read_calls(detail::json_reader from, call_rules& out) {
  std::vector<std::string> deny;
  if (read_texts(from, "deny", deny)) out.deny = std::move(deny);
  read_texts(from, "allow", out.allow);
  from.text("ca", out.ca);
  from.finish();
}

}  // namespace

answer<server_config> read_config(std::string_view text, const server_config& base) {
  const auto object = detail::parse_json_object(text, "the config file");
  if (!object) return std::unexpected(object.error());
  server_config out = base;
  std::optional<api_problem> problem;
  detail::json_reader from(*object, problem, config_words);
  from.text("data", out.data);
  from.text("listen", out.listen);
  from.text("token_file", out.token_file);
  from.length("drain_timeout", out.drain_timeout);
  if (const boost::json::object* tls = from.object("tls")) {
    detail::json_reader inside = from.child(*tls, "tls");
    inside.text("cert", out.tls_cert);
    inside.text("key", out.tls_key);
    inside.text("client_ca", out.tls_client_ca);
    inside.finish();
  }
  if (const boost::json::object* calls = from.object("calls")) {
    read_calls(from.child(*calls, "calls"), out.calls);
  }
  if (const boost::json::object* limits = from.object("limits")) {
    detail::json_reader inside = from.child(*limits, "limits");
    read_limit(inside, "message_bytes", 64u << 20, out.limits.message_bytes_max);
    read_limit(inside, "batch_messages", 100'000, out.limits.batch_max);
    read_limit(inside, "lease_messages", 100'000, out.limits.lease_max);
    read_limit(inside, "queues", 1'000'000, out.limits.queues_max);
    read_limit(inside, "keys", 1'000'000'000, out.limits.keys_max);
    read_limit(inside, "replies", 1'000'000'000, out.limits.replies_max);
    read_limit(inside, "connections", 1'000'000, out.connections_max);
    read_limit(inside, "bodies_bytes", std::uint64_t{1} << 40, out.bodies_bytes_max);
    read_limit(inside, "answers_bytes", std::uint64_t{1} << 40, out.answers_bytes_max);
    read_limit(inside, "connections_per_client", 1'000'000, out.connections_per_client_max);
    read_limit(inside, "event_streams", 1'000'000, out.event_streams_max);
    inside.length("wait", out.wait_max);
    inside.finish();
  }
  if (const boost::json::object* journal = from.object("journal")) {
    detail::json_reader inside = from.child(*journal, "journal");
    read_limit(inside, "segment_bytes", 1u << 30, out.segment_bytes);
    if (out.segment_bytes < segment_bytes_at_least || out.segment_bytes % segment_bytes_step != 0) {
      inside.refuse("segment_bytes", "must be at least 65536, and a multiple of 4096");
    }
    read_limit(inside, "snapshot_bytes", std::uint64_t{1} << 40, out.snapshot_bytes);
    inside.finish();
  }
  from.finish();
  if (problem) return std::unexpected(std::move(*problem));
  return out;
}

}  // namespace weir
